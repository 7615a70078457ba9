/* Which kernels to run: asked of the processor and its operating system once, at the first call. */
#include "internal.h"

#if CBP_X86_KERNELS
#ifdef _MSC_VER
#include <intrin.h>
#else
#include <cpuid.h>
#endif
#endif

#if defined(__GNUC__) || defined(__clang__)
const cbp_kernels *cbp_kernels_chosen;
#else
const cbp_kernels *volatile cbp_kernels_chosen;
#endif

#if CBP_X86_KERNELS
typedef struct registers {
    unsigned a, b, c, d;
} registers;

static registers cpuid(unsigned leaf)
{
    registers r = {0, 0, 0, 0};
#ifdef _MSC_VER
    int out[4];
    __cpuidex(out, (int)leaf, 0);
    r = (registers){(unsigned)out[0], (unsigned)out[1], (unsigned)out[2], (unsigned)out[3]};
#else
    __cpuid_count(leaf, 0, r.a, r.b, r.c, r.d);
#endif
    return r;
}

/* Which register states the operating system saves at a task switch. */
static unsigned saved_states(void)
{
#ifdef _MSC_VER
    return (unsigned)_xgetbv(0);
#else
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
#endif
}

static int has(unsigned word, unsigned bits)
{
    return (word & bits) == bits;
}

/* The best table: AVX2 needs FMA beside it and the xmm and ymm states saved, AVX-512 its masks and zmm states too. */
static const cbp_kernels *best(void)
{
    const unsigned fma = 1u << 12, osxsave = 1u << 27, avx = 1u << 28;                       /* leaf 1, c */
    const unsigned avx2 = 1u << 5, avx512 = 1u << 16 | 1u << 17 | 1u << 31;                  /* leaf 7, b: F, DQ, VL */
    const unsigned ymm = 0x6, zmm = 0xe6;                                                    /* xgetbv */
    if (cpuid(0).a < 7 || !has(cpuid(1).c, fma | osxsave | avx)) {
        return &cbp_kernels_generic;
    }
    const unsigned features = cpuid(7).b, states = saved_states();
    if (!has(features, avx2) || !has(states, ymm)) {
        return &cbp_kernels_generic;
    }
    return has(features, avx512) && has(states, zmm) ? &cbp_kernels_avx512 : &cbp_kernels_avx2;
}

static const cbp_kernels *const levels[] = {&cbp_kernels_generic, &cbp_kernels_avx2, &cbp_kernels_avx512};
#else
static const cbp_kernels *best(void)
{
    return &cbp_kernels_generic;
}

static const cbp_kernels *const levels[] = {&cbp_kernels_generic};
#endif

const cbp_kernels *cbp_kernels_find(void)
{
    const cbp_kernels *table = best();
    CBP_STORE_CHOSEN(table);
    return table;
}

const char *cbp_kernel(void)
{
    return cbp_kernels_now()->name;
}

int cbp_kernel_choose(const char *name)
{
    const cbp_kernels *limit = best();
    if (!name) {
        CBP_STORE_CHOSEN(limit);
        return CBP_OK;
    }
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        if (strcmp(levels[i]->name, name) == 0) {
            CBP_STORE_CHOSEN(levels[i]);
            return CBP_OK;
        }
        if (levels[i] == limit) {
            break;
        }
    }
    return CBP_ERROR_KERNEL;
}
