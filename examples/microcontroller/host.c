/* The same program on a computer. */
#include "report.h"

#include <stdio.h>

void report(const char *what, uint32_t bits)
{
    printf("%s %08lx\n", what, (unsigned long)bits);
}
