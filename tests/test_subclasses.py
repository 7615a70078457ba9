"""Hazard: chains of a class of one's own: what it overrides is heard, and nothing crashes."""

from __future__ import annotations

import contextlib
import copy
import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

import cbackprop as cbp
from cbackprop import _core

X = np.array([0.0, 1.0, 2.0, 3.0])


class Line(cbp.Chain):
    """A constructor of its own, and something to remember."""

    label: str

    def __new__(cls, slope: float) -> Line:
        return super().__new__(cls, [slope], [0.0], "identity", "b1")

    def __init__(self, slope: float) -> None:
        self.label = f"{slope:g}"
        self.notes = [slope]


class Slotted(cbp.Chain):
    __slots__ = ("label",)

    label: str


class Named(cbp.Chain):
    """Its constructor must not be called without a name."""

    def __new__(cls, *, name: str) -> Named:
        assert name
        return super().__new__(cls, [1.0], [0.0], "identity")

    def __init__(self, *, name: str) -> None:
        self.name = name


def pickled(net: Any, protocol: int) -> Any:
    return pickle.loads(pickle.dumps(net, protocol))


COPIES: dict[str, Callable[[Any], Any]] = {
    "copy": lambda net: net.copy(),
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
    **{
        f"pickle-{protocol}": partial(pickled, protocol=protocol)
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    },
    "fit": lambda net: cbp.fit(net, X, 2 * X).chain,
    "descent": lambda net: cbp.fit(net, X, 2 * X, method="sgd", rng=1).chain,
}


@pytest.mark.parametrize("make", COPIES.values(), ids=COPIES)
def test_copies_are_of_the_same_class(make: Callable[[Any], Any]) -> None:
    line = Line(2.0)
    made = make(line)
    assert type(made) is Line
    assert (made.label, made.notes) == ("2", [2.0])
    assert made.params.tolist() == [2.0, 0.0]
    assert made.frozen == ("b1",)
    assert not np.shares_memory(made.params, line.params)
    named = make(Named(name="a"))
    assert (type(named), named.name) == (Named, "a")


def test_what_a_copy_shares_with_the_original() -> None:
    line = Line(2.0)
    assert line.copy().notes is line.notes
    assert copy.copy(line).notes is line.notes
    assert copy.deepcopy(line).notes is not line.notes


@pytest.mark.parametrize("make", COPIES.values(), ids=COPIES)
def test_slots_are_copied(make: Callable[[Any], Any]) -> None:
    net = Slotted([1.0], [0.0], "identity")
    net.label = "one"
    if make in (COPIES["pickle-0"], COPIES["pickle-1"]):
        return  # Python itself keeps no slots there
    made = make(net)
    assert (type(made), made.label) == (Slotted, "one")


def test_many_fits_of_a_subclass() -> None:
    fits = cbp.fit_many(Line(1.0), X, np.stack([2 * X, 3 * X]))
    assert fits.params == pytest.approx(np.array([[2.0, 0.0], [3.0, 0.0]]), rel=1e-12)


def test_a_large_fit_and_an_objective_of_a_subclass() -> None:
    x = np.linspace(0, 1, 100_001)
    assert cbp.fit(Line(1.0), x, 2 * x).params[0] == pytest.approx(2.0, rel=1e-12)
    objective = Line(1.0).objective(X, 2 * X)
    assert objective([2.0])[0] == 0.0
    assert objective.chain([2.0]).params.tolist() == [2.0, 0.0]


class WithoutCopy(cbp.Chain):
    def copy(self) -> Any:
        return None


@pytest.mark.parametrize("n", [4, 100_001])
@pytest.mark.parametrize("method", ["lm", "sgd"])
def test_fits_do_not_need_copy(method: Any, n: int) -> None:
    x = np.linspace(0, 3, n)
    most = 1 if method == "sgd" else None
    found = cbp.fit(WithoutCopy([1.0], [0.0], "identity"), x, x, method=method, max_iterations=most)
    assert type(found.chain) is WithoutCopy
    assert found.params == pytest.approx([1.0, 0.0], abs=1e-12)
    assert WithoutCopy([1.0], [0.0], "identity").objective(x, x)([1.0, 0.0])[0] == 0.0


# ---- what is overridden --------------------------------------------------------------------------


class Doubled(cbp.Chain):
    def forward(self, x: Any) -> Any:  # type: ignore[override]  # without `threads`
        return 2 * super().forward(x)


class Called(cbp.Chain):
    def __call__(self, x: Any) -> Any:  # type: ignore[override]
        return "called"


@pytest.mark.parametrize("x", [0.5, 1, np.float64(0.5), [0.5, 1.0], X], ids=repr)
def test_a_call_goes_to_forward(x: Any) -> None:
    net = Doubled([1.0], [0.25], "identity")
    assert np.array_equal(net(x), 2 * (np.asarray(x) + 0.25))
    assert Called([1.0], [0.0])(x) == "called"


def test_a_method_put_in_later_is_heard() -> None:
    class Late(cbp.Chain):
        pass

    net = Late([1.0], [0.25], "identity")
    assert net(0.5) == 0.75
    Late.forward = lambda self, x: "late"  # type: ignore[method-assign, assignment]
    answer: Any = net(0.5)
    assert answer == "late"


# ---- what must not crash -------------------------------------------------------------------------


def test_a_chain_is_whole_before_its_class_is_asked() -> None:
    seen = []

    class Peeping(cbp.Chain):
        @property
        def param_names(self) -> tuple[str, ...]:
            seen.append(self(0.5))
            return super().param_names

    net = Peeping([1.0], [0.25], "identity", "w1")
    assert net.frozen == ("w1",)
    assert seen == []
    assert net.param_names == ("w1", "b1")
    assert seen == [0.75]


def test_the_way_copies_are_made_is_not_seen() -> None:
    given: list[tuple[Any, ...]] = []

    class Curious(cbp.Chain):
        def __new__(cls, *args: Any) -> Curious:
            given.append(args)
            return super().__new__(cls, *args)

    net = Curious([1.0], [0.0])
    net.copy()
    copy.copy(net)
    pickle_args = net.__reduce__()[1]
    assert isinstance(pickle_args, tuple)
    _core.rebuild(*pickle_args)
    assert given == [([1.0], [0.0])]


@pytest.mark.parametrize("name", ["layers", "free", "params", "weights"])
def test_lies_about_sizes_are_errors(name: str) -> None:
    lies = {"layers": 1, "free": np.ones(1, dtype=bool), "params": X, "weights": X}
    liar = type("Liar", (cbp.Chain,), {name: property(lambda self: lies[name])})
    net = liar([1.0] * 50, [0.0] * 50, "identity")
    y = np.zeros((3, 200))
    for call in (
        lambda: cbp.fit(net, y[0], y[0], bounds={"w1": (0, None)}),
        lambda: cbp.fit_many(net, y[0], y),
        lambda: net.step(X, X, 0.1),
        lambda: net.gradient(X, X),
        net.copy,
        lambda: copy.copy(net),
    ):
        with contextlib.suppress(ValueError, IndexError):
            call()
    assert cbp.Chain.__call__(net, 0.5) == 0.5


# ---- attributes ----------------------------------------------------------------------------------


def test_attributes_of_one_s_own() -> None:
    line = Line(2.0)
    line.label = "new"
    assert line.label == "new"
    del line.label
    assert not hasattr(line, "label")
    for name in ("activations", "frozen", "layers", "free", "param_names"):
        with pytest.raises(AttributeError, match=name):
            setattr(line, name, None)
    with pytest.raises(AttributeError, match="cannot be replaced"):
        line.params = X  # type: ignore[misc]
    line.params += 1.0  # type: ignore[misc]
    assert line.params.tolist() == [3.0, 1.0]
