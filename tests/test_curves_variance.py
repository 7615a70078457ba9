"""Errors that are not the same everywhere: weights, powers, transforms, counts, proportions."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import mpmath as mp
import numpy as np
import numpy.typing as npt
import pytest
from scipy import optimize, special, stats

import cbackprop as cbp
from cbackprop import cli, curves
from cbackprop.errors import ParameterError

# R datasets::Puromycin, state treated
CONC = np.repeat([0.02, 0.06, 0.11, 0.22, 0.56, 1.1], 2)
RATE = np.array([76.0, 47, 97, 107, 123, 139, 159, 152, 191, 201, 207, 200])


def _numbers(text: str) -> npt.NDArray[np.float64]:
    return np.array([float(word) for word in text.split()])


# R package drcData: ryegrass
DOSE = np.array([0.0] * 6 + [0.94] * 3 + [1.88] * 3 + [3.75] * 3 + [7.5] * 3 + [15] * 3 + [30] * 3)
LENGTH = _numbers(
    "7.58 8 8.328571429 7.25 7.375 7.9625 8.355555556 6.914285714 7.75 6.871428571 "
    "6.45 5.922222222 1.925 2.885714286 4.233333333 1.1875 0.857142857 1.057142857 "
    "0.6875 0.525 0.825 0.25 0.22 0.44"
)

# ---- the losses ----------------------------------------------------------------------------------


def exact_loss(loss: str, a: mp.mpf, y: mp.mpf, s: mp.mpf) -> mp.mpf:
    if loss == "binomial":

        def part(p: mp.mpf, q: mp.mpf) -> mp.mpf:
            return p * mp.log(p / q) if p else mp.mpf(0)

        return 2 * (part(y, a) + part(1 - y, 1 - a))
    if loss == "box_cox":
        return ((a**s - y**s) / s if s else mp.log(a / y)) ** 2

    def power(t: mp.mpf, c: mp.mpf) -> mp.mpf:
        return t**c / c if c else mp.log(t)

    def antiderivative(t: mp.mpf) -> mp.mpf:
        return power(t, 2 - 2 * s) - y * power(t, 1 - 2 * s) if t else mp.mpf(0)

    return 2 * (antiderivative(a) - antiderivative(y))


@pytest.mark.thread_unsafe(reason="mpmath's precision is the process's")
@pytest.mark.parametrize(
    ("loss", "scale"),
    [
        ("binomial", 1.0),
        *(("power", s) for s in (-0.4, 0.0, 0.3, 0.5, 0.75, 1.0, 1.7)),
        *(("box_cox", s) for s in (-1.0, 0.0, 1e-9, 0.25, 1.0, 2.0)),
    ],
)
def test_losses_and_their_derivatives(loss: Any, scale: float) -> None:
    net = cbp.Chain([1.0], [0.0], "identity")
    options = {"loss": loss, "loss_scale": scale}
    pairs = [(0.3, 0.31), (0.3, 0.3000001), (0.999, 0.5), (1e-3, 0.7)]
    pairs += [(0.25, 0.0)] if loss == "binomial" or 0 < scale < 1 else []
    pairs += [(0.25, 1.0)] if loss == "binomial" else [(2.0, 300.0), (1e5, 3.0)]
    for a, y in pairs:
        value, gradient = net.loss_and_gradient([a], [y], **options)
        second = net.hessian([a], [y], **options)[1, 1]
        with mp.workdps(60):
            at, s = (mp.mpf(a), mp.mpf(y)), mp.mpf(scale)

            def exact(t: mp.mpf, y: mp.mpf = at[1], s: mp.mpf = s) -> mp.mpf:
                return exact_loss(loss, t, y, s)

            bound = 1e-13 * max(1, abs(math.log(a))) * (1 + abs(a / (a - y)) * 1e-3)
            assert value == pytest.approx(float(exact(at[0])), rel=bound), (a, y)
            assert gradient[1] == pytest.approx(float(mp.diff(exact, at[0])), rel=bound)
            curvature = float(mp.diff(exact, at[0], 2))
            assert second == pytest.approx(curvature, rel=1e-12, abs=1e-14 * value / a / a)


def test_losses_where_there_is_none() -> None:
    net = cbp.Chain([1.0], [0.0], "identity")
    for a in (-0.1, 1.1):
        assert math.isnan(net.loss(a, 0.5, loss="binomial"))
    assert math.isnan(net.loss(-0.1, 0.5, loss="power"))
    assert math.isnan(net.loss(-0.1, 0.5, loss="box_cox"))
    assert net.loss(0.0, 0.0, loss="binomial") == net.loss(1.0, 1.0, loss="binomial") == 0
    assert net.loss(0.0, 0.5, loss="binomial") == math.inf


@pytest.mark.parametrize(
    ("loss", "scale", "y", "words"),
    [
        ("power", 1.0, 0.0, r"y: 0\.0; the power loss needs targets above 0 with this loss_scale"),
        ("box_cox", 0.0, 0.0, r"y: 0\.0; the box_cox loss needs targets above 0"),
        ("power", 0.5, -1.0, r"y: -1\.0; the power loss needs finite targets of 0 or more"),
        ("binomial", 1.0, 1.5, r"y: 1\.5; the binomial loss needs targets between 0 and 1"),
        ("box_cox", math.nan, 1.0, "loss_scale: nan; expected a finite exponent"),
        ("power", math.inf, 1.0, "loss_scale: inf; expected a finite exponent"),
    ],
)
def test_losses_refuse(loss: Any, scale: float, y: float, words: str) -> None:
    net = cbp.Chain([1.0], [0.0], "identity")
    with pytest.raises(ParameterError, match=words):
        net.loss(1.0, y, loss=loss, loss_scale=scale)
    if math.isfinite(scale):
        with pytest.raises(ParameterError, match=words.replace("y:", r"y\[1\]:")):
            net.loss([1.0, 1.0], [0.5, y], loss=loss, loss_scale=scale)
        with pytest.raises(ParameterError, match=words.replace("y:", r"y\[1\]:")):
            curves.linear.fit([1, 2, 3], [0.5, y, 1], loss=loss, loss_scale=scale)


# ---- weights by rule -----------------------------------------------------------------------------


@pytest.mark.parametrize(("rule", "power"), [("1/y", 1), ("1/y2", 2)])
def test_weights_of_y_are_sample_weights(rule: Any, power: int) -> None:
    own = curves.michaelis_menten.fit(CONC, RATE, weights=rule)
    given = curves.michaelis_menten.fit(CONC, RATE, sample_weight=RATE**-power)
    assert own.params == pytest.approx(given.params, rel=1e-12)
    assert own.stderr == pytest.approx(given.stderr, rel=1e-12)
    assert own.log_likelihood == pytest.approx(given.log_likelihood, rel=1e-12)
    many = curves.michaelis_menten.fit_many(CONC, np.array([RATE, RATE[::-1]]), weights=rule)
    assert many.params["km"][0] == pytest.approx(own.params["km"], rel=1e-9)
    assert many[0].stderr == own.stderr
    assert many[0].variance_power == own.variance_power == power
    # R: nls(rate ~ Vm*conc/(K + conc), weights = 1/rate), at a tight tolerance
    if power == 1:
        assert own.params["vmax"] == pytest.approx(209.596815, rel=1e-8)


@pytest.mark.parametrize(("rule", "power"), [("1/fitted", 1), ("1/fitted2", 2)])
def test_weights_of_the_curve_are_those_of_iterated_reweighting(rule: Any, power: int) -> None:
    weight = np.ones_like(RATE)
    for _ in range(60):
        by_hand = curves.michaelis_menten.fit(CONC, RATE, sample_weight=weight, tolerance=1e-13)
        weight = by_hand(CONC) ** -power
    fitted = curves.michaelis_menten.fit(CONC, RATE, weights=rule)
    assert fitted.params == pytest.approx(by_hand.params, rel=1e-9)
    assert fitted.stderr == pytest.approx(by_hand.stderr, rel=1e-8)
    assert fitted.residual_sd == pytest.approx(by_hand.residual_sd, rel=1e-9)
    assert fitted.log_likelihood == pytest.approx(by_hand.log_likelihood, rel=1e-9)
    assert fitted.variance_power == power
    sets = np.vstack([RATE, RATE[::-1], RATE + 9])
    sets[2, 3] = math.nan
    many = curves.michaelis_menten.fit_many(CONC, sets, weights=rule)
    for i, row in enumerate(sets):
        kept = ~np.isnan(row)
        alone = curves.michaelis_menten.fit(CONC[kept], row[kept], weights=rule)
        assert many.params["km"][i] == pytest.approx(alone.params["km"], rel=1e-9)
        assert many.stderr["km"][i] == pytest.approx(alone.stderr["km"], rel=1e-9)
        assert many.residual_sd[i] == pytest.approx(alone.residual_sd, rel=1e-9)
        assert many[i].variance_power == power


def test_weights_in_groups() -> None:
    """Groups that share nothing are fitted alone, and have one variance."""
    x, y = np.tile(CONC, 2), np.concatenate([RATE, RATE[::-1] + 100])
    group = np.repeat([1, 2], 12)
    together = curves.hill.fit_groups(x, y, group, weights="1/fitted2")
    alone = [curves.hill.fit(CONC, part, weights="1/fitted2") for part in (y[:12], y[12:])]
    for label, fitted in zip((1, 2), alone, strict=True):
        assert together[label].params == pytest.approx(fitted.params, rel=1e-7)
    squares = sum(fitted.residual_sd**2 * fitted.df for fitted in alone)
    assert together.residual_sd == pytest.approx(math.sqrt(squares / together.df), rel=1e-8)
    logs = [
        stats.norm.logpdf(part, fitted(CONC), math.sqrt(squares / 24) * fitted(CONC)).sum()
        for part, fitted in zip((y[:12], y[12:]), alone, strict=True)
    ]
    assert together.log_likelihood == pytest.approx(sum(logs), rel=1e-8)


def test_poisson_is_a_variance_in_proportion_whose_factor_is_known() -> None:
    poisson = curves.michaelis_menten.fit(CONC, RATE, loss="poisson")
    fitted = curves.michaelis_menten.fit(CONC, RATE, weights="1/fitted")
    assert fitted.params == pytest.approx(poisson.params, rel=1e-9)
    for name, error in poisson.stderr.items():
        assert fitted.stderr[name] == pytest.approx(error * fitted.residual_sd, rel=1e-8)


def test_gamma_regression() -> None:
    """A variance in proportion to the square of the mean: McCullagh and Nelder's gamma model."""
    x, y = np.arange(1.0, 9), np.array([2.1, 2.6, 3.9, 4.4, 6.8, 7.0, 8.1, 9.9])
    fitted = curves.linear.fit(x, y, weights="1/fitted2")
    w, b = fitted.params.values()
    for _ in range(3):  # the score equations
        mean = w * x + b
        assert ((y - mean) / mean**2).sum() == pytest.approx(0, abs=1e-9)
        assert ((y - mean) * x / mean**2).sum() == pytest.approx(0, abs=1e-9)
    assert fitted.mean_loss * 8 == pytest.approx(
        2 * (-np.log(y / mean) + (y - mean) / mean).sum(), rel=1e-12
    )


@pytest.mark.parametrize("rule", ["1/y", "1/y2", "1/fitted", "1/fitted2"])
def test_scatter_of_new_observations(rule: Any) -> None:
    """Prediction bands and back-calculation, by the delta method in NumPy."""
    fitted = curves.michaelis_menten.fit(CONC, RATE, weights=rule)
    vmax, km = fitted.params.values()
    power = 2 if rule.endswith("2") else 1
    x = np.array([0.03, 0.3])
    gradient = np.column_stack([x / (km + x), -vmax * x / (km + x) ** 2])
    variance = np.einsum("ij,jk,ik->i", gradient, fitted.covariance, gradient)
    scatter = fitted.residual_sd**2 * fitted(x) ** power
    reach = stats.t.ppf(0.975, 10) * np.sqrt(variance + scatter)
    band = fitted.predict(x, "prediction")
    assert band.high - band.value == pytest.approx(reach, rel=1e-9)
    slope = vmax * km / (km + x) ** 2
    found = fitted.inverse(fitted(x), replicates=3)
    assert found.stderr == pytest.approx(np.sqrt(variance + scatter / 3) / slope, rel=1e-9)


def test_weights_are_multiplied() -> None:
    counts = np.arange(1.0, 13)
    together = curves.hill.fit(CONC, RATE, sample_weight=counts, weights="1/y2")
    by_hand = curves.hill.fit(CONC, RATE, sample_weight=counts / RATE**2)
    assert together.params == pytest.approx(by_hand.params, rel=1e-12)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"weights": "1/x"}, "weights: '1/x' is no rule; did you mean '1/y'"),
        ({"weights": 2}, "weights: 2 is no rule"),
        ({"weights": "1/y", "loss": "huber"}, "weights: '1/y' with the loss 'huber'; expected"),
        ({"weights": "1/y", "sample_weight": [1, 2]}, "sample_weight: shape"),
    ],
)
def test_weights_refuse(options: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        curves.hill.fit(CONC, RATE, **options)


@pytest.mark.parametrize("y", [0.0, -2.0])
def test_weights_of_y_that_is_not_positive(y: float) -> None:
    values = np.array([5.0, y, 3.0, 2.0])
    with pytest.raises(ParameterError, match=rf"y\[1\]: {y!r}; weights of 1/y need a y above 0"):
        curves.linear.fit([1, 2, 3, 4], values, weights="1/y2")
    with pytest.raises(ParameterError, match=rf"y\[1, 1\]: {y!r}; weights of 1/y need"):
        curves.linear.fit_many([1, 2, 3, 4], np.vstack([np.arange(1, 5), values]), weights="1/y")
    many = curves.linear.fit_many(
        [1, 2, 3, 4], np.vstack([np.arange(1, 5), values]), weights="1/fitted2"
    )
    assert many.status[0] == "converged"
    assert "target" in many.status[1] or many.status[1] != "converged"


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "rates.csv"
    rows = [f"{x},{y},{g}" for g in "ab" for x, y in zip(CONC, RATE, strict=True)]
    path.write_text("\n".join(["conc,rate,g", *rows]), encoding="utf-8")
    columns = ["--x", "conc", "--y", "rate", "--curve", "michaelis_menten", "--json"]
    fitted = curves.michaelis_menten.fit(np.tile(CONC, 2), np.tile(RATE, 2), weights="1/fitted2")
    assert cli.main(["fit", str(path), *columns, "--weights", "1/fitted2"]) == 0
    assert json.loads(capsys.readouterr().out)["params"] == fitted.params
    fitted = curves.michaelis_menten.fit(CONC, RATE, weights="1/y")
    assert cli.main(["fit", str(path), *columns, "--group", "g", "--weights", "1/y"]) == 0
    for line in capsys.readouterr().out.splitlines():
        assert json.loads(line)["params"] == pytest.approx(fitted.params, rel=1e-9)
    transformed = ["--loss", "box_cox", "--loss-scale", "-0.5"]
    assert cli.main(["fit", str(path), *columns, *transformed]) == 0
    chain = [*columns[:4], "--activations", "identity", "--weights", "1/y"]
    assert cli.main(["fit", str(path), *chain]) == 2


# ---- transforms of both sides --------------------------------------------------------------------


def test_box_cox_ryegrass() -> None:
    """drc's manual, boxcox: LL.4, lambda 0.5; recomputed in 50 digits."""
    options: Any = {"loss": "box_cox", "loss_scale": 0.5}
    fitted = curves.logistic4.fit(DOSE, LENGTH, **options)
    exact = curves.logistic4.fit(DOSE, LENGTH, covariance="hessian", **options)
    names = ["bottom", "top", "ec50", "slope"]
    values = [0.39080611032365, 7.8663218373465, 3.016634098806, -2.6183317057589]
    errors = [0.096696920747045, 0.3000341547563, 0.22033655797007, 0.36736525602885]
    hessian = [0.10429218251027, 0.295575231974, 0.21005507971143, 0.39149719948629]
    assert [fitted.params[name] for name in names] == pytest.approx(values, rel=1e-9)
    assert [fitted.stderr[name] for name in names] == pytest.approx(errors, rel=1e-8)
    assert [exact.stderr[name] for name in names] == pytest.approx(hessian, rel=1e-7)
    assert fitted.residual_sd == pytest.approx(0.29629576897471, rel=1e-10)
    assert fitted.log_likelihood == pytest.approx(-13.798631970262, rel=1e-10)
    many = curves.logistic4.fit_many(DOSE, [LENGTH, LENGTH[::-1]], **options)
    assert many.params["ec50"][0] == pytest.approx(values[2], rel=1e-9)
    assert many.residual_sd[0] == pytest.approx(0.29629576897471, rel=1e-9)


def test_box_cox_effective_doses() -> None:
    """drc's manual, S.capricornutum: LN.3, lambda 0.0606; recomputed in 50 digits."""
    x = np.repeat([0.0, 5, 10, 20, 40, 80], 3)
    y = _numbers(
        "120.9 118 134 121.2 118.6 120.4 82.6 62.8 81.6 49.3 41.6 41.3 12.7 14.7 14.7 4.93 4 4.4"
    )
    fitted = curves.log_normal.fit(
        x,
        y,
        fixed={"lower": 0},
        loss="box_cox",
        loss_scale=0.060606060606061,
        covariance="hessian",
    )
    assert fitted.params["slope"] == pytest.approx(-1.0009859506061, rel=1e-9)
    assert fitted.stderr["slope"] == pytest.approx(0.044845495537508, rel=1e-6)
    assert fitted.stderr["upper"] == pytest.approx(7.5539482669879, rel=1e-6)
    for percent, value, error, low, high, low_log, high_log in (
        (10, 3.4544970514869, 0.49164405680017, 2.4065825500431, 4.5024115529308,
         2.5506008366079, 4.6787210713075),
        (50, 12.428175825835, 1.1009099415722, 10.081641831169, 14.774709820501,
         10.289855875134, 15.010856928631),
    ):  # fmt: skip
        wald = fitted.effective_dose(percent, interval="wald")
        log = fitted.effective_dose(percent)
        assert [*wald, wald.low, wald.high] == pytest.approx([value, error, low, high], rel=1e-6)
        assert [log.low, log.high] == pytest.approx([low_log, high_log], rel=1e-6)


def test_a_transform_by_hand() -> None:
    """The logarithm of both sides: a straight line of logarithms is a power law."""
    x, y = np.arange(1.0, 9), np.array([2.1, 6.6, 10.9, 19.4, 26.8, 37.0, 48.1, 59.9])
    fitted = curves.power.fit(x, y, loss="box_cox", loss_scale=0)
    line = stats.linregress(np.log(x), np.log(y))
    assert list(fitted.params.values()) == pytest.approx(
        [math.exp(line.intercept), line.slope], rel=1e-9
    )
    assert fitted.stderr["exponent"] == pytest.approx(line.stderr, rel=1e-9)
    # log-normal errors
    sd = fitted.residual_sd * math.sqrt(6 / 8)
    exact = stats.lognorm.logpdf(y, sd, scale=fitted(x)).sum()
    assert fitted.log_likelihood == pytest.approx(exact, rel=1e-10)
    same = curves.power.fit(x, y, loss="box_cox", loss_scale=1)
    plain = curves.power.fit(x, y)
    assert same.params == pytest.approx(plain.params, rel=1e-9)
    assert same.log_likelihood == pytest.approx(plain.log_likelihood, rel=1e-9)


# ---- proportions and counts ----------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["binomial", "log"])
def test_finney(loss: Any) -> None:
    """drc's manual, finney71: LL.2; recomputed in 50 digits. One dose is 0."""
    dose, total = np.array([10.2, 7.7, 5.1, 3.8, 2.6, 0]), np.array([50.0, 49, 46, 48, 50, 49])
    affected = np.array([44, 42, 24, 16, 6, 0])
    fitted = curves.logistic4.fit(
        dose, affected / total, sample_weight=total, loss=loss, fixed={"bottom": 0, "top": 1}
    )
    assert fitted.params["slope"] == pytest.approx(3.1035454792436, rel=1e-9)
    assert fitted.params["ec50"] == pytest.approx(4.8289179443804, rel=1e-9)
    assert fitted.stderr["slope"] == pytest.approx(0.38771783491268, rel=1e-8)
    assert fitted.stderr["ec50"] == pytest.approx(0.24958164214985, rel=1e-8)
    assert fitted.mean_loss * total.sum() == pytest.approx(1.4240565848086, rel=1e-10)
    wald, log = fitted.effective_dose(10, interval="wald"), fitted.effective_dose(10)
    expected = [2.3789280877324, 0.25164472634594, 1.8857134871949, 2.8721426882698]
    assert [*wald, wald.low, wald.high] == pytest.approx(expected, rel=1e-8)
    assert [log.low, log.high] == pytest.approx([1.9334840855687, 2.9269953080257], rel=1e-8)
    fieller = fitted.effective_dose(50, interval="fieller")
    assert [fieller.low, fieller.high] == pytest.approx([4.3410428333122, 5.3500965897992])
    likelihood = stats.binom.logpmf(affected, total, fitted(dose)).sum()
    assert fitted.log_likelihood == pytest.approx(likelihood, rel=1e-9)
    assert math.isnan(fitted.residual_sd)


@pytest.mark.parametrize(
    "curve",
    ["logistic4", "logistic5", "weibull_type1", "weibull_type2", "log_normal", "gompertz4"],
)
def test_proportions_in_every_dose_curve(curve: str) -> None:
    """At the minimum the score of SciPy's binomial likelihood is 0."""
    model = curves.CURVES[curve]
    dose = np.array([0.5, 1, 2, 4, 8, 16.0])
    total, dead = np.full(6, 40.0), np.array([2, 4, 11, 25, 34, 39])
    ends = {"logistic4": ("bottom", "top"), "logistic5": ("bottom", "top")}
    low, high = ends.get(curve, ("lower", "upper"))
    fitted = model.fit(dose, dead / total, sample_weight=total, loss="log", fixed={low: 0, high: 1})
    assert fitted.converged
    assert fitted.loss == "binomial"
    free = [name for name in model.parameters if name not in (low, high)]
    information = np.zeros((len(free), len(free)))
    gradients = []
    for name in free:
        step = 1e-6 * abs(fitted.params[name])
        ends_of = [model(dose, **(fitted.params | {name: fitted.params[name] + by}))
                   for by in (step, -step)]  # fmt: skip
        gradients.append((ends_of[0] - ends_of[1]) / (2 * step))
        scores = [stats.binom.logpmf(dead, total, p).sum() for p in ends_of]
        assert (scores[0] - scores[1]) / (2 * step) * fitted.stderr[name] == pytest.approx(
            0, abs=1e-5
        )
    p = fitted(dose)
    information = np.array(gradients) * (total / (p * (1 - p))) @ np.array(gradients).T
    errors = np.sqrt(np.linalg.inv(information).diagonal())
    assert [fitted.stderr[name] for name in free] == pytest.approx(errors, rel=1e-5)
    many = model.fit_many(
        dose, [dead / total] * 2, sample_weight=total, loss="log", fixed={low: 0, high: 1}
    )
    assert [many.params[name][1] for name in free] == pytest.approx(
        [fitted.params[name] for name in free], rel=1e-7
    )


def test_shared_slope_of_proportions() -> None:
    """drc's manual, daphnids: LL.2 with one slope; recomputed in 50 digits."""
    dose = np.tile(_numbers("105 400.07 600.1 1199.2 1999.33 3198.52 5596.91 9595.57"), 2)
    dead = _numbers("0 1 3 3 5 6 7 17 0 0 6 8 11 16 18 20")
    total, time = np.full(16, 20.0), np.repeat(["24h", "48h"], 8)
    options: Any = {"loss": "binomial", "fixed": {"bottom": 0, "top": 1}}
    fits = curves.logistic4.fit_groups(
        dose,
        dead / total,
        time,
        sample_weight=total,
        share=["slope"],
        **options,
    )
    assert fits.params["slope"] == pytest.approx(1.4992592660161, rel=1e-7)
    assert fits.stderr["slope"] == pytest.approx(0.17345423739532, rel=1e-6)
    assert fits["24h"].params["ec50"] == pytest.approx(4614.3824911601, rel=1e-7)
    assert fits["24h"].stderr["ec50"] == pytest.approx(708.0916763866, rel=1e-6)
    assert fits["48h"].stderr["ec50"] == pytest.approx(211.12215403233, rel=1e-6)
    assert fits.log_likelihood == pytest.approx(-27.853581667976, rel=1e-9)
    found = curves.dispersion(fits)
    assert found.pearson == pytest.approx(17.630437270056, rel=1e-9)
    assert found.df == 13
    assert found.p == pytest.approx(0.17206223128523, rel=1e-8)
    alone = curves.logistic4.fit_groups(dose, dead / total, time, sample_weight=total, **options)
    assert alone.log_likelihood == pytest.approx(-25.999944501803, rel=1e-9)
    assert curves.compare(alone, fits).likelihood_ratio == pytest.approx(3.7072743323468, rel=1e-8)
    assert curves.dispersion(alone).pearson == pytest.approx(13.87339188479, rel=1e-9)


def test_poisson_lemna() -> None:
    """R package drcData, lemna: LL.4 by the Poisson likelihood, in 50 digits."""
    conc = np.repeat([0, 0, 0.38, 0.76, 1.52, 3.03, 6.06, 12.13, 24.25, 48.5, 97], 4)
    fronds = _numbers(
        "70 66 61 65 65 61 69 67 66 64 67 64 65 54 61 60 56 58 57 55 50 51 63 52 49 52 56 "
        "52 41 42 44 47 37 37 37 37 36 31 35 36 34 30 29 31"
    )
    fitted = curves.logistic4.fit(conc, fronds, loss="poisson", covariance="hessian")
    values = [25.657464810885, 65.597260463949, 9.6978357500304, -0.82394604194797]
    errors = [7.69134120536, 2.7169000576986, 5.7704336624503, 0.30800241702991]
    assert list(fitted.params.values()) == pytest.approx(values, rel=1e-7)
    assert list(fitted.stderr.values()) == pytest.approx(errors, rel=1e-5)
    assert fitted.log_likelihood == pytest.approx(-130.35323432774, rel=1e-10)
    exact = stats.poisson.logpmf(fronds, fitted(conc)).sum()
    assert fitted.log_likelihood == pytest.approx(exact, rel=1e-10)


def test_log_factorials_of_the_binomial_likelihood() -> None:
    """Proportions and trials that are no integers have the continuous coefficient."""
    x, y, n = np.arange(4.0), np.array([0.1, 0.3, 0.7, 1.0]), np.array([2.5, 3, 4, 0])
    fitted = curves.linear.fit(x, y, sample_weight=n, loss="binomial")
    p, k = fitted(x)[:3], (n * y)[:3]
    logs = special.gammaln(n[:3] + 1) - special.gammaln(k + 1) - special.gammaln(n[:3] - k + 1)
    logs += k * np.log(p) + (n[:3] - k) * np.log1p(-p)
    assert fitted.log_likelihood == pytest.approx(logs.sum(), rel=1e-9)


# ---- exponents that are estimated ----------------------------------------------------------------


def test_power_of_the_mean_by_its_score() -> None:
    """The equations of Davidian and Giltinan, in NumPy."""
    found = curves.power_of_mean(curves.michaelis_menten, CONC, RATE)
    theta, fitted = found.exponent, found.fit
    assert fitted.loss_scale == pytest.approx(theta, abs=1e-8)
    mean = fitted(CONC)
    vmax, km = fitted.params.values()
    gradient = np.column_stack([CONC / (km + CONC), -vmax * CONC / (km + CONC) ** 2])
    scaled = gradient / mean[:, None] ** theta
    left = 1 - np.sum(np.linalg.qr(scaled)[0] ** 2, axis=1)
    squares = ((RATE - mean) / mean**theta) ** 2
    centred = np.log(mean) - np.average(np.log(mean), weights=left)
    score = (squares / (squares.sum() / 10) - left) @ centred
    assert score == pytest.approx(0, abs=1e-6)
    scores = gradient.T @ ((RATE - mean) / mean ** (2 * theta)) * list(fitted.stderr.values())
    assert scores / fitted.residual_sd**2 == pytest.approx(0, abs=1e-6)
    error = 1 / math.sqrt(2 * left @ centred**2)
    assert [found.low, found.high] == pytest.approx(
        [theta - 1.959964 * error, theta + 1.959964 * error], rel=1e-6
    )
    narrow = curves.power_of_mean(curves.michaelis_menten, CONC, RATE, level=0.5)
    assert narrow.high - theta == pytest.approx(0.6744898 * error, rel=1e-6)
    assert str(found).startswith(f"power, theta = {theta:.4g} (")


def test_power_of_the_mean_is_not_biased() -> None:
    """At 48 points, from 300 sets: within 0.03, and theta in its interval 9 times of 10."""
    rng = np.random.default_rng(8)
    x = np.repeat(np.geomspace(0.1, 100, 12), 4)
    true = curves.logistic4(x, bottom=1, top=20, ec50=3, slope=1.2)
    for theta in (0.0, 0.5, 1.0):
        found = [
            curves.power_of_mean(
                curves.logistic4, x, true + 0.1 * true**theta * rng.standard_normal(48)
            )
            for _ in range(300)
        ]
        assert np.mean([one.exponent for one in found]) == pytest.approx(theta, abs=0.03)
        assert np.mean([one.low < theta < one.high for one in found]) > 0.9


def test_box_cox_by_the_likelihood_of_scipy() -> None:
    """Lambda, its interval and the curve are where the likelihood of all parameters says."""
    found = curves.box_cox(curves.logistic4, DOSE, LENGTH)

    def likelihood(exponent: float) -> float:
        fitted = curves.logistic4.fit(DOSE, LENGTH, loss="box_cox", loss_scale=exponent)
        transformed = special.boxcox(LENGTH, exponent) - special.boxcox(fitted(DOSE), exponent)
        sd = math.sqrt((transformed**2).mean())
        jacobian = (exponent - 1) * np.log(LENGTH).sum()
        return float(stats.norm.logpdf(transformed, scale=sd).sum() + jacobian)

    best = optimize.minimize_scalar(lambda v: -likelihood(v), bounds=(-1, 2), method="bounded")
    assert found.exponent == pytest.approx(best.x, abs=1e-4)
    assert found.fit.log_likelihood == pytest.approx(-best.fun, rel=1e-9)
    for end in (found.low, found.high):
        assert likelihood(end) == pytest.approx(-best.fun - stats.chi2.ppf(0.95, 1) / 2, abs=1e-5)
    # drc's manual: 0.5 (0.269 to 0.949), on a grid of steps of 0.25
    assert found.low == pytest.approx(0.269, abs=0.01)
    assert found.high == pytest.approx(0.949, abs=0.01)
    assert str(found).startswith("box_cox, lambda = ")


def test_box_cox_with_little_to_say() -> None:
    """Responses that are all nearly the same: any transform does, and the interval has no end."""
    y = np.array([100.1, 101.2, 101.9, 103.1, 104.0, 104.8])
    found = curves.box_cox(curves.linear, np.arange(6.0), y)
    assert (found.low, found.high) == (-math.inf, math.inf)


def test_exponents_refuse() -> None:
    with pytest.raises(ParameterError, match="residuals are 0"):
        curves.power_of_mean(curves.linear, [1, 2, 3, 4], [2, 4, 6, 8])
    with pytest.raises(ParameterError, match="the curve is the same at all points"):
        curves.power_of_mean(curves.linear, [1, 2, 3, 4], [3, 4, 5, 4], fixed={"slope": 0})
    with pytest.raises(ParameterError, match="level: 1; expected between 0 and 1"):
        curves.power_of_mean(curves.hill, CONC, RATE, level=1)
    with pytest.raises(ParameterError, match="level: 0; expected between 0 and 1"):
        curves.box_cox(curves.hill, CONC, RATE, level=0)
    with pytest.raises(ParameterError, match=r"y\[0\]: 0\.0; the box_cox loss needs targets above"):
        curves.box_cox(curves.linear, [1, 2, 3, 4], [0, 4, 6, 8])


# ---- goodness of fit -----------------------------------------------------------------------------


def test_dispersion_of_deguelin() -> None:
    """drc's manual, deguelin (Morgan 1992, Table 3.9): LL.2, recomputed in 50 digits."""
    dose = _numbers(
        "5.12861383991365 10 20.4173794466953 30.1995172040202 40.7380277804113 50.1187233627272"
    )
    dead, total = _numbers("16 18 34 47 47 48"), _numbers("49 48 48 49 50 48")
    ends = {"bottom": 0, "top": 1}
    fitted = curves.logistic4.fit(
        dose, dead / total, sample_weight=total, loss="binomial", fixed=ends
    )
    assert fitted.params["slope"] == pytest.approx(1.9370543687398, rel=1e-9)
    assert fitted.params["ec50"] == pytest.approx(9.9521289748197, rel=1e-9)
    assert fitted.stderr["ec50"] == pytest.approx(0.92187032480066, rel=1e-8)
    found = curves.dispersion(fitted)
    assert found.pearson == pytest.approx(13.375125617942, rel=1e-10)
    assert found.df == 4
    assert found.p == pytest.approx(0.0095811370352875, rel=1e-9)
    assert found.ratio == pytest.approx(13.375125617942 / 4, rel=1e-10)
    best = stats.binom.logpmf(dead, total, dead / total).sum()
    assert found.deviance == pytest.approx(2 * (best - fitted.log_likelihood), rel=1e-8)
    assert found.deviance_p == pytest.approx(stats.chi2.sf(found.deviance, 4), rel=1e-9)
    assert str(found).startswith("Pearson 13.3751, deviance 15.4123 on 4 df")


def test_dispersion_of_counts() -> None:
    x, y = np.arange(6.0), _numbers("3 5 4 9 12 14")
    fitted = curves.exponential_growth.fit(x, y, loss="poisson")
    found, mean = curves.dispersion(fitted), fitted(x)
    assert found.pearson == pytest.approx(((y - mean) ** 2 / mean).sum(), rel=1e-12)
    assert found.deviance == pytest.approx(2 * (y * np.log(y / mean) - y + mean).sum(), rel=1e-10)
    with pytest.raises(ParameterError, match="its loss is 'squared'; expected 'poisson' or"):
        curves.dispersion(curves.linear.fit(x, y))
    with pytest.raises(cbp.CBackpropError, match="expected a CurveFit or GroupFits, got 3"):
        curves.dispersion(3)  # type: ignore[arg-type]


def test_bootstrap_of_errors_that_grow() -> None:
    """New errors are not drawn for losses that say how they grow: only whole points."""
    fitted = curves.michaelis_menten.fit(CONC, RATE, weights="1/fitted2")
    for kind in ("residual", "parametric"):
        with pytest.raises(ParameterError, match="with the loss 'power'; expected 'cases'"):
            curves.bootstrap(fitted, kind=kind, rng=1)
