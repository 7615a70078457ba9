/* Many chains: the single calls; many fits: what each finds is what it would find alone, in any
 * company and any memory, or its own status; and where many fits start. */
#include "check.h"
#include "fit.h"

enum { GUARD = 64, OFFSETS = 64 / sizeof(cbp_real) };

/* ---- one call -------------------------------------------------------------------------------- */

/* Fits of `m` chains with all that they read. */
typedef struct call {
    const unsigned char *activations, *frozen;
    const cbp_real *lower, *upper, *x, *y, *weight, *start; /* start[2L], of all chains */
    size_t layers, n, m, x_step, weight_step;
    cbp_fit_options options;
} call;

/* What they find, in memory of just that size. */
typedef struct found {
    size_t layers, m, triangle;
    cbp_fits fits;
} found;

static size_t free_of(const call *c)
{
    size_t count = 0;
    for (size_t k = 0; k < 2 * c->layers; k++) {
        count += !c->frozen || !c->frozen[k];
    }
    return count;
}

static void *bytes(size_t len)
{
    void *memory = malloc(len + (len == 0));
    if (!memory) {
        exit(2);
    }
    return memory;
}

static cbp_real *filled(size_t len, double number)
{
    cbp_real *memory = numbers(len);
    for (size_t k = 0; k < len; k++) {
        memory[k] = R(number);
    }
    return memory;
}

/* How many numbers the triangle of one chain's covariance has. */
static size_t triangle_of(const call *c)
{
    return free_of(c) * (free_of(c) + 1) / 2;
}

/* Room for what m chains find, all of it 5 but for the parameters, which are at the start. */
static found room_for(const call *c)
{
    const size_t all = 2 * c->layers, m = c->m;
    found f = {c->layers,
               m,
               triangle_of(c),
               {filled(m * all, 5), bytes(m * sizeof(int)), bytes(m * sizeof(size_t)), filled(m, 5),
                filled(m, 5), filled(m, 5), filled(m, 5), filled(m * all, 5),
                filled(m * triangle_of(c), 5), bytes(m * all)}};
    memset(f.fits.determined, 5, m * all);
    for (size_t i = 0; i < m; i++) {
        memcpy(f.fits.params + i * all, c->start, all * sizeof *c->start);
        f.fits.status[i] = 5;
        f.fits.iterations[i] = 5;
    }
    return f;
}

static void release(found *f)
{
    free(f->fits.params);
    free(f->fits.status);
    free(f->fits.iterations);
    free(f->fits.loss);
    free(f->fits.weight);
    free(f->fits.variance);
    free(f->fits.left_over);
    free(f->fits.errors);
    free(f->fits.covariance);
    free(f->fits.determined);
}

/* Whether chain i of one call and chain j of another have found the same, bit by bit. */
static int is_same(const found *a, size_t i, const found *b, size_t j)
{
    const size_t all = 2 * a->layers;
    return same_all(a->fits.params + i * all, b->fits.params + j * all, all) &&
           a->fits.status[i] == b->fits.status[j] &&
           a->fits.iterations[i] == b->fits.iterations[j] &&
           same(a->fits.loss[i], b->fits.loss[j]) && same(a->fits.weight[i], b->fits.weight[j]) &&
           same(a->fits.variance[i], b->fits.variance[j]) &&
           same(a->fits.left_over[i], b->fits.left_over[j]) &&
           same_all(a->fits.errors + i * all, b->fits.errors + j * all, all) &&
           same_all(a->fits.covariance + i * a->triangle, b->fits.covariance + j * b->triangle,
                    a->triangle) &&
           memcmp(a->fits.determined + i * all, b->fits.determined + j * all, all) == 0;
}

static int is_same_all(const found *a, const found *b)
{
    for (size_t i = 0; i < a->m; i++) {
        if (!is_same(a, i, b, i)) {
            return 0;
        }
    }
    return a->m == b->m;
}

/* The fits, in work memory that starts `offset` numbers after where malloc put it, holds NaN, and
 * is guarded. */
static int fit_at(const call *c, size_t offset, found *f)
{
    const size_t len = cbp_fit_many_work_len(c->layers, free_of(c), c->n);
    cbp_real *memory = filled(offset + len + GUARD, NAN), *work = memory + offset,
             *guard = work + len;
    cbp_real *x = exactly(c->x, c->x_step ? c->n * c->m : c->n), *y = exactly(c->y, c->n * c->m);
    for (size_t k = 0; k < GUARD; k++) {
        guard[k] = R(1234.5) + R(k);
    }
    const int status =
        cbp_fit_many(c->activations, c->frozen, c->lower, c->upper, x, y, c->weight, c->layers,
                     c->n, c->m, c->x_step, c->weight_step, &c->options, work, &f->fits);
    for (size_t k = 0; k < offset; k++) {
        CHECK(isnan(memory[k]));
    }
    for (size_t k = 0; k < GUARD; k++) {
        CHECK(guard[k] == R(1234.5) + R(k));
    }
    free(y);
    free(x);
    free(memory);
    return status;
}

static found fit(const call *c)
{
    found f = room_for(c);
    CHECK(fit_at(c, 0, &f) == CBP_OK);
    return f;
}

/* The same call for chain i alone. */
static call alone(const call *c, size_t i)
{
    call one = *c;
    one.m = 1;
    one.x += i * c->x_step;
    one.y += i * c->n;
    one.weight = c->weight ? c->weight + i * c->weight_step : NULL;
    return one;
}

/* ---- problems -------------------------------------------------------------------------------- */

static const unsigned char line[] = {CBP_IDENTITY}, neuron[] = {CBP_SIGMOID},
                           bend[] = {CBP_TANH, CBP_IDENTITY};
static const unsigned char logistic[] = {CBP_LOG, CBP_SIGMOID, CBP_IDENTITY},
                           but_logarithm[] = {1, 1, 0, 0, 0, 0};
static const unsigned char saturation[] = {CBP_EXPM1, CBP_IDENTITY}, weights_only[] = {0, 1, 0, 1};
static const unsigned char growth[] = {CBP_TANH, CBP_EXP};
static const unsigned char held_back[] = {CBP_TANH, CBP_SIGMOID}, first_layer[] = {0, 0, 1, 1};

enum { MOST_CHAINS = 50, MOST_EXAMPLES = 40 };
static cbp_real all_x[MOST_CHAINS * MOST_EXAMPLES], all_y[MOST_CHAINS * MOST_EXAMPLES];
static cbp_real all_weights[MOST_CHAINS * MOST_EXAMPLES];

static const cbp_real line_start[] = {R(-0.5), R(0.5)}, bend_start[] = {1, 0, 1, 0},
                      held_start[] = {1, 0, 2, 0}, counts_start[] = {1, 0, 1, 1};
static const cbp_real logistic_start[] = {1, 0, 1, 0, 3, R(0.5)},
                      saturation_start[] = {R(-0.5), 0, -1, 0};

/* A kind of curve, and from where its chains start. */
typedef struct family {
    const unsigned char *activations, *frozen;
    const cbp_real *start;
    size_t layers;
    int loss;
} family;

enum kind { LINES, BENDS, LOGISTICS, SATURATIONS, NEURONS, HELD_BACK, COUNTS, KINDS };

static const family families[KINDS] = {{line, NULL, line_start, 1, CBP_SQUARED},
                                       {bend, NULL, bend_start, 2, CBP_SQUARED},
                                       {logistic, but_logarithm, logistic_start, 3, CBP_SQUARED},
                                       {saturation, weights_only, saturation_start, 2, CBP_SQUARED},
                                       {neuron, NULL, line_start, 1, CBP_LOG_LOSS},
                                       {held_back, first_layer, held_start, 2, CBP_LOG_LOSS},
                                       {growth, NULL, counts_start, 2, CBP_POISSON}};

/* The noisy curves of m chains; inputs are (-2, 2), (0, 4) of saturations, their exponentials of
 * logistics. */
static call problem_of(int kind, size_t n, size_t m)
{
    const family *of = &families[kind];
    call c = {.activations = of->activations,
              .frozen = of->frozen,
              .start = of->start,
              .layers = of->layers,
              .x = all_x,
              .y = all_y,
              .n = n,
              .m = m};
    CHECK(cbp_fit_defaults(&c.options) == CBP_OK);
    c.options.loss = of->loss;
    check_state = 40 + (uint64_t)kind;
    for (size_t i = 0; i < m; i++) {
        const double a = random_between(0.9, 1.5), b = random_between(-0.5, 0.5),
                     height = random_between(2, 4);
        for (size_t k = 0, at = i * n; k < n; k++, at++) {
            const double t = 4 * ((double)k + 0.5) / (double)n - 2;
            const double curve = kind == LINES         ? a * t + b
                                 : kind == BENDS       ? height * tanh(a * t + b) - b
                                 : kind == LOGISTICS   ? height / (1 + exp(-2 * a * t - b)) + b
                                 : kind == SATURATIONS ? height * (1 - exp(-a * (t + 2)))
                                 : kind == NEURONS     ? a * t + b
                                                       : 2 * tanh(a * t + b);
            all_x[at] = R(kind == LOGISTICS ? exp(2 * t) : kind == SATURATIONS ? t + 2 : t);
            all_y[at] = R(curve + random_between(-0.25, 0.25));
            if (kind == NEURONS) { /* yes and no, some less sure */
                all_y[at] = k % 4 == 0 ? R(0.25) : random_between(-2, 2) < curve;
            } else if (kind == COUNTS) {
                all_y[at] = R(floor(exp(3 + tanh(a * t + b)) + random_between(0, 3)));
            } else if (kind == HELD_BACK) { /* probabilities */
                all_y[at] = R(1 / (1 + exp(-curve)) + random_between(-0.1, 0.1));
            }
            all_weights[at] = R(random_below(4)) / 2 + R(0.125);
        }
    }
    return c;
}

/* ---- as one by one --------------------------------------------------------------------------- */

/* Chain i by cbp_fit_lm and cbp_fit_covariance, without what is missing. */
static void compare(const call *c, size_t i, const found *f)
{
    const call one = alone(c, i);
    const size_t all = 2 * c->layers, len = cbp_fit_work_len(c->layers, free_of(c), c->n);
    cbp_real *x = numbers(c->n), *y = numbers(c->n), *weight = numbers(c->n),
             *work = filled(len, NAN);
    const size_t open = free_of(c);
    cbp_real *params = numbers(all), *covariance = numbers(open * open), variance;
    unsigned char *determined = bytes(all);
    cbp_fit_info info;
    size_t n = 0;
    double total = 0, squares = 0, left_over = 0;
    for (size_t k = 0; k < c->n; k++) {
        if (!isnan(one.y[k])) {
            x[n] = one.x[k];
            y[n] = one.y[k];
            weight[n] = c->weight ? one.weight[k] : 1;
            total += (double)weight[n];
            left_over += weight[n] > 0;
            squares += (double)weight[n] * (double)y[n] * (double)y[n];
            n++;
        }
    }
    memcpy(params, c->start, all * sizeof *params);
    CHECK(cbp_fit_lm(c->activations, c->frozen, c->lower, c->upper, x, y, weight, c->layers, n,
                     &c->options, work, params, &info) == CBP_OK);
    CHECK(info.outcome == CBP_CONVERGED && f->fits.status[i] == CBP_CONVERGED);
    CHECK(cbp_fit_covariance(params, c->activations, c->frozen, c->lower, c->upper, x, y, weight,
                             c->layers, n, c->options.loss, c->options.scale, NULL, work, &variance,
                             covariance, determined) == CBP_OK);
    CHECK(memcmp(determined, f->fits.determined + i * all, all) == 0);
    CHECK(near((double)f->fits.weight[i], total, 0, 64));
    CHECK(f->fits.iterations[i] > 0);

    /* How near the minimum is, both tell from their last two steps, and are trusted in that to the
     * square root of the tolerance. Losses nearer to each other than rounding, which is of the
     * outputs too, cannot be told apart, and the parameters of two such are, in standard errors, as
     * far from each other as that difference is from the variance. */
    const double beside = sqrt(fmax(squares / (total * (double)info.loss), 1)),
                 blur = 8 * EPSILON * (8 + beside);
    const double share = sqrt((double)c->options.tolerance) / 10 + sqrt((double)n * blur);
    CHECK(near((double)f->fits.loss[i], (double)info.loss, 0, 64 + 16 * beside * beside));
    const cbp_real *own = f->fits.covariance + i * f->triangle;
    for (size_t k = 0, row = 0; k < all; k++) {
        const int is_free = determined[k] != CBP_FROZEN;
        const double error = is_free ? sqrt((double)covariance[row * open + row]) : 0;
        const double found_error = (double)f->fits.errors[i * all + k];
        const double moved = fabs((double)f->fits.params[i * all + k] - (double)params[k]);
        CHECK(moved <= share * error);
        left_over -= determined[k] == CBP_DETERMINED || determined[k] == CBP_UNDETERMINED;
        /* errors are of the point before the last step, which is less than 1e-3 of the residuals
         * (single: 0.03) */
        CHECK(fabs(found_error - error) <= (sizeof(cbp_real) == 4 ? 1e-1 : 1e-5) * error);
        for (size_t j = 0; is_free && j <= row; j++) {
            const double size = error * sqrt((double)covariance[j * open + j]);
            CHECK(j < row || near(found_error, sqrt((double)*own), 0, 4));
            CHECK(fabs((double)(*own++ - covariance[row * open + j])) <=
                  (sizeof(cbp_real) == 4 ? 2e-1 : 2e-5) * size);
        }
        row += (size_t)is_free;
    }
    CHECK(own == f->fits.covariance + (i + 1) * f->triangle);
    CHECK((double)f->fits.left_over[i] == left_over);
    /* the sum of squares is least for the squared loss alone */
    const double moves = c->options.loss == CBP_SQUARED ? share * share + 16 * blur : share;
    CHECK(fabs((double)(f->fits.variance[i] - variance)) <= moves * (double)variance);
    free(x);
    free(y);
    free(weight);
    free(work);
    free(params);
    free(covariance);
    free(determined);
}

static void compare_all(const call *c)
{
    found f = fit(c);
    for (size_t i = 0; i < c->m; i++) {
        compare(c, i, &f);
    }
    release(&f);
}

/* Weights and inputs shared or not, missing points, and every loss. */
static void test_as_single(void)
{
    for (int kind = 0; kind < KINDS; kind++) {
        for (int variant = 0; variant < 8; variant++) {
            const int weighted = variant & 1, own_x = variant & 2, missing = variant & 4;
            call c = problem_of(kind, 24, 19);
            c.weight = weighted ? all_weights : NULL;
            c.x_step = c.weight_step = own_x ? c.n : 0;
            for (size_t k = 0; missing && k < c.n * c.m; k += 7) {
                all_y[k] = R(NAN);
                all_x[k] = own_x ? R(NAN) : all_x[k]; /* is not read where the target is missing */
            }
            compare_all(&c);
            const int is_robust_too = variant % 3 == 0 && takes_any_target(c.options.loss);
            for (int loss = CBP_HUBER; is_robust_too && loss <= CBP_CAUCHY; loss++) {
                call robust = c;
                robust.options.loss = loss;
                robust.options.scale = R(0.25);
                compare_all(&robust);
            }
        }
    }
}

static void test_bounds(void)
{
    const cbp_real infinite = R(INFINITY);
    const cbp_real lower[] = {9, 9, R(0.5), -infinite, 1, R(-0.25)};
    /* crossed where frozen, which is not read */
    const cbp_real upper[] = {8, 8, 1, infinite, 3, R(0.75)};
    call c = problem_of(LOGISTICS, 24, MOST_CHAINS);
    size_t held = 0;
    c.lower = lower;
    c.upper = upper;
    found f = fit(&c);
    for (size_t i = 0; i < c.m; i++) {
        compare(&c, i, &f);
        for (size_t k = 2; k < 6; k++) {
            const cbp_real param = f.fits.params[i * 6 + k];
            CHECK(param >= lower[k] && param <= upper[k]);
            CHECK((f.fits.determined[i * 6 + k] == CBP_AT_BOUND) ==
                  (param == lower[k] || param == upper[k]));
            held += param == lower[k] || param == upper[k];
        }
        CHECK(f.fits.params[i * 6] == 1 && f.fits.params[i * 6 + 1] == 0 &&
              f.fits.errors[i * 6] == 0);
        CHECK(f.fits.determined[i * 6] == CBP_FROZEN);
    }
    CHECK(held > 25);
    release(&f);

    /* All at bounds that leave no room. */
    c.lower = c.upper = logistic_start;
    f = fit(&c);
    for (size_t i = 0; i < c.m; i++) {
        CHECK(f.fits.status[i] == CBP_CONVERGED &&
              same_all(f.fits.params + i * 6, logistic_start, 6));
        CHECK(f.fits.left_over[i] == R(c.n));
        for (size_t k = 2; k < 6; k++) {
            CHECK(f.fits.determined[i * 6 + k] == CBP_AT_BOUND && f.fits.errors[i * 6 + k] == 0);
        }
    }
    release(&f);
}

/* One side alone is the other side without an end. */
static void test_one_sided_bounds(void)
{
    const cbp_real infinite = R(INFINITY);
    const cbp_real lower[] = {0, 0, R(0.5), -infinite, 1, R(-0.25)},
                   upper[] = {9, 9, 1, infinite, 3, R(0.75)};
    const cbp_real no_lower[] = {0, 0, -infinite, -infinite, -infinite, -infinite};
    const cbp_real no_upper[] = {9, 9, infinite, infinite, infinite, infinite};
    for (int side = 0; side < 2; side++) {
        call c = problem_of(LOGISTICS, 24, 40), one = c;
        c.lower = side ? lower : no_lower;
        c.upper = side ? no_upper : upper;
        one.lower = side ? lower : NULL;
        one.upper = side ? NULL : upper;
        found both = fit(&c), f = fit(&one);
        size_t held = 0;
        for (size_t i = 0; i < c.m; i++) {
            compare(&one, i, &f);
            held += memchr(f.fits.determined + i * 6, CBP_AT_BOUND, 6) != NULL;
        }
        CHECK(is_same_all(&both, &f) && held > 0);
        release(&both);
        release(&f);
    }
}

/* What is undetermined is found to be so, by the careful fit. */
static void test_undetermined(void)
{
    static const unsigned char two_lines[] = {CBP_IDENTITY, CBP_IDENTITY};
    const cbp_real start[] = {1, R(0.5), R(0.75), R(-0.5)};
    call c = problem_of(LINES, 24, 20), wide = c;
    found plain = fit(&c);
    wide.activations = two_lines;
    wide.layers = 2;
    wide.start = start;
    found f = fit(&wide);
    for (size_t i = 0; i < c.m; i++) {
        CHECK(f.fits.status[i] == CBP_CONVERGED);
        CHECK(near((double)f.fits.loss[i], (double)plain.fits.loss[i], 0, 1024));
        for (size_t k = 0; k < 4; k++) {
            CHECK(f.fits.determined[i * 4 + k] == CBP_UNDETERMINED &&
                  isinf(f.fits.errors[i * 4 + k]));
        }
        CHECK(f.fits.left_over[i] == R(c.n - 4) && plain.fits.left_over[i] == R(c.n - 2));
    }
    release(&plain);
    release(&f);
}

/* Without room for covariances all else is the same, of chains that are refused or fitted anew,
 * too. */
static void test_without_covariance(void)
{
    call c = problem_of(LOGISTICS, 17, 30);
    for (size_t k = 0; k < c.n; k++) {
        all_y[4 * c.n + k] = R(NAN);
        all_y[5 * c.n + k] = 1; /* says nothing of where the middle is */
    }
    found with = fit(&c), without = room_for(&c);
    cbp_real *kept = without.fits.covariance;
    without.fits.covariance = NULL;
    CHECK(fit_at(&c, 0, &without) == CBP_OK);
    without.fits.covariance = kept;
    for (size_t k = 0; k < 30 * with.triangle; k++) {
        CHECK(kept[k] == 5);
    }
    memcpy(kept, with.fits.covariance, 30 * with.triangle * sizeof *kept);
    CHECK(is_same_all(&with, &without));
    release(&with);
    release(&without);
}

/* With restarts, or of many examples, each is the fit of one, bit by bit. */
static void test_one_by_one(void)
{
    for (int bounded = 0; bounded < 2; bounded++) {
        const cbp_real upper[] = {9, 9, R(1.5), 9, 9, R(0.75)};
        call c = problem_of(LOGISTICS, 20, 9);
        c.upper = bounded ? upper : NULL;
        c.options.restarts = 2;
        found f = fit(&c);
        for (size_t i = 0; i < c.m; i++) {
            cbp_real params[6], *work = filled(cbp_fit_work_len(3, 4, 0), NAN), variance,
                                covariance[16];
            unsigned char determined[6];
            cbp_fit_info info;
            memcpy(params, logistic_start, sizeof params);
            CHECK(cbp_fit_lm(logistic, but_logarithm, NULL, c.upper, c.x, c.y + i * c.n, NULL, 3,
                             c.n, &c.options, work, params, &info) == CBP_OK);
            CHECK(cbp_fit_covariance(params, logistic, but_logarithm, NULL, c.upper, c.x,
                                     c.y + i * c.n, NULL, 3, c.n, CBP_SQUARED, 1, NULL, work,
                                     &variance, covariance, determined) == CBP_OK);
            CHECK(same_all(f.fits.params + i * 6, params, 6) &&
                  f.fits.status[i] == (int)info.outcome);
            CHECK(f.fits.iterations[i] == info.iterations && same(f.fits.loss[i], info.loss));
            CHECK(same(f.fits.variance[i], variance) &&
                  memcmp(f.fits.determined + i * 6, determined, 6) == 0);
            const cbp_real *own = f.fits.covariance + i * f.triangle;
            for (size_t k = 0; k < 4; k++) {
                CHECK(same(f.fits.errors[i * 6 + 2 + k], R(sqrt((double)covariance[k * 4 + k]))));
                for (size_t j = 0; j <= k; j++) {
                    CHECK(same(*own++, covariance[k * 4 + j]));
                }
            }
            free(work);
        }
        release(&f);
    }
}

/* ---- company --------------------------------------------------------------------------------- */

static void test_company(void)
{
    const size_t sizes[] = {1, 2, 15, 16, 17, 33, MOST_CHAINS};
    for (int kind = 0; kind < KINDS; kind++) {
        for (int variant = 0; variant < 4; variant++) {
            call c = problem_of(kind, variant < 2 ? 16 : 17, MOST_CHAINS);
            c.x_step = variant % 2 ? c.n : 0;
            c.weight = variant == 1 ? all_weights : NULL;
            c.weight_step = c.n;
            /* a chain of its own kind in the midst of the others */
            for (size_t i = 0; i < c.n; i++) {
                all_y[20 * c.n + i] = families[kind].loss == CBP_LOG_LOSS ? i > 7 : R(1e6);
            }
            all_y[7 * c.n + 3] = R(NAN);
            found whole = fit(&c);
            for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
                call some = c;
                some.m = sizes[k];
                found f = fit(&some);
                for (size_t i = 0; i < some.m; i++) {
                    CHECK(is_same(&f, i, &whole, i));
                }
                release(&f);
            }
            for (size_t i = 0; i < c.m; i++) {
                const call one = alone(&c, i);
                found f = fit(&one);
                CHECK(is_same(&f, 0, &whole, i));
                release(&f);
            }
            release(&whole);
        }
    }
}

/* Inputs that all share are those of each. */
static void test_shared_inputs(void)
{
    for (int kind = 0; kind < KINDS; kind++) {
        call c = problem_of(kind, 23, 40);
        c.weight = kind % 2 ? all_weights : NULL;
        all_y[3 * c.n + 2] = R(NAN); /* missing points too */
        found shared = fit(&c);
        for (size_t i = 1; i < c.m; i++) {
            memcpy(all_x + i * c.n, all_x, c.n * sizeof *all_x);
            memcpy(all_weights + i * c.n, all_weights, c.n * sizeof *all_weights);
        }
        c.x_step = c.weight_step = c.n;
        found own = fit(&c);
        CHECK(is_same_all(&shared, &own));
        release(&shared);
        release(&own);
    }
}

/* A single example each, so that the inputs follow each other without a gap. */
static void test_single_examples(void)
{
    const unsigned char but_scale[] = {1, 1, 1, 1, 0, 1};
    call c = problem_of(LOGISTICS, 1, 40);
    c.frozen = but_scale;
    c.x_step = 1;
    for (size_t i = 0; i < c.m; i++) {
        all_x[i] = 1 + R(i) / 8;
    }
    found whole = fit(&c);
    for (size_t i = 0; i < c.m; i++) {
        const call one = alone(&c, i);
        found f = fit(&one);
        CHECK(f.fits.status[0] == CBP_CONVERGED && is_same(&f, 0, &whole, i));
        release(&f);
    }
    release(&whole);
}

/* An input that is no number, or has no logarithm, is nobody's where the target is missing, and a
 * fault where it is not. */
static void test_shared_fault(void)
{
    const cbp_real wrong[] = {R(NAN), R(INFINITY), -1};
    for (size_t k = 0; k < 3; k++) {
        const size_t at = 11 * k;
        call c = problem_of(LOGISTICS, 23, 40);
        for (size_t i = 0; i < c.m; i++) {
            all_y[i * c.n + at] = i % 2 ? all_y[i * c.n + at] : R(NAN);
        }
        all_x[at] = wrong[k];
        found shared = fit(&c);
        for (size_t i = 0; i < c.m; i++) {
            CHECK(shared.fits.status[i] == (i % 2 == 0 ? CBP_CONVERGED
                                            : k < 2    ? CBP_ERROR_DATA
                                                       : CBP_ERROR_START_LOSS));
            memmove(all_x + i * c.n, all_x, c.n * sizeof *all_x);
        }
        c.x_step = c.n;
        found own = fit(&c);
        CHECK(is_same_all(&shared, &own));
        release(&shared);
        release(&own);
    }
}

/* Doses of 0 below a logarithm that is fitted too: 0 times infinity is 0 in the lanes as
 * elsewhere. */
static void test_dose_zero(void)
{
    const unsigned char frozen[] = {0, 1, 0, 1, 0, 0};
    const cbp_real start[] = {R(0.75), 0, 1, 0, 3, R(0.5)};
    call c = problem_of(LOGISTICS, 24, 20);
    c.frozen = frozen;
    c.start = start;
    all_x[0] = all_x[1] = 0;
    compare_all(&c);
}

static void test_kernels(void)
{
    const char *const levels[] = {"avx2", "avx512"};
    for (int kind = 0; kind < KINDS; kind++) {
        found first = {0};
        call c = problem_of(kind, 19, MOST_CHAINS);
        c.weight = kind % 2 ? all_weights : NULL;
        for (size_t level = 0; level < 2; level++) {
            if (cbp_kernel_choose(levels[level]) != CBP_OK) {
                continue;
            }
            found f = fit(&c);
            if (first.m == 0) {
                first = f;
            } else {
                CHECK(is_same_all(&first, &f));
                release(&f);
            }
        }
        release(&first);
    }
    CHECK(cbp_kernel_choose("generic") == CBP_OK);
    test_as_single();
    test_bounds();
    CHECK(cbp_kernel_choose(NULL) == CBP_OK);
}

/* ---- memory ---------------------------------------------------------------------------------- */

/* Wherever the work memory starts, and whatever it holds. */
static void test_memory(void)
{
    for (int kind = 0; kind < KINDS; kind++) {
        call c = problem_of(kind, 18, 20);
        found first = fit(&c);
        for (size_t offset = 1; offset <= OFFSETS; offset++) {
            found f = room_for(&c);
            CHECK(fit_at(&c, offset, &f) == CBP_OK);
            CHECK(is_same_all(&first, &f));
            release(&f);
        }
        release(&first);
    }
}

/* Deep chains, few and many free parameters, few and many examples, of which some are too many for
 * lanes. */
static void test_sizes(void)
{
    const unsigned char inner[] = {CBP_TANH, CBP_SOFTPLUS, CBP_SIN, CBP_SOFTSIGN};
    const size_t depths[] = {1, 2, 3, 7, 33}, lengths[] = {1, 2, 15, 16, 17, 33, 4095, 4096, 4097};
    check_state = 51;
    for (size_t i = 0; i < 5; i++) {
        const size_t layers = depths[i], all = 2 * layers, counts[] = {1, 2, layers, all - 1, all};
        unsigned char *activations = bytes(layers), *frozen = bytes(all);
        cbp_real *start = numbers(all);
        for (size_t l = 0; l < layers; l++) {
            activations[l] = l + 1 < layers ? inner[random_below(4)] : CBP_IDENTITY;
            start[2 * l] = R(random_between(0.8, 1.2));
            start[2 * l + 1] = R(random_between(-0.2, 0.2));
        }
        for (size_t j = 0; j < 5; j++) {
            for (size_t k = 0; k < 9; k++) {
                const size_t n = lengths[k], m = n < 100 ? 17 : 2;
                if ((n > 100 && layers > 2) || (layers > 7 && n > 17)) {
                    continue;
                }
                call c = {.activations = activations,
                          .frozen = frozen,
                          .start = start,
                          .layers = layers,
                          .n = n,
                          .m = m};
                cbp_real *x = numbers(n * m), *y = numbers(n * m);
                for (size_t at = 0; at < n * m; at++) {
                    x[at] = R(random_between(-2, 2));
                    y[at] = R(random_between(-1, 1));
                }
                memset(frozen, 1, all);
                for (size_t p = all; p-- > all - counts[j];) {
                    frozen[p] = 0;
                }
                CHECK(cbp_fit_defaults(&c.options) == CBP_OK);
                c.options.max_iterations = 3;
                c.x = x;
                c.y = y;
                c.x_step = n;
                found f = fit(&c);
                for (size_t at = 0; at < m; at++) {
                    const int status = f.fits.status[at];
                    CHECK(n < counts[j] ? status == CBP_ERROR_FEW_EXAMPLES
                                        : status == CBP_CONVERGED || status == CBP_EXHAUSTED);
                    CHECK(f.fits.iterations[at] <= 3);
                }
                release(&f);
                free(x);
                free(y);
            }
        }
        free(activations);
        free(frozen);
        free(start);
    }
}

/* ---- how fits end ---------------------------------------------------------------------------- */

typedef struct watcher {
    size_t calls, stop_at, taken, disorder;
} watcher;

static int watch(void *user, const cbp_fit_info *info)
{
    watcher *w = user;
    w->disorder += info->outcome != CBP_RUNNING;
    w->taken = info->iterations;
    return ++w->calls == w->stop_at;
}

/* Stopped at any time: what had been finished stays, all else is as it was. */
static void test_stopped(void)
{
    call c = problem_of(LOGISTICS, 24, 40);
    found whole = fit(&c);
    watcher all = {0};
    c.options.progress = watch;
    c.options.user = &all;
    found heard = fit(&c);
    CHECK(is_same_all(&whole, &heard) && all.disorder == 0 && all.calls > 5 && all.taken == 40);
    release(&heard);
    size_t before = 0;
    for (size_t stop_at = 1; stop_at <= all.calls; stop_at++) {
        watcher w = {.stop_at = stop_at};
        size_t finished = 0;
        c.options.user = &w;
        found f = fit(&c);
        CHECK(w.calls == stop_at && w.disorder == 0);
        for (size_t i = 0; i < c.m; i++) {
            if (f.fits.status[i] == CBP_CONVERGED) {
                CHECK(is_same(&f, i, &whole, i));
                finished++;
                continue;
            }
            CHECK(f.fits.status[i] == CBP_STOPPED &&
                  same_all(f.fits.params + i * 6, logistic_start, 6));
            CHECK(isnan(f.fits.loss[i]) && isnan(f.fits.variance[i]) && isnan(f.fits.left_over[i]));
            for (size_t k = 0; k < 6; k++) {
                CHECK(isnan(f.fits.errors[i * 6 + k]) &&
                      f.fits.determined[i * 6 + k] == CBP_UNDETERMINED);
            }
        }
        CHECK(finished >= before && (stop_at < all.calls || finished == c.m));
        before = finished;
        release(&f);
    }
    release(&whole);

    /* Chains of too many examples for lanes are stopped by the fit of one. */
    watcher w = {.stop_at = 2};
    const size_t n = 5000;
    cbp_real *x = numbers(n), *y = numbers(3 * n);
    for (size_t i = 0; i < 3 * n; i++) {
        x[i % n] = R(random_between(0, 4));
    }
    for (size_t i = 0; i < 3 * n; i++) {
        y[i] = R(3 * (1 - exp(-(double)x[i % n])) + random_between(-1, 1));
    }
    call large = problem_of(SATURATIONS, n < MOST_EXAMPLES ? n : 1, 3);
    large.n = n;
    large.x = x;
    large.y = y;
    large.options.progress = watch;
    large.options.user = &w;
    found f = fit(&large);
    for (size_t i = 0; i < 3; i++) {
        CHECK(f.fits.status[i] == CBP_STOPPED);
        CHECK(i == 0 || same_all(f.fits.params + i * 4, saturation_start, 4));
    }
    release(&f);
    free(x);
    free(y);
}

static void test_exhausted(void)
{
    for (size_t limit = 1; limit <= 3; limit++) {
        call c = problem_of(LOGISTICS, 24, 20);
        c.options.max_iterations = limit;
        c.options.tolerance = 0;
        found f = fit(&c);
        for (size_t i = 0; i < c.m; i++) {
            CHECK(f.fits.status[i] == CBP_EXHAUSTED && f.fits.iterations[i] == limit &&
                  isfinite(f.fits.loss[i]));
        }
        release(&f);
    }
}

/* Whether chain i has this status, its start for parameters, and NaN for the rest. */
static int is_refused(const call *c, const found *f, size_t i, int status)
{
    const size_t all = 2 * c->layers;
    int is = f->fits.status[i] == status && f->fits.iterations[i] == 0 && f->fits.weight[i] == 0 &&
             isnan(f->fits.loss[i]) && isnan(f->fits.variance[i]) && isnan(f->fits.left_over[i]);
    for (size_t k = 0; k < all; k++) {
        is = is && isnan(f->fits.errors[i * all + k]) &&
             f->fits.determined[i * all + k] == CBP_UNDETERMINED;
    }
    for (size_t k = 0; k < f->triangle; k++) {
        is = is && isnan(f->fits.covariance[i * f->triangle + k]);
    }
    return is;
}

/* Chains that cannot be fitted say why, and their neighbours do not notice. */
static void test_refused_chains(void)
{
    for (int own = 0; own < 2; own++) {
        call c = problem_of(LOGISTICS, 20, 45);
        c.weight = all_weights;
        c.x_step = c.weight_step = own ? c.n : 0;
        found whole = fit(&c);
        cbp_real *params = numbers(45 * 6);
        int expected[45] = {0};
        found f = room_for(&c);
        for (size_t k = 0; k < 20; k++) {
            all_y[2 * 20 + k] = R(NAN);             /* all missing */
            all_y[5 * 20 + k] = k < 3 ? 1 : R(NAN); /* three points, four parameters */
        }
        all_y[3 * 20 + 11] = R(INFINITY);
        all_y[4 * 20] = R(-INFINITY);
        expected[2] = expected[5] = CBP_ERROR_FEW_EXAMPLES;
        expected[3] = expected[4] = CBP_ERROR_DATA;
        if (own) {
            all_x[17 * 20 + 3] = R(NAN);
            all_x[18 * 20 + 19] = R(INFINITY);
            all_weights[19 * 20 + 5] = -1;
            all_weights[21 * 20 + 5] = R(NAN);
            all_weights[22 * 20 + 5] = R(INFINITY);
            memset(all_weights + 23 * 20, 0, 20 * sizeof *all_weights);
            for (size_t k = 0; k < 20; k++) {
                /* products of which would be lost */
                all_weights[25 * 20 + k] = CBP_LEAST_WEIGHT / 32;
            }
            all_x[24 * 20] = -1; /* outside the logarithm's domain */
            expected[17] = expected[18] = CBP_ERROR_DATA;
            expected[19] = expected[21] = expected[22] = expected[23] = expected[25] =
                CBP_ERROR_WEIGHT;
            expected[24] = CBP_ERROR_START_LOSS;
        }
        f.fits.params[30 * 6 + 4] = R(NAN);
        f.fits.params[31 * 6 + 5] = R(INFINITY);
        f.fits.params[32 * 6 + 1] = R(NAN); /* frozen */
        expected[30] = expected[31] = CBP_ERROR_START;
        expected[32] = CBP_ERROR_START_LOSS;
        memcpy(params, f.fits.params, 45 * 6 * sizeof *params);
        CHECK(fit_at(&c, 0, &f) == CBP_OK);
        for (size_t i = 0; i < c.m; i++) {
            if (expected[i] == 0) {
                CHECK(is_same(&f, i, &whole, i));
            } else {
                CHECK(is_refused(&c, &f, i, expected[i]) &&
                      same_all(f.fits.params + i * 6, params + i * 6, 6));
            }
        }
        free(params);
        release(&f);
        release(&whole);
    }

    /* Targets of the log loss, and starts outside of bounds. */
    const cbp_real lower[] = {-1, -1}, upper[] = {1, 1};
    call c = problem_of(NEURONS, 20, 20);
    c.lower = lower;
    c.upper = upper;
    found whole = fit(&c), f = room_for(&c);
    all_y[20 + 3] = R(1.5);
    all_y[2 * 20 + 3] = R(-0.5);
    f.fits.params[3 * 2] = 2;
    f.fits.params[4 * 2 + 1] = -2;
    CHECK(fit_at(&c, 0, &f) == CBP_OK);
    for (size_t i = 0; i < c.m; i++) {
        CHECK(i == 0 || i > 4 ? is_same(&f, i, &whole, i)
                              : is_refused(&c, &f, i, i < 3 ? CBP_ERROR_TARGET : CBP_ERROR_START));
    }
    CHECK(f.fits.params[3 * 2] == 2 && f.fits.params[4 * 2 + 1] == -2);
    release(&whole);
    release(&f);

    /* Fewer examples than parameters, the same for all. */
    call few = problem_of(LOGISTICS, 3, 40);
    f = fit(&few);
    for (size_t i = 0; i < few.m; i++) {
        CHECK(is_refused(&few, &f, i, CBP_ERROR_FEW_EXAMPLES));
    }
    release(&f);

    /* No chain, and chains without examples. */
    call none = problem_of(LOGISTICS, 20, 0);
    none.x = none.y = NULL;
    f = fit(&none);
    release(&f);
    c.n = 0;
    c.x = c.y = NULL;
    f = fit(&c);
    for (size_t i = 0; i < c.m; i++) {
        CHECK(is_refused(&c, &f, i, CBP_ERROR_FEW_EXAMPLES));
    }
    release(&f);
}

/* ---- refusals -------------------------------------------------------------------------------- */

/* Whether the call fails with this status and writes nothing. */
static int refuses(const call *c, int status)
{
    found untouched = room_for(c), f = room_for(c);
    const int is = fit_at(c, 0, &f) == status && is_same_all(&untouched, &f);
    release(&untouched);
    release(&f);
    return is;
}

static void test_refused_arguments(void)
{
    const unsigned char both[] = {1, 1}, unknown[] = {CBP_ACTIVATION_END};
    const cbp_real no_number[] = {0, R(NAN)}, one[] = {1, 1}, half[] = {R(0.5), R(0.5)};
    const call c = problem_of(LINES, 20, 5);
#define REFUSED(status, change)     \
    do {                            \
        call t = c;                 \
        change;                     \
        CHECK(refuses(&t, status)); \
    } while (0)
    REFUSED(CBP_ERROR_NULL, t.activations = NULL);
    REFUSED(CBP_ERROR_NULL, t.x = NULL);
    REFUSED(CBP_ERROR_NULL, t.y = NULL);
    REFUSED(CBP_ERROR_ACTIVATION, t.activations = unknown);
    REFUSED(CBP_ERROR_LOSS, t.options.loss = CBP_LOSS_END);
    REFUSED(CBP_ERROR_LOSS, t.options.loss = -1);
    REFUSED(CBP_ERROR_NO_SIGMOID, t.options.loss = CBP_LOG_LOSS);
    REFUSED(CBP_ERROR_SCALE, (t.options.loss = CBP_HUBER, t.options.scale = 0));
    REFUSED(CBP_ERROR_SCALE, (t.options.loss = CBP_CAUCHY, t.options.scale = R(NAN)));
    REFUSED(CBP_ERROR_OPTION, t.options.size--);
    REFUSED(CBP_ERROR_OPTION, t.options.size = 0);
    REFUSED(CBP_ERROR_OPTION, t.options.max_iterations = 0);
    REFUSED(CBP_ERROR_OPTION, t.options.tolerance = -1);
    REFUSED(CBP_ERROR_OPTION, t.options.tolerance = R(NAN));
    REFUSED(CBP_ERROR_NO_FREE, t.frozen = both);
    REFUSED(CBP_ERROR_BOUNDS, t.lower = no_number);
    REFUSED(CBP_ERROR_BOUNDS, t.upper = no_number);
    REFUSED(CBP_ERROR_BOUNDS, (t.lower = one, t.upper = half));
#undef REFUSED

    /* What is common is refused without any chain, too. */
    call none = c;
    none.m = 0;
    none.frozen = both;
    CHECK(refuses(&none, CBP_ERROR_NO_FREE));

    /* No layer, or more than there is memory for. */
    found f = room_for(&c), untouched = room_for(&c);
    cbp_real *work = numbers(cbp_fit_many_work_len(1, 2, 20));
#define FIT(layers, options, work, fits)                                                         \
    cbp_fit_many(line, NULL, NULL, NULL, all_x, all_y, NULL, layers, 20, 5, 0, 0, options, work, \
                 fits)
    CHECK(FIT(0, &c.options, work, &f.fits) == CBP_ERROR_LAYERS);
    CHECK(FIT(SIZE_MAX / 2, &c.options, work, &f.fits) == CBP_ERROR_LAYERS);
    CHECK(cbp_fit_many(line, both, NULL, NULL, all_x, all_y, NULL, SIZE_MAX / 2, 20, 5, 0, 0,
                       &c.options, work, &f.fits) == CBP_ERROR_LAYERS);

    CHECK(FIT(1, NULL, work, &f.fits) == CBP_ERROR_NULL);
    CHECK(FIT(1, &c.options, NULL, &f.fits) == CBP_ERROR_NULL);
    CHECK(FIT(1, &c.options, work, NULL) == CBP_ERROR_NULL);
    cbp_fits lacking[9];
    for (size_t k = 0; k < 9; k++) {
        lacking[k] = f.fits;
    }
    lacking[0].params = NULL;
    lacking[1].status = NULL;
    lacking[2].iterations = NULL;
    lacking[3].loss = NULL;
    lacking[4].weight = NULL;
    lacking[5].variance = NULL;
    lacking[6].left_over = NULL;
    lacking[7].errors = NULL;
    lacking[8].determined = NULL;
    for (size_t k = 0; k < 9; k++) {
        CHECK(FIT(1, &c.options, work, &lacking[k]) == CBP_ERROR_NULL);
    }
    CHECK(is_same_all(&f, &untouched));
    CHECK(FIT(1, &c.options, work, &f.fits) == CBP_OK);
#undef FIT
    free(work);
    release(&f);
    release(&untouched);
}

/* ---- chains of all kinds --------------------------------------------------------------------- */

/* Every activation, and a layer that is frozen within the chain or at its end. */
static void test_kinds(void)
{
    static const unsigned char held_within[] = {0, 0, 1, 1, 0, 0}, held_last[] = {0, 0, 0, 0, 1, 1},
                               w_last[] = {0, 1, 1, 1, 0, 1};
    static const cbp_real start[] = {R(0.75), R(0.25), R(1.25), R(0.5), 1, 0};
    static const unsigned char *const frozen[] = {NULL, held_within, held_last, w_last};
    size_t converged = 0;
    for (int code = CBP_IDENTITY; code < CBP_ACTIVATION_END; code++) {
        for (size_t k = 0; k < 4; k++) {
            const unsigned char activations[] = {(unsigned char)code, CBP_TANH,
                                                 k == 2 ? CBP_SOFTPLUS : CBP_IDENTITY};
            call c = problem_of(SATURATIONS, 17, 18);
            cbp_real outputs[17];
            c.activations = activations;
            c.layers = 3;
            c.start = start;
            c.frozen = frozen[k];
            c.options.max_iterations = 60;
            c.options.loss = k == 3 ? CBP_HUBER : CBP_SQUARED;
            CHECK(cbp_forward(start, activations, all_x, 3, 17, outputs) == CBP_OK);
            for (size_t at = 0; at < c.n * c.m; at++) {
                all_x[at] = all_x[at % c.n] + 1; /* the logarithm's and the root's inputs too */
                all_y[at] = R(0.25) * all_y[at] + R(0.5);
            }
            found f = fit(&c);
            for (size_t i = 0; i < c.m; i++) {
                call one = alone(&c, i);
                found own = fit(&one);
                CHECK(f.fits.status[i] == own.fits.status[0] &&
                      f.fits.iterations[i] == own.fits.iterations[0]);
                CHECK(same(f.fits.loss[i], own.fits.loss[0]) &&
                      same_all(f.fits.params + i * 6, own.fits.params, 6));
                converged += f.fits.status[i] == CBP_CONVERGED;
                release(&own);
            }
            release(&f);
        }
    }
    CHECK(converged > 600);
}

/* A last step that takes a weight to 0, whose input is infinite: where it ends there is no loss,
 * which has to be seen. */
static void test_weight_to_zero(void)
{
    const cbp_real least = sizeof(cbp_real) == 4 ? R(FLT_MIN) : R(DBL_MIN);
    const unsigned char chain[] = {CBP_EXP, CBP_SOFTSIGN}, frozen[] = {1, 1, 0, 1};
    const cbp_real x[] = {least, least, least, least, R(-8e30)},
                   y[] = {least, least, least, least, -1};
    const cbp_real start[] = {R(-2.25), R(1.875), least, least};
    call c = problem_of(BENDS, 5, 1);
    c.activations = chain;
    c.frozen = frozen;
    c.start = start;
    c.x = x;
    c.y = y;
    c.options.tolerance = R(1e-3);
    found f = fit(&c);
    cbp_real value, gradient[4], *work = numbers(cbp_work_len(2, 5));
    CHECK(cbp_gradient(f.fits.params, chain, x, y, NULL, 2, 5, CBP_SQUARED, 1, work, &value,
                       gradient) == CBP_OK);
    CHECK(near((double)f.fits.loss[0], (double)value, 0, 64));
    free(work);
    release(&f);
}

/* A bound far off and weights that are small: the sum of the loss is finite, its average is not. */
static void test_infinite_average(void)
{
    const cbp_real far = sizeof(cbp_real) == 4 ? R(1e25) : R(1e160),
                   light = sizeof(cbp_real) == 4 ? R(1e-22) : R(1e-150);
    const cbp_real lower[] = {-1, far}, upper[] = {1, R(INFINITY)}, start[] = {0, far};
    const unsigned char frozen[] = {1, 0};
    call c = problem_of(LINES, 12, 20);
    for (size_t k = 0; k < c.n * c.m; k++) {
        all_weights[k] = light;
    }
    c.weight = all_weights;
    c.lower = lower;
    c.upper = upper;
    c.start = start;
    c.frozen = frozen;
    found f = fit(&c);
    for (size_t i = 0; i < c.m; i++) {
        CHECK(f.fits.status[i] == CBP_ERROR_START_LOSS && isnan(f.fits.loss[i]));
        CHECK(same_all(f.fits.params + i * 2, start, 2));
    }
    release(&f);
}

/* ---- where to start -------------------------------------------------------------------------- */

/* The sum of squares that a candidate leaves for chain i, its last layer's free w and b being put
 * in *w and *b. */
static double squares_of(const call *c, size_t i, const cbp_real *candidate, double *w, double *b)
{
    const call one = alone(c, i);
    const size_t last = 2 * c->layers - 2;
    const int linear = c->activations[c->layers - 1] == CBP_IDENTITY;
    const int solves_w = linear && !(c->frozen && c->frozen[last]);
    const int solves_b = linear && !(c->frozen && c->frozen[last + 1]);
    double total = 0, f_sum = 0, y_sum = 0, ff = 0, fy = 0, squares = 0;
    cbp_real *features = numbers(c->n);
    CHECK(!linear || c->layers > 1);
    CHECK(cbp_forward(candidate, c->activations, one.x, c->layers - (size_t)linear, c->n,
                      features) == CBP_OK);
    *w = linear ? (double)candidate[last] : 1;
    *b = linear ? (double)candidate[last + 1] : 0;
    for (int pass = 0; pass < 3; pass++) {
        for (size_t k = 0; k < c->n; k++) {
            const double weight = isnan(one.y[k]) ? 0 : c->weight ? (double)one.weight[k] : 1;
            const double f = (double)features[k], y = (double)one.y[k];
            if (weight > 0 && pass == 0) {
                total += weight;
                f_sum += weight * f;
                y_sum += weight * y;
            } else if (weight > 0 && pass == 1) {
                const double mean_f = solves_b ? f_sum / total : 0,
                             level = solves_b ? y_sum / total : *b;
                ff += weight * (f - mean_f) * (f - mean_f);
                fy += weight * (f - mean_f) * (y - level);
            } else if (weight > 0) {
                const double residual = *w * f + *b - y;
                squares += weight * residual * residual;
            }
        }
        if (pass == 1) {
            *w = solves_w ? fy / ff : *w;
            *b = solves_b ? (y_sum - *w * f_sum) / total : *b;
        }
    }
    free(features);
    return squares;
}

static int choose_at(const call *c, const cbp_real *candidates, size_t count, size_t row,
                     size_t offset, cbp_real *params)
{
    const size_t len = cbp_choose_starts_work_len(c->layers, c->n, count);
    cbp_real *memory = filled(offset + len + GUARD, NAN), *work = memory + offset;
    cbp_real *y = exactly(c->y, c->n * c->m);
    for (size_t k = 0; k < GUARD; k++) {
        work[len + k] = R(1234.5) + R(k);
    }
    const int status = cbp_choose_starts(c->activations, c->frozen, c->lower, c->upper, c->x, y,
                                         c->weight, c->layers, c->n, c->m, c->x_step,
                                         c->weight_step, candidates, count, row, work, params);
    for (size_t k = 0; k < GUARD; k++) {
        CHECK(work[len + k] == R(1234.5) + R(k));
    }
    free(y);
    free(memory);
    return status;
}

enum { CANDIDATES = 12 };

static void fill_candidates(const call *c, cbp_real *candidates)
{
    check_state = 77;
    for (size_t k = 0; k < CANDIDATES * 2 * c->layers; k++) {
        const size_t place = k % (2 * c->layers);
        candidates[k] =
            c->frozen && c->frozen[place] ? c->start[place] : R(random_between(-1.5, 2));
    }
}

/* The chosen one leaves the least that any leaves, and stands there with what was solved for. */
static void check_starts(const call *c)
{
    const size_t all = 2 * c->layers, last = all - 2;
    cbp_real *candidates = numbers(CANDIDATES * all), *params = filled(c->m * all, 5),
             *again = filled(c->m * all, 5);
    const int linear = c->activations[c->layers - 1] == CBP_IDENTITY;
    size_t chosen[CANDIDATES] = {0};
    fill_candidates(c, candidates);
    CHECK(choose_at(c, candidates, CANDIDATES, 0, 0, params) == CBP_OK);
    for (size_t i = 0; i < c->m; i++) {
        const cbp_real *found_params = params + i * all;
        double least = INFINITY, w, b;
        size_t best = CANDIDATES;
        for (size_t k = 0; k < CANDIDATES; k++) {
            const double squares = squares_of(c, i, candidates + k * all, &w, &b);
            least = squares < least ? squares : least;
            best =
                memcmp(candidates + k * all, found_params, (linear ? last : all) * sizeof *params)
                    ? best
                    : k;
        }
        if (!CHECK(best < CANDIDATES)) {
            continue;
        }
        chosen[best]++;
        const double squares = squares_of(c, i, candidates + best * all, &w, &b);
        CHECK(squares <= least * (1 + (sizeof(cbp_real) == 4 ? 1e-3 : 1e-9)));
        if (linear) {
            CHECK(near((double)found_params[last], w, 1, sizeof(cbp_real) == 4 ? 1e4 : 1e5));
            CHECK(near((double)found_params[last + 1], b, 1, sizeof(cbp_real) == 4 ? 1e4 : 1e5));
        }
        const call one = alone(c, i);
        CHECK(choose_at(&one, candidates, CANDIDATES, 0, 0, again) == CBP_OK &&
              same_all(again, found_params, all));
    }
    size_t different = 0;
    for (size_t k = 0; k < CANDIDATES; k++) {
        different += chosen[k] > 0;
    }
    CHECK(different > 1);
    for (size_t offset = 1; offset <= OFFSETS; offset++) {
        CHECK(choose_at(c, candidates, CANDIDATES, 0, offset, again) == CBP_OK &&
              same_all(again, params, c->m * all));
    }
    free(candidates);
    free(params);
    free(again);
}

static void test_starts(void)
{
    const unsigned char only_last_w[] = {1, 1, 0, 0, 0, 1}, only_last_b[] = {1, 1, 0, 0, 1, 0};
    const unsigned char neither[] = {1, 1, 0, 0, 1, 1};
    const unsigned char *const frozen[] = {but_logarithm, only_last_w, only_last_b, neither};
    for (int variant = 0; variant < 8; variant++) {
        for (size_t k = 0; k < 4; k++) {
            call c = problem_of(LOGISTICS, 21, 37);
            c.frozen = frozen[k];
            c.weight = variant & 1 ? all_weights : NULL;
            c.x_step = c.weight_step = variant & 2 ? c.n : 0;
            for (size_t at = 0; variant & 4 && at < c.n * c.m / 2; at += 5) {
                all_y[at] = R(NAN);
            }
            check_starts(&c);
        }
        call c = problem_of(HELD_BACK, 21, 37);
        c.weight = variant & 1 ? all_weights : NULL;
        c.x_step = c.weight_step = variant & 2 ? c.n : 0;
        check_starts(&c);
    }

    /* A single example each. */
    call single = problem_of(LOGISTICS, 1, 37);
    single.frozen = neither;
    single.x_step = 1;
    for (size_t i = 0; i < single.m; i++) {
        all_x[i] = 1 + R(i) / 8;
    }
    check_starts(&single);

    /* Bounds hold what was chosen, also what was solved for. */
    const cbp_real lower[] = {9, 9, -9, -9, R(-0.25), R(-0.5)},
                   upper[] = {8, 8, R(0.5), 0, R(0.25), R(0.5)};
    call c = problem_of(LOGISTICS, 21, 20), free_call = c;
    cbp_real candidates[CANDIDATES * 6], params[20 * 6], unbounded[20 * 6];
    fill_candidates(&c, candidates);
    c.lower = lower;
    c.upper = upper;
    CHECK(choose_at(&c, candidates, CANDIDATES, 0, 0, params) == CBP_OK);
    CHECK(choose_at(&free_call, candidates, CANDIDATES, 0, 0, unbounded) == CBP_OK);
    for (size_t i = 0; i < 20; i++) {
        int is_inside = 1;
        for (size_t k = 0; k < 6; k++) {
            const cbp_real one = unbounded[i * 6 + k], held = params[i * 6 + k];
            CHECK(k < 2 ? held == logistic_start[k] : held >= lower[k] && held <= upper[k]);
            is_inside = is_inside && (k < 2 || (one >= lower[k] && one <= upper[k]));
        }
        /* what needs no holding is the best that there is */
        CHECK(!is_inside || same_all(params + i * 6, unbounded + i * 6, 6));
    }
}

/* On a grid of slopes and middles, more of which lie between the best and its neighbours. */
static void test_starts_between(void)
{
    enum { SLOPES = 5, MIDDLES = 9, M = 60 };
    cbp_real grid[SLOPES * MIDDLES * 6], params[M * 6], plain[M * 6], again[6];
    for (int variant = 0; variant < 8; variant++) {
        call c = problem_of(LOGISTICS, 21, M);
        c.weight = variant & 1 ? all_weights : NULL;
        c.x_step = c.weight_step = variant & 2 ? c.n : 0;
        for (size_t at = 0; variant & 4 && at < c.n * c.m / 2; at += 5) {
            all_y[at] = R(NAN);
        }
        for (size_t k = 0; k < SLOPES * MIDDLES; k++) {
            const double slope = pow(2, (double)(k % SLOPES) - 2),
                         middle = (double)(k / SLOPES) - 4;
            const cbp_real candidate[6] = {1, 0, R(slope), R(-slope * middle), 7, 8};
            memcpy(grid + k * 6, candidate, sizeof candidate);
        }
        CHECK(choose_at(&c, grid, SLOPES * MIDDLES, 0, 0, plain) == CBP_OK);
        CHECK(choose_at(&c, grid, SLOPES * MIDDLES, SLOPES, 0, params) == CBP_OK);
        double sum = 0, sum_plain = 0;
        for (size_t i = 0; i < M; i++) {
            double w, b;
            const double squares = squares_of(&c, i, params + i * 6, &w, &b);
            sum += squares;
            sum_plain += squares_of(&c, i, plain + i * 6, &w, &b);
            /* halfway to a neighbour at most: a factor of 3/2 in the slope, and a half in the
             * middle */
            const double slope = (double)(params[i * 6 + 2] / plain[i * 6 + 2]);
            const double middle = (double)(params[i * 6 + 3] / params[i * 6 + 2] -
                                           plain[i * 6 + 3] / plain[i * 6 + 2]);
            CHECK(slope > 0.749 && slope < 1.501 && fabs(middle) < 0.501);
            CHECK(params[i * 6] == 1 && params[i * 6 + 1] == 0);
            (void)squares_of(&c, i, params + i * 6, &w, &b);
            CHECK(near((double)params[i * 6 + 4], w, 1, sizeof(cbp_real) == 4 ? 1e4 : 1e5));
            CHECK(near((double)params[i * 6 + 5], b, 1, sizeof(cbp_real) == 4 ? 1e4 : 1e5));
            const call one = alone(&c, i);
            CHECK(choose_at(&one, grid, SLOPES * MIDDLES, SLOPES, 0, again) == CBP_OK &&
                  same_all(again, params + i * 6, 6));
        }
        CHECK(sum < 0.9 * sum_plain);
    }
    /* at the ends of rows and columns, or beside candidates that tell nothing, there is nothing
     * between */
    call last = problem_of(LOGISTICS, 21, M);
    for (int low = 0; low < 2; low++) { /* slopes that are too low, or middles */
        for (size_t k = 0; k < SLOPES * MIDDLES; k++) {
            grid[k * 6 + 2] = R(pow(2, (double)(k % SLOPES) - (low ? 4 : 8)));
            grid[k * 6 + 3] = -grid[k * 6 + 2] * ((cbp_real)(k / SLOPES) - (low ? 20 : 4));
        }
        CHECK(choose_at(&last, grid, SLOPES * MIDDLES, SLOPES, 0, params) == CBP_OK);
        size_t at_end = 0;
        for (size_t i = 0; i < M; i++) {
            const double slope = (double)params[i * 6 + 2],
                         middle = -(double)params[i * 6 + 3] / slope;
            at_end +=
                low ? fabs(middle + 12) < 1e-3 : params[i * 6 + 2] == grid[(SLOPES - 1) * 6 + 2];
        }
        CHECK(at_end > M * 3 / 4);
    }
    last.frozen = NULL;
    for (size_t k = 0; k < SLOPES * MIDDLES; k++) {
        grid[k * 6] = k == SLOPES * 4 + 2 ? 1 : -1; /* the logarithm of a negative number */
    }
    CHECK(choose_at(&last, grid, SLOPES * MIDDLES, SLOPES, 0, params) == CBP_OK);
    for (size_t i = 0; i < M; i++) {
        CHECK(same_all(params + i * 6, grid + (SLOPES * 4 + 2) * 6, 4));
    }
    for (size_t k = 0; k < SLOPES * MIDDLES; k++) {
        const double slope = pow(2, (double)(k % SLOPES) - 2), middle = (double)(k / SLOPES) - 4;
        const cbp_real candidate[6] = {1, 0, R(slope), R(-slope * middle), 7, 8};
        memcpy(grid + k * 6, candidate, sizeof candidate);
    }
    /* a candidate at the edge of the grid stays there; rows must be full */
    call c = problem_of(LOGISTICS, 21, M);
    CHECK(choose_at(&c, grid, SLOPES, SLOPES, 0, params) == CBP_OK &&
          choose_at(&c, grid, 2, 1, 0, plain) == CBP_OK);
    for (size_t i = 0; i < M; i++) {
        CHECK(params[i * 6 + 3] == -params[i * 6 + 2] * -4);
        CHECK(same_all(plain + i * 6, grid, 4) || same_all(plain + i * 6, grid + 6, 4));
    }
    CHECK(choose_at(&c, grid, 12, SLOPES, 0, params) == CBP_ERROR_OPTION);
}

/* A line needs no candidate: its features are the inputs. */
static void test_starts_of_lines(void)
{
    const unsigned char given_w[] = {1, 0}, given_b[] = {0, 1};
    const unsigned char *const frozen[] = {NULL, given_w, given_b};
    for (int variant = 0; variant < 6; variant++) {
        call c = problem_of(LINES, 21, 20);
        const cbp_real candidates[] = {R(0.75), R(0.25), R(0.75), R(0.25)};
        cbp_real params[20 * 2];
        c.frozen = frozen[variant / 2];
        c.start = candidates;
        c.x_step = variant % 2 ? c.n : 0;
        CHECK(choose_at(&c, candidates, 2, 0, 0, params) == CBP_OK);
        found f = fit(&c);
        for (size_t i = 0; i < c.m; i++) {
            CHECK(f.fits.status[i] == CBP_CONVERGED);
            for (size_t k = 0; k < 2; k++) {
                const int is_given = c.frozen && c.frozen[k];
                const double param = (double)params[i * 2 + k];
                CHECK(is_given ? param == (double)candidates[k]
                               : near(param, (double)f.fits.params[i * 2 + k], 1, 256));
            }
        }
        release(&f);
    }
}

/* No example tells nothing: the first candidate; and no chain asks for nothing. */
static void test_starts_of_nothing(void)
{
    call c = problem_of(LOGISTICS, 0, 3);
    cbp_real candidates[CANDIDATES * 6], params[18];
    fill_candidates(&c, candidates);
    c.x = c.y = NULL;
    CHECK(choose_at(&c, candidates, CANDIDATES, 0, 0, params) == CBP_OK);
    for (size_t i = 0; i < c.m; i++) {
        CHECK(same_all(params + i * 6, candidates, 4));
    }
    c.n = 5;
    c.m = 0;
    CHECK(cbp_choose_starts(logistic, NULL, NULL, NULL, all_x, NULL, NULL, 3, 5, 0, 0, 0,
                            candidates, CANDIDATES, 0, all_weights, params) == CBP_OK);
}

/* Candidates of which nothing can be told are passed over; where there is no other, the first is
 * taken as it is. */
static void test_hopeless_starts(void)
{
    call c = problem_of(LOGISTICS, 21, 20);
    cbp_real candidates[CANDIDATES * 6], params[20 * 6];
    c.frozen = NULL;
    fill_candidates(&c, candidates);
    for (size_t k = 0; k < CANDIDATES; k++) {
        candidates[k * 6] = -1; /* the logarithm of a negative number */
    }
    CHECK(choose_at(&c, candidates, CANDIDATES, 0, 0, params) == CBP_OK);
    for (size_t i = 0; i < c.m; i++) {
        CHECK(same_all(params + i * 6, candidates, 6));
    }
    candidates[5 * 6] = 1;
    CHECK(choose_at(&c, candidates, CANDIDATES, 0, 0, params) == CBP_OK);
    for (size_t i = 0; i < c.m; i++) {
        CHECK(same_all(params + i * 6, candidates + 5 * 6, 4) && isfinite(params[i * 6 + 4]));
    }

    /* A missing point has no say, whatever stands for its input. */
    for (int own = 0; own < 2; own++) {
        c.x_step = own ? c.n : 0;
        candidates[5 * 6] = 1;
        candidates[5 * 6 + 1] = R(-1.5); /* ln(x - 1.5) */
        for (size_t k = 0; k < c.n * c.m; k++) {
            all_y[k] = all_x[k % (own ? c.n * c.m : c.n)] > 2 ? all_y[k] : R(NAN);
        }
        CHECK(choose_at(&c, candidates, CANDIDATES, 0, 0, params) == CBP_OK);
        for (size_t i = 0; i < c.m; i++) {
            CHECK(same_all(params + i * 6, candidates + 5 * 6, 4) && isfinite(params[i * 6 + 4]));
        }
    }
}

static void test_refused_starts(void)
{
    const unsigned char unknown[] = {CBP_LOG, CBP_ACTIVATION_END, CBP_IDENTITY};
    call c = problem_of(LOGISTICS, 20, 5);
    cbp_real candidates[CANDIDATES * 6], params[30];
    fill_candidates(&c, candidates);
    for (size_t k = 0; k < 30; k++) {
        params[k] = 5;
    }
#define REFUSED(status, change)                                               \
    do {                                                                      \
        call t = c;                                                           \
        change;                                                               \
        CHECK(choose_at(&t, candidates, CANDIDATES, 0, 0, params) == status); \
    } while (0)
    REFUSED(CBP_ERROR_NULL, t.activations = NULL);
    REFUSED(CBP_ERROR_NULL, t.x = NULL);
    REFUSED(CBP_ERROR_NULL, t.y = NULL);
    REFUSED(CBP_ERROR_ACTIVATION, t.activations = unknown);
#undef REFUSED
    CHECK(choose_at(&c, NULL, CANDIDATES, 0, 0, params) == CBP_ERROR_NULL);
    CHECK(choose_at(&c, candidates, 0, 0, 0, params) == CBP_ERROR_OPTION);
    CHECK(choose_at(&c, candidates, CANDIDATES, 0, 0, NULL) == CBP_ERROR_NULL);
    CHECK(cbp_choose_starts(logistic, NULL, NULL, NULL, all_x, all_y, NULL, 3, 20, 5, 0, 0,
                            candidates, CANDIDATES, 0, NULL, params) == CBP_ERROR_NULL);
    CHECK(cbp_choose_starts(logistic, NULL, NULL, NULL, all_x, all_y, NULL, 0, 20, 5, 0, 0,
                            candidates, CANDIDATES, 0, all_weights, params) == CBP_ERROR_LAYERS);
    CHECK(cbp_choose_starts(logistic, NULL, NULL, NULL, all_x, all_y, NULL, SIZE_MAX / 2, 20, 5, 0,
                            0, candidates, CANDIDATES, 0, all_weights, params) == CBP_ERROR_LAYERS);
    for (size_t k = 0; k < 30; k++) {
        CHECK(params[k] == 5);
    }
}

/* ---- many chains ----------------------------------------------------------------------------- */

typedef int (*single)(const cbp_real *params, const unsigned char *activations, const cbp_real *in,
                      size_t layers, size_t n, cbp_real *out);
typedef int (*many)(const cbp_real *params, const unsigned char *activations, const cbp_real *in,
                    size_t layers, size_t n, size_t m, int shares, cbp_real *out);

static void test_maps(void)
{
    const single one[] = {cbp_forward, cbp_slope, cbp_inverse};
    const many all[] = {cbp_forward_many, cbp_slope_many, cbp_inverse_many};
    const unsigned char unknown[] = {CBP_LOG, CBP_ACTIVATION_END, CBP_IDENTITY};
    enum { M = 7, N = 21 };
    cbp_real params[M * 6], out[M * N], expected[N];
    const call c = problem_of(LOGISTICS, N, M);
    for (size_t k = 0; k < M * 6; k++) {
        params[k] = R(random_between(0.5, 2));
    }
    params[2 * 6 + 3] = R(NAN);
    for (size_t f = 0; f < 3; f++) {
        for (int shares = 0; shares < 2; shares++) {
            CHECK(all[f](params, logistic, c.x, 3, N, M, shares, out) == CBP_OK);
            for (size_t i = 0; i < M; i++) {
                CHECK(one[f](params + i * 6, logistic, shares ? c.x : c.x + i * N, 3, N,
                             expected) == CBP_OK);
                CHECK(same_all(out + i * N, expected, N));
            }
            CHECK(all[f](params, logistic, c.x, 3, 0, M, shares, out) == CBP_OK);
            CHECK(all[f](NULL, logistic, NULL, 3, N, 0, shares, NULL) == CBP_OK);
        }
        out[0] = 5;
        CHECK(all[f](NULL, logistic, c.x, 3, N, M, 0, out) == CBP_ERROR_NULL);
        CHECK(all[f](params, NULL, c.x, 3, N, M, 0, out) == CBP_ERROR_NULL);
        CHECK(all[f](params, logistic, NULL, 3, N, M, 0, out) == CBP_ERROR_NULL);
        CHECK(all[f](params, logistic, c.x, 3, N, M, 0, NULL) == CBP_ERROR_NULL);
        CHECK(all[f](params, logistic, c.x, 0, N, M, 0, out) == CBP_ERROR_LAYERS);
        CHECK(all[f](params, unknown, c.x, 3, N, M, 0, out) == CBP_ERROR_ACTIVATION && out[0] == 5);
    }

    /* What is wrong with all chains is found before the first is written, with a weight of 0 and
     * without any chain. */
    const unsigned char kinked[] = {CBP_LOG, CBP_RELU, CBP_IDENTITY};
    params[4] = 0;
    for (size_t m = 0; m <= M; m += M) {
        for (size_t f = 0; f < 3; f++) {
            CHECK(all[f](params, NULL, c.x, 3, N, m, 0, out) == CBP_ERROR_NULL);
            CHECK(all[f](params, unknown, c.x, 3, N, m, 0, out) == CBP_ERROR_ACTIVATION);
            CHECK(all[f](params, logistic, c.x, 0, N, m, 0, out) == CBP_ERROR_LAYERS);
            CHECK(all[f](params, logistic, c.x, SIZE_MAX, N, m, 0, out) == CBP_ERROR_LAYERS);
            CHECK(all[f](params, logistic, c.x, SIZE_MAX / 2 + 1, N, m, 1, out) ==
                  CBP_ERROR_LAYERS);
            CHECK(all[f](NULL, logistic, c.x, 3, N, m, 0, out) ==
                  (m > 0 ? CBP_ERROR_NULL : CBP_OK));
            CHECK(all[f](params, logistic, NULL, 3, 0, m, 0, NULL) == CBP_OK);
        }
        CHECK(cbp_inverse_many(params, kinked, c.x, 3, N, m, 0, out) == CBP_ERROR_NOT_INVERTIBLE &&
              out[0] == 5);
    }
    params[4] = 1;

    /* A weight of 0 is its chain's misfortune. */
    params[3 * 6] = 0;
    CHECK(cbp_inverse_many(params, logistic, c.y, 3, N, M, 0, out) == CBP_OK);
    for (size_t i = 0; i < M; i++) {
        CHECK(cbp_inverse(params + i * 6, logistic, c.y + i * N, 3, N, expected) ==
              (i == 3 ? CBP_ERROR_NOT_INVERTIBLE : CBP_OK));
        for (size_t k = 0; k < N; k++) {
            CHECK(i == 3 ? isnan(out[i * N + k]) : same(out[i * N + k], expected[k]));
        }
    }
}

static void test_gradients(void)
{
    enum { M = 7, N = 21 };
    cbp_real params[M * 6], mean[M], gradient[M * 6], one_mean, one[6], alone_mean[M];
    const call c = problem_of(LOGISTICS, N, M);
    cbp_real *work = filled(cbp_work_len(3, N), NAN);
    for (size_t k = 0; k < M * 6; k++) {
        params[k] = R(random_between(0.5, 2));
    }
    for (int variant = 0; variant < 4; variant++) {
        const int shares = variant & 1;
        const cbp_real *weight = variant & 2 ? all_weights : NULL;
        CHECK(cbp_gradient_many(params, logistic, c.x, c.y, weight, 3, N, M, shares, CBP_CAUCHY,
                                R(0.5), work, mean, gradient) == CBP_OK);
        CHECK(cbp_gradient_many(params, logistic, c.x, c.y, weight, 3, N, M, shares, CBP_CAUCHY,
                                R(0.5), work, alone_mean, NULL) == CBP_OK);
        CHECK(same_all(mean, alone_mean, M));
        for (size_t i = 0; i < M; i++) {
            CHECK(cbp_gradient(params + i * 6, logistic, shares ? c.x : c.x + i * N, c.y + i * N,
                               weight, 3, N, CBP_CAUCHY, R(0.5), work, &one_mean, one) == CBP_OK);
            CHECK(same(one_mean, mean[i]) && same_all(one, gradient + i * 6, 6));
        }
    }
    mean[0] = gradient[0] = 5;
    CHECK(cbp_gradient_many(params, logistic, c.x, c.y, NULL, 3, N, M, 0, CBP_SQUARED, 1, work,
                            NULL, gradient) == CBP_ERROR_NULL);
    CHECK(cbp_gradient_many(NULL, logistic, c.x, c.y, NULL, 3, N, M, 0, CBP_SQUARED, 1, work, mean,
                            gradient) == CBP_ERROR_NULL);
    CHECK(cbp_gradient_many(params, logistic, NULL, c.y, NULL, 3, N, M, 0, CBP_SQUARED, 1, work,
                            mean, gradient) == CBP_ERROR_NULL);
    CHECK(cbp_gradient_many(params, logistic, c.x, NULL, NULL, 3, N, M, 0, CBP_SQUARED, 1, work,
                            mean, gradient) == CBP_ERROR_NULL);
    CHECK(cbp_gradient_many(params, logistic, c.x, c.y, NULL, 3, 0, M, 0, CBP_SQUARED, 1, work,
                            mean, gradient) == CBP_ERROR_EMPTY);
    CHECK(cbp_gradient_many(params, logistic, c.x, c.y, NULL, 3, N, M, 0, CBP_LOG_LOSS, 1, work,
                            mean, gradient) == CBP_ERROR_NO_SIGMOID);
    CHECK(mean[0] == 5 && gradient[0] == 5);
    CHECK(cbp_gradient_many(params, logistic, c.x, c.y, NULL, 3, N, 0, 0, CBP_SQUARED, 1, work,
                            mean, NULL) == CBP_OK);
    CHECK(cbp_gradient_many(NULL, logistic, NULL, NULL, NULL, 3, N, 0, 0, CBP_SQUARED, 1, NULL,
                            NULL, NULL) == CBP_OK);

    /* What is wrong with a later chain, or with all, is found before the first is written, and
     * without any chain. */
#define ASK(activations, weight, layers, m, loss, scale, work)                                 \
    cbp_gradient_many(params, activations, c.x, y, weight, layers, N, m, 0, loss, scale, work, \
                      mean, gradient)
    const unsigned char unknown[] = {CBP_LOG, CBP_ACTIVATION_END, CBP_SIGMOID},
                        certain[] = {CBP_LOG, CBP_TANH, CBP_SIGMOID};
    cbp_real y[M * N] = {0}, weight[N] = {1};
    for (size_t m = 0; m <= M; m += M) {
        y[M * N - 1] = 0;
        weight[1] = 0;
        CHECK(ASK(NULL, NULL, 3, m, CBP_SQUARED, 1, work) == CBP_ERROR_NULL);
        CHECK(ASK(unknown, NULL, 3, m, CBP_SQUARED, 1, work) == CBP_ERROR_ACTIVATION);
        CHECK(ASK(logistic, NULL, 0, m, CBP_SQUARED, 1, work) == CBP_ERROR_LAYERS);
        CHECK(ASK(logistic, NULL, SIZE_MAX, m, CBP_SQUARED, 1, work) == CBP_ERROR_LAYERS);
        CHECK(ASK(logistic, NULL, 3, m, CBP_LOSS_END, 1, work) == CBP_ERROR_LOSS);
        CHECK(ASK(logistic, NULL, 3, m, CBP_HUBER, 0, work) == CBP_ERROR_SCALE);
        CHECK(ASK(logistic, NULL, 3, m, CBP_LOG_LOSS, 1, work) == CBP_ERROR_NO_SIGMOID);
        weight[1] = -1;
        CHECK(ASK(certain, weight, 3, m, CBP_LOG_LOSS, 1, work) ==
              (m > 0 ? CBP_ERROR_WEIGHT : CBP_OK));
        weight[0] = weight[1] = 0;
        CHECK(ASK(certain, weight, 3, m, CBP_LOG_LOSS, 1, work) ==
              (m > 0 ? CBP_ERROR_WEIGHT : CBP_OK));
        weight[0] = 1;
        CHECK(ASK(certain, NULL, 3, m, CBP_SQUARED, 1, NULL) == (m > 0 ? CBP_ERROR_NULL : CBP_OK));
        y[M * N - 1] = 2;
        CHECK(ASK(certain, weight, 3, m, CBP_LOG_LOSS, 1, work) ==
              (m > 0 ? CBP_ERROR_TARGET : CBP_OK));
        CHECK(mean[0] == 5 && gradient[0] == 5);
    }
#undef ASK
    free(work);
}

/* Fits and their starts, too, look at what all have in common first, and without any chain. */
static void test_kind_of_fit(void)
{
    const unsigned char unknown[] = {CBP_LOG, CBP_ACTIVATION_END, CBP_IDENTITY};
    const call c = problem_of(LOGISTICS, 21, 2);
    cbp_real *work =
        filled(cbp_fit_many_work_len(3, 6, 21) + cbp_choose_starts_work_len(3, 21, 1), NAN);
    for (size_t m = 0; m <= 2; m += 2) {
        found f = room_for(&c);
        cbp_real start[12] = {5};
        f.fits.params[0] = 5;
#define ASK(activations, layers)                                                                   \
    CHECK(cbp_fit_many(activations, NULL, NULL, NULL, c.x, c.y, NULL, layers, c.n, m, c.n, 0,      \
                       &c.options, work, &f.fits) == status);                                      \
    CHECK(cbp_choose_starts(activations, NULL, NULL, NULL, c.x, c.y, NULL, layers, c.n, m, c.n, 0, \
                            c.start, 1, 0, work, start) == status)
        int status = CBP_ERROR_NULL;
        ASK(NULL, 3);
        status = CBP_ERROR_ACTIVATION;
        ASK(unknown, 3);
        status = CBP_ERROR_LAYERS;
        ASK(logistic, 0);
        ASK(logistic, SIZE_MAX);
#undef ASK
        CHECK(f.fits.params[0] == 5 && start[0] == 5);
        release(&f);
    }
    free(work);
}

int main(void)
{
    test_as_single();
    test_bounds();
    test_one_sided_bounds();
    test_undetermined();
    test_without_covariance();
    test_one_by_one();
    test_company();
    test_shared_inputs();
    test_single_examples();
    test_shared_fault();
    test_dose_zero();
    test_kernels();
    test_memory();
    test_sizes();
    test_stopped();
    test_exhausted();
    test_refused_chains();
    test_refused_arguments();
    test_kinds();
    test_weight_to_zero();
    test_infinite_average();
    test_starts();
    test_starts_between();
    test_starts_of_lines();
    test_starts_of_nothing();
    test_hopeless_starts();
    test_refused_starts();
    test_maps();
    test_gradients();
    test_kind_of_fit();
    return check_done("test_many");
}
