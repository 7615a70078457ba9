/* What calls for many chains share: how they divide their work memory. */
#ifndef CBP_MANY_H
#define CBP_MANY_H

#include "fit.h"

/* As cbp_fit_many without cbp_fit_lm, where options have no restarts: what that would take over is
 * given up, with status CBP_EXHAUSTED, no errors, and the parameters and the loss that it has come
 * to. So is after a few iterations what is far from the least loss, averaged, that is known for its
 * set: least[least_step * chain], which becomes that of any chain that converges. */
typedef struct cbp_least {
    cbp_real *loss;
    size_t step;
} cbp_least;

int cbp_fit_many_in_lanes(const cbp_chain *chain, const cbp_example_sets *sets,
                          const cbp_fit_options *options, const cbp_least *least, cbp_real *work,
                          const cbp_fits *fits);

/* cbp_choose_starts; gains[m], unless it is null: by how much the start makes each chain's sum of
 * squares less, -infinity if no candidate's sum is finite. */
int cbp_choose_starts_by_gain(const cbp_chain *chain, const cbp_example_sets *sets,
                              const cbp_fit_options *options, const cbp_candidates *candidates,
                              cbp_real *work, cbp_real *params, cbp_real *gains);

/* Vectors are best at multiples of their own size. */
#define CBP_ALIGNED (64 / sizeof(cbp_real))

CBP_INLINE cbp_real *cbp_aligned(cbp_real *work)
{
    return work + (CBP_ALIGNED - (uintptr_t)work / sizeof *work % CBP_ALIGNED) % CBP_ALIGNED;
}

/* The next `len` numbers of the work memory. */
CBP_INLINE cbp_real *cbp_taken(cbp_real **work, size_t len)
{
    cbp_real *start = *work;
    *work += len;
    return start;
}

/* What stands for the input of a missing point, which counts for nothing: that of the first point
 * that is there, where the chain is defined. */
CBP_INLINE cbp_real cbp_stand_in(const cbp_real *x, const cbp_real *y, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (y[i] == y[i]) {
            return x[i];
        }
    }
    return 1;
}

#endif
