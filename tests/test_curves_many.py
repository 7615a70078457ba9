"""Many fits of one curve: as one by one, with what single fits know."""

from __future__ import annotations

import _thread
import pickle
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import curve_cases
import numpy as np
import numpy.typing as npt
import pytest

import cbackprop as cbp
from cbackprop import curves

Floats = npt.NDArray[np.float64]
DOSES = np.geomspace(0.02, 60.0, 12)
GROWN = np.linspace(0.5, 10.0, 14)

# curve, inputs, and natural parameters around which the data are made
CASES: dict[str, tuple[Floats, dict[str, float]]] = {
    "linear": (GROWN, {"slope": 1.5, "intercept": -2.0}),
    "exponential": (GROWN, {"scale": 3.0, "rate": 0.3}),
    "saturation": (GROWN, {"asymptote": 5.0, "rate": 0.4}),
    "asymptotic": (GROWN, {"asymptote": 5.0, "start": 1.0, "rate": 0.4}),
    "power": (GROWN, {"scale": 2.0, "exponent": 0.7}),
    "michaelis_menten": (DOSES, {"vmax": 4.0, "km": 1.5}),
    "hill": (DOSES, {"top": 4.0, "ec50": 1.5, "slope": 1.4}),
    "logistic3": (GROWN, {"asymptote": 5.0, "midpoint": 4.0, "scale": 1.2}),
    "logistic4_linear": (GROWN, {"left": 1.0, "right": 5.0, "midpoint": 4.0, "scale": 1.0}),
    "logistic4": (DOSES, {"bottom": 0.5, "top": 4.0, "ec50": 1.5, "slope": -1.3}),
    "gompertz": (GROWN, {"asymptote": 5.0, "displacement": 6.0, "rate": 0.7}),
    "gaussian_peak": (GROWN, {"height": 5.0, "center": 4.0, "width": 1.5}),
    "arrhenius": (np.linspace(280.0, 360.0, 12), {"prefactor": 2e5, "activation_energy": 3e4}),
}


def noisy(name: str, seed: int, m: int) -> Floats:
    """Data of m curves, with 2 % noise."""
    x, natural = CASES[name]
    clean = curve_cases.exact(name, x, natural)
    rng = np.random.default_rng(seed)
    return clean + 0.02 * np.ptp(clean) * rng.standard_normal((m, x.size))


def check(curve: curves.Curve, x: Floats, y: Floats, fits: Any, **options: Any) -> None:
    """Compare with fits one by one."""
    for i in range(len(y)):
        there = np.isfinite(y[i])
        own = x if x.ndim == 1 else x[i]
        alone = curve.fit(own[there], y[i][there], **options)
        assert fits.status[i] == alone.status == "converged", i
        assert fits.rss[i] == pytest.approx(alone.rss, rel=1e-10)
        assert fits.df[i] == alone.df
        assert fits.residual_sd[i] == pytest.approx(alone.residual_sd, rel=1e-9)
        for parameter, value in alone.params.items():
            error = alone.stderr[parameter]
            # both stop at a share of the standard error; errors are of the point before
            assert abs(fits.params[parameter][i] - value) <= 1e-6 * error + 1e-12 * abs(value)
            assert fits.stderr[parameter][i] == pytest.approx(error, rel=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_as_one_by_one(name: str) -> None:
    x, y = CASES[name][0], noisy(name, 11, 20)
    curve = curves.CURVES[name]
    fits = curve.fit_many(x, y)
    check(curve, x, y, fits)
    assert fits.converged.all()
    assert len(fits) == 20
    assert repr(fits) == f"<CurveFits of 20 {name}: 20 converged>"


def test_missing_points_inputs_of_their_own_and_threads() -> None:
    y = noisy("logistic4", 12, 30)
    y[::3, 4] = y[1::3, 0] = np.nan
    x = np.tile(DOSES, (30, 1)) * np.linspace(0.9, 1.1, 30)[:, None]
    fits = curves.logistic4.fit_many(x, y)
    check(curves.logistic4, x, y, fits)
    shared = curves.logistic4.fit_many(DOSES, y)
    check(curves.logistic4, DOSES, y, shared)
    many = np.tile(y, (200, 1))
    one, three = (curves.logistic4.fit_many(DOSES, many, threads=k) for k in (1, 3))
    for name in one.params:
        np.testing.assert_array_equal(one.params[name], three.params[name])
        np.testing.assert_array_equal(one.params[name][:30], shared.params[name])


@pytest.mark.parametrize("options", [{"fixed": {"bottom": 0.5}}, {"bounds": {"slope": (-5, 5)}}])
def test_what_is_fixed_or_bounded(options: dict[str, Any]) -> None:
    y = noisy("logistic4", 13, 20)
    fits = curves.logistic4.fit_many(DOSES, y, **options)
    check(curves.logistic4, DOSES, y, fits, **options)


def test_a_bound_that_only_a_fit_by_itself_can_keep() -> None:
    y = noisy("logistic4", 14, 10)
    bounds: dict[str, tuple[float | None, float | None]] = {"top": (None, 3.9)}
    fits = curves.logistic4.fit_many(DOSES, y, bounds=bounds)
    assert (fits.params["top"] <= 3.9).all()
    alone = [curves.logistic4.fit(DOSES, row, bounds=bounds).rss for row in y]
    np.testing.assert_allclose(fits.rss, alone, rtol=1e-9)


def test_each_fit_is_there_whole() -> None:
    y = noisy("hill", 4, 3)
    x = DOSES * np.array([[1.0], [2.0], [0.5]])
    weights = np.linspace(1, 3, y.size).reshape(y.shape)
    y[1, 2] = np.nan
    options: dict[str, Any] = {"bounds": {"top": (0, 3.9)}, "loss": "huber", "loss_scale": 0.1}
    fits = curves.hill.fit_many(x, y, sample_weight=weights, **options)
    again = pickle.loads(pickle.dumps(fits))
    for i, each in enumerate(again):
        there = np.isfinite(y[i])
        own = {"sample_weight": weights[i][there]} | options
        alone = curves.hill.fit(x[i][there], y[i][there], **own)
        assert each.params == fits[i - 3].params == alone.params
        np.testing.assert_array_equal(each.covariance, alone.covariance)
        assert each.df == fits.df[i]
    one_x = curves.hill.fit_many(DOSES, y[:1], sample_weight=weights[0], fixed={"slope": 1})
    assert one_x[0].params == (
        curves.hill.fit(DOSES, y[0], sample_weight=weights[0], fixed={"slope": 1}).params
    )
    with pytest.raises(IndexError, match="out of bounds"):
        fits[3]
    with pytest.raises(TypeError, match="cannot be interpreted as an integer"):
        fits[0:2]  # type: ignore[index]
    few = curves.hill.fit_many(DOSES, np.where(np.arange(12) < 2, 1.0, np.nan)[None])
    with pytest.raises(cbp.ShapeError, match="2 points are fewer than 3 parameters"):
        few[0]


def test_labels() -> None:
    rng = np.random.default_rng(15)
    x = np.linspace(-3.0, 3.0, 60)
    y = (rng.random((10, 60)) < 1.0 / (1.0 + np.exp(-1.5 * x - 0.3))).astype(float)
    fits = curves.platt.fit_many(x, y)
    for i in range(10):
        alone = curves.platt.fit(x, y[i])
        for name, value in alone.params.items():
            assert fits.params[name][i] == pytest.approx(value, rel=1e-7)
            assert fits.stderr[name][i] == pytest.approx(alone.stderr[name], rel=1e-5)


def test_data_that_cannot_be_fitted_harm_nobody() -> None:
    y = noisy("logistic4", 16, 6)
    clean = curves.logistic4.fit_many(DOSES, y)
    y[1, 2:] = np.nan
    y[4, 3] = np.inf
    fits = curves.logistic4.fit_many(DOSES, y)
    assert fits.status.tolist() == [
        "converged",
        "too_few_points",
        "converged",
        "converged",
        "not_finite",
        "converged",
    ]
    for name, values in fits.params.items():
        assert np.isnan(values[[1, 4]]).all()
        kept = [0, 2, 3, 5]
        np.testing.assert_array_equal(values[kept], clean.params[name][kept])
    assert np.isnan(fits.rss[[1, 4]]).all()


def test_bad_arguments() -> None:
    y = noisy("logistic4", 17, 3)
    with pytest.raises(cbp.ParameterError, match="logistic4 is defined from 0"):
        curves.logistic4.fit_many(-DOSES, y)
    with pytest.raises(cbp.ParameterError, match="fixed: 'botom' is not a parameter"):
        curves.logistic4.fit_many(DOSES, y, fixed={"botom": 0.0})
    with pytest.raises(cbp.ShapeError, match=r"y: shape \(12,\), expected \(m, n\)"):
        curves.logistic4.fit_many(DOSES, y[0])
    with pytest.raises(cbp.ParameterError, match="threads"):
        curves.logistic4.fit_many(DOSES, y, threads=0)


def test_bounds_at_both_ends_are_kept_by_fits_one_by_one() -> None:
    y = noisy("logistic4", 15, 6)
    bounds: dict[str, tuple[float | None, float | None]] = {
        "bottom": (0.7, None),
        "top": (None, 3.5),
    }
    fits = curves.logistic4.fit_many(DOSES, y, bounds=bounds)
    for i in range(len(y)):
        alone = curves.logistic4.fit(DOSES, y[i], bounds=bounds)
        assert fits.status[i] == alone.status
        assert fits.converged[i] == alone.converged
        assert fits.rss[i] == pytest.approx(alone.rss, rel=1e-9)
        for name, value in alone.params.items():
            assert fits.params[name][i] == pytest.approx(value, rel=1e-8)
            assert fits.stderr[name][i] == pytest.approx(alone.stderr[name], rel=1e-7)


@pytest.mark.parametrize("name", curves.CURVES)
def test_the_curves_are_those_that_were_fitted(name: str, tmp_path: Path) -> None:
    curve, rng, m = curves.CURVES[name], np.random.default_rng(7), 50
    drawn = [curve_cases.noisy(name, rng)[:2] for _ in range(m)]
    width = max(x.size for x, _ in drawn)
    inputs, targets = np.ones((m, width)), np.full((m, width), np.nan)
    for i, (x, y) in enumerate(drawn):
        inputs[i, : x.size], targets[i, : x.size] = x, y
    fits = curve.fit_many(inputs, targets)
    outputs = fits(inputs)
    np.testing.assert_array_equal(fits.predict(inputs), outputs)
    middle = np.nanmean(targets, axis=1)
    can_invert = not {"gaussian", "relu"} & set(curve.activations)
    inverse = fits.inverse(middle[:, None])[:, 0] if can_invert else middle
    for i, (x, y) in enumerate(drawn):
        alone, own = curve.fit(x, y), outputs[i, : x.size]
        assert fits.status[i] == alone.status, i
        near: dict[str, Any] = {
            "rtol": 1e-9,
            "atol": 1e-9 * float(np.ptp(y)),
            "err_msg": f"set {i}",
        }
        np.testing.assert_allclose(own, alone(x), **near)
        np.testing.assert_allclose(fits.chains[i](x), alone(x), **near)
        fits.chains[i].save(tmp_path / "chain.json")
        np.testing.assert_array_equal(cbp.load(tmp_path / "chain.json")(x), own)
        assert np.sum((y - own) ** 2) == pytest.approx(fits.rss[i], rel=1e-12, abs=0)
        if can_invert:
            back = float(alone.inverse(float(middle[i])).value)
            np.testing.assert_allclose(inverse[i], back, rtol=1e-9, equal_nan=True)
        natural = {key: values[i] for key, values in fits.params.items()}
        if fits.status[i] == "converged":  # elsewhere parameters are beyond what the formula can do
            formula = curve_cases.exact(name, x, natural)
            np.testing.assert_allclose(own, formula, rtol=1e-9, atol=1e-9 * np.ptp(y))


def test_the_fitted_curve_of_a_published_shape() -> None:
    x = np.geomspace(0.01, 100.0, 10)
    true = {"bottom": 0.1, "top": 2.0, "ec50": 1.5, "slope": 1.2}
    fits = curves.logistic4.fit_many(x, curve_cases.exact("logistic4", x, true)[None])
    assert fits([1.5])[0, 0] == pytest.approx(1.05, rel=1e-12)
    assert fits.inverse([1.05])[0, 0] == pytest.approx(1.5, rel=1e-12)
    assert fits.chains[0].inverse(1.05) == pytest.approx(1.5, rel=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_where_a_bound_needs_another_form_the_curves_are_still_those_fitted(seed: int) -> None:
    y = noisy("logistic4", 20 + seed, 10)
    bounds: dict[str, tuple[float | None, float | None]] = {"top": (None, 3.9)}
    fits = curves.logistic4.fit_many(DOSES, y, bounds=bounds)
    for i in range(len(y)):
        natural = {key: values[i] for key, values in fits.params.items()}
        formula = curve_cases.exact("logistic4", DOSES, natural)
        np.testing.assert_allclose(fits(DOSES)[i], formula, rtol=1e-12)
        assert np.sum((y[i] - formula) ** 2) == pytest.approx(fits.rss[i], rel=1e-10)


def test_failed_fits_compute_nothing() -> None:
    y = noisy("logistic4", 16, 2)
    y[1, 2:] = np.nan
    fits = curves.logistic4.fit_many(DOSES, y)
    assert np.isnan(fits(DOSES)[1]).all()
    assert np.isnan(fits.inverse([1.0, 2.0])[1]).all()
    assert np.isfinite(fits(DOSES)[0]).all()


# ---- Ctrl-C --------------------------------------------------------------------------------------


@pytest.fixture
def _ctrl_c() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt, whatever this process was started with."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.native
@pytest.mark.thread_unsafe(reason="Ctrl-C is the process's")
@pytest.mark.usefixtures("_ctrl_c")
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(("n", "own_x"), [(12, False), (12, True), (4000, False), (4000, True)])
def test_ctrl_c_ends_many_fits_of_a_curve(n: int, own_x: bool, threads: int) -> None:
    x = np.geomspace(0.02, 60.0, n)
    y = np.tile(0.5 + 3.5 / (1.0 + (x / 1.5) ** 1.3), (400_000 // n, 1))
    inputs, sent = np.tile(x, (len(y), 1)) if own_x else x, []

    def interrupt() -> None:
        sent.append(time.process_time())
        _thread.interrupt_main()

    def fit_on() -> None:
        for _ in range(1000):  # a fast machine may be done before the signal comes
            curves.logistic4.fit_many(inputs, y, threads=threads)

    timer = threading.Timer(0.15, interrupt)
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            fit_on()
    finally:
        timer.cancel()
    assert time.process_time() - sent[0] < 0.2  # of all threads, whatever else this machine does
