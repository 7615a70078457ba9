/* What the tests of descents share: the fit, what is checked of it, and a problem. */
#ifndef CBP_FIT_DESCENT_CALL_H
#define CBP_FIT_DESCENT_CALL_H

#include "fit_call.h"

static int fit_from(call *c, const cbp_real *start, cbp_real *params)
{
    cbp_real *work = spoilt(cbp_fit_descent_work_len(c->chain.layers, c->options.batch_size));
    c->chain.params = start;
    const int status =
        cbp_fit_descent(&c->chain, &c->examples, &c->options, work, c->order, params, &c->info);
    c->chain.params = params;
    free(work);
    return status;
}

/* What a fit says of the parameters it returns is what the library finds there. */
static inline void check_info(const call *c)
{
    const size_t all = 2 * c->chain.layers;
    const unsigned char *frozen = c->chain.frozen;
    const cbp_real *params = c->chain.params, *lower = c->options.lower, *upper = c->options.upper;
    cbp_real *work = numbers(cbp_work_len(c->chain.layers, c->examples.n)),
             *gradient = numbers(all), loss;
    double norm = 0;
    CHECK(cbp_gradient(&c->chain, &c->examples, &c->options.loss, work, &loss, gradient) == CBP_OK);
    for (size_t k = 0; k < all; k++) {
        const int at_bound = (lower && params[k] == lower[k] && gradient[k] >= 0) ||
                             (upper && params[k] == upper[k] && gradient[k] <= 0);
        norm += at_bound || (frozen && frozen[k]) ? 0 : (double)gradient[k] * (double)gradient[k];
    }
    CHECK(near((double)c->info.loss, (double)loss, 0, 4));
    CHECK(near((double)c->info.gradient_norm, sqrt(norm), 0, 16));
    CHECK(c->info.params == params);
    free(work);
    free(gradient);
}

/* A constant, fitted by b alone: E = (b - 1)^2, so that a step of gradient descent multiplies b - 1
 * by 1 - 2 learning_rate. */
static inline call fit_of_constant(double learning_rate)
{
    call c = fit_of(line, 1, zeros, ones, 2);
    c.chain.frozen = only_b;
    c.options.learning_rate = R(learning_rate);
    return c;
}

#endif
