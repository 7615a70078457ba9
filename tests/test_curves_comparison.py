"""Tests of nested fits and tables of criteria, against R's and drc's figures."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from curve_cases import columns

from cbackprop import InputTypeError, ParameterError, curves
from cbackprop.curves.comparison import SPECIAL_CASES

HERE = Path(__file__).parent
EXAMPLES = HERE.parent / "examples" / "data"
X = [0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0]
Y = [0.11, 0.26, 0.79, 2.14, 4.91, 7.66, 9.02, 9.66]


def test_shared_plateaus_as_in_drc() -> None:
    """anova(full, shared) of S.alba: LL.4 with common lower and upper limits."""
    x, y, herbicide = columns(HERE / "vectors/alba.csv", "dose", "matter", "herbicide")
    full = curves.logistic4.fit_groups(x, y, herbicide)
    shared = curves.logistic4.fit_groups(x, y, herbicide, share=["bottom", "top"])
    test = curves.compare(full, shared)
    assert test.df == (62, 60)
    np.testing.assert_allclose(test.rss, (8.5113989625336, 8.34793391079075), rtol=1e-10)
    assert test.f == pytest.approx(0.587444942028869, rel=1e-6)
    assert test.p == pytest.approx(0.558909669063768, rel=1e-6)
    assert full.aic == pytest.approx(68.3460734878779, rel=1e-9)
    assert shared.aic == pytest.approx(65.6647462899715, rel=1e-9)
    assert test.likelihood_ratio == pytest.approx(
        full.n_parameters * 2 - 12 + 65.664746 - 68.346073
    )


def test_one_michaelis_constant_as_in_r() -> None:
    """anova of nls fits of Puromycin, one K and two."""
    conc, rate = columns(EXAMPLES / "puromycin.csv", "dose", "rate")
    treated = conc[:12], rate[:12]
    x, y = [*treated[0], *treated[0][:11]], [*treated[1], 67, 51, 84, 86, 98, 115, 131, 124]
    y += [144, 158, 160]
    state = ["treated"] * 12 + ["untreated"] * 11
    full = curves.michaelis_menten.fit_groups(x, y, state)
    test = curves.compare(full, curves.michaelis_menten.fit_groups(x, y, state, share=["km"]))
    assert test.f == pytest.approx(1.71816887058284, rel=1e-6)
    assert test.p == pytest.approx(0.205552272410463, rel=1e-6)
    assert "share km" in str(test)
    one = curves.michaelis_menten.fit(x, y)
    assert curves.compare(full, one).df == (21, 19)


def test_ryegrass_as_drc_tests_it() -> None:
    """modelFit and noEffect of drm(rootl ~ conc, fct = LL.4())."""
    x, y = columns(EXAMPLES / "ryegrass.csv", "dose", "length")
    fit = curves.logistic4.fit(x, y)
    lack = curves.lack_of_fit(fit)
    assert lack.df == (20, 17)
    np.testing.assert_allclose(lack.rss, (5.40021462777653, 5.17986087988879), rtol=1e-9)
    assert lack.f == pytest.approx(0.241062697818512, rel=1e-6)
    assert lack.p == pytest.approx(0.866483043054858, rel=1e-6)
    effect = curves.no_effect(fit)
    assert effect.likelihood_ratio == pytest.approx(91.8777570832675, rel=1e-8)
    assert effect.df == (23, 20)
    assert effect.likelihood_ratio_p < 1e-15
    assert "constant" in str(effect)


def test_weights_in_the_means_of_replicates() -> None:
    """A weight of 0 is no point, and a weight of 2 is one that is there twice, but for df."""
    x, y = np.tile(X, 3), np.concatenate([Y, np.add(Y, 0.1), np.subtract(Y, 0.2)])
    weights = np.r_[np.full(8, 2.0), np.full(8, 1.0), np.zeros(8)]
    test = curves.lack_of_fit(curves.logistic4.fit(x, y, sample_weight=weights))
    assert test.df == (12, 8)
    assert test.rss[1] == pytest.approx(8 * (2 * (0.1 / 3) ** 2 + (0.2 / 3) ** 2), rel=1e-12)


@pytest.mark.parametrize(
    ("reduced", "full"),
    [(reduced, full) for reduced, cases in SPECIAL_CASES.items() for full in cases],
)
def test_special_cases(reduced: str, full: str) -> None:
    """With what is implied the full curve is the reduced one."""
    curve, larger = curves.CURVES[reduced], curves.CURVES[full]
    implied = SPECIAL_CASES[reduced][full]
    rng = np.random.default_rng(5)
    names = curve.parameters
    x = np.array([0.2, 0.7, 1.5, 4.0])
    for _ in range(5):
        natural = dict(zip(names, rng.uniform(0.5, 2, len(names)).tolist(), strict=True))
        free = [name for name in larger.parameters if name not in implied]
        match = dict(zip(free, natural.values(), strict=True))
        match.update({name: natural[name] for name in names if name in free})
        np.testing.assert_allclose(larger(x, **match, **implied), curve(x, **natural), rtol=1e-12)
    y = curve(np.geomspace(0.1, 30, 12), **natural) + rng.normal(0, 0.01, 12)
    x = np.geomspace(0.1, 30, 12)
    fits = larger.fit(x, y), curve.fit(x, y)
    if fits[0].converged and fits[1].converged:
        assert curves.compare(*fits).f >= 0


def test_a_fixed_parameter_is_a_special_case() -> None:
    full, reduced = curves.logistic4.fit(X, Y), curves.logistic4.fit(X, Y, fixed={"bottom": 0})
    by_curve = curves.compare(full, curves.hill.fit(X, Y))
    assert curves.compare(full, reduced).f == pytest.approx(by_curve.f, rel=1e-7)
    assert "fixed bottom" in str(curves.compare(full, reduced))
    twice = curves.logistic4.fit(X, Y, fixed={"bottom": 0, "slope": 1})
    assert curves.compare(reduced, twice).df == (6, 5)
    with pytest.raises(ParameterError, match="full has fixed 'bottom' = 0"):
        curves.compare(reduced, curves.logistic4.fit(X, Y, fixed={"bottom": 0.1, "slope": 1}))


def test_counts_have_a_likelihood_alone() -> None:
    """R: anova(glm(y ~ x, poisson), glm(y ~ 1, poisson)), the deviances by hand."""
    x, y = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [3.0, 5.0, 6.0, 11.0, 12.0, 19.0]
    full = curves.exponential.fit(x, y, loss="poisson")
    reduced = curves.exponential.fit(x, y, loss="poisson", fixed={"rate": 0})
    test = curves.compare(full, reduced)

    def deviance(mean: Any) -> float:
        targets = np.array(y)
        return float(2 * (targets * np.log(targets / mean) - (targets - mean)).sum())

    assert math.isnan(test.f)
    expected = deviance(np.mean(y)) - deviance(full(np.array(x)))
    assert test.likelihood_ratio == pytest.approx(expected, rel=1e-9)
    assert test.p == test.likelihood_ratio_p == pytest.approx(math.erfc(math.sqrt(expected / 2)))


def test_select() -> None:
    """AICc by its formula; the weights add up to 1; no minimum is last."""
    table = curves.select(X, Y, [curves.logistic4, curves.hill, curves.michaelis_menten])
    assert list(table.fits) == ["michaelis_menten", "hill", "logistic4"]
    for name, fit in table.fits.items():
        k = len(fit.params) + 1
        aic = 8 * (math.log(2 * math.pi * fit.rss / 8) + 1) + 2 * k
        assert fit.aicc == pytest.approx(aic + 2 * k * (k + 1) / (8 - k - 1), rel=1e-12)
        assert table.values[name] == fit.aicc
    difference = table.values["hill"] - table.values["michaelis_menten"]
    ratio = table.weights["hill"] / table.weights["michaelis_menten"]
    assert ratio == pytest.approx(math.exp(-difference / 2))
    assert math.fsum(table.weights.values()) == pytest.approx(1)
    assert table.best is table.fits["michaelis_menten"]
    x = np.arange(1.0, 9.0)
    line = curves.select(x, x + 0.1 * np.sin(9 * x), [curves.michaelis_menten, curves.linear])
    assert list(line.fits) == ["linear", "michaelis_menten"]
    assert line.weights["michaelis_menten"] == 0
    assert str(line).endswith("no minimum")
    assert curves.logistic4.fit(X[:6], Y[:6]).aicc == math.inf


def test_refused() -> None:
    fit, hill = curves.logistic4.fit(X, Y), curves.hill.fit(X, Y)
    label = ["a", "b"] * 8
    groups = curves.hill.fit_groups(X * 2, Y * 2, label)
    for full, reduced, message in (
        (hill, fit, "it has 4 parameters, and full has 3"),
        (fit, curves.gompertz.fit(X, Y), "'gompertz' is no special case of 'logistic4'"),
        (fit, curves.hill.fit(X[:7], Y[:7]), "the points of both fits differ"),
        (fit, curves.hill.fit(X, Y, loss="huber"), "no likelihood"),
        (curves.logistic4.fit(X[:4], Y[:4]), hill, "full: no degree of freedom"),
        (curves.michaelis_menten.fit(X, X), hill, "full: the fit has not converged"),
        (groups, curves.hill.fit_groups(X * 2, Y * 2, label[::-1], share=["top"]), "other points"),
    ):
        with pytest.raises(ParameterError, match=message):
            curves.compare(full, reduced)
    with pytest.raises(InputTypeError, match="reduced: expected a CurveFit"):
        curves.compare(fit, 3)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="no replicates"):
        curves.lack_of_fit(fit)
    with pytest.raises(ParameterError, match="3 different values for 3 parameters"):
        curves.lack_of_fit(
            curves.hill.fit(np.tile(X[2:5], 2), np.tile(Y[2:5], 2) + np.r_[0, 0, 0, 1, 1, 1])
        )
    with pytest.raises(ParameterError, match="its loss is 'poisson'"):
        curves.no_effect(curves.hill.fit(X, Y, loss="poisson"))
    for chosen in ([], [curves.hill, curves.hill]):
        with pytest.raises(ParameterError, match="expected different curves"):
            curves.select(X, Y, chosen)
    with pytest.raises(ParameterError, match=r"curves\[1\]: 'hill'; expected a curve"):
        curves.select(X, Y, [curves.hill, "hill"])  # type: ignore[list-item]
    with pytest.raises(ParameterError, match="criterion: 'r2'"):
        curves.select(X, Y, [curves.hill], criterion="r2")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="their losses are"):
        curves.select(X, Y, [curves.hill, curves.platt])
