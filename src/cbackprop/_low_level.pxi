# ---- for code that calls C: part of _core.pyx ----------------------------------------------------


# A chain as C sees it; the capsule around it keeps the Chain alive.
cdef struct LowLevel:
    const double *params
    const unsigned char *activations
    size_t layers


cdef double forward_at(double x, void *chain) noexcept nogil:
    """What SciPy calls: the output at x of the chain in a capsule."""
    cdef LowLevel *seen = <LowLevel *> chain
    cdef double value
    cbp_forward(seen.params, seen.activations, &x, seen.layers, 1, &value)
    return value


cdef void forget(object capsule) noexcept:
    PyMem_RawFree(PyCapsule_GetPointer(capsule, NULL))
    Py_DECREF(<object> PyCapsule_GetContext(capsule))


def low_level(Chain chain not None):
    """The capsule of a chain, whose parameters it sees as they are when it is used."""
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


# Every function of cbackprop.h by its address, named by its type, where SciPy and Numba look.
include "_capsules.pxi"
__pyx_capi__["forward_at"] = PyCapsule_New(<void *> forward_at, "double (double, void *)", NULL)
