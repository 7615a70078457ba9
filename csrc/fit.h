/* What the fits share: the problem, its checks, and random numbers that are the same everywhere. */
#ifndef CBP_FIT_H
#define CBP_FIT_H

#include "chain.h"
#include "dispatch.h"

/* A checked problem. */
typedef struct cbp_fit {
    cbp_chain chain; /* its parameters are the start */
    cbp_examples examples;
    const cbp_real *lower, *upper;
    cbp_loss loss;
    const cbp_fit_options *options;
    cbp_fit_info *info;
    int is_log_dose; /* x may be -infinity */
} cbp_fit;

/* The problem that a caller gives; examples may be null where a pass alone knows them. Fails with
 * CBP_ERROR_NULL, CBP_ERROR_OPTION. */
int cbp_fit_given(const cbp_chain *chain, const cbp_examples *examples,
                  const cbp_fit_options *options, cbp_fit *fit);

/* Everything that a fit checks before it starts. */
int cbp_fit_check(const cbp_fit *fit);

/* The same without the examples, and without the start, which is checked after them. */
int cbp_fit_check_over(const cbp_fit *fit);

/* Whether the start is finite and within its bounds, which are none or fit each other. */
int cbp_fit_check_start(const cbp_fit *fit);

/* Whether all examples are finite, but for an x of -infinity where it is the logarithm of a
 * dose. */
int cbp_fit_check_data(const cbp_fit *fit);

CBP_INLINE int cbp_is_free(const unsigned char *frozen, size_t k)
{
    return !frozen || !frozen[k];
}

/* How many of 2 * layers parameters are free. */
CBP_INLINE size_t cbp_count_free(const unsigned char *frozen, size_t layers)
{
    size_t free = 0;
    for (size_t k = 0; k < 2 * layers; k++) {
        free += (size_t)cbp_is_free(frozen, k);
    }
    return free;
}

/* How many leading layers are frozen; not all of them. */
CBP_INLINE size_t cbp_count_leading(const unsigned char *frozen, size_t layers)
{
    size_t leading = 0;
    while (leading + 1 < layers && !cbp_is_free(frozen, 2 * leading) &&
           !cbp_is_free(frozen, 2 * leading + 1)) {
        leading++;
    }
    return leading;
}

/* The chain at other parameters. */
CBP_INLINE cbp_chain cbp_chain_at(cbp_chain chain, const cbp_real *params)
{
    chain.params = params;
    return chain;
}

CBP_INLINE cbp_real cbp_root(cbp_real number)
{
#ifdef CBP_SINGLE
    return sqrtf(number); /* for processors that have no double; the bits are those of sqrt */
#else
    return sqrt(number);
#endif
}

CBP_INLINE cbp_real cbp_magnitude(cbp_real number)
{
    return number < 0 ? -number : number;
}

CBP_INLINE int cbp_is_finite(cbp_real number)
{
    return number - number == 0;
}

CBP_INLINE cbp_real cbp_low(const cbp_fit *fit, size_t k)
{
    return fit->lower ? fit->lower[k] : (cbp_real)-INFINITY;
}

CBP_INLINE cbp_real cbp_high(const cbp_fit *fit, size_t k)
{
    return fit->upper ? fit->upper[k] : (cbp_real)INFINITY;
}

/* A parameter clamped to its bounds. */
CBP_INLINE cbp_real cbp_bounded(const cbp_fit *fit, size_t k, cbp_real param)
{
    const cbp_real low = cbp_low(fit, k), high = cbp_high(fit, k);
    return param < low ? low : param > high ? high : param;
}

/* A diagonal entry of a triangle above this part of its column means that the column is independent
 * of those before it. */
#define CBP_INDEPENDENT ((cbp_real)(sizeof(cbp_real) == sizeof(float) ? 1e-2 : 1e-5))

/* Whether a parameter stands at a bound that the loss, with this slope there, would cross. */
CBP_INLINE int cbp_is_at_bound(const cbp_fit *fit, size_t k, cbp_real param, cbp_real slope)
{
    return (param <= cbp_low(fit, k) && slope >= 0) || (param >= cbp_high(fit, k) && slope <= 0);
}

/* A parameter says nothing if its change by itself, or by 1 if it is less, moves the outputs by
 * less than this part of the targets. */
#define CBP_WEAK ((cbp_real)(sizeof(cbp_real) == sizeof(float) ? 1e-4 : 1e-8))

/* All weights, and how many examples have one above 0. */
typedef struct cbp_fit_totals {
    cbp_real weight, examples;
} cbp_fit_totals;

cbp_fit_totals cbp_fit_totals_of(const cbp_fit *fit);

/* What the outputs are measured by: the weighted sum of squared targets, for the log loss of the
 * weights. For a robust loss those further off than the scale s, by r, count for s/r of that,
 * Cauchy's for (s/r)^2, as in the reweighting at the chain's parameters: a far outlier must not
 * make rounding seem large. */
cbp_real cbp_fit_squares(const cbp_fit *fit, const cbp_chain *chain);

/* How many examples a pass goes through before it asks whether to stop: a few milliseconds' work,
 * whole blocks. */
CBP_INLINE size_t cbp_fit_stretch(size_t layers)
{
    return (((size_t)1 << 20) / layers / CBP_BLOCK + 1) * CBP_BLOCK;
}

/* How much work memory the kernels need for a pass. */
CBP_INLINE size_t cbp_fit_pass_len(size_t layers, size_t free)
{
    return (2 * layers + 2 + free + 1) * CBP_FIT_TILE + 2 * layers * CBP_LANES;
}

/* Examples in memory, with cbp_fit_pass_len numbers to work in and cbp_fit_memory_len for nodes. */
typedef struct cbp_fit_memory {
    const cbp_fit *fit;
    cbp_real *work, *nodes;
    int has_sums; /* of a single leaf, those that do not depend on the parameters */
    cbp_real sums[4];
} cbp_fit_memory;

size_t cbp_fit_memory_len(size_t free, size_t n);

/* How much work memory cbp_fit_over and cbp_fit_node_covariance need for themselves. */
size_t cbp_fit_search_len(size_t layers, size_t free);

/* A pass over them, a cbp_fit_pass, whose `user` is a cbp_fit_memory. Asks the progress function
 * between stretches. */
int cbp_fit_pass_memory(void *user, const cbp_chain *chain, cbp_real *node);

/* Tells the progress function, if there is one. Not 0: the fit is to stop. */
int cbp_fit_progress(const cbp_fit *fit);

/* Writes the loss after so many iterations to the history, if there is one. */
void cbp_fit_remember(const cbp_fit *fit, size_t iteration, cbp_real loss);

/* SplitMix64 (Steele, Lea, Flood 2014): the next 64 random bits of a state that starts as the
 * seed. */
uint64_t cbp_random_bits(uint64_t *state);

/* Uniform in [0, 1), a multiple of 2^-53 (single: 2^-24). */
cbp_real cbp_random_uniform(uint64_t *state);

/* Uniform among 0 ... count - 1, for count from 1 to 2^53, without bias. */
size_t cbp_random_below(uint64_t *state, size_t count);

#endif
