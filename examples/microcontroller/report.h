/* How a program tells what it found: a name and the bits of a number. */
#ifndef REPORT_H
#define REPORT_H

#include <stdint.h>

void report(const char *what, uint32_t bits);

#endif
