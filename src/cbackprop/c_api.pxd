# The declarations of csrc/cbackprop.h, and nothing else. What they mean is written there.

cdef extern from "cbackprop.h" nogil:
    const char *CBP_VERSION
    size_t CBP_BLOCK

    ctypedef double cbp_real

    enum cbp_activation:
        CBP_ACTIVATION_END

    enum cbp_loss:
        CBP_SQUARED
        CBP_LOG_LOSS
        CBP_HUBER
        CBP_SOFT_L1
        CBP_CAUCHY
        CBP_LOSS_END

    enum cbp_status:
        CBP_OK
        CBP_ERROR_NULL
        CBP_ERROR_LAYERS
        CBP_ERROR_ACTIVATION
        CBP_ERROR_EMPTY
        CBP_ERROR_LOSS
        CBP_ERROR_SCALE
        CBP_ERROR_NO_SIGMOID
        CBP_ERROR_TARGET
        CBP_ERROR_WEIGHT
        CBP_ERROR_NOT_INVERTIBLE
        CBP_ERROR_LEARNING_RATE
        CBP_ERROR_NOT_FINITE
        CBP_ERROR_KERNEL
        CBP_STATUS_END

    ctypedef struct cbp_activation_facts:
        const char *name
        cbp_real domain_low
        cbp_real domain_high
        cbp_real range_low
        cbp_real range_high
        int one_to_one

    const char *cbp_version()
    const char *cbp_status_string(int status)
    int cbp_activation_describe(int activation, cbp_activation_facts *facts)
    int cbp_activation_values(int activation, const cbp_real *z, size_t n, cbp_real *value,
                              cbp_real *slope, cbp_real *second)
    int cbp_forward(const cbp_real *params, const unsigned char *activations, const cbp_real *x,
                    size_t layers, size_t n, cbp_real *out)
    int cbp_slope(const cbp_real *params, const unsigned char *activations, const cbp_real *x,
                  size_t layers, size_t n, cbp_real *out)
    int cbp_inverse(const cbp_real *params, const unsigned char *activations, const cbp_real *y,
                    size_t layers, size_t n, cbp_real *out)
    size_t cbp_work_len(size_t layers, size_t n)
    int cbp_jacobian(const cbp_real *params, const unsigned char *activations, const cbp_real *x,
                     size_t layers, size_t n, cbp_real *work, cbp_real *rows)
    int cbp_gradients(const cbp_real *params, const unsigned char *activations, const cbp_real *x,
                      const cbp_real *y, size_t layers, size_t n, int loss, cbp_real scale,
                      cbp_real *work, cbp_real *rows)
    int cbp_gradient_sums(const cbp_real *params, const unsigned char *activations,
                          const cbp_real *x, const cbp_real *y, const cbp_real *weight,
                          size_t layers, size_t n, int loss, cbp_real scale, cbp_real *work,
                          cbp_real *sums, cbp_real *lost)
    int cbp_loss_sums(const cbp_real *params, const unsigned char *activations, const cbp_real *x,
                      const cbp_real *y, const cbp_real *weight, size_t layers, size_t n, int loss,
                      cbp_real scale, cbp_real *sums, cbp_real *lost)
    int cbp_sums_merge(const cbp_real *shard_sums, const cbp_real *shard_lost, size_t len,
                       cbp_real *sums, cbp_real *lost)
    int cbp_sums_mean(const cbp_real *sums, const cbp_real *lost, size_t len, cbp_real *mean)
    int cbp_loss_mean(const cbp_real *params, const unsigned char *activations, const cbp_real *x,
                      const cbp_real *y, const cbp_real *weight, size_t layers, size_t n, int loss,
                      cbp_real scale, cbp_real *mean)
    int cbp_gradient(const cbp_real *params, const unsigned char *activations, const cbp_real *x,
                     const cbp_real *y, const cbp_real *weight, size_t layers, size_t n, int loss,
                     cbp_real scale, cbp_real *work, cbp_real *mean, cbp_real *gradient)
    size_t cbp_hessian_work_len(size_t layers)
    int cbp_hessian_sums(const cbp_real *params, const unsigned char *activations,
                         const cbp_real *x, const cbp_real *y, const cbp_real *weight,
                         size_t layers, size_t n, int loss, cbp_real scale, cbp_real *work,
                         cbp_real *sums, cbp_real *lost)
    int cbp_hessian(const cbp_real *params, const unsigned char *activations, const cbp_real *x,
                    const cbp_real *y, const cbp_real *weight, size_t layers, size_t n, int loss,
                    cbp_real scale, cbp_real *work, cbp_real *hessian)
    int cbp_step(const unsigned char *activations, const unsigned char *frozen, const cbp_real *x,
                 const cbp_real *y, size_t layers, size_t n, cbp_real learning_rate,
                 cbp_real *work, cbp_real *params, cbp_real *mean)
    int cbp_trace(const cbp_real *params, const unsigned char *activations, cbp_real x, cbp_real y,
                  size_t layers, int loss, cbp_real scale, cbp_real *z, cbp_real *a,
                  cbp_real *slope, cbp_real *delta, cbp_real *gradient, cbp_real *value)
    const char *cbp_kernel()
    int cbp_kernel_choose(const char *name)
