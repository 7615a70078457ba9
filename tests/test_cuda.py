"""Hazard: other bits on a graphics processor; its kernel is compiled and run here without one.

The translation unit that NVRTC compiles is compiled as C++ for this processor, one lane wide.
"""

from __future__ import annotations

import ctypes
import importlib.util
import platform
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import curve_cases
import numpy as np
import numpy.typing as npt
import pytest

import cbackprop as cbp
from cbackprop import _core, cuda, curves
from cbackprop.fits.many import Job

Floats = npt.NDArray[np.float64]

NEEDS_CXX = pytest.mark.skipif(shutil.which("c++") is None, reason="needs a C++ compiler")
IS_X86 = platform.machine() in ("x86_64", "AMD64")
# of compiler.h, and fused multiply-add where it is an instruction
FLAGS = ["-std=c++20", "-O1", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-w"]
FLAGS += ["-mfma"] if IS_X86 else []

POINTER, SIZE, REAL = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_double
INPUTS, SIZES = ("x", "y", "weight"), ("n", "m", "x_step", "weight_step")
RESULTS = {  # of struct cbp_fits
    "params": np.float64,
    "status": np.int32,
    "iterations": np.uintp,
    "loss": np.float64,
    "total": np.float64,
    "variance": np.float64,
    "df": np.float64,
    "stderr": np.float64,
    "covariance": np.float64,
    "determined": np.uint8,
}


class Batch(ctypes.Structure):
    """struct cbp_cuda_batch."""

    _fields_ = (
        *((name, POINTER) for name in INPUTS),
        *((name, SIZE) for name in SIZES),
        *((name, POINTER) for name in RESULTS),
        ("lower", POINTER),
        ("upper", POINTER),
        ("max_iterations", SIZE),
        ("tolerance", REAL),
        ("scale", REAL),
    )


def address(array: npt.NDArray[Any] | None) -> int | None:
    return None if array is None else array.ctypes.data


def emulate(
    folder: Path, net: cbp.Chain, x: Floats, y: Floats, **options: Any
) -> dict[str, npt.NDArray[Any]]:
    """Fit by the kernel, compiled for this processor; the arguments are those of `fit_many`."""
    loss, start = options.get("loss", "squared"), options.get("start", net.params)
    job = Job.of(
        net,
        x,
        y,
        options.get("sample_weight"),
        loss,
        options.get("loss_scale", 1.0),
        options.get("bounds"),
        options.get("max_iterations"),
        options.get("tolerance"),
    )
    m, n = job.y.shape
    source, library = folder / "kernel.cpp", folder / "kernel.so"
    source.write_text(cuda.source_of(net, n, loss), encoding="utf-8")
    subprocess.run(["c++", *FLAGS, "-shared", "-fPIC", str(source), "-o", str(library)], check=True)
    free, width = int(net.free.sum()), 2 * net.layers
    wide = {"params": width, "stderr": width, "covariance": free * (free + 1) // 2}
    wide["determined"] = width
    found = {
        name: np.empty((m, wide[name]) if name in wide else m, dtype)
        for name, dtype in RESULTS.items()
    }
    found["params"][:] = start
    weights = job.weights
    batch = Batch(
        address(job.x),
        address(job.y),
        address(weights),
        n,
        m,
        n if job.x.ndim == 2 else 0,
        n if weights is not None and weights.ndim == 2 else 0,
        *(address(array) for array in found.values()),
        address(job.lower),
        address(job.upper),
        job.max_iterations,
        job.tolerance,
        job.loss_scale,
    )
    ctypes.CDLL(str(library)).cbp_cuda_fit_many(ctypes.byref(batch))
    return found


def check(folder: Path, net: cbp.Chain, x: Any, y: Any, most_left: float, **options: Any) -> None:
    """Compare all bits of what the kernel finishes; it may leave so much to the host."""
    found = emulate(folder, net, x, y, **options)
    expected = cbp.fit_many(net, x, y, covariance=True, **options)
    done = found["status"] != 0
    assert np.mean(~done) <= most_left
    start = np.broadcast_to(options.get("start", net.params), found["params"].shape)
    assert found["params"][~done].tobytes() == start[~done].tobytes()
    assert np.all(expected.codes[done] == 1)
    rss = found["loss"] * found["total"] if options.get("loss", "squared") == "squared" else None
    for name, ours, theirs in (
        ("params", found["params"], expected.params),
        ("stderr", found["stderr"], expected.stderr),
        ("covariance", found["covariance"], expected.triangles),
        ("loss", found["loss"], expected.loss),
        ("rss", rss, expected.rss),
        ("df", found["df"], expected.df),
        ("iterations", found["iterations"], expected.n_iterations),
        ("status", found["status"], expected.codes),
    ):
        if ours is not None:
            assert ours[done].tobytes() == theirs[done].tobytes(), name


pytestmark = pytest.mark.skipif(
    IS_X86 and _core.kernel() == "generic", reason="needs fused multiply-add"
)


@NEEDS_CXX
@pytest.mark.parametrize("name", cbp.ACTIVATIONS)
def test_every_activation_has_the_bits_of_fit_many(name: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(901)
    x = rng.uniform(0.2, 2.0, size=(3000, 9))
    net = cbp.Chain([0.8], [0.3], name)
    truth = net.params * rng.uniform(0.8, 1.25, size=(3000, 2))
    y = cbp.ChainArray(truth, net.activations)(x) + rng.normal(0, 0.02, x.shape)
    check(tmp_path, net, x, y, 0.1)


@NEEDS_CXX
@pytest.mark.parametrize("name", sorted(_core.CURVES))
def test_every_curve_has_the_bits_of_fit_many(name: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(902)
    x, natural = curve_cases.draw(name, rng)
    curve: curves.Curve = getattr(curves, name)
    net = curve.chain(**natural)
    clean = net(x)
    y = clean + rng.normal(0, 0.02 * np.ptp(clean), (3000, len(x)))
    y[::5, 1] = np.nan
    starts = np.where(
        net.free, net.params * rng.uniform(0.9, 1.1, (3000, len(net.params))), net.params
    )
    check(tmp_path, net, x, y, 0.5, start=starts)


LOGISTIC4 = cbp.Chain(
    [1.0, 1.2, 2.0], [0.0, 0.2, 0.1], ["log", "sigmoid", "identity"], frozen=["w1", "b1"]
)
DOSES = np.geomspace(0.05, 20.0, 12)
OPTIONS: dict[str, dict[str, Any]] = {
    "squared": {},
    "huber": {"loss": "huber", "loss_scale": 0.05},
    "soft_l1": {"loss": "soft_l1", "loss_scale": 0.05},
    "cauchy": {"loss": "cauchy", "loss_scale": 0.05},
    "poisson": {"loss": "poisson"},
    "weights of all": {"sample_weight": np.linspace(0.0, 2.0, 12)},
    "own weights": {"sample_weight": np.random.default_rng(903).random((4000, 12))},
    "bounds": {"bounds": {"w2": (0.3, 1.25), "b3": (0.05, None)}},
    "few iterations": {"max_iterations": 3},
    "coarse": {"tolerance": 1e-4},
}


@NEEDS_CXX
@pytest.mark.parametrize("own_x", [False, True])
@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_has_the_bits_of_fit_many(name: str, own_x: bool, tmp_path: Path) -> None:
    rng = np.random.default_rng(904)
    truth = np.tile(LOGISTIC4.params, (4000, 1))
    truth[:, 2:] *= rng.uniform(0.8, 1.25, (4000, 4))
    x = DOSES * rng.uniform(0.9, 1.1, (4000, 12)) if own_x else DOSES
    y = cbp.ChainArray(truth, LOGISTIC4.activations)(x) + rng.normal(0, 0.03, (4000, 12))
    y[rng.random(y.shape) < 0.03] = np.nan
    if name == "poisson":
        y = np.abs(y)
    y[0], y[1, 2], y[2, 3:] = np.nan, np.inf, np.nan  # for the host
    check(tmp_path, LOGISTIC4, x, y, 1.0 if name == "few iterations" else 0.3, **OPTIONS[name])


@NEEDS_CXX
def test_the_log_loss_has_the_bits_of_fit_many(tmp_path: Path) -> None:
    rng = np.random.default_rng(905)
    x = np.linspace(-3.0, 3.0, 30)
    y = (rng.random((3000, 30)) < 1 / (1 + np.exp(-x))).astype(float)
    check(tmp_path, cbp.Chain([0.5], [0.0], "sigmoid"), x, y, 0.1, loss="log")


# ---- NVRTC ---------------------------------------------------------------------------------------


def nvrtc() -> ctypes.CDLL:
    """The compiler of the wheel nvidia-cuda-nvrtc-cu12, which needs no driver."""
    found = importlib.util.find_spec("nvidia")
    for folder in found.submodule_search_locations or () if found else ():
        for library in sorted(Path(folder).glob("cuda_nvrtc/lib/libnvrtc.so.*")):
            return ctypes.CDLL(str(library))
    pytest.skip("needs NVRTC: pip install nvidia-cuda-nvrtc-cu12")


def ptx_of(source: str, architecture: str) -> bytes:
    """Compile for a processor; an error has the compiler's log."""
    library, program, size = nvrtc(), ctypes.c_void_p(), ctypes.c_size_t()
    options = [f"-arch={architecture}", "-w", *cuda.COMPILER_OPTIONS]
    codes = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
    text = source.encode()
    assert library.nvrtcCreateProgram(ctypes.byref(program), text, b"fits.cu", 0, None, None) == 0
    status = library.nvrtcCompileProgram(program, len(options), codes)
    read: dict[bool, tuple[Callable[..., int], Callable[..., int]]] = {
        True: (library.nvrtcGetPTXSize, library.nvrtcGetPTX),
        False: (library.nvrtcGetProgramLogSize, library.nvrtcGetProgramLog),
    }
    get_size, get = read[status == 0]
    get_size(program, ctypes.byref(size))
    answer = ctypes.create_string_buffer(size.value)
    get(program, answer)
    library.nvrtcDestroyProgram(ctypes.byref(program))
    assert status == 0, answer.value.decode()[-2000:]
    return answer.value


CHAINS = sorted({(facts.activations, facts.frozen) for facts in _core.CURVES.values()})


@pytest.mark.parametrize("number", [75, 90, 100])
def test_nvrtc_compiles_every_curve(number: int) -> None:
    nvrtc()

    def compiled(chain: tuple[tuple[str, ...], tuple[str, ...]]) -> bytes:
        ones = np.ones(len(chain[0]))
        return ptx_of(cuda.source_of(cbp.Chain(ones, ones, *chain), 10), f"compute_{number}")

    with ThreadPoolExecutor() as pool:
        for ptx in pool.map(compiled, CHAINS):
            assert f".target sm_{number}".encode() in ptx
            assert b".entry cbp_cuda_fit_many" in ptx
            assert b"fma.rn.f64" in ptx
