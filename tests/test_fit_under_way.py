"""Hazard: fits that cannot be stopped: callbacks, threads, and Ctrl-C that is heard."""

from __future__ import annotations

import _thread
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import cbackprop as cbp

Floats = npt.NDArray[np.float64]
RNG = np.random.default_rng(2100)
X: Floats = RNG.uniform(-2.0, 2.0, 60)
Y: Floats = 3.0 * np.tanh(1.25 * X - 0.5) + 0.75 + 0.1 * RNG.standard_normal(60)
METHODS = ["lm", "gradient_descent", "sgd", "momentum", "adam"]


@pytest.fixture
def net() -> cbp.Chain:
    return cbp.Chain([1.0, 1.0], [0.0, 0.0], ["tanh", "identity"])


def same(a: cbp.FitResult, b: cbp.FitResult) -> bool:
    """All bits of what was found, and of what was said of it."""
    numbers = [(r.params, r.stderr, r.covariance, r.history, r.identified) for r in (a, b)]
    words = [(r.loss, r.rss, r.df, r.message, r.n_evaluations, r.gradient_norm) for r in (a, b)]
    equal = (p.tobytes() == q.tobytes() for p, q in zip(*numbers, strict=True))
    return all(equal) and words[0] == words[1]


# ---- callbacks -----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_a_callback_sees_each_iteration_once(net: cbp.Chain, method: Any) -> None:
    seen: list[cbp.FitProgress] = []

    def look(progress: cbp.FitProgress) -> None:
        seen.append(progress._replace(params=progress.params.copy()))
        progress.params[:] = math.nan  # its own copy

    options = {"method": method, "max_iterations": 30, "rng": 1}
    result = cbp.fit(net, X, Y, **options, callback=look)
    assert [p.n_iterations for p in seen] == list(range(1, result.n_iterations + 1))
    assert [p.loss for p in seen] == result.history[1:].tolist()
    evaluations = [p.n_evaluations for p in seen]
    assert evaluations == sorted(evaluations)
    assert same(result, cbp.fit(net, X, Y, **options))


@pytest.mark.parametrize("method", METHODS)
def test_a_true_answer_stops_with_the_best_so_far(net: cbp.Chain, method: Any) -> None:
    seen: list[cbp.FitProgress] = []

    def stop(progress: cbp.FitProgress) -> object:
        seen.append(progress)
        return np.bool_(len(seen) == 3)

    result = cbp.fit(net, X, Y, method=method, callback=stop)
    assert (result.status, result.converged, result.n_iterations) == ("stopped", False, 3)
    assert result.message.startswith("stopped by the callback")
    assert result.loss == min(p.loss for p in seen)
    np.testing.assert_allclose(result.loss, result.chain.loss(X, Y), rtol=1e-14)
    assert len(seen) == 3


@pytest.mark.parametrize("method", METHODS)
def test_what_a_callback_raises_comes_through(net: cbp.Chain, method: Any) -> None:
    raised, before = LookupError("mine"), net.copy()

    def fail(progress: cbp.FitProgress) -> None:
        if progress.n_iterations == 2:
            raise raised

    with pytest.raises(LookupError) as caught:
        cbp.fit(net, X, Y, method=method, callback=fail)
    assert caught.value is raised
    assert net == before
    alone = cbp.fit(net, X, Y)
    nested = cbp.fit(net, X, Y, callback=lambda _: cbp.fit(net, X, Y) is None)
    assert same(alone, nested)


# ---- threads -------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["lm", "sgd"])
def test_two_threads_find_what_each_finds_alone(method: Any) -> None:
    x = np.linspace(-2, 2, 3000)
    starts = [cbp.Chain.random(3, ["tanh", "tanh", "identity"], rng=k) for k in range(2)]
    options = {"method": method, "max_iterations": 60, "rng": 5}

    def run(k: int) -> cbp.FitResult:
        return cbp.fit(starts[k], x, np.cos((k + 1) * x), **options)

    alone, together = [run(0), run(1)], {}
    gate = threading.Barrier(2)

    def work(k: int) -> None:
        gate.wait()
        together[k] = run(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert same(alone[0], together[0])
    assert same(alone[1], together[1])


# ---- Ctrl-C --------------------------------------------------------------------------------------


@pytest.fixture
def _ctrl_c() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt, whatever this process was started with."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


MANY = np.linspace(-1, 1, 1_000_000)
LONG = cbp.Chain.random(12, "tanh", rng=0)
FOREVER: dict[str, tuple[cbp.Chain, int, dict[str, Any]]] = {
    "lm": (LONG, 10**6, {}),
    "lm bounds": (LONG, 10**6, {"bounds": {"w1": (None, 9.0)}, "callback": lambda _: False}),
    "lm restarts": (LONG, 50, {"max_iterations": 10**9, "restarts": 10**6, "rng": 0}),
    "sgd": (LONG, 10**6, {"method": "sgd"}),
    "sgd one": (LONG, 1, {"method": "sgd", "max_iterations": 10**9}),
    "gradient_descent": (LONG, 10**6, {"method": "gradient_descent"}),
    "adam": (LONG, 50, {"method": "adam", "max_iterations": 10**9}),
}


@pytest.mark.thread_unsafe(reason="Ctrl-C is the process's")
@pytest.mark.native
@pytest.mark.usefixtures("_ctrl_c")
@pytest.mark.parametrize("name", FOREVER)
def test_ctrl_c_ends_a_fit(name: str) -> None:
    start, n, options = FOREVER[name]
    x = MANY[:n]
    waited(lambda _: cbp.fit(start, x, -x, **options), at_once=True)


@pytest.mark.thread_unsafe(reason="Ctrl-C is the process's")
@pytest.mark.native
@pytest.mark.usefixtures("_ctrl_c")
@pytest.mark.parametrize("covariance", ["gauss-newton", "hessian"])
def test_ctrl_c_is_heard_while_the_covariance_is_computed(covariance: Any) -> None:
    # the first iteration meets this tolerance, and the covariance follows the callback
    options: dict[str, Any] = {"tolerance": 1e9, "max_iterations": 1, "covariance": covariance}
    waited(lambda send: cbp.fit(LONG, MANY, MANY, **options, callback=send), at_once=False)


def waited(call: Callable[[Callable[[object], None]], object], *, at_once: bool) -> None:
    """Ctrl-C, a moment after now or after the call of what is given, is heard in 0.2 s of work."""
    params, sent = LONG.params.copy(), []

    def interrupt() -> None:
        sent.append(time.process_time())
        _thread.interrupt_main()

    timer = threading.Timer(0.1 if at_once else 0.02, interrupt)
    if at_once:
        timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            call(lambda _: timer.start())
    finally:
        timer.cancel()
    assert time.process_time() - sent[0] < 0.2
    assert np.array_equal(LONG.params, params)
