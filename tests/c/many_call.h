/* What the tests of many fits share: a call with room for all that it finds, and problems. */
#ifndef CBP_MANY_CALL_H
#define CBP_MANY_CALL_H

#include "check.h"

enum { GUARD = 64, OFFSETS = 64 / sizeof(cbp_real) };

/* ---- one call -------------------------------------------------------------------------------- */

/* Fits of `m` chains with all that they read. */
typedef struct call {
    cbp_chain chain; /* whose parameters are not read */
    cbp_example_sets sets;
    const cbp_real *start; /* [2L], of all chains */
    cbp_fit_options options;
} call;

/* What they find, in memory of just that size. */
typedef struct found {
    size_t layers, m, triangle;
    cbp_fits fits;
} found;

static inline size_t free_of(const call *c)
{
    size_t count = 0;
    for (size_t k = 0; k < 2 * c->chain.layers; k++) {
        count += !c->chain.frozen || !c->chain.frozen[k];
    }
    return count;
}

static inline void *bytes(size_t len)
{
    void *memory = malloc(len + (len == 0));
    if (!memory) {
        exit(2);
    }
    return memory;
}

static inline cbp_real *filled(size_t len, double number)
{
    cbp_real *memory = numbers(len);
    for (size_t k = 0; k < len; k++) {
        memory[k] = R(number);
    }
    return memory;
}

/* How many numbers the triangle of one chain's covariance has. */
static inline size_t triangle_of(const call *c)
{
    return free_of(c) * (free_of(c) + 1) / 2;
}

/* Room for what m chains find, all of it 5 but for the parameters, which are at the start. */
static inline found room_for(const call *c)
{
    const size_t all = 2 * c->chain.layers, m = c->sets.m;
    found f = {c->chain.layers,
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

static inline void release(found *f)
{
    free(f->fits.params);
    free(f->fits.status);
    free(f->fits.iterations);
    free(f->fits.loss);
    free(f->fits.weight);
    free(f->fits.variance);
    free(f->fits.df);
    free(f->fits.standard_error);
    free(f->fits.covariance);
    free(f->fits.determined);
}

/* Whether chain i of one call and chain j of another have found the same, bit by bit. */
static inline int is_same(const found *a, size_t i, const found *b, size_t j)
{
    const size_t all = 2 * a->layers;
    return same_all(a->fits.params + i * all, b->fits.params + j * all, all) &&
           a->fits.status[i] == b->fits.status[j] &&
           a->fits.iterations[i] == b->fits.iterations[j] &&
           same(a->fits.loss[i], b->fits.loss[j]) && same(a->fits.weight[i], b->fits.weight[j]) &&
           same(a->fits.variance[i], b->fits.variance[j]) && same(a->fits.df[i], b->fits.df[j]) &&
           same_all(a->fits.standard_error + i * all, b->fits.standard_error + j * all, all) &&
           same_all(a->fits.covariance + i * a->triangle, b->fits.covariance + j * b->triangle,
                    a->triangle) &&
           memcmp(a->fits.determined + i * all, b->fits.determined + j * all, all) == 0;
}

static inline int is_same_all(const found *a, const found *b)
{
    for (size_t i = 0; i < a->m; i++) {
        if (!is_same(a, i, b, i)) {
            return 0;
        }
    }
    return a->m == b->m;
}

/* The fits, in work memory that starts `offset` numbers after where malloc put it, contains NaN,
 * and is guarded. */
static inline int fit_at(const call *c, size_t offset, found *f)
{
    const size_t n = c->sets.n, len = cbp_fit_many_work_len(c->chain.layers, free_of(c), n);
    cbp_real *memory = filled(offset + len + GUARD, NAN), *work = memory + offset,
             *guard = work + len;
    cbp_real *x = exactly(c->sets.x, c->sets.x_step ? n * c->sets.m : n),
             *y = exactly(c->sets.y, n * c->sets.m);
    cbp_example_sets sets = c->sets;
    sets.x = x;
    sets.y = y;
    for (size_t k = 0; k < GUARD; k++) {
        guard[k] = R(1234.5) + R(k);
    }
    const int status = cbp_fit_many(&c->chain, &sets, &c->options, work, &f->fits);
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

static inline found fit(const call *c)
{
    found f = room_for(c);
    CHECK(fit_at(c, 0, &f) == CBP_OK);
    return f;
}

/* The same call for chain i alone. */
static inline call alone(const call *c, size_t i)
{
    call one = *c;
    one.sets.m = 1;
    one.sets.x += i * c->sets.x_step;
    one.sets.y += i * c->sets.n;
    one.sets.weight = c->sets.weight ? c->sets.weight + i * c->sets.weight_step : NULL;
    return one;
}

/* ---- problems -------------------------------------------------------------------------------- */

static const unsigned char line[] = {CBP_IDENTITY}, neuron[] = {CBP_SIGMOID},
                           tanh_line[] = {CBP_TANH, CBP_IDENTITY};
static const unsigned char logistic[] = {CBP_LOG, CBP_SIGMOID, CBP_IDENTITY},
                           but_logarithm[] = {1, 1, 0, 0, 0, 0};
static const unsigned char saturation[] = {CBP_EXPM1, CBP_IDENTITY}, weights_only[] = {0, 1, 0, 1};
static const unsigned char growth[] = {CBP_TANH, CBP_EXP};
static const unsigned char frozen_end[] = {CBP_TANH, CBP_SIGMOID}, first_layer[] = {0, 0, 1, 1};

enum { MOST_CHAINS = 50, MOST_EXAMPLES = 40 };
static cbp_real all_x[MOST_CHAINS * MOST_EXAMPLES], all_y[MOST_CHAINS * MOST_EXAMPLES];
static cbp_real all_weights[MOST_CHAINS * MOST_EXAMPLES];

static const cbp_real line_start[] = {R(-0.5), R(0.5)}, tanh_start[] = {1, 0, 1, 0},
                      frozen_end_start[] = {1, 0, 2, 0}, counts_start[] = {1, 0, 1, 1};
static const cbp_real logistic_start[] = {1, 0, 1, 0, 3, R(0.5)},
                      saturation_start[] = {R(-0.5), 0, -1, 0};

/* A kind of curve, and from where its chains start. */
typedef struct family {
    const unsigned char *activations, *frozen;
    const cbp_real *start;
    size_t layers;
    int loss;
} family;

enum kind { LINES, TANHS, LOGISTICS, SATURATIONS, NEURONS, FROZEN_END, COUNTS, KINDS };

static const family families[KINDS] = {{line, NULL, line_start, 1, CBP_SQUARED},
                                       {tanh_line, NULL, tanh_start, 2, CBP_SQUARED},
                                       {logistic, but_logarithm, logistic_start, 3, CBP_SQUARED},
                                       {saturation, weights_only, saturation_start, 2, CBP_SQUARED},
                                       {neuron, NULL, line_start, 1, CBP_LOG_LOSS},
                                       {frozen_end, first_layer, frozen_end_start, 2, CBP_LOG_LOSS},
                                       {growth, NULL, counts_start, 2, CBP_POISSON}};

/* The noisy curves of m chains; inputs are (-2, 2), (0, 4) of saturations, their exponentials of
 * logistics. */
static inline call problem_of(int kind, size_t n, size_t m)
{
    const family *of = &families[kind];
    call c = {.chain = {.activations = of->activations, .frozen = of->frozen, .layers = of->layers},
              .sets = {.x = all_x, .y = all_y, .n = n, .m = m},
              .start = of->start};
    CHECK(cbp_fit_defaults(&c.options) == CBP_OK);
    c.options.loss.kind = of->loss;
    check_state = 40 + (uint64_t)kind;
    for (size_t i = 0; i < m; i++) {
        const double a = random_between(0.9, 1.5), b = random_between(-0.5, 0.5),
                     height = random_between(2, 4);
        for (size_t k = 0, at = i * n; k < n; k++, at++) {
            const double t = 4 * ((double)k + 0.5) / (double)n - 2;
            const double curve = kind == LINES         ? a * t + b
                                 : kind == TANHS       ? height * tanh(a * t + b) - b
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
            } else if (kind == FROZEN_END) { /* probabilities */
                all_y[at] = R(1 / (1 + exp(-curve)) + random_between(-0.1, 0.1));
            }
            all_weights[at] = R(random_below(4)) / 2 + R(0.125);
        }
    }
    return c;
}

#endif
