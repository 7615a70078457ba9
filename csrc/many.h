/* What calls for many chains share: how they divide their work memory. */
#ifndef CBP_MANY_H
#define CBP_MANY_H

#include "fit.h"

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
