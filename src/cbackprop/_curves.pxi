# ---- named curves: part of _core.pyx -------------------------------------------------------------


CurveFacts = namedtuple(
    "CurveFacts",
    "number formula parameters positive domain loss is_log_x activations frozen is_log_dose",
)


cdef object curve_facts(size_t number):
    cdef cbp_curve_facts facts
    cdef size_t k
    cbp_curve_describe(cbp_curve_at(number), &facts)
    names = names_of(facts.layers)
    return facts.name.decode(), CurveFacts(
        number,
        facts.formula.decode(),
        tuple([facts.parameters[k].decode() for k in range(facts.count)]),
        tuple([facts.parameters[k].decode() for k in range(facts.count) if facts.positive[k]]),
        (facts.domain_low, facts.domain_high),
        named_loss(facts.loss)[0],
        bool(facts.is_log_x),
        tuple([ACTIVATIONS[facts.activations[k]] for k in range(facts.layers)]),
        tuple([names[k] for k in range(2 * facts.layers) if facts.frozen[k]]),
        bool(facts.is_log_dose),
    )


CURVES = dict([curve_facts(number) for number in range(cbp_curve_count())])


def curve_chain(size_t curve, natural):
    """The chain's parameters (2L,) of natural parameters (p,), and the Jacobian (2L, p)."""
    cdef cbp_curve_facts facts
    check(cbp_curve_describe(cbp_curve_at(curve), &facts))
    cdef const double *given = memory_of_const(natural, facts.count)
    params, jacobian = empty(2 * facts.layers), empty((2 * facts.layers, facts.count))
    check(cbp_curve_chain(cbp_curve_at(curve), given, memory_of(params, 2 * facts.layers),
                          memory_of(jacobian, 2 * facts.layers * facts.count)))
    return params, jacobian


def fit_curve(size_t curve, x, y, weight, fixed, lower, upper, int loss, double scale,
              size_t max_iterations, double tolerance):
    """Fit a curve; called by `Curve.fit`.

    x, y and weight are float64 of shape (n,), or weight is None; fixed, lower and upper are None or
    of shape (p,). Returns a status, and after success natural parameters (p,), the chain's (2L,),
    the covariance (p, p) of the coordinates, bytes of enum cbp_determined, the triangle, the
    variance, loss, degrees of freedom, outcome, iterations, evaluations, the index of what was fixed on
    the way to a limit, or p, and the sums of cbp_curve_result.
    """
    cdef cbp_curve_facts facts
    cdef cbp_examples examples
    cdef cbp_curve_result result
    cdef Watch w
    cdef int status
    check(cbp_curve_describe(cbp_curve_at(curve), &facts))
    cdef size_t p = facts.count
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
        status = cbp_curve_fit(cbp_curve_at(curve), &examples, known, &options, work, &result)
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


def fit_curve_groups(size_t curve, x, y, weight, sizes, bytes shared, fixed, lower, upper, int loss,
                     double scale, size_t max_iterations, double tolerance):
    """Fit a curve to groups that share parameters; called by `Curve.fit_groups`.

    As `fit_curve`, but the examples of the groups, of these sizes, stand one after the other;
    `shared` has a flag for each natural parameter. Returns a status, and after success a list of
    what `fit_curve` returns, for each group.
    """
    cdef cbp_curve_facts facts
    cdef cbp_curve_groups groups
    cdef Watch w
    cdef size_t g, count = len(sizes), start = 0, n = len(x)
    cdef int status
    check(cbp_curve_describe(cbp_curve_at(curve), &facts))
    cdef cbp_fit_options options = options_with(lower, upper, facts.count)
    cdef const double *known = memory_of_const(fixed, facts.count) if fixed is not None else NULL
    cdef const double *inputs = memory_of_const(x, n)
    cdef const double *targets = memory_of_const(y, n)
    cdef const double *weights = memory_of_const(weight, n) if weight is not None else NULL
    options.loss = loss_given(loss, scale)
    options.max_iterations, options.tolerance = max_iterations, tolerance
    memset(&w, 0, sizeof(Watch))
    w.cost = 8 * facts.layers * (n // max(count, <size_t> 1))
    options.progress, options.user = watch, &w
    all_arrays = []
    cdef double *work = NULL
    cdef cbp_examples *examples = <cbp_examples *> PyMem_RawMalloc(count * sizeof(cbp_examples) + 1)
    cdef cbp_curve_result *results = <cbp_curve_result *> PyMem_RawMalloc(
        count * sizeof(cbp_curve_result) + 1)
    try:
        if examples == NULL or results == NULL:
            raise MemoryError()
        for g in range(count):
            examples[g].x, examples[g].y = inputs + start, targets + start
            examples[g].weight = after(weights, start)
            examples[g].n = sizes[g]
            start += examples[g].n
            all_arrays.append(arrays_for(&facts, &results[g]))
        groups.examples, groups.count, groups.shared = examples, count, shared
        work = new_numbers(cbp_curve_fit_groups_work_len(&groups))
        with nogil:
            status = cbp_curve_fit_groups(cbp_curve_at(curve), &groups, known, &options, work,
                                          results)
        raise_what_was_raised(&w)
        if status != CBP_OK:
            return status, None
        return status, [told(all_arrays[g], &results[g]) for g in range(count)]
    finally:
        PyMem_RawFree(work)
        PyMem_RawFree(examples)
        PyMem_RawFree(results)


def fit_curve_block(size_t curve, x, y, weight, fixed, lower, upper, int loss, double scale,
                    size_t max_iterations, double tolerance, stop, found):
    """Fit a curve to the sets of a block; called by `Curve.fit_many`.

    y is (m, n), x and weight are (n,) or (m, n), weight may be None: float64, contiguous; fixed,
    lower and upper as for `fit_curve`. `stop` is a bytearray; the fits end when its first byte is
    not 0. `found` is a `curves.many.Found`.
    """
    cdef cbp_curve_facts facts
    cdef cbp_example_sets sets = sets_of(x, y, weight)
    cdef cbp_curve_fits fits
    cdef Watch w
    cdef int status
    check(cbp_curve_describe(cbp_curve_at(curve), &facts))
    cdef size_t p = facts.count, m = sets.m, width = 2 * facts.layers
    cdef cbp_fit_options options = options_with(lower, upper, p)
    cdef const double *known = memory_of_const(fixed, p) if fixed is not None else NULL
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
    fits.loss, fits.weight = memory_of(found.loss, m), memory_of(found.weight, m)
    fits.variance, fits.df = memory_of(found.variance, m), memory_of(found.df, m)
    cdef double *work = new_numbers(cbp_curve_fit_many_work_len(sets.n, m))
    with nogil:
        status = cbp_curve_fit_many(cbp_curve_at(curve), &sets, known, &options, work, &fits)
    PyMem_RawFree(work)
    raise_what_was_raised(&w)
    return status
