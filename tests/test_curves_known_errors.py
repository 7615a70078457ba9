"""Known deviations, means of replicates, HC3, bands for whole curves and weighted observations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from cbackprop import InputTypeError, ParameterError, ShapeError, curves

X = np.array([0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300])
Y = np.array([0.2, -1.1, 2.3, 6.0, 21.5, 48.0, 83.1, 92.0, 100.2, 97.7])
SD = np.array([1.0, 1.5, 1.0, 2.0, 2.5, 2.0, 3.0, 2.0, 1.5, 3.0])


def slopes(p: dict[str, float], x: Any) -> Any:
    """The derivatives of bottom + (top - bottom) u, u = 1 / (1 + (ec50 / x)^slope)."""
    u = 1 / (1 + (p["ec50"] / x) ** p["slope"])
    v = (p["top"] - p["bottom"]) * u * (1 - u)
    return np.column_stack((1 - u, u, -v * p["slope"] / p["ec50"], v * np.log(x / p["ec50"])))


# ---- known standard deviations -------------------------------------------------------------------


def test_known_deviations_are_not_estimated() -> None:
    """Standard errors are the roots of (J'WJ)^-1, and intervals those of a normal distribution."""
    fit = curves.logistic4.fit(X, Y, sample_weight=1 / SD**2, absolute_sigma=True)
    j = slopes(fit.params, X) / SD[:, None]
    expected = np.linalg.inv(j.T @ j)
    np.testing.assert_allclose(fit.covariance, expected, rtol=1e-6)
    low, high = fit.confidence_interval(0.9)["bottom"]
    reach = 1.6448536269514722 * math.sqrt(expected[0, 0])
    assert (low, high) == pytest.approx(
        (fit.params["bottom"] - reach, fit.params["bottom"] + reach), rel=1e-6
    )
    assert fit.df == 6
    relative = curves.logistic4.fit(X, Y, sample_weight=1 / SD**2)
    assert fit.params == relative.params
    assert fit.residual_sd == pytest.approx(relative.residual_sd)
    band = fit.predict(3.0, "prediction", sample_weight=1 / 2.0**2)
    row = slopes(fit.params, np.array([3.0]))[0]
    reach = 1.959963984540054 * math.sqrt(row @ expected @ row + 4)
    assert float(band.high - band.value) == pytest.approx(reach, rel=1e-6)


def test_likelihood_of_known_deviations() -> None:
    stats = pytest.importorskip("scipy.stats")
    fit = curves.logistic4.fit(X, Y, sample_weight=1 / SD**2, absolute_sigma=True)
    expected = stats.norm.logpdf(Y, fit.predict(X), SD).sum()
    assert fit.log_likelihood == pytest.approx(expected, rel=1e-12)
    assert fit.aic == pytest.approx(2 * 4 - 2 * expected, rel=1e-12)
    found = curves.goodness_of_fit(fit)
    assert found.chi_squared == pytest.approx((((Y - fit.predict(X)) / SD) ** 2).sum())
    assert found.df == 6
    assert found.p == pytest.approx(stats.chi2.sf(fit.rss, 6), rel=1e-10)
    hill = curves.hill.fit(X, Y, sample_weight=1 / SD**2, absolute_sigma=True)
    test = curves.compare(fit, hill)
    assert math.isnan(test.f)
    assert test.likelihood_ratio == pytest.approx(hill.rss - fit.rss)
    assert test.p == pytest.approx(stats.chi2.sf(hill.rss - fit.rss, 1))
    with pytest.raises(ParameterError, match="absolute_sigma"):
        curves.compare(fit, curves.hill.fit(X, Y, sample_weight=1 / SD**2))


def test_profile_of_known_deviations() -> None:
    """The ends are where the sum of squares has grown by z^2."""
    weights = 1 / SD**2
    fit = curves.logistic4.fit(X, Y, sample_weight=weights, absolute_sigma=True)
    found = curves.profile(fit, "ec50")
    for end in (found.low, found.high):
        worse = curves.logistic4.fit(X, Y, sample_weight=weights, fixed={"ec50": end}).rss
        assert worse - fit.rss == pytest.approx(1.959963984540054**2, rel=1e-6)


def test_known_deviations_without_degrees_of_freedom() -> None:
    fit = curves.linear.fit([1.0, 2], [3.0, 5], sample_weight=[4.0, 4], absolute_sigma=True)
    assert fit.df == 0
    assert fit.stderr["slope"] == pytest.approx(math.sqrt(0.5))
    assert "no standard errors" not in fit.message
    with pytest.raises(ParameterError, match="degree"):
        curves.goodness_of_fit(fit)


def test_a_bound_and_what_is_fixed_with_known_deviations() -> None:
    """Only the slope moves: its standard error is 1 / sqrt(sum(w x^2))."""
    x, weights = np.array([1.0, 2, 3]), np.array([1.0, 2, 3])
    for options in ({"fixed": {"intercept": 0.5}}, {"bounds": {"intercept": (0.5, None)}}):
        fit = curves.linear.fit(
            x,
            2 * x,
            sample_weight=weights,
            absolute_sigma=True,
            **options,
        )
        assert fit.stderr["intercept"] == 0
        assert fit.stderr["slope"] == pytest.approx(1 / math.sqrt(weights @ x**2))


def test_deviations_that_are_not_known() -> None:
    with pytest.raises(ParameterError, match="absolute_sigma"):
        curves.linear.fit(X, Y, absolute_sigma=True)
    with pytest.raises(ParameterError, match="absolute_sigma"):
        curves.linear.fit(X, Y, sample_weight=SD, loss="huber", absolute_sigma=True)
    with pytest.raises(ParameterError, match="absolute_sigma"):
        curves.goodness_of_fit(curves.linear.fit(X, Y))
    with pytest.raises(InputTypeError, match="CurveFit"):
        curves.goodness_of_fit(3)  # type: ignore[arg-type]


# ---- means of replicates -------------------------------------------------------------------------


def test_means_of_replicates_are_as_good_as_these() -> None:
    rng = np.random.default_rng(3)
    counts = [3, 4, 1, 2, 3, 5, 3, 2, 4, 3]
    x = np.repeat(X, counts)
    y = np.repeat(Y, counts) + rng.normal(0, 2, len(x))
    parts = np.split(y, np.cumsum(counts)[:-1])
    deviations = [part.std(ddof=1) if len(part) > 1 else math.nan for part in parts]
    made = curves.expand_means(X, [part.mean() for part in parts], deviations, counts)
    fit, raw = curves.logistic4.fit(*made), curves.logistic4.fit(x, y)
    for name in raw.params:
        assert fit.params[name] == pytest.approx(raw.params[name], rel=1e-7)
        assert fit.stderr[name] == pytest.approx(raw.stderr[name], rel=1e-7)
    assert fit.df == raw.df
    assert fit.rss == pytest.approx(raw.rss, rel=1e-10)
    assert curves.lack_of_fit(fit).f == pytest.approx(curves.lack_of_fit(raw).f, rel=1e-8)


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        (([1, 2], [1, 2], [1, 2], [2, 2, 2]), ShapeError, "3 numbers"),
        (([1, 2], [1], [1, 2], 2), ShapeError, "as many"),
        (([1, 2], [1, 2], [1, 2], 0), ParameterError, "count"),
        (([1, 2], [1, 2], [1, 2], 2.5), ParameterError, "count"),
        (([1, 2], [1, 2], [1, -2], 2), ParameterError, "sd"),
        (([1, 2], [1, 2], [1, math.nan], 2), ParameterError, "sd"),
    ],
)
def test_means_that_cannot_be_expanded(
    arguments: tuple[Any, ...], error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        curves.expand_means(*arguments)


# ---- the sandwich --------------------------------------------------------------------------------


def hc3(j: Any, residuals: Any, weights: Any) -> Any:
    """The estimate HC3 of MacKinnon and White, written with NumPy's matrices."""
    bread = np.linalg.inv(j.T @ (weights[:, None] * j))
    leverage = weights * ((j @ bread) * j).sum(axis=1)
    scores = j * (weights * residuals / (1 - leverage))[:, None]
    return bread @ (scores.T @ scores) @ bread


@pytest.mark.parametrize("weights", [np.ones(10), 1 / SD**2])
def test_sandwich_of_least_squares(weights: Any) -> None:
    fit = curves.logistic4.fit(X, Y, sample_weight=weights, covariance="sandwich")
    expected = hc3(slopes(fit.params, X), Y - np.asarray(fit(X)), weights)
    np.testing.assert_allclose(fit.covariance, expected, rtol=1e-6)
    low, high = fit.confidence_interval(interval="wald")["top"]
    assert (high - low) / 2 == pytest.approx(2.4469118511449692 * math.sqrt(expected[1, 1]))
    row = slopes(fit.params, np.array([2.0]))[0]
    band = fit.predict(2.0, "confidence")
    assert float(band.high - band.value) == pytest.approx(
        2.4469118511449692 * math.sqrt(row @ expected @ row), rel=1e-6
    )


def test_sandwich_of_a_line_as_statsmodels_has_it() -> None:
    """sm.OLS and sm.WLS, weights 1, 2, ... 10, .fit(cov_type="HC3").bse of statsmodels 0.14."""
    x = np.arange(10.0)
    y = np.array([1.1, 1.9, 3.4, 3.6, 5.5, 5.1, 8.0, 6.6, 9.9, 8.2])
    fit = curves.linear.fit(x, y, covariance="sandwich")
    assert (fit.stderr["intercept"], fit.stderr["slope"]) == pytest.approx(
        (0.38318666506431903, 0.13748678231991135), rel=1e-9
    )
    fit = curves.linear.fit(x, y, sample_weight=x + 1, covariance="sandwich")
    assert (fit.stderr["intercept"], fit.stderr["slope"]) == pytest.approx(
        (0.8705613327311962, 0.2131724092438828), rel=1e-9
    )


def test_sandwich_of_labels_and_counts() -> None:
    """Scores are (y - f) / V(f) times the derivatives of f, and so are weights 1 / V(f)."""
    rng = np.random.default_rng(2)
    x = np.linspace(-3, 3, 40)
    labels = (rng.random(40) < 1 / (1 + np.exp(-x))).astype(float)
    fit = curves.platt.fit(x, labels, covariance="sandwich")
    f = np.asarray(fit(x))
    j = (f * (1 - f))[:, None] * np.column_stack((x, np.ones(40)))
    expected = hc3(j, labels - f, 1 / (f * (1 - f)))
    np.testing.assert_allclose(fit.covariance, expected, rtol=1e-6)
    counts = rng.poisson(50 * np.exp(-0.3 * (x + 3)))
    decay = curves.exponential.fit(x + 3, counts, loss="poisson", covariance="sandwich")
    f = np.asarray(decay(x + 3))
    by_name = {
        "rate": -(x + 3) * f,
        decay.curve.parameters[0]: f / decay.params[decay.curve.parameters[0]],
    }
    j = np.column_stack([by_name[name] for name in decay.params])
    np.testing.assert_allclose(decay.covariance, hc3(j, counts - f, 1 / f), rtol=1e-6)


def test_no_sandwich() -> None:
    with pytest.raises(
        ParameterError, match="the loss 'huber'; expected 'squared', 'log' or 'poisson'"
    ):
        curves.linear.fit(X, Y, loss="huber", covariance="sandwich")
    with pytest.raises(ParameterError, match="'gauss-newton', 'hessian' or 'sandwich'"):
        curves.linear.fit(X, Y, covariance="hc3")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="'gauss-newton' or 'hessian'"):
        curves.linear.fit_groups(X, Y, [1, 2] * 5, covariance="sandwich")  # type: ignore[arg-type]
    alone = curves.linear.fit([0, 0, 0, 1], [1, 2, 3, 4], covariance="sandwich")
    assert alone.stderr["slope"] == math.inf


# ---- bands ---------------------------------------------------------------------------------------


def test_a_band_for_the_whole_curve() -> None:
    """Scheffe's: sqrt(4 F) standard errors; F of 4 and 6 df at 95 % is 4.5336769502752426."""
    pytest.importorskip("scipy.special")
    fit = curves.logistic4.fit(X, Y)
    at = np.array([0.05, 1.0, 7.0, 200.0])
    band = fit.predict(at, "simultaneous")
    j = slopes(fit.params, at)
    errors = np.sqrt(((j @ fit.covariance) * j).sum(axis=1))
    reach = math.sqrt(4 * 4.5336769502752426) * errors
    np.testing.assert_allclose(band.high - band.value, reach, rtol=1e-6)
    np.testing.assert_allclose(band.value - band.low, reach, rtol=1e-6)
    known = curves.logistic4.fit(
        X, Y, sample_weight=1 / SD**2, absolute_sigma=True, fixed={"bottom": 0}
    )
    j = slopes(known.params, at)[:, 1:]
    errors = np.sqrt(((j @ known.covariance[1:, 1:]) * j).sum(axis=1))
    reach = math.sqrt(7.814727903251179) * errors  # chi-squared of 3 df
    band = known.predict(at, "simultaneous")
    np.testing.assert_allclose(band.high - band.value, reach, rtol=1e-6)


def test_weights_of_new_observations() -> None:
    fit = curves.logistic4.fit(X, Y, sample_weight=1 / SD**2)
    at, weights = np.array([0.05, 1.0, 1.0, 200.0]), np.array([1.0, 0.25, 0.25, 4.0])
    inner, outer = (fit.predict(at, kind) for kind in ("confidence", "prediction"))
    quantile = 2.4469118511449692
    errors = (inner.high - inner.value) / quantile
    np.testing.assert_allclose(
        outer.high - outer.value, quantile * np.hypot(errors, fit.residual_sd), rtol=1e-10
    )
    band = fit.predict(at, "prediction", sample_weight=weights)
    np.testing.assert_allclose(
        band.high - band.value,
        quantile * np.hypot(errors, fit.residual_sd / np.sqrt(weights)),
        rtol=1e-10,
    )
    one = fit.predict(1.0, "prediction", sample_weight=0.25)
    assert float(one.high) == float(band.high[1])
    for options, match in (
        ({"interval": "confidence", "sample_weight": 2}, "only with"),
        ({"interval": "prediction", "sample_weight": -2}, "finite weights"),
    ):
        with pytest.raises(ParameterError, match=match):
            fit.predict(at, **options)  # type: ignore[call-overload]
    with pytest.raises(ShapeError, match="shape"):
        fit.predict(at, "prediction", sample_weight=[1, 2])
