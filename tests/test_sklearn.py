"""cbackprop.sklearn: estimators of one input, by scikit-learn's own checks and against its own."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import NotFittedError, SkipTestWarning
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks

from cbackprop import curves
from cbackprop.sklearn import ChainRegressor, CurveRegressor, PlattCalibrator

X = np.linspace(0.5, 8.0, 16)
Y = 6 * X / (2 + X) + 0.05 * np.sin(5 * X)
LABELS = np.where(X + np.sin(7 * X) > 4, "yes", "no")
ESTIMATORS = [
    CurveRegressor("linear"),
    ChainRegressor(["identity"], random_state=0),
    PlattCalibrator(),
]
# Those of scikit-learn's checks that make their data for an input of one dimension.
NAMES = """
    all_zero_sample_weights_error complex_data do_not_raise_errors_in_init_or_set_params
    estimator_cloneable estimator_repr estimator_sparse_tag estimator_tags_renamed
    estimators_dtypes estimators_empty_data_messages estimators_fit_returns_self
    estimators_nan_inf estimators_overwrite_params estimators_pickle estimators_unfitted
    fit_check_is_fitted fit_idempotent fit_score_takes_y get_params_invariance mixin_order
    no_attributes_set_in_init parameters_default_constructible pipeline_consistency
    readonly_memmap_input requires_y_none sample_weights_list sample_weights_not_an_array set_params
    supervised_y_2d supervised_y_no_nan
"""
CHECKS = NAMES.split()


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda estimator: type(estimator).__name__)
def test_scikit_learn_s_checks(estimator: Any) -> None:
    with warnings.catch_warnings():
        # most are for inputs of several columns, and left out by scikit-learn itself
        warnings.simplefilter("ignore", SkipTestWarning)
        results = estimator_checks.check_estimator(estimator, on_fail=None)
    assert {result["status"] for result in results} == {"passed"}


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda estimator: type(estimator).__name__)
def test_scikit_learn_s_checks_of_one_dimension(estimator: Any, check: str) -> None:
    run = getattr(estimator_checks, f"check_{check}", None)
    if run is None:
        pytest.skip(f"this scikit-learn has no check {check}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run(type(estimator).__name__, estimator)


def test_a_curve_is_the_one_that_fit_finds() -> None:
    weight = np.linspace(1, 2, len(X))
    model = CurveRegressor("michaelis_menten").fit(X, Y, weight)
    fitted = curves.michaelis_menten.fit(X, Y, sample_weight=weight)
    assert model.fit_.params == fitted.params
    np.testing.assert_array_equal(model.predict(X[:, None]), fitted(X))
    # score is R2 = 1 - sum (y - f)^2 / sum (y - mean)^2
    expected = 1 - np.sum((Y - fitted(X)) ** 2) / np.sum((Y - Y.mean()) ** 2)
    assert model.score(X, Y) == pytest.approx(expected, rel=1e-12)
    bounded = CurveRegressor(curves.hill, fixed={"slope": 1}, bounds={"top": (0, 5)}).fit(X, Y)
    assert bounded.fit_.params["slope"] == 1
    assert bounded.fit_.params["top"] == 5


def test_a_chain_finds_the_curve_of_noiseless_data() -> None:
    y = 3 * np.tanh(0.7 * X - 2) + 1
    model = ChainRegressor(random_state=3).fit(X, y)
    np.testing.assert_allclose(model.predict(X), y, atol=1e-9)
    assert clone(model).fit(X, y).predict(X).tolist() == model.predict(X).tolist()


def test_pipelines_and_grids() -> None:
    names = ["linear", "michaelis_menten", "saturation"]
    search = GridSearchCV(CurveRegressor(), {"curve": names}, cv=4).fit(X[:, None], Y)
    assert search.best_params_ == {"curve": "michaelis_menten"}
    model = make_pipeline(StandardScaler(), CurveRegressor(curves.linear)).fit(X[:, None], Y)
    slope, intercept = np.polyfit(X, Y, 1)
    np.testing.assert_allclose(model.predict(X[:, None]), slope * X + intercept, rtol=1e-10)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X[:, None]), model.predict(X[:, None]))


def test_platt_s_calibration_is_that_of_scikit_learn() -> None:
    classifier = LogisticRegression(C=0.01).fit(X[:, None], LABELS)
    peer = CalibratedClassifierCV(FrozenEstimator(classifier), method="sigmoid")
    peer.fit(X[:, None], LABELS)
    scores = classifier.decision_function(X[:, None])
    own = PlattCalibrator().fit(scores, LABELS).predict_proba(scores)
    np.testing.assert_allclose(own, peer.predict_proba(X[:, None]), atol=1e-5)


def test_targets_of_platt() -> None:
    smooth = PlattCalibrator().fit([-2.0, -1.0, 1.0, 2.0], [0, 0, 1, 1])
    # by symmetry the intercept is 0; the slope's gradient is 0: sum x (sigmoid(a x) - t) = 0
    a = smooth.fit_.params["slope"]
    assert smooth.fit_.params["intercept"] == pytest.approx(0, abs=1e-9)
    t = np.array([1, 1, 3, 3]) / 4
    x = np.array([-2.0, -1, 1, 2])
    assert np.sum(x * (1 / (1 + np.exp(-a * x)) - t)) == pytest.approx(0, abs=1e-7)
    raw = PlattCalibrator(smooth=False).fit(X, LABELS)
    assert raw.classes_.tolist() == ["no", "yes"]
    p = raw.predict_proba(X)[:, 1]
    assert raw.predict(X).tolist() == np.where(p > 0.5, "yes", "no").tolist()
    assert np.sum(p - (LABELS == "yes")) == pytest.approx(0, abs=1e-6)


def test_refused() -> None:
    with pytest.raises(ValueError, match="X: 2 columns; expected 1"):
        CurveRegressor().fit(np.ones((5, 2)), Y[:5])
    with pytest.raises(ValueError, match="curve: '4PX'; expected a curve of"):
        CurveRegressor("4PX").fit(X, Y)
    with pytest.raises(ValueError, match="y: 3 different labels; expected 2"):
        PlattCalibrator().fit([1.0, 2, 3], ["a", "b", "c"])
    with pytest.raises(NotFittedError):
        CurveRegressor().predict(X)
