/* cbackprop: exact passes of scalar chain networks. The only public header; nothing else is needed
 * to use the core.
 *
 * A chain of L layers, one unit each:   z_l = w_l a_(l-1) + b_l,   a_l = act_l(z_l),   a_0 = x.
 *
 * Every function below
 *   - takes its inputs as plain structs that the caller owns and it only reads: cbp_chain,
 *     cbp_examples, cbp_loss (a null pointer to one is CBP_ERROR_NULL, but for cbp_loss);
 *   - returns CBP_OK or a negative enum cbp_status; on failure no output has been written;
 *   - keeps no state, allocates nothing, never touches errno: any number of threads may call it at
 *     once;
 *   - takes outputs that do not overlap inputs, unless it says otherwise;
 *   - gives NaN for NaN, for that example alone, and treats a product of 0 and infinity on the way
 *     back as 0.
 * The result for one example is the same, bit for bit, alone and among others.
 */
#ifndef CBACKPROP_H
#define CBACKPROP_H

#include <stddef.h>

#define CBP_VERSION_MAJOR 0
#define CBP_VERSION_MINOR 1
#define CBP_VERSION_PATCH 0
#define CBP_VERSION "0.1.0"

/* Defined empty, by who compiles the core into something of his own, it keeps the functions to
 * himself. */
#if defined(CBP_API)
#elif defined(_WIN32) && defined(CBP_BUILD_SHARED)
#define CBP_API __declspec(dllexport)
#elif defined(_WIN32) && defined(CBP_USE_SHARED)
#define CBP_API __declspec(dllimport)
#elif defined(__GNUC__) || defined(__clang__)
#define CBP_API __attribute__((visibility("default")))
#else
#define CBP_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* The working number: double, or float when the core and its caller are compiled with
 * -DCBP_SINGLE. */
#ifdef CBP_SINGLE
typedef float cbp_real;
#else
typedef double cbp_real;
#endif

/* Part of the ABI and of model files: codes are never renumbered. */
enum cbp_activation {
    CBP_IDENTITY = 0,
    CBP_SIGMOID = 1,
    CBP_TANH = 2,
    CBP_RELU = 3,
    CBP_LEAKY_RELU = 4, /* z, or 0.01 z below 0 */
    CBP_ELU = 5,        /* z, or exp(z) - 1 below 0 */
    CBP_SOFTPLUS = 6,
    CBP_SILU = 7,
    CBP_GELU = 8, /* z Phi(z), exact */
    CBP_SOFTSIGN = 9,
    CBP_ARCTAN = 10,
    CBP_EXP = 11,
    CBP_EXPM1 = 12,
    CBP_LOG = 13,
    CBP_LOG1P = 14,
    CBP_RECIPROCAL = 15,
    CBP_SQUARE = 16,
    CBP_SQRT = 17,
    CBP_GAUSSIAN = 18, /* exp(-z^2/2) */
    CBP_LOG_SIGMOID = 19,
    CBP_NORMAL_CDF = 20,
    /* accurate for |z| <= 2^20 (single: 2^13); beyond, only -1 <= sin <= 1 is promised */
    CBP_SIN = 21,
    CBP_ACTIVATION_END
};

/* The loss E of one example, with r = a_L - y and a scale s: of the robust ones s > 0, and they
 * tend to r^2 for |r| << s; of CBP_POWER and CBP_BOX_COX an exponent, any finite number. Codes are
 * never renumbered. */
enum cbp_loss_kind {
    CBP_SQUARED = 0, /* r^2 */
    CBP_LOG_LOSS,    /* -y log a - (1 - y) log(1 - a), from z of a final sigmoid; 0 <= y <= 1 */
    CBP_HUBER,       /* robust: r^2 while |r| <= s, then 2 s |r| - s^2 */
    CBP_SOFT_L1,     /* robust: 2 s^2 (sqrt(1 + (r/s)^2) - 1) */
    CBP_CAUCHY,      /* robust: s^2 log(1 + (r/s)^2) */
    /* the deviance 2 (y log(y/a) - (y - a)) of a count, NaN unless a > 0; y >= 0, finite */
    CBP_POISSON,
    /* the deviance 2 (y log(y/a) + (1 - y) log((1 - y)/(1 - a))) of a proportion, whose weight is
     * the number of trials; NaN unless 0 <= a <= 1; 0 <= y <= 1 */
    CBP_BINOMIAL,
    /* errors with a standard deviation in proportion to a^s, by their quasi-likelihood: twice the
     * integral of (t - y) t^(-2s) from y to a; NaN unless a >= 0; y >= 0, y > 0 for s >= 1 */
    CBP_POWER,
    /* Box and Cox's transform of both sides: (h(a) - h(y))^2, h(v) = (v^s - 1)/s, or log(v) for
     * s = 0; NaN unless a >= 0; y >= 0, y > 0 for s <= 0 */
    CBP_BOX_COX,
    CBP_LOSS_END
};

enum cbp_status {
    CBP_OK = 0,
    CBP_ERROR_NULL = -1,       /* a required pointer is null */
    CBP_ERROR_LAYERS = -2,     /* no layer, or more than memory can address */
    CBP_ERROR_ACTIVATION = -3, /* a code outside enum cbp_activation */
    CBP_ERROR_EMPTY = -4,      /* an average over no example */
    CBP_ERROR_LOSS = -5,       /* a code outside enum cbp_loss_kind */
    CBP_ERROR_SCALE = -6,      /* a loss scale that is not positive and finite */
    CBP_ERROR_NO_SIGMOID = -7, /* a loss of a final sigmoid, on another chain */
    CBP_ERROR_TARGET = -8,     /* a target that the loss does not take */
    /* an example weight that is negative or NaN, or weights of no sum to divide by */
    CBP_ERROR_WEIGHT = -9,
    CBP_ERROR_NOT_INVERTIBLE = -10, /* a layer with w = 0 or an activation that is not one-to-one */
    CBP_ERROR_LEARNING_RATE = -11,  /* a learning rate that is not finite */
    CBP_ERROR_NOT_FINITE = -12,     /* a gradient that is not finite, so that no step was made */
    CBP_ERROR_KERNEL = -13,         /* a kernel level that this processor or build does not have */
    CBP_ERROR_OPTION = -14,         /* an option out of its range, or options of an unknown size */
    CBP_ERROR_NO_FREE = -15,        /* every parameter is frozen: nothing to fit */
    CBP_ERROR_FEW_EXAMPLES = -16,   /* fewer examples of positive weight than free parameters */
    CBP_ERROR_BOUNDS = -17,         /* a lower bound above its upper one, or NaN */
    CBP_ERROR_START = -18,          /* a start outside its bounds or not finite */
    /* a loss at the start, or a sum of squared targets, that is not finite */
    CBP_ERROR_START_LOSS = -19,
    CBP_ERROR_DATA = -20, /* an example that is NaN or infinite */
    /* a node that does not follow those before it, or for which there is no room */
    CBP_ERROR_NODE = -21,
    /* no curve: a null pointer, as for a name that is none, or one not filled as it must be */
    CBP_ERROR_CURVE = -22,
    CBP_ERROR_DOMAIN = -23, /* an input where the curve is not defined */
    CBP_ERROR_LIMIT = -24,  /* a curve without a finite limit where one is needed */
    CBP_STATUS_END = -25
};

/* ---- what the functions are given ------------------------------------------------------------ */

/* A chain of L layers. */
typedef struct cbp_chain {
    /* [2L]: w1, b1, w2, b2, ..., wL, bL; for m chains of one kind [m][2L] */
    const cbp_real *params;
    const unsigned char *activations; /* [L], each of enum cbp_activation */
    /* [2L] or null (none): not 0 for a parameter that steps and fits leave as it is; besides them
     * only cbp_sharpness reads it */
    const unsigned char *frozen;
    size_t layers; /* L, at least 1 */
} cbp_chain;

/* Examples: x[n], y[n], and weight[n] or null (all 1). */
typedef struct cbp_examples {
    const cbp_real *x, *y, *weight;
    size_t n;
} cbp_examples;

/* m sets of n examples: set i has y[n] at y + i n, x[n] at x + i x_step, and weight[n], unless that
 * is null, at weight + i weight_step. Steps are counted in numbers: n for rows of each set's own, 0
 * where all sets have the same ones. */
typedef struct cbp_example_sets {
    const cbp_real *x, *y, *weight;
    size_t n, m, x_step, weight_step;
} cbp_example_sets;

/* Which loss (enum cbp_loss_kind), and its scale. A null pointer to it is the squared loss. */
typedef struct cbp_loss {
    int kind;
    cbp_real scale;
} cbp_loss;

/* CBP_VERSION of the library that runs. */
CBP_API const char *cbp_version(void);

/* One sentence for any status; for a number that is no status, a sentence that says so. Never
 * null. */
CBP_API const char *cbp_status_string(int status);

/* ---- activations ----------------------------------------------------------------------------- */

/* Where an activation is defined and what it reaches; the ends are limits and may be infinite. */
typedef struct cbp_activation_facts {
    const char *name;
    cbp_real domain_low, domain_high;
    cbp_real range_low, range_high;
    int one_to_one; /* 1 if cbp_inverse can pass through it */
    int has_kink;   /* 1 if its slope jumps somewhere */
} cbp_activation_facts;

/* Facts of one activation. Fails with CBP_ERROR_ACTIVATION, CBP_ERROR_NULL. */
CBP_API int cbp_activation_describe(int activation, cbp_activation_facts *facts);

/* Value, slope and second derivative of one activation at z[0..n). Outputs may be null when not
 * wanted; each may be z itself. Outside the domain all three are NaN. Error bounds (double): value
 * 2.5 ulp, slope 4 ulp, second 8 ulp. Fails with CBP_ERROR_ACTIVATION, CBP_ERROR_NULL. */
CBP_API int cbp_activation_values(int activation, const cbp_real *z, size_t n, cbp_real *value,
                                  cbp_real *slope, cbp_real *second);

/* ---- losses ---------------------------------------------------------------------------------- */

/* What a loss takes, and what a fit with it means. */
typedef struct cbp_loss_facts {
    const char *name;
    cbp_real target_low, target_high; /* a target beyond them is CBP_ERROR_TARGET */
    /* 0: the variance of the errors is estimated. Else the distribution tells it: E is 2 dispersion
     * times the negative log-likelihood, but for what the target alone gives, and the covariance is
     * dispersion over half the curvature of the summed loss */
    cbp_real dispersion;
    int has_scale;     /* 1 if it reads the scale, 2 if that is an exponent of any sign */
    int is_robust;     /* 1 if it hardly sees how far off an outlier is */
    int needs_sigmoid; /* 1 if it is a loss of z of a final sigmoid */
} cbp_loss_facts;

/* Facts of one loss. Fails with CBP_ERROR_LOSS, CBP_ERROR_NULL. */
CBP_API int cbp_loss_describe(int kind, cbp_loss_facts *facts);

/* ---- one value for each example -------------------------------------------------------------- */
/* Shapes: x[n] and out[n]; n may be 0; out may be x itself.
 * Fail with CBP_ERROR_NULL, CBP_ERROR_LAYERS, CBP_ERROR_ACTIVATION. */

/* out[i] = a_L of x[i]. */
CBP_API int cbp_forward(const cbp_chain *chain, const cbp_real *x, size_t n, cbp_real *out);

/* out[i] = d a_L / d a_0 at x[i]. */
CBP_API int cbp_slope(const cbp_chain *chain, const cbp_real *x, size_t n, cbp_real *out);

/* out[i] = the input whose output is y[i], layer by layer from the last; NaN where no input gives
 * y[i]. Fails with CBP_ERROR_NOT_INVERTIBLE also. */
CBP_API int cbp_inverse(const cbp_chain *chain, const cbp_real *y, size_t n, cbp_real *out);

/* ---- one row for each example ---------------------------------------------------------------- */
/* Shapes: rows[n][2L]; n may be 0. `work` holds cbp_work_len(layers, n) numbers, unread on entry,
 * and may be null when that is 0. Fail with CBP_ERROR_NULL, CBP_ERROR_LAYERS,
 * CBP_ERROR_ACTIVATION. */

/* How many numbers of work memory the functions with a `work` argument need: 0 for one example and
 * up to 32 layers, 6L for one example of more; for several examples about 292 L, however many. */
CBP_API size_t cbp_work_len(size_t layers, size_t n);

/* rows[i] = d a_L / d params at x[i]. */
CBP_API int cbp_jacobian(const cbp_chain *chain, const cbp_real *x, size_t n, cbp_real *work,
                         cbp_real *rows);

/* rows[i] = d E / d params of example i; weights are not read. Fails also with CBP_ERROR_LOSS,
 * CBP_ERROR_SCALE, CBP_ERROR_NO_SIGMOID, CBP_ERROR_TARGET. */
CBP_API int cbp_gradients(const cbp_chain *chain, const cbp_examples *examples,
                          const cbp_loss *loss, cbp_real *work, cbp_real *rows);

/* ---- averages over the examples -------------------------------------------------------------- */
/* n is at least 1. Fail as cbp_gradients, and with CBP_ERROR_EMPTY and CBP_ERROR_WEIGHT. The mean
 * is sum(weight * term) / sum(weight), where the sum of the weights must be finite and at least
 * CBP_LEAST_WEIGHT: products with smaller ones underflow. */
#ifdef CBP_SINGLE
#define CBP_LEAST_WEIGHT 1e-24f
#else
#define CBP_LEAST_WEIGHT 1e-200
#endif

/* Examples are summed in blocks of this many, the blocks one after the other with compensation:
 * batches cut at multiples of it give the same bits as the whole. */
#define CBP_BLOCK 2048

/* Adds to sums[2L+2] the vector [sum weight, sum weight E, sum weight dE/dparams ...] of these
 * examples, and to compensation[2L+2] the rounding errors made on the way: sums + compensation is
 * the total to about twice the working precision. Start both at 0. Vectors of shards are merged, in
 * a fixed order, by cbp_sums_merge. Weights of which all are 0 are no error. `work` holds
 * cbp_work_len(layers, 2) numbers, for one example too. */
CBP_API int cbp_gradient_sums(const cbp_chain *chain, const cbp_examples *examples,
                              const cbp_loss *loss, cbp_real *work, cbp_real *sums,
                              cbp_real *compensation);

/* The same for sums[2] = [sum weight, sum weight E] alone; needs no work memory. */
CBP_API int cbp_loss_sums(const cbp_chain *chain, const cbp_examples *examples,
                          const cbp_loss *loss, cbp_real *sums, cbp_real *compensation);

/* Adds one shard's sums and compensation, each of `len` numbers, to a total. Fails with
 * CBP_ERROR_NULL. */
CBP_API int cbp_sums_merge(const cbp_real *shard_sums, const cbp_real *shard_compensation,
                           size_t len, cbp_real *sums, cbp_real *compensation);

/* mean[len - 1] = sums[1..len) over sums[0], each with its compensation: the loss, then the
 * averaged gradient. `mean` may be `sums`. Fails with CBP_ERROR_NULL, and with CBP_ERROR_WEIGHT if
 * the total weight cannot be divided by. */
CBP_API int cbp_sums_mean(const cbp_real *sums, const cbp_real *compensation, size_t len,
                          cbp_real *mean);

/* *mean = the loss. */
CBP_API int cbp_loss_mean(const cbp_chain *chain, const cbp_examples *examples,
                          const cbp_loss *loss, cbp_real *mean);

/* gradient[2L] = the averaged gradient; *mean = the loss, unless `mean` is null. `gradient` may be
 * the chain's own parameters. */
CBP_API int cbp_gradient(const cbp_chain *chain, const cbp_examples *examples, const cbp_loss *loss,
                         cbp_real *work, cbp_real *mean, cbp_real *gradient);

/* Adds to sums[1 + (2L)^2] the vector [sum weight, sum weight d2E/dparams2 ...] of these examples,
 * row by row, and to `compensation`, as cbp_gradient_sums. `work` holds 5L + 1 numbers. */
CBP_API int cbp_hessian_sums(const cbp_chain *chain, const cbp_examples *examples,
                             const cbp_loss *loss, cbp_real *work, cbp_real *sums,
                             cbp_real *compensation);

/* How many numbers of work memory cbp_hessian needs. */
CBP_API size_t cbp_hessian_work_len(size_t layers);

/* hessian[2L][2L] = the second derivatives of the loss, exact. */
CBP_API int cbp_hessian(const cbp_chain *chain, const cbp_examples *examples, const cbp_loss *loss,
                        cbp_real *work, cbp_real *hessian);

/* *sharpness = the largest eigenvalue of hessian[2L][2L], which is symmetric, by the parameters
 * that are not frozen, to the rounding of its largest number; NaN if one of these second
 * derivatives is not finite. `work` holds (2L)^2 numbers and may be `hessian`, which is then
 * overwritten. Fails with CBP_ERROR_NULL, CBP_ERROR_LAYERS, CBP_ERROR_ACTIVATION,
 * CBP_ERROR_NO_FREE. */
CBP_API int cbp_sharpness(const cbp_chain *chain, const cbp_real *hessian, cbp_real *work,
                          cbp_real *sharpness);

/* One step along a given gradient[2L]: params[2L] = the chain's parameters - learning_rate *
 * gradient, but for frozen ones, which stay. `params` may be the chain's own, which are untouched
 * on failure. Fails with CBP_ERROR_NULL, CBP_ERROR_LAYERS, CBP_ERROR_ACTIVATION;
 * CBP_ERROR_LEARNING_RATE if that is not finite; CBP_ERROR_NOT_FINITE if a parameter would not
 * be. */
CBP_API int cbp_step_along(const cbp_chain *chain, const cbp_real *gradient, cbp_real learning_rate,
                           cbp_real *params);

/* One step of gradient descent on the averaged squared loss, weights included: cbp_step_along its
 * gradient. *mean = the loss before the step, unless null. Fails as cbp_gradient and
 * cbp_step_along. */
CBP_API int cbp_step(const cbp_chain *chain, const cbp_examples *examples, cbp_real learning_rate,
                     cbp_real *work, cbp_real *params, cbp_real *mean);

/* ---- fitting --------------------------------------------------------------------------------- */
/* Parameters that make the averaged loss least. The chain's own are the start; params[2L], which
 * may be the same memory, is what was found, also when the fit was stopped or did not converge, and
 * is not written after a failure. Frozen parameters are neither moved nor checked. Fail as
 * cbp_gradient, and with CBP_ERROR_OPTION, CBP_ERROR_NO_FREE, CBP_ERROR_BOUNDS, CBP_ERROR_START,
 * CBP_ERROR_START_LOSS, CBP_ERROR_DATA. */

/* How a fit ended. */
enum cbp_outcome {
    CBP_RUNNING = 0,
    /* no step makes the loss less, to the tolerance or to what rounding lets one see */
    CBP_CONVERGED,
    CBP_EXHAUSTED, /* max_iterations were not enough */
    /* by the progress function; if that was before the first pass ended, the loss is NaN */
    CBP_STOPPED,
    CBP_DIVERGED, /* the loss or its gradient ceased to be finite (descents alone) */
    CBP_OUTCOME_END
};

/* Where a fit has got to. */
typedef struct cbp_fit_info {
    enum cbp_outcome outcome;
    /* evaluations: passes over all examples, in parts of them for batches */
    size_t iterations, evaluations;
    cbp_real loss; /* averaged, at params */
    /* Euclidean, of the averaged loss there by the free parameters that no bound holds */
    cbp_real gradient_norm;
    const cbp_real *params; /* found so far, [2L]; after the fit, the `params` given to it */
} cbp_fit_info;

enum cbp_method { CBP_GRADIENT_DESCENT = 0, CBP_MOMENTUM, CBP_ADAM, CBP_METHOD_END };

typedef struct cbp_fit_options {
    size_t size; /* of this struct, by which later versions know what they were given */
    cbp_loss loss;
    /* bounds of the parameters, [2L]: -inf and inf where there is none; null: none at all */
    const cbp_real *lower, *upper;
    size_t max_iterations;
    cbp_real tolerance;
    /* Called after each iteration, and during long ones every few milliseconds with the same
     * numbers; a result other than 0 ends the fit with CBP_STOPPED. May be null. */
    int (*progress)(void *user, const cbp_fit_info *info);
    void *user;
    /* the loss before the first iteration and after each, [history_len]; may be null */
    cbp_real *history;
    size_t history_len;
    /* Levenberg-Marquardt: how many other starts to try, drawn around the one given */
    size_t restarts;
    unsigned long long seed; /* of restarts and of the order of examples */
    int method;              /* descents: enum cbp_method */
    cbp_real learning_rate;
    /* CBP_MOMENTUM: velocity = momentum * velocity - learning_rate * gradient */
    cbp_real momentum;
    size_t batch_size; /* descents: examples a step; 0: all */
} cbp_fit_options;

/* Fills *options: squared loss, scale 1, 2000 iterations, tolerance 1e-10 (single: 1e-5), gradient
 * descent on all examples with learning rate 0.1, momentum 0.9; the rest 0. Fails with
 * CBP_ERROR_NULL. */
CBP_API int cbp_fit_defaults(cbp_fit_options *options);

/* How many numbers of work memory cbp_fit_lm and cbp_fit_covariance need for n examples in memory
 * and so many parameters that are not frozen; with n = 0, all other functions of a fit that have a
 * `work` argument. */
CBP_API size_t cbp_fit_work_len(size_t layers, size_t free, size_t n);

/* Levenberg-Marquardt: Gauss-Newton steps within a region of trust, from the exact Jacobian by
 * orthogonal transformations (Householder). Robust losses are met by reweighting, those whose
 * variance is known in their Fisher form. If the fit does not converge in half of the iterations
 * (if they are 200 or more), or leaves a parameter undetermined, it is tried again in another
 * scaling and with a last identity layer solved for first; so it is from `restarts` other starts,
 * each with its own max_iterations. The best of all is kept. Returns the best parameters found.
 * Fails also with CBP_ERROR_FEW_EXAMPLES. Converged: the step that remains changes the outputs by
 * less than `tolerance` times the residuals (in Euclidean norm), or by less than rounding does. */
CBP_API int cbp_fit_lm(const cbp_chain *chain, const cbp_examples *examples,
                       const cbp_fit_options *options, cbp_real *work, cbp_real *params,
                       cbp_fit_info *info);

/* How many numbers of work memory cbp_fit_descent needs. `order`, which a batch_size other than 0
 * needs too, is n numbers of type size_t. */
CBP_API size_t cbp_fit_descent_work_len(size_t layers, size_t batch_size);

/* Gradient descent, with momentum, or Adam (beta 0.9 and 0.999, epsilon 1e-8), on all examples or
 * on batches of them in a shuffled order. An iteration is one pass over all examples. Converged:
 * the norm of the averaged gradient is at most `tolerance` (never, if that is 0). Returns the last
 * parameters; a descent that was stopped or that diverged, the best that it had after an iteration;
 * a gradient at the start that is not finite is CBP_DIVERGED. The parameters are clamped to their
 * bounds after each step. The order of examples depends on the seed alone. */
CBP_API int cbp_fit_descent(const cbp_chain *chain, const cbp_examples *examples,
                            const cbp_fit_options *options, cbp_real *work, size_t *order,
                            cbp_real *params, cbp_fit_info *info);

/* What the examples say of one parameter. */
enum cbp_determined {
    CBP_DETERMINED = 0,
    CBP_FROZEN,
    CBP_AT_BOUND,     /* the data would move it beyond */
    CBP_UNDETERMINED, /* the data do not fix it */
    CBP_DIVERGES,     /* of a curve: the loss has no minimum, but decreases as it runs off */
    CBP_DETERMINED_END
};

/* How well fitted parameters are known. */
typedef struct cbp_covariance {
    cbp_real *variance;        /* s^2, one number */
    cbp_real *matrix;          /* [free][free], of the parameters that are not frozen */
    unsigned char *determined; /* [2L], each of enum cbp_determined */
} cbp_covariance;

/* Writes what *out points to, for the chain at its fitted parameters. Rows of parameters at a bound
 * are 0, the variance of an undetermined one is infinite and its covariances NaN. The covariance is
 * s^2 times the inverse curvature with s^2 = sum(weight r^2) / (examples - parameters), NaN without
 * degrees of freedom; for robust losses the weights are those of the last reweighting; a loss with
 * a dispersion (cbp_loss_describe) has a variance of 1, and that dispersion for s^2. The curvature
 * is the Gauss-Newton approximation (as R's nls and SciPy have it) if `hessian` is null, else what
 * stands there: the exact one of cbp_hessian (as R's drc). If that is not positive definite, all
 * are undetermined. Of the options, the loss and the bounds are read; fails as
 * cbp_gradient, and with CBP_ERROR_OPTION for options of an unknown size. `work` holds
 * cbp_fit_work_len(layers, free, n) numbers. */
CBP_API int cbp_fit_covariance(const cbp_chain *chain, const cbp_examples *examples,
                               const cbp_fit_options *options, const cbp_real *hessian,
                               cbp_real *work, const cbp_covariance *out);

/* ---- fits of examples that are in several places --------------------------------------------- */
/* A fit needs to know of its examples only what a pass over them adds up to: a node. Examples have
 * an index, and CBP_LEAF of them, from a multiple of CBP_LEAF on, are a leaf; the last leaf may
 * have fewer. The node of a leaf is computed from its examples, and nodes of leaves that follow
 * each other are merged two by two, always the same two. So the bits of a fit do not depend on
 * where the examples are, in how many places, or which thread has computed what: cbp_fit_lm, which
 * has all of them in memory, gives the same. The functions fail as cbp_gradient and cbp_fit_lm do,
 * where they have such arguments. */
#define CBP_LEAF 4096

/* How many numbers a node has. They are
 *   - the triangle R[free + 1][free + 1], row by row, 0 below the diagonal: R'R = [J r]'[J r],
 *     where J has a column for each parameter that is not frozen, r are the residuals, and rows are
 *     weighted as cbp_fit_lm does;
 *   - four sums: of weights, of weight * E, of examples of positive weight, and of weight * y^2
 *     (robust losses: less of what is off by more than their scale; losses with a dispersion: the
 *     same in their rows' units, such as the sum of weights);
 *   - the compensation of each: what rounding has taken from it. */
CBP_API size_t cbp_fit_node_len(size_t free);

/* Which leaves a node is of: `count` of them from `first` on. */
typedef struct cbp_fit_place {
    size_t first, count;
} cbp_fit_place;

/* Nodes of leaves that follow each other, merged as far as can be. Start with count = 0. */
typedef struct cbp_fit_nodes {
    cbp_real *values;      /* [capacity][cbp_fit_node_len(free)] */
    cbp_fit_place *places; /* [capacity] */
    size_t free, capacity, count;
} cbp_fit_nodes;

/* How many nodes there must be room for, for so many leaves. */
CBP_API size_t cbp_fit_nodes_capacity(size_t leaves);

/* Adds the nodes of the leaves that these examples are, the first one having the index `first`.
 * Only the last of all leaves may be incomplete. Fails with CBP_ERROR_NODE if leaf `first` does not
 * follow those that are there, or there is no room; what has been added may then stay. */
CBP_API int cbp_fit_nodes_add(const cbp_chain *chain, const cbp_examples *examples,
                              const cbp_loss *loss, size_t first, cbp_real *work,
                              cbp_fit_nodes *nodes);

/* Adds a node that cbp_fit_nodes_add has computed elsewhere. `work` holds (free + 1) * 256 numbers.
 * Fails with CBP_ERROR_NULL, and with CBP_ERROR_NODE as cbp_fit_nodes_add. */
CBP_API int cbp_fit_nodes_push(cbp_fit_nodes *nodes, cbp_fit_place place, const cbp_real *node,
                               cbp_real *work);

/* Merges all nodes, which are then used up, and writes the one that is left, of all examples.
 * `work` as for cbp_fit_nodes_push. Fails with CBP_ERROR_NULL, and with CBP_ERROR_NODE if there is
 * none or the first leaf is not the first of all. */
CBP_API int cbp_fit_nodes_merge(cbp_fit_nodes *nodes, cbp_real *work, cbp_real *node);

/* A pass over all examples, wherever they are, for this chain: its parameters are those of the
 * pass, and it may have more frozen ones than the fit (where that solves for the last layer).
 * Writes the node of all, and returns 0. Any other result ends the fit with CBP_STOPPED. */
typedef int (*cbp_fit_pass)(void *user, const cbp_chain *chain, cbp_real *node);

/* cbp_fit_lm of examples that only the pass, called with `user`, knows. */
CBP_API int cbp_fit_over(cbp_fit_pass pass, void *user, const cbp_chain *chain,
                         const cbp_fit_options *options, cbp_real *work, cbp_real *params,
                         cbp_fit_info *info);

/* cbp_fit_covariance from the node of all examples at the chain's parameters. */
CBP_API int cbp_fit_node_covariance(const cbp_chain *chain, const cbp_fit_options *options,
                                    const cbp_real *node, const cbp_real *hessian, cbp_real *work,
                                    const cbp_covariance *out);

/* ---- many chains ----------------------------------------------------------------------------- */
/* m chains of one kind, params[m][2L]; m may be 0. Chain i has the inputs x[n] at x + i x_step: n
 * for inputs of each chain's own, 0 where all have the same ones. Results are those of the single
 * calls, bit by bit. */

/* out[m][n] = a_L. Fail as cbp_forward and its like. */
CBP_API int cbp_forward_many(const cbp_chain *chains, size_t m, const cbp_real *x, size_t n,
                             size_t x_step, cbp_real *out);

/* out[m][n] = da_L/da_0. */
CBP_API int cbp_slope_many(const cbp_chain *chains, size_t m, const cbp_real *x, size_t n,
                           size_t x_step, cbp_real *out);

/* out[m][n] = the inputs of given outputs; NaN throughout for a chain in which some weight is 0.
 * Fails with CBP_ERROR_NOT_INVERTIBLE where an activation is not one-to-one. */
CBP_API int cbp_inverse_many(const cbp_chain *chains, size_t m, const cbp_real *y, size_t n,
                             size_t y_step, cbp_real *out);

/* mean[m] = the losses; gradient[m][2L] = the averaged gradients, unless null. `work` as for
 * cbp_gradient. Fails as cbp_gradient. */
CBP_API int cbp_gradient_many(const cbp_chain *chains, const cbp_example_sets *sets,
                              const cbp_loss *loss, cbp_real *work, cbp_real *mean,
                              cbp_real *gradient);

/* ---- many fits of one kind ------------------------------------------------------------------- */

/* What becomes of m chains. None may be null but covariance. */
typedef struct cbp_fits {
    cbp_real *params; /* [m][2L]: the starts on entry, what was found on return */
    /* [m]: an enum cbp_outcome, or the (negative) enum cbp_status of a chain not fitted */
    int *status;
    size_t *iterations; /* [m] */
    cbp_real *loss;     /* [m], averaged */
    cbp_real *weight;   /* [m], of all its examples that are not missing */
    cbp_real *variance; /* [m], s^2 as cbp_fit_covariance has it */
    cbp_real *df;       /* [m], degrees of freedom: examples less parameters that were fitted */
    /* [m][2L]: 0 of what does not move, infinite of what is undetermined */
    cbp_real *standard_error;
    /* [m][free (free + 1) / 2] or null: the lower triangle, row by row, of the free ones */
    cbp_real *covariance;
    unsigned char *determined; /* [m][2L], each of enum cbp_determined */
} cbp_fits;

/* Starts to choose from: params[count][2L]. What is frozen must be the same in all of them. If they
 * stand in rows of `row` each, neighbours in a row and in a column are alike; row 0: they are
 * not. */
typedef struct cbp_candidates {
    const cbp_real *params;
    size_t count, row;
} cbp_candidates;

/* How many numbers of work memory cbp_choose_starts needs. */
CBP_API size_t cbp_choose_starts_work_len(size_t layers, size_t n, size_t count);

/* params[m][2L] = for each of m sets (as in cbp_fit_many) the candidate which leaves the least sum
 * of squares, whatever the loss, once the free weight (within its bounds) and bias of a last
 * identity layer are put where they make it least; within the bounds. Where candidates stand in
 * rows, what lies between the best and its neighbours, at the minimum of parabolas through what
 * they leave, is taken instead unless it is far worse. Where no candidate has a finite sum it is
 * the first; where none is better than a weight of 0, as for equal targets, the middle one with
 * that weight. The chain's own parameters are not read, and may be null; of the options, the bounds
 * are read. Fails with CBP_ERROR_NULL, CBP_ERROR_LAYERS, CBP_ERROR_ACTIVATION, and with
 * CBP_ERROR_OPTION without candidates, with a row that is not full, or for options of an unknown
 * size. */
CBP_API int cbp_choose_starts(const cbp_chain *chain, const cbp_example_sets *sets,
                              const cbp_fit_options *options, const cbp_candidates *candidates,
                              cbp_real *work, cbp_real *params);

/* How many numbers of work memory cbp_fit_many needs, for so many free parameters and n examples a
 * chain. */
CBP_API size_t cbp_fit_many_work_len(size_t layers, size_t free, size_t n);

/* cbp_fit_lm and cbp_fit_covariance for m chains with the same activations, frozen parameters and
 * bounds, each of its own set of examples, where a y that is NaN is a missing point. The starts are
 * in fits->params; the chain's own parameters are not read, and may be null. Chains are fitted side
 * by side, one in each lane of the vectors, by Newton's steps from normal equations and second
 * derivatives; those that do not converge there, or of which it is not clear whether all parameters
 * are determined, are fitted anew by cbp_fit_lm. So a chain's result is the same in any company. A
 * chain that cannot be fitted, for which cbp_fit_lm would fail, has that as its status, its start
 * for parameters and NaN for the rest. The progress function, called after each iteration of the
 * lanes, is told how many chains have been taken up; if it stops the fit, chains not finished have
 * the status CBP_STOPPED. Fails, before it has changed anything, for what is common to all chains:
 * as cbp_fit_lm, but for examples and starts. */
CBP_API int cbp_fit_many(const cbp_chain *chain, const cbp_example_sets *sets,
                         const cbp_fit_options *options, cbp_real *work, const cbp_fits *fits);

/* ---- curves ---------------------------------------------------------------------------------- */
/* Models of one variable: classical ones by their names, and a caller's own. A curve has p natural
 * parameters, such as an asymptote or a rate, and is computed by a chain of L layers, whose 2L
 * parameters follow from those. */

#define CBP_CURVE_PARAMETERS 5 /* p at most */
#define CBP_CURVE_LAYERS 4     /* L at most */

/* How a parameter of the chain follows from the natural ones n. A fit moves coordinates t of them:
 * t = log n of those that are positive by nature, t = n of the others. */
enum cbp_curve_rule {
    CBP_RULE_END = 0,    /* no parameter: the chain has fewer layers */
    CBP_RULE_CONSTANT,   /* `value`; frozen in the chain */
    CBP_RULE_SAME,       /* value n_i */
    CBP_RULE_DIFFERENCE, /* n_i - n_j */
    CBP_RULE_COORDINATE, /* value t_i */
    CBP_RULE_PRODUCT,    /* value n_i t_j */
    CBP_RULE_RECIPROCAL, /* value / n_i */
    CBP_RULE_RATIO       /* value n_i / n_j */
};

/* i and j are below p also where they are not read, and different where both are; value is finite,
 * and but for constants not 0. */
typedef struct cbp_curve_term {
    unsigned char rule, i, j;
    cbp_real value;
} cbp_curve_term;

/* Where fits start: at the best of candidates made from the range of the inputs, with a slope w, a
 * middle m and a power a; or at one point. */
enum cbp_curve_grid {
    CBP_GRID_ONE,        /* one for all */
    CBP_GRID_RATES,      /* w: rates that are visible within the range */
    CBP_GRID_POWERS,     /* w: exponents */
    CBP_GRID_MIDDLES,    /* m, of log x; w = 1 */
    CBP_GRID_STEPS,      /* w and m of sigmoids */
    CBP_GRID_LOPSIDED,   /* the same, and a */
    CBP_GRID_PEAKS,      /* the same of peaks: a start for each part of the range */
    CBP_GRID_THRESHOLDS, /* m between neighbouring inputs, and w; sets are fitted one by one */
    CBP_GRID_ENERGIES,   /* w and m of a line in 1 / x, in units of its range */
    CBP_GRID_START,      /* no candidates, `start` alone; slope_at, power_at, slope do not count */
    CBP_GRID_END
};

/* Which signs of w there are candidates of. */
enum cbp_curve_signs {
    CBP_ONE_SIGN = 1,
    CBP_BOTH_SIGNS,
    /* The curve is the same with `ends.low` and `ends.high` exchanged and the sign of `ends.tilt`
     * changed: so one sign is enough, unless something is fixed or has bounds. Reported are
     * low <= high, if nothing forbids it. */
    CBP_MIRROR,
    /* With both exchanged it is another curve: both signs, and only fits with low <= high, if both
     * and the tilt are fitted. The last layer is linear, its weight high - low or low - high. */
    CBP_ORDERED
};

/* Natural parameters of CBP_MIRROR and CBP_ORDERED, none of them positive by nature: the limits
 * between which the curve lies, and its slope. */
typedef struct cbp_curve_ends {
    unsigned char low, high, tilt;
} cbp_curve_ends;

/* What the inputs are. */
enum cbp_curve_input {
    CBP_X_ANY,
    CBP_X_DOSE,    /* usually drawn over log x */
    CBP_X_LOG_DOSE /* -infinity, the logarithm of a dose of 0, is one */
};

/* A curve: a constant of the library, or filled by the caller, who keeps it while it is used. */
typedef struct cbp_curve {
    const char *name, *formula; /* the formula may be null */
    /* p names, then null; each is in a term */
    const char *parameters[CBP_CURVE_PARAMETERS];
    unsigned char positive[CBP_CURVE_PARAMETERS]; /* not 0 for those that must be positive */
    unsigned char activations[CBP_CURVE_LAYERS];  /* each of enum cbp_activation */
    cbp_real domain_low, domain_high;             /* of x: low < high */
    unsigned char loss;                           /* that suits it, of enum cbp_loss_kind */
    unsigned char x_is;                           /* of enum cbp_curve_input */
    unsigned char grid;                           /* of enum cbp_curve_grid */
    unsigned char of_log_x;                       /* 1 if w and m are of log x */
    unsigned char signs;                          /* of enum cbp_curve_signs */
    /* [2L] in the order of the chain's parameters; at least p of them are no constants. Unless
     * the grid is CBP_GRID_START the natural parameters must follow from the chain's: one after
     * another each is the only unknown of a term, and not n_i of a product or n_j of a ratio. */
    cbp_curve_term terms[2 * CBP_CURVE_LAYERS];
    /* A candidate sets the weight at slope_at to `slope` w and the bias behind it to -slope w m,
     * and the weight at power_at, if that is not 0, to a; constants stay. A last linear layer is
     * solved for. Places are those of `terms`, slope is 1 or -1. */
    unsigned char slope_at, power_at;
    signed char slope;
    cbp_curve_ends ends; /* does not count for other signs */
    /* Where the grid is CBP_GRID_START: natural parameters [p], or if start_step is p [m][p] of the
     * sets of cbp_curve_fit_many or the groups of cbp_curve_fit_groups. They are moved to fixed
     * values and into bounds. */
    const cbp_real *start;
    size_t start_step;
} cbp_curve;

/* What a curve is. The pointers are the curve's own. */
typedef struct cbp_curve_facts {
    const char *name, *formula;
    size_t count;                  /* p */
    const char *const *parameters; /* [p], their names */
    /* [p]: not 0 for a parameter that must be positive; its coordinate is its logarithm */
    const unsigned char *positive;
    cbp_real domain_low, domain_high; /* of x */
    int loss;                         /* that suits its targets, of enum cbp_loss_kind */
    int is_log_x;                     /* 1 if it is usually drawn over log x */
    size_t layers;                    /* L */
    const unsigned char *activations; /* [L] */
    /* [2L]: 1 for parameters of the chain that are constants of the curve */
    unsigned char frozen[2 * CBP_CURVE_LAYERS];
    int is_log_dose; /* 1 if x is the logarithm of a dose, which is -infinity for a dose of 0 */
} cbp_curve_facts;

/* How many curves there are; the curve of a number from 0, which later versions may change; and the
 * curve of a name, such as "logistic4". Null if there is none. */
CBP_API size_t cbp_curve_count(void);
CBP_API const cbp_curve *cbp_curve_at(size_t number);
CBP_API const cbp_curve *cbp_curve_named(const char *name);

/* Facts of one curve. Fails, as all functions of curves, with CBP_ERROR_CURVE if it is null or not
 * filled as struct cbp_curve has it; and with CBP_ERROR_NULL. */
CBP_API int cbp_curve_describe(const cbp_curve *curve, cbp_curve_facts *facts);

/* The chain of the natural parameters natural[p]: its params[2L], and unless it is null
 * jacobian[2L][p], the exact derivative of each by each natural parameter. Fails with
 * CBP_ERROR_CURVE, CBP_ERROR_NULL, and with CBP_ERROR_START if a natural parameter is not finite,
 * or not positive where it must be, or if one of the chain's would not be finite. */
CBP_API int cbp_curve_chain(const cbp_curve *curve, const cbp_real *natural, cbp_real *params,
                            cbp_real *jacobian);

/* What becomes of a fit of a curve. None of the arrays, which are the caller's, may be null. */
typedef struct cbp_curve_result {
    cbp_real *natural; /* [p] */
    cbp_real *params;  /* [2L], of the chain */
    /* [p][p], of the coordinates: the logarithms of positive parameters, the others themselves; as
     * cbp_fit_covariance has it, and 0 for fixed parameters */
    cbp_real *covariance;
    unsigned char *determined; /* [p], each of enum cbp_determined */
    /* [p + 1][p + 1] of room; written is the triangle of a node by the f coordinates that moved,
     * [f + 1][f + 1] */
    cbp_real *triangle;
    cbp_real variance;         /* s^2 as cbp_fit_covariance has it */
    cbp_real loss;             /* averaged */
    cbp_real df;               /* degrees of freedom: examples less parameters that were fitted */
    cbp_real examples, weight; /* how many have a weight above 0; the sum of weights */
    cbp_real log_weight;       /* the sum of the logarithms of weights above 0 */
    cbp_real rss;              /* sum(weight (curve - y)^2), for any loss */
    cbp_real total_squares;    /* sum(weight (y - mean)^2), about the weighted mean */
    /* CBP_EXHAUSTED with CBP_DIVERGES among `determined`: the loss has no minimum, but the fit is
     * within about 1e-9 of the least that it approaches */
    enum cbp_outcome outcome;
    /* from all starts, and of the steps towards a limit; without those in which starts were
     * compared side by side, as cbp_fit_many does */
    size_t iterations, evaluations;
    /* the parameter that was fixed far out on the way to such a limit, which is not one of those
     * that moved in the triangle; p if there is none */
    size_t fixed_at;
    int status; /* CBP_OK, or why cbp_curve_fit_groups has not fitted a group that shares nothing */
} cbp_curve_result;

/* How many numbers of work memory cbp_curve_fit needs for n examples. */
CBP_API size_t cbp_curve_fit_work_len(size_t n);

/* Fits a curve to examples. Unless the curve has its own start, candidates cover the range of the
 * inputs, for each sign of the slope and (of curves with an asymmetry) several powers, and the best
 * of each kind is refined as by cbp_fit_lm, in the coordinates. If one of these fits has no
 * minimum, or a step between two inputs leaves less than they do, further starts are tried.
 * fixed[p] has the natural parameters that are known, and NaN for those to be fitted; null: all are
 * fitted. The loss is that of the options, whose bounds, [p], are of natural parameters, and do not
 * count for fixed ones. Of two sets of parameters of the same "logistic4" the one with bottom <=
 * top is found, if nothing forbids it: bounds of bottom are of the lower plateau, of top of the
 * upper one, unless the sign of the slope is fixed or bounded, or no such fit is better than a
 * constant. A loss that decreases as a parameter runs off is followed to where it hardly changes.
 * Each start has its own max_iterations, the steps towards a limit four times as many. The progress
 * function is told coordinates, [p], for params; it is called for all starts in turn, and so does
 * the history have the least loss after the iterations of all. Fails as cbp_fit_lm, with
 * CBP_ERROR_START for a fixed parameter or a start that is not finite, or not positive where it
 * must be, with CBP_ERROR_BOUNDS also where a parameter could only be infinite or the upper bound
 * of a positive one is not above 0, with CBP_ERROR_DATA also for an input so large that nothing can
 * be computed with its square, with CBP_ERROR_NO_FREE if all are fixed, with CBP_ERROR_CURVE, and
 * with CBP_ERROR_DOMAIN for an input outside the domain. */
CBP_API int cbp_curve_fit(const cbp_curve *curve, const cbp_examples *examples,
                          const cbp_real *fixed, const cbp_fit_options *options, cbp_real *work,
                          cbp_curve_result *result);

/* Groups of examples that have parameters of one curve in common. */
typedef struct cbp_curve_groups {
    const cbp_examples *examples; /* [count] */
    size_t count;
    const unsigned char *shared; /* [p]: not 0 for parameters that groups share */
    /* [count][p] or null: which value a group has of a shared parameter, each numbered from 0 on;
     * null: all groups have the same */
    const size_t *value;
    /* [count][p] or null (all 1): a group's parameter is the value times this, which is finite, not
     * 0, and positive for positive parameters */
    const cbp_real *factor;
    /* [v][v] or null: written, the covariance of the coordinates of the v values of shared
     * parameters that are not fixed, parameter after parameter */
    cbp_real *covariance;
} cbp_curve_groups;

/* How many numbers of work memory cbp_curve_fit_groups needs for these groups: proportional to
 * their number, and to the square of that of the values. */
CBP_API size_t cbp_curve_fit_groups_work_len(const cbp_curve *curve,
                                             const cbp_curve_groups *groups);

/* Fits a curve to all groups at once, results[count], by the least loss of all examples together:
 * shared parameters have one value, or one for each number in `value`, the others one for each
 * group. What is fixed is so in all groups; bounds of shared parameters are those of their values.
 * A group's result is as cbp_curve_fit writes it, but for these: the variance and its degrees of
 * freedom are of all groups, and so are the loss, the outcome and the iterations; `covariance` and
 * `triangle` are those of the group's parameters, the shared ones included, in the fit of all. If
 * nothing is shared each group is fitted as it is alone, with an outcome, a loss and iterations of
 * its own; one for which cbp_curve_fit would fail has that as its status, NaN for numbers and
 * CBP_UNDETERMINED for its parameters. If the progress function stops it, it returns CBP_STOPPED,
 * and the results are of no use. Fails as cbp_curve_fit, with CBP_ERROR_EMPTY without groups, with
 * CBP_ERROR_FEW_EXAMPLES also if a group has fewer examples than parameters of its own, and with
 * CBP_ERROR_OPTION for a factor that is none. */
CBP_API int cbp_curve_fit_groups(const cbp_curve *curve, const cbp_curve_groups *groups,
                                 const cbp_real *fixed, const cbp_fit_options *options,
                                 cbp_real *work, cbp_curve_result *results);

/* What becomes of m fits of a curve. None may be null. */
typedef struct cbp_curve_fits {
    cbp_real *natural; /* [m][p] */
    /* [m][p], of natural parameters: 0 of what does not move, infinite of what is undetermined */
    cbp_real *standard_error;
    cbp_real *params; /* [m][2L], of the chains */
    /* [m]: an enum cbp_outcome, or the (negative) enum cbp_status of a set not fitted */
    int *status;
    unsigned char *determined; /* [m][p], each of enum cbp_determined */
    size_t *iterations;        /* [m] */
    cbp_real *loss;            /* [m], averaged */
    cbp_real *weight;          /* [m], of all examples of a set that are not missing */
    cbp_real *variance;        /* [m], s^2 as cbp_fit_covariance has it */
    cbp_real *df;              /* [m], degrees of freedom */
} cbp_curve_fits;

/* How many numbers of work memory cbp_curve_fit_many needs for m sets of n examples. */
CBP_API size_t cbp_curve_fit_many_work_len(size_t n, size_t m);

/* cbp_curve_fit of m sets, with the same fixed parameters and bounds; a y that is NaN is a missing
 * point. Each set has the result that it has alone, to within the tolerance of a fit. Sets with the
 * same inputs (x_step 0) are fitted side by side, as cbp_fit_many does, from the same candidates;
 * those that do not converge there, or whose parameters are not all determined, by cbp_curve_fit,
 * as are all sets of a curve with its own start. A set that cannot be fitted, for which
 * cbp_curve_fit would fail, has that as its status, NaN for numbers and CBP_UNDETERMINED for its
 * parameters; an empty one has CBP_ERROR_FEW_EXAMPLES. If the progress function stops the call,
 * sets not finished have the status CBP_STOPPED. Fails, before it has changed anything, for what is
 * common to all sets: as cbp_curve_fit, but for examples. */
CBP_API int cbp_curve_fit_many(const cbp_curve *curve, const cbp_example_sets *sets,
                               const cbp_real *fixed, const cbp_fit_options *options,
                               cbp_real *work, const cbp_curve_fits *fits);

/* ---- intervals of a fitted curve ------------------------------------------------------------- */

/* The t with P(T <= t) = probability, between 0 and 1, of Student's t distribution with df > 0
 * degrees of freedom, infinite for the normal distribution; NaN for other arguments. For df of 0.01
 * or more the relative error is below 1e-12 (single: 1e-4). */
CBP_API cbp_real cbp_t_quantile(cbp_real probability, cbp_real df);

/* How the interval of a number with a standard error is made. */
enum cbp_interval_kind {
    /* estimate and standard error of its logarithm, if it is positive by nature: a parameter that
     * must be positive, an input of a curve whose domain begins at 0; else CBP_INTERVAL_WALD */
    CBP_INTERVAL_LOG = 0,
    CBP_INTERVAL_WALD, /* estimate and standard error on both sides */
    /* of inputs alone: those about the estimate at which the difference from what is given is less
     * than its own uncertainty there. Where the band never leaves what is given, the interval
     * extends to the end of the domain, which may be infinite. Effective doses are compared before
     * the activation of the first layer with parameters, which is linear in x, log x or 1 / x. */
    CBP_INTERVAL_FIELLER,
    CBP_INTERVAL_END
};

/* The fit that intervals are made of. Quantiles are of Student's t with the degrees of freedom of
 * the result, for losses whose variance is known of the normal distribution. Where there are no
 * degrees of freedom all standard errors and intervals are NaN. What depends on a parameter that
 * the data do not determine has an infinite standard error and an interval without end. */
typedef struct cbp_curve_inference {
    const cbp_curve *curve;
    const cbp_curve_result *result; /* of cbp_curve_fit */
    /* [p][p], of the coordinates, in place of the covariance that follows from the triangle; or
     * null */
    const cbp_real *covariance;
    int loss;       /* that was minimised, of enum cbp_loss_kind */
    int interval;   /* of enum cbp_interval_kind */
    cbp_real level; /* confidence level, between 0 and 1 */
    /* p: the variance of an observation of weight 1 is result->variance |curve|^p; p is
     * 2 s of CBP_POWER, 2 - 2 s of CBP_BOX_COX */
    cbp_real variance_power;
} cbp_curve_inference;

/* The interval of each natural parameter, low[p] and high[p]. Fails with CBP_ERROR_CURVE,
 * CBP_ERROR_NULL, CBP_ERROR_LOSS, and with CBP_ERROR_OPTION for a level or a kind of interval out
 * of its range. */
CBP_API int cbp_curve_intervals(const cbp_curve_inference *fit, cbp_real *low, cbp_real *high);

/* The curve at n inputs, its standard errors, and the ends of two bands: for the curve, and for a
 * new observation. Each array is [n], or null if it is not wanted. */
typedef struct cbp_curve_band {
    cbp_real *value, *standard_error, *low, *high, *prediction_low, *prediction_high;
} cbp_curve_band;

/* Fills a band at x[n], for new observations of this weight: NaN for losses whose variance is
 * known, which say nothing of it. The kind of interval does not matter. Fails as
 * cbp_curve_intervals, and with CBP_ERROR_WEIGHT for a weight that is negative or not finite. */
CBP_API int cbp_curve_predict(const cbp_curve_inference *fit, const cbp_real *x, size_t n,
                              cbp_real weight, const cbp_curve_band *band);

/* Inputs that were looked for, their standard errors, and the ends of their intervals. Each array
 * is [n], or null if it is not wanted. */
typedef struct cbp_curve_inputs {
    cbp_real *value, *standard_error, *low, *high;
} cbp_curve_inputs;

/* The inputs at which the curve gives y[n]; NaN where it never does. weight[n] has the summed
 * weight of the new observations of which each y is the mean, whose scatter is then part of the
 * uncertainty; null: they are exact. An interval by CBP_INTERVAL_FIELLER may exist where the
 * estimate does not: from where the band contains y to the end of the domain; it is NaN if the band
 * nowhere does. Fails as cbp_curve_predict, and with CBP_ERROR_NOT_INVERTIBLE for a curve that is
 * not one-to-one. */
CBP_API int cbp_curve_invert(const cbp_curve_inference *fit, const cbp_real *y,
                             const cbp_real *weight, size_t n, const cbp_curve_inputs *inputs);

/* The inputs by which these fractions[n] of the effect, each between 0 and 1, are reached. The
 * effect is the change of the curve from the low end of its domain, or from 0 if it has no finite
 * limit there, to the high end; the uncertainty of both is that of the standard error, too. Fails
 * as cbp_curve_invert, with CBP_ERROR_OPTION for a fraction, and with CBP_ERROR_LIMIT for a curve
 * without those limits. */
CBP_API int cbp_curve_effective_dose(const cbp_curve_inference *fit, const cbp_real *fractions,
                                     size_t n, const cbp_curve_inputs *inputs);

/* ---- one example, everything shown ----------------------------------------------------------- */

/* What a pass forward and back computes on its way. */
typedef struct cbp_record {
    cbp_real *z, *a;    /* [L] each */
    cbp_real *slope;    /* [L], act'(z) */
    cbp_real *delta;    /* [L], dE/dz */
    cbp_real *gradient; /* [2L] */
} cbp_record;

/* Writes what *record points to, and *value = the loss E, for the example (x, y). Fails as
 * cbp_gradients. */
CBP_API int cbp_trace(const cbp_chain *chain, cbp_real x, cbp_real y, const cbp_loss *loss,
                      const cbp_record *record, cbp_real *value);

/* ---- kernels --------------------------------------------------------------------------------- */

/* The loops are compiled for several instruction sets, and the best that the processor and its
 * system offer is taken at the first call. All with fused multiply-add give the same bits. */

/* The name of the kernels in use: "generic", "avx2" or "avx512". */
CBP_API const char *cbp_kernel(void);

/* For tests: use the named kernels from now on, or the best again if `name` is null. Fails with
 * CBP_ERROR_KERNEL and changes nothing if this machine does not have them. Safe at any time; calls
 * under way keep theirs. */
CBP_API int cbp_kernel_choose(const char *name);

#ifdef __cplusplus
}
#endif

#endif
