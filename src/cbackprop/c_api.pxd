# The declarations of csrc/cbackprop.h, where they are documented.

cdef extern from "cbackprop.h" nogil:
    const char *CBP_VERSION
    size_t CBP_BLOCK
    size_t CBP_LEAF
    double CBP_LEAST_WEIGHT

    ctypedef double cbp_real

    enum cbp_activation:
        CBP_IDENTITY
        CBP_SIGMOID
        CBP_TANH
        CBP_RELU
        CBP_LEAKY_RELU
        CBP_ELU
        CBP_SOFTPLUS
        CBP_SILU
        CBP_GELU
        CBP_SOFTSIGN
        CBP_ARCTAN
        CBP_EXP
        CBP_EXPM1
        CBP_LOG
        CBP_LOG1P
        CBP_RECIPROCAL
        CBP_SQUARE
        CBP_SQRT
        CBP_GAUSSIAN
        CBP_LOG_SIGMOID
        CBP_NORMAL_CDF
        CBP_SIN
        CBP_ACTIVATION_END

    enum cbp_loss_kind:
        CBP_SQUARED
        CBP_LOG_LOSS
        CBP_HUBER
        CBP_SOFT_L1
        CBP_CAUCHY
        CBP_POISSON
        CBP_BINOMIAL
        CBP_POWER
        CBP_BOX_COX
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
        CBP_ERROR_OPTION
        CBP_ERROR_NO_FREE
        CBP_ERROR_FEW_EXAMPLES
        CBP_ERROR_BOUNDS
        CBP_ERROR_START
        CBP_ERROR_START_LOSS
        CBP_ERROR_DATA
        CBP_ERROR_NODE
        CBP_ERROR_CURVE
        CBP_ERROR_DOMAIN
        CBP_ERROR_LIMIT
        CBP_STATUS_END

    ctypedef struct cbp_chain:
        const cbp_real *params
        const unsigned char *activations
        const unsigned char *frozen
        size_t layers

    ctypedef struct cbp_examples:
        const cbp_real *x
        const cbp_real *y
        const cbp_real *weight
        size_t n

    ctypedef struct cbp_example_sets:
        const cbp_real *x
        const cbp_real *y
        const cbp_real *weight
        size_t n
        size_t m
        size_t x_step
        size_t weight_step

    ctypedef struct cbp_loss:
        int kind
        cbp_real scale

    ctypedef struct cbp_activation_facts:
        const char *name
        cbp_real domain_low
        cbp_real domain_high
        cbp_real range_low
        cbp_real range_high
        int one_to_one
        int has_kink

    ctypedef struct cbp_loss_facts:
        const char *name
        cbp_real target_low
        cbp_real target_high
        cbp_real dispersion
        int has_scale
        int is_robust
        int needs_sigmoid

    enum cbp_outcome:
        CBP_RUNNING
        CBP_CONVERGED
        CBP_EXHAUSTED
        CBP_STOPPED
        CBP_DIVERGED
        CBP_OUTCOME_END

    ctypedef struct cbp_fit_info:
        cbp_outcome outcome
        size_t iterations
        size_t evaluations
        cbp_real loss
        cbp_real gradient_norm
        const cbp_real *params

    enum cbp_method:
        CBP_GRADIENT_DESCENT
        CBP_MOMENTUM
        CBP_ADAM
        CBP_METHOD_END

    ctypedef struct cbp_fit_options:
        size_t size
        cbp_loss loss
        const cbp_real *lower
        const cbp_real *upper
        size_t max_iterations
        cbp_real tolerance
        int (*progress)(void *user, const cbp_fit_info *info) noexcept
        void *user
        cbp_real *history
        size_t history_len
        size_t restarts
        unsigned long long seed
        int method
        cbp_real learning_rate
        cbp_real momentum
        size_t batch_size

    enum cbp_determined:
        CBP_DETERMINED
        CBP_FROZEN
        CBP_AT_BOUND
        CBP_UNDETERMINED
        CBP_DIVERGES
        CBP_DETERMINED_END

    ctypedef struct cbp_covariance:
        cbp_real *variance
        cbp_real *matrix
        unsigned char *determined

    ctypedef struct cbp_fit_place:
        size_t first
        size_t count

    ctypedef struct cbp_fit_nodes:
        cbp_real *values
        cbp_fit_place *places
        size_t free
        size_t capacity
        size_t count

    ctypedef int (*cbp_fit_pass)(void *user, const cbp_chain *chain, cbp_real *node) noexcept

    ctypedef struct cbp_fits:
        cbp_real *params
        int *status
        size_t *iterations
        cbp_real *loss
        cbp_real *weight
        cbp_real *variance
        cbp_real *df
        cbp_real *standard_error
        cbp_real *covariance
        unsigned char *determined

    ctypedef struct cbp_candidates:
        const cbp_real *params
        size_t count
        size_t row

    enum cbp_curve_rule:
        CBP_RULE_END
        CBP_RULE_CONSTANT
        CBP_RULE_SAME
        CBP_RULE_DIFFERENCE
        CBP_RULE_COORDINATE
        CBP_RULE_PRODUCT
        CBP_RULE_RECIPROCAL
        CBP_RULE_RATIO

    ctypedef struct cbp_curve_term:
        unsigned char rule
        unsigned char i
        unsigned char j
        cbp_real value

    enum cbp_curve_grid:
        CBP_GRID_ONE
        CBP_GRID_RATES
        CBP_GRID_POWERS
        CBP_GRID_MIDDLES
        CBP_GRID_STEPS
        CBP_GRID_LOPSIDED
        CBP_GRID_PEAKS
        CBP_GRID_THRESHOLDS
        CBP_GRID_ENERGIES
        CBP_GRID_START
        CBP_GRID_END

    enum cbp_curve_signs:
        CBP_ONE_SIGN
        CBP_BOTH_SIGNS
        CBP_MIRROR
        CBP_ORDERED

    ctypedef struct cbp_curve_ends:
        unsigned char low
        unsigned char high
        unsigned char tilt

    enum cbp_curve_input:
        CBP_X_ANY
        CBP_X_DOSE
        CBP_X_LOG_DOSE

    ctypedef struct cbp_curve:
        const char *name
        const char *formula
        const char *parameters[5]
        unsigned char positive[5]
        unsigned char activations[4]
        cbp_real domain_low
        cbp_real domain_high
        unsigned char loss
        unsigned char x_is
        unsigned char grid
        unsigned char of_log_x
        unsigned char signs
        cbp_curve_term terms[2 * 4]
        unsigned char slope_at
        unsigned char power_at
        signed char slope
        cbp_curve_ends ends
        const cbp_real *start
        size_t start_step

    ctypedef struct cbp_curve_facts:
        const char *name
        const char *formula
        size_t count
        const char *const *parameters
        const unsigned char *positive
        cbp_real domain_low
        cbp_real domain_high
        int loss
        int is_log_x
        size_t layers
        const unsigned char *activations
        unsigned char frozen[2 * 4]
        int is_log_dose

    ctypedef struct cbp_curve_result:
        cbp_real *natural
        cbp_real *params
        cbp_real *covariance
        unsigned char *determined
        cbp_real *triangle
        cbp_real variance
        cbp_real loss
        cbp_real df
        cbp_real examples
        cbp_real weight
        cbp_real log_weight
        cbp_real rss
        cbp_real total_squares
        cbp_outcome outcome
        size_t iterations
        size_t evaluations
        size_t fixed_at
        int status

    ctypedef struct cbp_curve_groups:
        const cbp_examples *examples
        size_t count
        const unsigned char *shared
        const size_t *value
        const cbp_real *factor
        cbp_real *covariance

    ctypedef struct cbp_curve_fits:
        cbp_real *natural
        cbp_real *standard_error
        cbp_real *params
        int *status
        unsigned char *determined
        size_t *iterations
        cbp_real *loss
        cbp_real *weight
        cbp_real *variance
        cbp_real *df

    enum cbp_interval_kind:
        CBP_INTERVAL_LOG
        CBP_INTERVAL_WALD
        CBP_INTERVAL_FIELLER
        CBP_INTERVAL_END

    ctypedef struct cbp_curve_inference:
        const cbp_curve *curve
        const cbp_curve_result *result
        const cbp_real *covariance
        int loss
        int interval
        cbp_real level
        cbp_real variance_power

    ctypedef struct cbp_curve_band:
        cbp_real *value
        cbp_real *standard_error
        cbp_real *low
        cbp_real *high
        cbp_real *prediction_low
        cbp_real *prediction_high

    ctypedef struct cbp_curve_inputs:
        cbp_real *value
        cbp_real *standard_error
        cbp_real *low
        cbp_real *high

    ctypedef struct cbp_record:
        cbp_real *z
        cbp_real *a
        cbp_real *slope
        cbp_real *delta
        cbp_real *gradient

    const char *cbp_version()
    const char *cbp_status_string(int status)
    int cbp_activation_describe(int activation, cbp_activation_facts *facts)
    int cbp_activation_values(int activation, const cbp_real *z, size_t n, cbp_real *value, cbp_real
                              *slope, cbp_real *second)
    int cbp_loss_describe(int kind, cbp_loss_facts *facts)
    int cbp_forward(const cbp_chain *chain, const cbp_real *x, size_t n, cbp_real *out)
    int cbp_slope(const cbp_chain *chain, const cbp_real *x, size_t n, cbp_real *out)
    int cbp_inverse(const cbp_chain *chain, const cbp_real *y, size_t n, cbp_real *out)
    size_t cbp_work_len(size_t layers, size_t n)
    int cbp_jacobian(const cbp_chain *chain, const cbp_real *x, size_t n, cbp_real *work, cbp_real
                     *rows)
    int cbp_gradients(const cbp_chain *chain, const cbp_examples *examples, const cbp_loss *loss,
                      cbp_real *work, cbp_real *rows)
    int cbp_gradient_sums(const cbp_chain *chain, const cbp_examples *examples, const cbp_loss
                          *loss, cbp_real *work, cbp_real *sums, cbp_real *compensation)
    int cbp_loss_sums(const cbp_chain *chain, const cbp_examples *examples, const cbp_loss *loss,
                      cbp_real *sums, cbp_real *compensation)
    int cbp_sums_merge(const cbp_real *shard_sums, const cbp_real *shard_compensation, size_t len,
                       cbp_real *sums, cbp_real *compensation)
    int cbp_sums_mean(const cbp_real *sums, const cbp_real *compensation, size_t len, cbp_real
                      *mean)
    int cbp_loss_mean(const cbp_chain *chain, const cbp_examples *examples, const cbp_loss *loss,
                      cbp_real *mean)
    int cbp_gradient(const cbp_chain *chain, const cbp_examples *examples, const cbp_loss *loss,
                     cbp_real *work, cbp_real *mean, cbp_real *gradient)
    int cbp_hessian_sums(const cbp_chain *chain, const cbp_examples *examples, const cbp_loss *loss,
                         cbp_real *work, cbp_real *sums, cbp_real *compensation)
    size_t cbp_hessian_work_len(size_t layers)
    int cbp_hessian(const cbp_chain *chain, const cbp_examples *examples, const cbp_loss *loss,
                    cbp_real *work, cbp_real *hessian)
    int cbp_sharpness(const cbp_chain *chain, const cbp_real *hessian, cbp_real *work, cbp_real
                      *sharpness)
    int cbp_step_along(const cbp_chain *chain, const cbp_real *gradient, cbp_real learning_rate,
                       cbp_real *params)
    int cbp_step(const cbp_chain *chain, const cbp_examples *examples, cbp_real learning_rate,
                 cbp_real *work, cbp_real *params, cbp_real *mean)
    int cbp_fit_defaults(cbp_fit_options *options)
    size_t cbp_fit_work_len(size_t layers, size_t free, size_t n)
    int cbp_fit_lm(const cbp_chain *chain, const cbp_examples *examples, const cbp_fit_options
                   *options, cbp_real *work, cbp_real *params, cbp_fit_info *info)
    size_t cbp_fit_descent_work_len(size_t layers, size_t batch_size)
    int cbp_fit_descent(const cbp_chain *chain, const cbp_examples *examples, const cbp_fit_options
                        *options, cbp_real *work, size_t *order, cbp_real *params, cbp_fit_info
                        *info)
    int cbp_fit_covariance(const cbp_chain *chain, const cbp_examples *examples, const
                           cbp_fit_options *options, const cbp_real *hessian, cbp_real *work, const
                           cbp_covariance *out)
    size_t cbp_fit_node_len(size_t free)
    size_t cbp_fit_nodes_capacity(size_t leaves)
    int cbp_fit_nodes_add(const cbp_chain *chain, const cbp_examples *examples, const cbp_loss
                          *loss, size_t first, cbp_real *work, cbp_fit_nodes *nodes)
    int cbp_fit_nodes_push(cbp_fit_nodes *nodes, cbp_fit_place place, const cbp_real *node, cbp_real
                           *work)
    int cbp_fit_nodes_merge(cbp_fit_nodes *nodes, cbp_real *work, cbp_real *node)
    int cbp_fit_over(cbp_fit_pass run_pass, void *user, const cbp_chain *chain, const
                     cbp_fit_options *options, cbp_real *work, cbp_real *params, cbp_fit_info *info)
    int cbp_fit_node_covariance(const cbp_chain *chain, const cbp_fit_options *options, const
                                cbp_real *node, const cbp_real *hessian, cbp_real *work, const
                                cbp_covariance *out)
    int cbp_forward_many(const cbp_chain *chains, size_t m, const cbp_real *x, size_t n, size_t
                         x_step, cbp_real *out)
    int cbp_slope_many(const cbp_chain *chains, size_t m, const cbp_real *x, size_t n, size_t
                       x_step, cbp_real *out)
    int cbp_inverse_many(const cbp_chain *chains, size_t m, const cbp_real *y, size_t n, size_t
                         y_step, cbp_real *out)
    int cbp_gradient_many(const cbp_chain *chains, const cbp_example_sets *sets, const cbp_loss
                          *loss, cbp_real *work, cbp_real *mean, cbp_real *gradient)
    size_t cbp_choose_starts_work_len(size_t layers, size_t n, size_t count)
    int cbp_choose_starts(const cbp_chain *chain, const cbp_example_sets *sets, const
                          cbp_fit_options *options, const cbp_candidates *candidates, cbp_real
                          *work, cbp_real *params)
    size_t cbp_fit_many_work_len(size_t layers, size_t free, size_t n)
    int cbp_fit_many(const cbp_chain *chain, const cbp_example_sets *sets, const cbp_fit_options
                     *options, cbp_real *work, const cbp_fits *fits)
    size_t cbp_curve_count()
    const cbp_curve *cbp_curve_at(size_t number)
    const cbp_curve *cbp_curve_named(const char *name)
    int cbp_curve_describe(const cbp_curve *curve, cbp_curve_facts *facts)
    int cbp_curve_chain(const cbp_curve *curve, const cbp_real *natural, cbp_real *params, cbp_real
                        *jacobian)
    size_t cbp_curve_fit_work_len(size_t n)
    int cbp_curve_fit(const cbp_curve *curve, const cbp_examples *examples, const cbp_real *fixed,
                      const cbp_fit_options *options, cbp_real *work, cbp_curve_result *result)
    size_t cbp_curve_fit_groups_work_len(const cbp_curve *curve, const cbp_curve_groups *groups)
    int cbp_curve_fit_groups(const cbp_curve *curve, const cbp_curve_groups *groups, const cbp_real
                             *fixed, const cbp_fit_options *options, cbp_real *work,
                             cbp_curve_result *results)
    size_t cbp_curve_fit_many_work_len(size_t n, size_t m)
    int cbp_curve_fit_many(const cbp_curve *curve, const cbp_example_sets *sets, const cbp_real
                           *fixed, const cbp_fit_options *options, cbp_real *work, const
                           cbp_curve_fits *fits)
    cbp_real cbp_t_quantile(cbp_real probability, cbp_real df)
    int cbp_curve_intervals(const cbp_curve_inference *fit, cbp_real *low, cbp_real *high)
    int cbp_curve_predict(const cbp_curve_inference *fit, const cbp_real *x, size_t n, cbp_real
                          weight, const cbp_curve_band *band)
    int cbp_curve_invert(const cbp_curve_inference *fit, const cbp_real *y, const cbp_real *weight,
                         size_t n, const cbp_curve_inputs *inputs)
    int cbp_curve_effective_dose(const cbp_curve_inference *fit, const cbp_real *fractions, size_t
                                 n, const cbp_curve_inputs *inputs)
    int cbp_trace(const cbp_chain *chain, cbp_real x, cbp_real y, const cbp_loss *loss, const
                  cbp_record *record, cbp_real *value)
    const char *cbp_kernel()
    int cbp_kernel_choose(const char *name)
