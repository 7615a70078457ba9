/* What the tests of descents share: the fit, what is checked of it, and a problem. */
#ifndef CBP_FIT_DESCENT_CALL_H
#define CBP_FIT_DESCENT_CALL_H

#include "fit_call.h"

static int fit(call *c, cbp_real *params)
{
    cbp_real *work = spoilt(cbp_fit_descent_work_len(c->layers, c->options.batch_size));
    const int status =
        cbp_fit_descent(c->activations, c->frozen, c->lower, c->upper, c->x, c->y, c->weight,
                        c->layers, c->n, &c->options, work, c->order, params, &c->info);
    free(work);
    return status;
}

/* What a fit says of the parameters it returns is what the library finds there. */
static inline void check_info(const call *c, const cbp_real *params)
{
    cbp_real *work = numbers(cbp_work_len(c->layers, c->n)), *gradient = numbers(2 * c->layers),
             loss;
    double norm = 0;
    CHECK(cbp_gradient(params, c->activations, c->x, c->y, c->weight, c->layers, c->n,
                       c->options.loss, c->options.scale, work, &loss, gradient) == CBP_OK);
    for (size_t k = 0; k < 2 * c->layers; k++) {
        const int held = (c->lower && params[k] == c->lower[k] && gradient[k] >= 0) ||
                         (c->upper && params[k] == c->upper[k] && gradient[k] <= 0);
        norm += held || (c->frozen && c->frozen[k]) ? 0 : (double)gradient[k] * (double)gradient[k];
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
    c.frozen = only_b;
    c.options.learning_rate = R(learning_rate);
    return c;
}

#endif
