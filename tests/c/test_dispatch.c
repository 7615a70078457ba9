/* The kernel in use has a known name, can be lowered, and comes back; an unknown name changes
 * nothing. */
#include "check.h"
#include "dispatch.h"

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

#if CBP_X86_KERNELS
/* Each bit that a level needs, and not the level below it, is missed. */
static void test_processors(void)
{
    const unsigned leaf_1[] = {1u << 12, 1u << 28}, avx2 = 1u << 5,
                   avx512[] = {1u << 16, 1u << 17, 1u << 31};
    const unsigned xmm = 1u << 1, ymm = 1u << 2, zmm[] = {1u << 5, 1u << 6, 1u << 7}, all = ~0u;
    CHECK(cbp_kernels_for(all, all, all) == &cbp_kernels_avx512);
    CHECK(cbp_kernels_for(0, 0, 0) == &cbp_kernels_generic);
    CHECK(cbp_kernels_for(leaf_1[0] | leaf_1[1], avx2, xmm | ymm) == &cbp_kernels_avx2);
    CHECK(cbp_kernels_for(leaf_1[0] | leaf_1[1], avx2 | avx512[0] | avx512[1] | avx512[2],
                          xmm | ymm | zmm[0] | zmm[1] | zmm[2]) == &cbp_kernels_avx512);
    for (size_t i = 0; i < 2; i++) {
        CHECK(cbp_kernels_for(all & ~leaf_1[i], all, all) == &cbp_kernels_generic);
    }
    CHECK(cbp_kernels_for(all, all & ~avx2, all) == &cbp_kernels_generic);
    CHECK(cbp_kernels_for(all, all, all & ~xmm) == &cbp_kernels_generic);
    CHECK(cbp_kernels_for(all, all, all & ~ymm) == &cbp_kernels_generic);
    for (size_t i = 0; i < 3; i++) {
        CHECK(cbp_kernels_for(all, all & ~avx512[i], all) == &cbp_kernels_avx2);
        CHECK(cbp_kernels_for(all, all, all & ~zmm[i]) == &cbp_kernels_avx2);
    }
}
#endif

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
#if CBP_X86_KERNELS
    test_processors();
#endif
    return check_done("test_dispatch");
}
