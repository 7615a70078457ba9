"""Memory that does not grow with the examples, and Ctrl-C that is heard."""

from __future__ import annotations

import _thread
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import cbackprop as cbp

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
