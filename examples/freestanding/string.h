/* All that the core asks of <string.h>, for targets without a C library. The compiler may still call memcpy, memmove and
 * memset where it knows no instruction for them. */
#ifndef CBP_FREESTANDING_STRING_H
#define CBP_FREESTANDING_STRING_H

#include <stddef.h>

#define memcpy __builtin_memcpy
#define memset __builtin_memset

static inline int memcmp(const void *a, const void *b, size_t n)
{
    const unsigned char *left = a, *right = b;
    while (n > 0 && *left == *right) {
        left++, right++, n--;
    }
    return n > 0 ? *left - *right : 0;
}

static inline int strcmp(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++, b++;
    }
    return *(const unsigned char *)a - *(const unsigned char *)b;
}

#endif
