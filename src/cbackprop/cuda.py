"""Many fits on a graphics processor: the core's own lanes, one chain a thread, compiled by NVRTC.

The source is the core's (``csrc/cuda.h`` and what it needs), cut out of the single file that the
package has, with what one kind of fit has in common as constants. So there is no second copy of the
algorithm, and the bits are those of `fit_many`.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ._core import ACTIVATIONS, LOSSES
from .c_core import get_source

if TYPE_CHECKING:
    from ._core import Chain, _Loss

__all__ = ["COMPILER_OPTIONS", "source_of"]

COMPILER_OPTIONS: Final = ("-default-device", "-fmad=false", "-std=c++20")

# Parts of the single file, in this order. Each begins and ends with a line that names it.
_PARTS: Final = (
    *("chain.h", "dispatch.h", "fit.h", "many.h", "loss.h", "lanes.h", "layer.h", "example.h"),
    *("sums.h", "rows.h", "normal.h", "newton.h"),
)

# What NVRTC knows without headers, and what the C library's have for any other compiler.
_HEAD: Final = """
#define CBP_CUDA 1
#define CBP_LANES 1
#define CBP_HAVE_FMA 1
#define CBP_HAS_WIDE_VECTORS 0
#ifdef __CUDACC_RTC__
typedef signed int int32_t;
typedef unsigned int uint32_t;
typedef signed long long int64_t;
typedef unsigned long long uint64_t;
typedef unsigned long long uintptr_t;
#define SIZE_MAX 0xffffffffffffffffull
#define NULL nullptr
#define INFINITY __builtin_bit_cast(float, 0x7f800000)
#define NAN __builtin_bit_cast(float, 0x7fc00000)
#define DBL_EPSILON 0x1p-52
#define DBL_MAX 0x1.fffffffffffffp+1023
#define DBL_MIN 0x1p-1022
#define FLT_EPSILON 0x1p-23f
#else
#include <cfloat>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#endif
"""

# The loops that many.c calls, in place of a table of them.
_TABLE: Final = """
struct cbp_cuda_loops {
    const cbp_cuda_loops *operator->() const { return this; }
    static void forward(const cbp_chain *chain, const cbp_real *x, size_t n, cbp_real *out)
    {
        forward_all(chain, x, n, out);
    }
    static void fit_lanes(cbp_lanes *lanes) { fit_lanes_loop(lanes); }
    static void finish_lanes(cbp_lanes *lanes) { finish_lanes_loop(lanes); }
};
#define cbp_kernels_now() cbp_cuda_loops()
"""


@cache
def _core_text() -> str:
    """Return the parts of the core, as C++."""
    whole = Path(get_source()).read_text(encoding="utf-8")
    public = Path(get_source()).with_name("cbackprop.h").read_text(encoding="utf-8")

    def part(name: str) -> str:
        begun = whole.split(f"/* ==== {name} ==== */\n", 1)[1]
        return begun.split(f"/* ==== end of {name} ==== */\n", 1)[0]

    generic = part("kernels_generic.c")  # of which the tables count
    tables = generic[generic.index("const cbp_activation_facts cbp_activation_table") :]
    text = "\n".join([public, *map(part, _PARTS), _TABLE, tables, part("many.c")])
    text = re.sub(r"^#include .*\n", "", text, flags=re.MULTILINE)
    text = text.replace("[code] = {", "{")  # in the order of the codes
    return re.sub(r"\((cbp_\w+|load)\)\{", r"\1{", text)  # compound literals


def source_of(net: Chain, n: int, loss: _Loss = "squared") -> str:
    """Return the source for fits of chains like `net` to n examples each."""
    codes = [str(ACTIVATIONS.index(name)) for name in net.activations]
    frozen = [str(int(not free)) for free in net.free.tolist()]
    constants = {
        "LAYERS": net.layers,
        "FREE": frozen.count("0"),
        "N": n,
        "ACTIVATIONS": ", ".join(codes),
        "FROZEN": ", ".join(frozen),
        "LOSS": LOSSES[loss].code,
    }
    defined = "".join(f"#define CBP_CUDA_{name} {value}\n" for name, value in constants.items())
    text = _core_text()
    for macro, used in (("CBP_ACTIVATIONS", net.activations), ("CBP_LOSSES", (loss,))):
        text = _with_cases(text, macro, set(used))
    return defined + _HEAD + text


def _with_cases(text: str, macro: str, used: set[str]) -> str:
    """Keep the cases of these members of a list; a switch over all would fill the cache."""
    found = re.search(rf"#define {macro}\(X\)(?:.*\\\n)*.*\n", text)
    assert found
    rows = re.findall(r"(X\(\w+, (\w+), .*\))", found[0])
    kept = " ".join(row for row, name in rows if name in used)
    text = text.replace(f"{macro}(CASE)", f"{macro}_USED(CASE)")
    return text.replace(found[0], f"#define {macro}_USED(X) {kept}\n{found[0]}")
