-- Forward pass, gradient and fit of chains read from standard input; ../README.md has the format.
local ffi = require "ffi"

ffi.cdef [[
typedef struct cbp_chain {
    const double *params;
    const unsigned char *activations, *frozen;
    size_t layers;
} cbp_chain;
typedef struct cbp_examples {
    const double *x, *y, *weight;
    size_t n;
} cbp_examples;
typedef struct cbp_loss {
    int kind;
    double scale;
} cbp_loss;
typedef struct cbp_fit_info {
    int outcome;
    size_t iterations, evaluations;
    double loss, gradient_norm;
    const double *params;
} cbp_fit_info;
typedef struct cbp_fit_options {
    size_t size;
    cbp_loss loss;
    const double *lower, *upper;
    size_t max_iterations;
    double tolerance;
    int (*progress)(void *user, const cbp_fit_info *info);
    void *user;
    double *history;
    size_t history_len, restarts;
    unsigned long long seed;
    int method;
    double learning_rate, momentum;
    size_t batch_size;
} cbp_fit_options;
const char *cbp_status_string(int status);
int cbp_forward(const cbp_chain *chain, const double *x, size_t n, double *out);
size_t cbp_work_len(size_t layers, size_t n);
int cbp_gradient(const cbp_chain *chain, const cbp_examples *examples, const cbp_loss *loss,
                 double *work, double *mean, double *gradient);
int cbp_fit_defaults(cbp_fit_options *options);
size_t cbp_fit_work_len(size_t layers, size_t free, size_t n);
int cbp_fit_lm(const cbp_chain *chain, const cbp_examples *examples,
               const cbp_fit_options *options, double *work, double *params, cbp_fit_info *info);
]]
local core = ffi.load("cbackprop")

local function check(status)
  if status ~= 0 then error(ffi.string(core.cbp_status_string(status)), 2) end
end

-- A struct, kept in the table of its fields: by itself it does not keep its arrays alive.
local function struct(kind, fields)
  fields.struct = ffi.new(kind, fields)
  return fields
end

local function numbers(n) return ffi.new("double[?]", n) end

-- The next n numbers of the input, or nil at its end.
local words = io.read("*a"):gmatch("%S+")
local function read(n, kind)
  local out = ffi.new(kind or "double[?]", n)
  for i = 0, n - 1 do
    local word = words()
    if not word then return nil end
    out[i] = tonumber(word)
  end
  return out
end

local function print_numbers(what, of, n)
  local out = {what}
  for i = 0, n - 1 do out[#out + 1] = string.format("%.17g", of[i]) end
  print(table.concat(out, " "))
end

while true do
  local head = read(4)
  if not head then break end
  local layers, n, fit, repeats = head[0], head[1], head[2] ~= 0, head[3]
  local bytes = "unsigned char[?]"
  local chain = struct("cbp_chain", {
    activations = read(layers, bytes), frozen = read(2 * layers, bytes), params = read(2 * layers),
    layers = layers,
  })
  local examples = struct("cbp_examples", {x = read(n), y = read(n), n = n})
  local out, gradient = numbers(n), numbers(2 * layers)
  local work = numbers(core.cbp_work_len(layers, n))

  check(core.cbp_forward(chain.struct, examples.x, n, out))
  print_numbers("forward", out, n)
  check(core.cbp_gradient(chain.struct, examples.struct, nil, work, nil, gradient))
  print_numbers("gradient", gradient, 2 * layers)

  if fit then
    local options, info = ffi.new("cbp_fit_options"), ffi.new("cbp_fit_info")
    local fit_work = numbers(core.cbp_fit_work_len(layers, 2 * layers, n))
    check(core.cbp_fit_defaults(options))
    check(core.cbp_fit_lm(chain.struct, examples.struct, options, fit_work, chain.params, info))
    print("iterations " .. tonumber(info.iterations))
    print_numbers("fit", chain.params, 2 * layers)
  end
  if repeats > 0 then
    examples.struct.n = 1
    local start = os.clock()
    for _ = 1, repeats do
      check(core.cbp_gradient(chain.struct, examples.struct, nil, work, nil, gradient))
    end
    print("ns " .. (os.clock() - start) * 1e9 / repeats)
  end
end
