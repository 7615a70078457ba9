/* The kernels for x86-64 with AVX2 and FMA. */
#include "kernels.h"

#if CBP_X86_KERNELS
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx2,fma")
#endif

#define CBP_HAVE_FMA 1
#define CBP_HAS_WIDE_VECTORS 0
#define CBP_TARGET avx2
#define CBP_TARGET_NAME "avx2"
#include "loss.h"

#include "kernels/table.h"

#ifdef __clang__
#pragma clang attribute pop
#endif
#else
typedef int cbp_kernels_avx2_are_for_x86_64; /* a translation unit is never empty */
#endif
