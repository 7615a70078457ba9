/* Compiler portability: IEEE arithmetic without contraction, and what compilers spell
 * differently. */
#ifndef CBP_COMPILER_H
#define CBP_COMPILER_H

#include "cbackprop.h"

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

/* A product and a sum are fused only where CBP_FMA is written, whatever the command line says. */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#elif defined(_MSC_VER)
#pragma fp_contract(off)
#endif

#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD != 0
#error "cbackprop needs arithmetic without excess precision: on 32-bit x86 -msse2 -mfpmath=sse"
#endif

#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__ != 0) || \
    defined(_M_FP_FAST) || defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) ||   \
    defined(__NO_SIGNED_ZEROS__)
#error "cbackprop needs IEEE arithmetic: not -ffast-math, -Ofast, /fp:fast, nor any part of them"
#endif

/* Nor -fsingle-precision-constant, which defines no macro: the size of a constant is checked. */
typedef char cbp_constants_are_double[sizeof 1.0 == sizeof(double) ? 1 : -1];

/* "unused": not every target uses every function, which clang reports where all is one file. */
#ifdef __CUDACC_RTC__ /* see cuda.h */
#define CBP_RESTRICT __restrict__
#define CBP_INLINE static __forceinline__
#define CBP_NOINLINE __noinline__
#elif defined(__cplusplus) && defined(__GNUC__)
#define CBP_RESTRICT __restrict__
#define CBP_INLINE static inline __attribute__((always_inline, unused))
#define CBP_NOINLINE __attribute__((noinline, unused))
#elif defined(_MSC_VER) && !defined(__clang__)
#define CBP_RESTRICT __restrict
#define CBP_INLINE static __forceinline
#define CBP_NOINLINE __declspec(noinline)
#elif defined(__GNUC__) || defined(__clang__)
#define CBP_RESTRICT restrict
#define CBP_INLINE static inline __attribute__((always_inline, unused))
#define CBP_NOINLINE __attribute__((noinline, unused))
#define CBP_LIKELY(condition) __builtin_expect(condition, 1)
#else
#define CBP_RESTRICT restrict
#define CBP_INLINE static inline
#define CBP_NOINLINE
#endif

/* A function of constants may give the length of an array, in C++. */
#ifdef __cplusplus
#define CBP_CONSTANT static constexpr
#else
#define CBP_CONSTANT static
#endif

#ifndef CBP_LIKELY
#define CBP_LIKELY(condition) (condition)
#endif

#endif
