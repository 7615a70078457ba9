-- Chains read from standard input, and a fit of a named curve; ../README.md has the format.
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
typedef struct cbp_curve cbp_curve;
typedef struct cbp_curve_result {
    double *natural, *params, *covariance;
    unsigned char *determined;
    double *triangle;
    double variance, loss, df, examples, weight, log_weight, rss, total_squares;
    int outcome;
    size_t iterations, evaluations, fixed_at;
    int status;
} cbp_curve_result;
const char *cbp_status_string(int status);
int cbp_forward(const cbp_chain *chain, const double *x, size_t n, double *out);
size_t cbp_work_len(size_t layers, size_t n);
int cbp_gradient(const cbp_chain *chain, const cbp_examples *examples, const cbp_loss *loss,
                 double *work, double *mean, double *gradient);
int cbp_fit_defaults(cbp_fit_options *options);
size_t cbp_fit_work_len(size_t layers, size_t free, size_t n);
int cbp_fit_lm(const cbp_chain *chain, const cbp_examples *examples,
               const cbp_fit_options *options, double *work, double *params, cbp_fit_info *info);
const cbp_curve *cbp_curve_named(const char *name);
size_t cbp_curve_fit_work_len(size_t n);
int cbp_curve_fit(const cbp_curve *curve, const cbp_examples *examples, const double *fixed,
                  const cbp_fit_options *options, double *work, cbp_curve_result *result);
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

-- Fits bottom, top, ec50 and slope of "logistic4"; no start is needed.
local function fit_curve(examples)
  local result = struct("cbp_curve_result", {
    natural = numbers(4), params = numbers(6), covariance = numbers(4 * 4),
    determined = ffi.new("unsigned char[4]"), triangle = numbers(5 * 5),
  })
  local options = ffi.new("cbp_fit_options")
  local work = numbers(core.cbp_curve_fit_work_len(examples.n))
  check(core.cbp_fit_defaults(options))
  check(core.cbp_curve_fit(core.cbp_curve_named("logistic4"), examples.struct, nil, options, work,
    result.struct))
  result.errors = numbers(4)
  for k = 0, 3 do
    local scale = k == 2 and result.natural[k] or 1 -- the covariance has log(ec50)
    result.errors[k] = math.sqrt(result.covariance[k * 4 + k] * scale * scale)
  end
  result.rss = result.struct.rss
  return result
end

while true do
  local head = read(5)
  if not head then break end
  local layers, n, fit, curve, repeats = head[0], head[1], head[2] ~= 0, head[3] ~= 0, head[4]
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
  if curve then
    local found = fit_curve(examples)
    print_numbers("natural", found.natural, 4)
    print_numbers("errors", found.errors, 4)
    print_numbers("rss", {[0] = found.rss}, 1)
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
