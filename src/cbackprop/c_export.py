"""A chain as a C header, for machines too small for the whole library.

The header begins with the inline functions of the core, of which the compiler keeps only those that
the chain uses. It needs no memory except for the parameters, and no other file or library.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ._core import Chain, __version__
from .errors import ParameterError
from .model_file import to_dict

__all__ = ["export_c"]

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_OWN: Final = re.compile(r"cbp|cbp_.*|cbackprop")
# the text at the start of every header: both files are written by csrc/single_file.py
_EXPORTED: Final = Path(__file__).parent / "exported.h"
_PUBLIC: Final = Path(__file__).parent / "include" / "cbackprop.h"


def export_c(chain: Chain, name: str = "model") -> str:
    """Return a C header with a chain's parameters and functions.

    It has ``NAME_params`` and the functions ``NAME_forward``, ``NAME_inverse`` (if there is one),
    ``NAME_gradient`` and ``NAME_step``, which does not change the chain's frozen parameters. The
    parameters are an argument, so that a device can train a copy of its own. Numbers are double, or
    float with ``-DCBP_SINGLE``; in double, with fused multiply-add, results equal those of `Chain`
    bit for bit.

    Parameters
    ----------
    chain : Chain
        With finite parameters.
    name : str, default "model"
        The prefix of all names: letters, digits and underscores. It must not be ``cbp``,
        ``cbackprop``, or the name of a C header that is included, such as ``math``.

    Returns
    -------
    str
        C99 source text that needs no other file. Headers of several chains may be included
        together, also with ``cbackprop.h``, if one version of cbackprop wrote them.

    Raises
    ------
    ParameterError
        If `name` cannot begin a name in C, or is one of those excluded.
    ModelFileError
        If a parameter is not finite, or the chain is too long for a model file.
    """
    if not _NAME.fullmatch(name):
        raise ParameterError(f"name: {name!r}; expected a letter, then letters, digits and _")
    public = _PUBLIC.read_text(encoding="ascii")
    exported = _EXPORTED.read_text(encoding="ascii").replace(f'#include "{_PUBLIC.name}"', public)
    if _OWN.fullmatch(name.lower()):
        raise ParameterError(f"name: {name!r} is used by the library itself; expected another")
    if name.lower() in re.findall(r"#include <(\w+)\.h>", exported):
        raise ParameterError(f"name: {name!r} is a header of the C library; expected another")
    params = to_dict(chain)["params"]
    assert isinstance(params, list)
    guard, shape = f"CBP_EXPORTED_{name}", f"{' -> '.join(chain.activations)}"
    frozen = f"; frozen: {', '.join(chain.frozen)}" if chain.frozen else ""
    values = "".join(
        f"    (cbp_real){number.hex()}, /* {label} = {number!r} */\n"
        for label, number in zip(chain.param_names, params, strict=True)
    )
    parts = [
        f"/* {shape}{frozen}\n * Written by cbackprop {__version__}. */\n"
        f"#ifndef {guard}\n#define {guard}\n\n{exported}\n/* ==== {name} ==== */\n\n"
        f"static const cbp_real {name}_params[{2 * chain.layers}] = {{\n{values}}};\n",
        _function("The output for the input x.", f"{name}_forward", "x", _forward(chain)),
    ]
    if _invertible(chain):
        text = "The input whose output is y; NaN where there is none."
        parts.append(_function(text, f"{name}_inverse", "y", _inverse(chain)))
    parts += [_gradient(chain, name), _step(chain, name), f"#endif /* {guard} */\n"]
    return "\n".join(parts)


def _function(text: str, name: str, argument: str, lines: Iterator[str]) -> str:
    return (
        f"/* {text} */\n"
        f"static inline cbp_real {name}(const cbp_real *params, cbp_real {argument})\n{{\n"
        f"{''.join(f'    {line}{chr(10)}' for line in lines)}    return {argument};\n}}\n"
    )


def _forward(chain: Chain) -> Iterator[str]:
    for k, activation in enumerate(chain.activations):
        yield f"x = cbp_{activation}_jet(CBP_FMA(params[{2 * k}], x, params[{2 * k + 1}])).value;"


def _inverse(chain: Chain) -> Iterator[str]:
    for k, activation in reversed(list(enumerate(chain.activations))):
        yield f"y = (cbp_{activation}_inverse(y) - params[{2 * k + 1}]) / params[{2 * k}];"


def _invertible(chain: Chain) -> bool:
    try:
        chain.inverse(0.0)
    except ParameterError:
        return False
    return True


def _gradient(chain: Chain, name: str) -> str:
    lines, before = [], "x"
    for k, activation in enumerate(chain.activations):
        z = f"CBP_FMA(params[{2 * k}], {before}, params[{2 * k + 1}])"
        lines.append(f"const cbp_jet a{k + 1} = cbp_{activation}_jet({z});")
        before = f"a{k + 1}.value"
    lines.append(f"const cbp_real residual = {before} - y;")
    upstream = "2 * residual"  # dE/da of the layer
    for k in reversed(range(chain.layers)):
        before = f"a{k}.value" if k else "x"
        lines += [
            f"const cbp_real delta{k + 1} = cbp_times({upstream}, a{k + 1}.slope);",
            f"gradient[{2 * k}] = cbp_times(delta{k + 1}, {before});",
            f"gradient[{2 * k + 1}] = delta{k + 1};",
        ]
        upstream = f"cbp_times(delta{k + 1}, params[{2 * k}])"
    return (
        "/* Writes the derivatives by the parameters of the squared error of the example (x, y),\n"
        " * which it returns. */\n"
        f"static inline cbp_real {name}_gradient(const cbp_real *params, cbp_real x, cbp_real y,"
        f" cbp_real *gradient)\n{{\n"
        f"{''.join(f'    {line}{chr(10)}' for line in lines)}"
        "    return residual * residual;\n}\n"
    )


def _step(chain: Chain, name: str) -> str:
    free = [k for k, is_free in enumerate(chain.free) if is_free]
    moved = "".join(
        f"    const cbp_real next{k} = params[{k}] - learning_rate * gradient[{k}];\n" for k in free
    )
    finite = " && ".join(f"next{k} - next{k} == 0" for k in free) or "1"
    taken = "".join(f"        params[{k}] = next{k};\n" for k in free)
    return (
        "/* One step of gradient descent on the squared error; returns the error before the step.\n"
        " * The parameters are not changed if one of them would no longer be finite. */\n"
        f"static inline cbp_real {name}_step(cbp_real *params, cbp_real x, cbp_real y,"
        f" cbp_real learning_rate)\n{{\n"
        f"    cbp_real gradient[{2 * chain.layers}];\n"
        f"    const cbp_real error = {name}_gradient(params, x, y, gradient);\n"
        f"{moved}    if ({finite}) {{\n{taken}    }}\n    return error;\n}}\n"
    )
