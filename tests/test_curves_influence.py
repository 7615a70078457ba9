"""Leverage, residuals and Cook's distance: against R, statsmodels and a projection by NumPy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from cbackprop import CurveFit, InputTypeError, ParameterError, curves

# The third and the fourth of Anscombe's sets (The American Statistician 27, 1973).
X3 = np.array([10.0, 8, 13, 9, 11, 14, 6, 4, 12, 7, 5])
Y3 = np.array([7.46, 6.77, 12.74, 7.11, 7.81, 8.84, 6.08, 5.39, 8.15, 6.42, 5.73])
X4 = np.array([8.0] * 7 + [19.0] + [8.0] * 3)
Y4 = np.array([6.58, 5.76, 7.71, 8.84, 8.47, 7.04, 5.25, 12.5, 5.56, 7.91, 6.89])

RNG = np.random.default_rng(3)
DOSES = np.repeat(2.0 ** np.arange(8), 3)
EFFECTS = 10 + 100 / (1 + (DOSES / 11.3) ** -1.5) + 5 * RNG.standard_normal(24)


def test_anscombes_third_set_as_in_statsmodels_and_r() -> None:
    """OLSInfluence of statsmodels 0.14; R's rstudent of the third point is 1203.54, too."""
    found = curves.influence(curves.linear.fit(X3, Y3))
    h = [0.1, 0.1, 0.23636364, 0.09090909, 0.12727273]
    np.testing.assert_allclose(found.leverage[:5], h, rtol=1e-7)
    internal = [-0.46017736, -0.19633304, 2.99999172, -0.33085149, -0.59695076]
    np.testing.assert_allclose(found.standardized[:5], internal, rtol=1e-7)
    external = [-4.39055448e-01, -1.85502242e-01, 1.20353946e03, -3.13844182e-01, -5.74294849e-01]
    np.testing.assert_allclose(found.studentized[:5], external, rtol=1e-8)
    cook = [1.17646226e-02, 2.14148127e-03, 1.39284945, 5.47313537e-03, 2.59838693e-02]
    np.testing.assert_allclose(found.cooks_distance[:5], cook, rtol=1e-8)


def test_a_point_that_alone_determines_the_line() -> None:
    found = curves.influence(curves.linear.fit(X4, Y4))
    assert found.leverage[7] == pytest.approx(1.0, abs=1e-12)
    for values in (found.standardized, found.studentized, found.cooks_distance):
        assert np.flatnonzero(np.isnan(values)).tolist() == [7]
    np.testing.assert_allclose(np.delete(found.leverage, 7), 0.1, rtol=1e-9)


def by_projection(fit: CurveFit, derivatives: Any) -> tuple[Any, Any, Any, Any]:
    """Return the four by the projection on the weighted derivatives."""
    root = np.sqrt(np.ones_like(fit.y) if fit.weights is None else fit.weights)
    q, _ = np.linalg.qr(derivatives * root[:, None])
    h = (q**2).sum(axis=1)
    e = root * (fit.y - fit(fit.x))
    n, p = int((root > 0).sum()), q.shape[1]
    s2 = (e @ e) / (n - p)
    without = ((n - p) * s2 - e**2 / (1 - h)) / (n - p - 1)
    return (
        h,
        e / np.sqrt(s2 * (1 - h)),
        e / np.sqrt(without * (1 - h)),
        e**2 * h / (p * s2 * (1 - h) ** 2),
    )


def derivatives_of(fit: CurveFit, names: tuple[str, ...]) -> Any:
    """Return the 4PL's derivatives by the complex step."""
    columns = []
    for name in names:
        p: dict[str, complex] = {**fit.params}
        p[name] += 1e-30j
        power = np.exp(p["slope"] * (np.log(fit.x) - np.log(p["ec50"])))
        columns.append((p["bottom"] + (p["top"] - p["bottom"]) * power / (1 + power)).imag / 1e-30)
    return np.stack(columns, axis=1)


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, ("bottom", "top", "ec50", "slope")),
        ({"sample_weight": np.linspace(0.3, 4, 24)}, ("bottom", "top", "ec50", "slope")),
        ({"fixed": {"bottom": 9.0}}, ("top", "ec50", "slope")),
        ({"bounds": {"top": (None, 105.0)}}, ("bottom", "ec50", "slope")),
    ],
)
def test_a_curve(options: dict[str, Any], names: tuple[str, ...]) -> None:
    fit = curves.logistic4.fit(DOSES, EFFECTS, **options)
    found = curves.influence(fit)
    arrays = found.leverage, found.standardized, found.studentized, found.cooks_distance
    for own, other in zip(arrays, by_projection(fit, derivatives_of(fit, names)), strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-6)
    assert found.leverage.sum() == pytest.approx(len(names), rel=1e-9)


def test_a_point_of_weight_0_and_the_table() -> None:
    weights = np.ones(24)
    weights[5] = 0.0
    found = curves.influence(curves.logistic4.fit(DOSES, EFFECTS, sample_weight=weights))
    assert found.leverage[5] == 0.0
    assert np.isnan([found.standardized[5], found.studentized[5], found.cooks_distance[5]]).all()
    lines = str(found).splitlines()
    assert len(lines) == 11
    assert int(lines[1].split()[0]) == int(np.nanargmax(found.cooks_distance))


def test_one_degree_of_freedom_has_no_residual_sd_without_a_point() -> None:
    found = curves.influence(curves.linear.fit([1, 2, 4], [1.1, 2.3, 2.9]))
    assert np.isnan(found.studentized).all()
    np.testing.assert_allclose(np.abs(found.standardized), 1.0, rtol=1e-9)


def test_bad_input() -> None:
    with pytest.raises(InputTypeError, match="fit: expected a CurveFit, got None"):
        curves.influence(None)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="its loss is 'huber'; expected 'squared'"):
        curves.influence(curves.linear.fit(X3, Y3, loss="huber"))
    with pytest.raises(ParameterError, match="no degree of freedom"):
        curves.influence(curves.linear.fit([1, 2], [1, 3]))
    with pytest.raises(ParameterError, match="all residuals are 0"):
        curves.influence(curves.linear.fit([1, 2, 3], [2, 2, 2]))
    with pytest.raises(ParameterError, match="identified"):
        curves.influence(curves.logistic4.fit([1, 2, 3, 4, 5, 6], [2, 4.1, 8, 16, 32.3, 63]))
    state = ["a", "b"] * 12
    groups = curves.logistic4.fit_groups(DOSES, EFFECTS, state)
    with pytest.raises(ParameterError, match="one of groups"):
        curves.influence(groups["a"])


# ---- pictures ----


@pytest.fixture
def pyplot() -> Iterator[Any]:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    yield plt
    plt.close("all")


def points_of(ax: Any) -> tuple[Any, Any]:
    (line,) = [line for line in ax.lines if line.get_marker() == "o"]
    x, y = line.get_data()
    return x, y


def test_pictures_show_the_residuals(pyplot: Any) -> None:
    fit = curves.logistic4.fit(DOSES, EFFECTS)
    found = curves.influence(fit)
    x, y = points_of(curves.plot_residuals(fit))
    np.testing.assert_array_equal(x, fit(DOSES))
    np.testing.assert_array_equal(y, found.standardized)
    x, y = points_of(curves.plot_influence(fit))
    np.testing.assert_array_equal(x, found.leverage)
    np.testing.assert_array_equal(y, found.standardized)
    own = pyplot.figure().add_subplot()
    assert curves.plot_qq(fit, own) is own
    x, y = points_of(own)
    order = np.argsort(y)
    stats = pytest.importorskip("scipy.stats")
    expected = stats.norm.ppf((np.arange(1, 25) - 0.5) / 24)
    np.testing.assert_allclose(x[order], expected, atol=1e-12)


def test_lines_of_equal_distance(pyplot: Any) -> None:
    """Points on the lines have the distance that is written at them."""
    ax = curves.plot_influence(curves.linear.fit(X3, Y3))
    dashed = [line.get_data() for line in ax.lines if line.get_linestyle() == "--"]
    assert len(dashed) == 4
    for (h, r), distance in zip(dashed, (0.5, 0.5, 1.0, 1.0), strict=True):
        np.testing.assert_allclose(r**2 * h / (2 * (1 - h)), distance, rtol=1e-9)
    named = {text.get_text() for text in ax.texts}
    assert {"2", "0.5", "1"} <= named


def test_pictures_leave_out_what_has_no_residual(pyplot: Any) -> None:
    for draw in (curves.plot_residuals, curves.plot_qq, curves.plot_influence):
        ax = draw(curves.linear.fit(X4, Y4))
        ax.figure.canvas.draw()
        assert "7" not in {text.get_text() for text in ax.texts}
