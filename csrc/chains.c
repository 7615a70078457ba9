/* One call for many chains: the single calls, one after the other. */
#include "chain.h"

typedef int (*mapping)(const cbp_chain *chain, const cbp_real *in, size_t n, cbp_real *out);

static cbp_chain chain_at(const cbp_chain *chains, size_t i)
{
    cbp_chain chain = *chains;
    chain.params += i * 2 * chains->layers;
    return chain;
}

/* What all chains have in common is checked before the first is written, and also where there is
 * none. */
static int check_chains(const cbp_chain *chains, size_t m)
{
    static const cbp_real none;
    if (!chains) {
        return CBP_ERROR_NULL;
    }
    cbp_chain kind = *chains;
    kind.params = m > 0 ? kind.params : &none;
    return cbp_check_chain(&kind);
}

static int map_all(mapping map, const cbp_chain *chains, size_t m, const cbp_real *in, size_t n,
                   size_t step, cbp_real *out)
{
    int status = check_chains(chains, m);
    if (n == 0 || status != CBP_OK) {
        return status;
    }
    if (m > 0 && (!in || !out)) {
        return CBP_ERROR_NULL;
    }
    for (size_t i = 0; status == CBP_OK && i < m; i++) {
        const cbp_chain chain = chain_at(chains, i);
        status = map(&chain, in + i * step, n, out + i * n);
    }
    return status;
}

int cbp_forward_many(const cbp_chain *chains, size_t m, const cbp_real *x, size_t n, size_t x_step,
                     cbp_real *out)
{
    return map_all(cbp_forward, chains, m, x, n, x_step, out);
}

int cbp_slope_many(const cbp_chain *chains, size_t m, const cbp_real *x, size_t n, size_t x_step,
                   cbp_real *out)
{
    return map_all(cbp_slope, chains, m, x, n, x_step, out);
}

/* As cbp_inverse, but a weight of 0 gives NaN for this chain alone. */
static int inverse_or_nan(const cbp_chain *chain, const cbp_real *y, size_t n, cbp_real *out)
{
    for (size_t l = 0; l < chain->layers; l++) {
        if (chain->params[2 * l] == 0) {
            for (size_t i = 0; i < n; i++) {
                out[i] = (cbp_real)NAN;
            }
            return CBP_OK;
        }
    }
    return cbp_inverse(chain, y, n, out);
}

int cbp_inverse_many(const cbp_chain *chains, size_t m, const cbp_real *y, size_t n, size_t y_step,
                     cbp_real *out)
{
    const int status = check_chains(chains, m);
    for (size_t l = 0; status == CBP_OK && l < chains->layers; l++) {
        cbp_activation_facts facts;
        if (cbp_activation_describe(chains->activations[l], &facts) != CBP_OK ||
            !facts.one_to_one) {
            return CBP_ERROR_NOT_INVERTIBLE;
        }
    }
    return map_all(inverse_or_nan, chains, m, y, n, y_step, out);
}

static cbp_examples set_at(const cbp_example_sets *sets, size_t i)
{
    return (cbp_examples){sets->x + i * sets->x_step, sets->y + i * sets->n,
                          sets->weight ? sets->weight + i * sets->weight_step : NULL, sets->n};
}

/* Whether a set can be averaged over; weights that all sets share are looked at once. */
static int check_set(const cbp_chain *chains, cbp_loss loss, const cbp_example_sets *sets, size_t i,
                     const cbp_real *out)
{
    cbp_examples set = set_at(sets, i);
    cbp_real total = 0;
    if (i > 0 && sets->weight_step == 0) {
        set.weight = NULL;
    }
    const int status = cbp_check_average(chains, loss, &set, out);
    for (size_t j = 0; status == CBP_OK && set.weight && j < set.n; j++) {
        total += set.weight[j];
    }
    return status == CBP_OK && set.weight && !cbp_is_total(total) ? CBP_ERROR_WEIGHT : status;
}

int cbp_gradient_many(const cbp_chain *chains, const cbp_example_sets *sets, const cbp_loss *loss,
                      cbp_real *work, cbp_real *mean, cbp_real *gradient)
{
    static const cbp_real one = 1;
    const cbp_examples example = {&one, &one, NULL, 1};
    const cbp_loss given = cbp_loss_given(loss);
    int status = sets ? check_chains(chains, sets->m) : CBP_ERROR_NULL;
    if (status == CBP_OK && sets->m == 0) {
        return cbp_check_average(&(cbp_chain){&one, chains->activations, NULL, chains->layers},
                                 given, &example, &one);
    }
    if (status == CBP_OK && (!sets->x || !sets->y)) {
        status = CBP_ERROR_NULL;
    }
    for (size_t i = 0; status == CBP_OK && i < sets->m; i++) {
        status = check_set(chains, given, sets, i, mean);
    }
    for (size_t i = 0; status == CBP_OK && i < sets->m; i++) {
        const cbp_chain chain = chain_at(chains, i);
        const cbp_examples set = set_at(sets, i);
        status = gradient ? cbp_gradient(&chain, &set, loss, work, mean + i,
                                         gradient + i * 2 * chains->layers)
                          : cbp_loss_mean(&chain, &set, loss, mean + i);
    }
    return status;
}
