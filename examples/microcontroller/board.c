/* The least that a Cortex-M needs to run main: vectors, memory, and a way to report, here by semihosting. At the end
 * it reports the deepest stack, in bytes, and how long main took, in ticks of the processor's clock (24 bits). */
#include "report.h"

#include <stddef.h>

extern uint32_t stack_top, data_start, data_end, data_flash, bss_start, bss_end;

int main(void);

/* What stands in memory that the stack has not reached. */
#define PAINT 0xa5a5a5a5u

/* Asks the debugger, or the emulator, to do something. */
static int ask(int what, const void *with)
{
    register int operation __asm__("r0") = what;
    register const void *argument __asm__("r1") = with;
    __asm__ volatile("bkpt 0xab" : "+r"(operation) : "r"(argument) : "memory");
    return operation;
}

void report(const char *what, uint32_t bits)
{
    char line[12] = " 00000000\n";
    for (int i = 0; i < 8; i++) {
        line[1 + i] = "0123456789abcdef"[bits >> (28 - 4 * i) & 15];
    }
    ask(0x04, what); /* SYS_WRITE0 */
    ask(0x04, line);
}

/* All that compiled C may ask of a C library here. */
void *memcpy(void *to, const void *from, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ((unsigned char *)to)[i] = ((const unsigned char *)from)[i];
    }
    return to;
}

void *memmove(void *to, const void *from, size_t n)
{
    unsigned char *bytes = to;
    const unsigned char *own = from;
    if (bytes <= own) {
        return memcpy(to, from, n);
    }
    while (n-- > 0) {
        bytes[n] = own[n];
    }
    return to;
}

void *memset(void *to, int byte, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ((unsigned char *)to)[i] = (unsigned char)byte;
    }
    return to;
}

static void reset(void)
{
    const uint32_t *from = &data_flash;
    for (uint32_t *to = &data_start; to < &data_end; to++) {
        *to = *from++;
    }
    for (uint32_t *to = &bss_start; to < &bss_end; to++) {
        *to = 0;
    }
#ifdef __ARM_FP
    *(volatile uint32_t *)0xe000ed88 |= 0xfu
                                        << 20; /* CPACR: full access to the floating-point unit */
    __asm__ volatile("dsb\nisb");
#endif
    volatile uint32_t *timer =
        (volatile uint32_t *)0xe000e010; /* SysTick: control, reload, current */
    uint32_t *unused = &bss_end;
    for (uint32_t *word = unused; word < (uint32_t *)__builtin_frame_address(0) - 16; word++) {
        *word = PAINT;
    }
    timer[1] = 0xffffff;
    timer[2] = 0;
    timer[0] = 5; /* on, by the processor's clock */
    main();
    const uint32_t left = timer[2];
    while (*unused == PAINT) {
        unused++;
    }
    report("stack", (uint32_t)((char *)&stack_top - (char *)unused));
    report("ticks", 0xffffff - left);
    ask(0x18, (const void *)0x20026); /* SYS_EXIT: the application has ended */
    for (;;) {
    }
}

static void hang(void)
{
    for (;;) {
    }
}

typedef void (*handler)(void);
__attribute__((section(".vectors"), used)) const struct {
    uint32_t *stack;
    handler handlers[15];
} vectors = {&stack_top,
             {reset, hang, hang, hang, hang, hang, 0, 0, 0, 0, hang, hang, 0, hang, hang}};
