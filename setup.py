"""Builds the extension module: the Cython wrapper and the C core, whose header has the version.

The header also says which functions there are, for the capsules by which other code finds them; and
the package gets the core as one file, for code that compiles it in. What is made on the way goes to
a folder of its own, so that the sources may be read-only; but an editable install, which is used
where the sources are, has the package's files there.
"""

import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
HEADER = (ROOT / "csrc" / "cbackprop.h").read_text(encoding="utf-8")
VERSION = re.search(r'#define CBP_VERSION "([^"]+)"', HEADER).group(1)
PACKAGE = ROOT / "src" / "cbackprop"

# No contraction and no trapping arithmetic: the first keeps every target's bits the same, the
# second lets the loops with selections become vector code. See csrc/compiler.h.
UNIX_FLAGS = [
    "-std=c11",
    "-O3",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fvisibility=hidden",
]
MSVC_FLAGS = ["/O2", "/std:c11", "/fp:precise"]
# On Linux, what makes a mistake in C harder to exploit and costs no time (docs/trust.md).
HARDENED_FLAGS = ["-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=3"]
HARDENED_LINK = ["-Wl,-z,relro,-z,now"]
STRIPPED_LINK = ["-Wl,-s"]  # of wheels: without the names of static functions


def compile_each(compile_all, sources, **options):
    """Compile each source in a thread of its own."""
    with ThreadPoolExecutor() as pool:
        each = pool.map(lambda source: compile_all([source], **options), sources)
        return [name for names in each for name in names]


class BuildPy(build_py):
    """Adds the core as one file, and what exported chains begin with."""

    def run(self):
        super().run()
        package = PACKAGE if self.editable_mode else Path(self.build_lib) / "cbackprop"
        subprocess.run([sys.executable, ROOT / "csrc" / "single_file.py", package], check=True)


class BuildExt(build_ext):
    """Adds what Cython includes, and the flags of the compiler that turns out to be in use."""

    def finalize_options(self):
        super().finalize_options()
        self.cython_c_in_temp = True
        self.cython_include_dirs.append(self.build_temp)

    def build_extensions(self):
        Path(self.build_temp).mkdir(parents=True, exist_ok=True)
        (Path(self.build_temp) / "_capsules.pxi").write_text(capsules(), encoding="utf-8")
        msvc = self.compiler.compiler_type == "msvc"
        flags = MSVC_FLAGS if msvc else UNIX_FLAGS
        if msvc and "clang-cl" in os.environ.get("CC", ""):  # it builds the vector kernels too
            self.compiler.initialize()
            self.compiler.cc = os.environ["CC"]
            flags = MSVC_FLAGS + [f"/clang:{flag}" for flag in UNIX_FLAGS if "math" in flag]
        if not msvc:  # several files at once: the kernels and the wrapper take most of the time
            self.compiler.compile = partial(compile_each, self.compiler.compile)
        linux = sys.platform == "linux"
        link = [] if self.editable_mode or self.inplace else STRIPPED_LINK
        for extension in self.extensions:
            extension.extra_compile_args = flags + (HARDENED_FLAGS if linux else [])
            extension.extra_link_args = HARDENED_LINK + link if linux else []
            extension.libraries = [] if msvc else ["m"]
        super().build_extensions()


# CBACKPROP_ABI3=1: one wheel for CPython 3.13 and all later ones. `net(x)` is slower there.
ABI3 = os.environ.get("CBACKPROP_ABI3") == "1"
MACROS = [("CBP_API", "")]  # nothing but the module's init function is exported
if ABI3:
    MACROS.append(("Py_LIMITED_API", "0x030D0000"))


def capsules():
    """Write Cython's dictionary of the header's functions, each with its type."""
    lines = []
    for result, name, arguments in re.findall(
        r"^CBP_API ([^;(]*?)(cbp_\w+)\(([^;]*)\);", HEADER, re.M
    ):
        types = [re.sub(r"\b(?!void\b)\w+$", "", part).strip() for part in arguments.split(",")]
        signature = f"{result.strip()} ({', '.join(types)})".replace("cbp_real", "double")
        lines.append(f'    "{name}": PyCapsule_New(<void *> {name}, "{signature}", NULL),\n')
    return "__pyx_capi__ = {\n" + "".join(lines) + "}\n"


core = Extension(
    "cbackprop._core",
    sources=["src/cbackprop/_core.pyx", *sorted(str(path) for path in Path("csrc").glob("*.c"))],
    depends=[
        *(str(path) for path in Path("src/cbackprop").glob("*.pxi")),
        *(str(path) for path in Path("csrc").rglob("*.h")),
    ],
    include_dirs=["csrc"],
    define_macros=MACROS,
    py_limited_api=ABI3,
)

with tempfile.TemporaryDirectory(prefix="cbackprop-") as folder:
    options = {"bdist_wheel": {"py_limited_api": "cp313"}} if ABI3 else {}
    if {"bdist_wheel", "dist_info", "egg_info"} & set(sys.argv):
        options |= {"build": {"build_base": folder}, "egg_info": {"egg_base": folder}}
    setup(
        version=VERSION,
        ext_modules=[core],
        cmdclass={"build_py": BuildPy, "build_ext": BuildExt},
        options=options,
    )
