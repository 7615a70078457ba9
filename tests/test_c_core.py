"""The C core as other code gets it: compiled in, from Cython, by capsules, and in one file."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cbackprop as cbp
from cbackprop import _core
from cbackprop.cli import main

ROOT = Path(__file__).parent.parent
NEEDS_CC = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
HEADER = Path(cbp.get_include(), "cbackprop.h").read_text(encoding="utf-8")

NET = cbp.Chain([1.5, -0.8], [0.1, 0.3])
CODES = np.array([cbp.ACTIVATIONS.index(name) for name in NET.activations], dtype=np.uint8)

EXTENSION = """
import numpy as np

cimport cbackprop

def gradient(double[::1] params, unsigned char[::1] activations, double x, double y):
    out = np.empty(params.shape[0])
    cdef double[::1] seen = out
    cdef cbackprop.cbp_chain chain
    cdef cbackprop.cbp_examples example
    chain.params, chain.activations, chain.frozen = &params[0], &activations[0], NULL
    chain.layers = activations.shape[0]
    example.x, example.y, example.weight, example.n = &x, &y, NULL, 1
    status = cbackprop.cbp_gradient(&chain, &example, NULL, NULL, NULL, &seen[0])
    assert status == cbackprop.CBP_OK
    return out
"""

SETUP = """
from setuptools import Extension, setup
from Cython.Build import cythonize
import cbackprop

setup(ext_modules=cythonize(Extension(
    "extended", ["extended.pyx", cbackprop.get_source()], include_dirs=[cbackprop.get_include()],
    extra_compile_args=["-O0"],
)))
"""


def run(*command: str, cwd: Path) -> str:
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, encoding="utf-8", timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_command_prints_flags(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")  # narrower than the path, which is not to be broken
    with pytest.raises(SystemExit, match="0"):
        main(["--cflags"])
    assert shlex.split(capsys.readouterr().out) == [f"-I{cbp.get_include()}"]


def test_the_single_file_is_that_of_the_sources(tmp_path: Path) -> None:
    run(sys.executable, str(ROOT / "csrc" / "single_file.py"), str(tmp_path), cwd=ROOT)
    for name in ("cbackprop.c", "cbackprop.h"):
        made = (tmp_path / "include" / name).read_text(encoding="utf-8")
        assert made == Path(cbp.get_include(), name).read_text(encoding="utf-8")
    text = Path(cbp.get_source()).read_text(encoding="utf-8")
    assert set(re.findall(r'#include "(.*)"', text)) == {"cbackprop.h", "cbackprop.c"}
    for source in (ROOT / "csrc").glob("*.c"):
        assert text.count(f"==== {source.name} ====") == 1


def test_no_more_is_asked_of_a_c_library_than_devices_have() -> None:
    text = re.sub(r"/\*.*?\*/", "", Path(cbp.get_source()).read_text(encoding="utf-8"), flags=re.S)
    asked = set(re.findall(r"\b((?:mem|str)n?(?:cpy|move|set|cmp|chr|cat|len|str))\(", text))
    provided = (ROOT / "examples" / "freestanding" / "string.h").read_text(encoding="utf-8")
    assert asked <= {"memcmp", "memcpy", "memset", "strcmp"}
    assert all(re.search(rf"\b{name}\b", provided) for name in asked)


@NEEDS_CC
def test_cython_compiles_against_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "extended.pyx").write_text(EXTENSION)
    (tmp_path / "setup.py").write_text(SETUP)
    run(sys.executable, "setup.py", "-q", "build_ext", "--inplace", cwd=tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    extended: Any = importlib.import_module("extended")
    assert (
        extended.gradient(NET.params, CODES, 0.5, 1.0).tolist() == NET.gradient(0.5, 1.0).tolist()
    )


@NEEDS_CC
@pytest.mark.parametrize("flag", ["-ffast-math", "-Ofast", "-ffinite-math-only"])
def test_flags_that_change_numbers_are_refused(flag: str) -> None:
    command = ["cc", flag, "-E", cbp.get_source(), "-o", os.devnull]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode != 0
    assert "cbackprop needs IEEE arithmetic" in done.stderr


# ---- capsules ------------------------------------------------------------------------------------


def test_every_function_of_the_header_has_a_capsule() -> None:
    declared = re.findall(r"^CBP_API [^;(]*?(cbp_\w+)\(", HEADER, re.MULTILINE)
    assert len(declared) == HEADER.count("\nCBP_API ")
    assert sorted(_core.__pyx_capi__) == sorted([*declared, "forward_at"])


def address(name: str, signature: str) -> int:
    get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
    get_pointer.restype = ctypes.c_void_p
    get_pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    found = get_pointer(_core.__pyx_capi__[name], signature.encode())
    assert isinstance(found, int)
    return found


class _Chain(ctypes.Structure):
    _fields_ = (
        ("params", ctypes.c_void_p),
        ("activations", ctypes.c_void_p),
        ("frozen", ctypes.c_void_p),
        ("layers", ctypes.c_size_t),
    )


CHAIN = _Chain(NET.params.ctypes.data, CODES.ctypes.data, None, 2)
POINTER, SIZE = ctypes.c_void_p, ctypes.c_size_t
FORWARD = ctypes.CFUNCTYPE(ctypes.c_int, POINTER, POINTER, SIZE, POINTER)


def test_ctypes_calls_a_capsule_by_its_type() -> None:
    forward = FORWARD(
        address("cbp_forward", "int (const cbp_chain *, const double *, size_t, double *)")
    )
    x, out = np.linspace(-2, 2, 7), np.empty(7)
    assert forward(ctypes.addressof(CHAIN), x.ctypes.data, 7, out.ctypes.data) == 0
    assert out.tolist() == NET(x).tolist()


def test_numba_calls_the_core() -> None:
    numba = pytest.importorskip("numba")
    forward = FORWARD(
        importlib.import_module("numba.extending").get_cython_function_address(
            "cbackprop._core", "cbp_forward"
        )
    )

    @numba.njit  # type: ignore[untyped-decorator]
    def total(chain: Any, x: Any) -> float:
        out = np.empty_like(x)
        status = forward(chain, x.ctypes.data, len(x), out.ctypes.data)
        result = float(status)  # an assertion of pytest's is nothing that Numba knows
        for value in out:
            result += value
        return result

    x = np.linspace(-2, 2, 7)
    assert total(ctypes.addressof(CHAIN), x) == sum(NET(x).tolist())


def test_scipy_integrates_without_python() -> None:
    """The integral of sigma is softplus; quad's own estimate of its error is the tolerance."""
    integrate = pytest.importorskip("scipy.integrate")
    chain = cbp.Chain([1.0], [0.0])
    function = cbp.low_level_callable(chain)
    chain.params[0] = 2.0  # seen by the capsule
    params = chain.params
    del chain
    value, error = integrate.quad(function, -1, 2)
    assert value == pytest.approx(np.logaddexp(0, [-2, 4]) @ [-0.5, 0.5], abs=max(error, 1e-15))
    assert params[0] == 2.0


def test_a_capsule_keeps_its_chain_and_lets_it_go() -> None:
    chain = cbp.Chain([1.0], [0.0])
    before = sys.getrefcount(chain)
    capsule = _core.low_level(chain)
    assert sys.getrefcount(chain) == before + 1
    del capsule
    assert sys.getrefcount(chain) == before
