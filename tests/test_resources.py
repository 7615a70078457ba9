"""Hazard: memory that grows with the examples, and Ctrl-C that is not heard."""

from __future__ import annotations

import _thread
import gc
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

import cbackprop as cbp
from cbackprop import _core

# The peak is read where exec has reset it; getrusage would count the parent's size too.
MEMORY = """
import numpy as np
import cbackprop as cbp

def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))

def growth(call, x, y, weight):
    net = cbp.Chain.random(16, rng=0)
    call(net, x[:5000], y[:5000], weight[:5000])
    before = peak()
    call(net, x, y, weight)
    return peak() - before

rng = np.random.default_rng(0)
examples = [rng.random(out=np.empty(1_000_000)) for _ in range(3)]
print(growth(lambda net, x, y, w: net.gradient(x, y), *examples))
print(growth(lambda net, x, y, w: net.loss_and_gradient(x, y, sample_weight=w), *examples))
print(growth(lambda net, x, y, w: net.loss(x, y, loss="log"), *examples))
print(growth(lambda net, x, y, w: net.step(x, y, 0.1), *examples))
print(growth(lambda net, x, y, w: net(x), *examples))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_an_average_needs_no_memory_for_each_example() -> None:
    run = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    *averages, mapped = map(int, run.stdout.split())
    assert max(averages) < 2000, averages
    # the outputs are 8 MB, which shows that the measurement sees what is there
    assert mapped > 6000


LONG = cbp.Chain.random(2000, rng=0)
EXAMPLES = np.zeros(1_000_000)
SHORT = cbp.Chain.random(30, rng=0)
CALLS: dict[str, Callable[[np.ndarray], object]] = {
    "forward": lambda out: LONG(EXAMPLES),
    "slope": lambda out: LONG.slope(EXAMPLES),
    "inverse": lambda out: LONG.inverse(EXAMPLES),
    "loss": lambda out: LONG.loss(EXAMPLES, EXAMPLES),
    "gradient": lambda out: LONG.gradient(EXAMPLES, EXAMPLES, out=out),
    "gradients": lambda out: LONG.gradients(EXAMPLES[:100_000], EXAMPLES[:100_000]),
    "step": lambda out: LONG.step(EXAMPLES, EXAMPLES, 0.1),
    "hessian": lambda out: SHORT.hessian(EXAMPLES, EXAMPLES),
}


@pytest.fixture
def _ctrl_c() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt, whatever this process was started with."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.thread_unsafe(reason="Ctrl-C is the process's")
@pytest.mark.native
@pytest.mark.usefixtures("_ctrl_c")
@pytest.mark.parametrize("name", CALLS)
def test_ctrl_c_is_heard(name: str) -> None:
    params, out = LONG.params.copy(), np.full(4000, 7.0)
    sent = []

    def send() -> None:
        sent.append(time.process_time())
        _thread.interrupt_main()

    timer = threading.Timer(0.1, send)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        CALLS[name](out)
    waited = time.process_time() - sent[0]
    assert waited < 0.5
    assert np.all(out == 7.0)
    assert np.array_equal(LONG.params, params)


# ---- nothing is left behind ----------------------------------------------------------------------

DEEP = cbp.Chain.random(40, "tanh", rng=1)  # longer than what needs no work memory
LAST = cbp.Chain([1.0] * 40, [0.0] * 40, ["tanh"] * 39 + ["sigmoid"])
PAIR = cbp.Chain([1.0, 1.0], [0.0, 0.0], ["tanh", "identity"])
CHAINS = cbp.ChainArray(np.tile(DEEP.params, (3, 1)), DEEP.activations)
NUMBERS = np.linspace(-1.0, 1.0, 300)
LIST = NUMBERS.tolist()  # which is copied
MUCH = np.linspace(-1.0, 1.0, 70_000)  # more than one shard
NEGATIVE = [*LIST[:-1], -1.0]
LEFT: dict[str, Callable[[], object]] = {
    "activation": lambda: _core.activation_values("tanh", LIST),
    "forward": lambda: DEEP(LIST),
    "forward, complex": lambda: DEEP([1j]),
    "rows": lambda: DEEP.gradients(LIST, LIST),
    "rows, target": lambda: LAST.gradients(LIST, NEGATIVE, loss="log"),
    "jacobian": lambda: DEEP.jacobian(LIST),
    "loss": lambda: DEEP.loss(LIST, LIST, sample_weight=[1.0] * 300),
    "loss, shape": lambda: DEEP.loss(LIST, LIST[1:]),
    "loss, weights": lambda: DEEP.loss(LIST, LIST, sample_weight=LIST[1:]),
    "loss, negative": lambda: DEEP.loss(LIST, LIST, sample_weight=NEGATIVE),
    "loss, shards": lambda: DEEP.loss(MUCH, MUCH),
    "gradient": lambda: DEEP.gradient(LIST, LIST),
    "gradient, number": lambda: DEEP.gradient(0.5, 1.0),
    "gradient, out": lambda: DEEP.gradient(0.5, 1.0, out=np.empty(79)),
    "gradient, shards": lambda: DEEP.gradient(MUCH, MUCH),
    "hessian": lambda: DEEP.hessian(LIST, LIST),
    "hessian, target": lambda: LAST.hessian(LIST, NEGATIVE, loss="log"),
    "step": lambda: DEEP.step(LIST, LIST, 0.0),
    "step, number": lambda: DEEP.step(0.5, 1.0, 0.0),
    "step, infinite": lambda: DEEP.step(0.5, 1.0, np.inf),
    "trace": lambda: DEEP.trace(0.5, 1.0),
    "copy": DEEP.copy,
    "lm": lambda: cbp.fit(PAIR, LIST, LIST),
    "sgd": lambda: cbp.fit(PAIR, LIST, LIST, method="sgd", rng=0, max_iterations=2),
    "lm, bounds": lambda: cbp.fit(PAIR, LIST, LIST, bounds={"w1": (0, 2)}),
    "lm, negative": lambda: cbp.fit(PAIR, LIST, LIST, sample_weight=NEGATIVE),
    "lm, callback": lambda: cbp.fit(PAIR, LIST, LIST, callback=lambda progress: 1 / 0),
    "many maps": lambda: CHAINS(LIST),
    "many maps, shape": lambda: CHAINS([[LIST]]),
    "many gradients": lambda: CHAINS.gradient(LIST, np.ones((3, 300))),
    "many fits": lambda: cbp.fit_many(PAIR, LIST[::20], [LIST[::20]] * 3, threads=1),
    "sums": lambda: _core.gradient_sums(DEEP, LIST, LIST, None, "squared", 1.0),
    "nodes": lambda: _core.leaf_nodes(DEEP, LIST, LIST, None, 0, 1.0, 0),
    "node": lambda: _core.MemoryPass(LIST, LIST, None)(DEEP, 0, 1.0),
    "covariance": lambda: _core.fit_covariance(
        PAIR, _core.MemoryPass(LIST, LIST, None)(PAIR, 0, 1.0), None, None, 0, None
    ),
    "starts": lambda: cbp.curves.logistic4.fit_many(NUMBERS[::20] + 2, [LIST[::20]] * 2),
    "low level": lambda: [_core.low_level(PAIR) for _ in range(100)],  # of 24 bytes each
}


@pytest.mark.thread_unsafe(reason="counts the memory of the process")
@pytest.mark.parametrize("name", LEFT)
def test_nothing_is_left_behind(name: str) -> None:
    if name.endswith("shards") and sys.gettrace() is not None:
        pytest.skip("coverage keeps memory for each thread")

    def grown(times: int) -> int:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(times):
            with suppress(cbp.CBackpropError, ZeroDivisionError):
                LEFT[name]()
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before

    tracemalloc.start()
    try:
        grown(2)
        # Python and NumPy keep up to 2 kB for later, as much after one call as after many. What is
        # left behind grows with the calls, by 200 bytes or more each time.
        few, many = (min(grown(times) for _ in range(2)) for times in (2, 12))
    finally:
        tracemalloc.stop()
    assert many - few < 2000
