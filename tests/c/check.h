/* The whole test framework: CHECK counts, a failure says where it is, and check_done ends the
 * program. */
#ifndef CBP_CHECK_H
#define CBP_CHECK_H

#include "cbackprop.h"

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef CBP_SINGLE
#define EPSILON ((double)FLT_EPSILON)
#else
#define EPSILON DBL_EPSILON
#endif

/* Numbers as they are written in a test, in the working type. */
#define R(number) ((cbp_real)(number))

static int check_passed, check_failed;

#define CHECK(condition) check_that((condition) != 0, #condition, __FILE__, __LINE__)

static inline int check_that(int holds, const char *text, const char *file, int line)
{
    if (holds) {
        check_passed++;
    } else {
        check_failed++;
        fprintf(stderr, "%s:%d: not true: %s\n", file, line, text);
    }
    return holds;
}

/* Whether a loss is for numbers of every kind, from every chain. */
static inline int takes_any_target(int kind)
{
    cbp_loss_facts facts = {0};
    return cbp_loss_describe(kind, &facts) == CBP_OK && facts.target_low < 0 &&
           !facts.needs_sigmoid;
}

/* The last line of a test program, and its exit status. */
static inline int check_done(const char *name)
{
    printf("%s: %d passed, %d failed\n", name, check_passed, check_failed);
    return check_failed > 0;
}

/* The same bits, or both NaN: which of several NaN an operation returns is not the library's to
 * say. */
static inline int same(cbp_real a, cbp_real b)
{
    return memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b));
}

static inline int same_all(const cbp_real *a, const cbp_real *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!same(a[i], b[i])) {
            return 0;
        }
    }
    return 1;
}

/* Equal to within `units` of rounding, relative to the larger of the two and to `scale`. */
static inline int near(double a, double b, double scale, double units)
{
    return a == b || fabs(a - b) <= units * EPSILON * fmax(scale, fmax(fabs(a), fabs(b)));
}

/* xorshift64*: the same numbers on every machine for one seed. */
static uint64_t check_state = 1;

static inline double random_between(double low, double high)
{
    check_state ^= check_state >> 12;
    check_state ^= check_state << 25;
    check_state ^= check_state >> 27;
    return low + (high - low) * (double)((check_state * 0x2545f4914f6cdd1dULL) >> 11) * 0x1p-53;
}

static inline size_t random_below(size_t end)
{
    return (size_t)random_between(0, (double)end);
}

/* Memory of exactly n numbers, so that a sanitizer sees a step past its end. */
static inline cbp_real *numbers(size_t n)
{
    cbp_real *memory = malloc(n * sizeof *memory + (n == 0));
    if (!memory) {
        fputs("no memory\n", stderr);
        exit(2);
    }
    return memory;
}

/* A copy that ends where the numbers end, so that sanitizers see whatever is read beyond; null of
 * null. */
static inline cbp_real *exactly(const cbp_real *from, size_t len)
{
    cbp_real *copy = from ? numbers(len) : NULL;
    if (copy) {
        memcpy(copy, from, len * sizeof *copy);
    }
    return copy;
}

#endif
