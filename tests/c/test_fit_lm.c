/* Levenberg-Marquardt and covariances: what it finds, what the data say of it, and when it refuses; and what all fits
 * share, options and random numbers. */
#include "check.h"
#include "fit.h"

#ifdef CBP_SINGLE
#define HUGE_REAL FLT_MAX
#else
#define HUGE_REAL DBL_MAX
#endif

/* ---- one call ---------------------------------------------------------------------------------------------------- */

/* A fit with all that it reads, so that a test says only what matters to it. */
typedef struct call {
    const unsigned char *activations, *frozen;
    const cbp_real *lower, *upper, *x, *y, *weight;
    size_t layers, n;
    cbp_fit_options options;
    cbp_fit_info info;
} call;

static call fit_of(const unsigned char *activations, size_t layers, const cbp_real *x, const cbp_real *y, size_t n)
{
    call c = {.activations = activations, .x = x, .y = y, .layers = layers, .n = n};
    CHECK(cbp_fit_defaults(&c.options) == CBP_OK);
    return c;
}

static size_t free_of(const call *c)
{
    size_t count = 0;
    for (size_t k = 0; k < 2 * c->layers; k++) {
        count += !c->frozen || !c->frozen[k];
    }
    return count;
}

/* Memory for `len` numbers and no more; what it holds on entry must not matter. */
static cbp_real *spoilt(size_t len)
{
    cbp_real *memory = numbers(len);
    for (size_t k = 0; k < len; k++) {
        memory[k] = R(NAN);
    }
    return memory;
}

static int fit(call *c, cbp_real *params)
{
    cbp_real *work = spoilt(cbp_fit_work_len(c->layers, free_of(c)));
    const int status = cbp_fit_lm(c->activations, c->frozen, c->lower, c->upper, c->x, c->y, c->weight, c->layers, c->n,
                                  &c->options, work, params, &c->info);
    free(work);
    return status;
}

enum { MOST = 8 }; /* parameters of a chain whose covariance is asked for here */

typedef struct spread {
    cbp_real variance, covariance[MOST * MOST];
    unsigned char determined[MOST];
} spread;

static spread untouched_spread(void)
{
    spread s = {.variance = 5};
    for (size_t k = 0; k < MOST * MOST; k++) {
        s.covariance[k] = 5;
    }
    memset(s.determined, 55, MOST);
    return s;
}

static int is_untouched_spread(const spread *s)
{
    const spread untouched = untouched_spread();
    return s->variance == 5 && same_all(s->covariance, untouched.covariance, MOST * MOST) &&
           memcmp(s->determined, untouched.determined, MOST) == 0;
}

/* The two curvatures that covariances are taken from. */
enum curvature { GAUSS_NEWTON, OBSERVED, CURVATURES };

static int covariance_by(const call *c, const cbp_real *params, const cbp_real *hessian, spread *s)
{
    cbp_real *work = spoilt(cbp_fit_work_len(c->layers, free_of(c)));
    *s = untouched_spread();
    const int status = cbp_fit_covariance(params, c->activations, c->frozen, c->lower, c->upper, c->x, c->y, c->weight,
                                          c->layers, c->n, c->options.loss, c->options.scale, hessian, work,
                                          &s->variance, s->covariance, s->determined);
    free(work);
    return status;
}

static int covariance_of(const call *c, const cbp_real *params, int curvature, spread *s)
{
    cbp_real hessian[MOST * MOST], *work = numbers(cbp_hessian_work_len(c->layers));
    CHECK(cbp_hessian(params, c->activations, c->x, c->y, c->weight, c->layers, c->n, c->options.loss,
                      c->options.scale, work, hessian) == CBP_OK);
    free(work);
    return covariance_by(c, params, curvature == OBSERVED ? hessian : NULL, s);
}

/* The averaged gradient, and how large it would be if no two examples pulled in different directions. */
static void gradient_of(const call *c, const cbp_real *params, cbp_real *loss, cbp_real *gradient, double *pull)
{
    const size_t all = 2 * c->layers;
    cbp_real *work = numbers(cbp_work_len(c->layers, c->n)), *rows = numbers(all * c->n);
    CHECK(cbp_gradient(params, c->activations, c->x, c->y, c->weight, c->layers, c->n, c->options.loss,
                       c->options.scale, work, loss, gradient) == CBP_OK);
    CHECK(cbp_gradients(params, c->activations, c->x, c->y, c->layers, c->n, c->options.loss, c->options.scale, work,
                        rows) == CBP_OK);
    for (size_t k = 0; k < all; k++) {
        double sum = 0, total = 0;
        for (size_t i = 0; i < c->n; i++) {
            const double weight = c->weight ? (double)c->weight[i] : 1;
            sum += weight * fabs((double)rows[i * all + k]);
            total += weight;
        }
        pull[k] = sum / total;
    }
    free(work);
    free(rows);
}

/* What a fit says of the parameters it returns is what the library finds there: the loss, and the gradient by what is
 * free and not held by a bound. `norm` and `pull`: those of this gradient. */
static void measure(const call *c, const cbp_real *params, double *norm, double *all_pull)
{
    cbp_real *gradient = numbers(2 * c->layers), loss;
    double *pull = malloc(2 * c->layers * sizeof *pull);
    double squares = 0, pulls = 0;
    if (!pull) {
        exit(2);
    }
    gradient_of(c, params, &loss, gradient, pull);
    for (size_t k = 0; k < 2 * c->layers; k++) {
        const int at_low = c->lower && params[k] <= c->lower[k] && gradient[k] >= 0;
        const int at_high = c->upper && params[k] >= c->upper[k] && gradient[k] <= 0;
        if (!(c->frozen && c->frozen[k]) && !at_low && !at_high) {
            squares += (double)gradient[k] * (double)gradient[k];
            pulls += pull[k] * pull[k];
        }
    }
    *norm = sqrt(squares);
    *all_pull = sqrt(pulls);
    CHECK(near((double)c->info.loss, (double)loss, 0, 16));
    CHECK(fabs((double)c->info.gradient_norm - *norm) <= 64 * EPSILON * *all_pull);
    CHECK(c->info.params == params);
    free(gradient);
    free(pull);
}

static void check_info(const call *c, const cbp_real *params)
{
    double norm, pull;
    measure(c, params, &norm, &pull);
}

/* Converged, and as flat there as the tolerance says. */
static void check_minimum(const call *c, const cbp_real *params)
{
    double norm, pull;
    CHECK(c->info.outcome == CBP_CONVERGED);
    measure(c, params, &norm, &pull);
    CHECK(norm <= (8 * (double)c->options.tolerance + 512 * EPSILON) * pull);
}

/* Converged, and as flat there as can be told by the loss, whose rounding of some EPSILON hides a slope of the square
 * root of that. */
static void check_valley(const call *c, const cbp_real *params)
{
    double norm, pull;
    CHECK(c->info.outcome == CBP_CONVERGED);
    measure(c, params, &norm, &pull);
    CHECK(norm <= (8 * (double)c->options.tolerance + 32 * sqrt(EPSILON)) * pull);
}

/* Counts its calls, keeps what it was told last, sees that it is in order, and stops the fit at the call `stop_at`. */
typedef struct watcher {
    const call *c;
    size_t calls, stop_at;
    cbp_fit_info last;
    cbp_real params[MOST];
    int out_of_bounds, disorder;
} watcher;

static int watch(void *user, const cbp_fit_info *info)
{
    watcher *w = user;
    const call *c = w->c;
    for (size_t k = 0; k < 2 * c->layers && k < MOST; k++) {
        w->params[k] = info->params[k];
        if (!(c->frozen && c->frozen[k])) {
            w->out_of_bounds += c->lower && !(info->params[k] >= c->lower[k]);
            w->out_of_bounds += c->upper && !(info->params[k] <= c->upper[k]);
        }
        w->disorder += !isfinite(info->params[k]);
    }
    w->disorder += info->outcome != CBP_RUNNING;
    w->disorder += w->calls > 0 && info->iterations < w->last.iterations;
    w->disorder += w->calls > 0 && info->evaluations < w->last.evaluations;
    w->last = *info;
    return ++w->calls == w->stop_at;
}

static void watch_fit(call *c, watcher *w)
{
    w->c = c;
    c->options.progress = watch;
    c->options.user = w;
}

/* ---- problems ---------------------------------------------------------------------------------------------------- */

static const unsigned char line[] = {CBP_IDENTITY}, neuron[] = {CBP_SIGMOID};
static const unsigned char two_lines[] = {CBP_IDENTITY, CBP_IDENTITY};
static const unsigned char saturation[] = {CBP_EXPM1, CBP_IDENTITY};
static const unsigned char only_w[] = {0, 1}, only_b[] = {1, 0}, weights_only[] = {0, 1, 0, 1};
static const cbp_real zeros[] = {0, 0}, ones[] = {1, 1};

/* Points about a line, weights of which some are 0, and labels for one neuron: yes and no, some less sure. */
enum { POINTS = 40 };
static cbp_real point_x[POINTS], point_y[POINTS], point_weight[POINTS], point_label[POINTS];

static void fill_points(void)
{
    check_state = 11;
    for (size_t i = 0; i < POINTS; i++) {
        point_x[i] = R(random_between(-1, 1));
        point_y[i] = R(2 * (double)point_x[i] - 1 + random_between(-0.2, 0.2));
        point_weight[i] = i % 3 ? R(random_between(0, 2)) : 0;
        point_label[i] = i % 5 == 0 ? R(0.25) : random_between(-1, 1) < 2 * (double)point_x[i] + 0.25;
    }
    for (size_t i = 0; i < POINTS; i++) { /* outliers, where they leave the slope alone */
        point_y[i] += fabs((double)point_x[i]) < 0.1 ? i % 2 ? 2 : -3 : 0;
    }
}

/* Sums over the points, each multiplied by its weight. */
typedef struct sums {
    double one, x, y, xx, xy;
} sums;

static sums sums_of(const double *weight)
{
    sums s = {0};
    for (size_t i = 0; i < POINTS; i++) {
        const double x = (double)point_x[i], y = (double)point_y[i];
        s.one += weight[i];
        s.x += weight[i] * x;
        s.y += weight[i] * y;
        s.xx += weight[i] * x * x;
        s.xy += weight[i] * x * y;
    }
    return s;
}

/* The weights in double, or all 1. */
static void weights_of(const cbp_real *weight, double *weights)
{
    for (size_t i = 0; i < POINTS; i++) {
        weights[i] = weight ? (double)weight[i] : 1;
    }
}

/* factor * (sum weight [x, 1]' [x, 1])^-1 */
static void invert(const double *weight, double factor, double *inverse)
{
    const sums s = sums_of(weight);
    const double determinant = s.one * s.xx - s.x * s.x;
    inverse[0] = factor * s.one / determinant;
    inverse[1] = inverse[2] = -factor * s.x / determinant;
    inverse[3] = factor * s.xx / determinant;
}

static int near_all(const cbp_real *a, const double *b, size_t n, double units)
{
    double scale = 0;
    for (size_t k = 0; k < n; k++) {
        scale = fmax(scale, fabs(b[k]));
    }
    for (size_t k = 0; k < n; k++) {
        if (!near((double)a[k], b[k], scale, units)) {
            return 0;
        }
    }
    return 1;
}

/* y = b1 (1 - exp(-b2 x)) as w1 = -b2, w2 = -b1, from the statistical reference datasets of NIST: certified values,
 * their standard deviations, and the sum of squares. */
typedef struct certified {
    size_t n;
    cbp_real x[14], y[14];
    double b1, b2, sd1, sd2, squares, start[2][2]; /* of b1, b2 */
} certified;

static const certified misra1a = {
    14,
    {R(77.6), R(114.9), R(141.1), R(190.8), R(239.9), R(289), R(332.8), R(378.4), R(434.8), R(477.3), R(536.8),
     R(593.1), R(689.1), R(760)},
    {R(10.07), R(14.73), R(17.94), R(23.93), R(29.61), R(35.18), R(40.02), R(44.82), R(50.76), R(55.05), R(61.01),
     R(66.4), R(75.47), R(81.78)},
    238.94212918, 0.00055015643181, 2.7070075241, 7.2668688436e-06, 0.12455138894, {{500, 1e-4}, {250, 5e-4}}};

static const certified boxbod = {6,
                                 {1, 2, 3, 5, 7, 10},
                                 {109, 149, 149, 191, 213, 224},
                                 213.80940889,
                                 0.54723748542,
                                 12.354515176,
                                 0.10455993237,
                                 1168.0088766,
                                 {{1, 1}, {100, 0.75}}};

static call fit_of_certified(const certified *problem, size_t start, cbp_real *params)
{
    call c = fit_of(saturation, 2, problem->x, problem->y, problem->n);
    c.frozen = weights_only;
    params[0] = R(-problem->start[start][1]);
    params[2] = R(-problem->start[start][0]);
    params[1] = params[3] = 0;
    return c;
}

/* ---- what all fits share ----------------------------------------------------------------------------------------- */

static void test_random_bits(void)
{
    uint64_t state = 0;
    CHECK(cbp_random_bits(&state) == UINT64_C(0xe220a8397b1dcdaf));
    CHECK(cbp_random_bits(&state) == UINT64_C(0x6e789e6aa1b965f4));
    CHECK(cbp_random_bits(&state) == UINT64_C(0x06c45d188009454f));
    CHECK(state == 3 * UINT64_C(0x9e3779b97f4a7c15));
}

/* States after which all 64 bits are 1, all but the last, or none. */
#define BEFORE_ALL UINT64_C(0x31628af67b2131ab)
#define BEFORE_ALL_BUT_ONE UINT64_C(0x4f10d6ffa9921217)
#define BEFORE_NONE UINT64_C(0x61c8864680b583eb)

static void test_random_uniform(void)
{
    uint64_t state = BEFORE_ALL;
    CHECK(cbp_random_uniform(&state) == 1 - R(EPSILON) / 2); /* the largest below 1 */
    state = BEFORE_NONE;
    CHECK(cbp_random_uniform(&state) == 0);

    /* Means of 1, t and t^2 over 20000 draws, whose standard deviations are 0.002 and 0.0021. */
    double sum = 0, squares = 0;
    uint64_t bits = state = 5;
    for (int i = 0; i < 20000; i++) {
        const double t = (double)cbp_random_uniform(&state), kept = ldexp(t, sizeof(cbp_real) == 4 ? 24 : 53);
        CHECK(t >= 0 && t < 1 && kept == floor(kept));
        CHECK(kept == (double)(cbp_random_bits(&bits) >> (sizeof(cbp_real) == 4 ? 40 : 11)));
        sum += t;
        squares += t * t;
    }
    CHECK(fabs(sum / 20000 - 0.5) < 0.01 && fabs(squares / 20000 - 1.0 / 3) < 0.01);
}

static void test_random_below(void)
{
    /* Of 2^64 numbers the last is one too many for 3, none for 2. */
    const uint64_t step = UINT64_C(0x9e3779b97f4a7c15);
    uint64_t state = BEFORE_ALL;
    const size_t again = cbp_random_below(&state, 3);
    CHECK(again < 3 && state == BEFORE_ALL + 2 * step);
    state = BEFORE_ALL + step;
    CHECK(cbp_random_below(&state, 3) == again);
    state = BEFORE_ALL_BUT_ONE;
    CHECK(cbp_random_below(&state, 3) == 2 && state == BEFORE_ALL_BUT_ONE + step);
    state = BEFORE_ALL;
    CHECK(cbp_random_below(&state, 2) == 1 && state == BEFORE_ALL + step);
    state = BEFORE_NONE;
    CHECK(cbp_random_below(&state, 7) == 0);

    for (size_t count = 1; count <= 10; count++) {
        size_t found[10] = {0};
        state = count;
        for (int i = 0; i < 10000; i++) {
            const size_t drawn = cbp_random_below(&state, count);
            CHECK(drawn < count);
            found[drawn < count ? drawn : 0]++;
        }
        for (size_t k = 0; k < count; k++) { /* within 5 standard deviations */
            const double mean = 10000 / (double)count;
            CHECK(fabs((double)found[k] - mean) <= 5 * sqrt(mean * (1 - 1 / (double)count)));
        }
    }

    /* Where the remainder alone would come twice as often in the first third as in the rest. */
    if (sizeof(size_t) == 8) {
        const size_t most = (size_t)(UINT64_C(3) << 51);
        int low = 0;
        for (int i = 0; i < 3000; i++) {
            const size_t drawn = cbp_random_below(&state, most);
            CHECK(drawn < most);
            low += drawn < most / 3;
        }
        CHECK(low > 850 && low < 1150);
    }
}

static void test_defaults(void)
{
    cbp_fit_options options;
    memset(&options, 77, sizeof options);
    CHECK(cbp_fit_defaults(NULL) == CBP_ERROR_NULL);
    CHECK(cbp_fit_defaults(&options) == CBP_OK);
    CHECK(options.size == sizeof options && options.loss == CBP_SQUARED && options.scale == 1);
    CHECK(options.max_iterations == 2000 && options.tolerance == (sizeof(cbp_real) == 4 ? R(1e-5) : R(1e-10)));
    CHECK(options.progress == NULL && options.user == NULL && options.history == NULL && options.history_len == 0);
    CHECK(options.restarts == 0 && options.seed == 0 && options.method == CBP_GRADIENT_DESCENT);
    CHECK(options.learning_rate == R(0.1) && options.momentum == R(0.9) && options.batch_size == 0);
}

/* ---- straight lines ---------------------------------------------------------------------------------------------- */

/* Weighted least squares in closed form: parameters, variance, covariance, and both curvatures agree. */
static void test_line(const cbp_real *weight)
{
    const double starts[][2] = {{-0.5, 0.5}, {0, 0}, {1000, -1000}, {2, -1}};
    double weights[POINTS], expected[4], squares = 0, examples = 0;
    weights_of(weight, weights);
    const sums s = sums_of(weights);
    const double w = (s.one * s.xy - s.x * s.y) / (s.one * s.xx - s.x * s.x), b = (s.y - w * s.x) / s.one;
    for (size_t i = 0; i < POINTS; i++) {
        const double residual = w * (double)point_x[i] + b - (double)point_y[i];
        squares += weights[i] * residual * residual;
        examples += weights[i] > 0;
    }
    const double variance = squares / (examples - 2);
    invert(weights, variance, expected);
    for (size_t k = 0; k < sizeof starts / sizeof *starts; k++) {
        cbp_real params[] = {R(starts[k][0]), R(starts[k][1])};
        call c = fit_of(line, 1, point_x, point_y, POINTS);
        c.weight = weight;
        CHECK(fit(&c, params) == CBP_OK);
        check_minimum(&c, params);
        CHECK(c.info.iterations > 0 && c.info.iterations <= 10 && c.info.evaluations == c.info.iterations + 1);
        CHECK(fabs((double)params[0] - w) <= 8 * (double)c.options.tolerance + 64 * EPSILON);
        CHECK(fabs((double)params[1] - b) <= 8 * (double)c.options.tolerance + 64 * EPSILON);
        CHECK(near((double)c.info.loss, squares / s.one, 0, 256));
        for (int curvature = 0; curvature < CURVATURES; curvature++) {
            spread found;
            CHECK(covariance_of(&c, params, curvature, &found) == CBP_OK);
            CHECK(near((double)found.variance, variance, 0, 256));
            CHECK(near_all(found.covariance, expected, 4, 512));
            CHECK(found.determined[0] == CBP_DETERMINED && found.determined[1] == CBP_DETERMINED);
            CHECK(found.covariance[4] == 5 && found.determined[2] == 55);
        }
    }
}

/* One parameter alone: the mean of the rest, and its variance. */
static void test_frozen(void)
{
    const cbp_real no_number[] = {0, R(NAN)};
    double weights[POINTS];
    weights_of(NULL, weights);
    const sums s = sums_of(weights);
    for (int which = 0; which < 2; which++) {
        cbp_real params[] = {R(1.5), R(-0.75)};
        const double w = which == 0 ? (s.xy + 0.75 * s.x) / s.xx : 1.5;
        const double b = which == 1 ? (s.y - 1.5 * s.x) / s.one : -0.75;
        double squares = 0;
        call c = fit_of(line, 1, point_x, point_y, POINTS);
        c.frozen = which == 0 ? only_w : only_b;
        CHECK(fit(&c, params) == CBP_OK);
        check_minimum(&c, params);
        CHECK(same(params[1 - which], which == 0 ? R(-0.75) : R(1.5)));
        CHECK(fabs((double)params[which] - (which == 0 ? w : b)) <= 8 * (double)c.options.tolerance + 64 * EPSILON);
        for (size_t i = 0; i < POINTS; i++) {
            const double residual = w * (double)point_x[i] + b - (double)point_y[i];
            squares += residual * residual;
        }
        for (int curvature = 0; curvature < CURVATURES; curvature++) {
            spread found;
            CHECK(covariance_of(&c, params, curvature, &found) == CBP_OK);
            const double variance = squares / (POINTS - 1);
            CHECK(near((double)found.variance, variance, 0, 256));
            CHECK(near((double)found.covariance[3 * which], variance / (which == 0 ? s.xx : s.one), 0, 512));
            CHECK(found.covariance[1] == 0 && found.covariance[2] == 0 && found.covariance[3 - 3 * which] == 0);
            CHECK(found.determined[which] == CBP_DETERMINED && found.determined[1 - which] == CBP_FROZEN);
        }
    }

    /* Bounds of what is frozen are not read; w is held to 0 by its own. */
    cbp_real params[] = {0, R(-0.75)};
    call c = fit_of(line, 1, point_x, point_y, POINTS);
    c.frozen = only_w;
    c.lower = c.upper = no_number;
    CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_CONVERGED);
    CHECK(same(params[0], 0) && same(params[1], R(-0.75)));

    /* All frozen leaves nothing to fit; its covariance is nothing. */
    const unsigned char both[] = {1, 1};
    spread found;
    c.frozen = both;
    c.lower = c.upper = NULL;
    CHECK(fit(&c, params) == CBP_ERROR_NO_FREE);
    for (int curvature = 0; curvature < CURVATURES; curvature++) {
        CHECK(covariance_of(&c, params, curvature, &found) == CBP_OK);
        CHECK(found.determined[0] == CBP_FROZEN && found.determined[1] == CBP_FROZEN);
        for (size_t k = 0; k < 4; k++) {
            CHECK(found.covariance[k] == 0);
        }
    }
}

/* An example of weight 3 is three examples, for every loss, but for what is left over of them. */
static void test_repetitions(void)
{
    cbp_real weight[POINTS], x[3 * POINTS], y[3 * POINTS];
    for (int loss = 0; loss < CBP_LOSS_END; loss++) {
        const cbp_real *targets = loss == CBP_LOG_LOSS ? point_label : point_y;
        const unsigned char *chain = loss == CBP_LOG_LOSS ? neuron : line;
        size_t n = 0, positive = 0;
        for (size_t i = 0; i < POINTS; i++) {
            weight[i] = R(i % 4);
            positive += i % 4 > 0;
            for (size_t k = 0; k < i % 4; k++, n++) {
                x[n] = point_x[i];
                y[n] = targets[i];
            }
        }
        cbp_real weighted[] = {0, 0}, repeated[] = {0, 0};
        call c = fit_of(chain, 1, point_x, targets, POINTS), r = fit_of(chain, 1, x, y, n);
        c.weight = weight;
        c.options.loss = r.options.loss = loss;
        c.options.scale = r.options.scale = R(0.5);
        CHECK(fit(&c, weighted) == CBP_OK && fit(&r, repeated) == CBP_OK);
        check_minimum(&c, weighted);
        check_minimum(&r, repeated);
        CHECK(near((double)c.info.loss, (double)r.info.loss, 0, 256));
        const double within = 32 * (double)c.options.tolerance + 256 * EPSILON;
        CHECK(fabs((double)(weighted[0] - repeated[0])) <= within);
        CHECK(fabs((double)(weighted[1] - repeated[1])) <= within);
        for (int curvature = 0; curvature < CURVATURES; curvature++) {
            const double ratio = loss == CBP_LOG_LOSS ? 1 : (double)(n - 2) / (double)(positive - 2);
            spread few, many;
            CHECK(covariance_of(&c, weighted, curvature, &few) == CBP_OK);
            CHECK(covariance_of(&r, repeated, curvature, &many) == CBP_OK);
            double expected[4];
            for (int k = 0; k < 4; k++) {
                expected[k] = (double)many.covariance[k] * ratio;
            }
            CHECK(near((double)few.variance, (double)many.variance * ratio, 0, 16 * within / EPSILON));
            CHECK(near_all(few.covariance, expected, 4, 32 * within / EPSILON));
        }
    }
}

/* Layers that are frozen at the beginning are a change of the inputs: here their logarithms, of 0 too, by which a power
 * law is an exponential. Up to 128 examples it is made once, with the same bits; what is told of the fit is of all the
 * chain. */
static void test_leading(void)
{
    const unsigned char power[] = {CBP_LOG, CBP_EXP}, last_two[] = {1, 1, 0, 0};
    const size_t lengths[] = {5, 128, 129, 300};
    cbp_real x[300], inside[300], y[300];
    check_state = 29;
    for (size_t i = 0; i < 300; i++) {
        x[i] = R(i % 50) / 16;
        y[i] = R(2 * pow((double)x[i], 1.5) + random_between(-0.1, 0.1));
    }
    const cbp_real as_is[] = {1, 0};
    CHECK(cbp_forward(as_is, power, x, 1, 300, inside) == CBP_OK && isinf(inside[0]));
    for (size_t k = 0; k < 4; k++) {
        for (int bounded = 0; bounded < 2; bounded++) {
            const cbp_real lower[] = {5, 5, R(0.75), 0}, upper[] = {4, 4, bounded ? R(1.25) : 9, 9}; /* w is held */
            watcher w = {0};
            spread found;
            cbp_real params[] = {1, 0, 1, R(0.5)};
            call c = fit_of(power, 2, x, y, lengths[k]);
            c.frozen = last_two;
            c.lower = lower;
            c.upper = upper;
            watch_fit(&c, &w);
            CHECK(fit(&c, params) == CBP_OK);
            check_valley(&c, params);
            CHECK(w.calls > 1 && w.out_of_bounds == 0 && w.disorder == 0);
            CHECK(params[0] == 1 && params[1] == 0 && w.params[0] == 1 && w.params[1] == 0);
            CHECK(bounded ? params[2] == R(1.25) : fabs((double)params[2] - 1.5) < 0.2);
            CHECK(covariance_of(&c, params, GAUSS_NEWTON, &found) == CBP_OK && found.determined[0] == CBP_FROZEN);
            CHECK(found.determined[2] == (bounded ? CBP_AT_BOUND : CBP_DETERMINED));
            CHECK(found.determined[3] == CBP_DETERMINED && found.covariance[15] > 0);
            if (lengths[k] <= 128) {
                cbp_real direct[] = {1, R(0.5)};
                for (size_t i = 0; i < lengths[k]; i++) {
                    inside[i] = inside[i] < 0 && isinf(inside[i]) ? -HUGE_REAL : inside[i]; /* data are finite */
                }
                call d = fit_of(power + 1, 1, inside, y, lengths[k]);
                d.lower = lower + 2;
                d.upper = upper + 2;
                CHECK(fit(&d, direct) == CBP_OK && same_all(direct, params + 2, 2));
                CHECK(d.info.iterations == c.info.iterations && same(d.info.loss, c.info.loss));
            }
        }
    }

    /* Outside the domain of what is frozen there is no loss. */
    cbp_real params[] = {-1, 0, 1, R(0.5)};
    call c = fit_of(power, 2, x, y, 5);
    c.frozen = last_two;
    CHECK(fit(&c, params) == CBP_ERROR_START_LOSS && params[0] == -1 && params[2] == 1);
}

/* ---- published fits ---------------------------------------------------------------------------------------------- */

static int has_digits(double found, double expected, double digits)
{
    return fabs(found - expected) <= pow(10, -digits) * fabs(expected);
}

/* In double to all digits that this arithmetic can give. In single, rounding moves the outputs as noise of some
 * EPSILON of their size does, which is to the noise of the data as the error is to the standard deviation. */
static void test_certified(const certified *problem)
{
    for (size_t start = 0; start < 2; start++) {
        cbp_real params[4];
        spread found;
        call c = fit_of_certified(problem, start, params);
        CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_CONVERGED);
        check_info(&c, params);
        CHECK(same(params[1], 0) && same(params[3], 0));
        const double b1 = -(double)params[2], b2 = -(double)params[0];
        const double noise = sqrt(problem->squares / (double)(problem->n - 2));
        const double largest = (double)problem->y[problem->n - 1];
        const double part = 8 * (double)c.options.tolerance + 64 * EPSILON * largest / noise; /* of sd1, sd2 */
        CHECK(fabs(b1 - problem->b1) <= part * problem->sd1 + 1e-10 * problem->b1);
        CHECK(fabs(b2 - problem->b2) <= part * problem->sd2 + 1e-10 * problem->b2);
        CHECK(near((double)c.info.loss * (double)problem->n, problem->squares, 0, part / EPSILON + 1e-10 / EPSILON));
        CHECK(covariance_of(&c, params, GAUSS_NEWTON, &found) == CBP_OK);
        const double sd1 = sqrt((double)found.covariance[2 * 4 + 2]), sd2 = sqrt((double)found.covariance[0]);
        CHECK(fabs(sd1 - problem->sd1) <= (part + 1e-9) * problem->sd1);
        CHECK(fabs(sd2 - problem->sd2) <= (part + 1e-9) * problem->sd2);
        CHECK(found.determined[0] == CBP_DETERMINED && found.determined[1] == CBP_FROZEN);
        CHECK(found.determined[2] == CBP_DETERMINED && found.determined[3] == CBP_FROZEN);
        CHECK(sizeof(cbp_real) == 4 || (has_digits(b1, problem->b1, 9) && has_digits(b2, problem->b2, 9)));
        CHECK(sizeof(cbp_real) == 4 || (has_digits(sd1, problem->sd1, 8) && has_digits(sd2, problem->sd2, 8)));

        /* The observed curvature: half of the exact Hessian of the sum, inverted. */
        cbp_real hessian[16], *work = numbers(cbp_hessian_work_len(2));
        CHECK(cbp_hessian(params, saturation, c.x, c.y, NULL, 2, c.n, CBP_SQUARED, 1, work, hessian) == CBP_OK);
        const double half = (double)c.n / 2, h00 = half * (double)hessian[0], h02 = half * (double)hessian[2];
        const double h22 = half * (double)hessian[10], factor = (double)found.variance / (h00 * h22 - h02 * h02);
        const double condition = h00 * h22 / (h00 * h22 - h02 * h02);
        CHECK(covariance_of(&c, params, OBSERVED, &found) == CBP_OK);
        CHECK(near((double)found.covariance[0], factor * h22, 0, 16 * condition));
        CHECK(near((double)found.covariance[2], -factor * h02, 0, 16 * condition));
        CHECK(near((double)found.covariance[10], factor * h00, 0, 16 * condition));
        CHECK(same(found.covariance[2], found.covariance[8]) && found.covariance[1] == 0 && found.covariance[15] == 0);
        free(work);
    }
}

/* ---- other losses ------------------------------------------------------------------------------------------------ */

/* A loss over r^2 for small r: E'/(2 r), which is the weight of a reweighting, and E''/2. */
static double reweight(int loss, double r, double s)
{
    const double u = r / s;
    return loss == CBP_HUBER     ? fabs(r) <= s ? 1 : s / fabs(r)
           : loss == CBP_SOFT_L1 ? 1 / sqrt(1 + u * u)
           : loss == CBP_CAUCHY  ? 1 / (1 + u * u)
                                 : 1;
}

static double curvature_of(int loss, double r, double s)
{
    const double u = r / s;
    return loss == CBP_HUBER     ? fabs(r) <= s
           : loss == CBP_SOFT_L1 ? pow(1 + u * u, -1.5)
           : loss == CBP_CAUCHY  ? (1 - u * u) / ((1 + u * u) * (1 + u * u))
                                 : 1;
}

/* Robust losses come to rest where the reweighted residuals are at right angles to 1 and x, and their covariances are
 * those of the last reweighting or of the second derivatives. */
static void test_robust(int loss, double scale, const cbp_real *weight)
{
    double weights[POINTS], again[POINTS], curved[POINTS], expected[4];
    double squares = 0, examples = 0, pulls[2] = {0}, sizes[2] = {0};
    cbp_real params[] = {0, 0};
    spread found;
    call c = fit_of(line, 1, point_x, point_y, POINTS);
    c.weight = weight;
    c.options.loss = loss;
    c.options.scale = R(scale);
    CHECK(fit(&c, params) == CBP_OK);
    check_minimum(&c, params);
    weights_of(weight, weights);
    for (size_t i = 0; i < POINTS; i++) {
        const double x = (double)point_x[i], r = (double)params[0] * x + (double)params[1] - (double)point_y[i];
        again[i] = weights[i] * reweight(loss, r, scale);
        curved[i] = weights[i] * curvature_of(loss, r, scale);
        squares += again[i] * r * r;
        examples += weights[i] > 0;
        pulls[0] += again[i] * r * x;
        pulls[1] += again[i] * r;
        sizes[0] += fabs(again[i] * r * x);
        sizes[1] += fabs(again[i] * r);
    }
    for (int k = 0; k < 2; k++) {
        CHECK(fabs(pulls[k]) <= (8 * (double)c.options.tolerance + 512 * EPSILON) * sizes[k]);
    }
    const double variance = squares / (examples - 2);
    for (int curvature = 0; curvature < CURVATURES; curvature++) {
        invert(curvature == GAUSS_NEWTON ? again : curved, variance, expected);
        CHECK(covariance_of(&c, params, curvature, &found) == CBP_OK);
        CHECK(near((double)found.variance, variance, 0, 1024));
        CHECK(near_all(found.covariance, expected, 4, 4096));
    }

    /* With a scale far above all residuals it is least squares; a parabola, to (r/s)^2. */
    cbp_real wide[] = {0, 0}, plain[] = {0, 0};
    c.options.scale = R(1e6);
    CHECK(fit(&c, wide) == CBP_OK);
    c.options.loss = CBP_SQUARED;
    CHECK(fit(&c, plain) == CBP_OK);
    CHECK(fabs((double)(wide[0] - plain[0])) <= 16 * (double)c.options.tolerance + 1e-10);
    CHECK(fabs((double)(wide[1] - plain[1])) <= 16 * (double)c.options.tolerance + 1e-10);
}

/* One neuron and the log loss: Newton's method, whose Hessian is Fisher's here. */
static void test_log_loss(const cbp_real *weight)
{
    double weights[POINTS], bent[POINTS], expected[4], w = 0, b = 0, loss = 0;
    weights_of(weight, weights);
    for (int i = 0; i < 30; i++) {
        double slope_w = 0, slope_b = 0;
        loss = 0;
        for (size_t k = 0; k < POINTS; k++) {
            const double x = (double)point_x[k], y = (double)point_label[k], p = 1 / (1 + exp(-w * x - b));
            bent[k] = weights[k] * p * (1 - p);
            slope_w += weights[k] * (p - y) * x;
            slope_b += weights[k] * (p - y);
            loss -= weights[k] * (y * log(p) + (1 - y) * log(1 - p));
        }
        invert(bent, 1, expected);
        w -= expected[0] * slope_w + expected[1] * slope_b;
        b -= expected[2] * slope_w + expected[3] * slope_b;
    }
    const double starts[][2] = {{0, 0}, {5, -3}, {-20, 10}};
    for (size_t k = 0; k < sizeof starts / sizeof *starts; k++) {
        cbp_real params[] = {R(starts[k][0]), R(starts[k][1])};
        call c = fit_of(neuron, 1, point_x, point_label, POINTS);
        c.weight = weight;
        c.options.loss = CBP_LOG_LOSS;
        CHECK(fit(&c, params) == CBP_OK);
        check_minimum(&c, params);
        CHECK(fabs((double)params[0] - w) <= 64 * (double)c.options.tolerance + 256 * EPSILON);
        CHECK(fabs((double)params[1] - b) <= 64 * (double)c.options.tolerance + 256 * EPSILON);
        CHECK(near((double)c.info.loss * sums_of(weights).one, loss, 0, 256));
        for (int curvature = 0; curvature < CURVATURES; curvature++) {
            spread found;
            const double part = 64 * (double)c.options.tolerance + 512 * EPSILON;
            CHECK(covariance_of(&c, params, curvature, &found) == CBP_OK);
            CHECK(found.variance == 1);
            CHECK(near_all(found.covariance, expected, 4, part / EPSILON));
        }
    }
}

/* Yes and no on two sides: the steeper the better, without end. The fit does end. */
static void test_separable(void)
{
    cbp_real labels[POINTS], params[] = {1, 0};
    for (size_t i = 0; i < POINTS; i++) {
        labels[i] = point_x[i] > 0;
    }
    call c = fit_of(neuron, 1, point_x, labels, POINTS);
    c.options.loss = CBP_LOG_LOSS;
    CHECK(fit(&c, params) == CBP_OK && (c.info.outcome == CBP_CONVERGED || c.info.outcome == CBP_EXHAUSTED));
    CHECK(isfinite(params[0]) && isfinite(params[1]) && params[0] > 10);
    CHECK(c.info.loss >= 0 && c.info.loss < R(1e-3));
}

/* Chains of two layers, under every loss: the gradient is about 0 where a fit says that it has converged. */
static void test_stationary(void)
{
    const unsigned char chains[][2] = {
        {CBP_TANH, CBP_IDENTITY}, {CBP_TANH, CBP_SIGMOID}, {CBP_SIGMOID, CBP_IDENTITY}, {CBP_ARCTAN, CBP_SIGMOID}};
    int converged = 0, fits = 0;
    for (size_t k = 0; k < sizeof chains / sizeof *chains; k++) {
        for (int loss = 0; loss < CBP_LOSS_END; loss++) {
            if (loss == CBP_LOG_LOSS && chains[k][1] != CBP_SIGMOID) {
                continue;
            }
            for (int weighted = 0; weighted < 2; weighted++) {
                cbp_real params[] = {1, R(0.25), R(0.75), R(-0.25)};
                cbp_real targets[POINTS];
                for (size_t i = 0; i < POINTS; i++) {
                    const double t = (double)point_x[i];
                    targets[i] = R(0.5 + 0.3 * tanh(3 * t + 0.5) + 0.1 * sin(40 * t));
                }
                call c = fit_of(chains[k], 2, point_x, targets, POINTS);
                c.weight = weighted ? point_weight : NULL;
                c.options.loss = loss;
                c.options.scale = R(0.125);
                CHECK(fit(&c, params) == CBP_OK);
                check_info(&c, params);
                if (c.info.outcome == CBP_CONVERGED) {
                    check_valley(&c, params);
                    converged++;
                }
                fits++;
            }
        }
    }
    CHECK(fits == 36 && converged >= 30);
}

/* A unit of measurement is nobody's choice: powers of 2 in x, y and the start change nothing but the exponents. */
static void test_units(void)
{
    const int far = sizeof(cbp_real) == 4 ? 20 : 200;
    cbp_real x[POINTS], y[POINTS];
    for (int loss = 0; loss < CBP_LOSS_END; loss++) {
        if (loss == CBP_LOG_LOSS) {
            continue;
        }
        cbp_real first[2] = {0};
        size_t iterations = 0;
        for (int k = 0; k < 5; k++) {
            const int by_x = k == 1 ? far : k == 2 ? -far : 0, by_y = k == 3 ? far : k == 4 ? -far : 0;
            for (size_t i = 0; i < POINTS; i++) {
                x[i] = R(ldexp((double)point_x[i], by_x));
                y[i] = R(ldexp((double)point_y[i], by_y));
            }
            cbp_real params[] = {R(ldexp(0.5, by_y - by_x)), R(ldexp(-0.25, by_y))};
            call c = fit_of(line, 1, x, y, POINTS);
            c.options.loss = loss;
            c.options.scale = R(ldexp(0.25, by_y));
            CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_CONVERGED);
            params[0] = R(ldexp((double)params[0], by_x - by_y));
            params[1] = R(ldexp((double)params[1], -by_y));
            memcpy(first, k ? first : params, sizeof first);
            iterations = k ? iterations : c.info.iterations;
            CHECK(same_all(params, first, 2) && c.info.iterations == iterations);
        }
    }
}

/* ---- bounds ------------------------------------------------------------------------------------------------------ */

/* The line may be no steeper than 1.5: w comes to stand there, or stays, and b makes the best of it. */
static void test_bound(void)
{
    const cbp_real upper[] = {R(1.5), R(INFINITY)}, lower[] = {R(-INFINITY), -10};
    const double starts[][2] = {{0, 0}, {1.5, 3}, {1.5, -10}, {-100, 50}};
    double weights[POINTS], squares = 0;
    weights_of(NULL, weights);
    const sums s = sums_of(weights);
    const double b = (s.y - 1.5 * s.x) / s.one;
    for (size_t i = 0; i < POINTS; i++) {
        const double residual = 1.5 * (double)point_x[i] + b - (double)point_y[i];
        squares += residual * residual;
    }
    for (size_t k = 0; k < sizeof starts / sizeof *starts; k++) {
        watcher w = {0};
        cbp_real params[] = {R(starts[k][0]), R(starts[k][1])};
        call c = fit_of(line, 1, point_x, point_y, POINTS);
        c.lower = lower;
        c.upper = upper;
        watch_fit(&c, &w);
        CHECK(fit(&c, params) == CBP_OK);
        check_minimum(&c, params);
        CHECK(params[0] == R(1.5) && w.out_of_bounds == 0 && w.disorder == 0);
        CHECK(fabs((double)params[1] - b) <= 8 * (double)c.options.tolerance + 64 * EPSILON);
        for (int curvature = 0; curvature < CURVATURES; curvature++) {
            spread found;
            CHECK(covariance_of(&c, params, curvature, &found) == CBP_OK);
            CHECK(found.determined[0] == CBP_AT_BOUND && found.determined[1] == CBP_DETERMINED);
            CHECK(found.covariance[0] == 0 && found.covariance[1] == 0 && found.covariance[2] == 0);
            CHECK(near((double)found.variance, squares / (POINTS - 1), 0, 256));
            CHECK(near((double)found.covariance[3], squares / (POINTS - 1) / s.one, 0, 256));
        }
    }
}

/* Bounds that the minimum keeps leave it where it is, from a start on one of them too. */
static void test_idle_bounds(void)
{
    const cbp_real lower[] = {-3, -4}, upper[] = {5, 6};
    const double starts[][2] = {{-3, -4}, {5, 6}, {-3, 6}, {5, -4}, {0, 0}, {-3, 0}};
    cbp_real plain[] = {0, 0};
    call p = fit_of(line, 1, point_x, point_y, POINTS);
    CHECK(fit(&p, plain) == CBP_OK);
    for (size_t k = 0; k < sizeof starts / sizeof *starts; k++) {
        watcher w = {0};
        spread found;
        cbp_real params[] = {R(starts[k][0]), R(starts[k][1])};
        call c = fit_of(line, 1, point_x, point_y, POINTS);
        c.lower = lower;
        c.upper = upper;
        watch_fit(&c, &w);
        CHECK(fit(&c, params) == CBP_OK);
        check_minimum(&c, params);
        CHECK(w.out_of_bounds == 0 && w.disorder == 0);
        CHECK(fabs((double)(params[0] - plain[0])) <= 8 * (double)c.options.tolerance + 64 * EPSILON);
        CHECK(fabs((double)(params[1] - plain[1])) <= 8 * (double)c.options.tolerance + 64 * EPSILON);
        CHECK(covariance_of(&c, params, GAUSS_NEWTON, &found) == CBP_OK);
        CHECK(found.determined[0] == CBP_DETERMINED && found.determined[1] == CBP_DETERMINED);
    }

    /* Two equal bounds are a freeze: both parameters held leaves nothing to move, and that is a minimum. */
    const cbp_real both[] = {R(0.5), R(0.25)};
    cbp_real params[] = {R(0.5), R(0.25)};
    spread found;
    call c = fit_of(line, 1, point_x, point_y, POINTS);
    c.lower = c.upper = both;
    CHECK(fit(&c, params) == CBP_OK && same_all(params, both, 2));
    check_minimum(&c, params);
    CHECK(c.info.gradient_norm == 0);
    CHECK(covariance_of(&c, params, GAUSS_NEWTON, &found) == CBP_OK);
    CHECK(found.determined[0] == CBP_AT_BOUND && found.determined[1] == CBP_AT_BOUND);
    CHECK(found.covariance[0] == 0 && found.covariance[1] == 0 && found.covariance[3] == 0);
}

/* A step that would pass two bounds at once, of w and of b, which pull in opposite directions. The minimum of
 * (w - 5)^2 + (10 w + b)^2 in the box is on its edge b = -1, at w = 15/101. */
static void test_corner(void)
{
    const cbp_real x[] = {9, 11}, y[] = {-5, 5}, lower[] = {-1, -1}, upper[] = {1, 1};
    cbp_real params[] = {0, 0};
    call c = fit_of(line, 1, x, y, 2);
    c.lower = lower;
    c.upper = upper;
    CHECK(fit(&c, params) == CBP_OK);
    check_minimum(&c, params);
    CHECK(params[1] == -1 && fabs((double)params[0] - 15.0 / 101) <= (double)c.options.tolerance * 8 + 64 * EPSILON);
}

/* Random boxes about lines whose w and b depend on each other: never left, and where the fit has converged no way is
 * down that does not leave the box. The loss is convex: that is then the minimum, and it is found. */
static void test_boxes(void)
{
    check_state = 17;
    size_t held = 0;
    for (int k = 0; k < 200; k++) {
        cbp_real x[12], y[12], lower[2], upper[2], params[2];
        const double shift = k % 2 ? 0 : random_between(-6, 6);
        const double slope = random_between(-3, 3), height = random_between(-3, 3);
        for (size_t i = 0; i < 12; i++) {
            x[i] = R(shift + random_between(-1, 1));
            y[i] = R(slope * (double)x[i] + height + random_between(-1, 1));
        }
        for (size_t j = 0; j < 2; j++) {
            const double end = random_between(-4, 4);
            lower[j] = R(k % 3 == 0 && j == 0 ? -INFINITY : end);
            upper[j] = R(end + random_between(0.1, 4));
            const double from = isfinite(lower[j]) ? (double)lower[j] : -4;
            params[j] = k % 5 == 0 ? upper[j] : R(random_between(from, (double)upper[j]));
            params[j] = params[j] > upper[j] ? upper[j] : params[j];
            params[j] = params[j] < lower[j] ? lower[j] : params[j];
        }
        watcher w = {0};
        call c = fit_of(line, 1, x, y, 12);
        c.lower = lower;
        c.upper = upper;
        c.options.loss = k % 4 == 1 ? CBP_HUBER : CBP_SQUARED;
        watch_fit(&c, &w);
        CHECK(fit(&c, params) == CBP_OK);
        check_valley(&c, params);
        CHECK(w.out_of_bounds == 0 && w.disorder == 0);
        CHECK(params[0] >= lower[0] && params[0] <= upper[0] && params[1] >= lower[1] && params[1] <= upper[1]);
        held += params[0] == lower[0] || params[0] == upper[0] || params[1] == lower[1] || params[1] == upper[1];
    }
    CHECK(held > 100);
}

/* The same with four parameters, of a chain that bends; restarts are drawn inside the box. */
static void test_curved_boxes(void)
{
    const unsigned char chain[] = {CBP_TANH, CBP_IDENTITY};
    size_t converged = 0;
    check_state = 19;
    for (int k = 0; k < 60; k++) {
        cbp_real lower[4], upper[4], params[4], targets[POINTS];
        const double bend = random_between(0.5, 4);
        for (size_t i = 0; i < POINTS; i++) {
            targets[i] = R(tanh(bend * (double)point_x[i] + 0.3) + random_between(-0.1, 0.1));
        }
        for (size_t j = 0; j < 4; j++) {
            const double middle = random_between(-1, 1) + (j % 2 ? 0 : 1);
            lower[j] = R(middle - random_between(0.1, 2));
            upper[j] = R(middle + random_between(0.1, 2));
            params[j] = R(middle);
        }
        watcher w = {0};
        call c = fit_of(chain, 2, point_x, targets, POINTS);
        c.lower = lower;
        c.upper = upper;
        c.options.restarts = k % 3 == 0 ? 3 : 0;
        watch_fit(&c, &w);
        CHECK(fit(&c, params) == CBP_OK);
        check_info(&c, params);
        CHECK(w.out_of_bounds == 0 && w.disorder == 0);
        for (size_t j = 0; j < 4; j++) {
            CHECK(params[j] >= lower[j] && params[j] <= upper[j]);
        }
        if (c.info.outcome == CBP_CONVERGED) {
            check_valley(&c, params);
            converged++;
        }
    }
    CHECK(converged >= 54);
}

/* ---- what the data do not say ------------------------------------------------------------------------------------ */

static int is_open(const spread *found, size_t all, size_t k)
{
    int open = found->determined[k] == CBP_UNDETERMINED && isinf(found->covariance[k * all + k]) &&
               found->covariance[k * all + k] > 0;
    for (size_t m = 0; m < all; m++) {
        const int fixed = found->determined[m] == CBP_FROZEN || found->determined[m] == CBP_AT_BOUND;
        const cbp_real row = found->covariance[k * all + m], column = found->covariance[m * all + k];
        open = open && (m == k || (fixed ? row == 0 && column == 0 : isnan(row) && isnan(column)));
    }
    return open;
}

/* w2 (w1 x + b1) + b2 is a line: it is found, though none of the four is told by it. */
static void test_redundant(void)
{
    cbp_real plain[] = {0, 0};
    call p = fit_of(line, 1, point_x, point_y, POINTS);
    CHECK(fit(&p, plain) == CBP_OK);
    for (int weighted = 0; weighted < 2; weighted++) {
        cbp_real params[] = {1, R(0.5), R(0.75), R(-0.5)};
        spread found;
        call c = fit_of(two_lines, 2, point_x, point_y, POINTS);
        c.weight = weighted ? point_weight : NULL;
        p.weight = c.weight;
        CHECK(fit(&p, plain) == CBP_OK);
        CHECK(fit(&c, params) == CBP_OK);
        check_minimum(&c, params);
        CHECK(near((double)c.info.loss, (double)p.info.loss, 0, 256));
        const double within = 64 * (double)c.options.tolerance + 256 * EPSILON;
        CHECK(fabs((double)(params[0] * params[2] - plain[0])) <= within);
        CHECK(fabs((double)(params[1] * params[2] + params[3] - plain[1])) <= within);
        for (int curvature = 0; curvature < CURVATURES; curvature++) {
            CHECK(covariance_of(&c, params, curvature, &found) == CBP_OK);
            for (size_t k = 0; k < 4; k++) {
                CHECK(is_open(&found, 4, k));
            }
        }

        /* Once w2 and b2 are frozen, the rest is told. */
        const unsigned char last[] = {0, 0, 1, 1};
        c.frozen = last;
        CHECK(fit(&c, params) == CBP_OK);
        check_minimum(&c, params);
        CHECK(covariance_of(&c, params, GAUSS_NEWTON, &found) == CBP_OK);
        CHECK(found.determined[0] == CBP_DETERMINED && found.determined[1] == CBP_DETERMINED);
        spread straight;
        CHECK(covariance_of(&p, plain, GAUSS_NEWTON, &straight) == CBP_OK);
        const double part = (double)(params[2] * params[2]);
        CHECK(near((double)found.covariance[0] * part, (double)straight.covariance[0], 0, 64 * within / EPSILON));
        CHECK(near((double)found.covariance[5] * part, (double)straight.covariance[3], 0, 64 * within / EPSILON));
        CHECK(near((double)found.variance, (double)straight.variance, 0, 64 * within / EPSILON));
    }
}

/* Inputs that are all 0, or a unit that is never active, make a weight say nothing. */
static void test_without_effect(void)
{
    const unsigned char dead[] = {CBP_RELU, CBP_IDENTITY};
    const cbp_real nothing[POINTS] = {0};
    double mean = 0;
    for (size_t i = 0; i < POINTS; i++) {
        mean += (double)point_y[i] / POINTS;
    }
    cbp_real params[] = {R(0.5), 0};
    spread found;
    call c = fit_of(line, 1, nothing, point_y, POINTS);
    CHECK(fit(&c, params) == CBP_OK);
    check_minimum(&c, params);
    CHECK(isfinite(params[0]) && fabs((double)params[1] - mean) <= 8 * (double)c.options.tolerance + 64 * EPSILON);
    for (int curvature = 0; curvature < CURVATURES; curvature++) {
        CHECK(covariance_of(&c, params, curvature, &found) == CBP_OK);
        CHECK(is_open(&found, 2, 0));
        CHECK(found.determined[1] == CBP_DETERMINED);
        CHECK(near((double)found.covariance[3], (double)found.variance / POINTS, 0, 256));
    }

    cbp_real asleep[] = {1, -10, R(0.5), 0};
    call d = fit_of(dead, 2, point_x, point_y, POINTS);
    CHECK(fit(&d, asleep) == CBP_OK);
    check_minimum(&d, asleep);
    CHECK(fabs((double)asleep[3] - mean) <= 8 * (double)d.options.tolerance + 64 * EPSILON);
    CHECK(covariance_of(&d, asleep, GAUSS_NEWTON, &found) == CBP_OK);
    CHECK(is_open(&found, 4, 0) && is_open(&found, 4, 1) && is_open(&found, 4, 2));
    CHECK(found.determined[3] == CBP_DETERMINED && found.covariance[15] > 0);
    CHECK(near((double)found.covariance[15], (double)found.variance / POINTS, 0, 256));
}

/* As many examples as parameters are met exactly, and nothing is left to tell the variance by. */
static void test_nothing_left(void)
{
    const cbp_real x[] = {1, 3, 7}, y[] = {2, 8, 5}, one_of_three[] = {1, 1, 0};
    for (size_t n = 2; n <= 3; n++) {
        cbp_real params[] = {0, 0};
        spread found;
        call c = fit_of(line, 1, x, y, n);
        c.weight = n == 3 ? one_of_three : NULL;
        CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_CONVERGED);
        CHECK(near((double)params[0], 3, 0, 64) && near((double)params[1], -1, 0, 256));
        CHECK(c.info.loss <= R(4096 * EPSILON * EPSILON));
        for (int curvature = 0; curvature < CURVATURES; curvature++) {
            CHECK(covariance_of(&c, params, curvature, &found) == CBP_OK);
            CHECK(isnan(found.variance));
            CHECK(isnan(found.covariance[0]) && isnan(found.covariance[1]) && isnan(found.covariance[3]));
            CHECK(found.determined[0] == CBP_DETERMINED && found.determined[1] == CBP_DETERMINED);
        }
    }

    /* A single example and a single parameter. */
    cbp_real params[] = {0, R(-0.5)};
    spread found;
    call one = fit_of(line, 1, x + 1, y + 1, 1);
    one.frozen = only_w;
    CHECK(fit(&one, params) == CBP_OK && one.info.outcome == CBP_CONVERGED);
    CHECK(near((double)params[0], 8.5 / 3, 0, 16) && same(params[1], R(-0.5)));
    CHECK(covariance_of(&one, params, GAUSS_NEWTON, &found) == CBP_OK && isnan(found.variance));
    CHECK(isnan(found.covariance[0]) && found.covariance[3] == 0 && found.determined[0] == CBP_DETERMINED);

    /* The log loss needs nothing left over; its variance is 1. */
    const cbp_real half[] = {R(0.25), R(0.75)};
    cbp_real logistic[] = {0, 0};
    call l = fit_of(neuron, 1, x, half, 2);
    l.options.loss = CBP_LOG_LOSS;
    CHECK(fit(&l, logistic) == CBP_OK && l.info.outcome == CBP_CONVERGED);
    CHECK(fabs((double)logistic[0] - log(3)) <= 64 * (double)l.options.tolerance + 64 * EPSILON);
    CHECK(covariance_of(&l, logistic, OBSERVED, &found) == CBP_OK && found.variance == 1);
    CHECK(isfinite(found.covariance[0]) && found.covariance[0] > 0);
}

/* Data that a chain can meet exactly: no residual is left, and that is convergence. */
static void test_exact(void)
{
    cbp_real y[POINTS], nothing[POINTS] = {0};
    for (size_t i = 0; i < POINTS; i++) {
        y[i] = 2 * point_x[i] - 1;
    }
    const double starts[][2] = {{0, 0}, {2, -1}, {1, 1}};
    for (size_t k = 0; k < 3; k++) {
        cbp_real params[] = {R(starts[k][0]), R(starts[k][1])};
        call c = fit_of(line, 1, point_x, y, POINTS);
        CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_CONVERGED && c.info.iterations <= 10);
        CHECK(near((double)params[0], 2, 0, 32) && near((double)params[1], -1, 0, 32));

        cbp_real none[] = {R(starts[k][0]), R(starts[k][1])};
        call z = fit_of(line, 1, point_x, nothing, POINTS);
        CHECK(fit(&z, none) == CBP_OK && z.info.outcome == CBP_CONVERGED);
        CHECK(fabs((double)none[0]) <= 32 * EPSILON && fabs((double)none[1]) <= 32 * EPSILON);
    }
}

/* An observed curvature that bends down somewhere: far from a minimum, the Hessian is not positive definite. */
static void test_no_minimum(void)
{
    const cbp_real params[] = {-3, 0, 3, 0};
    spread found;
    call c = fit_of(two_lines, 2, point_x, point_y, POINTS);
    c.frozen = weights_only;
    CHECK(covariance_of(&c, params, OBSERVED, &found) == CBP_OK);
    CHECK(is_open(&found, 4, 0) && is_open(&found, 4, 2));
    CHECK(found.determined[1] == CBP_FROZEN && found.determined[3] == CBP_FROZEN);
    CHECK(found.covariance[5] == 0 && found.covariance[7] == 0 && found.covariance[15] == 0);
}

/* ---- how fits go and end ----------------------------------------------------------------------------------------- */

/* Every call: the best so far, which never becomes worse, with the numbers that belong to it. */
typedef struct witness {
    const call *c;
    size_t calls, wrong;
    cbp_real last;
} witness;

static int witness_best(void *user, const cbp_fit_info *info)
{
    witness *w = user;
    cbp_real loss;
    const call *c = w->c;
    w->wrong += cbp_loss_mean(info->params, c->activations, c->x, c->y, c->weight, c->layers, c->n, c->options.loss,
                              c->options.scale, &loss) != CBP_OK;
    w->wrong += !near((double)loss, (double)info->loss, 0, 16);
    w->wrong += w->calls > 0 && !((double)info->loss <= (double)w->last * (1 + 1024 * EPSILON));
    w->wrong += (size_t) !(info->gradient_norm >= 0);
    w->last = info->loss;
    w->calls++;
    return 0;
}

/* Called after each iteration, the last one too; with the best so far. */
static void test_progress(void)
{
    watcher w = {0};
    cbp_real params[4];
    call c = fit_of_certified(&misra1a, 0, params);
    watch_fit(&c, &w);
    CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_CONVERGED);
    CHECK(w.calls == c.info.iterations);
    CHECK(w.last.iterations == c.info.iterations && w.last.evaluations == c.info.evaluations);
    CHECK(w.disorder == 0);

    /* BoxBOD leads astray: the second attempt finds the minimum. */
    witness best = {.c = &c};
    c = fit_of_certified(&boxbod, 0, params);
    c.options.progress = witness_best;
    c.options.user = &best;
    CHECK(fit(&c, params) == CBP_OK && best.calls > 3 && best.wrong == 0);

    /* With restarts too, whose points are far from the best. */
    best.calls = 0;
    c.options.restarts = 5;
    params[0] = params[2] = -1;
    CHECK(fit(&c, params) == CBP_OK && best.calls > 10 && best.wrong == 0);
}

/* Stopped after any iteration: what is returned is what the progress function saw. */
static void test_stopped(void)
{
    cbp_real params[4], history[200];
    call whole = fit_of_certified(&misra1a, 0, params);
    CHECK(fit(&whole, params) == CBP_OK && whole.info.iterations < 200);
    for (size_t stop_at = 1; stop_at < whole.info.iterations; stop_at++) {
        watcher w = {.stop_at = stop_at};
        call c = fit_of_certified(&misra1a, 0, params);
        c.options.restarts = 2; /* are not tried after a stop */
        c.options.history = history;
        c.options.history_len = 200;
        watch_fit(&c, &w);
        CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_STOPPED);
        CHECK(w.calls == stop_at && c.info.iterations == stop_at && c.info.evaluations == stop_at + 1);
        CHECK(same_all(params, w.params, 4) && same(c.info.loss, w.last.loss) && same(c.info.loss, history[stop_at]));
        CHECK(same(c.info.gradient_norm, w.last.gradient_norm));
        check_info(&c, params);
    }

    /* Stopped in a restart. */
    watcher w = {.stop_at = whole.info.iterations + 2};
    call c = fit_of_certified(&misra1a, 0, params);
    c.options.restarts = 3;
    watch_fit(&c, &w);
    CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_STOPPED && w.calls == w.stop_at);
    CHECK(c.info.loss <= whole.info.loss * R(1 + 64 * EPSILON));
    check_info(&c, params);
}

/* history[k] is the loss of a fit of k iterations; no further than it is long. */
static void test_history(void)
{
    cbp_real history[9], params[4];
    for (size_t len = 0; len <= 8; len++) {
        for (int k = 0; k < 9; k++) {
            history[k] = -5;
        }
        for (size_t iterations = 6; iterations > 0; iterations--) {
            call c = fit_of_certified(&misra1a, 0, params);
            c.options.max_iterations = iterations;
            c.options.history = iterations == 6 ? history : NULL;
            c.options.history_len = len;
            CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_EXHAUSTED);
            CHECK(c.info.iterations == iterations && c.info.evaluations == iterations + 1);
            CHECK(iterations >= len || same(history[iterations], c.info.loss));
            check_info(&c, params);
        }
        for (size_t k = 0; k < 9; k++) {
            CHECK(k < len && k <= 6 ? history[k] > 0 : history[k] == -5);
            CHECK(k == 0 || k >= len || k > 6 || history[k] <= history[k - 1]);
        }
    }
}

/* One iteration is one step, from a start that is kept if it is no better. */
static void test_one_iteration(void)
{
    watcher w = {0};
    cbp_real params[] = {R(-0.5), R(0.5)}, plain[] = {0, 0};
    call c = fit_of(line, 1, point_x, point_y, POINTS), p = c;
    CHECK(fit(&p, plain) == CBP_OK);
    c.options.max_iterations = 1;
    watch_fit(&c, &w);
    CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_EXHAUSTED);
    CHECK(c.info.iterations == 1 && c.info.evaluations == 2 && w.calls == 1);
    CHECK(near((double)params[0], (double)plain[0], 1, 64) && near((double)params[1], (double)plain[1], 1, 64));

    /* A start at the minimum stays. */
    p = c;
    p.options.progress = NULL;
    p.options.max_iterations = 1000;
    cbp_real there[] = {plain[0], plain[1]};
    CHECK(fit(&p, there) == CBP_OK && p.info.outcome == CBP_CONVERGED && p.info.iterations <= 2);
    CHECK(near((double)there[0], (double)plain[0], 1, 64) && near((double)there[1], (double)plain[1], 1, 64));

    /* A tolerance of 0 asks for all that rounding gives; one of 1 takes the first step that is no longer than the
     * residuals. */
    p.options.tolerance = 0;
    there[0] = there[1] = 0;
    CHECK(fit(&p, there) == CBP_OK && p.info.outcome == CBP_CONVERGED && p.info.iterations < 20);
    CHECK(near((double)there[0], (double)plain[0], 1, 64) && near((double)there[1], (double)plain[1], 1, 64));
    p.options.tolerance = 1;
    there[0] = there[1] = 0;
    CHECK(fit(&p, there) == CBP_OK && p.info.outcome == CBP_CONVERGED && p.info.iterations == 1);
}

/* ---- long evaluations -------------------------------------------------------------------------------------------- */

/* So many layers that the progress function is asked every 2048 examples; all but the last are the identity. */
enum { DEEP = 600, MANY = 3 * CBP_BLOCK + 77 };
static cbp_real many_x[MANY], many_y[MANY];

static void fill_many(void)
{
    check_state = 13;
    for (size_t i = 0; i < MANY; i++) {
        many_x[i] = R(random_between(-2, 2));
        many_y[i] = R(random_between(-1, 1));
    }
}

/* Sees that the last two parameters are within bounds, also before the first evaluation has ended. */
typedef struct sentry {
    size_t calls, stop_at, wrong;
} sentry;

static int stand_sentry(void *user, const cbp_fit_info *info)
{
    sentry *s = user;
    const cbp_real *last = info->params + 2 * DEEP - 2;
    s->wrong += info->params[0] != 1 || info->params[1] != 0;
    s->wrong += !(last[0] >= R(0.5) && last[0] <= 1 && last[1] >= 0 && last[1] <= R(0.25));
    return ++s->calls == s->stop_at;
}

/* Four stretches an evaluation: three questions before the first loss is known, three more before the second, and the
 * one after the iteration. */
static void test_stretches(void)
{
    unsigned char activations[DEEP], frozen[2 * DEEP];
    cbp_real params[2 * DEEP], lower[2 * DEEP], upper[2 * DEEP], history[2], loss;
    for (size_t stop_at = 0; stop_at <= 7; stop_at++) {
        sentry s = {.stop_at = stop_at};
        for (size_t l = 0; l < DEEP; l++) {
            params[2 * l] = 1;
            params[2 * l + 1] = 0;
            activations[l] = l + 1 < DEEP ? CBP_IDENTITY : CBP_TANH;
            frozen[2 * l] = frozen[2 * l + 1] = l + 1 < DEEP;
            lower[2 * l] = R(0.5);
            lower[2 * l + 1] = 0;
            upper[2 * l] = 1;
            upper[2 * l + 1] = R(0.25);
        }
        CHECK(cbp_loss_mean(params, activations, many_x, many_y, NULL, DEEP, MANY, CBP_SQUARED, 1, &loss) == CBP_OK);
        call c = fit_of(activations, DEEP, many_x, many_y, MANY);
        c.frozen = frozen;
        c.lower = lower;
        c.upper = upper;
        c.options.max_iterations = 1;
        c.options.restarts = stop_at == 0 ? 0 : 2;
        c.options.progress = stand_sentry;
        c.options.user = &s;
        c.options.history = history;
        c.options.history_len = 2;
        history[0] = history[1] = 5;
        CHECK(fit(&c, params) == CBP_OK);
        CHECK(s.calls == (stop_at ? stop_at : 7) && s.wrong == 0);
        CHECK(c.info.outcome == (stop_at ? CBP_STOPPED : CBP_EXHAUSTED));
        const size_t passes = stop_at == 0 || stop_at == 7 ? 2 : stop_at > 3;
        CHECK(c.info.evaluations == passes && c.info.iterations == (passes == 2));
        CHECK(c.info.params == params);
        CHECK((params[2 * DEEP - 2] != 1 || params[2 * DEEP - 1] != 0) == (passes == 2));
        if (passes == 0) {
            CHECK(isnan(c.info.loss) && isnan(c.info.gradient_norm)); /* nothing is known of the start */
        } else {
            CHECK(c.info.loss == history[passes - 1] && near((double)history[0], (double)loss, 0, 16));
            CHECK((history[1] == 5) == (passes < 2));
        }
    }
}

/* ---- restarts ---------------------------------------------------------------------------------------------------- */

/* sin(w x) against sin(2.5 x): from w = 8 down to one of many valleys. */
static call fit_of_wave(cbp_real *x, cbp_real *y, cbp_real *params)
{
    static const unsigned char wave[] = {CBP_SIN};
    for (size_t i = 0; i < POINTS; i++) {
        x[i] = 3 * point_x[i];
        y[i] = R(sin(2.5 * (double)x[i]));
    }
    call c = fit_of(wave, 1, x, y, POINTS);
    c.frozen = only_w;
    params[0] = 8;
    params[1] = 0;
    return c;
}

static void test_restarts(void)
{
    cbp_real x[POINTS], y[POINTS], params[2], again[2];
    call c = fit_of_wave(x, y, params);
    CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_CONVERGED && c.info.loss > R(0.1));
    const cbp_real valley = c.info.loss;
    check_info(&c, params);

    size_t found = 0, evaluations = c.info.evaluations, differ = 0;
    for (unsigned seed = 0; seed < 10; seed++) {
        c = fit_of_wave(x, y, params);
        memcpy(again, params, sizeof again);
        c.options.restarts = 30;
        c.options.seed = seed;
        CHECK(fit(&c, params) == CBP_OK);
        CHECK(c.info.loss <= valley && same(params[1], 0));
        check_info(&c, params);
        found += fabs(fabs((double)params[0]) - 2.5) <= 1e-3 && c.info.outcome == CBP_CONVERGED;
        const cbp_fit_info first = c.info;
        CHECK(fit(&c, again) == CBP_OK && same_all(params, again, 2));
        CHECK(c.info.iterations == first.iterations && c.info.evaluations == first.evaluations);
        CHECK(same(c.info.loss, first.loss) && c.info.outcome == first.outcome);
        differ += c.info.evaluations != evaluations;
        evaluations = c.info.evaluations;
    }
    CHECK(found >= 8 && differ >= 8);

    /* One restart more tries what was tried before, and another. */
    cbp_real last = valley;
    evaluations = 0;
    for (size_t restarts = 0; restarts < 12; restarts++) {
        c = fit_of_wave(x, y, params);
        c.options.restarts = restarts;
        c.options.seed = 3;
        CHECK(fit(&c, params) == CBP_OK && c.info.loss <= last && c.info.evaluations > evaluations);
        last = c.info.loss;
        evaluations = c.info.evaluations;
    }

    /* Between bounds they are drawn from the whole of the box. */
    const cbp_real lower[] = {0, 0}, upper[] = {10, 0};
    watcher w = {0};
    c = fit_of_wave(x, y, params);
    c.lower = lower;
    c.upper = upper;
    c.options.restarts = 30;
    watch_fit(&c, &w);
    CHECK(fit(&c, params) == CBP_OK && fabs((double)params[0] - 2.5) <= 1e-3);
    CHECK(w.out_of_bounds == 0 && w.disorder == 0);
}

/* Starts where the loss is not finite are passed over. */
static void test_restarts_outside(void)
{
    const unsigned char logarithm[] = {CBP_LOG};
    cbp_real x[10], y[10], params[] = {R(0.5), 0}; /* w from -0.5 to 1.5 */
    for (size_t i = 0; i < 10; i++) {
        x[i] = R(i + 1);
        y[i] = R(log(3 * (double)x[i]));
    }
    call c = fit_of(logarithm, 1, x, y, 10);
    c.frozen = only_w;
    c.options.restarts = 20;
    CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_CONVERGED && near((double)params[0], 3, 0, 64));
    CHECK(same(params[1], 0));
    check_info(&c, params);
}

/* ---- kernels ----------------------------------------------------------------------------------------------------- */

enum { BITS = 600 };

/* Fits of every loss and of many lengths; all their bits. How many numbers there were. */
static size_t bits_of_fits(cbp_real *out)
{
    const unsigned char chains[][2] = {
        {CBP_TANH, CBP_IDENTITY}, {CBP_SOFTPLUS, CBP_SIGMOID}, {CBP_EXP, CBP_ARCTAN}, {CBP_SIN, CBP_IDENTITY}};
    const size_t lengths[] = {4, 15, 16, 17, 129, CBP_BLOCK + 1};
    size_t len = 0;
    static cbp_real targets[MANY], weights[MANY];
    for (size_t i = 0; i < MANY; i++) {
        targets[i] = R(0.5 + 0.25 * (double)many_y[i] + 0.1 * (double)many_x[i]);
        weights[i] = R(i % 4) / 2 + R(0.25);
    }
    for (size_t k = 0; k < 6; k++) {
        for (int loss = 0; loss < CBP_LOSS_END; loss++) {
            cbp_real params[] = {R(0.7), R(-0.2), R(0.9), R(0.4)};
            spread found;
            call c = fit_of(chains[loss == CBP_LOG_LOSS ? 1 : k % 4], 2, many_x, targets, lengths[k]);
            c.weight = k % 2 ? weights : NULL;
            c.options.loss = loss;
            c.options.scale = R(0.125);
            c.options.max_iterations = 30;
            c.options.restarts = k == 1;
            CHECK(fit(&c, params) == CBP_OK);
            const int curvature = loss % 2 ? OBSERVED : GAUSS_NEWTON;
            CHECK(covariance_of(&c, params, curvature, &found) == CBP_OK);
            memcpy(out + len, params, sizeof params);
            out[len + 4] = (cbp_real)c.info.iterations;
            out[len + 5] = (cbp_real)c.info.evaluations;
            out[len + 6] = c.info.loss;
            out[len + 7] = c.info.gradient_norm;
            memcpy(out + len + 8, found.covariance, 10 * sizeof *out);
            len += 18;
        }
    }
    return len;
}

static void test_kernels(void)
{
    static cbp_real first[BITS], other[BITS];
    const char *const names[] = {"avx2", "avx512"};
    size_t len = 0, levels = 0;
    for (size_t k = 0; k < 2; k++) {
        if (cbp_kernel_choose(names[k]) == CBP_OK) {
            CHECK(bits_of_fits(levels == 0 ? first : other) <= BITS);
            len = bits_of_fits(levels == 0 ? first : other);
            CHECK(levels == 0 || same_all(first, other, len));
            levels++;
        }
    }
    /* Fits change nothing that the next one sees. */
    if (levels == 0) {
        len = bits_of_fits(first);
    }
    CHECK(bits_of_fits(other) == len && same_all(first, other, len));

    /* Those without fused multiply-add find the same, but for rounding. */
    CHECK(cbp_kernel_choose("generic") == CBP_OK);
    test_line(NULL);
    test_certified(&misra1a);
    test_corner();
    CHECK(bits_of_fits(other) == len);
    CHECK(cbp_kernel_choose(NULL) == CBP_OK);
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

enum { GUARD = 256 };

static void set_guard(cbp_real *guard)
{
    for (size_t k = 0; k < GUARD; k++) {
        guard[k] = R(1234.5) + R(k);
    }
}

static int is_guarded(const cbp_real *guard)
{
    for (size_t k = 0; k < GUARD; k++) {
        if (guard[k] != R(1234.5) + R(k)) {
            return 0;
        }
    }
    return 1;
}

/* All the work memory may be used, and nothing beyond it. */
static void test_memory_of(size_t layers, size_t free_count, size_t n, int loss)
{
    const unsigned char inner[] = {CBP_TANH, CBP_SOFTPLUS, CBP_SIN, CBP_SOFTSIGN};
    const size_t all = 2 * layers, len = cbp_fit_work_len(layers, free_count);
    unsigned char *activations = malloc(layers), *frozen = malloc(all), *determined = malloc(all + 1);
    cbp_real *work = numbers(len + GUARD), *params = numbers(all + GUARD);
    cbp_real *covariance = numbers(all * all + GUARD), variance[1 + GUARD];
    cbp_real *lower = numbers(all), *upper = numbers(all), *targets = numbers(n);
    cbp_real *hessian = numbers(all * all), *hessian_work = numbers(cbp_hessian_work_len(layers));
    if (!activations || !frozen || !determined) {
        exit(2);
    }
    for (size_t i = 0; i < n; i++) {
        targets[i] = R(0.5 + 0.5 * (double)many_y[i]);
    }
    memset(frozen, 1, all);
    for (size_t k = all; k-- > all - free_count;) {
        frozen[k] = 0;
    }
    for (size_t l = 0; l < layers; l++) {
        activations[l] = l + 1 < layers ? inner[random_below(4)] : loss == CBP_LOG_LOSS ? CBP_SIGMOID : CBP_IDENTITY;
        params[2 * l] = R(random_between(0.8, 1.2));
        params[2 * l + 1] = R(random_between(-0.2, 0.2));
        lower[2 * l] = lower[2 * l + 1] = -3;
        upper[2 * l] = upper[2 * l + 1] = 3;
    }
    cbp_fit_info info;
    cbp_fit_options options;
    CHECK(cbp_fit_defaults(&options) == CBP_OK);
    options.loss = loss;
    options.max_iterations = 3;
    options.restarts = 1;
    set_guard(work + len);
    set_guard(params + all);
    CHECK(cbp_fit_lm(activations, frozen, lower, upper, many_x, targets, NULL, layers, n, &options, work, params,
                     &info) == CBP_OK);
    CHECK(is_guarded(work + len) && is_guarded(params + all));
    CHECK(cbp_hessian(params, activations, many_x, targets, NULL, layers, n, loss, 1, hessian_work, hessian) == CBP_OK);
    for (int curvature = 0; curvature < CURVATURES; curvature++) {
        set_guard(work + len);
        set_guard(covariance + all * all);
        set_guard(variance + 1);
        determined[all] = 55;
        CHECK(cbp_fit_covariance(params, activations, frozen, lower, upper, many_x, targets, NULL, layers, n, loss, 1,
                                 curvature == OBSERVED ? hessian : NULL, work, variance, covariance,
                                 determined) == CBP_OK);
        CHECK(is_guarded(work + len) && is_guarded(covariance + all * all) && is_guarded(variance + 1));
        CHECK(determined[all] == 55);
        for (size_t k = 0; k < all; k++) {
            CHECK((determined[k] == CBP_FROZEN) == (k < all - free_count) && determined[k] < CBP_DETERMINED_END);
        }
    }
    free(activations);
    free(frozen);
    free(determined);
    free(work);
    free(params);
    free(covariance);
    free(hessian);
    free(hessian_work);
    free(lower);
    free(upper);
    free(targets);
}

static void test_memory(void)
{
    const size_t layers[] = {1, 2, 3, 7, 33}, lengths[] = {0, 15, 128, 129, 2 * CBP_BLOCK + 1};
    check_state = 23;
    for (size_t i = 0; i < 5; i++) {
        const size_t counts[] = {1, 2, layers[i], 2 * layers[i] - 1, 2 * layers[i]};
        for (size_t j = 0; j < 5; j++) {
            for (size_t k = 0; k < 5; k++) {
                const size_t n = lengths[k] < counts[j] ? counts[j] : lengths[k];
                if (n < CBP_BLOCK || layers[i] < 7 || j == 4) {
                    test_memory_of(layers[i], counts[j], n, (i + j + k) % 2 ? CBP_LOG_LOSS : CBP_SQUARED);
                }
            }
        }
    }
}

/* ---- refusals ---------------------------------------------------------------------------------------------------- */

/* Whether the fit fails with this status and writes nothing. */
static int refuses(call *c, const cbp_real *start, int status)
{
    const cbp_fit_info untouched = {CBP_STOPPED, 3, 5, 7, 9, zeros};
    cbp_real params[2], history[2] = {5, 5};
    memcpy(params, start, sizeof params);
    c->info = untouched;
    c->options.history = history;
    c->options.history_len = 2;
    const int got = fit(c, params);
    return got == status && same_all(params, start, 2) && history[0] == 5 && history[1] == 5 &&
           c->info.outcome == CBP_STOPPED && c->info.iterations == 3 && c->info.evaluations == 5 && c->info.loss == 7 &&
           c->info.gradient_norm == 9 && c->info.params == zeros;
}

static const cbp_real fine[] = {1, 0};

static void test_refused_start(void)
{
    const unsigned char logarithm[] = {CBP_LOG};
    const cbp_real negative[] = {-1, 0}, no_number[] = {R(NAN), 0}, large[] = {HUGE_REAL / 4, 0};
    call c = fit_of(logarithm, 1, ones, zeros, 2);
    watcher w = {0};
    watch_fit(&c, &w);
    c.options.restarts = 20;
    CHECK(refuses(&c, negative, CBP_ERROR_START_LOSS) && w.calls == 0);

    /* Frozen parameters are not checked, but felt. */
    call frozen = fit_of(line, 1, ones, zeros, 2);
    frozen.frozen = only_b;
    CHECK(refuses(&frozen, no_number, CBP_ERROR_START_LOSS));

    /* A loss that overflows. */
    call far = fit_of(line, 1, ones, zeros, 2);
    CHECK(refuses(&far, large, CBP_ERROR_START_LOSS));
}

static void test_refused_arguments(void)
{
    const unsigned char both[] = {1, 1}, unknown[] = {CBP_ACTIVATION_END};
    const cbp_real no_number[] = {0, R(NAN)}, infinite[] = {0, R(INFINITY)}, one[] = {1, 1}, negative[] = {-1, 1};
    const cbp_real half[] = {R(0.5), R(0.5)}, huge[] = {HUGE_REAL, HUGE_REAL}, one_of_two[] = {1, 0};
    const cbp_real two_no_number[] = {2, R(NAN)};
    const call c = fit_of(line, 1, ones, zeros, 2);
#define REFUSED(status, change)                \
    do {                                       \
        call t = c;                            \
        change;                                \
        CHECK(refuses(&t, fine, status));      \
    } while (0)
    REFUSED(CBP_ERROR_NULL, t.activations = NULL);
    REFUSED(CBP_ERROR_NULL, t.x = NULL);
    REFUSED(CBP_ERROR_NULL, t.y = NULL);
    REFUSED(CBP_ERROR_ACTIVATION, t.activations = unknown);
    REFUSED(CBP_ERROR_EMPTY, t.n = 0);
    REFUSED(CBP_ERROR_LOSS, t.options.loss = CBP_LOSS_END);
    REFUSED(CBP_ERROR_LOSS, t.options.loss = -1);
    REFUSED(CBP_ERROR_NO_SIGMOID, t.options.loss = CBP_LOG_LOSS);
    REFUSED(CBP_ERROR_TARGET, (t.activations = neuron, t.options.loss = CBP_LOG_LOSS, t.y = negative));
    REFUSED(CBP_ERROR_SCALE, (t.options.loss = CBP_HUBER, t.options.scale = 0));
    REFUSED(CBP_ERROR_SCALE, (t.options.loss = CBP_CAUCHY, t.options.scale = R(INFINITY)));
    REFUSED(CBP_ERROR_WEIGHT, t.weight = negative);
    REFUSED(CBP_ERROR_WEIGHT, t.weight = no_number);
    REFUSED(CBP_ERROR_WEIGHT, t.weight = zeros); /* none above 0 */
    REFUSED(CBP_ERROR_WEIGHT, t.weight = huge);  /* their sum is infinite */
    REFUSED(CBP_ERROR_OPTION, t.options.size--);
    REFUSED(CBP_ERROR_OPTION, t.options.size = 0);
    REFUSED(CBP_ERROR_OPTION, t.options.max_iterations = 0);
    REFUSED(CBP_ERROR_OPTION, t.options.tolerance = -1);
    REFUSED(CBP_ERROR_OPTION, t.options.tolerance = R(NAN));
    REFUSED(CBP_ERROR_OPTION, t.options.tolerance = R(INFINITY));
    REFUSED(CBP_ERROR_OPTION, t.options.method = CBP_METHOD_END);
    REFUSED(CBP_ERROR_OPTION, t.options.method = -1);
    REFUSED(CBP_ERROR_OPTION, t.options.momentum = 1);
    REFUSED(CBP_ERROR_OPTION, t.options.momentum = R(-0.5));
    REFUSED(CBP_ERROR_OPTION, t.options.momentum = R(NAN));
    REFUSED(CBP_ERROR_LEARNING_RATE, t.options.learning_rate = 0);
    REFUSED(CBP_ERROR_LEARNING_RATE, t.options.learning_rate = R(NAN));
    REFUSED(CBP_ERROR_NO_FREE, t.frozen = both);
    REFUSED(CBP_ERROR_BOUNDS, t.lower = no_number);
    REFUSED(CBP_ERROR_BOUNDS, t.upper = two_no_number);
    REFUSED(CBP_ERROR_BOUNDS, (t.lower = one, t.upper = half));
    REFUSED(CBP_ERROR_START, t.lower = one);
    REFUSED(CBP_ERROR_START, t.upper = half);
    REFUSED(CBP_ERROR_DATA, t.x = no_number);
    REFUSED(CBP_ERROR_DATA, t.y = no_number);
    REFUSED(CBP_ERROR_DATA, t.x = infinite);
    REFUSED(CBP_ERROR_DATA, t.y = infinite);
    REFUSED(CBP_ERROR_DATA, (t.activations = neuron, t.options.loss = CBP_LOG_LOSS, t.y = no_number));
    REFUSED(CBP_ERROR_FEW_EXAMPLES, t.n = 1);
    REFUSED(CBP_ERROR_FEW_EXAMPLES, t.weight = one_of_two);
#undef REFUSED
    for (int k = 0; k < 3; k++) {
        const cbp_real starts[][2] = {{R(NAN), 0}, {0, R(INFINITY)}, {R(-INFINITY), 0}};
        call t = c;
        CHECK(refuses(&t, starts[k], CBP_ERROR_START));
    }

    /* No layer, or more than there is memory for. */
    cbp_real params[] = {1, 0}, work[1];
    cbp_fit_info info;
    CHECK(cbp_fit_lm(line, NULL, NULL, NULL, ones, zeros, NULL, 0, 2, &c.options, work, params, &info) ==
          CBP_ERROR_LAYERS);
    CHECK(cbp_fit_lm(line, NULL, NULL, NULL, ones, zeros, NULL, SIZE_MAX / 2, 2, &c.options, work, params, &info) ==
          CBP_ERROR_LAYERS);
    CHECK(params[0] == 1 && params[1] == 0);
}

static void test_refused_nulls(void)
{
    const cbp_fit_info untouched = {CBP_STOPPED, 3, 5, 7, 9, zeros};
    cbp_real params[] = {1, 0}, *work = numbers(cbp_fit_work_len(1, 2));
    call c = fit_of(line, 1, point_x, point_y, POINTS);
    c.info = untouched;
#define FIT(options, work, params, info) \
    cbp_fit_lm(line, NULL, NULL, NULL, point_x, point_y, NULL, 1, POINTS, options, work, params, info)
    CHECK(FIT(NULL, work, params, &c.info) == CBP_ERROR_NULL);
    CHECK(FIT(&c.options, NULL, params, &c.info) == CBP_ERROR_NULL);
    CHECK(FIT(&c.options, work, NULL, &c.info) == CBP_ERROR_NULL);
    CHECK(FIT(&c.options, work, params, NULL) == CBP_ERROR_NULL);
    CHECK(params[0] == 1 && params[1] == 0 && c.info.iterations == 3);
    CHECK(FIT(&c.options, work, params, &c.info) == CBP_OK);
#undef FIT
    free(work);
}

/* Covariances are refused as the averages are, and what was refused has left no trace. */
static void test_refused_covariance(void)
{
    const cbp_real negative[] = {-1, 1}, huge[] = {HUGE_REAL, HUGE_REAL}, identity[] = {1, 0, 0, 1};
    const unsigned char unknown[] = {CBP_ACTIVATION_END};
    const call c = fit_of(line, 1, ones, zeros, 2);
    spread found;
#define REFUSED(status, curvature, change)                                                               \
    do {                                                                                                 \
        call t = c;                                                                                      \
        change;                                                                                          \
        CHECK(covariance_by(&t, fine, (curvature) == OBSERVED ? identity : NULL, &found) == status);     \
        CHECK(is_untouched_spread(&found));                                                              \
    } while (0)
    for (int k = 0; k < CURVATURES; k++) {
        REFUSED(CBP_ERROR_NULL, k, t.activations = NULL);
        REFUSED(CBP_ERROR_NULL, k, t.x = NULL);
        REFUSED(CBP_ERROR_NULL, k, t.y = NULL);
        REFUSED(CBP_ERROR_ACTIVATION, k, t.activations = unknown);
        REFUSED(CBP_ERROR_EMPTY, k, t.n = 0);
        REFUSED(CBP_ERROR_LOSS, k, t.options.loss = CBP_LOSS_END);
        REFUSED(CBP_ERROR_SCALE, k, (t.options.loss = CBP_CAUCHY, t.options.scale = -1));
        REFUSED(CBP_ERROR_NO_SIGMOID, k, t.options.loss = CBP_LOG_LOSS);
        REFUSED(CBP_ERROR_TARGET, k, (t.activations = neuron, t.options.loss = CBP_LOG_LOSS, t.y = negative));
        REFUSED(CBP_ERROR_WEIGHT, k, t.weight = negative);
        REFUSED(CBP_ERROR_WEIGHT, k, t.weight = zeros);
        REFUSED(CBP_ERROR_WEIGHT, k, t.weight = huge);
    }
#undef REFUSED

    cbp_real *work = numbers(cbp_fit_work_len(1, 2));
    found = untouched_spread();
#define ASK(params, work, variance, covariance, determined)                                                         \
    cbp_fit_covariance(params, line, NULL, NULL, NULL, point_x, point_y, NULL, 1, POINTS, CBP_SQUARED, 1,           \
                       NULL, work, variance, covariance, determined)
    CHECK(ASK(NULL, work, &found.variance, found.covariance, found.determined) == CBP_ERROR_NULL);
    CHECK(ASK(fine, NULL, &found.variance, found.covariance, found.determined) == CBP_ERROR_NULL);
    CHECK(ASK(fine, work, NULL, found.covariance, found.determined) == CBP_ERROR_NULL);
    CHECK(ASK(fine, work, &found.variance, NULL, found.determined) == CBP_ERROR_NULL);
    CHECK(ASK(fine, work, &found.variance, found.covariance, NULL) == CBP_ERROR_NULL);
    CHECK(is_untouched_spread(&found));
    CHECK(ASK(fine, work, &found.variance, found.covariance, found.determined) == CBP_OK);
#undef ASK
    free(work);
}

int main(void)
{
    fill_points();
    fill_many();
    test_random_bits();
    test_random_uniform();
    test_random_below();
    test_defaults();
    for (int weighted = 0; weighted < 2; weighted++) {
        const cbp_real *weight = weighted ? point_weight : NULL;
        test_line(weight);
        test_log_loss(weight);
        for (int loss = 0; loss < CBP_LOSS_END; loss++) {
            if (loss != CBP_LOG_LOSS) {
                test_robust(loss, 0.125, weight);
                test_robust(loss, 1, weight);
            }
        }
    }
    test_frozen();
    test_repetitions();
    test_leading();
    test_certified(&misra1a);
    test_certified(&boxbod);
    test_separable();
    test_stationary();
    test_units();
    test_bound();
    test_idle_bounds();
    test_corner();
    test_boxes();
    test_curved_boxes();
    test_redundant();
    test_without_effect();
    test_nothing_left();
    test_exact();
    test_no_minimum();
    test_progress();
    test_stopped();
    test_history();
    test_one_iteration();
    test_stretches();
    test_restarts();
    test_restarts_outside();
    test_kernels();
    test_memory();
    test_refused_start();
    test_refused_arguments();
    test_refused_nulls();
    test_refused_covariance();
    return check_done("test_fit_lm");
}
