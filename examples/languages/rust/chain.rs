//! Chains read from standard input, and a fit of a named curve; ../README.md has the format.

use std::ffi::{c_void, CStr};
use std::io::Read;
use std::os::raw::{c_char, c_int, c_uchar, c_ulonglong};
use std::ptr::null;
use std::time::Instant;

#[repr(C)]
struct CChain {
    params: *const f64,
    activations: *const u8,
    frozen: *const u8,
    layers: usize,
}

#[repr(C)]
struct CExamples {
    x: *const f64,
    y: *const f64,
    weight: *const f64,
    n: usize,
}

#[repr(C)]
struct Loss {
    kind: c_int,
    scale: f64,
}

#[repr(C)]
struct FitOptions {
    size: usize,
    loss: Loss,
    lower: *const f64,
    upper: *const f64,
    max_iterations: usize,
    tolerance: f64,
    progress: Option<extern "C" fn(*mut c_void, *const FitInfo) -> c_int>,
    user: *mut c_void,
    history: *mut f64,
    history_len: usize,
    restarts: usize,
    seed: c_ulonglong,
    method: c_int,
    learning_rate: f64,
    momentum: f64,
    batch_size: usize,
}

#[repr(C)]
struct FitInfo {
    outcome: c_int,
    iterations: usize,
    evaluations: usize,
    loss: f64,
    gradient_norm: f64,
    params: *const f64,
}

#[repr(C)]
struct CurveResult {
    natural: *mut f64,
    params: *mut f64,
    covariance: *mut f64,
    determined: *mut c_uchar,
    triangle: *mut f64,
    variance: f64,
    loss: f64,
    df: f64,
    examples: f64,
    weight: f64,
    log_weight: f64,
    rss: f64,
    total_squares: f64,
    outcome: c_int,
    iterations: usize,
    evaluations: usize,
    fixed_at: usize,
    status: c_int,
}

// None is C's null.
#[rustfmt::skip]
extern "C" {
    fn cbp_status_string(status: c_int) -> *const c_char;
    fn cbp_forward(chain: &CChain, x: *const f64, n: usize, out: *mut f64) -> c_int;
    fn cbp_work_len(layers: usize, n: usize) -> usize;
    fn cbp_gradient(chain: &CChain, examples: &CExamples, loss: Option<&Loss>, work: *mut f64,
                    mean: Option<&mut f64>, gradient: *mut f64) -> c_int;
    fn cbp_fit_defaults(options: *mut FitOptions) -> c_int;
    fn cbp_fit_work_len(layers: usize, free: usize, n: usize) -> usize;
    fn cbp_fit_lm(chain: &CChain, examples: &CExamples, options: &FitOptions, work: *mut f64,
                  params: *mut f64, info: *mut FitInfo) -> c_int;
    fn cbp_curve_named(name: *const c_char) -> *const c_void;
    fn cbp_curve_fit_work_len(n: usize) -> usize;
    fn cbp_curve_fit(curve: *const c_void, examples: &CExamples, fixed: *const f64,
                     options: &FitOptions, work: *mut f64, result: *mut CurveResult) -> c_int;
}

/// A status of the core's that is not 0.
struct Error(c_int);

impl std::fmt::Debug for Error {
    fn fmt(&self, to: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(to, "{}", unsafe { CStr::from_ptr(cbp_status_string(self.0)) }.to_string_lossy())
    }
}

type Result<T> = std::result::Result<T, Error>;

fn check(status: c_int) -> Result<()> {
    if status == 0 { Ok(()) } else { Err(Error(status)) }
}

struct Chain {
    params: Vec<f64>,
    activations: Vec<u8>,
    frozen: Vec<u8>,
}

fn examples(x: &[f64], y: &[f64]) -> CExamples {
    assert!(x.len() == y.len());
    CExamples { x: x.as_ptr(), y: y.as_ptr(), weight: null(), n: x.len() }
}

impl Chain {
    fn view(&self) -> CChain {
        let layers = self.activations.len();
        assert!(self.params.len() == 2 * layers && self.frozen.len() == 2 * layers);
        CChain {
            params: self.params.as_ptr(),
            activations: self.activations.as_ptr(),
            frozen: self.frozen.as_ptr(),
            layers,
        }
    }

    fn forward(&self, x: &[f64]) -> Result<Vec<f64>> {
        let mut out = vec![0.0; x.len()];
        check(unsafe { cbp_forward(&self.view(), x.as_ptr(), x.len(), out.as_mut_ptr()) })?;
        Ok(out)
    }

    /// Into `out`, so that a loop allocates nothing; `work` has `cbp_work_len` numbers.
    fn gradient(&self, x: &[f64], y: &[f64], work: &mut [f64], out: &mut [f64]) -> Result<()> {
        assert!(out.len() == self.params.len());
        let (work, out) = (work.as_mut_ptr(), out.as_mut_ptr());
        check(unsafe { cbp_gradient(&self.view(), &examples(x, y), None, work, None, out) })
    }

    fn fit(&mut self, x: &[f64], y: &[f64]) -> Result<usize> {
        let (chain, examples) = (self.view(), examples(x, y));
        unsafe {
            let mut options: FitOptions = std::mem::zeroed();
            let mut info: FitInfo = std::mem::zeroed();
            let mut work = vec![0.0; cbp_fit_work_len(chain.layers, 2 * chain.layers, x.len())];
            let params = self.params.as_mut_ptr();
            check(cbp_fit_defaults(&mut options))?;
            check(cbp_fit_lm(&chain, &examples, &options, work.as_mut_ptr(), params, &mut info))?;
            Ok(info.iterations)
        }
    }
}

/// Bottom, top, ec50 and slope, their standard errors, and the residual sum of squares.
struct Logistic4 {
    natural: [f64; 4],
    errors: [f64; 4],
    rss: f64,
}

impl Logistic4 {
    /// No start is needed.
    fn fit(x: &[f64], y: &[f64]) -> Result<Logistic4> {
        let (mut natural, mut params, mut covariance) = ([0.0; 4], [0.0; 6], [[0.0; 4]; 4]);
        let (mut determined, mut triangle) = ([0; 4], [0.0; 25]);
        let result = unsafe {
            let mut options: FitOptions = std::mem::zeroed();
            let mut result: CurveResult = std::mem::zeroed();
            result.natural = natural.as_mut_ptr();
            result.params = params.as_mut_ptr();
            result.covariance = covariance.as_mut_ptr().cast();
            result.determined = determined.as_mut_ptr();
            result.triangle = triangle.as_mut_ptr();
            let mut work = vec![0.0; cbp_curve_fit_work_len(x.len())];
            let curve = cbp_curve_named(b"logistic4\0".as_ptr().cast());
            let (examples, work) = (examples(x, y), work.as_mut_ptr());
            check(cbp_fit_defaults(&mut options))?;
            check(cbp_curve_fit(curve, &examples, null(), &options, work, &mut result))?;
            result
        };
        // the covariance has log(ec50)
        let scale = [1.0, 1.0, natural[2], 1.0];
        let errors = std::array::from_fn(|k| (covariance[k][k] * scale[k] * scale[k]).sqrt());
        Ok(Logistic4 { natural, errors, rss: result.rss })
    }
}

fn print(what: &str, of: &[f64]) {
    let words: Vec<String> = of.iter().map(|number| format!(" {number:e}")).collect();
    println!("{what}{}", words.concat());
}

fn main() -> Result<()> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).expect("text on standard input");
    let mut words = text.split_whitespace().map(|word| word.parse::<f64>().unwrap());
    let mut read = |n: usize| words.by_ref().take(n).collect::<Vec<f64>>();
    let bytes = |of: Vec<f64>| of.into_iter().map(|number| number as u8).collect::<Vec<u8>>();

    while let [layers, n, fit, curve, repeats] = read(5)[..] {
        let (layers, n) = (layers as usize, n as usize);
        let (activations, frozen) = (bytes(read(layers)), bytes(read(2 * layers)));
        let mut chain = Chain { params: read(2 * layers), activations, frozen };
        let (x, y) = (read(n), read(n));
        let mut work = vec![0.0; unsafe { cbp_work_len(layers, n) }];
        let mut gradient = vec![0.0; 2 * layers];

        print("forward", &chain.forward(&x)?);
        chain.gradient(&x, &y, &mut work, &mut gradient)?;
        print("gradient", &gradient);
        if fit > 0.0 {
            println!("iterations {}", chain.fit(&x, &y)?);
            print("fit", &chain.params);
        }
        if curve > 0.0 {
            let found = Logistic4::fit(&x, &y)?;
            print("natural", &found.natural);
            print("errors", &found.errors);
            print("rss", &[found.rss]);
        }
        if repeats > 0.0 {
            let start = Instant::now();
            for _ in 0..repeats as usize {
                chain.gradient(&x[..1], &y[..1], &mut work, &mut gradient)?;
            }
            println!("ns {}", start.elapsed().as_nanos() as f64 / repeats);
        }
    }
    Ok(())
}
