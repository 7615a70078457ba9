# ---- chains for code that calls C: part of _core.pyx ---------------------------------------------


# A chain in C; the capsule with a pointer to it keeps the Chain alive.
cdef struct LowLevel:
    const double *params
    const unsigned char *activations
    size_t layers


cdef double forward_at(double x, void *chain) noexcept nogil:
    """The function that SciPy calls: the output at x of the chain in a capsule."""
    cdef LowLevel *seen = <LowLevel *> chain
    cdef double value
    cbp_forward(seen.params, seen.activations, &x, seen.layers, 1, &value)
    return value


cdef void forget(object capsule) noexcept:
    PyMem_RawFree(PyCapsule_GetPointer(capsule, NULL))
    Py_DECREF(<object> PyCapsule_GetContext(capsule))


def low_level(Chain chain not None):
    """A capsule with a chain; its users see the chain's current parameters."""
    cdef LowLevel *seen = <LowLevel *> PyMem_RawMalloc(sizeof(LowLevel))
    if seen == NULL:
        raise MemoryError
    seen.params = chain.values
    seen.activations = chain.codes
    seen.layers = chain.size
    capsule = PyCapsule_New(seen, NULL, NULL)
    PyCapsule_SetContext(capsule, <void *> chain)
    Py_INCREF(chain)
    PyCapsule_SetDestructor(capsule, forget)
    return capsule


# The address of every function of cbackprop.h, with its type as the name, for SciPy and Numba.
include "_capsules.pxi"
__pyx_capi__["forward_at"] = PyCapsule_New(<void *> forward_at, "double (double, void *)", NULL)
