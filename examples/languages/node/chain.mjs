// Forward pass, gradient and fit of chains read from standard input; ../README.md has the format.
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

const words = readFileSync(0, "latin1").split(/\s+/).filter(Boolean).map(Number);
const read = (n) => words.splice(0, n);
const print = (what, numbers) => console.log(what, Array.from(numbers, String).join(" "));

while (words.length > 0) {
  const start = next;
  const [layers, n, fit, repeats] = read(4);
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
