/* The kernel in use has a known name, can be lowered, and comes back; an unknown name changes nothing. */
#include "check.h"

static const char *const known[] = {"generic", "avx2", "avx512"};
#define KNOWN (sizeof known / sizeof *known)

static size_t level_of(const char *name)
{
    size_t level = 0;
    while (level < KNOWN && strcmp(known[level], name) != 0) {
        level++;
    }
    return level;
}

int main(void)
{
    const char *best = cbp_kernel();
    CHECK(level_of(best) < KNOWN);
    printf("test_dispatch: the best kernels here are %s\n", best);

    for (size_t level = 0; level < KNOWN; level++) {
        const int status = cbp_kernel_choose(known[level]);
        /* Whatever is not above the best one can be had, and nothing else. */
        CHECK(status == (level <= level_of(best) ? CBP_OK : CBP_ERROR_KERNEL));
        CHECK(strcmp(cbp_kernel(), level <= level_of(best) ? known[level] : best) == 0);
    }

    CHECK(cbp_kernel_choose("generic") == CBP_OK);
    const char *const strangers[] = {"", "sse9", "AVX2", "generic ", "avx51"};
    for (size_t i = 0; i < sizeof strangers / sizeof *strangers; i++) {
        CHECK(cbp_kernel_choose(strangers[i]) == CBP_ERROR_KERNEL);
        CHECK(strcmp(cbp_kernel(), "generic") == 0);
    }

    CHECK(cbp_kernel_choose(NULL) == CBP_OK);
    CHECK(strcmp(cbp_kernel(), best) == 0);
    return check_done("test_dispatch");
}
