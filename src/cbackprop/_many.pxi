# ---- many chains: part of _core.pyx --------------------------------------------------------------


ctypedef int (*mapping_of_many)(const double *, const unsigned char *, const double *, size_t,
                                size_t, size_t, int, double *) noexcept nogil


cdef object map_many(mapping_of_many map_chains, params, Chain kind, inputs, str argument):
    """Outputs (m, n) of m chains, for n inputs of all chains, or (m, n), a row for each."""
    cdef Numbers points
    cdef size_t layers = kind.size, m = len(params), n, start = 0, chains, step
    cdef const double *own = memory_of_const(params, 2 * layers * m)
    cdef double *out
    cdef int status = CBP_OK, is_shared
    open_numbers(inputs, argument, &points)
    try:
        is_shared = points.view.ndim < 2
        n = points.count if is_shared else points.view.shape[1]
        if points.view.ndim > 2 or (not is_shared and <size_t> points.view.shape[0] != m):
            raise ShapeError(
                f"{argument}: shape {shape_of(&points.view)}, expected (n,) or ({m}, n)"
            )
        answer = empty(m) if points.view.ndim == 0 else empty((m, n))
        out = memory_of(answer, m * n)
        step = 0 if is_shared else n
        while start < m and status == CBP_OK:
            chains = min(stretch_of(layers) // (n + 1) + 1, m - start)
            with nogil:
                status = map_chains(own + 2 * layers * start, kind.codes, points.at + start * step,
                                    layers, n, chains, is_shared, out + start * n)
            start += chains
            PyErr_CheckSignals()
        check(status)
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
        if not facts_of(kind.codes[l]).one_to_one:
            raise ParameterError(f"layer {l + 1} cannot be inverted: {name} is not one-to-one")
    return map_many(cbp_inverse_many, params, kind, y, "y")


def gradient_many(params, Chain kind not None, x, y, weight, int loss, double scale, gradient):
    """Losses (m,); writes the averaged gradients to `gradient` (m, 2L) unless it is None.

    x is (n,) or (m, n), y (m, n), weight (n,) or None: float64, contiguous, of these shapes.
    """
    cdef Numbers inputs, targets, weights
    cdef size_t layers = kind.size, m = len(params), n = y.shape[1], start = 0, chains
    cdef int is_shared = x.ndim < 2, status = CBP_OK
    cdef const double *own = memory_of_const(params, 2 * layers * m)
    cdef const double *xs = memory_of_const(x, n if is_shared else m * n)
    cdef const double *ys = memory_of_const(y, m * n)
    cdef const double *ws = memory_of_const(weight, n) if weight is not None else NULL
    cdef double *to = memory_of(gradient, 2 * layers * m) if gradient is not None else NULL
    losses = empty(m)
    cdef double *means = memory_of(losses, m)
    cdef double *work = new_numbers(cbp_work_len(layers, n))
    try:
        while start < m and status == CBP_OK:
            chains = min(stretch_of(layers) // (n + 1) + 1, m - start)
            with nogil:
                status = cbp_gradient_many(own + 2 * layers * start, kind.codes,
                                           xs if is_shared else xs + start * n, ys + start * n, ws,
                                           layers, n, chains, is_shared, loss, scale, work,
                                           means + start, <double *> after(to, 2 * layers * start))
            start += chains
            PyErr_CheckSignals()
    finally:
        PyMem_RawFree(work)
    check_examples(status, y, weight, loss)
    return losses


# ---- many fits ----


# The data of the progress function: the exception of Ctrl-C, which the main thread receives, and
# the flag by which it stops the other threads.
cdef struct ManyProgress:
    const volatile char *stop
    PyObject *raised
    size_t cost, credit


cdef int watch_many(void *user, const cbp_fit_info *info) noexcept nogil:
    cdef ManyProgress *progress = <ManyProgress *> user
    if progress.stop[0] != 0:
        return 1
    progress.credit += progress.cost
    if progress.credit < WORK_BETWEEN_CHECKS:
        return 0
    progress.credit = 0
    with gil:
        return check_signals(progress)


cdef int check_signals(ManyProgress *progress) noexcept:
    try:
        PyErr_CheckSignals()
        return False
    except BaseException as error:
        Py_INCREF(error)
        progress.raised = <PyObject *> error
        return True


def choose_starts(Chain kind not None, x, y, weight, lower, upper, candidates, size_t row,
                  params):
    """Write the best of the candidates (count, 2L) for each chain to params (m, 2L).

    `row` is the row length if the candidates form a grid, else 0. y is (m, n), x and weight are
    (n,) or (m, n), weight may be None: float64, contiguous.
    """
    cdef size_t layers = kind.size, m = y.shape[0], n = y.shape[1], count = len(candidates)
    cdef size_t x_step = 0 if x.ndim == 1 else n, weight_step = n
    cdef const double *xs = memory_of_const(x, m * n if x_step > 0 else n)
    cdef const double *ys = memory_of_const(y, m * n)
    cdef const double *ws = NULL
    cdef const double *low = NULL
    cdef const double *high = NULL
    cdef const double *given = memory_of_const(candidates, 2 * layers * count)
    cdef double *to = memory_of(params, 2 * layers * m)
    cdef int status
    if weight is not None:
        weight_step = 0 if weight.ndim == 1 else n
        ws = memory_of_const(weight, m * n if weight_step > 0 else n)
    if lower is not None:
        low = memory_of_const(lower, 2 * layers)
        high = memory_of_const(upper, 2 * layers)
    cdef double *work = new_numbers(cbp_choose_starts_work_len(layers, n, count))
    with nogil:
        status = cbp_choose_starts(kind.codes, kind.frozen_flags, low, high, xs, ys, ws, layers, n,
                                   m, x_step, weight_step, given, count, row, work, to)
    PyMem_RawFree(work)
    check(status)


def fit_block(Chain kind not None, x, y, weight, lower, upper, int loss, double scale,
              size_t max_iterations, double tolerance, stop, fits):
    """Fit the chains of a block; called by `many.fit_many`.

    y is (m, n), x and weight are (n,) or (m, n), weight may be None: float64, contiguous. `stop` is
    a bytearray; the fits end when its first byte is not 0. `fits` is a `fits.many.Found`.
    """
    cdef size_t layers = kind.size, m = y.shape[0], n = y.shape[1]
    cdef size_t free = 2 * layers - len(kind.frozen), weight_step = n
    cdef size_t x_step = 0 if x.ndim == 1 else n, packed = free * (free + 1) // 2
    cdef const double *xs = memory_of_const(x, m * n if x_step > 0 else n)
    cdef const double *ys = memory_of_const(y, m * n)
    cdef const double *ws = NULL
    cdef const double *low = NULL
    cdef const double *high = NULL
    cdef cbp_fit_options options
    cdef cbp_fits found
    cdef ManyProgress progress
    cdef int status
    if weight is not None:
        weight_step = 0 if weight.ndim == 1 else n
        ws = memory_of_const(weight, m * n if weight_step > 0 else n)
    if lower is not None:
        low = memory_of_const(lower, 2 * layers)
        high = memory_of_const(upper, 2 * layers)
    found.params = memory_of(fits.params, 2 * layers * m)
    found.status = <int *> items_of(fits.codes, m, b"il", sizeof(int), PyBUF_WRITABLE)
    found.iterations = <size_t *> items_of(fits.iterations, m, b"LQI", sizeof(size_t),
                                           PyBUF_WRITABLE)
    found.loss = memory_of(fits.loss, m)
    found.weight = memory_of(fits.weight, m)
    found.variance = memory_of(fits.variance, m)
    found.left_over = memory_of(fits.df, m)
    found.errors = memory_of(fits.stderr, 2 * layers * m)
    found.covariance = memory_of(fits.triangles, packed * m) if fits.triangles.size > 0 else NULL
    found.determined = <unsigned char *> items_of(fits.determined, 2 * layers * m, b"B", 1,
                                                  PyBUF_WRITABLE)
    cbp_fit_defaults(&options)
    options.loss = loss
    options.scale = scale
    options.max_iterations = max_iterations
    options.tolerance = tolerance
    options.progress = watch_many
    options.user = &progress
    progress.stop = stop
    progress.raised = NULL
    progress.credit = 0
    progress.cost = 8 * layers * n
    cdef double *work = new_numbers(cbp_fit_many_work_len(layers, free, n))
    with nogil:
        status = cbp_fit_many(kind.codes, kind.frozen_flags, low, high, xs, ys, ws, layers, n, m,
                              x_step, weight_step, &options, work, &found)
    PyMem_RawFree(work)
    if progress.raised != NULL:
        error = <object> progress.raised
        Py_DECREF(error)
        raise error
    return status
