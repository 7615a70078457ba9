# ---- many chains: part of _core.pyx --------------------------------------------------------------


ctypedef int (*mapping_of_many)(const cbp_chain *, size_t, const double *, size_t, size_t,
                                double *) noexcept nogil


# The arguments of C calls for many chains, those of all. For mappings the inputs are in sets.x.
cdef struct ManyJob:
    cbp_chain chains
    cbp_example_sets sets
    cbp_loss loss
    mapping_of_many map
    double *out       # a row for each chain, or a mean
    double *gradient  # or null


cdef cbp_chain chains_from(const cbp_chain *all, size_t start) noexcept nogil:
    cdef cbp_chain chains = all[0]
    chains.params += 2 * chains.layers * start
    return chains


cdef int map_many_stretch(const void *given, double *work, size_t start,
                          size_t count) noexcept nogil:
    cdef const ManyJob *job = <const ManyJob *> given
    cdef cbp_chain chains = chains_from(&job.chains, start)
    return job.map(&chains, count, job.sets.x + job.sets.x_step * start, job.sets.n,
                   job.sets.x_step, job.out + job.sets.n * start)


cdef int gradient_many_stretch(const void *given, double *work, size_t start,
                               size_t count) noexcept nogil:
    cdef const ManyJob *job = <const ManyJob *> given
    cdef cbp_chain chains = chains_from(&job.chains, start)
    cdef cbp_example_sets sets = job.sets
    sets.x += sets.x_step * start
    sets.y += sets.n * start
    sets.m = count
    return cbp_gradient_many(&chains, &sets, &job.loss, work, job.out + start,
                             <double *> after(job.gradient, 2 * chains.layers * start))


cdef int run_many(stretch_call call, const ManyJob *job, double *work, size_t work_len, size_t m,
                  object threads) except 1:
    """Makes a call for m chains; the status."""
    cdef SharedCall shared
    shared.call, shared.job, shared.work_len, shared.end = call, job, work_len, m
    shared.most = stretch_of(job.chains.layers) // (job.sets.n + 1) + 1
    shared.unit, shared.cost = 1, job.chains.layers * (job.sets.n + 1)
    return run_shared(&shared, work, threads)


cdef object map_many(mapping_of_many map_chains, params, Chain kind, inputs, str argument,
                     threads):
    """Outputs (m, n) of m chains, for n inputs of all chains, or (m, n), a row for each."""
    cdef Numbers points
    cdef size_t m = len(params)
    cdef ManyJob job
    check_threads(threads)
    memset(&job, 0, sizeof(ManyJob))
    job.chains = kind.core
    job.chains.params, job.map = memory_of_const(params, 2 * kind.core.layers * m), map_chains
    open_numbers(inputs, argument, &points)
    try:
        is_common = points.view.ndim < 2
        if points.view.ndim > 2 or (not is_common and <size_t> points.view.shape[0] != m):
            raise ShapeError(
                f"{argument}: shape {shape_of(&points.view)}, expected (n,) or ({m}, n)"
            )
        job.sets.n = points.count if is_common else points.view.shape[1]
        job.sets.x_step = 0 if is_common else job.sets.n
        answer = empty(m) if points.view.ndim == 0 else empty((m, job.sets.n))
        job.sets.x, job.out = points.at, memory_of(answer, m * job.sets.n)
        check(run_many(map_many_stretch, &job, NULL, 0, m, threads))
    finally:
        close_numbers(&points)
    return answer


def forward_many(params, Chain kind not None, x, threads=None):
    """Outputs of chains like `kind` with params (m, 2L); see `ChainArray.forward`."""
    return map_many(cbp_forward_many, params, kind, x, "x", threads)


def slope_many(params, Chain kind not None, x, threads=None):
    """Slopes of chains like `kind` with params (m, 2L); see `ChainArray.slope`."""
    return map_many(cbp_slope_many, params, kind, x, "x", threads)


def inverse_many(params, Chain kind not None, y, threads=None):
    """Inputs of outputs of chains like `kind` with params (m, 2L); see `ChainArray.inverse`."""
    for l, name in enumerate(kind.activations):
        if not facts_of(kind.core.activations[l]).one_to_one:
            raise ParameterError(f"layer {l + 1} cannot be inverted: {name} is not one-to-one")
    return map_many(cbp_inverse_many, params, kind, y, "y", threads)


cdef cbp_example_sets sets_of(x, y, weight) except *:
    """What is in y (m, n), x and weight (n,) or (m, n), a row for all or for each; weight or None."""
    cdef cbp_example_sets sets
    memset(&sets, 0, sizeof(cbp_example_sets))
    sets.m, sets.n = y.shape[0], y.shape[1]
    sets.x_step = 0 if x.ndim == 1 else sets.n
    sets.x = memory_of_const(x, sets.m * sets.n if sets.x_step > 0 else sets.n)
    sets.y = memory_of_const(y, sets.m * sets.n)
    if weight is not None:
        sets.weight_step = 0 if weight.ndim == 1 else sets.n
        sets.weight = memory_of_const(weight, sets.m * sets.n if sets.weight_step > 0 else sets.n)
    return sets


def gradient_many(params, Chain kind not None, x, y, weight, int loss, double scale, gradient,
                  threads=None):
    """Losses (m,); writes the averaged gradients to `gradient` (m, 2L) unless it is None.

    x is (n,) or (m, n), y (m, n), weight (n,) or None: float64, contiguous, of these shapes.
    """
    cdef size_t layers = kind.core.layers, m = len(params)
    cdef size_t work_len
    cdef int status
    cdef double *work
    cdef ManyJob job
    check_threads(threads)
    losses = empty(m)
    job.chains = kind.core
    job.chains.params = memory_of_const(params, 2 * layers * m)
    job.sets = sets_of(x, y, weight)
    job.loss, job.out = loss_given(loss, scale), memory_of(losses, m)
    job.gradient = memory_of(gradient, 2 * layers * m) if gradient is not None else NULL
    work_len = cbp_work_len(layers, job.sets.n)
    work = new_numbers(work_len)
    try:
        status = run_many(gradient_many_stretch, &job, work, work_len, m, threads)
    finally:
        PyMem_RawFree(work)
    check_examples(status, y, weight, loss)
    return losses


# ---- many fits ----


# The status of a fit that has converged, but not in all parameters.
cdef enum:
    NOT_IDENTIFIED = 5


cdef struct FitNumbers:
    size_t m
    int loss
    double *mean    # of the loss
    double *weight
    double *variance
    double *rss
    double *residual_sd


cdef FitNumbers numbers_of_fits(found, size_t m, int loss) except *:
    """Those that `found` has for m fits."""
    cdef FitNumbers of
    of.m, of.loss, of.mean, of.weight = m, loss, memory_of(found.loss, m), memory_of(found.weight, m)
    of.variance, of.rss = memory_of(found.variance, m), memory_of(found.rss, m)
    of.residual_sd = memory_of(found.residual_sd, m)
    return of


cdef void derive_numbers(const FitNumbers *of) noexcept nogil:
    """Residual standard deviations, NaN where the loss implies the variance; sums of squares, where
    the loss is that."""
    cdef cbp_loss_facts facts
    cdef size_t i
    cbp_loss_describe(of.loss, &facts)
    for i in range(of.m):
        of.residual_sd[i] = NAN if facts.dispersion > 0 else sqrt(of.variance[i])
        if of.loss == CBP_SQUARED:
            of.rss[i] = of.mean[i] * of.weight[i]


cdef void tell_identified(const cbp_fits *fits, size_t m, size_t width) noexcept nogil:
    """In place of enum cbp_determined, whether a parameter is identified."""
    cdef size_t i, k
    cdef bint is_known, are_known
    for i in range(m):
        are_known = True
        for k in range(i * width, (i + 1) * width):
            is_known = fits.determined[k] != CBP_UNDETERMINED
            fits.determined[k] = is_known
            are_known = are_known and is_known
        if fits.status[i] == CBP_CONVERGED and not are_known:
            fits.status[i] = NOT_IDENTIFIED


def choose_starts(Chain kind not None, x, y, weight, lower, upper, candidates, size_t row,
                  params):
    """Write the best of the candidates (count, 2L) for each chain to params (m, 2L).

    `row` is the row length if the candidates form a grid, else 0. y is (m, n), x and weight are
    (n,) or (m, n), weight may be None: float64, contiguous.
    """
    cdef size_t layers = kind.core.layers
    cdef cbp_example_sets sets = sets_of(x, y, weight)
    cdef cbp_fit_options options = options_with(lower, upper, 2 * layers)
    cdef cbp_candidates given
    given.count, given.row = len(candidates), row
    given.params = memory_of_const(candidates, 2 * layers * given.count)
    cdef double *to = memory_of(params, 2 * layers * sets.m)
    cdef int status
    cdef double *work = new_numbers(cbp_choose_starts_work_len(layers, sets.n, given.count))
    with nogil:
        status = cbp_choose_starts(&kind.core, &sets, &options, &given, work, to)
    PyMem_RawFree(work)
    check(status)


def fit_block(Chain kind not None, x, y, weight, lower, upper, int loss, double scale,
              size_t max_iterations, double tolerance, stop, fits):
    """Fit the chains of a block; called by `many.fit_many`.

    y is (m, n), x and weight are (n,) or (m, n), weight may be None: float64, contiguous. `stop` is
    a bytearray; the fits end when its first byte is not 0. `fits` is a `fits.many.Found`.
    """
    cdef cbp_example_sets sets = sets_of(x, y, weight)
    cdef size_t layers = kind.core.layers, m = sets.m, n = sets.n
    cdef size_t free = 2 * layers - len(kind.frozen), packed = free * (free + 1) // 2
    cdef cbp_fit_options options = options_with(lower, upper, 2 * layers)
    cdef cbp_fits found
    cdef Watch w
    cdef int status
    found.params = memory_of(fits.params, 2 * layers * m)
    found.status = <int *> items_of(fits.codes, m, b"il", sizeof(int), PyBUF_WRITABLE)
    found.iterations = <size_t *> items_of(fits.iterations, m, b"LQI", sizeof(size_t),
                                           PyBUF_WRITABLE)
    cdef FitNumbers numbers = numbers_of_fits(fits, m, loss)
    found.loss, found.weight, found.variance = numbers.mean, numbers.weight, numbers.variance
    found.df = memory_of(fits.df, m)
    found.standard_error = memory_of(fits.stderr, 2 * layers * m)
    found.covariance = memory_of(fits.triangles, packed * m) if fits.triangles.size > 0 else NULL
    found.determined = <unsigned char *> items_of(fits.determined, 2 * layers * m, b"B", 1,
                                                  PyBUF_WRITABLE)
    options.loss = loss_given(loss, scale)
    options.max_iterations = max_iterations
    options.tolerance = tolerance
    options.progress = watch
    options.user = &w
    memset(&w, 0, sizeof(Watch))
    w.stop = stop
    w.cost = 8 * layers * n
    cdef double *work = new_numbers(cbp_fit_many_work_len(layers, free, n))
    with nogil:
        status = cbp_fit_many(&kind.core, &sets, &options, work, &found)
        if status == CBP_OK:
            derive_numbers(&numbers)
            tell_identified(&found, m, 2 * layers)
    PyMem_RawFree(work)
    raise_what_was_raised(&w)
    return status
