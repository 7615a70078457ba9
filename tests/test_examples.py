"""Hazard: examples that do not run: each does as a new user runs it, and prints its result.

The table holds what is published, as `vectors/fits.json` has it (drc's ryegrass with the errors it
prints, NIST's certified Rat43, R's Puromycin), and the example's own claims; what is not published
is recomputed below without the package.
"""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import optimize

ROOT = Path(__file__).parent.parent
EXAMPLES = {path.name: path for path in sorted((ROOT / "examples").glob("*.py"))}
DATA = ROOT / "examples" / "data"

EXPECTED = {
    "arrhenius_fit.py": ["activation energy 69.90 kJ/mol", "; truth 70\n", "; truth 1.090e-04\n"],
    "dose_response.py": [
        "bottom      0.48140994       0.21219",
        "top          7.7929623       0.18857",
        "50 % shorter: 3.0580 mM, standard error 0.1857",
        "ED50 = 3.0580 mM, 95 % interval 2.6941 to 3.4710",
    ],
    "elisa_plate.py": ["     2.900  beyond the curve, which ends at 2.681"],
    "growth.py": [
        "asymptote       699.64151        16.302",
        "rate           0.75962938       0.19566",
        "least AIC: logistic3",
    ],
    "network_one.py": [
        "[0.0232964, 0.0465929, -0.194505, -0.277639]",
        "by the derivation    0.02329643",
        "by a difference      0.02329643",
    ],
    "probability_calibration.py": ["log loss on the labels: 0.8200, calibrated 0.5310"],
    "relative_potency.py": ["replicates: 511.616 IU, 436.530 to 599.058 IU", "pass\n"],
    "train_in_a_loop.py": [
        "  3000   0.009962",
        " 212.684  0.064121\n   fit",
        " 212.684  0.064121  in",
    ],
    "vanishing_gradients.py": ["   30   1.669e-19   6.868e-02"],
}


def output_of(name: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES[name].relative_to(ROOT))],
        cwd=ROOT,
        env={**os.environ, "PYTHONUTF8": "1"},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    return done.stdout


def columns(name: str) -> np.ndarray:
    return np.loadtxt(DATA / name, delimiter=",", skiprows=2, unpack=True)


def test_the_table_names_every_example() -> None:
    assert sorted(EXPECTED) == sorted(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_runs_and_prints_its_result(name: str) -> None:
    printed = output_of(name)
    for line in EXPECTED[name]:
        assert line in printed


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_says_what_it_shows_and_how_to_run_it(name: str) -> None:
    text = EXAMPLES[name].read_text(encoding="utf-8")
    assert f"python examples/{name}\n" in text.split('"""')[1]


# ---- recomputed without the package --------------------------------------------------------------


def test_calibration_curve_by_reweighting() -> None:
    """Theta by the score of the restricted likelihood, the curve by weighted least squares."""
    conc, y = columns("dnase.csv")

    def curve(x: np.ndarray, params: np.ndarray) -> np.ndarray:
        bottom, top, log_ec50, slope = params
        return np.asarray(bottom + (top - bottom) / (1 + np.exp(slope * (log_ec50 - np.log(x)))))

    def jacobian(x: np.ndarray, params: np.ndarray) -> np.ndarray:
        steps = params + 1e-100j * np.eye(4)
        return np.column_stack([curve(x, stepped).imag / 1e-100 for stepped in steps])

    def weighted(theta: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        params = np.array([-0.03, 2.7, 1.8, 0.85])
        for _ in range(60):
            value = curve(conc, params)
            matrix = jacobian(conc, params) / value[:, None] ** theta
            residuals = (y - value) / value**theta
            params = params + np.linalg.lstsq(matrix, residuals, rcond=None)[0]
        return params, matrix, residuals

    def score(theta: float) -> float:
        params, matrix, residuals = weighted(theta)
        left = 1 - np.sum(np.linalg.qr(matrix)[0] ** 2, axis=1)
        logs = np.log(curve(conc, params))
        variance = residuals @ residuals / (len(y) - 4)
        return float((residuals**2 / variance - left) @ (logs - np.average(logs, weights=left)))

    theta = float(optimize.brentq(score, 0.3, 1.2))
    params, matrix, residuals = weighted(theta)
    bottom, top, log_ec50, slope = params
    variance = residuals @ residuals / (len(y) - 4)
    covariance = variance * np.linalg.inv(matrix.T @ matrix)
    errors = np.sqrt(covariance.diagonal()) * [1, 1, math.exp(log_ec50), 1]

    printed = output_of("elisa_plate.py")
    assert f"power, theta = {theta:.4g} " in printed
    natural = {"bottom": bottom, "top": top, "ec50": math.exp(log_ec50), "slope": slope}
    for (name, value), error in zip(natural.items(), errors, strict=True):
        assert f"{name:6}  {value:>14.8g}  {error:>12.5g}" in printed
    for seen in (0.02, 0.08, 0.31, 0.75, 1.52):
        x = math.exp(log_ec50 - math.log((top - bottom) / (seen - bottom) - 1) / slope)
        row = jacobian(np.array([x]), params)[0]
        rise = curve(np.array([x + 1e-100j]), params)[0].imag / 1e-100
        scatter = variance * seen ** (2 * theta) / 2
        error = math.sqrt(row @ covariance @ row + scatter) / rise
        assert f"{seen:10.3f}  {x:11.4f}  {error:10.4f}" in printed


@pytest.mark.parametrize("loss", [10, 90])
def test_effective_doses_by_their_formula(loss: int) -> None:
    dose = 3.057955169218154 * (loss / (100 - loss)) ** (1 / 2.9822286666293465)
    assert f"{loss} % shorter: {dose:.4f} mM" in output_of("dose_response.py")


@pytest.mark.parametrize(("name", "df", "k"), [("richards", 11, 4), ("logistic3", 12, 3)])
def test_growth_is_ranked_by_aic(name: str, df: int, k: int) -> None:
    row = re.search(rf"^{name} +{k} +(\S+) +(\S+) ", output_of("growth.py"), re.MULTILINE)
    assert row
    spread, aic = map(float, row.groups())
    n, rss = 15, spread**2 * df
    expected = n * (math.log(2 * math.pi * rss / n) + 1) + 2 * (k + 1)
    assert aic == pytest.approx(expected, abs=6e-4)


def test_activation_energy_by_newton_steps() -> None:
    text = EXAMPLES["arrhenius_fit.py"].read_text(encoding="utf-8")
    rates = [float(word) for word in re.findall(r"\d\.\d\de-4|\d\.\d\de-3", text)]
    y = np.array(rates)
    x = 1 / (np.repeat([40.0, 50.0, 60.0, 70.0, 80.0], 2) + 273.15)
    apart = x - x.mean()
    slope, level = np.polyfit(apart, np.log(y), 1)
    for _ in range(20):  # Gauss-Newton on the relative residuals
        share = np.exp(level + slope * apart) / y
        jacobian = np.column_stack([share * apart, share])
        slope, level = (
            np.array([slope, level]) + np.linalg.lstsq(jacobian, 1 - share, rcond=None)[0]
        )
    energy = -slope * 8.31446261815324 / 1000
    assert f"activation energy {energy:.2f} kJ/mol" in output_of("arrhenius_fit.py")


def test_platt_scaling_by_newton_steps() -> None:
    text = EXAMPLES["probability_calibration.py"].read_text(encoding="utf-8")
    digits = re.search(r'"([01]{61})"', text)
    assert digits
    labels = np.array([int(digit) for digit in digits[1]])
    n, positive = len(labels), int(labels.sum())
    targets = np.where(labels == 1, (positive + 1) / (positive + 2), 1 / (n - positive + 2))
    design = np.column_stack([np.linspace(-6, 6, n), np.ones(n)])
    params = np.zeros(2)
    for _ in range(20):
        p = 1 / (1 + np.exp(-design @ params))
        information = design.T @ (design * (p * (1 - p))[:, None])
        params += np.linalg.solve(information, design.T @ (targets - p))
    errors = np.sqrt(np.linalg.inv(information).diagonal())
    printed = output_of("probability_calibration.py")
    for name, value, error in zip(("slope", "intercept"), params, errors, strict=True):
        assert f"{name:9}  {value:7.4f}, standard error {error:.4f}" in printed
    loss = -np.mean(np.log(np.where(labels == 1, p, 1 - p)))
    assert f"calibrated {loss:.4f}\n" in printed


@pytest.mark.parametrize("layers", [2, 3, 5, 10, 20, 30])
def test_vanishing_shares_are_products_of_slopes(layers: int) -> None:
    shares = []
    functions: list[tuple[Callable[[float], float], Callable[[float], float]]] = [
        (lambda z: 1 / (1 + math.exp(-z)), lambda a: a * (1 - a)),
        (math.tanh, lambda a: 1 - a * a),
    ]
    for act, slope in functions:
        a, share = 0.5, 1.0
        for layer in range(layers):
            a = act(a)
            share *= slope(a) if layer < layers - 1 else 1.0
        shares.append(share)
    line = f"\n{layers:5}  {shares[0]:10.3e}  {shares[1]:10.3e}\n"
    assert line in output_of("vanishing_gradients.py").split("relative to the last")[1]


# ---- data ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "header", "rows", "fit"),
    [
        ("dnase.csv", "conc,density", 16, "SSlogis"),
        ("puromycin.csv", "dose,rate", 12, "SSmicmen"),
        ("rat43.csv", "time,weight", 15, "Rat43"),
        ("ryegrass.csv", "dose,length", 24, "LL.4"),
    ],
)
def test_data_file_holds_the_published_points(name: str, header: str, rows: int, fit: str) -> None:
    first, second, *_ = (DATA / name).read_text(encoding="utf-8").splitlines()
    assert first.startswith("# ")
    assert second == header
    values = columns(name)
    assert values.shape == (2, rows)
    published = json.loads((ROOT / "tests" / "vectors" / "fits.json").read_text())
    case = next(c for c in published["published"] + published["certified"] if c["name"] == fit)
    assert values.tolist() == [case["x"], case["y"]]


def test_every_data_file_is_described_and_checked() -> None:
    names = sorted(path.name for path in DATA.glob("*.csv"))
    assert names == ["dnase.csv", "puromycin.csv", "rat43.csv", "ryegrass.csv"]
    described = (DATA / "README.md").read_text(encoding="utf-8")
    assert [name for name in names if f"`{name}`" not in described] == []
