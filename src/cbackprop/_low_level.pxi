# ---- chains for code that calls C: part of _core.pyx ---------------------------------------------


cdef double forward_at(double x, void *chain) noexcept nogil:
    """The function that SciPy calls: the output at x of the chain in a capsule."""
    cdef double value
    cbp_forward(<const cbp_chain *> chain, &x, 1, &value)
    return value


cdef void forget(object capsule) noexcept:
    Py_DECREF(<object> PyCapsule_GetContext(capsule))


def low_level(Chain chain not None):
    """A capsule with a cbp_chain; its users see the chain's current parameters."""
    capsule = PyCapsule_New(&chain.core, NULL, NULL)
    PyCapsule_SetContext(capsule, <void *> chain)
    Py_INCREF(chain)
    PyCapsule_SetDestructor(capsule, forget)
    return capsule


# The address of every function of cbackprop.h, with its type as the name, for SciPy and Numba.
include "_capsules.pxi"
__pyx_capi__["forward_at"] = PyCapsule_New(<void *> forward_at, "double (double, void *)", NULL)
