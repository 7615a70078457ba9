/* The kernels for the instruction set that the compiler was told to use. */
#include "internal.h"

/* Where fused multiply-add is part of that set. */
#if defined(__FMA__) || defined(__FP_FAST_FMA) || defined(__aarch64__) || defined(_M_ARM64) || defined(__s390x__) || \
    defined(__riscv_flen) || defined(__PPC64__)
#define CBP_HAVE_FMA 1
#else
#define CBP_HAVE_FMA 0
#endif

#define CBP_HAS_WIDE_VECTORS 0
#define CBP_TARGET generic
#define CBP_TARGET_NAME "generic"
#include "kernels.h"
