"""Arrays of examples on one thread: chains of sigmoid, squared loss and its gradient, float64.

    python benchmarks/arrays.py [--layers 2 16] [--examples 100 10000 1000000] [--rounds N]

The rivals, each written as well as we could and each checked to compute the same: NumPy (in place,
memory set aside before), PyTorch (without a graph, and with autograd: the faster counts), JAX
(value_and_grad under jit), Numba (one fused loop, with fastmath and without: the faster counts).
Those that are not installed are named and skipped. Figures are ns per example and layer.
"""

from __future__ import annotations

import os

# Read when the packages are imported, hence before everything else.
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
for _variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_variable] = "1"

import argparse
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import timing

import cbackprop as cbp

Floats = npt.NDArray[np.float64]
Problem = tuple[Floats, Floats, Floats]  # params (2L,), x (n,), y (n,)
LAYERS, EXAMPLES = [2, 16], [100, 10_000, 1_000_000]
Rival = Callable[[], Any]  # returns the mean loss, and the gradient in the order of params


def problem(layers: int, n: int) -> Problem:
    """Draw parameters and examples, the same each time."""
    rng = np.random.default_rng(0)
    params = rng.uniform(-1.5, 1.5, 2 * layers)
    return params, rng.uniform(-3, 3, n), rng.uniform(0, 1, n)


def cbackprop_rival(params: Floats, x: Floats, y: Floats) -> Rival:
    """Make this library's call."""
    net = cbp.Chain(params[::2], params[1::2])
    return lambda: net.loss_and_gradient(x, y)


def numpy_rival(params: Floats, x: Floats, y: Floats) -> Rival:
    """NumPy: nothing is allocated in the passes."""
    layers, n = len(params) // 2, len(x)
    a = np.empty((layers + 1, n))
    a[0] = x
    delta, slope = np.empty(n), np.empty(n)
    gradient = np.empty(2 * layers)
    weights, biases = params[::2].tolist(), params[1::2].tolist()

    def passes() -> tuple[float, Floats]:
        for l in range(layers):  # noqa: E741 the notes' letter
            z = a[l + 1]
            np.multiply(a[l], -weights[l], out=z)
            z -= biases[l]
            np.exp(z, out=z)
            z += 1.0
            np.reciprocal(z, out=z)
        np.subtract(a[layers], y, out=delta)
        loss = float(delta @ delta) / n
        np.multiply(delta, 2.0 / n, out=delta)
        for l in reversed(range(layers)):  # noqa: E741
            np.subtract(1.0, a[l + 1], out=slope)
            np.multiply(slope, a[l + 1], out=slope)
            np.multiply(delta, slope, out=delta)
            gradient[2 * l] = delta @ a[l]
            gradient[2 * l + 1] = delta.sum()
            if l > 0:
                np.multiply(delta, weights[l], out=delta)
        return loss, gradient

    return passes


def numba_rivals(params: Floats, x: Floats, y: Floats) -> dict[str, Rival]:
    """Numba: one loop over the examples that keeps everything in the first-level cache."""
    try:
        import numba
    except ImportError:
        return {}

    def passes(params: Any, x: Any, y: Any, block: Any, gradient: Any) -> float:
        layers, width = len(params) // 2, block.shape[1]
        loss = 0.0
        gradient[:] = 0.0
        delta = np.empty(width)
        for start in range(0, len(x), width):
            count = min(width, len(x) - start)
            for j in range(count):
                block[0, j] = x[start + j]
            for l in range(layers):  # noqa: E741
                w, b = params[2 * l], params[2 * l + 1]
                for j in range(count):
                    block[l + 1, j] = 1.0 / (1.0 + math.exp(-(w * block[l, j] + b)))
            for j in range(count):
                r = block[layers, j] - y[start + j]
                loss += r * r
                delta[j] = 2.0 * r
            for l in range(layers - 1, -1, -1):  # noqa: E741
                w, sum_w, sum_b = params[2 * l], 0.0, 0.0
                for j in range(count):
                    a = block[l + 1, j]
                    d = delta[j] * a * (1.0 - a)
                    sum_w += d * block[l, j]
                    sum_b += d
                    delta[j] = d * w
                gradient[2 * l] += sum_w
                gradient[2 * l + 1] += sum_b
        for k in range(2 * layers):
            gradient[k] /= len(x)
        return loss / len(x)

    block, gradient = np.empty((len(params) // 2 + 1, 256)), np.empty(len(params))
    rivals: dict[str, Rival] = {}
    for fast in (False, True):
        compiled: Any = numba.njit(fastmath=fast)(passes)

        def call(compiled: Any = compiled) -> tuple[float, Floats]:
            return compiled(params, x, y, block, gradient), gradient

        rivals["Numba, fastmath" if fast else "Numba"] = call
    return rivals


def jax_rivals(params: Floats, x: Floats, y: Floats) -> dict[str, Rival]:
    """JAX: the layers unrolled under one jit."""
    try:
        import jax
    except ImportError:
        return {}
    jax.config.update("jax_enable_x64", True)
    layers = len(params) // 2

    def loss(params: Any, x: Any, y: Any) -> Any:
        a = x
        for l in range(layers):  # noqa: E741
            a = jax.nn.sigmoid(params[2 * l] * a + params[2 * l + 1])
        return jax.numpy.mean((a - y) ** 2)

    compiled = jax.jit(jax.value_and_grad(loss))
    on_device = [jax.numpy.asarray(values) for values in (params, x, y)]
    return {"JAX, jit": lambda: jax.block_until_ready(compiled(*on_device))}


def torch_rivals(params: Floats, x: Floats, y: Floats) -> dict[str, Rival]:
    """PyTorch: the backward pass by hand and in place, and autograd."""
    try:
        import torch
    except ImportError:
        return {}
    torch.set_num_threads(1)
    layers, n = len(params) // 2, len(x)
    inputs, targets = torch.from_numpy(x), torch.from_numpy(y)
    a = torch.empty((layers + 1, n), dtype=torch.float64)
    a[0] = inputs
    rows = [a[l] for l in range(layers + 1)]  # noqa: E741
    delta, gradient = torch.empty(n, dtype=torch.float64), torch.empty(2 * layers).double()
    weights, biases = params[::2].tolist(), params[1::2].tolist()
    shifts = [torch.tensor(b, dtype=torch.float64) for b in biases]

    @torch.no_grad()  # type: ignore[untyped-decorator,unused-ignore]
    def by_hand() -> Any:
        for l in range(layers):  # noqa: E741
            torch.add(shifts[l], rows[l], alpha=weights[l], out=rows[l + 1])
            rows[l + 1].sigmoid_()
        torch.sub(rows[layers], targets, out=delta)
        loss = torch.dot(delta, delta) / n
        delta.mul_(2.0 / n)
        for l in reversed(range(layers)):  # noqa: E741
            # delta * a * (1 - a) in one pass over memory
            torch.ops.aten.sigmoid_backward.grad_input(delta, rows[l + 1], grad_input=delta)
            gradient[2 * l] = torch.dot(delta, rows[l])
            gradient[2 * l + 1] = delta.sum()
            if l > 0:
                delta.mul_(weights[l])
        return loss, gradient

    tracked = torch.from_numpy(params.copy()).requires_grad_(True)

    def by_autograd() -> Any:
        activation = inputs
        for w, b in tracked.view(-1, 2).unbind():
            activation = torch.sigmoid(torch.addcmul(b, w, activation))
        loss = torch.mean((activation - targets) ** 2)
        (answer,) = torch.autograd.grad(loss, tracked)
        return loss.detach(), answer

    return {"PyTorch, by hand": by_hand, "PyTorch, autograd": by_autograd}


def same_gradient(name: str, ours: Any, theirs: Any) -> None:
    """Stop if a rival computes something else."""
    tolerance = 1e-10 * float(np.abs(np.asarray(ours[1])).max())
    loss_differs = abs(float(theirs[0]) - float(ours[0])) > 1e-10 * float(ours[0])
    if loss_differs or np.abs(np.asarray(theirs[1]) - np.asarray(ours[1])).max() > tolerance:
        raise SystemExit(f"{name} computes {theirs}; expected {ours}")


def measure(layers: int, n: int, rounds: int) -> list[timing.Pair]:
    """Time one size; figures are for one example and layer."""
    data = problem(layers, n)
    ours = cbackprop_rival(*data)
    rivals: dict[str, Rival] = {"NumPy": numpy_rival(*data)}
    for more in (numba_rivals, jax_rivals, torch_rivals):
        rivals.update(more(*data))
    for name, rival in rivals.items():
        same_gradient(name, ours(), rival())
    loops = {name: timing.loop(call) for name, call in {timing.OURS: ours, **rivals}.items()}
    taken = timing.interleave(loops, rounds=rounds)
    job = f"loss and gradient, L = {layers}, n = {n}, per layer"
    return timing.pairs("arrays", job, taken, n * layers)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", type=int, nargs="+", default=LAYERS)
    parser.add_argument("--examples", type=int, nargs="+", default=EXAMPLES)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    timing.pin()
    timing.print_machine(["numpy", "numba", "jax", "torch"])
    for layers in arguments.layers:
        for n in arguments.examples:
            timing.print_pairs(measure(layers, n, arguments.rounds))


if __name__ == "__main__":
    main()
