//! Forward pass, gradient and fit of chains read from standard input; ../README.md has the format.

use std::ffi::{c_void, CStr};
use std::io::Read;
use std::os::raw::{c_char, c_int, c_ulonglong};
use std::ptr::{null, null_mut};
use std::time::Instant;

#[repr(C)]
struct FitOptions {
    size: usize,
    loss: c_int,
    scale: f64,
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

#[rustfmt::skip]
extern "C" {
    fn cbp_status_string(status: c_int) -> *const c_char;
    fn cbp_forward(params: *const f64, activations: *const u8, x: *const f64, layers: usize, n: usize, out: *mut f64) -> c_int;
    fn cbp_work_len(layers: usize, n: usize) -> usize;
    fn cbp_gradient(params: *const f64, activations: *const u8, x: *const f64, y: *const f64, weight: *const f64,
                    layers: usize, n: usize, loss: c_int, scale: f64, work: *mut f64, mean: *mut f64, gradient: *mut f64) -> c_int;
    fn cbp_fit_defaults(options: *mut FitOptions) -> c_int;
    fn cbp_fit_work_len(layers: usize, free: usize, n: usize) -> usize;
    fn cbp_fit_lm(activations: *const u8, frozen: *const u8, lower: *const f64, upper: *const f64, x: *const f64,
                  y: *const f64, weight: *const f64, layers: usize, n: usize, options: *const FitOptions,
                  work: *mut f64, params: *mut f64, info: *mut FitInfo) -> c_int;
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

impl Chain {
    fn forward(&self, x: &[f64]) -> Result<Vec<f64>> {
        let mut out = vec![0.0; x.len()];
        let layers = self.activations.len();
        check(unsafe {
            cbp_forward(self.params.as_ptr(), self.activations.as_ptr(), x.as_ptr(), layers, x.len(), out.as_mut_ptr())
        })?;
        Ok(out)
    }

    /// Into `out`, so that a loop allocates nothing; `work` has `cbp_work_len` numbers.
    fn gradient(&self, x: &[f64], y: &[f64], work: &mut [f64], out: &mut [f64]) -> Result<()> {
        let layers = self.activations.len();
        assert!(x.len() == y.len() && out.len() == 2 * layers);
        check(unsafe {
            cbp_gradient(
                self.params.as_ptr(), self.activations.as_ptr(), x.as_ptr(), y.as_ptr(), null(), layers, x.len(), 0,
                1.0, work.as_mut_ptr(), null_mut(), out.as_mut_ptr(),
            )
        })
    }

    fn fit(&mut self, x: &[f64], y: &[f64]) -> Result<usize> {
        let layers = self.activations.len();
        unsafe {
            let mut options: FitOptions = std::mem::zeroed();
            let mut info: FitInfo = std::mem::zeroed();
            let mut work = vec![0.0; cbp_fit_work_len(layers, 2 * layers, x.len())];
            check(cbp_fit_defaults(&mut options))?;
            check(cbp_fit_lm(
                self.activations.as_ptr(), self.frozen.as_ptr(), null(), null(), x.as_ptr(), y.as_ptr(), null(),
                layers, x.len(), &options, work.as_mut_ptr(), self.params.as_mut_ptr(), &mut info,
            ))?;
            Ok(info.iterations)
        }
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

    while let [layers, n, fit, repeats] = read(4).iter().map(|&number| number as usize).collect::<Vec<_>>()[..] {
        let (activations, frozen) = (bytes(read(layers)), bytes(read(2 * layers)));
        let mut chain = Chain { params: read(2 * layers), activations, frozen };
        let (x, y) = (read(n), read(n));
        let mut work = vec![0.0; unsafe { cbp_work_len(layers, n) }];
        let mut gradient = vec![0.0; 2 * layers];

        print("forward", &chain.forward(&x)?);
        chain.gradient(&x, &y, &mut work, &mut gradient)?;
        print("gradient", &gradient);
        if fit > 0 {
            println!("iterations {}", chain.fit(&x, &y)?);
            print("fit", &chain.params);
        }
        if repeats > 0 {
            let start = Instant::now();
            for _ in 0..repeats {
                chain.gradient(&x[..1], &y[..1], &mut work, &mut gradient)?;
            }
            println!("ns {}", start.elapsed().as_nanos() as f64 / repeats as f64);
        }
    }
    Ok(())
}
