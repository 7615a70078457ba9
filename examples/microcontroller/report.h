/* How a program tells what it found: a name and the bits of a number. */
#ifndef REPORT_H
#define REPORT_H

#include <stdint.h>
#include <string.h>

void report(const char *what, uint32_t bits);

static inline void report_real(const char *what, float number)
{
    uint32_t bits = 0x7fc00000; /* for any NaN: processors differ in which they make */
    if (number == number) {
        memcpy(&bits, &number, sizeof bits);
    }
    report(what, bits);
}

#endif
