# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
# cython: cdivision=True, freethreading_compatible=True, embedsignature=True
"""The C core on NumPy arrays: a `def` validates, calls, translates the status, returns."""

import sys
from collections import namedtuple

import numpy as np

cimport cython

from cpython.buffer cimport (
    PyBUF_C_CONTIGUOUS,
    PyBUF_FORMAT,
    PyBUF_ND,
    PyBUF_STRIDES,
    PyBUF_WRITABLE,
    PyBuffer_Release,
    PyObject_GetBuffer,
)
from cpython.exc cimport PyErr_CheckSignals
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_Check
from cpython.long cimport PyLong_Check
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from cpython.object cimport PyObject, PyObject_GenericSetAttr, PyTypeObject
from cpython.pycapsule cimport (
    PyCapsule_GetContext,
    PyCapsule_GetPointer,
    PyCapsule_New,
    PyCapsule_SetContext,
    PyCapsule_SetDestructor,
)
from cpython.ref cimport Py_DECREF, Py_INCREF

from libc.math cimport INFINITY, NAN, sqrt
from libc.string cimport memcmp, memcpy, memset, strchr

from .c_api cimport *

from .errors import ActivationError, InputTypeError, ParameterError, ShapeError, from_status

__version__ = cbp_version().decode()

cdef object ndarray = np.ndarray
cdef object frombuffer = np.frombuffer
cdef object empty = np.empty


# ---- names and codes -----------------------------------------------------------------------------

cdef cbp_activation_facts facts_of(int code):
    cdef cbp_activation_facts facts
    cbp_activation_describe(code, &facts)
    return facts


ACTIVATIONS = tuple(facts_of(code).name.decode() for code in range(CBP_ACTIVATION_END))

LossFacts = namedtuple("LossFacts", "code target_low target_high dispersion has_scale is_robust "
                                    "needs_sigmoid")


cdef tuple named_loss(int code):
    """The name of a loss, and its properties."""
    cdef cbp_loss_facts facts
    cbp_loss_describe(code, &facts)
    return sys.intern(facts.name.decode()), LossFacts(
        code, facts.target_low, facts.target_high, facts.dispersion, facts.has_scale,
        bool(facts.is_robust), bool(facts.needs_sigmoid))


LOSSES = dict([named_loss(code) for code in range(CBP_LOSS_END)])

cdef dict ACTIVATION_CODES = {name: code for code, name in enumerate(ACTIVATIONS)}


def no_such_name(name, names):
    """The end of a message about an unknown name: a similar one of `names`, or all of them."""
    import difflib

    near = difflib.get_close_matches(str(name).lower(), names, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known are {', '.join(names)}"


def activation_code(name, argument="activation"):
    """The code of an activation; `argument` is its name in messages."""
    code = ACTIVATION_CODES.get(name) if isinstance(name, str) else None
    if code is None:
        raise ActivationError(
            f"{argument}: {name!r} is not an activation; {no_such_name(name, ACTIVATIONS)}"
        )
    return code


cdef str SQUARED = next(iter(LOSSES))


cdef int loss_code(object loss, object loss_scale, double *scale) except -1:
    """The code of a loss, and its scale as a number."""
    if not is_number(loss_scale, scale):
        raise InputTypeError(f"loss_scale: expected a number, got {loss_scale!r}")
    if loss is SQUARED:  # the default, and every literal "squared", since these are interned
        return CBP_SQUARED
    facts = LOSSES.get(loss) if isinstance(loss, str) else None
    if facts is None:
        raise ParameterError(f"loss: {loss!r} is not a loss; {no_such_name(loss, LOSSES)}")
    if facts.has_scale == 1 and not 0 < scale[0] < INFINITY:
        raise ParameterError(f"loss_scale: {loss_scale!r}; expected a positive finite number")
    if facts.has_scale and not -INFINITY < scale[0] < INFINITY:
        raise ParameterError(f"loss_scale: {loss_scale!r}; expected a finite exponent")
    return facts.code


def code_of_loss(loss, loss_scale):
    """The code of a loss, after a check of both arguments."""
    cdef double scale
    return loss_code(loss, loss_scale, &scale)


# ---- arguments -----------------------------------------------------------------------------------

cdef bint is_number(object x, double *value) except -1:
    """Whether x is one number; the usual types are recognised without a call into Python."""
    if PyFloat_Check(x):
        value[0] = PyFloat_AS_DOUBLE(x)
        return True
    if PyLong_Check(x):
        try:
            value[0] = x
        except OverflowError:
            return False
        return True
    if isinstance(x, np.generic) and x.dtype.kind in "biuf":
        value[0] = x
        return True
    return False


cdef tuple names_in(object names, str argument):
    """Names given as one or as several."""
    if isinstance(names, str):
        return (names,)
    try:
        return tuple(names)
    except TypeError:
        raise InputTypeError(f"{argument}: expected names, got {names!r}") from None


def real_array(values, argument):
    """`values` as aligned contiguous float64 of the same shape; copied only if they are not so."""
    # tested only for subclasses, since NumPy imports np.ma at the first use
    is_subclass = isinstance(values, ndarray) and type(values) is not ndarray
    if is_subclass and isinstance(values, np.ma.MaskedArray):
        raise InputTypeError(f"{argument}: a masked array; fill or compress it first")
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ShapeError(f"{argument}: not a regular array of numbers ({error})") from None
    if array.dtype.kind not in "biuf":
        raise InputTypeError(f"{argument}: expected real numbers, got an array of {array.dtype}")
    array = np.ascontiguousarray(array, dtype=np.float64).reshape(array.shape)
    return array if array.flags.aligned else array.copy()


# The buffer of an array argument, as flat contiguous float64; a typed memoryview costs twice this.
cdef struct Numbers:
    Py_buffer view
    const double *at  # null if there is no array
    size_t count


cdef int open_numbers(object values, str argument, Numbers *numbers) except -1:
    """Get the buffer of `values`, or of a converted copy; close_numbers releases it."""
    if type(values) is not ndarray or not open_float64(values, &numbers.view):
        PyObject_GetBuffer(real_array(values, argument), &numbers.view, PyBUF_ND)
    numbers.at = <const double *> numbers.view.buf
    numbers.count = <size_t> numbers.view.len // sizeof(double)
    return 0


cdef bint open_float64(object array, Py_buffer *view) except -1:
    """Whether an array is aligned contiguous float64; if so, get its buffer."""
    try:
        PyObject_GetBuffer(array, view, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT)
    except (ValueError, BufferError):
        return False
    if is_float64(view) and <size_t> view.buf % sizeof(double) == 0:
        return True
    PyBuffer_Release(view)
    return False


cdef bint is_float64(const Py_buffer *view) noexcept:
    return view.format[0] == b"d" and view.format[1] == 0


cdef void close_numbers(Numbers *numbers) noexcept:
    PyBuffer_Release(&numbers.view)


cdef tuple shape_of(const Py_buffer *view):
    if view.ndim == 1:
        return (view.shape[0],)
    return tuple([view.shape[i] for i in range(view.ndim)])


cdef struct Examples:
    Numbers x, y, weight


cdef int open_examples(object x, object y, object sample_weight, Examples *examples) except -1:
    """Get the buffers of inputs and targets of the same shape, and of weights if there are any."""
    memset(examples, 0, sizeof(Examples))
    try:
        open_numbers(x, "x", &examples.x)
        open_numbers(y, "y", &examples.y)
        if not same_shape(&examples.x.view, &examples.y.view):
            raise ShapeError(f"y: shape {shape_of(&examples.y.view)}, "
                             f"expected the shape {shape_of(&examples.x.view)} of x")
        if sample_weight is not None:
            open_numbers(sample_weight, "sample_weight", &examples.weight)
            if examples.weight.count != examples.x.count:
                raise ShapeError(f"sample_weight: {examples.weight.count} weights, "
                                 f"expected one for each of {examples.x.count} examples")
    except:
        close_examples(examples)
        raise
    return 0


cdef bint same_shape(const Py_buffer *a, const Py_buffer *b) noexcept:
    # a scalar's shape is a null pointer, which memcmp does not accept
    return a.ndim == b.ndim and (
        a.ndim == 0 or memcmp(a.shape, b.shape, a.ndim * sizeof(Py_ssize_t)) == 0)


cdef void close_examples(Examples *examples) noexcept:
    close_numbers(&examples.x)
    close_numbers(&examples.y)
    close_numbers(&examples.weight)


cdef cbp_examples examples_in(const Examples *opened) noexcept:
    cdef cbp_examples examples
    examples.x, examples.y, examples.n = opened.x.at, opened.y.at, opened.x.count
    examples.weight = opened.weight.at
    return examples


cdef cbp_examples one_example(const double *x, const double *y) noexcept:
    cdef cbp_examples example
    example.x, example.y, example.weight, example.n = x, y, NULL, 1
    return example


cdef cbp_loss loss_given(int kind, double scale) noexcept:
    cdef cbp_loss loss
    loss.kind, loss.scale = kind, scale
    return loss


cdef const double *after(const double *start, size_t count) noexcept nogil:
    """A pointer advanced by `count` numbers; null stays null."""
    return start + count if start != NULL else NULL


# ---- results of C calls --------------------------------------------------------------------------

cdef int check(int status) except -1:
    if status != CBP_OK:
        raise from_status(status, cbp_status_string(status).decode())
    return 0


cdef int refuse_target(str what, double y, int loss) except -1:
    """Raise ParameterError for a target that this loss does not accept."""
    name, facts = named_loss(loss)
    low, high = facts.target_low, facts.target_high
    needed = f"targets between {low:g} and {high:g}"
    if high == np.finfo(np.float64).max:
        needed = f"finite targets of {low:g} or more"
    if low <= y <= high:
        needed = "targets above 0 with this loss_scale"
    raise ParameterError(f"{what}: {y!r}; the {name} loss needs {needed}")


cdef int check_example(int status, double y, int loss) except -1:
    if status == CBP_ERROR_TARGET:
        refuse_target("y", y, loss)
    return check(status)


cdef int check_examples(int status, object y, object weight, int loss) except -1:
    """As check, but the message names the invalid example."""
    if status == CBP_ERROR_TARGET:
        y = real_array(y, "y").reshape(-1)
        facts = named_loss(loss)[1]
        wrong = (y < facts.target_low) | (y > facts.target_high)
        i = np.flatnonzero(wrong if wrong.any() else y == 0)[0]
        refuse_target(f"y[{i}]", y[i], loss)
    if status == CBP_ERROR_WEIGHT and weight is not None:
        weight = real_array(weight, "sample_weight").reshape(-1)
        wrong = np.flatnonzero(~((weight >= 0) & np.isfinite(weight)))
        if wrong.size:
            raise ParameterError(
                f"sample_weight[{wrong[0]}]: {float(weight[wrong[0]])!r}; "
                "expected a finite weight of 0 or more"
            )
        least = "are 0" if not weight.any() else f"add up to less than {CBP_LEAST_WEIGHT}"
        wrong = "add up to infinity" if weight.max() > 1 else least
        raise ParameterError(f"sample_weight: all weights {wrong}, so that no average exists")
    return check(status)


cdef double *new_numbers(size_t count) except? NULL:
    """Allocate memory for one call, so that calls can run in parallel; NULL for a count of 0."""
    if count == 0:
        return NULL
    cdef double *memory = <double *> PyMem_RawMalloc(count * sizeof(double))
    if memory == NULL:
        raise MemoryError(f"no memory for {count} numbers")
    return memory


cdef double *memory_of(object array, size_t count) except? NULL:
    """The memory of an array, for writing, after a check of its length, which the core trusts."""
    return <double *> items_of(array, count, b"d", sizeof(double), PyBUF_WRITABLE)


cdef const double *memory_of_const(object array, size_t count) except? NULL:
    """As memory_of, for reading."""
    return <const double *> items_of(array, count, b"d", sizeof(double), 0)


cdef void *items_of(object array, size_t count, const char *kinds, size_t size,
                    int flags) except? NULL:
    """The memory of a contiguous array, after a check of its length, item size and format."""
    cdef Py_buffer view
    PyObject_GetBuffer(array, &view, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | flags)
    cdef bint fits = (<size_t> view.itemsize == size and <size_t> view.len == count * size
                      and strchr(kinds, view.format[0]) != NULL and view.format[1] == 0)
    PyBuffer_Release(&view)
    if not fits:
        raise ShapeError(
            f"expected {count} numbers of {size} bytes, got shape {array.shape} of {array.dtype}"
        )
    return view.buf


# If there is more than one shard of examples, sums are computed shard by shard.
cdef size_t SHARD = 32 * CBP_BLOCK

# Several threads are used from so many examples times layers on, about half a millisecond of work;
# less than a tenth of it is not divided further.
cdef size_t THREADS_FROM = 1 << 19
cdef size_t LEAST_SHARE = 1 << 16


# ---- stretches -----------------------------------------------------------------------------------

# Examples are passed to C in stretches of about 10 ms, between which Ctrl-C is looked for. They
# end on block boundaries, so that the sums do not depend on them.
cdef size_t STRETCH = 1 << 22

# Where each example has a row, new memory takes most of the time.
cdef size_t ROWS_STRETCH = 1 << 19


cdef size_t stretch_of(size_t layers):
    return (STRETCH // layers // CBP_BLOCK + 1) * CBP_BLOCK


# Makes the C call for `count` examples or chains from `start` on; the status. No two threads have
# the same memory to work in.
ctypedef int (*stretch_call)(const void *job, double *work, size_t start,
                             size_t count) noexcept nogil


cdef int run_stretches(stretch_call call, const void *job, double *work, size_t start, size_t end,
                       size_t most, const bint *stopped) except 1:
    """Makes the call for stretches of at most `most` until stopped, if ever; the status."""
    cdef size_t count
    cdef int status
    while True:
        count = min(most, end - start)
        with nogil:
            status = call(job, work, start, count)
        start += count
        if status != CBP_OK or start >= end or (stopped != NULL and stopped[0]):
            return status
        PyErr_CheckSignals()


# A C call for `end` examples or chains, which several threads may share.
cdef struct SharedCall:
    stretch_call call
    const void *job
    size_t work_len  # of each thread
    size_t end, most
    size_t unit      # shares begin at multiples of it
    size_t cost      # of one example or chain, in examples times layers


cdef int run_shared(const SharedCall *shared, double *work, object threads) except 1:
    """Makes a call, on so many threads, or if None on as many as are worth it; the status.

    `work` is that of this thread. What is computed does not depend on the number of threads.
    """
    cdef size_t units = 0 if shared.end == 0 else (shared.end - 1) // shared.unit + 1
    cdef _Share share
    if units > 1 and (threads is not None or shared.end * shared.cost > THREADS_FROM):
        from .threads import run, shares, thread_count

        count = thread_count(threads)
        if count > 1:
            share = _Share()
            share.shared, share.failed = shared[0], []
            least = LEAST_SHARE // (shared.cost * shared.unit) + 1
            run(share.make, shares(units, count, least), count, share.stop)
            return min(share.failed)[1] if share.failed else CBP_OK
    return run_stretches(shared.call, shared.job, work, 0, shared.end, shared.most, NULL)


cdef int check_threads(object threads) except -1:
    """Refuse an invalid number of threads, also where it makes no difference."""
    if threads is not None:
        from .threads import thread_count

        thread_count(threads)
    return 0


@cython.auto_pickle(False)
@cython.internal
cdef class _Share:
    """What threads that share a call have in common."""

    cdef SharedCall shared
    cdef list failed  # where, and the status
    cdef bint stopped

    def make(self, units):
        """Make the call for some of its units."""
        cdef size_t start = units.start * self.shared.unit
        cdef size_t end = min(<size_t> units.stop * self.shared.unit, self.shared.end)
        cdef double *work = new_numbers(self.shared.work_len)
        cdef int status
        try:
            status = run_stretches(self.shared.call, self.shared.job, work, start, end,
                                   self.shared.most, &self.stopped)
        finally:
            PyMem_RawFree(work)
        if status != CBP_OK:
            self.failed.append((start, status))

    def stop(self):
        """Stop all threads; what they compute is not used."""
        self.stopped = True


ctypedef int (*mapping)(const cbp_chain *, const double *, size_t, double *) noexcept nogil


# The arguments of C calls for one chain, those of all examples.
cdef struct ChainJob:
    const cbp_chain *chain
    cbp_examples examples
    cbp_loss loss
    mapping map
    double *out   # a number or row for each example, or for each shard sums and compensations
    size_t shard  # so many examples
    size_t rows   # how many sums: of the loss 2


cdef cbp_examples examples_from(const cbp_examples *all, size_t start, size_t count) noexcept nogil:
    cdef cbp_examples part
    part.x, part.y, part.weight = all.x + start, after(all.y, start), after(all.weight, start)
    part.n = count
    return part


cdef int map_stretch(const void *given, double *work, size_t start, size_t count) noexcept nogil:
    cdef const ChainJob *job = <const ChainJob *> given
    return job.map(job.chain, job.examples.x + start, count, job.out + start)


cdef int jacobian_stretch(const void *given, double *work, size_t start,
                          size_t count) noexcept nogil:
    cdef const ChainJob *job = <const ChainJob *> given
    return cbp_jacobian(job.chain, job.examples.x + start, count, work,
                        job.out + 2 * job.chain.layers * start)


cdef int gradients_stretch(const void *given, double *work, size_t start,
                           size_t count) noexcept nogil:
    cdef const ChainJob *job = <const ChainJob *> given
    cdef cbp_examples part = examples_from(&job.examples, start, count)
    return cbp_gradients(job.chain, &part, &job.loss, work, job.out + 2 * job.chain.layers * start)


cdef int sums_stretch(const void *given, double *work, size_t start, size_t count) noexcept nogil:
    """Adds to the sums of several shards, or of a part of one."""
    cdef const ChainJob *job = <const ChainJob *> given
    cdef size_t end = start + count, next
    cdef double *sums
    cdef cbp_examples part
    cdef int status
    while True:  # also without examples, so that the core says so
        next = min(end, (start // job.shard + 1) * job.shard)
        part = examples_from(&job.examples, start, next - start)
        sums = job.out + 2 * job.rows * (start // job.shard)
        if job.rows > 2:
            status = cbp_gradient_sums(job.chain, &part, &job.loss, work, sums, sums + job.rows)
        else:
            status = cbp_loss_sums(job.chain, &part, &job.loss, sums, sums + job.rows)
        start = next
        if status != CBP_OK or start >= end:
            return status


cdef size_t shard_count(size_t n, size_t shard) noexcept nogil:
    return 1 if n == 0 else (n - 1) // shard + 1


cdef void merge_shards(size_t shards, size_t rows, double *sums) noexcept nogil:
    """Adds the sums of all shards but the first to its own, in their order."""
    cdef size_t i
    for i in range(1, shards):
        cbp_sums_merge(sums + 2 * rows * i, sums + (2 * i + 1) * rows, rows, sums, sums + rows)


cdef int hessian_sums_stretch(const void *given, double *work, size_t start,
                              size_t count) noexcept nogil:
    cdef const ChainJob *job = <const ChainJob *> given
    cdef cbp_examples part = examples_from(&job.examples, start, count)
    return cbp_hessian_sums(job.chain, &part, &job.loss, work, job.out, job.out + job.rows)


# ---- activations and kernels ---------------------------------------------------------------------

def activation_values(activation, z):
    """Value, slope and second derivative of one activation at every z.

    Parameters
    ----------
    activation : str
        Its name.
    z : array_like
        Where to evaluate, of any shape.

    Returns
    -------
    tuple of ndarray
        Three float64 arrays of z's shape.

    Raises
    ------
    ActivationError
        If there is no activation of that name.
    """
    cdef int code = activation_code(activation)
    cdef Numbers points
    open_numbers(z, "z", &points)
    cdef size_t n = points.count
    cdef double *out
    try:
        answer = empty((3, *shape_of(&points.view)))
        out = memory_of(answer, 3 * n)
        with nogil:
            cbp_activation_values(code, points.at, n, out, out + n, out + 2 * n)
    finally:
        close_numbers(&points)
    return tuple(answer)


def kernel():
    """Name of the kernels in use: "generic", "avx2" or "avx512"."""
    return cbp_kernel().decode()


def choose_kernel(name=None):
    """Use the kernels of this name, for tests; None selects the best ones.

    Raises
    ------
    CBackpropError
        If this processor or build does not have them.
    """
    cdef bytes text
    if name is None:
        check(cbp_kernel_choose(NULL))
    else:
        text = name.encode()
        check(cbp_kernel_choose(text))


# ---- calling a chain -----------------------------------------------------------------------------

# `net(x)` must be fast in a loop, and the slot tp_call would create a tuple of arguments each time.
# The vectorcall protocol (PEP 590) does not; it is enabled for the type below.
ctypedef PyObject *(*vectorcall)(PyObject *, PyObject *const *, size_t, PyObject *) except NULL

cdef extern from *:
    """
    #ifdef Py_LIMITED_API
    #define PyFloat_AS_DOUBLE PyFloat_AsDouble
    #define cbp_call_by_vector(type, offset) ((void)(type), (void)(offset))
    #else
    static void cbp_call_by_vector(PyTypeObject *type, Py_ssize_t offset)
    {
        type->tp_vectorcall_offset = offset;
        type->tp_flags |= Py_TPFLAGS_HAVE_VECTORCALL;
        PyType_Modified(type);
    }
    #endif
    """
    void cbp_call_by_vector(PyTypeObject *type, Py_ssize_t offset)
    size_t PyVectorcall_NARGS(size_t)
    PyObject *PyFloat_FromDouble(double) except NULL


cdef PyObject *call_chain(PyObject *self, PyObject *const *args, size_t count,
                          PyObject *names) except NULL:
    cdef double number, result
    count = PyVectorcall_NARGS(count)
    # from CPython 3.12 on this is also called for subclasses, which may override `forward`
    if (count == 1 and names == NULL and type(<object> self) is Chain
            and PyFloat_Check(<object> args[0])):
        number = PyFloat_AS_DOUBLE(<object> args[0])
        cbp_forward(&(<Chain> self).core, &number, 1, &result)
        return PyFloat_FromDouble(result)
    return call_generally(<object> self, args, count, names)


cdef PyObject *call_generally(object chain, PyObject *const *args, size_t count,
                              PyObject *names) except NULL:
    keys = () if names == NULL else <tuple> names
    named = {key: <object> args[count + i] for i, key in enumerate(keys)}
    answer = chain.forward(*[<object> args[i] for i in range(count)], **named)
    Py_INCREF(answer)
    return <PyObject *> answer


# ---- the chain -----------------------------------------------------------------------------------

# Passed in place of weights: the next argument is a chain to copy, which needs no checks.
cdef object COPY_OF = object()


cdef Chain copy_of(Chain chain):
    """A copy of the same class, without a call of its constructor, whose arguments are unknown."""
    cdef Chain copied = Chain.__new__(type(chain), COPY_OF, chain)
    if type(chain) is not Chain:
        state = object.__getstate__(chain)  # None, a dict, or that and the slots
        for attributes in state if type(state) is tuple else (state,):
            for name, value in (attributes or {}).items():
                PyObject_GenericSetAttr(copied, name, value)
    return copied


cdef tuple names_of(size_t layers):
    return tuple(f"{kind}{l + 1}" for l in range(layers) for kind in "wb")


cdef object frozen_of(Chain chain):
    return frombuffer(chain.frozen_bytes, dtype=np.bool_)


cdef class Chain:
    """A chain of layers, one unit each: z = w a + b, a = act(z).

    Parameters
    ----------
    weights, biases : array_like
        w and b of every layer, first to last; shape (L,) each, finite.
    activations : str or sequence of str, default "sigmoid"
        One name for all layers, or one for each.
    frozen : sequence of str, default ()
        Names of parameters that `step` and fits do not change, such as ("w1", "b1").

    Raises
    ------
    ShapeError
        If there is no layer, or lengths differ.
    ParameterError
        If a parameter is not finite, or a name in `frozen` is unknown.
    ActivationError
        If an activation is unknown; the message has the most similar name.
    InputTypeError
        If weights or biases are not real numbers.

    Examples
    --------
    >>> import cbackprop as cbp
    >>> net = cbp.Chain([1.5, -0.8], [0.1, 0.3])
    >>> round(net(0.5), 6)
    0.435252
    """

    cdef vectorcall call
    cdef cbp_chain core
    cdef double *values  # the parameters of `core`, for writing
    cdef object memory
    cdef readonly tuple activations
    """Names of the activations, first layer to last."""
    cdef readonly tuple frozen
    """Names of the frozen parameters, in the order of params."""
    cdef bytes code_bytes
    cdef bytes frozen_bytes

    def __cinit__(self, weights, biases, activations="sigmoid", frozen=()):
        self.call = call_chain
        if weights is COPY_OF:
            self.take_after(<Chain?> biases)
            return
        weights = real_array(weights, "weights")
        biases = real_array(biases, "biases")
        for name, array in (("weights", weights), ("biases", biases)):
            if array.ndim != 1:
                raise ShapeError(
                    f"{name}: expected one number for each layer, got an array of shape {array.shape}"
                )
            wrong = np.flatnonzero(~np.isfinite(array))
            if wrong.size:
                raise ParameterError(
                    f"{name}[{wrong[0]}]: {float(array[wrong[0]])!r}; parameters must be finite"
                )
        if weights.shape[0] == 0:
            raise ShapeError("weights: empty; expected at least one layer")
        if weights.shape != biases.shape:
            raise ShapeError(
                f"biases: {biases.shape[0]} for {weights.shape[0]} weights; expected as many"
            )
        self.core.layers = weights.shape[0]
        if isinstance(activations, str):
            self.code_bytes = bytes([activation_code(activations, "activations")]) * self.core.layers
        else:
            activations = names_in(activations, "activations")
            if <size_t> len(activations) != self.core.layers:
                raise ShapeError(
                    f"activations: {len(activations)} names for {self.core.layers} layers"
                )
            self.code_bytes = bytes(
                activation_code(name, f"activations[{i}]") for i, name in enumerate(activations)
            )
        self.core.activations = self.code_bytes
        self.activations = tuple(ACTIVATIONS[code] for code in self.code_bytes)

        flags = bytearray(2 * self.core.layers)
        for name in names_in(frozen, "frozen"):
            flags[self.position(name)] = 1
        self.frozen_bytes = bytes(flags)
        self.core.frozen = self.frozen_bytes
        self.frozen = tuple(name for name, flag in zip(names_of(self.core.layers), flags) if flag)

        self.make_params()
        self.memory[0::2] = weights
        self.memory[1::2] = biases

    cdef int make_params(self) except -1:
        # A bytearray cannot be resized while views of it exist; an ndarray could be.
        self.memory = frombuffer(bytearray(16 * self.core.layers))
        self.values = memory_of(self.memory, 2 * self.core.layers)
        self.core.params = self.values
        return 0

    cdef int take_after(self, Chain other) except -1:
        """Become a copy of another chain, without checks."""
        self.core.layers = other.core.layers
        self.activations = other.activations
        self.frozen = other.frozen
        self.code_bytes = other.code_bytes
        self.frozen_bytes = other.frozen_bytes
        self.core.activations = self.code_bytes
        self.core.frozen = self.frozen_bytes
        self.make_params()
        memcpy(self.values, other.values, 2 * self.core.layers * sizeof(double))
        return 0

    cdef size_t position(self, object name) except? 0:
        """The index in params of the parameter of that name."""
        number = name[1:] if isinstance(name, str) and name[:1] in ("w", "b") else ""
        if number.isdecimal() and number.isascii() and number[0] != "0":
            if len(number) < 20 and int(number) <= self.core.layers:
                return 2 * int(number) - (2 if name[0] == "w" else 1)
        raise ParameterError(
            f"frozen: {name!r} is not a parameter; this chain has w1 to w{self.core.layers} "
            f"and b1 to b{self.core.layers}"
        )

    @staticmethod
    def random(layers, activations="sigmoid", *, rng=None):
        """A chain with weights and biases drawn from the standard normal distribution.

        Parameters
        ----------
        layers : int
            Number of layers, at least 1.
        activations : str or sequence of str, default "sigmoid"
            As for `Chain`.
        rng : None, int or numpy.random.Generator, default None
            Passed to `numpy.random.default_rng`.

        Returns
        -------
        Chain

        Raises
        ------
        ParameterError
            If `layers` is not a positive integer.
        """
        if isinstance(layers, bool) or not isinstance(layers, (int, np.integer)) or layers < 1:
            raise ParameterError(f"layers: {layers!r}; expected a positive integer")
        weights, biases = np.random.default_rng(rng).standard_normal((2, layers))
        return Chain(weights, biases, activations)

    # A new view at each access, so that changing its shape or type in place has no other effect.

    @property
    def params(self):
        """The chain's own memory, [w1, b1, w2, b2, ...]: a writable float64 array of shape (2L,)."""
        return self.memory.view()

    @property
    def weights(self):
        """Writable view of params: w1 to wL, shape (L,)."""
        return self.memory[0::2]

    @property
    def biases(self):
        """Writable view of params: b1 to bL, shape (L,)."""
        return self.memory[1::2]

    @property
    def layers(self):
        """Number of layers L."""
        return self.core.layers

    @property
    def param_names(self):
        """Names of the parameters in the order of params: ("w1", "b1", "w2", ...)."""
        return names_of(self.core.layers)

    @property
    def free(self):
        """Which parameters are not frozen: a new bool array of shape (2L,)."""
        return ~frozen_of(self)

    # ---- one value for each example ----

    cdef void prepare(self, ChainJob *job, const double *x, const double *y, const double *weight,
                      int loss, double scale) noexcept:
        """Fill in what C calls need of the chain and of these examples."""
        memset(job, 0, sizeof(ChainJob))  # field by field: copies of a struct just written are slow
        job.chain = &self.core
        job.examples.x, job.examples.y, job.examples.weight = x, y, weight
        job.loss.kind, job.loss.scale = loss, scale

    cdef int run(self, stretch_call call, const ChainJob *job, double *work, size_t work_len,
                 size_t n, size_t most, object threads) except 1:
        """Make a call for n examples, at most `most` at a time; return the status."""
        cdef SharedCall shared
        shared.call, shared.job, shared.work_len, shared.end = call, job, work_len, n
        shared.most, shared.cost = most, self.core.layers
        shared.unit = job.shard if job.rows > 0 else CBP_BLOCK
        return run_shared(&shared, work, threads)

    cdef object map(self, mapping function, object values, str argument, object threads):
        """Apply a function of the core: a number gives a float, an array one of the same shape."""
        cdef double number, result
        cdef Numbers x
        cdef ChainJob job
        check_threads(threads)
        if is_number(values, &number):
            check(function(&self.core, &number, 1, &result))
            return result
        open_numbers(values, argument, &x)
        try:
            answer = empty(shape_of(&x.view))
            self.prepare(&job, x.at, NULL, NULL, CBP_SQUARED, 1.0)
            job.map, job.out = function, memory_of(answer, x.count)
            check(self.run(map_stretch, &job, NULL, 0, x.count, stretch_of(self.core.layers),
                           threads))
        finally:
            close_numbers(&x)
        return answer

    def __call__(self, x, *, threads=None):
        """The output a_L for every input: a float if x is a number, else an array of x's shape."""
        return self.forward(x) if threads is None else self.forward(x, threads=threads)

    def forward(self, x, *, threads=None):
        """The output a_L for every input.

        Parameters
        ----------
        x : array_like
            Inputs, of any shape.
        threads : int, optional
            Number of threads, which changes no bit of the result; by default the number of cores
            that this process may use, and 1 for small arrays.

        Returns
        -------
        float or ndarray
            A float if x is a number, else float64 of x's shape. NaN where x is NaN.

        Raises
        ------
        InputTypeError
            If x is not real.
        ParameterError
            If threads is not an integer of 1 or more.
        """
        return self.map(cbp_forward, x, "x", threads)

    def slope(self, x, *, threads=None):
        """The derivative of the output by the input, da_L/da_0, at every x.

        Parameters
        ----------
        x : array_like
            Inputs, of any shape.
        threads : int, optional
            As for `forward`.

        Returns
        -------
        float or ndarray
            A float for a number, else float64 of x's shape.

        Raises
        ------
        InputTypeError, ParameterError
            As for `forward`.
        """
        return self.map(cbp_slope, x, "x", threads)

    def inverse(self, y, *, threads=None):
        """The input that gives the output y, found analytically, layer by layer from the last.

        Parameters
        ----------
        y : array_like
            Outputs, of any shape.
        threads : int, optional
            As for `forward`.

        Returns
        -------
        float or ndarray
            A float if y is a number, else float64 of y's shape; NaN where no input gives y.

        Raises
        ------
        ParameterError
            If a layer cannot be inverted; the message has its number and the reason. If threads is
            not an integer of 1 or more.
        InputTypeError
            If y is not real.
        """
        for l, (name, w) in enumerate(zip(self.activations, self.memory[0::2])):
            if w == 0 or not facts_of(self.core.activations[l]).one_to_one:
                reason = f"w{l + 1} is 0" if w == 0 else f"{name} is not one-to-one"
                raise ParameterError(f"layer {l + 1} cannot be inverted: {reason}")
        return self.map(cbp_inverse, y, "y", threads)

    # ---- one row for each example ----

    cdef object make_rows(self, const Numbers *x, const Numbers *y, int loss, double scale,
                          object threads):
        """(n, 2L) gradients of the loss, or of the output where y is null."""
        cdef size_t n = x.count, width = 2 * self.core.layers
        cdef size_t work_len = cbp_work_len(self.core.layers, n)
        cdef int status
        cdef double *work
        cdef ChainJob job
        check_threads(threads)
        self.prepare(&job, x.at, NULL if y == NULL else y.at, NULL, loss, scale)
        answer = empty((n, width))
        job.out = memory_of(answer, n * width)
        work = new_numbers(work_len)
        try:
            status = self.run(jacobian_stretch if y == NULL else gradients_stretch, &job, work,
                              work_len, n, ROWS_STRETCH // self.core.layers + 1, threads)
        finally:
            PyMem_RawFree(work)
        if status == CBP_ERROR_TARGET:
            check_examples(status, <const double[:n]> y.at, None, loss)
        check(status)
        return answer

    def gradients(self, x, y, *, loss="squared", loss_scale=1.0, threads=None):
        """The gradient of every example's loss.

        Parameters
        ----------
        x, y : array_like
            Inputs and targets of one shape, n numbers each.
        loss : str, default "squared"
            The loss of one example: "squared", "log", "huber", "soft_l1", "cauchy"
            or "poisson".
        loss_scale : float, default 1.0
            Residual at which a robust loss begins to grow more slowly; other losses ignore it.
        threads : int, optional
            As for `forward`.

        Returns
        -------
        ndarray
            Shape (n, 2L), in the order of params.

        Raises
        ------
        ShapeError
            If x and y differ in shape.
        ParameterError
            If the loss is unknown, its scale not positive, a target outside its range, or threads
            not an integer of 1 or more.
        ActivationError
            If the loss is "log" and the last activation not a sigmoid.
        """
        cdef double scale
        cdef int code = loss_code(loss, loss_scale, &scale)
        cdef Examples examples
        open_examples(x, y, None, &examples)
        try:
            return self.make_rows(&examples.x, &examples.y, code, scale, threads)
        finally:
            close_examples(&examples)

    def jacobian(self, x, *, threads=None):
        """The derivatives of the output by the parameters at every input.

        Parameters
        ----------
        x : array_like
            n inputs.
        threads : int, optional
            As for `forward`.

        Returns
        -------
        ndarray
            Shape (n, 2L): d a_L / d params, in the order of params.

        Raises
        ------
        InputTypeError, ParameterError
            As for `forward`.
        """
        cdef Numbers inputs
        open_numbers(x, "x", &inputs)
        try:
            return self.make_rows(&inputs, NULL, 0, 1.0, threads)
        finally:
            close_numbers(&inputs)

    # ---- averages over the examples ----

    cdef double means(self, object x, object y, int loss, double scale, object sample_weight,
                      object threads, double *gradient) except? -1:
        """The loss averaged over arrays of examples; writes its gradient unless that is null."""
        cdef size_t rows = 2 if gradient == NULL else 2 * self.core.layers + 2, shards
        cdef double value
        cdef double *sums
        cdef int status
        cdef Examples examples
        open_examples(x, y, sample_weight, &examples)
        try:
            shards = shard_count(examples.x.count, SHARD)
            sums = new_numbers(2 * rows * shards + cbp_work_len(self.core.layers, 2))
            try:
                memset(sums, 0, 2 * rows * shards * sizeof(double))
                status = self.add_up(&examples, loss, scale, SHARD, threads, sums, rows)
                if status == CBP_OK:
                    merge_shards(shards, rows, sums)
                    status = cbp_sums_mean(sums, sums + rows, rows, sums)
                check_examples(status, y, sample_weight, loss)
                if gradient != NULL:
                    memcpy(gradient, sums + 1, 2 * self.core.layers * sizeof(double))
                value = sums[0]
            finally:
                PyMem_RawFree(sums)
        finally:
            close_examples(&examples)
        return value

    cdef int add_up(self, const Examples *examples, int loss, double scale, size_t shard,
                    object threads, double *sums, size_t rows) except 1:
        """Add the sums of each `shard` examples; return the status.

        `sums` has for each shard the sums, followed by their compensations, and then memory to
        work in.
        """
        cdef size_t n = examples.x.count
        cdef ChainJob job
        self.prepare(&job, examples.x.at, examples.y.at, examples.weight.at, loss, scale)
        job.out, job.shard, job.rows = sums, shard, rows
        return self.run(sums_stretch, &job, sums + 2 * rows * shard_count(n, shard),
                        cbp_work_len(self.core.layers, 2), n, stretch_of(self.core.layers), threads)

    cdef int add_hessian(self, const Examples *examples, int loss, double scale, double *work,
                         double *sums) except 1:
        """As add_up, the sums of second derivatives of all examples."""
        cdef size_t layers = self.core.layers
        cdef ChainJob job
        self.prepare(&job, examples.x.at, examples.y.at, examples.weight.at, loss, scale)
        job.out, job.rows = sums, 1 + 4 * layers * layers
        return run_stretches(hessian_sums_stretch, &job, work, 0, examples.x.count,
                             max(1, STRETCH // 32 // (layers * layers)), NULL)

    def loss(self, x, y, *, loss="squared", loss_scale=1.0, sample_weight=None, threads=None):
        """The loss, averaged over the examples.

        Parameters
        ----------
        x, y : array_like
            Inputs and targets of one shape, at least one of each.
        loss : str, default "squared"
            The loss of one example: "squared", "log", "huber", "soft_l1", "cauchy"
            or "poisson".
        loss_scale : float, default 1.0
            Residual at which a robust loss begins to grow more slowly; other losses ignore it.
        sample_weight : array_like, optional
            A weight of 0 or more for every example; the mean is sum(weight * loss) / sum(weight).
        threads : int, optional
            As for `forward`.

        Returns
        -------
        float

        Raises
        ------
        ShapeError
            If shapes differ or there is no example.
        ParameterError
            If the loss is unknown, its scale not positive, a weight negative or not finite, all
            weights 0, a target outside the range of the loss, or threads not an integer of 1 or
            more.
        ActivationError
            If the loss is "log" and the last activation not a sigmoid.
        """
        cdef double a, b, value, scale
        cdef int code = loss_code(loss, loss_scale, &scale)
        cdef cbp_examples example
        cdef cbp_loss given
        check_threads(threads)
        if sample_weight is None and is_number(x, &a) and is_number(y, &b):
            example, given = one_example(&a, &b), loss_given(code, scale)
            check_example(cbp_loss_mean(&self.core, &example, &given, &value), b, code)
            return value
        return self.means(x, y, code, scale, sample_weight, threads, NULL)

    cdef double gradient_of_numbers(self, double x, double y, int loss, double scale,
                                    double *gradient) except? -1:
        """The loss of one example; writes its gradient to `gradient`."""
        cdef double value
        cdef double *work = new_numbers(cbp_work_len(self.core.layers, 1))
        cdef cbp_examples example = one_example(&x, &y)
        cdef cbp_loss given = loss_given(loss, scale)
        cdef int status = cbp_gradient(&self.core, &example, &given, work, &value, gradient)
        PyMem_RawFree(work)
        check_example(status, y, loss)
        return value

    def gradient(self, x, y, *, loss="squared", loss_scale=1.0, sample_weight=None, out=None,
                 threads=None):
        """The gradient of the averaged loss.

        Parameters
        ----------
        x, y, loss, loss_scale, sample_weight, threads
            As for `loss`.
        out : ndarray, optional
            Array for the result: contiguous writable float64 of shape (2L,). It may be
            `params`.

        Returns
        -------
        ndarray
            Shape (2L,), in the order of params; `out` if that was given.

        Raises
        ------
        ShapeError, ParameterError, ActivationError
            As for `loss`; then `out` has not been written.
        """
        cdef double scale
        cdef int code = loss_code(loss, loss_scale, &scale)
        if out is None:
            out = empty(2 * self.core.layers)
        self.gradient_into(out, x, y, code, scale, sample_weight, threads)
        return out

    cdef double gradient_into(self, object out, object x, object y, int loss, double scale,
                              object sample_weight, object threads) except? -1:
        """The averaged loss; writes its gradient to `out`."""
        cdef double a, b
        cdef Py_buffer target
        check_threads(threads)
        self.open_output(out, &target)
        try:
            if sample_weight is None and is_number(x, &a) and is_number(y, &b):
                return self.gradient_of_numbers(a, b, loss, scale, <double *> target.buf)
            return self.means(x, y, loss, scale, sample_weight, threads,
                              <double *> target.buf)
        finally:
            PyBuffer_Release(&target)

    cdef int open_output(self, object out, Py_buffer *target) except -1:
        """Get the buffer of an `out` argument; a typed memoryview costs twice this."""
        try:
            PyObject_GetBuffer(out, target, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | PyBUF_WRITABLE)
        except (ValueError, TypeError, BufferError) as error:
            raise InputTypeError(
                f"out: expected contiguous writable float64 of shape ({2 * self.core.layers},); {error}"
            ) from None
        if (target.ndim == 1 and <size_t> target.shape[0] == 2 * self.core.layers
                and is_float64(target)):
            return 0
        shape = shape_of(target)
        text = target.format.decode()
        PyBuffer_Release(target)
        raise ShapeError(
            f"out: expected float64 of shape ({2 * self.core.layers},), got shape {shape}, format {text!r}"
        )

    def loss_and_gradient(self, x, y, *, loss="squared", loss_scale=1.0, sample_weight=None,
                          out=None, threads=None):
        """The averaged loss and its gradient, in the time of `gradient`.

        Parameters
        ----------
        x, y, loss, loss_scale, sample_weight, out, threads
            As for `gradient`.

        Returns
        -------
        tuple of float and ndarray
            The loss, and the gradient of shape (2L,).

        Raises
        ------
        ShapeError, ParameterError, ActivationError
            As for `loss`.
        """
        cdef double scale
        cdef int code = loss_code(loss, loss_scale, &scale)
        if out is None:
            out = empty(2 * self.core.layers)
        return self.gradient_into(out, x, y, code, scale, sample_weight, threads), out

    def hessian(self, x, y, *, loss="squared", loss_scale=1.0, sample_weight=None):
        """The exact second derivatives of the averaged loss.

        Parameters
        ----------
        x, y, loss, loss_scale, sample_weight
            As for `loss`.

        Returns
        -------
        ndarray
            Shape (2L, 2L), symmetric.

        Raises
        ------
        ShapeError, ParameterError, ActivationError
            As for `loss`.
        """
        cdef double scale
        cdef int code = loss_code(loss, loss_scale, &scale)
        cdef size_t width = 2 * self.core.layers, len = 1 + width * width
        cdef int status
        cdef double *sums
        cdef Examples examples
        answer = empty((width, width))
        cdef double *out = memory_of(answer, width * width)
        open_examples(x, y, sample_weight, &examples)
        try:
            sums = new_numbers(2 * len + 5 * self.core.layers + 1)
            try:
                memset(sums, 0, 2 * len * sizeof(double))
                status = self.add_hessian(&examples, code, scale, sums + 2 * len, sums)
                if status == CBP_OK:
                    status = cbp_sums_mean(sums, sums + len, len, out)
                check_examples(status, y, sample_weight, code)
            finally:
                PyMem_RawFree(sums)
        finally:
            close_examples(&examples)
        return answer

    def sharpness(self, x, y, *, loss="squared", loss_scale=1.0, sample_weight=None):
        """The largest eigenvalue of the Hessian of the averaged loss by the free parameters.

        Gradient descent with a learning rate above 2 / sharpness moves away from a minimum.

        Parameters
        ----------
        x, y, loss, loss_scale, sample_weight
            As for `loss`.

        Returns
        -------
        float

        Raises
        ------
        ShapeError, ParameterError, ActivationError
            As for `loss`; also if every parameter is frozen.
        """
        cdef double sharpness
        cdef int status
        cdef size_t area = 4 * self.core.layers * self.core.layers
        hessian = self.hessian(x, y, loss=loss, loss_scale=loss_scale, sample_weight=sample_weight)
        work = empty(area)
        cdef const double *given = memory_of_const(hessian, area)
        cdef double *own = memory_of(work, area)
        with nogil:
            status = cbp_sharpness(&self.core, given, own, &sharpness)
        check(status)
        return sharpness

    def residuals(self, x, y):
        """Output minus target of every example; the rows of `jacobian` are the derivatives.

        Parameters
        ----------
        x, y : array_like
            Inputs and targets of one shape.

        Returns
        -------
        ndarray
            Shape (n,), flat, in the order of the rows of `jacobian`.

        Raises
        ------
        ShapeError
            If x and y differ in shape.
        InputTypeError
            If x or y is not real.
        """
        x, y = real_array(x, "x"), real_array(y, "y")
        if x.shape != y.shape:
            raise ShapeError(f"y: shape {y.shape}, expected the shape {x.shape} of x")
        return self.map(cbp_forward, x.reshape(-1), "x", None) - y.reshape(-1)

    def objective(self, x, y, *, loss="squared", loss_scale=1.0, sample_weight=None):
        """The averaged loss as a function of the free parameters, for optimisers.

        Parameters
        ----------
        x, y, loss, loss_scale, sample_weight
            As for `loss`.

        Returns
        -------
        Objective
            Called with the free parameters it returns the loss and its gradient, as
            ``scipy.optimize.minimize(objective, objective.start, jac=True)`` expects.

        Raises
        ------
        ShapeError, ParameterError, ActivationError
            As for `loss`.
        """
        from .fits.one import Objective

        return Objective(self, x, y, loss=loss, loss_scale=loss_scale, sample_weight=sample_weight)

    # ---- one step, one trace ----

    def step(self, x, y, learning_rate):
        """Make one step of gradient descent on the squared loss, in place.

        The step is params -= learning_rate * gradient; frozen parameters are not changed.

        Parameters
        ----------
        x, y : array_like
            Inputs and targets of one shape: a single example, or a batch whose gradient is
            averaged.
        learning_rate : float
            Finite.

        Returns
        -------
        float
            The loss before the step.

        Raises
        ------
        ShapeError
            If x and y differ in shape or are empty.
        ParameterError
            If the learning rate is not finite, or if a parameter would not be finite after the
            step; then nothing has changed.
        """
        cdef double a, b, value, rate
        cdef double *work
        cdef cbp_examples example
        cdef int status
        if not is_number(learning_rate, &rate):
            raise InputTypeError(f"learning_rate: expected a number, got {learning_rate!r}")
        if is_number(x, &a) and is_number(y, &b):
            example = one_example(&a, &b)
            work = new_numbers(cbp_work_len(self.core.layers, 1))
            with cython.critical_section(self):
                status = cbp_step(&self.core, &example, rate, work, self.values, &value)
            PyMem_RawFree(work)
            check(status)
            return value
        if not -INFINITY < rate < INFINITY:
            check(CBP_ERROR_LEARNING_RATE)
        return self.step_on_arrays(x, y, rate)

    @cython.critical_section
    cdef double step_on_arrays(self, object x, object y, double rate) except? -1:
        cdef double value
        cdef int status
        cdef double *gradient = new_numbers(2 * self.core.layers)
        try:
            value = self.means(x, y, CBP_SQUARED, 1.0, None, None, gradient)
            status = cbp_step_along(&self.core, gradient, rate, self.values)
        finally:
            PyMem_RawFree(gradient)
        check(status)
        return value

    def trace(self, x, y, *, loss="squared", loss_scale=1.0):
        """All numbers of the forward and the backward pass of one example.

        Parameters
        ----------
        x, y : float
            The example.
        loss, loss_scale
            As for `loss`.

        Returns
        -------
        Trace
            z, a, slope and delta of every layer, the loss and the gradient; prints as a table.

        Raises
        ------
        InputTypeError
            If x or y is not a number.
        ParameterError, ActivationError
            As for `loss`.
        """
        cdef double a, b, value, scale
        cdef int code = loss_code(loss, loss_scale, &scale)
        for name, number in (("x", x), ("y", y)):
            if not is_number(number, &a):
                raise InputTypeError(f"{name}: expected one number, got {number!r}")
        is_number(x, &a)
        is_number(y, &b)
        cdef double[:, ::1] layer = np.empty((4, self.core.layers))
        cdef double[::1] gradient = np.empty(2 * self.core.layers)
        cdef cbp_loss given = loss_given(code, scale)
        cdef cbp_record record
        record.z, record.a = &layer[0, 0], &layer[1, 0]
        record.slope, record.delta = &layer[2, 0], &layer[3, 0]
        record.gradient = &gradient[0]
        check_example(cbp_trace(&self.core, a, b, &given, &record, &value), b, code)
        from .trace import Trace

        columns = np.asarray(layer)
        return Trace(x=a, y=b, loss_name=loss, activations=self.activations,
                     params=self.memory.copy(), z=columns[0], a=columns[1], slope=columns[2],
                     delta=columns[3], gradient=np.asarray(gradient), loss=value,
                     loss_scale=scale)

    # ---- copies and files ----

    def copy(self):
        """A copy of the chain, with memory of its own."""
        return copy_of(self)

    def __setattr__(self, name, value):
        if name in ("params", "weights", "biases"):
            # `net.params += step` ends with the assignment of the same view, which is allowed
            if not self.is_own(value, name):
                raise AttributeError(
                    f"{name!r} of a Chain cannot be replaced; set its entries, {name}[:]"
                )
        elif type(self) is Chain or hasattr(Chain, name):
            raise AttributeError(f"{name!r} of a Chain cannot be set")
        else:
            PyObject_GenericSetAttr(self, name, value)

    cdef bint is_own(self, object value, str name) except -1:
        """Whether an array is the same view as the attribute of that name."""
        cdef Py_buffer view
        cdef bint whole = name == "params"
        cdef double *first = self.values + (1 if name == "biases" else 0)
        cdef size_t count = 2 * self.core.layers if whole else self.core.layers
        cdef Py_ssize_t step = sizeof(double) if whole else 2 * sizeof(double)
        if not isinstance(value, ndarray):
            return False
        PyObject_GetBuffer(value, &view, PyBUF_STRIDES | PyBUF_FORMAT)
        is_own = (view.buf == <void *> first and view.ndim == 1
                  and <size_t> view.shape[0] == count and view.strides[0] == step
                  and is_float64(&view))
        PyBuffer_Release(&view)
        return is_own

    def __reduce__(self):
        parts = type(self), self.memory.copy(), self.activations, self.frozen
        return rebuild, parts, self.__getstate__()

    def __eq__(self, other):
        if not isinstance(other, Chain):
            return NotImplemented
        return (self.activations == other.activations and self.frozen == other.frozen
                and np.array_equal(self.memory, (<Chain> other).memory))

    def __repr__(self):
        same = len(set(self.activations)) == 1
        activations = self.activations[0] if same else list(self.activations)
        frozen = f", frozen={self.frozen!r}" if self.frozen else ""
        return (f"Chain({self.memory[0::2].tolist()!r}, {self.memory[1::2].tolist()!r}, "
                f"{activations!r}{frozen})")

    def to_dict(self):
        """The chain as a mapping, in the form of a model file."""
        from .model_file import to_dict

        return to_dict(self)

    @staticmethod
    def from_dict(mapping):
        """Make a chain from a mapping made by `to_dict`.

        Raises
        ------
        ModelFileError
            If anything in the mapping is not as `to_dict` writes it.
        """
        from .model_file import from_dict

        return from_dict(mapping)

    def save(self, path):
        """Write the chain to a JSON model file, completely or not at all.

        Raises
        ------
        ModelFileError
            If a parameter is not finite, the chain has more than 10 000 layers, or `path` is not a
            file. Nothing has been changed.
        OSError
            If the file cannot be written; an old file is unchanged.
        """
        from .model_file import save

        save(self, path)


cdef Chain any_chain = Chain([1.0], [0.0])
cbp_call_by_vector(<PyTypeObject *> Chain,
                   <char *> &any_chain.call - <char *> <PyObject *> any_chain)


def rebuild(cls, params, activations, frozen):
    """Make a chain from its parts, for copies and pickles; parameters may be NaN or infinite."""
    cdef Chain chain = Chain.__new__(cls, np.zeros(len(activations)), np.zeros(len(activations)),
                                     activations, frozen)
    chain.memory[:] = params
    return chain


include "_fit.pxi"
include "_low_level.pxi"
include "_many.pxi"
include "_curves.pxi"
include "_intervals.pxi"
