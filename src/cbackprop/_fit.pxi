# ---- fitting: part of _core.pyx ------------------------------------------------------------------


# The data of the progress function. A call into Python takes longer than an iteration of a small
# fit. So it is made only for a callback, and otherwise after a few milliseconds of work.
cdef struct Watch:
    const volatile char *stop  # or null: ends the fit once it is not 0; other threads set it
    PyObject *callback  # or null
    PyObject *run_pass  # or null, if C makes the passes
    PyObject *start
    PyObject *raised    # the exception of one of them or of Ctrl-C, or null
    size_t params_len, cost, credit, iterations
    int loss, status    # the status of the last pass
    double scale


cdef size_t WORK_BETWEEN_CHECKS = 1 << 21


cdef int watch(void *user, const cbp_fit_info *info) noexcept nogil:
    cdef Watch *w = <Watch *> user
    if w.stop != NULL and w.stop[0] != 0:
        return 1
    w.credit += w.cost
    if w.credit < WORK_BETWEEN_CHECKS and (w.callback == NULL or info.iterations == w.iterations):
        return 0
    w.credit = 0
    with gil:
        return ask_python(w, info)


cdef int ask_python(Watch *w, const cbp_fit_info *info) noexcept:
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


cdef int raise_what_was_raised(Watch *w) except -1:
    if w.raised != NULL:
        error = <object> w.raised
        Py_DECREF(error)
        raise error
    return 0


cdef int make_pass(void *user, const cbp_chain *chain, double *node) noexcept nogil:
    with gil:
        return call_pass(<Watch *> user, chain, node)


cdef int call_pass(Watch *w, const cbp_chain *chain, double *node) noexcept:
    """Make a pass in Python, for cbp_fit_over; return whether the fit is to stop."""
    cdef Chain start = <Chain> w.start
    cdef Chain net
    cdef MemoryPass memory
    cdef size_t free
    try:
        names = tuple([name for k, name in enumerate(start.param_names) if chain.frozen[k]])
        values = np.array(<const double[:2 * start.core.layers]> chain.params)
        net = rebuild(Chain, values, start.activations, names)
        free = 2 * net.core.layers - len(names)
        run_pass = <object> w.run_pass
        if type(run_pass) is MemoryPass:
            memory = run_pass
            w.status = memory.run(net, w.loss, w.scale, node)
            return w.status != CBP_OK
        answer = run_pass(net, w.loss, w.scale)
        memcpy(node, memory_of_const(answer, cbp_fit_node_len(free)),
               cbp_fit_node_len(free) * sizeof(double))
        return False
    except BaseException as error:
        Py_INCREF(error)
        w.raised = <PyObject *> error
        return True


def status_text(int status):
    """The core's description of a status."""
    return cbp_status_string(status).decode()


def check_status(int status, y, sample_weight, int loss):
    """Raise the exception of a status; the message names the invalid example, if there is one."""
    check_examples(status, y, sample_weight, loss)


def fit_chain(Chain net not None, run_pass, lower, upper, int method, int loss, double scale,
              size_t max_iterations, double tolerance, double learning_rate, double momentum,
              size_t batch_size, size_t restarts, unsigned long long seed, callback, history):
    """Fit a copy of a chain; called by `fits.one.fit_over`, where the arguments are described.

    `run_pass` is a MemoryPass or, for Levenberg-Marquardt, any function of a chain, a loss' code
    and its scale that returns the node of all examples. `method` is -1 for Levenberg-Marquardt,
    else a descent's code; lower and upper are None or arrays of shape (2L,); `history` is an array
    for the losses. Returns a status, and after success the fitted chain, the outcome, iterations,
    evaluations, loss and gradient norm.
    """
    cdef MemoryPass memory = run_pass if type(run_pass) is MemoryPass else None
    cdef cbp_examples examples
    cdef cbp_fit_options options
    cdef cbp_fit_info info
    cdef Watch w
    cdef size_t *order = NULL
    cdef double *work = NULL
    cdef size_t layers = net.core.layers, free = 2 * layers - len(net.frozen)
    cdef int status
    memset(&w, 0, sizeof(Watch))
    cdef Chain fitted = copy_of(net)
    options = options_with(lower, upper, 2 * layers)
    options.loss = loss_given(loss, scale)
    options.max_iterations = max_iterations
    options.tolerance = tolerance
    options.learning_rate = learning_rate
    options.momentum = momentum
    options.batch_size = batch_size
    options.restarts = restarts
    options.seed = seed
    options.progress = watch
    options.user = &w
    options.history = memory_of(history, len(history))
    options.history_len = len(history)
    w.cost = WORK_BETWEEN_CHECKS
    if memory is not None:
        examples = examples_in(&memory.opened)
        w.cost = 8 * layers * examples.n
    w.params_len = 2 * layers
    if callback is not None:
        w.callback = <PyObject *> callback
    try:
        if method >= 0:
            options.method = method
            work = new_numbers(cbp_fit_descent_work_len(layers, batch_size))
            if batch_size > 0:
                order = <size_t *> new_numbers(examples.n)
            with nogil:
                status = cbp_fit_descent(&net.core, &examples, &options, work, order, fitted.values,
                                         &info)
        elif memory is not None and not memory.needs_threads(layers):
            work = new_numbers(cbp_fit_work_len(layers, free, examples.n))
            with nogil:
                status = cbp_fit_lm(&net.core, &examples, &options, work, fitted.values, &info)
        else:
            w.run_pass, w.start = <PyObject *> run_pass, <PyObject *> net
            w.loss, w.scale = loss, scale
            work = new_numbers(cbp_fit_work_len(layers, free, 0))
            with nogil:
                status = cbp_fit_over(make_pass, &w, &net.core, &options, work, fitted.values,
                                      &info)
            status = status if w.status == CBP_OK else w.status
    finally:
        PyMem_RawFree(order)
        PyMem_RawFree(work)
    raise_what_was_raised(&w)
    if status != CBP_OK:
        return status, None
    return status, (fitted, <int> info.outcome, info.iterations, info.evaluations, info.loss,
                    info.gradient_norm)


def fit_covariance(Chain net not None, node, lower, upper, int loss, hessian):
    """The variance s^2, the covariance, standard errors, and bytes of enum cbp_determined.

    The covariance is that of the free parameters; standard errors and bytes are those of all, with
    a standard error of 0 for frozen ones. `node` is that of all examples; `hessian` is the exact
    Hessian of the averaged loss, or None for Gauss-Newton.
    """
    cdef size_t width = 2 * net.core.layers, free = width - len(net.frozen)
    cdef cbp_fit_options options = options_with(lower, upper, width)
    cdef cbp_covariance covariance
    cdef const double *found = memory_of_const(node, cbp_fit_node_len(free))
    cdef const double *exact = NULL
    if hessian is not None:
        exact = memory_of_const(hessian, width * width)
    cdef double variance
    cdef int status
    answer = empty((free, free))
    determined = bytearray(width)
    options.loss = loss_given(loss, 1.0)
    covariance.variance = &variance
    covariance.matrix = memory_of(answer, free * free)
    covariance.determined = determined
    cdef double *work = new_numbers(cbp_fit_work_len(net.core.layers, free, 0))
    with nogil:
        status = cbp_fit_node_covariance(&net.core, &options, found, exact, work, &covariance)
    PyMem_RawFree(work)
    check(status)
    errors = empty(width)
    cdef double *stderr = memory_of(errors, width)
    cdef size_t k, row = 0
    for k in range(width):
        stderr[k] = 0
        if not net.core.frozen[k]:
            stderr[k] = sqrt(covariance.matrix[row * free + row])
            row += 1
    return variance, answer, errors, bytes(determined)


def node_sums(node):
    """The summed loss of a node, and the number of its examples with a weight above 0."""
    cdef const double *sums = memory_of_const(node, len(node)) + (len(node) - 8)
    return sums[1] + sums[5], sums[2] + sums[6]


cdef cbp_fit_options options_with(lower, upper, size_t width) except *:
    """The defaults, with bounds; each None or an array of this length."""
    cdef cbp_fit_options options
    cbp_fit_defaults(&options)
    if lower is not None:
        options.lower = memory_of_const(lower, width)
    if upper is not None:
        options.upper = memory_of_const(upper, width)
    return options


# ---- passes --------------------------------------------------------------------------------------

LEAF = CBP_LEAF

# Number of leaves that a thread computes at a time.
cdef size_t LEAVES_PER_TASK = 16


# The arguments of cbp_fit_nodes_add, those of all examples.
cdef struct NodesJob:
    const cbp_chain *chain
    cbp_loss loss
    cbp_examples examples
    size_t start, first  # an example that begins a leaf, and that leaf
    cbp_fit_nodes *nodes


cdef int nodes_stretch(const void *given, double *work, size_t start, size_t count) noexcept nogil:
    cdef const NodesJob *job = <const NodesJob *> given
    cdef cbp_examples part = examples_from(&job.examples, start, count)
    return cbp_fit_nodes_add(job.chain, &part, &job.loss,
                             job.first + (start - job.start) // CBP_LEAF, work, job.nodes)


@cython.auto_pickle(False)
cdef class _Nodes:
    """Nodes of consecutive leaves."""

    cdef cbp_fit_nodes nodes
    cdef double *work

    def __cinit__(self, Chain net, size_t leaves):
        cdef size_t free = 2 * net.core.layers - len(net.frozen)
        self.nodes.free = free
        self.nodes.capacity = cbp_fit_nodes_capacity(leaves)
        self.nodes.values = new_numbers(self.nodes.capacity * cbp_fit_node_len(free))
        self.nodes.places = <cbp_fit_place *> PyMem_RawMalloc(
            self.nodes.capacity * sizeof(cbp_fit_place))
        self.work = new_numbers(cbp_fit_work_len(net.core.layers, free, 0))
        if self.nodes.places == NULL:
            raise MemoryError

    def __dealloc__(self):
        PyMem_RawFree(self.nodes.values)
        PyMem_RawFree(self.nodes.places)
        PyMem_RawFree(self.work)

    cdef int add(self, Chain net, const Examples *examples, size_t start, size_t end, size_t first,
                 int loss, double scale, const bint *stopped) except 1:
        """Add examples from leaf `first` on, by stretches or until stopped; return the status."""
        cdef NodesJob job
        cdef size_t leaves = max(stretch_of(4 * net.core.layers) // CBP_LEAF, <size_t> 1)
        job.chain, job.loss, job.examples = &net.core, loss_given(loss, scale), examples_in(examples)
        job.start, job.first, job.nodes = start, first, &self.nodes
        return run_stretches(nodes_stretch, &job, self.work, start, end, leaves * CBP_LEAF, stopped)

    cdef int push(self, const cbp_fit_place *places, const double *values, size_t count) except 1:
        """Add nodes that were computed elsewhere."""
        cdef size_t k, len = cbp_fit_node_len(self.nodes.free)
        for k in range(count):
            check(cbp_fit_nodes_push(&self.nodes, places[k], values + k * len, self.work))
        return 0

    cdef int merge(self, double *node) except 1:
        """Write the node of all."""
        check(cbp_fit_nodes_merge(&self.nodes, self.work, node))
        return 0


@cython.auto_pickle(False)
cdef class MemoryPass:
    """Passes of a fit over examples in memory, on several threads if there are many examples."""

    cdef Examples opened
    cdef readonly tuple examples
    """Inputs, targets and weights, as they were given."""

    def __cinit__(self, x, y, sample_weight):
        open_examples(x, y, sample_weight, &self.opened)
        self.examples = (x, y, sample_weight)

    def __dealloc__(self):
        close_examples(&self.opened)

    @property
    def n(self):
        """How many examples there are."""
        return self.opened.x.count

    def __call__(self, Chain net not None, int loss, double scale):
        """The node of all examples."""
        node = empty(cbp_fit_node_len(2 * net.core.layers - len(net.frozen)))
        _, y, weight = self.examples
        check_examples(self.run(net, loss, scale, memory_of(node, len(node))), y, weight,
                       loss)
        return node

    def hessian(self, Chain net not None, int loss, double scale):
        """The exact second derivatives of the averaged loss."""
        width = 2 * net.core.layers
        return mean_of_sums(hessian_sums(net, *self.examples, loss, scale)).reshape(width, width)

    cdef bint needs_threads(self, size_t layers) noexcept:
        """Whether there are enough examples for several threads."""
        cdef size_t n = self.opened.x.count
        return n > LEAVES_PER_TASK * CBP_LEAF and n * layers > THREADS_FROM

    cdef int run_leaf(self, Chain net, int loss, double scale, double *node) except 1:
        """As run, for examples of a single leaf: its node is that of all."""
        cdef cbp_loss given = loss_given(loss, scale)
        cdef cbp_examples examples = examples_in(&self.opened)
        cdef cbp_fit_place[2] places
        cdef cbp_fit_nodes nodes
        cdef double *work
        cdef int status
        nodes.values, nodes.places, nodes.capacity, nodes.count = node, places, 2, 0
        nodes.free = 2 * net.core.layers - len(net.frozen)
        work = new_numbers(cbp_fit_work_len(net.core.layers, nodes.free, 0))
        with nogil:
            status = cbp_fit_nodes_add(&net.core, &examples, &given, 0, work, &nodes)
        PyMem_RawFree(work)
        return status

    cdef int run(self, Chain net, int loss, double scale, double *node) except 1:
        """Make a pass; return the status."""
        cdef size_t n = self.opened.x.count
        if n <= CBP_LEAF:
            return self.run_leaf(net, loss, scale, node)
        cdef size_t leaves = (n - 1) // CBP_LEAF + 1
        cdef size_t tasks = (leaves - 1) // LEAVES_PER_TASK + 1
        cdef _Nodes all = _Nodes(net, leaves)
        cdef _Nodes part
        cdef _Work work
        cdef int status = CBP_OK
        if not self.needs_threads(net.core.layers):
            status = all.add(net, &self.opened, 0, n, 0, loss, scale, NULL)
        else:
            from .threads import run, usable_cores

            work = _Work()
            work.net, work.examples, work.loss, work.scale = net, &self.opened, loss, scale
            work.statuses, work.parts = [CBP_OK] * tasks, [None] * tasks
            run(work.add, range(tasks), usable_cores(), work.stop)
            for task in range(tasks):
                status = work.statuses[task]
                if status != CBP_OK:
                    break
                part = work.parts[task]
                all.push(part.nodes.places, part.nodes.values, part.nodes.count)
        if status == CBP_OK:
            all.merge(node)
        return status


@cython.auto_pickle(False)
cdef class _Work:
    """The state of a pass on several threads."""

    cdef Chain net
    cdef const Examples *examples
    cdef int loss
    cdef double scale
    cdef list statuses, parts
    cdef bint stopped

    def add(self, size_t task):
        """Compute the nodes of one task, LEAVES_PER_TASK leaves."""
        cdef size_t first = task * LEAVES_PER_TASK, start = first * CBP_LEAF
        cdef size_t end = min(start + LEAVES_PER_TASK * CBP_LEAF, self.examples.x.count)
        cdef _Nodes nodes = _Nodes(self.net, LEAVES_PER_TASK)
        self.statuses[task] = nodes.add(self.net, self.examples, start, end, first, self.loss,
                                         self.scale, &self.stopped)
        self.parts[task] = nodes

    def stop(self):
        """Stop the tasks being computed; their nodes are not used."""
        self.stopped = True


def leaf_nodes(Chain net not None, x, y, sample_weight, int loss, double scale, size_t first):
    """The nodes of examples from leaf `first` on: their places (k, 2), and values (k, ...)."""
    cdef Examples examples
    cdef _Nodes nodes
    cdef size_t count, len
    open_examples(x, y, sample_weight, &examples)
    try:
        nodes = _Nodes(net, max(examples.x.count, <size_t> 1) // CBP_LEAF + 1)
        check_examples(nodes.add(net, &examples, 0, examples.x.count, first, loss, scale, NULL), y,
                       sample_weight, loss)
    finally:
        close_examples(&examples)
    count, len = nodes.nodes.count, cbp_fit_node_len(nodes.nodes.free)
    places, values = empty((count, 2), np.uintp), empty((count, len))
    memcpy(<void *> place_of(places, count), nodes.nodes.places, count * sizeof(cbp_fit_place))
    memcpy(memory_of(values, count * len), nodes.nodes.values, count * len * sizeof(double))
    return places, values


cdef const cbp_fit_place *place_of(places, size_t count) except? NULL:
    return <const cbp_fit_place *> items_of(places, 2 * count, b"LQI", sizeof(size_t), 0)


def merge_nodes(Chain net not None, size_t leaves, parts):
    """The node of all examples, from the results of leaf_nodes for each part, in order."""
    cdef _Nodes nodes = _Nodes(net, leaves)
    node = empty(cbp_fit_node_len(nodes.nodes.free))
    for places, values in parts:  # arrays from another process may not be aligned
        places = np.require(places, np.uintp, ["C", "A"])
        values = real_array(values, "nodes")
        nodes.push(place_of(places, len(places)), memory_of_const(values, len(places) * len(node)),
                   len(places))
    nodes.merge(memory_of(node, len(node)))
    return node


# ---- examples in several places ----


def gradient_sums(Chain net not None, x, y, sample_weight, loss, loss_scale):
    """The sums of some examples for the averaged loss and gradient: (2, 2L + 2).

    The first row has the sums [weight, weight E, weight dE/dparams ...], the second their
    compensations. Without examples all are 0.
    """
    cdef double scale
    cdef int code = loss_code(loss, loss_scale, &scale)
    cdef size_t len = 2 * net.core.layers + 2, needed = 2 * len + cbp_work_len(net.core.layers, 2)
    cdef Examples examples
    answer = np.zeros(needed)
    cdef double *sums = memory_of(answer, needed)
    open_examples(x, y, sample_weight, &examples)
    try:
        if examples.x.count > 0:
            check_examples(net.add_up(&examples, code, scale, examples.x.count + 1, 1, sums, len),
                           y, sample_weight, code)
    finally:
        close_examples(&examples)
    return answer[:2 * len].reshape(2, len).copy()


def hessian_sums(Chain net not None, x, y, sample_weight, int loss, double scale):
    """The sums of some examples for the averaged second derivatives: (2, 1 + (2L)^2).

    Rows as those of `gradient_sums`: [weight, weight d2E/dparams2 ...], row by row.
    """
    cdef size_t layers = net.core.layers, len = 1 + 4 * layers * layers
    cdef size_t needed = 2 * len + 5 * layers + 1
    cdef Examples examples
    answer = np.zeros(needed)
    cdef double *sums = memory_of(answer, needed)
    open_examples(x, y, sample_weight, &examples)
    try:
        if examples.x.count > 0:
            check_examples(net.add_hessian(&examples, loss, scale, sums + 2 * len, sums), y,
                           sample_weight, loss)
    finally:
        close_examples(&examples)
    return answer[:2 * len].reshape(2, len).copy()


def merge_sums(shards):
    """Add up the sums of several places, each (2, len), in the order given."""
    shards = [real_array(shard, "shards") for shard in shards]  # from another process: unaligned
    total = np.zeros_like(shards[0])
    cdef size_t len = total.shape[1]
    cdef double *sums = memory_of(total, 2 * len)
    cdef const double *of_shard
    for shard in shards:
        of_shard = memory_of_const(shard, 2 * len)
        cbp_sums_merge(of_shard, of_shard + len, len, sums, sums + len)
    return total


def mean_of_sums(sums):
    """The averages of merged sums (2, len): each sum after the first, divided by the first."""
    cdef size_t len = sums.shape[1]
    cdef const double *total = memory_of_const(sums, 2 * len)
    mean = empty(len - 1)
    check(cbp_sums_mean(total, total + len, len, memory_of(mean, len - 1)))
    return mean
