/* What the tests of fits share: a call with all that it reads, and problems. `fit` is each one's
 * own. */
#ifndef CBP_FIT_CALL_H
#define CBP_FIT_CALL_H

#include "check.h"

#ifdef CBP_SINGLE
#define HUGE_REAL FLT_MAX
#else
#define HUGE_REAL DBL_MAX
#endif

/* ---- one call -------------------------------------------------------------------------------- */

/* A fit with all that it reads, so that a test says only what matters to it. */
typedef struct call {
    cbp_chain chain; /* after a fit, of the parameters that it has found */
    cbp_examples examples;
    size_t *order; /* of descents */
    cbp_fit_options options;
    cbp_fit_info info;
} call;

static inline call fit_of(const unsigned char *activations, size_t layers, const cbp_real *x,
                          const cbp_real *y, size_t n)
{
    call c = {.chain = {.activations = activations, .layers = layers}, .examples = {x, y, NULL, n}};
    CHECK(cbp_fit_defaults(&c.options) == CBP_OK);
    return c;
}

/* Makes the fit from this start, in memory of exactly the length that the library asks for. */
static int fit_from(call *c, const cbp_real *start, cbp_real *params);

/* The same where `params` holds the start. */
static inline int fit(call *c, cbp_real *params)
{
    return fit_from(c, params, params);
}

/* Memory for `len` numbers and no more; its content on entry must not matter. */
static inline cbp_real *spoilt(size_t len)
{
    cbp_real *memory = numbers(len);
    for (size_t k = 0; k < len; k++) {
        memory[k] = R(NAN);
    }
    return memory;
}

enum { MOST = 8 }; /* parameters of a chain whose covariance is asked for, or which is watched */

/* Counts its calls, keeps what it was told last, sees that it is in order, and stops the fit at the
 * call `stop_at`. */
typedef struct watcher {
    const call *c;
    size_t calls, stop_at;
    cbp_fit_info last;
    cbp_real params[MOST]; /* the first ones */
    int out_of_bounds, disorder;
} watcher;

static inline int watch(void *user, const cbp_fit_info *info)
{
    watcher *w = user;
    const cbp_chain *chain = &w->c->chain;
    const cbp_real *lower = w->c->options.lower, *upper = w->c->options.upper;
    for (size_t k = 0; k < 2 * chain->layers && k < MOST; k++) {
        w->params[k] = info->params[k];
        if (!(chain->frozen && chain->frozen[k])) {
            w->out_of_bounds += lower && !(info->params[k] >= lower[k]);
            w->out_of_bounds += upper && !(info->params[k] <= upper[k]);
        }
        w->disorder += !isfinite(info->params[k]);
    }
    w->disorder += info->outcome != CBP_RUNNING;
    w->disorder += w->calls > 0 && info->iterations < w->last.iterations;
    w->disorder += w->calls > 0 && info->evaluations < w->last.evaluations;
    w->last = *info;
    return ++w->calls == w->stop_at;
}

static inline void watch_fit(call *c, watcher *w)
{
    w->c = c;
    c->options.progress = watch;
    c->options.user = w;
}

/* ---- problems -------------------------------------------------------------------------------- */

static const unsigned char line[] = {CBP_IDENTITY}, neuron[] = {CBP_SIGMOID};
static const unsigned char two_lines[] = {CBP_IDENTITY, CBP_IDENTITY};
static const unsigned char only_w[] = {0, 1}, only_b[] = {1, 0}, weights_only[] = {0, 1, 0, 1};
static const cbp_real zeros[] = {0, 0}, ones[] = {1, 1}, fine[] = {1, 0};

/* Points about a line, weights of which some are 0, and labels for one neuron: yes and no, some
 * less sure. */
enum { POINTS = 40 };
static cbp_real point_x[POINTS], point_y[POINTS], point_weight[POINTS], point_label[POINTS];

static inline void fill_points(void)
{
    check_state = 11;
    for (size_t i = 0; i < POINTS; i++) {
        point_x[i] = R(random_between(-1, 1));
        point_y[i] = R(2 * (double)point_x[i] - 1 + random_between(-0.2, 0.2));
        point_weight[i] = i % 3 ? R(random_between(0, 2)) : 0;
    }
    for (size_t i = 0; i < POINTS; i++) {
        point_label[i] =
            i % 5 == 0 ? R(0.25) : random_between(-1, 1) < 2 * (double)point_x[i] + 0.25;
    }
}

/* Enough for several blocks. */
enum { MANY = 3 * CBP_BLOCK + 77 };
static cbp_real many_x[MANY], many_y[MANY];

static inline void fill_many(void)
{
    check_state = 13;
    for (size_t i = 0; i < MANY; i++) {
        many_x[i] = R(random_between(-2, 2));
        many_y[i] = R(random_between(-1, 1));
    }
}

/* So many layers that the progress function is asked every 2048 examples; all but the last are the
 * identity. */
enum { DEEP = 600 };

static inline call deep_fit(cbp_real *params, unsigned char *activations, unsigned char *frozen)
{
    for (size_t l = 0; l < DEEP; l++) {
        params[2 * l] = 1;
        params[2 * l + 1] = 0;
        activations[l] = l + 1 < DEEP ? CBP_IDENTITY : CBP_TANH;
        frozen[2 * l] = frozen[2 * l + 1] = l + 1 < DEEP;
    }
    call c = fit_of(activations, DEEP, many_x, many_y, MANY);
    c.chain.params = params;
    c.chain.frozen = frozen;
    c.options.max_iterations = 1;
    return c;
}

#endif
