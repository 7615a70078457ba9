/* One call for many chains: the single calls, one after the other. */
#include "chain.h"

typedef int (*mapping)(const cbp_real *params, const unsigned char *activations, const cbp_real *in,
                       size_t layers, size_t n, cbp_real *out);

/* What all chains have in common is checked before the first is written, and also where there is
 * none. */
static const cbp_real none;

static cbp_chain kind_of(const cbp_real *params, const unsigned char *activations, size_t layers,
                         size_t m)
{
    return (cbp_chain){m > 0 ? params : &none, activations, layers};
}

static int map_all(mapping map, const cbp_real *params, const unsigned char *activations,
                   const cbp_real *in, size_t layers, size_t n, size_t m, int shares_in,
                   cbp_real *out)
{
    const cbp_chain kind = kind_of(params, activations, layers, m);
    int status = cbp_check_chain(&kind);
    if (n > 0 && m > 0 && (!in || !out)) {
        status = CBP_ERROR_NULL;
    }
    for (size_t i = 0; status == CBP_OK && n > 0 && i < m; i++) { /* in may be null if n is 0 */
        status = map(params + i * 2 * layers, activations, shares_in ? in : in + i * n, layers, n,
                     out + i * n);
    }
    return status;
}

int cbp_forward_many(const cbp_real *params, const unsigned char *activations, const cbp_real *x,
                     size_t layers, size_t n, size_t m, int shares_x, cbp_real *out)
{
    return map_all(cbp_forward, params, activations, x, layers, n, m, shares_x, out);
}

int cbp_slope_many(const cbp_real *params, const unsigned char *activations, const cbp_real *x,
                   size_t layers, size_t n, size_t m, int shares_x, cbp_real *out)
{
    return map_all(cbp_slope, params, activations, x, layers, n, m, shares_x, out);
}

/* As cbp_inverse, but a weight of 0 is this chain's misfortune alone. */
static int inverse_or_nan(const cbp_real *params, const unsigned char *activations,
                          const cbp_real *y, size_t layers, size_t n, cbp_real *out)
{
    for (size_t l = 0; l < layers; l++) {
        if (params[2 * l] == 0) {
            for (size_t i = 0; i < n; i++) {
                out[i] = (cbp_real)NAN;
            }
            return CBP_OK;
        }
    }
    return cbp_inverse(params, activations, y, layers, n, out);
}

int cbp_inverse_many(const cbp_real *params, const unsigned char *activations, const cbp_real *y,
                     size_t layers, size_t n, size_t m, int shares_y, cbp_real *out)
{
    const cbp_chain kind = kind_of(params, activations, layers, m);
    const int status = cbp_check_chain(&kind);
    for (size_t l = 0; status == CBP_OK && l < layers; l++) {
        cbp_activation_facts facts;
        if (cbp_activation_describe(activations[l], &facts) != CBP_OK || !facts.one_to_one) {
            return CBP_ERROR_NOT_INVERTIBLE;
        }
    }
    return map_all(inverse_or_nan, params, activations, y, layers, n, m, shares_y, out);
}

int cbp_gradient_many(const cbp_real *params, const unsigned char *activations, const cbp_real *x,
                      const cbp_real *y, const cbp_real *weight, size_t layers, size_t n, size_t m,
                      int shares_x, int loss, cbp_real scale, cbp_real *work, cbp_real *mean,
                      cbp_real *gradient)
{
    const cbp_chain kind = kind_of(params, activations, layers, m);
    const cbp_criterion criterion = {loss, scale};
    int status = m > 0 ? cbp_check_average(&kind, criterion, x, y, weight, n, mean)
                       : cbp_check_average(&kind, criterion, &none, &none, NULL, 1, &none);
    for (size_t i = 1; status == CBP_OK && i < m; i++) { /* the targets are each chain's own */
        status = cbp_check_average(&kind, criterion, x, y + i * n, NULL, n, mean);
    }
    for (size_t i = 0; status == CBP_OK && i < m; i++) {
        const cbp_real *own_params = params + i * 2 * layers, *own_x = shares_x ? x : x + i * n,
                       *own_y = y + i * n;
        status = gradient ? cbp_gradient(own_params, activations, own_x, own_y, weight, layers, n,
                                         loss, scale, work, mean + i, gradient + i * 2 * layers)
                          : cbp_loss_mean(own_params, activations, own_x, own_y, weight, layers, n,
                                          loss, scale, mean + i);
    }
    return status;
}
