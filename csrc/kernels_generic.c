/* The kernels for the instruction set that the compiler was told to use. */
#include "kernels.h"

/* Where fused multiply-add is part of that set. */
#if defined(__FMA__) || defined(__FP_FAST_FMA) || defined(__aarch64__) || defined(_M_ARM64) || \
    defined(__s390x__) || defined(__riscv_flen) || defined(__PPC64__)
#define CBP_HAVE_FMA 1
#else
#define CBP_HAVE_FMA 0
#endif

#define CBP_HAS_WIDE_VECTORS 0
#define CBP_TARGET generic
#define CBP_TARGET_NAME "generic"
#include "loss.h"

#include "kernels/table.h"

/* ---- what does not depend on the target ------------------------------------------------------ */

const cbp_activation_facts cbp_activation_table[] = {
#define FACTS(code, name, domain_low, domain_high, range_low, range_high, one_to_one, has_kink) \
    [code] = {#name,                                                                            \
              (cbp_real)(domain_low),                                                           \
              (cbp_real)(domain_high),                                                          \
              (cbp_real)(range_low),                                                            \
              (cbp_real)(range_high),                                                           \
              one_to_one,                                                                       \
              has_kink},
    CBP_ACTIVATIONS(FACTS)
#undef FACTS
};

const cbp_loss_facts cbp_loss_table[] = {
#define FACTS(code, name, target_low, target_high, dispersion, has_scale, is_robust, of_z, \
              has_excess)                                                                  \
    [code] = {#name,                                                                       \
              (cbp_real)(target_low),                                                      \
              (cbp_real)(target_high),                                                     \
              (cbp_real)(dispersion),                                                      \
              has_scale,                                                                   \
              is_robust,                                                                   \
              of_z},
    CBP_LOSSES(FACTS)
#undef FACTS
};

void cbp_loss_sizes(cbp_loss criterion, const cbp_real *CBP_RESTRICT a,
                    const cbp_real *CBP_RESTRICT y, size_t n, cbp_real *CBP_RESTRICT sizes)
{
    switch (criterion.kind) {
#define CASE(code, name, ...)                                                                \
    case code:                                                                               \
        for (size_t i = 0; i < n; i++) {                                                     \
            sizes[i] = cbp_##name##_loss_size((cbp_ending){a[i], 0, y[i], criterion.scale}); \
        }                                                                                    \
        break;
        CBP_LOSSES(CASE)
#undef CASE
    default:
        break;
    }
}
