/* Which table of kernels is in use. */
#ifndef CBP_DISPATCH_H
#define CBP_DISPATCH_H

#include "kernels.h"

#if CBP_X86_KERNELS
/* The best table for what a processor tells of itself (cpuid leaf 1, c, and leaf 7, b) and its
 * system saves (xgetbv). */
const cbp_kernels *cbp_kernels_for(unsigned leaf_1, unsigned leaf_7, unsigned states);
#endif

/* The table in use, null before the first call: the one writable global, a pointer that any thread
 * may set, always to the same table unless a test chooses (dispatch.c). */
#if defined(__GNUC__) || defined(__clang__)
extern const cbp_kernels *cbp_kernels_chosen;
#define CBP_LOAD_CHOSEN() __atomic_load_n(&cbp_kernels_chosen, __ATOMIC_ACQUIRE)
#define CBP_STORE_CHOSEN(table) __atomic_store_n(&cbp_kernels_chosen, table, __ATOMIC_RELEASE)
#else
extern const cbp_kernels *volatile cbp_kernels_chosen;
#define CBP_LOAD_CHOSEN() cbp_kernels_chosen
#define CBP_STORE_CHOSEN(table) (cbp_kernels_chosen = (table))
#endif

/* Finds the best table and takes it. */
const cbp_kernels *cbp_kernels_find(void);

CBP_INLINE const cbp_kernels *cbp_kernels_now(void)
{
    const cbp_kernels *table = CBP_LOAD_CHOSEN();
    return CBP_LIKELY(table != NULL) ? table : cbp_kernels_find();
}

#endif
