/* The kernels for x86-64 with AVX-512 (F, DQ, VL). */
#include "kernels.h"

#if CBP_X86_KERNELS
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512vl,fma"))), \
                             apply_to = function)
#else
#pragma GCC target("avx512f,avx512dq,avx512vl,fma,prefer-vector-width=512")
#endif

#define CBP_HAVE_FMA 1
#define CBP_HAS_WIDE_VECTORS 1
#define CBP_TARGET avx512
#define CBP_TARGET_NAME "avx512"
#include "loss.h"

#include "kernels/table.h"

#ifdef __clang__
#pragma clang attribute pop
#endif
#else
typedef int cbp_kernels_avx512_are_for_x86_64; /* a translation unit is never empty */
#endif
