// Chains read from standard input, and a fit of a named curve; ../README.md has the format.
// The core is WebAssembly without imports; a page loads it by WebAssembly.instantiateStreaming in
// the same way.
import { readFileSync } from "node:fs";

const { instance } = await WebAssembly.instantiate(readFileSync(process.argv[2]), {});
const core = instance.exports;

// Memory of the core's: from the end of its own on, given back all at once.
let next = core.__heap_base.value;

function allocate(bytes) {
  const at = next;
  next += Math.ceil(bytes / 16) * 16;
  if (next > core.memory.buffer.byteLength) {
    core.memory.grow(Math.ceil((next - core.memory.buffer.byteLength) / 65536));
  }
  return at;
}

// Views are made anew for each use: memory that has grown is another buffer.
const doubles = (at, n) => new Float64Array(core.memory.buffer, at, n);

function copy(numbers, View = Float64Array) {
  const at = allocate(numbers.length * View.BYTES_PER_ELEMENT);
  new View(core.memory.buffer, at, numbers.length).set(numbers);
  return at;
}

function check(status) {
  if (status !== 0) {
    const text = new Uint8Array(core.memory.buffer, core.cbp_status_string(status));
    throw new Error(new TextDecoder().decode(text.subarray(0, text.indexOf(0))));
  }
}

// Structs are laid out by hand, field after field as the header has them: in wasm32 an address and
// a size_t are 32 bits, a double 64, aligned to 64.
const struct = (...fields) => copy(fields, Uint32Array);
const examples = (x, y, n) => struct(x, y, 0, n); // of addresses

class Chain {
  constructor(params, activations, frozen) {
    this.layers = activations.length;
    this.paramsAt = copy(params);
    this.at = struct(
      this.paramsAt, copy(activations, Uint8Array), copy(frozen, Uint8Array), this.layers,
    );
  }

  get params() {
    return doubles(this.paramsAt, 2 * this.layers);
  }

  forward(x) {
    const out = allocate(8 * x.length);
    check(core.cbp_forward(this.at, copy(x), x.length, out));
    return doubles(out, x.length);
  }

  // Addresses in, addresses out, so that a loop allocates nothing.
  gradientAt(examples, work, out) {
    check(core.cbp_gradient(this.at, examples, 0, work, 0, out));
  }

  fitAt(examples, n) {
    const options = allocate(256), info = allocate(256); // more than these structs need
    const work = allocate(8 * core.cbp_fit_work_len(this.layers, 2 * this.layers, n));
    check(core.cbp_fit_defaults(options));
    check(core.cbp_fit_lm(this.at, examples, options, work, this.paramsAt, info));
    return new Uint32Array(core.memory.buffer, info)[1]; // iterations, behind the outcome
  }
}

// Fits bottom, top, ec50 and slope of "logistic4"; no start is needed.
function fitCurve(examples, n) {
  const options = allocate(256), result = allocate(256); // more than these structs need
  const natural = allocate(8 * 4), covariance = allocate(8 * 16);
  const arrays = [natural, allocate(8 * 6), covariance, allocate(4), allocate(8 * 25)];
  const curve = core.cbp_curve_named(copy(new TextEncoder().encode("logistic4\0"), Uint8Array));
  const work = allocate(8 * core.cbp_curve_fit_work_len(n));
  new Uint32Array(core.memory.buffer, result).set(arrays);
  check(core.cbp_fit_defaults(options));
  check(core.cbp_curve_fit(curve, examples, 0, options, work, result));
  const found = doubles(natural, 4), variances = doubles(covariance, 16);
  const errors = Array.from(found, (of, k) => {
    const scale = k === 2 ? of : 1; // the covariance has log(ec50)
    return Math.sqrt(variances[5 * k] * scale * scale);
  });
  return { natural: found, errors, rss: doubles(result, 10)[9] }; // the 7th behind the addresses
}

const words = readFileSync(0, "latin1").split(/\s+/).filter(Boolean).map(Number);
const read = (n) => words.splice(0, n);
const print = (what, numbers) => console.log(what, Array.from(numbers, String).join(" "));

while (words.length > 0) {
  const start = next;
  const [layers, n, fit, curve, repeats] = read(5);
  const activations = read(layers), frozen = read(2 * layers);
  const chain = new Chain(read(2 * layers), activations, frozen);
  const x = read(n), y = read(n);

  print("forward", chain.forward(x));
  const work = allocate(8 * core.cbp_work_len(layers, n)), gradient = allocate(16 * layers);
  const xAt = copy(x), yAt = copy(y), all = examples(xAt, yAt, n);
  chain.gradientAt(all, work, gradient);
  print("gradient", doubles(gradient, 2 * layers));
  if (fit) {
    console.log("iterations", chain.fitAt(all, n));
    print("fit", chain.params);
  }
  if (curve) {
    const { natural, errors, rss } = fitCurve(all, n);
    print("natural", natural);
    print("errors", errors);
    print("rss", [rss]);
  }
  if (repeats) {
    const first = examples(xAt, yAt, 1);
    const began = process.hrtime.bigint();
    for (let i = 0; i < repeats; i++) {
      chain.gradientAt(first, work, gradient);
    }
    console.log("ns", Number(process.hrtime.bigint() - began) / repeats);
  }
  next = start;
}
