"""A curve of one's own: what it computes, what its fits find, how it travels, what is refused."""

from __future__ import annotations

import math
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.optimize import curve_fit, least_squares

import cbackprop as cbp
from cbackprop import curves

Floats = npt.NDArray[np.float64]

# Curves of the library, defined anew: the arguments besides names, activations and the log axis.
ANEW: dict[str, tuple[dict[str, Any], Any]] = {
    "exponential": ({"w1": "-rate", "b1": 0, "w2": "scale", "b2": 0}, "rates"),
    "asymptotic": (
        {"w1": "-1*rate", "b1": 0, "w2": "start - asymptote", "b2": "asymptote"},
        "rates",
    ),
    "power": ({"w1": 1, "b1": 0, "w2": "exponent", "b2": 0, "w3": "scale", "b3": 0}, "powers"),
    "michaelis_menten": (
        {"w1": 1, "b1": 0, "w2": 1, "b2": "-log(km)", "w3": "vmax", "b3": 0},
        "middles",
    ),
    "hill": (
        {"w1": 1, "b1": 0, "w2": "slope", "b2": "-slope * log(ec50)", "w3": "top", "b3": 0},
        "steps",
    ),
    "logistic3": (
        {"w1": "1 / scale", "b1": "-midpoint / scale", "w2": "asymptote", "b2": "0"},
        "steps",
    ),
    "logistic4": (
        {
            "w1": 1,
            "b1": 0,
            "w2": "slope",
            "b2": "-slope * log(ec50)",
            "w3": "top - bottom",
            "b3": "bottom",
        },
        "steps",
    ),
    "logistic5": (
        {
            "w1": 1,
            "b1": 0,
            "w2": "slope",
            "b2": "-slope*log(ec50)",
            "w3": "asymmetry",
            "b3": 0,
            "w4": "top - bottom",
            "b4": "bottom",
        },
        "lopsided",
    ),
    "gompertz": (
        {"w1": "-rate", "b1": "log(displacement)", "w2": -1, "b2": 0, "w3": "asymptote", "b3": 0},
        "steps",
    ),
    "logistic4_log10": (
        {
            "w1": "2.302585092994046 * slope",
            "b1": "-2.302585092994046 * slope * logec50",
            "w2": "top - bottom",
            "b2": "bottom",
        },
        "steps",
    ),
    "log_normal": (
        {
            "w1": 1,
            "b1": 0,
            "w2": "slope",
            "b2": "-slope * log(e)",
            "w3": "upper - lower",
            "b3": "lower",
        },
        "steps",
    ),
    "gaussian_peak": (
        {"w1": "1.0 / width", "b1": "-center / width", "w2": "height", "b2": 0},
        "peaks",
    ),
    "platt": ({"w1": "slope", "b1": "intercept"}, "steps"),
}

# Photosynthesis over light, of Jassby and Platt (1976): P tanh(a x / P), less the loss in the dark.
LIGHT: dict[str, Any] = {
    "parameters": ("maximum", "efficiency", "loss"),
    "activations": ("tanh", "identity"),
    "params": {"w1": "efficiency / maximum", "b1": 0, "w2": "maximum", "b2": "-loss"},
    "positive": ("maximum", "efficiency"),
    "start": {"maximum": 20, "efficiency": 0.1, "loss": 0.0},
}
TRUE = {"maximum": 12.5, "efficiency": 0.04, "loss": 1.5}


def light(x: Floats, maximum: float, efficiency: float, loss: float) -> Floats:
    """Compute the curve of LIGHT by its formula."""
    return np.asarray(maximum * np.tanh(efficiency * x / maximum) - loss)


def from_the_data(x: Floats, y: Floats) -> dict[str, float]:
    """Start from the range of the data."""
    return {"maximum": np.ptp(y), "efficiency": 2 * np.ptp(y) / np.ptp(x), "loss": -y.min()}


def anew(name: str) -> curves.Curve:
    """Define a curve of the library as a user would."""
    model = curves.CURVES[name]
    params, start = ANEW[name]
    return curves.define(
        f"own_{name}",
        parameters=model.parameters,
        activations=model.activations,
        params=params,
        positive=model.positive,
        start=start,
        loss=model.loss,
        log_axis=model.log_axis,
    )


def data_of(name: str, m: int) -> tuple[Floats, Floats]:
    """Draw noisy data of a curve of the library."""
    rng = np.random.default_rng([m, len(name)])
    natural = {
        "scale": 3.0,
        "rate": 0.4,
        "asymptote": 5.0,
        "start": 1.0,
        "exponent": 1.4,
        "vmax": 7.0,
        "km": 2.0,
        "bottom": 0.5,
        "top": 6.0,
        "ec50": 3.0,
        "slope": -1.8,
        "asymmetry": 0.7,
        "midpoint": 4.0,
        "displacement": 6.0,
        "height": 4.0,
        "center": 4.5,
        "width": 1.2,
        "intercept": 4.0,
        "logec50": 4.0,
        "lower": 0.5,
        "upper": 6.0,
        "e": 3.0,
    }
    curve = curves.CURVES[name]
    x = np.geomspace(0.1, 60, 14) if curve.log_axis else np.linspace(0.2, 10, 14)
    exact = curve(x, **{key: natural[key] for key in curve.parameters})
    if curve.loss == "log":
        return x, (rng.random((m, 14)) < exact).astype(float)
    return x, exact + 0.05 * rng.normal(size=(m, 14))


# ---- what it computes and finds ------------------------------------------------------------------


@pytest.mark.parametrize("name", ANEW)
def test_a_curve_of_the_library_defined_anew_is_the_same(name: str) -> None:
    model, own = curves.CURVES[name], anew(name)
    for field in ("parameters", "activations", "frozen", "positive", "domain", "loss", "log_axis"):
        assert getattr(own, field) == getattr(model, field)
    x, y = data_of(name, 6)
    expected, found = model.fit(x, y[0]), own.fit(x, y[0])
    assert (found.params, found.stderr) == (expected.params, expected.stderr)
    assert found.chain.params.tolist() == expected.chain.params.tolist()
    assert found.confidence_interval() == expected.confidence_interval()
    assert (found.status, found.rss) == (expected.status, expected.rss)
    group = np.repeat(range(6), 14)
    share, stacked = model.parameters[:1], (np.tile(x, 6), y.reshape(-1), group)
    assert (
        str(own.fit_groups(*stacked, share=share)).splitlines()[1:]
        == (str(model.fit_groups(*stacked, share=share)).splitlines()[1:])
    )
    many, model_many = own.fit_many(x, y), model.fit_many(x, y)
    assert many.status.tolist() == model_many.status.tolist()
    for key in model.parameters:
        np.testing.assert_array_equal(many.params[key], model_many.params[key])
        np.testing.assert_array_equal(many.stderr[key], model_many.stderr[key])


@pytest.mark.parametrize("start", [LIGHT["start"], from_the_data], ids=["mapping", "function"])
def test_a_new_curve_is_fitted_as_scipy_fits_its_formula(start: Any) -> None:
    curve = curves.define("light", **{**LIGHT, "start": start})
    x = np.linspace(0, 900, 19)
    np.testing.assert_allclose(curve(x, **TRUE), light(x, **TRUE), rtol=1e-14)
    exact = curve.fit(x, light(x, **TRUE))
    assert exact.params == pytest.approx(TRUE, rel=1e-10)
    y = light(x, **TRUE) + np.random.default_rng(5).normal(0, 0.3, (20, 19))
    y[3, 7] = math.nan
    many = curve.fit_many(x, y)
    for i, row in enumerate(y):
        present = ~np.isnan(row)
        expected, covariance = curve_fit(
            light, x[present], row[present], p0=list(TRUE.values()), xtol=1e-14, ftol=1e-14
        )
        fitted = curve.fit(x, row, nan_policy="omit")
        assert fitted.converged
        np.testing.assert_allclose(list(fitted.params.values()), expected, rtol=1e-7)
        errors = np.sqrt(np.diag(covariance))
        np.testing.assert_allclose(list(fitted.stderr.values()), errors, rtol=1e-5)
        for key in curve.parameters:
            assert many.params[key][i] == fitted.params[key]
            assert many.stderr[key][i] == pytest.approx(fitted.stderr[key], rel=1e-12)


def test_starts_choose_the_minimum_of_a_sine() -> None:
    sine = curves.define(
        "sine",
        parameters=("height", "frequency", "phase"),
        activations=("sin", "identity"),
        params={"w1": "frequency", "b1": "phase", "w2": "height", "b2": 0},
        start=lambda x, y: {"height": 1.0, "frequency": float(round(y.max())), "phase": 0.1},
    )
    x = np.linspace(0, 6, 60)
    frequency = np.array([2.0, 3.0, 4.0])
    y = frequency[:, None] * np.sin(1.01 * frequency[:, None] * x + 0.3)
    fits = sine.fit_many(x, y)
    np.testing.assert_allclose(fits.params["frequency"], 1.01 * frequency, rtol=1e-10)
    np.testing.assert_allclose(fits.params["height"], frequency, rtol=1e-10)
    np.testing.assert_allclose(fits.params["phase"], 0.3, rtol=1e-9)
    # rows with inputs of their own, each with the start of its own data
    own = sine.fit_many(np.tile(x, (3, 1)), y)
    assert own.params["phase"].tolist() == fits.params["phase"].tolist()


@pytest.mark.parametrize("start", [LIGHT["start"], from_the_data], ids=["mapping", "function"])
def test_groups_that_share_a_parameter(start: Any) -> None:
    curve = curves.define("light", **{**LIGHT, "start": start})
    x = np.tile(np.linspace(0, 900, 12), (2, 1))
    levels = ((12.5, 1.5), (30.0, 0.4))
    y = np.array([light(x[0], level, 0.04, loss) for level, loss in levels])
    y += np.random.default_rng(9).normal(0, 0.3, y.shape)

    def residuals(at: Floats) -> Floats:
        return np.ravel([light(x[g], at[g], at[2], at[3 + g]) - y[g] for g in range(2)])

    expected = least_squares(
        residuals,
        [12.5, 30, 0.04, 1.5, 0.4],
        "3-point",
        x_scale="jac",
        ftol=None,
        xtol=1e-15,
        gtol=None,
    ).x
    fits = curve.fit_groups(x, y, np.repeat(["a", "b"], 12), share=["efficiency"])
    assert fits.converged
    np.testing.assert_allclose(fits.params["maximum"], expected[:2], rtol=1e-6)
    assert fits.params["efficiency"] == pytest.approx(expected[2], rel=1e-6)
    np.testing.assert_allclose(fits.params["loss"], expected[3:], rtol=1e-6)


def test_data_that_cannot_be_fitted_harm_nobody() -> None:
    curve = curves.define("light", **{**LIGHT, "start": from_the_data})
    x = np.linspace(0, 900, 9)
    y = np.tile(light(x, **TRUE), (4, 1))
    y[1] = math.nan
    y[2, 3] = math.inf
    y[3, 2:] = math.nan
    fits = curve.fit_many(x, y)
    alone = curves.hill.fit_many(x, y)
    assert fits.status[0] == "converged"
    assert fits.status[1:].tolist() == alone.status[1:].tolist()
    assert fits.params["loss"][0] == pytest.approx(1.5, rel=1e-10)


def test_fixed_and_bounded() -> None:
    curve = curves.define("light", **LIGHT)
    x = np.linspace(0, 900, 19)
    y = light(x, **TRUE) + np.random.default_rng(6).normal(0, 0.3, 19)
    fitted = curve.fit(x, y, fixed={"loss": 1.0}, bounds={"maximum": (None, 11.0)})
    assert fitted.params["loss"] == 1.0
    assert fitted.params["maximum"] == pytest.approx(11.0, rel=1e-15)
    assert fitted.message.endswith("at a bound: maximum")
    expected, _ = curve_fit(
        lambda x, efficiency: light(x, 11.0, efficiency, 1.0),
        x,
        y,
        p0=[0.04],
        xtol=1e-14,
        ftol=1e-14,
    )
    assert fitted.params["efficiency"] == pytest.approx(expected[0], rel=1e-6)


def test_all_that_a_fit_has(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib").use("agg")
    curve = curves.define("light", **LIGHT)
    x = np.linspace(0, 900, 19)
    fitted = curve.fit(x, light(x, **TRUE) + np.random.default_rng(7).normal(0, 0.1, 19))
    fitted.save(tmp_path / "light.json")
    assert cbp.load(tmp_path / "light.json") == fitted.chain
    band = fitted.predict(x, "confidence")
    assert (band.low < band.value).all()
    assert (band.value < band.high).all()
    found = fitted.inverse(fitted(300.0))
    assert float(found.value) == pytest.approx(300.0)
    fitted.plot(residuals=True)
    assert str(fitted).startswith("light: maximum * tanh((efficiency / maximum) * x) - loss\n")


def test_effective_doses_are_those_of_the_chain() -> None:
    pytest.importorskip("matplotlib").use("agg")
    curve = curves.define(
        "fall",
        parameters=("top", "ec50"),
        activations=("exp", "identity"),
        params={"w1": "-1 / ec50", "b1": 0, "w2": "top", "b2": 0},
        start={"top": 1, "ec50": 1},
        domain=(0, None),
    )
    x = np.linspace(0, 4, 9)
    fitted = curve.fit(x, 3 * np.exp(-x / 1.5))
    assert fitted.effective_dose(50).value == pytest.approx(1.5 * math.log(2), rel=1e-12)
    fitted.plot()


def test_a_curve_without_limits_has_no_effective_dose() -> None:
    pytest.importorskip("matplotlib").use("agg")
    curve = curves.define(
        "line",
        parameters=("slope", "ec50"),
        activations=("identity",),
        params={"w1": "slope", "b1": "-slope * ec50"},
        start={"slope": 1, "ec50": 1},
    )
    x = np.linspace(0, 4, 9)
    fitted = curve.fit(x, 3 * (x - 2))
    with pytest.raises(cbp.ParameterError, match="limit"):
        fitted.effective_dose(50)
    fitted.plot()


def test_the_formula_is_that_of_the_chain() -> None:
    assert anew("logistic4").formula == (
        "(top - bottom) * sigmoid(slope * log(x) - slope * log(ec50)) + bottom"
    )
    curve = curves.define(
        "line",
        parameters=("a", "b"),
        activations=("identity", "identity"),
        params={"w1": -2, "b1": "a", "w2": " b ", "b2": -1.5},
        start={"a": 1, "b": 1},
    )
    assert curve.formula == "b * ((-2) * x + a) - 1.5"


def test_formula_loss_domain_and_axis_are_those_given() -> None:
    curve = curves.define(
        "light",
        **LIGHT,
        formula="P tanh(a x / P) - R",
        loss="huber",
        domain=(0, None),
        log_axis=True,
    )
    assert (curve.formula, curve.loss, curve.log_axis) == ("P tanh(a x / P) - R", "huber", True)
    assert curve.domain == (0.0, math.inf)
    with pytest.raises(cbp.ParameterError, match="light is defined from 0 to inf"):
        curve.fit([-1.0, 1.0, 2.0], [1.0, 2.0, 3.0])
    assert curve not in list(curves.CURVES.values())


# ---- where it goes -------------------------------------------------------------------------------


def fit_elsewhere(curve: curves.Curve, x: Floats, y: Floats) -> Any:
    """Fit in another process, and send the fits back."""
    return curve, curve.fit(x, y[0]), curve.fit_many(x, y)


def test_a_curve_and_its_fits_go_to_other_processes() -> None:
    x = np.linspace(0, 900, 19)
    y = light(x, **TRUE) + np.random.default_rng(8).normal(0, 0.3, (3, 19))
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        for start in (LIGHT["start"], from_the_data, "steps"):
            given = {**LIGHT, "start": start}
            if start == "steps":
                given |= {"params": {**LIGHT["params"], "w1": "efficiency"}}
            curve = curves.define("light", **given)
            same, fitted, many = pool.submit(fit_elsewhere, curve, x, y).result()
            assert same == curve
            assert fitted.curve == curve
            expected = curve.fit(x, y[0])
            assert (fitted.params, fitted.stderr) == (expected.params, expected.stderr)
            assert str(fitted) == str(expected)
            expected_many = curve.fit_many(x, y)
            assert many.params["loss"].tolist() == expected_many.params["loss"].tolist()


def test_equal_by_definition() -> None:
    curve = curves.define("light", **LIGHT)
    other: dict[str, Any]
    assert curve == curves.define("light", **{**LIGHT, "parameters": list(LIGHT["parameters"])})
    assert hash(curve) == hash(pickle.loads(pickle.dumps(curve)))
    assert len({curve, pickle.loads(pickle.dumps(curve))}) == 1
    for other in (
        {"start": {**LIGHT["start"], "loss": 0.5}},
        {"params": {**LIGHT["params"], "b2": "loss"}},
        {"positive": ("maximum",)},
        {"loss": "huber"},
        {"domain": (0, None)},
    ):
        assert curve != curves.define("light", **{**LIGHT, **other})
    assert curve != curves.define("dark", **LIGHT)
    assert curve != curves.linear


def test_it_prints_as_its_definition() -> None:
    curve = curves.define("light", **LIGHT)
    assert eval(repr(curve), {"curves": curves}) == curve
    assert repr(curve).startswith("curves.define('light', parameters=('maximum', 'efficiency', ")


# ---- expressions ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (2, 2.0),
        (np.float32(0.5), 0.5),
        ("-1.5e-3", -0.0015),
        ("a", 1.7),
        (" -a ", -1.7),
        ("2*a", 3.4),
        ("-.5 * a", -0.85),
        ("a - b", 1.7 - 0.6),
        ("log(b)", math.log(0.6)),
        ("-3 * log( b )", -3 * math.log(0.6)),
        ("a * log(b)", 1.7 * math.log(0.6)),
        ("-2 * a*log(b)", -3.4 * math.log(0.6)),
        ("a * b", 1.7 * 0.6),
        ("b * a", 1.7 * 0.6),
        ("-3 * b * a", -3 * 1.7 * 0.6),
        ("1 / a", 1 / 1.7),
        ("-4/a", -4 / 1.7),
        ("a / b", 1.7 / 0.6),
        ("-2 * a / b", -3.4 / 0.6),
    ],
)
def test_an_expression_is_what_it_says(text: Any, value: float) -> None:
    curve = curves.define(
        "any",
        parameters=("a", "b"),
        activations=("identity", "identity"),
        params={"w1": text, "b1": "a", "w2": "b", "b2": 0},
        positive=("b",),
        start={"a": 1, "b": 1},
    )
    assert curve.chain(a=1.7, b=0.6).params[0] == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a b",
        "2a",
        "a + b",
        "a * b",  # both positive
        "a * b * c",
        "-a - b",
        "2 * a - b",
        "a - 1",
        "a ** 2",
        "exp(a)",
        "log(2)",
        "log(a",
        "--a",
        "a * 2",
        "a; b",
        "a / 2",
        "1 / a / b",
        "__import__('os')",
        "1e999",
        "0 * a",
        "log(b - a)",
    ],
)
def test_any_other_expression_is_refused(text: str) -> None:
    given: dict[str, Any] = {"w1": text, "b1": "a", "w2": "b", "b2": 0}
    with pytest.raises(cbp.ParameterError) as caught:
        curves.define(
            "any",
            parameters=("a", "b"),
            activations=("identity", "identity"),
            params=given,
            positive=("a", "b"),
            start="steps",
        )
    assert str(caught.value).startswith(f"params['w1']: {text!r}; ")
    assert "expected " in str(caught.value)


# ---- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"name": 3}, cbp.InputTypeError, "name: expected a text, got 3"),
        ({"name": ""}, cbp.ParameterError, "name: ''; expected printable text"),
        ({"name": "a\0b"}, cbp.ParameterError, r"name: 'a\\x00b'; expected printable text"),
        ({"formula": "\ud800"}, cbp.ParameterError, "formula: .*; expected printable text"),
        ({"formula": 1}, cbp.InputTypeError, "formula: expected a text, got 1"),
        ({"parameters": "abc"}, cbp.InputTypeError, "parameters: expected a sequence of names"),
        ({"parameters": ()}, cbp.ShapeError, "parameters: 0 names; expected 1 to 5"),
        ({"parameters": tuple("abcdef")}, cbp.ShapeError, "parameters: 6 names; expected 1 to 5"),
        ({"parameters": ("a", 1)}, cbp.InputTypeError, "parameters: expected names, got 1"),
        ({"parameters": ("a", "a")}, cbp.ParameterError, "parameters: 'a' twice"),
        ({"parameters": ("a", "x")}, cbp.ParameterError, "parameters: 'x'; expected a name"),
        ({"parameters": ("a", "self")}, cbp.ParameterError, "parameters: 'self'; expected a name"),
        ({"parameters": ("a", "b c")}, cbp.ParameterError, "parameters: 'b c'; expected a name"),
        ({"parameters": ("a", "if")}, cbp.ParameterError, "parameters: 'if'; expected a name"),
        ({"activations": ()}, cbp.ShapeError, "activations: 0 layers; expected 1 to 4"),
        ({"activations": ("tanh",) * 5}, cbp.ShapeError, "activations: 5 layers; expected 1 to 4"),
        ({"activations": ("tahn", "exp")}, cbp.ActivationError, "activations: 'tahn'.*tanh"),
        ({"params": ["a"]}, cbp.InputTypeError, "params: expected a mapping"),
        ({"params": {"w3": 1}}, cbp.ParameterError, "params: 'w3' is not a parameter of 2 layers"),
        ({"params": {"w1": "a"}}, cbp.ParameterError, "params: 'b1' is missing; expected w1, b1"),
        ({"w1": None}, cbp.InputTypeError, r"params\['w1'\]: expected a text or a number"),
        ({"w1": True}, cbp.InputTypeError, r"params\['w1'\]: expected a text or a number"),
        ({"w1": math.nan}, cbp.ParameterError, r"params\['w1'\]: nan; expected a finite number"),
        ({"w1": "aa"}, cbp.ParameterError, r"params\['w1'\]: 'aa'; 'aa' is not a parameter"),
        ({"w1": "a / a"}, cbp.ParameterError, "expected two different parameters"),
        ({"w1": "log(a)"}, cbp.ParameterError, "'a' is not in positive"),
        ({"w2": "a"}, cbp.ParameterError, "parameters: 'b' is in none of params"),
        ({"w1": 1, "w2": "a / b"}, cbp.ParameterError, "2 of them follow from no 1 of the chain"),
        ({"positive": ("c",)}, cbp.ParameterError, "positive: 'c' is not a parameter of any"),
        ({"positive": "a"}, cbp.InputTypeError, "positive: expected a sequence of names"),
        ({"loss": "square"}, cbp.ParameterError, "loss"),
        ({"loss": "log"}, cbp.ActivationError, "loss: 'log' is that of a final sigmoid"),
        ({"domain": 3}, cbp.ParameterError, r"domain: 3; expected \(low, high\)"),
        ({"domain": (1, 1)}, cbp.ParameterError, r"domain: \(1, 1\); expected \(low, high\)"),
        ({"domain": (math.nan, 1)}, cbp.ParameterError, "domain: .*; expected"),
        ({"domain": ("0", 1)}, cbp.InputTypeError, "domain: .*; expected"),
        ({"start": "step"}, cbp.ParameterError, "start: 'step'; .*steps.*or a mapping"),
        ({"start": None}, cbp.InputTypeError, "start: None; expected a word, a mapping or a"),
        ({"start": {"a": 1}}, cbp.ParameterError, "start: 'b' is missing"),
        ({"start": {"a": 1, "b": 1, "c": 1}}, cbp.ParameterError, "start: 'c' is not a parameter"),
        ({"start": {"a": 1, "b": math.nan}}, cbp.ParameterError, r"start\['b'\]: nan"),
        ({"start": {"a": 1, "b": 0}, "positive": ("b",)}, cbp.ParameterError, "positive"),
        ({"start": "lopsided"}, cbp.ParameterError, "start: 'lopsided'; this chain has no second"),
        (
            {"w1": "a / b", "w2": "-2 * a / b", "start": "steps"},
            cbp.ParameterError,
            "start: 'steps' is for chains whose parameters determine those of the curve",
        ),
    ],
)
def test_a_wrong_definition_is_refused(
    change: dict[str, Any], error: type[cbp.CBackpropError], words: str
) -> None:
    given: dict[str, Any] = {
        "name": "any",
        "parameters": ("a", "b"),
        "activations": ("tanh", "identity"),
        "params": {"w1": "a", "b1": 0, "w2": "b", "b2": 0},
        "start": {"a": 1, "b": 1},
    }
    places = {key: change[key] for key in change if key in given["params"]}
    given["params"] = {**given["params"], **places}
    given |= {key: change[key] for key in change if key not in places}
    with pytest.raises(error, match=words):
        curves.define(given.pop("name"), **given)


@pytest.mark.parametrize(
    ("found", "error", "words"),
    [
        (3, cbp.InputTypeError, "start: expected a mapping of names to numbers, got 3"),
        ({"maximum": 1}, cbp.ParameterError, "start: 'efficiency' is missing"),
        ({**TRUE, "maximum": -1}, cbp.ParameterError, r"start\['maximum'\]: -1.0; expected a pos"),
        ({**TRUE, "loss": "1"}, cbp.InputTypeError, r"start\['loss'\]: expected a number"),
    ],
)
def test_a_function_that_returns_no_start_is_told(found: Any, error: Any, words: str) -> None:
    curve = curves.define("light", **{**LIGHT, "start": lambda x, y: found})
    x = np.linspace(0, 900, 9)
    with pytest.raises(error, match=words):
        curve.fit(x, light(x, **TRUE))
    with pytest.raises(error, match=words):
        curve.fit_many(x, [light(x, **TRUE)])


def test_groups_that_share_nothing_have_a_start_each() -> None:
    """Two tides whose frequencies are far apart: one start for both would miss the other."""

    def start(x: Floats, y: Floats) -> dict[str, float]:
        waves = np.abs(np.fft.rfft(y - y.mean()))
        frequency = 2 * np.pi * (1 + int(np.argmax(waves[1:]))) / len(x)
        return {"height": float(np.ptp(y)) / 2, "frequency": frequency, "phase": 0.0}

    tide = curves.define(
        "tide",
        parameters=("height", "frequency", "phase"),
        activations=("sin", "identity"),
        params={"w1": "frequency", "b1": "phase", "w2": "height", "b2": 0},
        start=start,
    )
    x = np.arange(48.0)
    y = np.concatenate([2 * np.sin(0.5 * x + 0.3), 3 * np.sin(1.31 * x + 0.2)])
    fits = tide.fit_groups(np.tile(x, 2), y, ["spring"] * 48 + ["neap"] * 48)
    np.testing.assert_allclose(fits.params["frequency"], [0.5, 1.31], rtol=1e-9)
    np.testing.assert_allclose(fits.params["height"], [2.0, 3.0], rtol=1e-9)
