/* Which kernels to run: asked of the processor and its operating system once, at the first call. */
#include "dispatch.h"

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

/* AVX2 needs FMA beside it and the xmm and ymm states saved, AVX-512 its masks and zmm states
 * too. */
const cbp_kernels *cbp_kernels_for(unsigned leaf_1, unsigned leaf_7, unsigned states)
{
    const unsigned fma = 1u << 12, avx = 1u << 28;
    const unsigned avx2 = 1u << 5, avx512 = 1u << 16 | 1u << 17 | 1u << 31; /* F, DQ, VL */
    const unsigned ymm = 0x6, zmm = 0xe6;
    if (!has(leaf_1, fma | avx) || !has(leaf_7, avx2) || !has(states, ymm)) {
        return &cbp_kernels_generic;
    }
    return has(leaf_7, avx512) && has(states, zmm) ? &cbp_kernels_avx512 : &cbp_kernels_avx2;
}

/* Old processors have neither leaf 7 nor an instruction that tells the states. */
static const cbp_kernels *best(void)
{
    const unsigned osxsave = 1u << 27, leaf_1 = cpuid(1).c;
    const unsigned leaf_7 = cpuid(0).a < 7 ? 0 : cpuid(7).b;
    const unsigned states = has(leaf_1, osxsave) ? saved_states() : 0;
    return cbp_kernels_for(leaf_1, leaf_7, states);
}

static const cbp_kernels *const tables[] = {&cbp_kernels_generic, &cbp_kernels_avx2,
                                            &cbp_kernels_avx512};
#else
static const cbp_kernels *best(void)
{
    return &cbp_kernels_generic;
}

static const cbp_kernels *const tables[] = {&cbp_kernels_generic};
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
    for (size_t i = 0;; i++) {
        if (strcmp(tables[i]->name, name) == 0) {
            CBP_STORE_CHOSEN(tables[i]);
            return CBP_OK;
        }
        if (tables[i] == limit) {
            return CBP_ERROR_KERNEL;
        }
    }
}
