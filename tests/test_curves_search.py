"""Hazard: a fit of a curve that ends in the wrong basin, or tells more than the data do."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from curve_cases import FORMULAS, draw, exact, noisy

import cbackprop as cbp
from cbackprop import curves

Floats = npt.NDArray[np.float64]


def both(
    curve: curves.Curve, x: Any, y: Any, weight: Any = None, **options: Any
) -> curves.CurveFit:
    """Fit alone and in company, and check that these agree; the fit alone."""
    alone = curve.fit(x, y, sample_weight=weight, **options)
    many = curve.fit_many(x, [y, y], sample_weight=weight, **options)
    for i in range(2):
        assert many.status[i] == alone.status
        assert many.rss[i] == pytest.approx(alone.rss, rel=1e-9, abs=1e-28 * np.sum(np.square(y)))
    return alone


def test_the_sign_of_a_power() -> None:
    x = np.linspace(0, 1, 12)
    y = np.array([10, 12.2, 18.3, 27, 36.8, 46.2, 54.2, 60.2, 64.4, 67, 68.5, 69.3])
    fitted = both(curves.weibull, x, y)
    assert fitted.rss == pytest.approx(0.003691183, rel=1e-6)
    assert fitted.params["power"] == pytest.approx(2.0006, rel=1e-4)


def test_soft_targets_far_from_the_middle() -> None:
    # one probability is near 0 to 64 digits, its target is not: its residual tells nothing
    x = [0.4, -29.6, -1.7, -0.7, 0.4, 6, -1.5]
    y = [0.99, 0.01, 0.01, 0.01, 0.99, 0.99, 0.01]
    fitted = both(curves.platt, x, y)
    assert fitted.converged
    assert fitted.params == pytest.approx({"slope": 2.55165774, "intercept": 0.68750172}, rel=1e-7)
    assert fitted.mean_loss == pytest.approx(0.244314, rel=2e-6)
    for start in (0.0, 1.0, 3.0):
        chain = cbp.fit(cbp.Chain([start], [0.5], "sigmoid"), x, y, loss="log")
        assert chain.converged
        assert chain.params == pytest.approx([2.55165774, 0.68750172], rel=1e-7)


def test_a_bound_that_the_data_respect_changes_nothing() -> None:
    x = [0, 0.17, 0.51, 1.5, 4.6, 14, 41, 124, 370, 1111, 3333, 10000.0]
    y = [0.997, 1.037, 1.095, 1.089, 1.061, 1.109, 1.06, 1.044, 1.064, 1.089, 0.979, 0.256]
    for bounds in (None, {"bottom": (0, None)}, {"top": (None, 5), "bottom": (-1, 1)}):
        assert both(curves.logistic4, x, y, bounds=bounds).rss == pytest.approx(0.0098765, rel=1e-6)


def test_rows_of_very_different_extents() -> None:
    near, far = np.linspace(0, 1, 12), np.linspace(0, 30, 12)
    formula = FORMULAS["logistic3"]
    y = [formula(near, 2.0, 0.5, 0.1), formula(far, 2.0, 15.0, 3.0)]
    fits = curves.logistic3.fit_many([near, far], y)
    assert fits.rss.tolist() == pytest.approx([0.0, 0.0], abs=1e-25)
    np.testing.assert_allclose(fits.params["midpoint"], [0.5, 15.0], rtol=1e-9)


def test_both_orientations_of_five_parameters() -> None:
    x = np.geomspace(1, 1000, 10)
    standard = {"bottom": 0.05, "top": 2.5, "ec50": 60.0, "slope": 3.0, "asymmetry": 0.35}
    y = exact("logistic5", x, standard)
    assert both(curves.logistic5, x, y).rss < 1e-25
    # steep at the other end: what is left of the top falls as the other one rises
    other = both(curves.logistic5, x, 2.55 - y)
    assert other.rss < 1e-25
    assert other.params["bottom"] > other.params["top"]
    assert other(x) == pytest.approx(2.55 - y, rel=1e-10)


def test_a_plateau_alone_tells_no_more() -> None:
    x = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30]
    y = [103.77, 102.99, 99, 104.75, 110.76, 101.19, 100.02, 93.45, 90.59, 69.15]
    fitted = both(curves.logistic4, x, y)
    assert (fitted.status, fitted.converged) == ("not_identified", False)
    assert fitted.message.endswith("not identified by the data: bottom, ec50")
    assert 103.4 < fitted.params["top"] < 103.85
    assert fitted.stderr["top"] == pytest.approx(1.7, abs=0.1)


def test_a_step_between_replicates() -> None:
    x = np.repeat([1.0, 1.25, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0], 3)
    y = np.repeat([100.0, 100, 100, 0, 0, 0, 0, 0], 3)
    y[11] = 100.0
    fitted = both(curves.logistic4, x, y)
    assert fitted.rss == pytest.approx(20000 / 3, rel=1e-8)
    assert fitted.message.endswith("not identified by the data: ec50, slope")
    assert fitted.params["bottom"] == pytest.approx(0.0, abs=1e-6)
    assert fitted.params["top"] == pytest.approx(100.0, rel=1e-6)


def test_three_doses() -> None:
    x = np.array([10.0, 0.625, 2.5, 10.0, 0.625, 2.5, 10.0, 0.625, 2.5])
    y = np.array(
        [
            61.408107781412,
            98.3181200924209,
            92.6050821600725,
            19.1515147744906,
            97.7336163702194,
            75.7946981922533,
            82.0473297811668,
            76.5281098812883,
            103.062728539761,
        ]
    )
    fitted = both(curves.logistic4, x, y)
    assert fitted.rss == pytest.approx(2742.599078, rel=1e-8)
    assert "bottom" in fitted.message.partition("not identified by the data: ")[2]
    for bottom in (54, 0, -100, -1000):
        held = both(curves.logistic4, x, y, fixed={"bottom": bottom})
        assert held.rss == pytest.approx(2742.599078, rel=1e-8)


def test_a_weighted_decay_at_times_that_double() -> None:
    rows = """0 9.0126 .01231, 1 8.5479 .01369, 3.14 7.7549 .01663, 9.88 5.5011 .03304,
        31.07 1.8498 .29225, 97.69 .1042 92.10105, 307.11 .1304 58.80914, 965.49 .0947 111.50646,
        3035.33 -.0704 201.76911, 9542.53 -.1265 62.49121, 30000 -.0623 257.6463"""
    x, y, weight = np.array([row.split() for row in rows.split(",")], dtype=float).T
    fitted = both(curves.exponential, x, y, weight)
    assert fitted.converged
    assert fitted.rss == pytest.approx(5.0227251, rel=1e-7)  # SciPy's best of 300 starts
    assert fitted.params == pytest.approx({"scale": 8.65357, "rate": 0.0457362}, rel=1e-5)
    assert fitted.stderr["scale"] == pytest.approx(3.249, rel=1e-3)
    assert fitted.stderr["rate"] == pytest.approx(0.009179, rel=1e-3)


def test_a_constant_that_the_curve_reaches_only_at_a_limit() -> None:
    fitted = both(curves.michaelis_menten, [1.0, 2, 3, 4], [5.0, 5.1, 4.9, 5.0])
    assert (fitted.status, fitted.converged) == ("not_identified", False)
    assert fitted.message.startswith("no minimum: ")
    assert fitted.message.endswith("not identified by the data: km")
    assert fitted.params["vmax"] == pytest.approx(5.0, rel=1e-9)
    assert fitted.confidence_interval()["km"] == (0.0, math.inf)


@pytest.mark.parametrize("name", curves.CURVES)
def test_alone_and_in_company(name: str) -> None:
    curve = curves.CURVES[name]
    rng = np.random.default_rng([9, len(name)])
    x, _ = draw(name, rng)
    rows = []
    for _ in range(40):
        _, true = draw(name, rng)
        clean = exact(name, x, true)
        noise = 0.03 * rng.normal(size=x.size)
        rows.append(
            np.clip(clean + noise, 0, 1) if name == "platt" else clean + noise * np.ptp(clean)
        )
    fits = curve.fit_many(x, rows)
    for i, row in enumerate(rows):
        alone = curve.fit(x, row)
        assert fits.status[i] == alone.status
        assert fits.rss[i] == pytest.approx(alone.rss, rel=1e-9)
        assert fits.df[i] == alone.df
        if alone.converged:
            for parameter, value in alone.params.items():
                assert fits.params[parameter][i] == pytest.approx(value, rel=1e-6)
    # nor does it matter who else is there, or how many
    part = curve.fit_many(x, rows[7:12])
    for parameter in curve.parameters:
        np.testing.assert_array_equal(part.params[parameter], fits.params[parameter][7:12])


@pytest.mark.parametrize("factor", [1e-12, 1e12])
@pytest.mark.parametrize("name", ["michaelis_menten", "logistic4", "hill", "exponential"])
def test_units_do_not_matter(name: str, factor: float) -> None:
    curve = curves.CURVES[name]
    x, y, _ = noisy(name, np.random.default_rng([2, len(name)]))
    fitted = both(curve, x, y)
    of_x = both(curve, x * factor, y)
    of_y = both(curve, x, y * factor)
    assert of_x.rss == pytest.approx(fitted.rss, rel=1e-9)
    assert of_y.rss == pytest.approx(fitted.rss * factor**2, rel=1e-9)
    assert of_x.status == of_y.status == fitted.status == "converged"


def test_a_minimum_that_least_squares_steps_approach_slowly() -> None:
    # an outlier makes residuals large: second derivatives matter
    x = np.array(
        [0.018, 0.039, 0.08, 0.164, 0.344, 0.706, 1.458, 3.051, 6.218, 12.984, 27.014, 54.598]
    )
    y = [5.4, 18.8, 24.2, 49.1, 69.5, 102.9, 130.8, 140.6, -1500.3, 170.2, 162.2, 171.0]
    fitted = both(curves.michaelis_menten, x, y)
    assert fitted.converged

    def loss(log_km: float) -> float:  # of the best vmax
        share = x / (np.exp(log_km) + x)
        return float(np.sum((y - share * (y @ share) / (share @ share)) ** 2))

    low, high = -3.0, 3.0
    for _ in range(60):
        left, right = low + 0.382 * (high - low), low + 0.618 * (high - low)
        low, high = (low, right) if loss(left) < loss(right) else (left, high)
    assert fitted.rss == pytest.approx(loss(low), rel=1e-12)
    assert fitted.params["km"] == pytest.approx(np.exp(low), rel=1e-5)


def test_a_minimum_that_rounding_hides() -> None:
    fitted = both(curves.power, [0.5, 5.25, 10], [28.8056433, 0.0222758, -0.32716337])
    assert fitted.converged
    # all but the first outputs are near 0, so that only they are left
    assert fitted.rss == pytest.approx(0.0222758**2 + 0.32716337**2, rel=1e-3)


@pytest.mark.parametrize("sign", [-1.0, 1.0])
@pytest.mark.parametrize("slope", [-1.0, 1.0])
def test_the_best_exponential_is_a_line(slope: float, sign: float) -> None:
    x = np.arange(8.0)
    cubic = np.array([-7.0, 5, 7, 3, -3, -7, -5, 7])  # orthogonal to parabolas
    y = 3 + slope * x + 0.05 * sign * cubic
    fitted = both(curves.asymptotic, x, y)
    line = np.polyval(np.polyfit(x, y, 1), x)
    assert (fitted.status, fitted.converged) == ("not_identified", False)
    assert fitted.rss == pytest.approx(np.sum((y - line) ** 2), rel=1e-8)
    assert fitted.params["start"] == pytest.approx(line[0], abs=1e-4)
    assert fitted.stderr["asymptote"] == fitted.stderr["rate"] == math.inf


def least_of_thresholds(x: Floats, y: Floats) -> float:
    """Return the least sum of squares over thresholds, every input included, and slopes."""
    inputs = np.unique(x)
    least = math.inf
    for e in np.unique(np.linspace(inputs[:-1], inputs[1:], 21)):
        for slope in np.geomspace(0.02, 50, 200):
            decay = np.exp(-slope * np.maximum(x - e, 0))
            matrix = np.stack([np.ones_like(x), decay], axis=1)
            left = y - matrix @ np.linalg.lstsq(matrix, y, rcond=None)[0]
            least = min(least, float(left @ left))
    return least


@pytest.mark.parametrize("seed", [9, 10, 13, 21, 26, 38, 47])
def test_the_best_threshold_between_inputs_or_at_one(seed: int) -> None:
    """Each interval between inputs may have a minimum of its own, and each input a kink."""
    rng = np.random.default_rng([5, seed, 14])
    x, true = draw("no_effect_dose", rng)
    clean = exact("no_effect_dose", x, true)
    y = clean + rng.normal(size=x.size) * 0.1 * np.ptp(clean)
    fitted = both(curves.no_effect_dose, x, y)
    assert fitted.converged
    assert fitted.rss <= least_of_thresholds(x, y) * (1 + 1e-12)


def test_a_minimum_at_a_kink() -> None:
    x = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    # 3 is a little high: a threshold below would miss it by more, one above the inputs behind it
    y = np.array([10.0, 10.0, 10.0, 10.3, 6.0, 3.7, 2.2])
    fitted = both(curves.no_effect_dose, x, y, fixed={"lower": 0.0})
    assert fitted.converged
    optimize = pytest.importorskip("scipy.optimize")
    known = optimize.least_squares(
        lambda p: p[0] * np.exp(-p[1] * np.maximum(x - 3, 0)) - y, [10, 0.5], xtol=1e-15
    )
    assert fitted.params["e"] == 3.0
    assert fitted.params["upper"] == pytest.approx(known.x[0], rel=1e-7)
    assert fitted.params["slope"] == pytest.approx(known.x[1], rel=1e-7)
    assert fitted.rss == pytest.approx(2 * known.cost, rel=1e-9)


def test_of_two_minima_that_are_almost_equal_the_lesser_is_found() -> None:
    # with an asymmetry near 1 both signs of the slope fit: the losses differ by 4e-6 of them
    optimize = pytest.importorskip("scipy.optimize")
    x = np.exp(np.linspace(-4, 4, 16))

    def curve(p: Any) -> Floats:
        rise: Floats = p[0] + (p[1] - p[0]) / (1 + (np.exp(p[2]) / x) ** p[3]) ** np.exp(p[4])
        return rise

    y = curve([0, 10, 0, 1.2, 0]) + np.random.default_rng(467).normal(size=16) * 0.3
    minima = sorted(
        2
        * optimize.least_squares(
            lambda p: curve(p) - y, start, method="lm", xtol=1e-15, ftol=1e-15, gtol=1e-15
        ).cost
        for start in ([0, 10, 0, 1.2, 0], [10, 0, 0, -1.2, 0])
    )
    assert minima[1] / minima[0] - 1 == pytest.approx(4.3976e-6, rel=1e-3)
    assert both(curves.logistic5, x, y).rss == pytest.approx(minima[0], rel=1e-10)


def test_one_input_has_no_threshold() -> None:
    assert both(curves.no_effect_dose, [2.0] * 6, [1.0, 2, 3, 4, 5, 6]).status == "not_identified"


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (
            [0.0, 1.429, 2.857, 4.286, 5.714, 7.143, 8.571, 10.0],
            [8.687, 7.499, 15.652, -14.033, -31.282, 0.86, 14.559, 2.172],
        ),
        ([0.0, 2.414, 4.828, 7.586, 10.0], [3.78, -42.066, -1.093, 5.339, 6.109]),
        # the residuals are so large that steps without damping overshoot: rounding ends the search
        (
            [0.0, 2.857143, 5.0, 7.142857, 10.0],
            [-8.000078, 36.445786, 22.079994, -4.044072, -5.312373],
        ),
    ],
)
def test_the_best_peak_among_few_points(x: list[float], y: list[float]) -> None:
    """A narrower peak on fewer of the points is a minimum, too, or has none."""
    optimize = pytest.importorskip("scipy.optimize")
    fitted = both(curves.gaussian_peak_baseline, x, y)
    assert fitted.converged
    formula = FORMULAS["gaussian_peak_baseline"]
    losses = [
        2
        * optimize.least_squares(
            lambda p: formula(np.array(x), *p) - y, [sign * 50, center, 1, 5], xtol=1e-15
        ).cost
        for sign in (-1, 1)
        for center in np.linspace(1, 9, 9)
    ]
    assert fitted.rss <= min(losses) * (1 + 1e-9)
    assert fitted.n_iterations < 200


@pytest.mark.parametrize(
    ("y", "least"),
    [
        ([10.408, 10.457, 9.816, 1.575, 0.387], 1),
        ([40.382, 41.793, 38.528, 9.557, 0.45], 5),
    ],
)
def test_the_best_step_among_few_points(y: list[float], least: float) -> None:
    """A steep step between two other inputs is a minimum, too."""
    optimize = pytest.importorskip("scipy.optimize")
    x = np.linspace(0, 10, 5)
    fitted = both(curves.gompertz4, x, y)
    start = [1.4, y[-1], y[0], 7.0]
    known = optimize.least_squares(lambda p: FORMULAS["gompertz4"](x, *p) - y, start, xtol=1e-15)
    assert 2 * known.cost < least
    assert fitted.converged
    assert fitted.rss <= 2 * known.cost * (1 + 1e-9)


def least_of_steps(y: Floats) -> float:
    """Return the least sum of squares of two levels, and of two with any value between them."""
    losses = [
        np.sum((y[:k] - y[:k].mean()) ** 2) + np.sum((y[k:] - y[k:].mean()) ** 2)
        for k in range(1, y.size)
    ]
    for k in range(1, y.size - 1):
        left, right = y[:k], y[k + 1 :]
        if min(left.mean(), right.mean()) < y[k] < max(left.mean(), right.mean()):
            losses.append(np.sum((left - left.mean()) ** 2) + np.sum((right - right.mean()) ** 2))
    return float(min(losses))


@pytest.mark.parametrize("name", ["logistic4_log10", "log_normal", "weibull_type1", "logistic5"])
@pytest.mark.parametrize(
    "y",
    [
        [1.0, 1, 1, 3, 1, 1, 3, 1, 3, 3, 3, 3],
        [3.0, 1, 3, 3, 1, 1, 1, 3, 1, 3, 3, 1],
        [0.0, 0.1, -0.1, 0, 0.1, 0, 0.05, 1, 8, 8, 8.1, 7.9],
    ],
)
def test_a_step_that_leaves_less_than_a_minimum(name: str, y: list[float]) -> None:
    x = np.linspace(-2, 2, 12)
    fitted = both(curves.CURVES[name], x if name == "logistic4_log10" else 10.0**x, y)
    assert fitted.rss <= least_of_steps(np.array(y)) * (1 + 1e-6)


def test_a_step_from_zero_through_a_point() -> None:
    # an outlier: the least loss is that of 0 below an input, a mean above, and any value at it
    x = np.linspace(0, 10, 12)
    y = np.array([-1.0, 9, 24, 40, 46, 55, 56, 647, 56, 56, 52, 58])
    least = min(
        np.sum(y[:k] ** 2) + np.sum((y[k + 1 :] - y[k + 1 :].mean()) ** 2)
        for k in range(1, 11)
        if 0 < y[k] < y[k + 1 :].mean()
    )
    fitted = both(curves.gompertz, x, y)
    assert fitted.rss <= least * (1 + 1e-9)
    assert fitted.status == "not_identified"


@pytest.mark.parametrize(
    ("name", "y", "start"),
    [
        # the best candidate is a step, from which the loss has no minimum
        ("gompertz", [0.108, 1.875, 2.2399, 2.2303], [2.2, 3.0, 0.85]),
        ("gompertz", [0.3993, 4.5551, 5.1233, 4.8953], [5.0, 2.5, 1.0]),
        # or a narrow peak between two inputs
        ("gaussian_peak_baseline", [7.1541, 7.4272, 8.7979, 7.2025, 7.1859], [1.8, 4.6, 1, 7.2]),
    ],
)
def test_a_minimum_behind_a_limit(name: str, y: list[float], start: list[float]) -> None:
    optimize = pytest.importorskip("scipy.optimize")
    x = np.linspace(0, 10, len(y))
    known = optimize.least_squares(lambda p: FORMULAS[name](x, *p) - y, start, xtol=1e-15)
    fitted = both(curves.CURVES[name], x, y)
    assert fitted.converged
    assert fitted.rss <= 2 * known.cost * (1 + 1e-9)


def test_a_kink_of_a_lopsided_curve() -> None:
    """With an asymmetry near 0 and a large slope: an exponential up to a kink, then a plateau."""
    optimize = pytest.importorskip("scipy.optimize")
    x = np.linspace(0, 10, 12)
    y = np.array([1.0, 1, 1, 3, 1, 1, 3, 3, 3, 1, 1, 3])

    def residuals(p: Any) -> Floats:
        left: Floats = p[0] * np.exp(p[1] * np.minimum(x - p[2], 0)) - y
        return left

    kinks = [optimize.least_squares(residuals, [2, 0.1, at], xtol=1e-15) for at in (3, 5.8, 6.2)]
    fitted = both(curves.richards, x, y)
    # which the curve only approaches
    assert fitted.rss <= 2 * min(found.cost for found in kinks) * (1 + 1e-3)


@pytest.mark.parametrize("at", [2, 9])
def test_an_outlier_does_not_lead_away_from_an_activation_energy(at: int) -> None:
    x = np.linspace(280, 360, 12)
    y = 8e10 * np.exp(-6e4 / (8.31446261815324 * x))
    y[at] += 10 * np.ptp(y)
    fitted = both(curves.arrhenius, x, y)
    least = np.inf
    for energy in np.linspace(-3e5, 3e5, 6001):  # J/mol
        shape = np.exp(energy / 8.31446261815324 * (1 / 320 - 1 / x))
        factor = max(shape @ y / (shape @ shape), 0)
        least = min(least, float(np.sum((y - factor * shape) ** 2)))
    assert fitted.rss <= least * (1 + 1e-6)
