# ---- curves: part of _core.pyx -------------------------------------------------------------------


CurveFacts = namedtuple(
    "CurveFacts",
    "row formula parameters positive domain loss is_log_x activations frozen is_log_dose "
    "ends",
)

RULES = {
    "constant": CBP_RULE_CONSTANT, "same": CBP_RULE_SAME, "difference": CBP_RULE_DIFFERENCE,
    "coordinate": CBP_RULE_COORDINATE, "product": CBP_RULE_PRODUCT,
    "reciprocal": CBP_RULE_RECIPROCAL, "ratio": CBP_RULE_RATIO,
}
GRIDS = {
    "rates": CBP_GRID_RATES, "powers": CBP_GRID_POWERS, "middles": CBP_GRID_MIDDLES,
    "steps": CBP_GRID_STEPS, "lopsided": CBP_GRID_LOPSIDED, "peaks": CBP_GRID_PEAKS,
    "start": CBP_GRID_START,
}
MIRROR = CBP_MIRROR


@cython.final
@cython.auto_pickle(False)
cdef class CurveRow:
    """A struct cbp_curve: one of the core's, or one that this object holds."""

    cdef const cbp_curve *at
    cdef cbp_curve own
    cdef list texts  # what its names point to


cdef CurveRow row_at(size_t number):
    cdef CurveRow row = CurveRow()
    row.at = cbp_curve_at(number)
    return row


cdef object curve_facts(CurveRow row):
    cdef cbp_curve_facts facts
    cdef size_t k
    cdef cbp_curve_ends ends = row.at.ends
    check(cbp_curve_describe(row.at, &facts))
    names = names_of(facts.layers)
    return facts.name.decode(), CurveFacts(
        row,
        facts.formula.decode(),
        tuple([facts.parameters[k].decode() for k in range(facts.count)]),
        tuple([facts.parameters[k].decode() for k in range(facts.count) if facts.positive[k]]),
        (facts.domain_low, facts.domain_high),
        named_loss(facts.loss)[0],
        bool(facts.is_log_x),
        tuple([ACTIVATIONS[facts.activations[k]] for k in range(facts.layers)]),
        tuple([names[k] for k in range(2 * facts.layers) if facts.frozen[k]]),
        bool(facts.is_log_dose),
        tuple([facts.parameters[k].decode() for k in (ends.low, ends.high, ends.tilt)])
        if row.at.signs in (CBP_MIRROR, CBP_ORDERED) else (),
    )


CURVES = dict([curve_facts(row_at(number)) for number in range(cbp_curve_count())])


def define_curve(texts, parameters, positive, activations, terms, domain, loss, log_axis, start):
    """The facts of a curve of a user's own; called by `curves.define`, which has checked everything
    but whether candidates for starts can be made.

    texts are its name and its formula; terms are (rule, i, j, value); start is (grid, of_log_x,
    signs, slope_at, power_at, slope, ends), and ends are (low, high, tilt).
    """
    cdef CurveRow row = CurveRow()
    cdef cbp_curve *own = &row.own
    cdef size_t k
    row.at = own
    row.texts = [text.encode() for text in (*texts, *parameters)]
    own.name, own.formula = row.texts[0], row.texts[1]
    for k in range(len(parameters)):
        own.parameters[k] = row.texts[2 + k]
        own.positive[k] = parameters[k] in positive
    for k in range(len(activations)):
        own.activations[k] = activation_code(activations[k])
    for k in range(len(terms)):
        rule, own.terms[k].i, own.terms[k].j, own.terms[k].value = terms[k]
        own.terms[k].rule = RULES[rule]
    own.domain_low, own.domain_high = domain
    own.loss, own.x_is = code_of_loss(loss, 1.0), CBP_X_DOSE if log_axis else CBP_X_ANY
    grid, own.of_log_x, own.signs, own.slope_at, own.power_at, own.slope, ends = start
    own.grid = GRIDS[grid]
    own.ends.low, own.ends.high, own.ends.tilt = ends
    return curve_facts(row)[1]


def curve_chain(CurveRow row not None, natural):
    """The chain's parameters (2L,) of natural parameters (p,), and the Jacobian (2L, p)."""
    cdef cbp_curve_facts facts
    check(cbp_curve_describe(row.at, &facts))
    cdef const double *given = memory_of_const(natural, facts.count)
    params, jacobian = empty(2 * facts.layers), empty((2 * facts.layers, facts.count))
    check(cbp_curve_chain(row.at, given, memory_of(params, 2 * facts.layers),
                          memory_of(jacobian, 2 * facts.layers * facts.count)))
    return params, jacobian


cdef cbp_curve started(CurveRow row, start, size_t p) except *:
    """The curve with a start (p,), or starts (m, p) of many fits, or without."""
    cdef cbp_curve curve = row.at[0]
    if start is not None:
        curve.start = memory_of_const(start, start.size)
        curve.start_step = p if start.ndim == 2 else 0
    return curve


def fit_curve(CurveRow row not None, start, x, y, weight, fixed, lower, upper, int loss,
              double scale, size_t max_iterations, double tolerance):
    """Fit a curve; called by `Curve.fit`.

    x, y and weight are float64 of shape (n,), or weight is None; start, fixed, lower and upper are
    None or of shape (p,). Returns a status, and after success natural parameters (p,), the chain's
    (2L,), the covariance (p, p) of the coordinates, bytes of enum cbp_determined, the triangle, the
    variance, loss, degrees of freedom, outcome, iterations, evaluations, the index of what was
    fixed on the way to a limit, or p, and the sums of cbp_curve_result.
    """
    cdef cbp_curve_facts facts
    cdef cbp_examples examples
    cdef cbp_curve_result result
    cdef Watch w
    cdef int status
    check(cbp_curve_describe(row.at, &facts))
    cdef size_t p = facts.count
    cdef cbp_curve curve = started(row, start, p)
    cdef cbp_fit_options options = options_with(lower, upper, p)
    cdef const double *known = memory_of_const(fixed, p) if fixed is not None else NULL
    examples.n = len(x)
    examples.x, examples.y = memory_of_const(x, examples.n), memory_of_const(y, examples.n)
    examples.weight = memory_of_const(weight, examples.n) if weight is not None else NULL
    options.loss = loss_given(loss, scale)
    options.max_iterations, options.tolerance = max_iterations, tolerance
    memset(&w, 0, sizeof(Watch))
    w.cost = 8 * facts.layers * examples.n
    options.progress, options.user = watch, &w
    arrays = arrays_for(&facts, &result)
    cdef double *work = new_numbers(cbp_curve_fit_work_len(examples.n))
    with nogil:
        status = cbp_curve_fit(&curve, &examples, known, &options, work, &result)
    PyMem_RawFree(work)
    raise_what_was_raised(&w)
    return status, told(arrays, &result) if status == CBP_OK else None


cdef tuple arrays_for(const cbp_curve_facts *facts, cbp_curve_result *result):
    """Give a result its arrays, which are returned."""
    cdef size_t p = facts.count, width = 2 * facts.layers
    natural, params, covariance = empty(p), empty(width), empty((p, p))
    triangle, determined = empty((p + 1) * (p + 1)), bytearray(p)
    result.natural, result.params = memory_of(natural, p), memory_of(params, width)
    result.covariance, result.determined = memory_of(covariance, p * p), determined
    result.triangle = memory_of(triangle, (p + 1) * (p + 1))
    return natural, params, covariance, determined, triangle


cdef tuple told(tuple arrays, const cbp_curve_result *result):
    """What a fit has found, as the fields of `curves.covariance.Fitted`."""
    return (*arrays[:3], bytes(arrays[3]), arrays[4], result.variance, result.loss, result.df,
            <int> result.outcome, result.iterations, result.evaluations, result.fixed_at,
            result.examples, result.weight, result.log_weight, result.rss, result.total_squares)


def fit_curve_groups(CurveRow row not None, start, x, y, weight, sizes, bytes shared, size_t values,
                     value, factor, fixed, lower, upper, int loss, double scale,
                     size_t max_iterations, double tolerance):
    """Fit a curve to groups that share parameters; called by `Curve.fit_groups`.

    As `fit_curve`, but the examples of the groups, of these sizes, stand one after the other, and
    start is None or has a row for each group, (count, p); `shared` has a flag for each natural
    parameter, with so many values in all; `value` and `factor`, (count, p), are those of
    cbp_curve_groups. Returns a status, and after success the covariance of the values, and what
    `fit_curve` returns, as arrays with a row for each group, the numbers in one, with a status.
    """
    cdef cbp_curve_facts facts
    cdef cbp_curve_groups groups
    cdef Watch w
    cdef size_t g, count = len(sizes), at = 0, n = len(x)
    cdef int status
    check(cbp_curve_describe(row.at, &facts))
    cdef size_t p = facts.count, width = 2 * facts.layers, of_triangle = (p + 1) * (p + 1)
    cdef cbp_curve curve = started(row, start, p)
    cdef cbp_fit_options options = options_with(lower, upper, p)
    cdef const double *known = memory_of_const(fixed, p) if fixed is not None else NULL
    cdef const double *inputs = memory_of_const(x, n)
    cdef const double *targets = memory_of_const(y, n)
    cdef const double *weights = memory_of_const(weight, n) if weight is not None else NULL
    options.loss = loss_given(loss, scale)
    options.max_iterations, options.tolerance = max_iterations, tolerance
    memset(&w, 0, sizeof(Watch))
    w.cost = 8 * facts.layers * (n // max(count, <size_t> 1))
    options.progress, options.user = watch, &w
    among = empty((values, values))
    natural, params, covariance = empty((count, p)), empty((count, width)), empty((count, p, p))
    triangle, determined, numbers = empty((count, of_triangle)), bytearray(count * p), []
    cdef double *of_natural = memory_of(natural, count * p)
    cdef double *of_params = memory_of(params, count * width)
    cdef double *of_covariance = memory_of(covariance, count * p * p)
    cdef double *of_all = memory_of(triangle, count * of_triangle)
    cdef unsigned char *kinds = determined
    cdef double *work = NULL
    cdef cbp_examples *examples = <cbp_examples *> PyMem_RawMalloc(count * sizeof(cbp_examples) + 1)
    cdef cbp_curve_result *results = <cbp_curve_result *> PyMem_RawMalloc(
        count * sizeof(cbp_curve_result) + 1)
    cdef cbp_curve_result *r
    try:
        if examples == NULL or results == NULL:
            raise MemoryError()
        for g in range(count):
            examples[g].x, examples[g].y = inputs + at, targets + at
            examples[g].weight = after(weights, at)
            examples[g].n = sizes[g]
            at += examples[g].n
            r = &results[g]
            r.natural, r.params = of_natural + g * p, of_params + g * width
            r.covariance, r.determined = of_covariance + g * p * p, kinds + g * p
            r.triangle = of_all + g * of_triangle
        groups.examples, groups.count, groups.shared = examples, count, shared
        groups.value = <const size_t *> items_of(value, count * p, b"LQI", sizeof(size_t), 0)
        groups.factor = memory_of_const(factor, count * p)
        groups.covariance = memory_of(among, values * values)
        work = new_numbers(cbp_curve_fit_groups_work_len(&curve, &groups))
        with nogil:
            status = cbp_curve_fit_groups(&curve, &groups, known, &options, work, results)
        raise_what_was_raised(&w)
        if status != CBP_OK:
            return status, None
        for g in range(count):
            r = &results[g]
            numbers.append((r.variance, r.loss, r.df, <int> r.outcome, r.iterations, r.evaluations,
                            r.fixed_at, r.examples, r.weight, r.log_weight, r.rss, r.total_squares,
                            r.status))
        return status, (among, natural, params, covariance, bytes(determined), triangle, numbers)
    finally:
        PyMem_RawFree(work)
        PyMem_RawFree(examples)
        PyMem_RawFree(results)


cdef void tell_converged(const cbp_curve_fits *fits, size_t m, size_t p,
                         unsigned char *converged) noexcept nogil:
    """Whether fits have converged; their status also says whether in all parameters."""
    cdef size_t i, k
    for i in range(m):
        converged[i] = fits.status[i] == CBP_CONVERGED
        for k in range(p):
            if fits.status[i] > 0 and fits.determined[i * p + k] >= CBP_UNDETERMINED:
                fits.status[i] = NOT_IDENTIFIED


def fit_curve_block(CurveRow row not None, start, x, y, weight, fixed, lower, upper, int loss,
                    double scale, size_t max_iterations, double tolerance, stop, found):
    """Fit a curve to the sets of a block; called by `Curve.fit_many`.

    y is (m, n), x and weight are (n,) or (m, n), weight may be None: float64, contiguous; start is
    (p,), (m, p) or None; fixed, lower and upper as for `fit_curve`. `stop` is a bytearray; the fits
    end when its first byte is not 0. `found` is a `curves.many.Found`.
    """
    cdef cbp_curve_facts facts
    cdef cbp_example_sets sets = sets_of(x, y, weight)
    cdef cbp_curve_fits fits
    cdef Watch w
    cdef int status
    check(cbp_curve_describe(row.at, &facts))
    cdef size_t p = facts.count, m = sets.m, width = 2 * facts.layers
    cdef cbp_curve curve = started(row, start, p)
    cdef cbp_fit_options options = options_with(lower, upper, p)
    cdef const double *known = memory_of_const(fixed, p) if fixed is not None else NULL
    cdef FitNumbers numbers = numbers_of_fits(found, m, loss)
    cdef unsigned char *converged = <unsigned char *> items_of(found.converged, m, b"?", 1,
                                                               PyBUF_WRITABLE)
    options.loss = loss_given(loss, scale)
    options.max_iterations, options.tolerance = max_iterations, tolerance
    memset(&w, 0, sizeof(Watch))
    w.stop = stop
    w.cost = 8 * facts.layers * sets.n
    options.progress, options.user = watch, &w
    fits.natural = memory_of(found.natural, m * p)
    fits.standard_error = memory_of(found.stderr, m * p)
    fits.params = memory_of(found.params, m * width)
    fits.status = <int *> items_of(found.codes, m, b"il", sizeof(int), PyBUF_WRITABLE)
    fits.determined = <unsigned char *> items_of(found.determined, m * p, b"B", 1, PyBUF_WRITABLE)
    fits.iterations = <size_t *> items_of(found.iterations, m, b"LQI", sizeof(size_t),
                                          PyBUF_WRITABLE)
    fits.loss, fits.weight, fits.variance = numbers.mean, numbers.weight, numbers.variance
    fits.df = memory_of(found.df, m)
    cdef double *work = new_numbers(cbp_curve_fit_many_work_len(sets.n, m))
    with nogil:
        status = cbp_curve_fit_many(&curve, &sets, known, &options, work, &fits)
        if status == CBP_OK:
            derive_numbers(&numbers)
            tell_converged(&fits, m, p, converged)
    PyMem_RawFree(work)
    raise_what_was_raised(&w)
    return status
