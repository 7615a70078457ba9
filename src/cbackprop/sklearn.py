"""Curves, chains and Platt's calibration as estimators of scikit-learn.

They take one input: `X` has the shape (n,) or (n, 1). Install scikit-learn with
``pip install 'cbackprop[sklearn]'``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import curves
from ._core import Chain
from .curves import Curve
from .errors import ParameterError, ShapeError
from .fits.arguments import Bounds, Count, Number
from .fits.one import fit as fit_chain

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.utils import Tags
    from sklearn.utils.validation import (
        _check_sample_weight,
        check_is_fitted,
        column_or_1d,
        validate_data,
    )
except ModuleNotFoundError:
    raise ModuleNotFoundError(
        "cbackprop.sklearn needs scikit-learn: pip install 'cbackprop[sklearn]'", name="sklearn"
    ) from None

if TYPE_CHECKING:
    from ._core import _Loss, _Number, _Seed

__all__ = ["ChainRegressor", "CurveRegressor", "PlattCalibrator"]

Vector: TypeAlias = NDArray[np.float64]


class _OneInput(BaseEstimator):  # type: ignore[misc]
    """What the estimators have in common: one input, and a chain that computes the output."""

    chain_: Chain

    def _output(self, given: ArrayLike) -> Vector:
        check_is_fitted(self)
        return self.chain_.forward(self._column(given, reset=False))

    def _column(self, given: ArrayLike, *, reset: bool) -> Vector:
        x = validate_data(self, given, reset=reset, ensure_2d=False, dtype=np.float64)
        if x.ndim == 2 and x.shape[1] != 1:
            raise ShapeError(f"X: {x.shape[1]} columns; expected 1")
        return np.ascontiguousarray(x.reshape(-1))

    def _data(
        self, given_x: ArrayLike, given_y: ArrayLike, given_weight: ArrayLike | None
    ) -> tuple[Vector, Vector, Vector | None]:
        x = self._column(given_x, reset=True)
        y = column_or_1d(given_y, dtype=np.float64, warn=True)
        weight = None if given_weight is None else _check_sample_weight(given_weight, x)
        return x, y, weight

    def __sklearn_tags__(self) -> Tags:
        """Say that the input is one column."""
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        return tags


class _Regressor(RegressorMixin, _OneInput):  # type: ignore[misc]
    def predict(self, X: ArrayLike) -> Vector:  # noqa: N803
        """Compute the fitted curve.

        Parameters
        ----------
        X : array_like, shape (n,) or (n, 1)

        Returns
        -------
        ndarray, shape (n,)
        """
        return self._output(X)


class CurveRegressor(_Regressor):
    """A named curve, fitted without starting values.

    Parameters
    ----------
    curve : Curve or str, default "logistic4"
        A curve of `cbackprop.curves`, its name, or one made by `curves.define`.
    fixed, bounds, loss, loss_scale, max_iterations, tolerance
        As for `Curve.fit`.

    Attributes
    ----------
    fit_ : CurveFit
        The fitted curve, with standard errors, intervals and its inverse.
    chain_ : Chain
        The chain that computes it.
    n_features_in_ : int
        1.

    Examples
    --------
    >>> from cbackprop.sklearn import CurveRegressor
    >>> model = CurveRegressor("michaelis_menten").fit([1, 2, 4, 8], [2.0, 3.0, 4.0, 4.8])
    >>> {name: round(value, 6) for name, value in model.fit_.params.items()}
    {'vmax': 6.0, 'km': 2.0}
    >>> model.predict([6.0]).round(6)
    array([4.5])
    """

    def __init__(
        self,
        curve: Curve | str = "logistic4",
        *,
        fixed: Mapping[str, Number] | None = None,
        bounds: Mapping[str, tuple[float | None, float | None]] | None = None,
        loss: _Loss | None = None,
        loss_scale: _Number = 1.0,
        max_iterations: Count | None = None,
        tolerance: Number | None = None,
    ) -> None:
        self.curve = curve
        self.fixed = fixed
        self.bounds = bounds
        self.loss = loss
        self.loss_scale = loss_scale
        self.max_iterations = max_iterations
        self.tolerance = tolerance

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:  # noqa: N803
        """Fit the curve.

        Parameters
        ----------
        X : array_like, shape (n,) or (n, 1)
        y : array_like, shape (n,)
        sample_weight : array_like, shape (n,), optional
            A weight of 0 or more for every point.

        Returns
        -------
        CurveRegressor
            The estimator itself.

        Raises
        ------
        ParameterError
            If there is no curve of this name; and as for `Curve.fit`.
        ShapeError
            If X has several columns; and as for `Curve.fit`.
        """
        x, y, weight = self._data(X, y, sample_weight)
        self.fit_ = _curve(self.curve).fit(
            x,
            y,
            sample_weight=weight,
            fixed=self.fixed,
            bounds=self.bounds,
            loss=self.loss,
            loss_scale=self.loss_scale,
            max_iterations=self.max_iterations,
            tolerance=self.tolerance,
        )
        self.chain_ = self.fit_.chain
        return self


class ChainRegressor(_Regressor):
    """A chain of given activations, fitted by Levenberg-Marquardt from random starts.

    Parameters
    ----------
    activations : sequence of str, default ("tanh", "identity")
        One for each layer.
    frozen : sequence of str, default ()
        Names of the parameters that keep the value of the start, such as ``("w2",)``.
    loss, loss_scale, bounds, max_iterations, tolerance
        As for `cbackprop.fit`.
    restarts : int, default 10
        Number of starts beside the first one.
    random_state : None, int or numpy.random.Generator
        Determines the starts; passed to `numpy.random.default_rng`.

    Attributes
    ----------
    result_ : FitResult
        The best fit.
    chain_ : Chain
        Its chain.
    n_features_in_ : int
        1.

    Examples
    --------
    >>> from cbackprop.sklearn import ChainRegressor
    >>> model = ChainRegressor(["identity"], random_state=0).fit([0, 1, 2], [1.0, 3.0, 5.0])
    >>> model.predict([10.0]).round(6)
    array([21.])
    """

    def __init__(
        self,
        activations: Sequence[str] = ("tanh", "identity"),
        *,
        frozen: Sequence[str] = (),
        loss: _Loss = "squared",
        loss_scale: _Number = 1.0,
        bounds: Bounds | None = None,
        max_iterations: Count | None = None,
        tolerance: Number | None = None,
        restarts: Count = 10,
        random_state: _Seed = None,
    ) -> None:
        self.activations = activations
        self.frozen = frozen
        self.loss = loss
        self.loss_scale = loss_scale
        self.bounds = bounds
        self.max_iterations = max_iterations
        self.tolerance = tolerance
        self.restarts = restarts
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:  # noqa: N803
        """Fit the chain.

        Parameters
        ----------
        X : array_like, shape (n,) or (n, 1)
        y : array_like, shape (n,)
        sample_weight : array_like, shape (n,), optional
            A weight of 0 or more for every example.

        Returns
        -------
        ChainRegressor
            The estimator itself.

        Raises
        ------
        ShapeError
            If X has several columns; and as for `cbackprop.fit`.
        ParameterError, ActivationError
            As for `cbackprop.fit`.
        """
        x, y, weight = self._data(X, y, sample_weight)
        ones = np.ones(len(self.activations))
        start = Chain(ones, 0 * ones, tuple(self.activations), tuple(self.frozen))
        self.result_ = fit_chain(
            start,
            x,
            y,
            loss=self.loss,
            loss_scale=self.loss_scale,
            sample_weight=weight,
            bounds=self.bounds,
            max_iterations=self.max_iterations,
            tolerance=self.tolerance,
            restarts=self.restarts,
            rng=self.random_state,
        )
        self.chain_ = self.result_.chain
        return self


class PlattCalibrator(ClassifierMixin, _OneInput):  # type: ignore[misc]
    """Platt's calibration: from a classifier's scores to probabilities.

    The probability of the second class is 1 / (1 + exp(-(slope score + intercept))), with the
    maximum likelihood for targets that Platt moved away from 0 and 1.

    Parameters
    ----------
    smooth : bool, default True
        Whether the targets are 1 / (n0 + 2) and (n1 + 1) / (n1 + 2), with n0 and n1 the sums of the
        classes' weights, in place of 0 and 1. Without it, classes that a score separates have no
        maximum.

    Attributes
    ----------
    fit_ : CurveFit
        The fitted `curves.platt`.
    chain_ : Chain
        The chain that computes it.
    classes_ : ndarray of shape (2,)
        The labels; the probability is of the second.
    n_features_in_ : int
        1.

    References
    ----------
    J. Platt, "Probabilistic outputs for support vector machines and comparisons to regularized
    likelihood methods", Advances in Large Margin Classifiers (1999).

    Examples
    --------
    >>> from cbackprop.sklearn import PlattCalibrator
    >>> calibrator = PlattCalibrator().fit([-2.0, -1.0, 1.0, 2.0], [0, 0, 1, 1])
    >>> calibrator.predict_proba([0.0])
    array([[0.5, 0.5]])
    """

    def __init__(self, *, smooth: bool = True) -> None:
        self.smooth = smooth

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:  # noqa: N803
        """Fit the calibration.

        Parameters
        ----------
        X : array_like, shape (n,) or (n, 1)
            Scores, such as those of a classifier's `decision_function`.
        y : array_like, shape (n,)
            Labels of two classes.
        sample_weight : array_like, shape (n,), optional
            A weight of 0 or more for every label.

        Returns
        -------
        PlattCalibrator
            The estimator itself.

        Raises
        ------
        ParameterError
            If y does not have two different labels; and as for `Curve.fit`.
        ShapeError
            If X has several columns, or shapes differ.
        """
        self.classes_, labels = np.unique(column_or_1d(y, warn=True), return_inverse=True)
        if len(self.classes_) != 2:
            raise ParameterError(f"y: {len(self.classes_)} different labels; expected 2")
        x, targets, weight = self._data(X, labels, sample_weight)
        if self.smooth:
            counts = np.bincount(labels, weight, 2)
            targets = np.where(labels == 1, (counts[1] + 1) / (counts[1] + 2), 1 / (counts[0] + 2))
        self.fit_ = curves.platt.fit(x, targets, sample_weight=weight)
        self.chain_ = self.fit_.chain
        return self

    def predict_proba(self, X: ArrayLike) -> Vector:  # noqa: N803
        """Compute the probabilities of the two classes.

        Parameters
        ----------
        X : array_like, shape (n,) or (n, 1)
            Scores.

        Returns
        -------
        ndarray, shape (n, 2)
        """
        p = self._output(X)
        return np.column_stack([1 - p, p])

    def predict(self, X: ArrayLike) -> NDArray[Any]:  # noqa: N803
        """Return the more probable class.

        Parameters
        ----------
        X : array_like, shape (n,) or (n, 1)
            Scores.

        Returns
        -------
        ndarray, shape (n,)
        """
        p = self._output(X)
        labels: NDArray[Any] = self.classes_[(p > 0.5).astype(int)]
        return labels

    def __sklearn_tags__(self) -> Tags:
        """Say that there are two classes, and one column."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags


def _curve(given: Curve | str) -> Curve:
    if isinstance(given, Curve):
        return given
    try:
        return curves.CURVES[given]
    except (KeyError, TypeError):
        raise ParameterError(f"curve: {given!r}; expected a curve of cbackprop.curves") from None
