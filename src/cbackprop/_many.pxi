# ---- many chains: part of _core.pyx --------------------------------------------------------------


ctypedef int (*mapping_of_many)(const cbp_chain *, size_t, const double *, size_t, size_t,
                                double *) noexcept nogil


# The arguments of C calls for many chains, those of all. For mappings the inputs are in sets.x.
cdef struct ManyJob:
    cbp_chain chains
    cbp_example_sets sets
    cbp_loss loss
    mapping_of_many map
    double *work
    double *out       # a row for each chain, or a mean
    double *gradient  # or null


cdef cbp_chain chains_from(const cbp_chain *all, size_t start) noexcept nogil:
    cdef cbp_chain chains = all[0]
    chains.params += 2 * chains.layers * start
    return chains


cdef int map_many_stretch(const void *given, size_t start, size_t count) noexcept nogil:
    cdef const ManyJob *job = <const ManyJob *> given
    cdef cbp_chain chains = chains_from(&job.chains, start)
    return job.map(&chains, count, job.sets.x + job.sets.x_step * start, job.sets.n,
                   job.sets.x_step, job.out + job.sets.n * start)


cdef int gradient_many_stretch(const void *given, size_t start, size_t count) noexcept nogil:
    cdef const ManyJob *job = <const ManyJob *> given
    cdef cbp_chain chains = chains_from(&job.chains, start)
    cdef cbp_example_sets sets = job.sets
    sets.x += sets.x_step * start
    sets.y += sets.n * start
    sets.m = count
    return cbp_gradient_many(&chains, &sets, &job.loss, job.work, job.out + start,
                             <double *> after(job.gradient, 2 * chains.layers * start))


cdef int run_many(stretch_call call, const ManyJob *job, size_t m) except 1:
    """Makes a call for m chains; the status."""
    return run_stretches(call, job, 0, m, stretch_of(job.chains.layers) // (job.sets.n + 1) + 1, NULL)


cdef object map_many(mapping_of_many map_chains, params, Chain kind, inputs, str argument):
    """Outputs (m, n) of m chains, for n inputs of all chains, or (m, n), a row for each."""
    cdef Numbers points
    cdef size_t m = len(params)
    cdef ManyJob job
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
        check(run_many(map_many_stretch, &job, m))
    finally:
        close_numbers(&points)
    return answer


def forward_many(params, Chain kind not None, x):
    """Outputs of chains like `kind` with params (m, 2L); see `ChainArray.forward`."""
    return map_many(cbp_forward_many, params, kind, x, "x")


def slope_many(params, Chain kind not None, x):
    """Slopes of chains like `kind` with params (m, 2L); see `ChainArray.slope`."""
    return map_many(cbp_slope_many, params, kind, x, "x")


def inverse_many(params, Chain kind not None, y):
    """Inputs of outputs of chains like `kind` with params (m, 2L); see `ChainArray.inverse`."""
    for l, name in enumerate(kind.activations):
        if not facts_of(kind.core.activations[l]).one_to_one:
            raise ParameterError(f"layer {l + 1} cannot be inverted: {name} is not one-to-one")
    return map_many(cbp_inverse_many, params, kind, y, "y")


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


def gradient_many(params, Chain kind not None, x, y, weight, int loss, double scale, gradient):
    """Losses (m,); writes the averaged gradients to `gradient` (m, 2L) unless it is None.

    x is (n,) or (m, n), y (m, n), weight (n,) or None: float64, contiguous, of these shapes.
    """
    cdef size_t layers = kind.core.layers, m = len(params)
    cdef int status
    cdef ManyJob job
    losses = empty(m)
    job.chains = kind.core
    job.chains.params = memory_of_const(params, 2 * layers * m)
    job.sets = sets_of(x, y, weight)
    job.loss, job.out = loss_given(loss, scale), memory_of(losses, m)
    job.gradient = memory_of(gradient, 2 * layers * m) if gradient is not None else NULL
    job.work = new_numbers(cbp_work_len(layers, job.sets.n))
    try:
        status = run_many(gradient_many_stretch, &job, m)
    finally:
        PyMem_RawFree(job.work)
    check_examples(status, y, weight, loss)
    return losses


# ---- many fits ----


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
    found.loss = memory_of(fits.loss, m)
    found.weight = memory_of(fits.weight, m)
    found.variance = memory_of(fits.variance, m)
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
    PyMem_RawFree(work)
    raise_what_was_raised(&w)
    return status
