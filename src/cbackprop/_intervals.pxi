# ---- intervals of fitted curves: part of _core.pyx -----------------------------------------------


INTERVALS = {"log": CBP_INTERVAL_LOG, "wald": CBP_INTERVAL_WALD, "fieller": CBP_INTERVAL_FIELLER}


def t_quantile(double probability, double df):
    """The t with P(T <= t) = probability, by `cbp_t_quantile`."""
    return cbp_t_quantile(probability, df)


# A fit that intervals are made of, with what it points to, which is the caller's.
cdef struct Inference:
    cbp_curve_inference core
    cbp_curve_result result


cdef int take_inference(tuple fit, int interval, double level, Inference *to) except -1:
    """Take a fit: curve, loss, power of the variance, what `fit_curve` has returned, another
    covariance or None."""
    cdef CurveRow row
    row, loss, power, found, covariance = fit
    cdef size_t p = len(found.natural)
    memset(to, 0, sizeof(Inference))
    to.core.curve, to.core.loss = row.at, loss
    to.core.interval, to.core.level = interval, level
    to.core.variance_power = power
    to.core.result = &to.result
    if covariance is not None:
        to.core.covariance = memory_of_const(covariance, p * p)
    to.result.natural = memory_of(found.natural, p)
    to.result.params = memory_of(found.params, len(found.params))
    to.result.covariance = memory_of(found.covariance, p * p)
    to.result.triangle = memory_of(found.triangle, (p + 1) * (p + 1))
    to.result.determined = found.determined
    to.result.variance, to.result.df = found.variance, found.df
    to.result.fixed_at = found.fixed_at
    return 0


def curve_intervals(tuple fit, int interval, double level):
    """The interval of each natural parameter: its low and its high ends, (p,) each."""
    cdef Inference known
    take_inference(fit, interval, level, &known)
    cdef size_t p = len(fit[3].natural)
    low, high = empty(p), empty(p)
    check(cbp_curve_intervals(&known.core, memory_of(low, p), memory_of(high, p)))
    return low, high


def curve_band(tuple fit, double level, x, weight):
    """Values at an array x, and the low and high ends of a band; three arrays of its shape.

    The band is one for the curve if weight is None, else for observations with these weights.
    """
    cdef Inference known
    cdef cbp_curve_band band
    cdef size_t n = x.size, at = 0, end
    cdef const double *inputs = memory_of_const(x, n)
    cdef const double *weights = memory_of_const(weight, n) if weight is not None else NULL
    cdef int status = CBP_OK
    take_inference(fit, CBP_INTERVAL_LOG, level, &known)
    value, low, high = np.empty_like(x), np.empty_like(x), np.empty_like(x)
    cdef double *values = memory_of(value, n)
    cdef double *lows = memory_of(low, n)
    cdef double *highs = memory_of(high, n)
    with nogil:
        while at < n and status == CBP_OK:  # neighbours of the same weight at once
            memset(&band, 0, sizeof(cbp_curve_band))
            band.value = values + at
            end = n
            if weights == NULL:
                band.low, band.high = lows, highs
            else:
                band.prediction_low, band.prediction_high = lows + at, highs + at
                end = at + 1
                while end < n and weights[end] == weights[at]:
                    end += 1
            status = cbp_curve_predict(&known.core, inputs + at, end - at,
                                       1.0 if weights == NULL else weights[at], &band)
            at = end
    check(status)
    return value, low, high


def curve_inputs(tuple fit, int interval, double level, y, weight, bint is_dose):
    """Inputs of outputs y, or if `is_dose` of fractions y of the effect; their errors and intervals.

    weight is None or an array of y's shape. Returns four arrays of that shape.
    """
    cdef Inference known
    cdef cbp_curve_inputs inputs
    cdef size_t n = y.size
    cdef const double *given = memory_of_const(y, n)
    cdef const double *weights = memory_of_const(weight, n) if weight is not None else NULL
    cdef int status
    take_inference(fit, interval, level, &known)
    answer = [np.empty_like(y) for _ in range(4)]
    inputs.value, inputs.standard_error = memory_of(answer[0], n), memory_of(answer[1], n)
    inputs.low, inputs.high = memory_of(answer[2], n), memory_of(answer[3], n)
    with nogil:
        if is_dose:
            status = cbp_curve_effective_dose(&known.core, given, n, &inputs)
        else:
            status = cbp_curve_invert(&known.core, given, weights, n, &inputs)
    check(status)
    return answer
