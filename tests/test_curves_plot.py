"""Pictures of fitted curves: points, curve, band and ED50 are those of the fit."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from curve_cases import exact, exact_covariance, exact_jacobian

import cbackprop as cbp
from cbackprop import curves

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

from matplotlib import pyplot as plt  # noqa: E402

RNG = np.random.default_rng(8)
DOSES = np.repeat([0.0, 0.25, 1.0, 2.0, 4.0, 8.0, 32.0], 3)
EFFECTS = 0.5 + 7.5 / (1.0 + (DOSES / 3.0) ** 2.5) + 0.2 * RNG.standard_normal(len(DOSES))
TIMES = np.linspace(-1.0, 9.0, 15)
SIZES = 20.0 / (1.0 + np.exp((4.0 - TIMES) / 1.2)) + 0.3 * RNG.standard_normal(len(TIMES))


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    settings = dict(matplotlib.rcParams)
    yield
    plt.close("all")
    assert dict(matplotlib.rcParams) == settings


def dose_fit(skip: int = 0) -> cbp.CurveFit:
    return curves.logistic4.fit(DOSES[skip:], EFFECTS[skip:])


def time_fit() -> cbp.CurveFit:
    return curves.logistic3.fit(TIMES, SIZES)


def line_of(ax: Any, start: str) -> Any:
    found = [line for line in ax.lines if line.get_label().startswith(start)]
    assert len(found) == 1
    return found[0]


def texts_of(ax: Any) -> list[str]:
    return [text.get_text() for text in ax.texts]


def test_the_points_are_the_data() -> None:
    points = line_of(time_fit().plot(), "data")
    assert points.get_xdata().tolist() == TIMES.tolist()
    assert points.get_ydata().tolist() == SIZES.tolist()
    points = line_of(dose_fit().plot(), "data")
    assert points.get_xdata()[3:].tolist() == DOSES[3:].tolist()
    assert points.get_ydata().tolist() == EFFECTS.tolist()


@pytest.mark.parametrize("fit", [time_fit, dose_fit], ids=["line", "dose"])
def test_the_curve_is_the_fitted_one_over_all_data(fit: Any) -> None:
    fitted = fit()
    line = line_of(fitted.plot(), fitted.curve.name)
    x, y = line.get_data()
    assert len(x) >= 200
    assert np.all(np.diff(x) > 0)
    assert y == pytest.approx(exact(fitted.curve.name, x, fitted.params), rel=1e-11)
    positive = fitted.x[fitted.x > 0] if fitted.curve.log_axis else fitted.x
    assert x[0] <= positive.min()
    assert x[-1] >= positive.max()


@pytest.mark.parametrize("fit", [time_fit, dose_fit], ids=["line", "dose"])
def test_the_band_is_the_95_percent_confidence_band(fit: Any) -> None:
    fitted = fit()
    ax = fitted.plot()
    (band,) = ax.collections
    assert band.get_label() == "95% confidence"
    (path,) = band.get_paths()
    x = line_of(ax, fitted.curve.name).get_xdata()
    name, natural = fitted.curve.name, fitted.params
    covariance = exact_covariance(name, fitted.x, fitted.y, natural)
    rows, middle = exact_jacobian(name, x, natural), exact(name, x, natural)
    # the 97.5 % quantile of t with so many degrees of freedom
    reach = {12: 2.1788128297, 17: 2.1098155778}[fitted.df] * np.sqrt(
        np.einsum("ij,jk,ik->i", rows, covariance, rows)
    )
    drawn = path.vertices[np.argsort(path.vertices[:, 0], kind="stable")]
    for end in (middle - reach, middle + reach):
        apart = [
            np.abs(drawn[drawn[:, 0] == at, 1] - y).min() for at, y in zip(x, end, strict=True)
        ]
        assert max(apart) < 1e-5


def test_no_band_where_there_is_none() -> None:
    fitted = curves.logistic4.fit([0.5, 2.0, 4.0, 16.0], [1.1, 2.5, 4.5, 6.0])
    assert fitted.df == 0
    ax = fitted.plot()
    assert not ax.collections
    ax.figure.canvas.draw()


def test_the_ed50_is_marked() -> None:
    fitted = dose_fit()
    ax = fitted.plot()
    ec50 = fitted.params["ec50"]
    mark = line_of(ax, "ED50")
    assert mark.get_label() == f"ED50 = {ec50:.4g}"
    assert mark.get_xdata() == pytest.approx([ec50], rel=1e-12)
    middle = 0.5 * (fitted.params["bottom"] + fitted.params["top"])
    assert mark.get_ydata() == pytest.approx([middle], rel=1e-9)
    assert [t.get_text() for t in ax.get_legend().get_texts()] == [
        "95% confidence",
        "logistic4",
        "data",
        f"ED50 = {ec50:.4g}",
    ]


def test_the_ed50_of_a_skewed_curve_is_half_of_its_effect() -> None:
    y = np.asarray(curves.logistic5(DOSES, bottom=1.0, top=9.0, ec50=3.0, slope=1.5, asymmetry=2.0))
    fitted = curves.logistic5.fit(DOSES, y + 0.01 * RNG.standard_normal(len(DOSES)))
    mark = line_of(fitted.plot(), "ED50")
    middle = 0.5 * (fitted.params["bottom"] + fitted.params["top"])
    # (1 + (ec50/x)^slope)^-asymmetry = 1/2
    _, _, ec50, slope, asymmetry = fitted.params.values()
    dose = ec50 * (2.0 ** (1.0 / asymmetry) - 1.0) ** (-1.0 / slope)
    assert mark.get_xdata() == pytest.approx([dose], rel=1e-9)
    assert mark.get_ydata() == pytest.approx([middle], rel=1e-6)


def test_no_ed50_on_a_curve_without_doses() -> None:
    ax = time_fit().plot()
    assert not [line for line in ax.lines if line.get_label().startswith("ED50")]


def test_doses_are_on_a_logarithmic_axis_and_0_is_written_where_it_stands() -> None:
    ax = dose_fit().plot()
    assert ax.get_xscale() == "log"
    assert texts_of(ax) == ["0"]
    place = ax.texts[0].xy[0]
    assert 0 < place < DOSES[DOSES > 0].min()
    points = line_of(ax, "data").get_xdata()
    assert points[DOSES == 0].tolist() == [place] * 3
    assert ax.get_xlim()[0] < place
    ax.figure.canvas.draw()


def test_without_a_dose_0_none_is_written() -> None:
    ax = dose_fit(skip=3).plot()
    assert ax.get_xscale() == "log"
    assert texts_of(ax) == []


def test_other_curves_are_on_a_linear_axis() -> None:
    ax = time_fit().plot()
    assert ax.get_xscale() == "linear"
    assert texts_of(ax) == []
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x", "y")


def test_residuals_are_in_a_panel_beneath() -> None:
    fitted = dose_fit()
    residuals = EFFECTS - exact("logistic4", DOSES, fitted.params)
    ax = fitted.plot(residuals=True)
    above, below = ax.figure.axes
    assert ax is above
    assert below.get_ylabel() == "residual"
    assert (above.get_xlabel(), below.get_xlabel()) == ("", "x")
    zero, points = below.lines[:2]
    assert set(zero.get_ydata()) == {0.0}
    assert points.get_ydata() == pytest.approx(residuals, abs=1e-12)
    assert points.get_xdata().tolist() == line_of(ax, "data").get_xdata().tolist()
    assert above.get_xlim() == below.get_xlim()
    assert below.get_xscale() == "log"
    assert [*texts_of(above), *texts_of(below)] == ["0"]
    ax.figure.canvas.draw()


@pytest.mark.parametrize("name", [r"$\frac$", "$x$", "a_b^c"])
def test_the_name_of_a_curve_is_written_as_it_is(name: str) -> None:
    curve = curves.Curve("logistic4")
    curve.name = name
    ax = curve.fit(DOSES, EFFECTS).plot()
    ax.figure.canvas.draw()
    entry = ax.get_legend().get_texts()[1]
    assert entry.get_text() == name
    assert not entry.get_parse_math()
    assert not entry.get_usetex()


@pytest.mark.thread_unsafe(reason="pyplot's figures are everybody's")
def test_a_new_figure_or_the_axes_given() -> None:
    fitted = dose_fit()
    new = fitted.plot()
    assert plt.get_fignums() == [new.figure.number]
    assert new.figure.axes == [new]
    _, given = plt.subplots()
    before = plt.get_fignums()
    assert fitted.plot(given) is given
    assert given.figure.axes == [given]
    assert fitted.plot(ax=given, residuals=True) is given
    assert plt.get_fignums() == before
    assert line_of(new, "data").get_ydata().tolist() == EFFECTS.tolist()


def given_axes(kind: str) -> Any:
    if kind == "free":
        return plt.figure().add_axes((0.1, 0.2, 0.8, 0.7))
    figure = plt.figure(layout=None if kind == "plain" else "constrained")
    if kind == "part":
        return figure.subfigures(1, 2, squeeze=False)[0, 1].subplots(2, 2)[0, 1]
    return figure.subplots(2, 2)[0, 1]


@pytest.mark.parametrize("kind", ["plain", "constrained", "part", "free"])
@pytest.mark.parametrize("fit", [time_fit, dose_fit], ids=["line", "dose"])
def test_axes_given_are_divided_for_the_residuals(kind: str, fit: Any) -> None:
    fitted, ax = fit(), given_axes(kind)
    others = [other for other in ax.figure.axes if other is not ax]
    try:
        figure: Any = ax.get_figure(root=True)
    except TypeError:  # matplotlib before 3.10
        figure = ax.figure.figure
    figure.canvas.draw()
    before, places = ax.get_position().bounds, [other.get_position().bounds for other in others]
    assert fitted.plot(ax, residuals=True) is ax
    figure.canvas.draw()
    (below,) = (other for other in ax.figure.axes if other not in (ax, *others))
    points = below.lines[1]
    assert points.get_ydata() == pytest.approx(fitted.y - np.asarray(fitted(fitted.x)), abs=1e-13)
    assert points.get_xdata().tolist() == line_of(ax, "data").get_xdata().tolist()
    assert (ax.get_xlabel(), below.get_xlabel(), below.get_ylabel()) == ("", "x", "residual")
    assert below.get_xlim() == ax.get_xlim()
    ax.set_xlim(2.0, 3.0)
    assert below.get_xlim() == (2.0, 3.0)
    # inside of what was given, one above the other, with the others where they were
    upper, lower = ax.get_position(), below.get_position()
    assert (lower.x0, lower.x1) == pytest.approx((upper.x0, upper.x1))
    assert lower.y0 < lower.y1 < upper.y0 < upper.y1
    assert 2.0 < (upper.y1 - upper.y0) / (lower.y1 - lower.y0) < 4.0
    assert not any(label.get_visible() for label in ax.get_xticklabels())
    if kind in ("plain", "free"):
        assert (lower.x0, lower.y0, upper.x1 - lower.x0, upper.y1 - lower.y0) == pytest.approx(
            before
        )
        assert [other.get_position().bounds for other in others] == places


@pytest.mark.thread_unsafe(reason="pyplot's figures are everybody's")
def test_a_new_figure_is_higher_with_residuals() -> None:
    fitted = time_fit()
    width, height = fitted.plot().figure.get_size_inches()
    both = fitted.plot(residuals=True).figure.get_size_inches()
    assert both[0] == width
    assert 1.2 < both[1] / height < 1.4  # so that the curve keeps its height


def test_all_of_the_area_is_divided_where_an_aspect_leaves_some_of_it_free() -> None:
    ax = plt.figure(figsize=(4.0, 4.0)).add_axes((0.1, 0.2, 0.8, 0.4))
    ax.set_box_aspect(1.0)
    ax.apply_aspect()
    assert ax.get_position().bounds == pytest.approx((0.3, 0.2, 0.4, 0.4))
    time_fit().plot(ax, residuals=True)
    upper, lower = (each.get_position(original=True) for each in ax.figure.axes)
    assert (lower.x0, lower.y0) == pytest.approx((0.1, 0.2))
    assert (upper.x1, upper.y1) == pytest.approx((0.9, 0.6))


def test_axes_inside_of_others_are_not_divided() -> None:
    outer = plt.figure().subplots()
    inner = outer.inset_axes((0.5, 0.5, 0.4, 0.4))
    with pytest.raises(cbp.ParameterError, match="ax: inset axes"):
        dose_fit().plot(inner, residuals=True)
    assert not inner.lines
    assert dose_fit().plot(inner) is inner


def test_the_fit_is_not_changed() -> None:
    fitted = dose_fit()
    before = fitted.x.copy(), fitted.y.copy(), fitted.chain.params.copy(), str(fitted)
    fitted.plot(residuals=True)
    assert fitted.x.tolist() == before[0].tolist()
    assert fitted.y.tolist() == before[1].tolist()
    assert fitted.chain.params.tolist() == before[2].tolist()
    assert str(fitted) == before[3]


@pytest.mark.parametrize("name", list(curves.CURVES))
def test_every_curve_can_be_drawn(name: str) -> None:
    x = np.linspace(280.0, 360.0, 12) if name == "arrhenius" else np.linspace(0.5, 8.0, 12)
    y = (x > x.mean()) * 0.8 + 0.1 + 0.05 * np.sin(7.0 * x)
    fitted = curves.CURVES[name].fit(x, y)
    ax = fitted.plot(residuals=True)
    ax.figure.canvas.draw()
    drawn = line_of(ax, name)
    assert np.isfinite(drawn.get_ydata()).all()


@pytest.mark.parametrize(
    "x", [[2.0] * 5, [0.0] * 5, [0.0, 0.0, 1.0, 1.0, 1.0]], ids=["one dose", "no dose", "two doses"]
)
def test_data_that_say_nothing_can_be_drawn(x: list[float]) -> None:
    ax = curves.logistic4.fit(x, [1.0, 2.0, 1.5, 1.0, 2.0]).plot(residuals=True)
    ax.figure.canvas.draw()
    assert np.all(np.isfinite(ax.get_xlim()))


def test_a_missing_matplotlib_is_named_with_its_command() -> None:
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from cbackprop import curves\n"
        "fitted = curves.linear.fit([1, 2, 3], [1, 2, 4])\n"
        "try: fitted.plot()\n"
        "except ImportError as error: print(error)"
    )
    command = [sys.executable, "-c", code]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.strip() == "cbackprop.plot needs matplotlib: pip install 'cbackprop[plot]'"


def test_controls_have_a_place_beside_logarithms_of_doses() -> None:
    log_doses = np.log10(DOSES, out=np.full(len(DOSES), -np.inf), where=DOSES > 0)
    ax = curves.logistic4_log10.fit(log_doses, EFFECTS).plot(residuals=True)
    points = line_of(ax, "data")
    x = points.get_xdata()
    low = np.log10(0.25)
    assert x[3:].tolist() == log_doses[3:].tolist()
    assert (x[:3] < low - 0.3).all()
    assert ax.get_xlim()[0] < x[0]
    assert line_of(ax, "logistic4_log10").get_xdata()[0] == pytest.approx(low, abs=0.2)
    below = ax.figure.axes[-1]
    assert "-inf" in texts_of(below)
    below.figure.canvas.draw()


def test_an_assay_is_drawn_with_common_and_own_curves() -> None:
    dose = np.tile(DOSES, 2)
    y = np.r_[EFFECTS, 0.5 + 7.5 / (1.0 + (DOSES / 1.5) ** 2.5)]
    assay = curves.potency(
        dose, y, ["S"] * 21 + ["T_1"] * 21, reference="S", curve=curves.logistic4
    )
    ax = assay.plot()
    common = line_of(ax, f"T_1, potency {assay['T_1'].value:.4g}")
    assert np.asarray(assay.fits["T_1"](common.get_xdata())).tolist() == list(common.get_ydata())
    dashed = [line for line in ax.lines if line.get_linestyle() == "--"]
    assert len(dashed) == 2
    for line, label in zip(dashed, ("S", "T_1"), strict=True):
        assert np.asarray(assay.apart[label](line.get_xdata())).tolist() == list(line.get_ydata())
    points = [line for line in ax.lines if line.get_marker() == "o"]
    assert points[1].get_ydata().tolist() == y[21:].tolist()
    assert "0" in texts_of(ax)
    assert ax.get_xscale() == "log"
    lines = curves.potency(
        dose[3:21].tolist() * 2,
        [*y[3:21], *y[24:]],
        [0] * 18 + [1] * 18,
        reference=0,
        curve="parallel_line",
    )
    assert lines.plot(plt.figure().add_subplot()).get_xlabel() == "log dose"
