"""One curve fitted to groups that share parameters: against R, and against dense least squares."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cbackprop import InputTypeError, ParameterError, ShapeError, curves

Vector = NDArray[np.float64]

# R's Puromycin (Treloar 1974)
CONC = [0.02, 0.02, 0.06, 0.06, 0.11, 0.11, 0.22, 0.22, 0.56, 0.56, 1.1, 1.1]
TREATED = [76.0, 47.0, 97.0, 107.0, 123.0, 139.0, 159.0, 152.0, 191.0, 201.0, 207.0, 200.0]
UNTREATED = [67.0, 51.0, 84.0, 86.0, 98.0, 115.0, 131.0, 124.0, 144.0, 158.0, 160.0]
X = [*CONC, *CONC[:11]]
Y = [*TREATED, *UNTREATED]
STATE = ["treated"] * 12 + ["untreated"] * 11


def test_puromycin_as_in_r() -> None:
    """nls(rate ~ Vm[state] * conc / (K + conc), Puromycin)."""
    fits = curves.michaelis_menten.fit_groups(X, Y, STATE, share=["km"])
    assert fits.labels == ("treated", "untreated")
    assert fits.params["km"] == pytest.approx(0.0579718323214427, rel=1e-7)
    assert fits.stderr["km"] == pytest.approx(0.00591017582158824, rel=1e-6)
    np.testing.assert_allclose(fits.params["vmax"], [208.630070058871, 166.604096619891], rtol=1e-7)
    np.testing.assert_allclose(fits.stderr["vmax"], [5.80399298943652, 5.80742958868807], rtol=1e-6)
    assert fits.rss == pytest.approx(2240.89143863643, rel=1e-12)
    assert (fits.df, fits.n_parameters, fits.converged, fits.status) == (20, 3, True, "converged")
    assert fits.residual_sd == pytest.approx(math.sqrt(2240.89143863643 / 20), rel=1e-12)


def test_puromycin_apart_as_in_r() -> None:
    """nls(rate ~ Vm[state] * conc / (K[state] + conc), Puromycin): the variance is that of all."""
    fits = curves.michaelis_menten.fit_groups(X, Y, STATE)
    np.testing.assert_allclose(fits.params["km"], [0.0641212796501337, 0.0477081871135376], 1e-7)
    np.testing.assert_allclose(fits.stderr["km"], [0.00787679175941288, 0.00828115618437577], 1e-6)
    np.testing.assert_allclose(fits.stderr["vmax"], [6.60809428919042, 6.89601427480908], 1e-6)
    assert fits.rss == pytest.approx(2055.05310821875, rel=1e-12)
    assert (fits.df, fits.n_parameters, fits.converged, fits.status) == (19, 4, True, "converged")
    alone = curves.michaelis_menten.fit(CONC[:11], UNTREATED)
    assert fits["untreated"].params == alone.params
    assert fits.names == tuple((p, g) for g in ("treated", "untreated") for p in ("vmax", "km"))


def test_a_group_without_a_minimum_is_alone_with_it() -> None:
    """Where nothing is shared."""
    x, y = [*CONC, 1.0, 2.0, 3.0, 4.0], [*TREATED, 1.0, 2.1, 3.0, 4.5]
    fits = curves.michaelis_menten.fit_groups(x, y, ["a"] * 12 + ["line"] * 4)
    assert not fits.converged
    assert fits.status == "not_identified"
    assert fits["a"].converged
    assert fits["a"].params == curves.michaelis_menten.fit(CONC, TREATED).params
    assert fits["line"].stderr["vmax"] == math.inf


def random_groups(
    seed: int, count: int, own: tuple[str, ...]
) -> tuple[Vector, Vector, list[str], dict[str, Any]]:
    """Noisy 4PL data of groups of unequal size, in mixed order, and the true parameters."""
    rng = np.random.default_rng(seed)
    truth: dict[str, Any] = {"bottom": 0.2, "top": 2.0, "ec50": 1.5, "slope": 1.3}
    spread = {"bottom": 0.2, "top": 0.6, "ec50": 1.0, "slope": 0.3}
    for name in own:
        truth[name] = truth[name] * np.exp(spread[name] * rng.uniform(-1, 1, count))
    x, y, label = [], [], []
    for g in range(count):
        doses = np.geomspace(0.02, 60, 9 + g % 4)
        natural = {k: float(np.broadcast_to(v, (count,))[g]) for k, v in truth.items()}
        x.append(doses)
        y.append(curves.logistic4(doses, **natural) + rng.normal(0, 0.03, len(doses)))
        label += [f"plate {g}"] * len(doses)
    mixed = rng.permutation(len(label))
    return np.concatenate(x)[mixed], np.concatenate(y)[mixed], [label[i] for i in mixed], truth


def formula(natural: Vector, x: Vector) -> Vector:
    bottom, top, ec50, slope = natural
    return np.asarray(bottom + (top - bottom) / (1 + (ec50 / x) ** slope))


def dense(
    fits: curves.GroupFits, x: Vector, label: list[str], residuals: Callable[[Vector], Vector]
) -> tuple[Vector, Vector]:
    """The gradient of the sum of squares, and s^2 (J'J)^-1, by differences of all parameters."""
    at = np.array(
        [
            fits.params[name] if isinstance(name, str) else fits[name[1]].params[name[0]]
            for name in fits.names
        ],
        dtype=float,
    )
    jacobian = np.empty((len(x), len(at)))
    for k in range(len(at)):
        step = 1e-6 * max(1.0, abs(at[k]))
        above, below = at.copy(), at.copy()
        above[k] += step
        below[k] -= step
        jacobian[:, k] = (residuals(above) - residuals(below)) / (2 * step)
    rest = residuals(at)
    variance = float(rest @ rest) / (len(x) - len(at))
    inverse = np.asarray(np.linalg.inv(jacobian.T @ jacobian), dtype=np.float64)
    return jacobian.T @ rest, variance * inverse


@pytest.mark.parametrize(
    "own", [("ec50",), ("ec50", "slope"), ("bottom", "ec50"), ("bottom", "top", "slope"), ("top",)]
)
def test_a_minimum_with_its_covariance(own: tuple[str, ...]) -> None:
    x, y, label, _ = random_groups(len(own), 7, own)
    share = [name for name in ("slope", "ec50", "top", "bottom") if name not in own]
    fits = curves.logistic4.fit_groups(x, y, label, share=share)
    labels = list(dict.fromkeys(label))
    assert fits.converged
    assert list(fits) == labels
    assert len(fits) == 7
    places = {name: k for k, name in enumerate(fits.names)}

    def residuals(params: Vector) -> Vector:
        out = np.empty(len(x))
        for i, one in enumerate(label):
            natural = [
                params[places[name] if name in places else places[name, one]]
                for name in curves.logistic4.parameters
            ]
            out[i] = formula(np.array(natural), x[i : i + 1])[0] - y[i]
        return out

    gradient, covariance = dense(fits, x, label, residuals)
    scales = np.sqrt(covariance.diagonal())
    assert np.max(np.abs(gradient) * scales) < 1e-6 * fits.rss
    np.testing.assert_allclose(
        fits.covariance / np.outer(scales, scales),
        covariance / np.outer(scales, scales),
        atol=1e-5,
    )
    for name in curves.logistic4.parameters:
        errors = fits.stderr[name]
        if name in fits.shared:
            assert errors == pytest.approx(scales[places[name]], rel=1e-5)
        else:
            np.testing.assert_allclose(
                errors, [scales[places[name, one]] for one in labels], rtol=1e-5
            )


def test_a_group_is_a_fit_of_its_own() -> None:
    """Its band has the error of all parameters; an inverse undoes a prediction."""
    x, y, label, _ = random_groups(3, 5, ("ec50",))
    fits = curves.logistic4.fit_groups(x, y, label, share=["bottom", "top", "slope"])
    one = fits["plate 2"]
    assert one.params == {
        name: value if isinstance(value, float) else value[fits.labels.index("plate 2")]
        for name, value in fits.params.items()
    }
    at = np.array([0.3, 1.0, 4.0])
    natural = np.array(list(one.params.values()))
    slopes = np.empty((3, 4))
    for k in range(4):
        above, below = natural.copy(), natural.copy()
        above[k] += 1e-6
        below[k] -= 1e-6
        slopes[:, k] = (formula(above, at) - formula(below, at)) / 2e-6
    band = one.predict(at, interval="confidence")
    wanted = np.sqrt(np.einsum("ik,kl,il->i", slopes, one.covariance, slopes))
    np.testing.assert_allclose(
        (band.high - band.low) / (band.high - band.low)[0], wanted / wanted[0], rtol=1e-6
    )
    np.testing.assert_allclose(one.inverse(band.value).value, at, rtol=1e-9)
    assert one.df == fits.df
    assert one.residual_sd == fits.residual_sd


def test_shared_by_all_is_one_fit() -> None:
    x, y, label, _ = random_groups(5, 4, ())
    together = curves.logistic4.fit(x, y)
    fits = curves.logistic4.fit_groups(x, y, label, share=curves.logistic4.parameters)
    for name, value in together.params.items():
        assert fits.params[name] == pytest.approx(value, rel=1e-7)
        assert fits.stderr[name] == pytest.approx(together.stderr[name], rel=1e-6)
    assert fits.rss == pytest.approx(together.rss, rel=1e-12)
    assert fits.df == together.df
    assert fits.aic == pytest.approx(together.aic, rel=1e-12)


def test_a_thousand_groups() -> None:
    x, y, label, truth = random_groups(11, 1000, ("ec50",))
    fits = curves.logistic4.fit_groups(x, y, label, share=["bottom", "top", "slope"])
    assert fits.converged
    for name in fits.shared:
        assert abs(fits.params[name] - truth[name]) < 4 * fits.stderr[name]
    order = [int(str(one).split()[1]) for one in fits.labels]
    z = (np.log(fits.params["ec50"]) - np.log(truth["ec50"][order])) * (
        fits.params["ec50"] / fits.stderr["ec50"]
    )
    assert abs(np.mean(z)) < 0.15
    assert 0.9 < np.std(z) < 1.1


def test_weights_fixed_and_bounds() -> None:
    """A weight of 2 is a point that is there twice; what is fixed is so in all groups."""
    x, y, label, _ = random_groups(8, 3, ("ec50",))
    twice = curves.logistic4.fit_groups(
        np.tile(x, 2), np.tile(y, 2), label * 2, share=["top", "slope"], fixed={"bottom": 0.2}
    )
    weighted = curves.logistic4.fit_groups(
        x, y, label, share=["top", "slope"], fixed={"bottom": 0.2}, sample_weight=np.full(len(x), 2)
    )
    assert twice.rss == pytest.approx(weighted.rss, rel=1e-10)
    np.testing.assert_allclose(twice.params["ec50"], weighted.params["ec50"], rtol=1e-8)
    assert weighted.params["bottom"] == 0.2
    assert weighted.stderr["bottom"] == 0
    bounded = curves.logistic4.fit_groups(
        x, y, label, share=["bottom", "top", "slope"], bounds={"slope": (0, 1.1)}
    )
    assert bounded.params["slope"] == 1.1
    assert bounded.stderr["slope"] == 0


def test_points_left_out() -> None:
    x, y = np.array(X), np.array(Y)
    y[3] = math.nan
    fits = curves.michaelis_menten.fit_groups(x, y, STATE, share=["km"], nan_policy="omit")
    there = ~np.isnan(y)
    wanted = curves.michaelis_menten.fit_groups(
        x[there], y[there], np.array(STATE)[there], share=["km"]
    )
    assert fits.params["km"] == wanted.params["km"]
    assert fits.df == 19


def test_words() -> None:
    fits = curves.michaelis_menten.fit_groups(X, Y, STATE, share=["km"])
    text = str(fits)
    assert "2 groups share km" in text
    assert "vmax[treated]" in text
    assert "208.63007" in text
    assert "20 degrees of freedom" in text
    assert repr(fits) == "<GroupFits of 2 michaelis_menten, shared km; converged>"


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"share": ["ec50"]}, ParameterError, "share: 'ec50' is not a parameter"),
        ({"share": "km"}, InputTypeError, "share: expected names"),
        ({"share": ["km"], "fixed": {"km": 1.0}}, ParameterError, "share: 'km' is also in fixed"),
        ({"group": STATE[1:]}, ShapeError, "group: 22 labels, expected 23"),
        ({"group": [math.nan, *STATE[1:]]}, ParameterError, "group: nan among the labels"),
        ({"group": [None, *STATE[1:]]}, ParameterError, "group: None among the labels"),
        (
            {"group": np.ma.array(STATE, mask=[True] + [False] * 22)},
            InputTypeError,
            "group: a masked",
        ),
        ({"weights": [1.0] * 23}, InputTypeError, "weights: .*sample_weight takes"),
        ({"y": Y[1:]}, ShapeError, "y: shape"),
        ({"x": [-1.0, *X[1:]]}, ParameterError, "michaelis_menten is defined from 0"),
        ({"y": [math.nan, *Y[1:]]}, ParameterError, "point 0 is not finite"),
    ],
)
def test_refused(change: dict[str, Any], error: type[Exception], words: str) -> None:
    given: dict[str, Any] = {
        "x": X,
        "y": Y,
        "group": np.array(STATE, dtype=object),
        "share": ["km"],
    }
    with pytest.raises(error, match=words):
        curves.michaelis_menten.fit_groups(**(given | change))


@pytest.mark.parametrize("share", [(), ["top"], ["top", "ec50", "slope"]])
def test_one_group_is_fitted_as_it_is_alone(share: list[str]) -> None:
    fits = curves.hill.fit_groups(CONC, TREATED, ["a"] * 12, share=share)
    alone = curves.hill.fit(CONC, TREATED)
    assert fits["a"].params == pytest.approx(alone.params, rel=1e-8)
    assert fits["a"].stderr == pytest.approx(alone.stderr, rel=1e-7)
    assert (fits.df, fits.n_parameters, fits.labels) == (9, 3, ("a",))


def test_a_flat_group_does_not_take_the_others_with_it() -> None:
    """Its ec50 and slope are unknown; those of the others are as they are without it."""
    x, y, label, _ = random_groups(12, 4, ("top", "ec50"))
    is_flat = np.array(label) == "plate 2"
    share = ["bottom", "slope"]
    fits = curves.logistic4.fit_groups(x, np.where(is_flat, 0.2, y), label, share=share)
    rest = curves.logistic4.fit_groups(
        x[~is_flat], y[~is_flat], np.array(label)[~is_flat], share=share
    )
    assert fits.status == "not_identified"
    assert fits.message == "not all parameters are identified in: plate 2"
    for one in rest:
        assert fits[one].params == pytest.approx(rest[one].params, rel=0.05)
    flat = curves.logistic4.fit_groups(x, np.ones_like(x), label, share=share)
    assert flat.status == "not_identified"
    assert flat.rss == pytest.approx(0, abs=1e-20)


def test_a_group_that_cannot_be_fitted_is_alone_with_it() -> None:
    """Where nothing is shared; where something is the fit fails."""
    x, y, label, _ = random_groups(9, 3, ("top", "ec50"))
    is_huge = np.array(label) == "plate 1"
    huge = np.where(is_huge, y * 1e200, y)
    fits = curves.logistic4.fit_groups(x, huge, label)
    assert (fits.status, fits.converged) == ("failed", False)
    assert list(fits.failures) == ["plate 1"]
    assert fits.message.startswith("not fitted: plate 1 (the loss at the start")
    at = fits.labels.index("plate 1")
    assert math.isnan(np.asarray(fits.params["ec50"])[at])
    assert math.isnan(np.asarray(fits.stderr["ec50"])[at])
    low, _ = fits.confidence_interval()["ec50"]
    assert np.flatnonzero(np.isnan(low)).tolist() == [at]
    others = curves.logistic4.fit_groups(x[~is_huge], y[~is_huge], np.array(label)[~is_huge])
    assert fits["plate 0"].params == others["plate 0"].params
    assert fits["plate 0"].stderr == pytest.approx(others["plate 0"].stderr, rel=1e-12)
    assert (fits.rss, fits.df, fits.aic) == pytest.approx((others.rss, others.df, others.aic))
    rows = [fits.row("top", one) for one in ("plate 0", "plate 2")]
    inner = [others.row("top", one) for one in ("plate 0", "plate 2")]
    np.testing.assert_allclose(
        fits.covariance[np.ix_(rows, rows)], others.covariance[np.ix_(inner, inner)]
    )
    with pytest.raises(ParameterError, match="group 'plate 1' was not fitted: the loss"):
        fits["plate 1"]
    with pytest.raises(ParameterError, match="not finite"):
        curves.logistic4.fit_groups(x, huge, label, share=["bottom"])


def test_intervals_by_name() -> None:
    fits = curves.michaelis_menten.fit_groups(X, Y, STATE, share=["km"])
    of_treated = fits["treated"].confidence_interval(0.9, interval="wald")
    found = fits.confidence_interval(0.9, interval="wald")
    assert found["km"] == of_treated["km"]
    low, high = (np.asarray(end) for end in found["vmax"])
    assert (low[0], high[0]) == of_treated["vmax"]
    half = 1.724718243 * 5.80399298943652  # Student's t of 95 % on 20 df
    assert high[0] - 208.630070058871 == pytest.approx(half, rel=1e-6)


def test_copies() -> None:
    fits = curves.michaelis_menten.fit_groups(X, Y, STATE, share=["km"])
    for other in (pickle.loads(pickle.dumps(fits)), copy.deepcopy(fits)):
        assert str(other) == str(fits)
        np.testing.assert_array_equal(other.covariance, fits.covariance)
        assert other["treated"].params == fits["treated"].params


def test_a_shared_parameter_at_a_bound() -> None:
    """It has no variance, and the others' are those of a fit where it is fixed."""
    x, y, label, _ = random_groups(8, 3, ("ec50",))
    share = ["bottom", "top", "slope"]
    for kind in ("gauss-newton", "hessian"):
        options: Any = {"covariance": kind}
        fits = curves.logistic4.fit_groups(
            x, y, label, share=share, bounds={"slope": (0, 1.1)}, **options
        )
        fixed = curves.logistic4.fit_groups(
            x, y, label, share=share[:2], fixed={"slope": 1.1}, **options
        )
        kept = [k for k, name in enumerate(fits.names) if name != "slope"]
        factor = fits.df / fixed.df  # a fixed one is no parameter
        np.testing.assert_allclose(
            fits.covariance[np.ix_(kept, kept)] * factor, fixed.covariance, rtol=1e-5
        )
        assert fits.covariance[fits.row("slope", "plate 0")].tolist() == [0.0] * 6


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"sample_weight": [1.0] * 3}, ShapeError, r"sample_weight: shape \(3,\)"),
        ({"sample_weight": ["1"] * 23}, InputTypeError, "sample_weight: expected real numbers"),
        ({"sample_weight": [1.0] * 22 + [-1]}, ParameterError, r"sample_weight\[22\]: -1.0"),
        ({"sample_weight": [-1.0] * 23}, ParameterError, r"sample_weight\[0\]: -1.0"),
        (
            {"sample_weight": [1.0] * 12 + [0] * 11},
            ShapeError,
            "group 'untreated': 0 points that count, fewer than 1 parameters of its own",
        ),
        ({"x": [], "y": [], "group": []}, ShapeError, "x: 0 points, fewer than 1 parameters"),
        ({"covariance": "exact"}, ParameterError, "covariance: 'exact'; expected 'gauss-newton'"),
        (
            {"share": [], "fixed": {"km": 1.0, "vmax": 2.0}},
            ParameterError,
            "every parameter is frozen",
        ),
    ],
)
def test_bad_input(change: dict[str, Any], error: type[Exception], words: str) -> None:
    given: dict[str, Any] = {"x": X, "y": Y, "group": STATE, "share": ["km"]}
    with pytest.raises(error, match=words):
        curves.michaelis_menten.fit_groups(**(given | change))


def test_a_group_that_is_too_small_is_named() -> None:
    with pytest.raises(ShapeError, match="group 'b': 1 point, fewer than 2 parameters of its own"):
        curves.hill.fit_groups([1, 2, 3, 4], [1, 2, 3, 4], ["a", "a", "a", "b"], share=["slope"])
    with pytest.raises(ShapeError, match="x: 4 points, fewer than 5 parameters of all groups"):
        curves.hill.fit_groups([1, 2, 3, 4], [1, 2, 3, 4], ["a", "a", "b", "b"], share=["slope"])
    with pytest.raises(KeyError, match="'c' is not a group"):
        curves.michaelis_menten.fit_groups(X, Y, STATE, share=["km"])["c"]
