"""What groups share: labels, factors, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import least_squares

from cbackprop import InputTypeError, ParameterError, ShapeError, curves

Vector = NDArray[np.float64]
DOSE = np.geomspace(0.02, 60, 11)
G = 6
X, GROUP = np.tile(DOSE, G), np.repeat(np.arange(G), len(DOSE))
COMPOUND, PLATE = GROUP // 2, GROUP % 2
RNG = np.random.default_rng(20)
Y = curves.logistic4(
    X / np.array([0.4, 1.0, 3.0])[COMPOUND], bottom=0.1, top=1.0, ec50=1.0, slope=1.2
)
Y = Y * np.array([2.0, 2.6])[PLATE] + RNG.normal(0, 0.03, len(X))


def formula(bottom: Any, top: Any, ec50: Any, slope: Any) -> Vector:
    values: Vector = bottom + (top - bottom) / (1 + (ec50 / X) ** slope)
    return values


def test_labels_that_cross() -> None:
    """ec50 by compound, bottom and top by plate: the minimum of dense least squares."""
    mixed = RNG.permutation(len(X))
    fits = curves.logistic4.fit_groups(
        X[mixed],
        Y[mixed],
        GROUP[mixed],
        share={"ec50": COMPOUND[mixed], "top": PLATE[mixed].tolist(), "bottom": PLATE[mixed]},
    )
    assert fits.shared == ("bottom", "top", "ec50")
    assert fits.n_parameters == 2 + 2 + 3 + G
    place = {name: k for k, name in enumerate(fits.names)}
    assert len(place) == fits.n_parameters
    assert place["ec50", 1] == fits.row("ec50", 2) == fits.row("ec50", 3)
    assert place["slope", 4] == fits.row("slope", 4)

    def pick(params: Vector, name: str, labels: NDArray[np.int_]) -> Vector:
        picked = [float(params[place[name, label]]) for label in labels.tolist()]
        return np.array(picked)

    def residuals(params: Vector) -> Vector:
        bottom, top = pick(params, "bottom", PLATE), pick(params, "top", PLATE)
        ec50, slope = pick(params, "ec50", COMPOUND), pick(params, "slope", GROUP)
        rest: Vector = formula(bottom, top, ec50, slope) - Y
        return rest

    start = np.ones(len(place))
    start[[place["bottom", 0], place["bottom", 1]]] = 0.1
    found = least_squares(residuals, start, bounds=(1e-3, 9), xtol=1e-15, ftol=1e-15, gtol=1e-15)
    assert fits.rss == pytest.approx(2 * found.cost, rel=1e-12)
    covariance = np.linalg.inv(found.jac.T @ found.jac) * fits.rss / fits.df
    np.testing.assert_allclose(fits.covariance.diagonal(), covariance.diagonal(), rtol=1e-5)
    assert fits.covariance[place["ec50", 0], place["slope", 5]] == pytest.approx(
        covariance[place["ec50", 0], place["slope", 5]], rel=1e-3
    )
    for label in range(G):
        natural = fits[label].params
        for name, labels in (("ec50", COMPOUND), ("top", PLATE), ("slope", GROUP)):
            wanted = pick(found.x, name, labels[label == GROUP][:1])[0]
            assert natural[name] == pytest.approx(wanted, rel=1e-6)
            at = pick(np.arange(float(len(place))), name, labels[label == GROUP][:1])[0]
            error = math.sqrt(covariance[int(at), int(at)])
            assert fits[label].stderr[name] == pytest.approx(error, rel=1e-5)
    text = str(fits)
    assert "6 groups share bottom (2 values), top (2 values), ec50 (3 values)" in text
    assert text.count("ec50[") == 3


def test_one_label_for_all_is_true() -> None:
    one = curves.logistic4.fit_groups(X, Y, GROUP, share={"slope": ["same"] * len(X)})
    true = curves.logistic4.fit_groups(X, Y, GROUP, share={"slope": True})
    assert one.rss == true.rss
    assert one.names[0] == ("slope", "same")
    np.testing.assert_array_equal(one.params["slope"], np.full(G, true.params["slope"]))
    np.testing.assert_array_equal(one.covariance, true.covariance)


def test_a_label_for_each_group_is_as_nothing_shared() -> None:
    apart = curves.logistic4.fit_groups(X, Y, GROUP, share=["top"])
    fits = curves.logistic4.fit_groups(X, Y, GROUP, share={"top": True, "slope": GROUP})
    assert fits.rss == pytest.approx(apart.rss, rel=1e-12)
    assert fits.n_parameters == apart.n_parameters
    np.testing.assert_allclose(fits.params["slope"], apart.params["slope"], rtol=1e-7)
    np.testing.assert_allclose(fits.stderr["slope"], apart.stderr["slope"], rtol=1e-6)


def test_factors_are_those_of_the_dose() -> None:
    """A dilution by f has the ec50 times f: the fit over x / f, with one ec50."""
    factors = dict(enumerate([1.0, 2.0, 0.5, 4.0, 1.0, 8.0]))
    f = np.array(list(factors.values()))
    y = curves.logistic4(X / f[GROUP], bottom=0.1, top=2.0, ec50=1.0, slope=1.2)
    y += RNG.normal(0, 0.03, len(X))
    fits = curves.logistic4.fit_groups(X, y, GROUP, share={"ec50": factors, "top": True})
    wanted = curves.logistic4.fit_groups(X / f[GROUP], y, GROUP, share=["ec50", "top"])
    np.testing.assert_allclose(
        np.asarray(fits.params["ec50"]) / f, wanted.params["ec50"], rtol=1e-9
    )
    np.testing.assert_allclose(
        np.asarray(fits.stderr["ec50"]) / f, wanted.stderr["ec50"], rtol=1e-8
    )
    np.testing.assert_allclose(fits.covariance, wanted.covariance, rtol=1e-7)
    assert fits.names == wanted.names
    assert "share top, ec50 up to factors" in str(fits)
    np.testing.assert_array_equal(fits.factors["ec50"], f)
    same = curves.logistic4.fit_groups(X, y, GROUP, share={"ec50": dict.fromkeys(range(G), 1)})
    assert not same.factors
    assert isinstance(same.params["ec50"], float)


def test_groups_of_few_points_are_fitted_together() -> None:
    """Three points of four parameters each, of which one is a group's own."""
    rng = np.random.default_rng(3)
    x = np.exp(rng.uniform(-3, 4, 40 * 3))
    group = np.repeat(np.arange(40), 3)
    top = 2 + rng.uniform(-0.5, 0.5, 40)[group]
    y = curves.logistic4(x, bottom=0.1, top=1.0, ec50=1.5, slope=1.3) * top / 2 + 0.1
    fits = curves.logistic4.fit_groups(x, y, group, share=["bottom", "ec50", "slope"])
    assert fits.converged
    assert fits.params["ec50"] == pytest.approx(1.5, rel=0.2)


def test_groups_that_alone_lead_astray() -> None:
    """The sums of squares are the least that SciPy's least_squares finds from eight starts each.

    Alone some groups have no minimum, or another one; at the values of others a group's own
    parameters have two.
    """
    x = [2.072, 3.37, 2.299, 2.918, 2.175, 3.986, 2.342, 3.342, 1.408, 0.688, 0.628, 2.648]
    y = [1.695, 1.738, 1.625, 1.74, 1.683, 1.743, 1.682, 1.719, 1.83, 1.473, 1.431, 1.952]
    group = np.repeat([0, 1, 2], 4)
    share: dict[str, Any] = {"asymptote": group > 1, "start": True, "rate": True}
    fits = curves.asymptotic.fit_groups(x, y, group, share=share)
    assert fits.rss == pytest.approx(0.006424833694344724, rel=1e-10)

    x = [0.114, 0.873, 3.448, 1.3, 1.332, 2.211, 2.162, 2.438, 3.451, 2.316]
    x += [3.039, 0.491, 0.282, 2.173, 0.299, 0.638, 1.667, 3.494, 1.128, 2.28]
    y = [0.719, 1.333, 1.967, 1.579, 1.53, 2.091, 2.016, 2.062, 2.114, 2.144]
    y += [2.051, 1.249, 1.015, 1.964, 1.026, 1.18, 1.49, 1.56, 1.362, 1.559]
    fits = curves.asymptotic.fit_groups(x, y, np.repeat([0, 1, 2, 3], 5), share=["start"])
    assert fits.rss == pytest.approx(0.010703324636760032, rel=1e-10)

    x = [0.133, 0.585, 0.069, 0.693, 17.524, 13.285, 0.348, 0.103, 6.742]
    x += [12.884, 2.092, 17.919, 0.513, 0.68, 0.679, 0.13, 2.518, 4.472]
    x += [0.38, 0.207, 5.756, 0.257, 3.938, 7.25, 0.216, 0.501, 5.201]
    y = [0.545, 0.698, 0.573, 0.823, 1.652, 1.693, 0.73, 0.523, 1.586]
    y += [1.653, 1.342, 1.623, 0.88, 0.892, 0.928, 0.628, 1.393, 1.583]
    y += [0.848, 0.628, 1.624, 0.778, 1.478, 1.64, 0.714, 0.876, 1.525]
    group = np.repeat([0, 1, 2], 9)
    share = {"bottom": True, "top": True, "ec50": group > 0, "slope": group > 0}
    fits = curves.logistic4.fit_groups(x, y, group, share=share)
    assert fits.rss == pytest.approx(0.041198228148084964, rel=1e-10)


def test_nested_labels() -> None:
    """compare knows which groups have a parameter in common."""
    labels = {"top": PLATE, "bottom": PLATE, "ec50": COMPOUND}
    full = curves.logistic4.fit_groups(X, Y, GROUP, share=labels)
    reduced = curves.logistic4.fit_groups(X, Y, GROUP, share=labels | {"slope": True})
    one = curves.logistic4.fit_groups(X, Y, GROUP, share=labels | {"ec50": PLATE})
    test = curves.compare(full, reduced)
    assert test.df == (reduced.df, full.df)
    assert "share bottom (2 values), top (2 values), ec50 (3 values), slope" in str(test)
    factors = curves.logistic4.fit_groups(
        X, Y, GROUP, share=labels | {"slope": {g: 1 + g / 10 for g in range(G)}}
    )
    for other in (one, factors):
        with pytest.raises(ParameterError, match="in common in full have not"):
            curves.compare(
                other,
                curves.logistic4.fit_groups(
                    X,
                    Y,
                    GROUP,
                    share={"slope": True, "bottom": True, "top": True, "ec50": COMPOUND},
                ),
            )
    curves.compare(full, factors)
    with pytest.raises(ParameterError, match="groups with factors"):
        curves.compare(factors, curves.logistic4.fit(X, Y))
    curves.compare(full, curves.logistic4.fit(X, Y))


@pytest.mark.parametrize(
    ("share", "error", "words"),
    [
        ("ec50", InputTypeError, "share: expected names of parameters, or a mapping"),
        (3, InputTypeError, "share: expected names of parameters, or a mapping"),
        ({"ec5": True}, ParameterError, "share: 'ec5' is not a parameter of logistic4; .*'ec50'"),
        ({"ec50": False}, InputTypeError, r"share\['ec50'\]: False; expected True, a label"),
        ({"ec50": None}, InputTypeError, r"share\['ec50'\]: None; expected True, a label"),
        ({"ec50": "compound"}, InputTypeError, r"share\['ec50'\]: 'compound'; expected True"),
        ({"ec50": 2.0}, InputTypeError, r"share\['ec50'\]: 2.0; expected True"),
        ({"ec50": [1, 2]}, ShapeError, r"share\['ec50'\]: 2 labels, expected 66"),
        ({"ec50": [*COMPOUND[:-1].tolist(), None]}, ParameterError, r"share\['ec50'\]: None among"),
        (
            {"ec50": [*COMPOUND[:-1].tolist(), 7]},
            ParameterError,
            r"share\['ec50'\]: 2 and 7 in group 5; expected one label",
        ),
        ({"ec50": {0: 1.0}}, ParameterError, r"share\['ec50'\]: no factor of group 1"),
        (
            {"ec50": dict.fromkeys([*range(G), 9], 1.0)},
            ParameterError,
            r"share\['ec50'\]: 9 is not a group",
        ),
        (
            {"ec50": dict.fromkeys(range(G), -1.0)},
            ParameterError,
            r"share\['ec50'\]\[0\]: -1.0; expected a positive finite number",
        ),
        (
            {"top": dict.fromkeys(range(G), 0)},
            ParameterError,
            r"share\['top'\]\[0\]: 0; expected a finite number, not 0",
        ),
        (
            {"top": dict.fromkeys(range(G), math.inf)},
            ParameterError,
            r"share\['top'\]\[0\]: inf; expected a finite",
        ),
        ({"top": dict.fromkeys(range(G), "1")}, InputTypeError, r"\[0\]: expected a number, got"),
        ({"top": dict.fromkeys(range(G), True)}, InputTypeError, r"\[0\]: expected a number, got"),
    ],
)
def test_refused(share: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        curves.logistic4.fit_groups(X, Y, GROUP, share=share)
