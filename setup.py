"""Builds the extension module: the Cython wrapper and the C core, whose header has the version."""

import re
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

HEADER = Path(__file__).parent / "csrc" / "cbackprop.h"
VERSION = re.search(r'#define CBP_VERSION "([^"]+)"', HEADER.read_text(encoding="utf-8")).group(1)

# No contraction and no trapping arithmetic: the first keeps every target's bits the same, the
# second lets the loops with selections become vector code. See csrc/internal.h.
UNIX_FLAGS = [
    "-std=c11",
    "-O3",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fvisibility=hidden",
]
MSVC_FLAGS = ["/O2", "/std:c11", "/fp:precise"]


class BuildExt(build_ext):
    """Adds the flags of the compiler that turns out to be in use."""

    def build_extensions(self):
        msvc = self.compiler.compiler_type == "msvc"
        for extension in self.extensions:
            extension.extra_compile_args = MSVC_FLAGS if msvc else UNIX_FLAGS
            extension.libraries = [] if msvc else ["m"]
        super().build_extensions()


core = Extension(
    "cbackprop._core",
    sources=["src/cbackprop/_core.pyx", *sorted(str(path) for path in Path("csrc").glob("*.c"))],
    depends=[
        "src/cbackprop/_fit.pxi",
        "src/cbackprop/_many.pxi",
        *(str(path) for path in Path("csrc").glob("*.h")),
    ],
    include_dirs=["csrc"],
    define_macros=[("CBP_API", "")],  # nothing but the module's init function is exported
)

setup(
    version=VERSION,
    ext_modules=cythonize([core], compiler_directives={"language_level": 3}),
    cmdclass={"build_ext": BuildExt},
)
