/* What every fit refuses, whichever its method. */
#ifndef CBP_FIT_REFUSED_H
#define CBP_FIT_REFUSED_H

#include "fit_call.h"

/* Whether the fit fails with this status and writes nothing, into the start's memory or another. */
static inline int refuses(call *c, const cbp_real *start, int status)
{
    const cbp_fit_info untouched = {CBP_STOPPED, 3, 5, 7, 9, zeros};
    cbp_real in_place[] = {start[0], start[1]}, elsewhere[] = {5, 5}, history[] = {5, 5};
    c->info = untouched;
    c->options.history = history;
    c->options.history_len = 2;
    return fit(c, in_place) == status && same_all(in_place, start, 2) &&
           fit_from(c, start, elsewhere) == status && elsewhere[0] == 5 && elsewhere[1] == 5 &&
           history[0] == 5 && history[1] == 5 && c->info.outcome == CBP_STOPPED &&
           c->info.iterations == 3 && c->info.evaluations == 5 && c->info.loss == 7 &&
           c->info.gradient_norm == 9 && c->info.params == zeros;
}

static inline void check_refused_start(void)
{
    const unsigned char logarithm[] = {CBP_LOG};
    const cbp_real negative[] = {-1, 0}, large[] = {HUGE_REAL / 4, 0};
    const cbp_real not_finite[][2] = {{R(NAN), 0}, {0, R(INFINITY)}, {R(-INFINITY), 0}};
    call c = fit_of(line, 1, ones, zeros, 2);
    for (int k = 0; k < 3; k++) {
        CHECK(refuses(&c, not_finite[k], CBP_ERROR_START));
    }
    CHECK(refuses(&c, large, CBP_ERROR_START_LOSS)); /* it overflows */

    /* Frozen parameters are not checked, but the loss depends on them. */
    c.chain.frozen = only_b;
    CHECK(refuses(&c, not_finite[0], CBP_ERROR_START_LOSS));

    call outside = fit_of(logarithm, 1, ones, zeros, 2);
    watcher w = {0};
    watch_fit(&outside, &w);
    outside.options.restarts = 20;
    CHECK(refuses(&outside, negative, CBP_ERROR_START_LOSS) && w.calls == 0);
}

static inline void check_refused_arguments(void)
{
    const unsigned char both[] = {1, 1}, unknown[] = {CBP_ACTIVATION_END};
    const cbp_real no_number[] = {0, R(NAN)}, infinite[] = {0, R(INFINITY)}, one[] = {1, 1},
                   negative[] = {-1, 1}, half[] = {R(0.5), R(0.5)}, huge[] = {HUGE_REAL, HUGE_REAL},
                   two_no_number[] = {2, R(NAN)};
    const call c = fit_of(line, 1, ones, zeros, 2);
#define REFUSED(status, change)           \
    do {                                  \
        call t = c;                       \
        change;                           \
        CHECK(refuses(&t, fine, status)); \
    } while (0)
    REFUSED(CBP_ERROR_NULL, t.chain.activations = NULL);
    REFUSED(CBP_ERROR_NULL, t.examples.x = NULL);
    REFUSED(CBP_ERROR_NULL, t.examples.y = NULL);
    REFUSED(CBP_ERROR_ACTIVATION, t.chain.activations = unknown);
    REFUSED(CBP_ERROR_EMPTY, t.examples.n = 0);
    REFUSED(CBP_ERROR_LOSS, t.options.loss.kind = CBP_LOSS_END);
    REFUSED(CBP_ERROR_LOSS, t.options.loss.kind = -1);
    REFUSED(CBP_ERROR_NO_SIGMOID, t.options.loss.kind = CBP_LOG_LOSS);
    REFUSED(CBP_ERROR_SCALE, t.options.loss = ((cbp_loss){CBP_HUBER, 0}));
    REFUSED(CBP_ERROR_SCALE, t.options.loss = ((cbp_loss){CBP_CAUCHY, R(INFINITY)}));
    REFUSED(CBP_ERROR_WEIGHT, t.examples.weight = negative);
    REFUSED(CBP_ERROR_WEIGHT, t.examples.weight = no_number);
    REFUSED(CBP_ERROR_WEIGHT, t.examples.weight = zeros); /* none above 0 */
    REFUSED(CBP_ERROR_WEIGHT, t.examples.weight = huge);  /* their sum is infinite */
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
    REFUSED(CBP_ERROR_LEARNING_RATE, t.options.learning_rate = R(INFINITY));
    REFUSED(CBP_ERROR_NO_FREE, t.chain.frozen = both);
    REFUSED(CBP_ERROR_BOUNDS, t.options.lower = no_number);
    REFUSED(CBP_ERROR_BOUNDS, t.options.upper = two_no_number);
    REFUSED(CBP_ERROR_BOUNDS, (t.options.lower = one, t.options.upper = half));
    REFUSED(CBP_ERROR_START, t.options.lower = one);
    REFUSED(CBP_ERROR_START, t.options.upper = half);
    REFUSED(CBP_ERROR_DATA, t.examples.x = no_number);
    REFUSED(CBP_ERROR_DATA, t.examples.y = no_number);
    REFUSED(CBP_ERROR_DATA, t.examples.x = infinite);
    REFUSED(CBP_ERROR_DATA, t.examples.y = infinite);
    call logistic = fit_of(neuron, 1, ones, negative, 2);
    logistic.options.loss.kind = CBP_LOG_LOSS;
    CHECK(refuses(&logistic, fine, CBP_ERROR_TARGET));
    logistic.examples.y = no_number;
    CHECK(refuses(&logistic, fine, CBP_ERROR_DATA));
#undef REFUSED
}

/* A fit by the arguments that all have. */
typedef int fitter(const cbp_chain *chain, const cbp_examples *examples,
                   const cbp_fit_options *options, cbp_real *work, cbp_real *params,
                   cbp_fit_info *info);

/* Whatever pointer is null, and no layer or more than there is memory for. */
static inline void check_refused_nulls(fitter *fit_by, size_t work_len)
{
    const cbp_fit_info untouched = {CBP_STOPPED, 3, 5, 7, 9, zeros};
    const cbp_chain chain = {fine, line, NULL, 1}, null = {NULL, line, NULL, 1},
                    none = {fine, line, NULL, 0}, endless = {fine, line, NULL, SIZE_MAX / 2};
    const cbp_examples points = {point_x, point_y, NULL, POINTS};
    cbp_real params[] = {5, 5}, *work = numbers(work_len);
    cbp_fit_info info = untouched;
    cbp_fit_options options;
    CHECK(cbp_fit_defaults(&options) == CBP_OK);
    options.batch_size = 1;
    CHECK(fit_by(NULL, &points, &options, work, params, &info) == CBP_ERROR_NULL);
    CHECK(fit_by(&null, &points, &options, work, params, &info) == CBP_ERROR_NULL);
    CHECK(fit_by(&chain, NULL, &options, work, params, &info) == CBP_ERROR_NULL);
    CHECK(fit_by(&chain, &points, NULL, work, params, &info) == CBP_ERROR_NULL);
    CHECK(fit_by(&chain, &points, &options, NULL, params, &info) == CBP_ERROR_NULL);
    CHECK(fit_by(&chain, &points, &options, work, NULL, &info) == CBP_ERROR_NULL);
    CHECK(fit_by(&chain, &points, &options, work, params, NULL) == CBP_ERROR_NULL);
    CHECK(fit_by(&none, &points, &options, work, params, &info) == CBP_ERROR_LAYERS);
    CHECK(fit_by(&endless, &points, &options, work, params, &info) == CBP_ERROR_LAYERS);
    CHECK(params[0] == 5 && params[1] == 5 && info.iterations == 3);
    CHECK(fit_by(&chain, &points, &options, work, params, &info) == CBP_OK);
    free(work);
}

#endif
