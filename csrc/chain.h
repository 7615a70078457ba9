/* What every call checks of a chain, its loss and its examples. */
#ifndef CBP_CHAIN_H
#define CBP_CHAIN_H

#include "kernels.h"

/* What memory can address. */
#define CBP_MOST_LAYERS (SIZE_MAX / 4096)

/* Chains of at most this many layers need no work memory for one example. */
#define CBP_STACK_LAYERS 32

/* Whether a sum of weights can be divided by. */
CBP_INLINE int cbp_is_total(cbp_real weight)
{
    return weight >= CBP_LEAST_WEIGHT && weight - weight == 0;
}

/* The loss that a caller means. */
CBP_INLINE cbp_loss cbp_loss_given(const cbp_loss *loss)
{
    return loss ? *loss : (cbp_loss){CBP_SQUARED, 1};
}

/* Whether a chain has layers, parameters and known activations. */
int cbp_check_chain(const cbp_chain *chain);

/* Whether there is such a loss for the chain; and whether y[n] are targets of it. */
int cbp_check_loss(const cbp_chain *chain, cbp_loss loss, const cbp_real *y, size_t n);

/* What every average checks of its arguments; `out` stands for all outputs. */
int cbp_check_average(const cbp_chain *chain, cbp_loss loss, const cbp_examples *examples,
                      const cbp_real *out);

#endif
