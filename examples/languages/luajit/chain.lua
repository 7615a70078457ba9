-- Forward pass, gradient and fit of chains read from standard input; ../README.md has the format.
local ffi = require "ffi"

ffi.cdef [[
typedef struct cbp_fit_info {
    int outcome;
    size_t iterations, evaluations;
    double loss, gradient_norm;
    const double *params;
} cbp_fit_info;
typedef struct cbp_fit_options {
    size_t size;
    int loss;
    double scale;
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
int cbp_forward(const double *params, const unsigned char *activations, const double *x, size_t layers, size_t n,
                double *out);
size_t cbp_work_len(size_t layers, size_t n);
int cbp_gradient(const double *params, const unsigned char *activations, const double *x, const double *y,
                 const double *weight, size_t layers, size_t n, int loss, double scale, double *work, double *mean,
                 double *gradient);
int cbp_fit_defaults(cbp_fit_options *options);
size_t cbp_fit_work_len(size_t layers, size_t free, size_t n);
int cbp_fit_lm(const unsigned char *activations, const unsigned char *frozen, const double *lower,
               const double *upper, const double *x, const double *y, const double *weight, size_t layers, size_t n,
               const cbp_fit_options *options, double *work, double *params, cbp_fit_info *info);
]]
local core = ffi.load("cbackprop")

local function check(status)
  if status ~= 0 then error(ffi.string(core.cbp_status_string(status)), 2) end
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
  local activations, frozen = read(layers, "unsigned char[?]"), read(2 * layers, "unsigned char[?]")
  local params, x, y = read(2 * layers), read(n), read(n)
  local out, gradient = numbers(n), numbers(2 * layers)
  local work = numbers(core.cbp_work_len(layers, n))

  check(core.cbp_forward(params, activations, x, layers, n, out))
  print_numbers("forward", out, n)
  check(core.cbp_gradient(params, activations, x, y, nil, layers, n, 0, 1, work, nil, gradient))
  print_numbers("gradient", gradient, 2 * layers)

  if fit then
    local options, info = ffi.new("cbp_fit_options"), ffi.new("cbp_fit_info")
    check(core.cbp_fit_defaults(options))
    check(core.cbp_fit_lm(activations, frozen, nil, nil, x, y, nil, layers, n, options,
                          numbers(core.cbp_fit_work_len(layers, 2 * layers, n)), params, info))
    print("iterations " .. tonumber(info.iterations))
    print_numbers("fit", params, 2 * layers)
  end
  if repeats > 0 then
    local start = os.clock()
    for _ = 1, repeats do
      check(core.cbp_gradient(params, activations, x, y, nil, layers, 1, 0, 1, work, nil, gradient))
    end
    print("ns " .. (os.clock() - start) * 1e9 / repeats)
  end
end
