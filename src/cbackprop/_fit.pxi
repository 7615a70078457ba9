# ---- fitting: part of _core.pyx ------------------------------------------------------------------


# What the progress function needs. Asking Python costs more than a small fit's iteration, so that it
# is done for a callback, and else once in some milliseconds' work.
cdef struct Watch:
    PyObject *callback  # or null
    PyObject *raised    # what the callback or Ctrl-C raised, or null
    size_t params_len, cost, credit, iterations


cdef size_t PATIENCE = 1 << 21


cdef int watch(void *user, const cbp_fit_info *info) noexcept nogil:
    cdef Watch *w = <Watch *> user
    w.credit += w.cost
    if w.credit < PATIENCE and (w.callback == NULL or info.iterations == w.iterations):
        return 0
    w.credit = 0
    with gil:
        return ask(w, info)


cdef int ask(Watch *w, const cbp_fit_info *info) noexcept:
    """Whether the fit is to stop."""
    try:
        PyErr_CheckSignals()
        if w.callback == NULL or info.iterations == w.iterations:
            return False
        w.iterations = info.iterations
        params = np.array(<const double[:w.params_len]> info.params)
        return bool((<object> w.callback)(info.iterations, info.evaluations, info.loss,
                                          info.gradient_norm, params))
    except BaseException as error:
        Py_INCREF(error)
        w.raised = <PyObject *> error
        return True


def status_text(int status):
    """The core's sentence for a status."""
    return cbp_status_string(status).decode()


def check_status(int status, y, sample_weight, int loss):
    """Raise what a status stands for, and name the example at fault if there is one."""
    check_examples(status, y, sample_weight, loss)


def fit_chain(Chain net not None, x, y, sample_weight, lower, upper, int method, int loss, double scale,
              size_t max_iterations, double tolerance, double learning_rate, double momentum,
              size_t batch_size, size_t restarts, unsigned long long seed, callback, history):
    """Fits a copy of a chain; called by `fitting.fit`, which says what the arguments are.

    `method` is -1 for Levenberg-Marquardt, else a descent's code; lower and upper are None or
    arrays of shape (2L,); `history` is an array to be filled. Returns a status, and after success
    the fitted chain, the outcome, iterations, evaluations, loss and gradient norm.
    """
    cdef Examples examples
    cdef cbp_fit_options options
    cdef cbp_fit_info info
    cdef Watch w
    cdef const double *low = NULL
    cdef const double *high = NULL
    cdef size_t *order = NULL
    cdef double *work = NULL
    cdef size_t layers = net.size, free = 2 * layers - len(net.frozen)
    cdef int status
    memset(&w, 0, sizeof(Watch))
    cdef Chain fitted = net.copy()
    if lower is not None:
        low = memory_of(lower)
        high = memory_of(upper)
    cbp_fit_defaults(&options)
    options.loss = loss
    options.scale = scale
    options.max_iterations = max_iterations
    options.tolerance = tolerance
    options.learning_rate = learning_rate
    options.momentum = momentum
    options.batch_size = batch_size
    options.restarts = restarts
    options.seed = seed
    options.progress = watch
    options.user = &w
    options.history = memory_of(history)
    options.history_len = len(history)
    open_examples(x, y, sample_weight, &examples)
    try:
        w.cost = 8 * layers * examples.x.count
        w.params_len = 2 * layers
        if callback is not None:
            w.callback = <PyObject *> callback
        if method < 0:
            work = new_numbers(cbp_fit_work_len(layers, free))
            with nogil:
                status = cbp_fit_lm(net.codes, net.held, low, high, examples.x.at, examples.y.at,
                                    examples.weight.at, layers, examples.x.count, &options, work,
                                    fitted.values, &info)
        else:
            options.method = method
            work = new_numbers(cbp_fit_descent_work_len(layers, batch_size))
            if batch_size > 0:
                order = <size_t *> new_numbers(examples.x.count)
            with nogil:
                status = cbp_fit_descent(net.codes, net.held, low, high, examples.x.at,
                                         examples.y.at, examples.weight.at, layers,
                                         examples.x.count, &options, work, order,
                                         fitted.values, &info)
    finally:
        PyMem_RawFree(order)
        PyMem_RawFree(work)
        close_examples(&examples)
    if w.raised != NULL:
        error = <object> w.raised
        Py_DECREF(error)
        raise error
    if status != CBP_OK:
        return status, None
    return status, (fitted, <int> info.outcome, info.iterations, info.evaluations, info.loss,
                    info.gradient_norm)


cdef int add_rows(Chain net, const Examples *examples, int loss, double scale, double *work,
                  double *triangle, double *sums) except 1:
    """Add the rows of all examples to a triangle, stretch by stretch; the status.

    At `sums` stand the four sums of cbp_fit_shard, and then what they lost.
    """
    cdef size_t start = 0, n = examples.x.count, count = stretch_of(4 * net.size)
    cdef int status
    while True:
        with nogil:
            status = cbp_fit_shard(net.values, net.codes, net.held, examples.x.at + start,
                                   examples.y.at + start, after(examples.weight.at, start),
                                   net.size, min(count, n - start), loss, scale, work, triangle,
                                   sums, sums + 4)
        start += count
        if status != CBP_OK or start >= n:
            return status
        PyErr_CheckSignals()


def fit_covariance(Chain net not None, x, y, sample_weight, lower, upper, int loss, double scale,
                   hessian):
    """The variance s^2, the covariance (2L, 2L), and 2L bytes of enum cbp_determined.

    `hessian` is the exact Hessian of the averaged loss, or None for Gauss-Newton.
    """
    cdef size_t free = 2 * net.size - len(net.frozen), width = free + 1
    cdef size_t needed = cbp_fit_work_len(net.size, free)
    cdef Examples examples
    cdef double *work = NULL
    cdef double *triangle
    open_examples(x, y, sample_weight, &examples)
    try:
        work = new_numbers(needed + width * width + 8)
        triangle = work + needed
        memset(triangle, 0, (width * width + 8) * sizeof(double))
        check_examples(add_rows(net, &examples, loss, scale, work, triangle,
                                triangle + width * width), y, sample_weight, loss)
        return covariance_of(net, lower, upper, loss, triangle, triangle + width * width, hessian,
                             work)
    finally:
        PyMem_RawFree(work)
        close_examples(&examples)


def shards_covariance(Chain net not None, triangle, sums, int loss):
    """As fit_covariance, from what shards have added up to: the triangle, and the sums (2, 4)."""
    cdef double *work = new_numbers(cbp_fit_work_len(net.size, 2 * net.size - len(net.frozen)))
    try:
        return covariance_of(net, None, None, loss, memory_of_const(triangle),
                             memory_of_const(sums), None, work)
    finally:
        PyMem_RawFree(work)


cdef object covariance_of(Chain net, lower, upper, int loss, const double *triangle,
                          const double *sums, hessian, double *work):
    cdef size_t width = 2 * net.size
    cdef const double *low = NULL
    cdef const double *high = NULL
    cdef const double *exact = NULL
    cdef double variance
    cdef int status
    answer = empty((width, width))
    determined = bytearray(width)
    cdef double *covariance = memory_of(answer)
    cdef unsigned char *kinds = determined
    if lower is not None:
        low = memory_of_const(lower)
        high = memory_of_const(upper)
    if hessian is not None:
        exact = memory_of_const(hessian)
    with nogil:
        status = cbp_fit_shards_covariance(net.values, net.codes, net.held, low, high, net.size,
                                           loss, triangle, sums, sums + 4, exact, work, &variance,
                                           covariance, kinds)
    check(status)
    return variance, answer, bytes(determined)


# ---- examples in several places ----


def gradient_sums(Chain net not None, x, y, sample_weight, loss, loss_scale):
    """What some examples add to the averaged loss and gradient: (2, 2L + 2).

    The sums [weight, weight E, weight dE/dparams ...], and below them what rounding lost.
    """
    cdef double scale
    cdef int code = loss_code(loss, loss_scale, &scale)
    cdef size_t len = 2 * net.size + 2
    cdef Examples examples
    answer = np.zeros(2 * len + cbp_work_len(net.size, 2))
    cdef double *sums = memory_of(answer)
    open_examples(x, y, sample_weight, &examples)
    try:
        check_examples(net.add_up(&examples, 0, examples.x.count, code, scale, sums + 2 * len, sums,
                                  len, NULL), y, sample_weight, code)
    finally:
        close_examples(&examples)
    return answer[:2 * len].reshape(2, len).copy()


def fit_shard(Chain net not None, x, y, sample_weight, loss, loss_scale):
    """What some examples add to a pass of a fit.

    The triangle (free + 1, free + 1), and (2, 4): the sums [weight, weight E, examples of positive
    weight, weight y^2], and below them what rounding lost.
    """
    cdef double scale
    cdef int code = loss_code(loss, loss_scale, &scale)
    cdef size_t free = 2 * net.size - len(net.frozen)
    cdef Examples examples
    triangle, sums = np.zeros((free + 1, free + 1)), np.zeros((2, 4))
    cdef double *work = NULL
    open_examples(x, y, sample_weight, &examples)
    try:
        work = new_numbers(cbp_fit_work_len(net.size, free))
        check_examples(add_rows(net, &examples, code, scale, work, memory_of(triangle),
                                memory_of(sums)), y, sample_weight, code)
    finally:
        PyMem_RawFree(work)
        close_examples(&examples)
    return triangle, sums


def merge_sums(shards):
    """Add up the sums of several places, each (2, len), in the order given."""
    total = np.zeros_like(shards[0])
    cdef size_t len = total.shape[1]
    cdef double *sums = memory_of(total)
    cdef const double *of_shard
    for shard in shards:
        of_shard = memory_of_const(shard)
        cbp_sums_merge(of_shard, of_shard + len, len, sums, sums + len)
    return total


def mean_of_sums(sums):
    """The averages of merged sums (2, len): those after the first over the first."""
    cdef size_t len = sums.shape[1]
    cdef const double *total = memory_of_const(sums)
    mean = empty(len - 1)
    check(cbp_sums_mean(total, total + len, len, memory_of(mean)))
    return mean
