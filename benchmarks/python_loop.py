"""One example at a time from a Python loop: two layers of sigmoid, squared loss.

    python benchmarks/python_loop.py [--rounds N]

The rivals: the same arithmetic in pure Python, once over lists, for a chain of any length, as one
writes it, and once unrolled into the loop for this chain alone, with math.exp bound to a local name
(nothing is faster without a compiler); Numba, one compiled call for each example; NumPy
on arrays of one; JAX's compiled value_and_grad; PyTorch's autograd. Rivals that are not installed
are named and skipped. Each computes the same gradient, which is checked first.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import timing

import cbackprop as cbp

W1, B1, W2, B2 = 1.5, 0.1, -0.8, 0.3
X, Y, RATE = 0.5, 0.2, 1e-9
LOSS_AND_GRADIENT = "net.loss_and_gradient(x, y, out=g)"
Gradient = tuple[float, float, float, float]


# ---- this library --------------------------------------------------------------------------------


def our_rivals() -> dict[str, Callable[[int], object]]:
    """Make the loops over this library's calls."""
    net = cbp.Chain([W1, W2], [B1, B2])
    stepped = net.copy()
    out = np.empty(4)

    def forward(count: int) -> None:
        x = X
        for _ in range(count):
            net(x)

    def step(count: int) -> None:
        x, y, rate = X, Y, RATE
        for _ in range(count):
            stepped.step(x, y, rate)

    def gradient(count: int) -> None:
        x, y = X, Y
        for _ in range(count):
            net.gradient(x, y, out=out)

    def loss_and_gradient(count: int) -> None:
        x, y = X, Y
        for _ in range(count):
            net.loss_and_gradient(x, y, out=out)

    return {
        "net(x)": forward,
        "net.step(x, y, rate)": step,
        "net.gradient(x, y, out=g)": gradient,
        LOSS_AND_GRADIENT: loss_and_gradient,
    }


# ---- pure Python ---------------------------------------------------------------------------------


def python_forward(count: int) -> float:
    """Forward pass, written into the loop."""
    exp = math.exp
    w1, b1, w2, b2, x, a2 = W1, B1, W2, B2, X, 0.0
    for _ in range(count):
        a1 = 1.0 / (1.0 + exp(-(w1 * x + b1)))
        a2 = 1.0 / (1.0 + exp(-(w2 * a1 + b2)))
    return a2


def python_step(count: int) -> Gradient:
    """Both passes and the update, written into the loop."""
    exp = math.exp
    w1, b1, w2, b2, x, y, rate = W1, B1, W2, B2, X, Y, RATE
    for _ in range(count):
        a1 = 1.0 / (1.0 + exp(-(w1 * x + b1)))
        a2 = 1.0 / (1.0 + exp(-(w2 * a1 + b2)))
        r = a2 - y
        loss = r * r  # noqa: F841 net.step returns it
        d2 = 2.0 * r * a2 * (1.0 - a2)
        d1 = d2 * w2 * a1 * (1.0 - a1)
        w1 -= rate * d1 * x
        b1 -= rate * d1
        w2 -= rate * d2 * a1
        b2 -= rate * d2
    return w1, b1, w2, b2


def python_gradient(count: int) -> tuple[float, Gradient]:
    """Both passes, written into the loop."""
    exp = math.exp
    w1, b1, w2, b2, x, y = W1, B1, W2, B2, X, Y
    loss, gradient = 0.0, (0.0, 0.0, 0.0, 0.0)
    for _ in range(count):
        a1 = 1.0 / (1.0 + exp(-(w1 * x + b1)))
        a2 = 1.0 / (1.0 + exp(-(w2 * a1 + b2)))
        r = a2 - y
        loss = r * r
        d2 = 2.0 * r * a2 * (1.0 - a2)
        d1 = d2 * w2 * a1 * (1.0 - a1)
        gradient = (d1 * x, d1, d2 * a1, d2)
    return loss, gradient


# ---- pure Python over lists: a chain of any length -----------------------------------------------


def lists_forward(count: int) -> float:
    """Forward pass of a chain whose parameters are lists."""
    weights, biases, x, a = [W1, W2], [B1, B2], X, 0.0
    for _ in range(count):
        a = x
        for w, b in zip(weights, biases, strict=True):
            a = 1.0 / (1.0 + math.exp(-(w * a + b)))
    return a


def lists_gradient(count: int) -> tuple[float, list[float]]:
    """Both passes of a chain whose parameters are lists."""
    weights, biases, x, y = [W1, W2], [B1, B2], X, Y
    loss, gradient = 0.0, [0.0] * 4
    for _ in range(count):
        outputs = [x]
        for w, b in zip(weights, biases, strict=True):
            outputs.append(1.0 / (1.0 + math.exp(-(w * outputs[-1] + b))))
        loss = (outputs[-1] - y) ** 2
        push = 2.0 * (outputs[-1] - y)
        for k in range(len(weights) - 1, -1, -1):
            a = outputs[k + 1]
            delta = push * a * (1.0 - a)
            gradient[2 * k] = delta * outputs[k]
            gradient[2 * k + 1] = delta
            push = delta * weights[k]
    return loss, gradient


def lists_step(count: int) -> None:
    """Both passes and the update of a chain whose parameters are lists."""
    weights, biases, x, y, rate = [W1, W2], [B1, B2], X, Y, RATE
    for _ in range(count):
        outputs = [x]
        for w, b in zip(weights, biases, strict=True):
            outputs.append(1.0 / (1.0 + math.exp(-(w * outputs[-1] + b))))
        loss = (outputs[-1] - y) ** 2  # noqa: F841 net.step returns it
        push = 2.0 * (outputs[-1] - y)
        for k in range(len(weights) - 1, -1, -1):
            a, w = outputs[k + 1], weights[k]
            delta = push * a * (1.0 - a)
            weights[k] = w - rate * delta * outputs[k]
            biases[k] -= rate * delta
            push = delta * w


# ---- packages: each gives a call that returns loss and gradient, or None if it is missing --------

Rival = Callable[[], Any]


def numba_rival() -> Rival | None:
    """Numba: a compiled function for each example."""
    try:
        import numba
    except ImportError:
        return None

    @numba.njit  # type: ignore[untyped-decorator,unused-ignore]
    def passes(w1: float, b1: float, w2: float, b2: float, x: float, y: float) -> Any:
        a1 = 1.0 / (1.0 + math.exp(-(w1 * x + b1)))
        a2 = 1.0 / (1.0 + math.exp(-(w2 * a1 + b2)))
        r = a2 - y
        d2 = 2.0 * r * a2 * (1.0 - a2)
        d1 = d2 * w2 * a1 * (1.0 - a1)
        return r * r, (d1 * x, d1, d2 * a1, d2)

    return lambda: passes(W1, B1, W2, B2, X, Y)


def numpy_rival() -> Rival:
    """NumPy on arrays of one example."""
    x, y = np.array([X]), np.array([Y])

    def passes() -> Any:
        a1 = 1.0 / (1.0 + np.exp(-(W1 * x + B1)))
        a2 = 1.0 / (1.0 + np.exp(-(W2 * a1 + B2)))
        r = a2 - y
        d2 = 2.0 * r * a2 * (1.0 - a2)
        d1 = d2 * W2 * a1 * (1.0 - a1)
        return r * r, (d1 * x, d1, d2 * a1, d2)

    return passes


def jax_rival() -> Rival | None:
    """JAX: value_and_grad under jit."""
    try:
        import jax
    except ImportError:
        return None
    jax.config.update("jax_enable_x64", True)

    def loss(params: Any, x: Any, y: Any) -> Any:
        a1 = jax.nn.sigmoid(params[0] * x + params[1])
        return (jax.nn.sigmoid(params[2] * a1 + params[3]) - y) ** 2

    compiled = jax.jit(jax.value_and_grad(loss))
    params = jax.numpy.array([W1, B1, W2, B2])
    x, y = jax.numpy.float64(X), jax.numpy.float64(Y)
    return lambda: jax.block_until_ready(compiled(params, x, y))


def torch_rival() -> Rival | None:
    """PyTorch: autograd."""
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(1)
    params = [torch.tensor(p, dtype=torch.float64, requires_grad=True) for p in (W1, B1, W2, B2)]
    x, y = torch.tensor(X, dtype=torch.float64), torch.tensor(Y, dtype=torch.float64)

    def passes() -> Any:
        a1 = torch.sigmoid(params[0] * x + params[1])
        loss = (torch.sigmoid(params[2] * a1 + params[3]) - y) ** 2
        return loss.detach(), torch.autograd.grad(loss, params)

    return passes


def same_gradient(name: str, answer: Any) -> None:
    """Stop if a rival computes something else."""
    ours = cbp.Chain([W1, W2], [B1, B2]).loss_and_gradient(X, Y)
    loss = float(np.asarray(answer[0]).reshape(()))
    gradient = np.array([float(np.asarray(g).reshape(())) for g in answer[1]])
    if not (np.isclose(loss, ours[0], rtol=1e-10) and np.allclose(gradient, ours[1], rtol=1e-10)):
        raise SystemExit(f"{name} computes {loss}, {gradient}; expected {ours}")


def measure(rounds: int) -> list[timing.Pair]:
    """Time every call against pure Python, and one against packages."""
    ours = our_rivals()
    same_gradient("pure Python", python_gradient(1))
    same_gradient("pure Python over lists", lists_gradient(1))
    python: dict[str, dict[str, Callable[[int], object]]] = {
        "net(x)": {"Python, lists": lists_forward, "Python, unrolled": python_forward},
        "net.step(x, y, rate)": {"Python, lists": lists_step, "Python, unrolled": python_step},
        "net.gradient(x, y, out=g)": {
            "Python, lists": lists_gradient,
            "Python, unrolled": python_gradient,
        },
        LOSS_AND_GRADIENT: {"Python, lists": lists_gradient, "Python, unrolled": python_gradient},
    }
    packages = {
        "Numba": numba_rival(),
        "NumPy": numpy_rival(),
        "JAX, jit": jax_rival(),
        "PyTorch, autograd": torch_rival(),
    }
    for name, call in packages.items():
        if call is not None:
            same_gradient(name, call())
            python[LOSS_AND_GRADIENT][name] = timing.loop(call)
    measured = []
    for job, rivals in python.items():
        taken = timing.interleave({timing.OURS: ours[job], **rivals}, rounds=rounds)
        measured += timing.pairs("single calls", f"{job}, L = 2", taken)
    return measured


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    timing.pin()
    timing.print_machine(["numpy", "numba", "jax", "torch"])
    timing.print_pairs(measure(rounds))


if __name__ == "__main__":
    main()
