"""Many chains of one kind, evaluated in one call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _core
from ._core import Chain, real_array
from .errors import ShapeError

if TYPE_CHECKING:
    from ._core import _Integer, _Loss, _Number

__all__ = ["ChainArray", "chains_on", "data_of"]

Vector: TypeAlias = NDArray[np.float64]


class ChainArray:
    """m chains with the same activations and frozen parameters.

    Inputs of shape (n,) are used for every chain; of inputs of shape (m, n) each chain uses one
    row. Results equal those of the single chains, bit for bit.

    Parameters
    ----------
    params : array_like, shape (m, 2L)
        [w1, b1, ..., wL, bL] of each chain; copied. They may be NaN, as after failed fits.
    activations : str or sequence of str, default "sigmoid"
        As for `Chain`.
    frozen : sequence of str, default ()
        As for `Chain`.

    Raises
    ------
    ShapeError
        If params is not (m, 2L), or the activations are not L names.
    ActivationError, ParameterError, InputTypeError
        As for `Chain`.

    Examples
    --------
    >>> import cbackprop as cbp
    >>> lines = cbp.ChainArray([[2.0, 1.0], [3.0, 0.0]], "identity")
    >>> lines([0.0, 1.0]).tolist()
    [[1.0, 3.0], [0.0, 3.0]]
    """

    def __init__(
        self,
        params: ArrayLike,
        activations: str | Iterable[str] = "sigmoid",
        frozen: str | Iterable[str] = (),
    ) -> None:
        self._params = real_array(params, "params").copy()
        if self._params.ndim != 2 or self._params.shape[1] == 0 or self._params.shape[1] % 2:
            raise ShapeError(
                f"params: shape {self._params.shape}; expected (m, 2L), w and b of L layers each"
            )
        layers = self._params.shape[1] // 2
        self._kind = Chain(np.ones(layers), np.zeros(layers), activations, frozen)

    def __setstate__(self, state: dict[str, object]) -> None:
        """Restore from a pickle; an array of another process may be read-only or unaligned."""
        self.__dict__.update(state)
        self._params = self._params.copy()

    @property
    def params(self) -> Vector:
        """The chains' own memory, shape (m, 2L), as a new writable view at each access."""
        return self._params.view()

    @property
    def layers(self) -> int:
        """Number of layers of each chain."""
        return self._kind.layers

    @property
    def activations(self) -> tuple[str, ...]:
        """Names of the activations, first layer to last."""
        return self._kind.activations

    @property
    def frozen(self) -> tuple[str, ...]:
        """Names of the frozen parameters."""
        return self._kind.frozen

    @property
    def free(self) -> NDArray[np.bool_]:
        """Which columns of params are not frozen, shape (2L,)."""
        return self._kind.free

    @property
    def param_names(self) -> tuple[str, ...]:
        """Names of the columns of params."""
        return self._kind.param_names

    def __len__(self) -> int:
        """How many chains there are."""
        return len(self.params)

    def __iter__(self) -> Iterator[Chain]:
        """Go through the chains."""
        return (self[i] for i in range(len(self)))

    @overload
    def __getitem__(self, index: int | np.integer) -> Chain: ...
    @overload
    def __getitem__(
        self, index: slice | Sequence[int] | NDArray[np.integer] | NDArray[np.bool_]
    ) -> ChainArray: ...
    def __getitem__(
        self,
        index: int | np.integer | slice | Sequence[int] | NDArray[np.integer] | NDArray[np.bool_],
    ) -> Chain | ChainArray:
        """Copy one chain, or those of a slice, a mask or a list of indices."""
        if isinstance(index, int | np.integer):
            row = self.params[index]
            return Chain(row[::2], row[1::2], self.activations, self.frozen)
        return ChainArray(self.params[index], self.activations, self.frozen)

    def __repr__(self) -> str:
        """Show the number of chains and their activations."""
        return f"<ChainArray of {len(self)} chains: {' -> '.join(self.activations)}>"

    def forward(self, x: ArrayLike, *, threads: _Integer | None = None) -> Vector:
        """Compute the outputs.

        Parameters
        ----------
        x : array_like, shape (), (n,) or (m, n)
        threads : int, optional
            As for `Chain.forward`.

        Returns
        -------
        ndarray
            Shape (m,) if x is a number, else (m, n).

        Raises
        ------
        ShapeError
            If x has another shape.
        InputTypeError
            If x is not real.
        ParameterError
            If threads is not an integer of 1 or more.
        """
        return _core.forward_many(self.params, self._kind, x, threads)

    __call__ = forward

    def slope(self, x: ArrayLike, *, threads: _Integer | None = None) -> Vector:
        """Compute the derivative of the outputs by the inputs; arguments as for `forward`."""
        return _core.slope_many(self.params, self._kind, x, threads)

    def inverse(self, y: ArrayLike, *, threads: _Integer | None = None) -> Vector:
        """Find the inputs that give the outputs y; shapes and `threads` as for `forward`.

        The result is NaN where no input gives y, and for a chain in which a weight is 0.

        Raises
        ------
        ParameterError
            If an activation is not one-to-one; the message names its layer. If threads is not an
            integer of 1 or more.
        """
        return _core.inverse_many(self.params, self._kind, y, threads)

    def loss(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        loss: _Loss = "squared",
        loss_scale: _Number = 1.0,
        sample_weight: ArrayLike | None = None,
        threads: _Integer | None = None,
    ) -> Vector:
        """Compute each chain's averaged loss.

        Parameters
        ----------
        x : array_like, shape (n,) or (m, n)
        y : array_like, shape (n,) or (m, n)
        loss, loss_scale
            As for `Chain.loss`.
        sample_weight : array_like, shape (n,), optional
            A weight for each example, the same for all chains.
        threads : int, optional
            As for `Chain.forward`.

        Returns
        -------
        ndarray, shape (m,)

        Raises
        ------
        ShapeError, ParameterError, ActivationError, InputTypeError
            As for `Chain.loss`.
        """
        return self._evaluate(x, y, loss, loss_scale, sample_weight, threads, None)

    def gradient(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        loss: _Loss = "squared",
        loss_scale: _Number = 1.0,
        sample_weight: ArrayLike | None = None,
        threads: _Integer | None = None,
    ) -> Vector:
        """Compute each chain's averaged gradient, shape (m, 2L); arguments as for `loss`."""
        gradient = np.empty_like(self.params)
        self._evaluate(x, y, loss, loss_scale, sample_weight, threads, gradient)
        return gradient

    def _evaluate(
        self,
        x: ArrayLike,
        y: ArrayLike,
        loss: _Loss,
        loss_scale: _Number,
        sample_weight: ArrayLike | None,
        threads: _Integer | None,
        gradient: Vector | None,
    ) -> Vector:
        code = _core.code_of_loss(loss, loss_scale)
        inputs, targets = data_of(x, y, len(self))
        weights = None if sample_weight is None else real_array(sample_weight, "sample_weight")
        if weights is not None and weights.shape != inputs.shape[-1:]:
            raise ShapeError(
                f"sample_weight: shape {weights.shape}, expected {inputs.shape[-1:]}, one for each "
                "example"
            )
        return _core.gradient_many(
            self.params,
            self._kind,
            inputs,
            targets,
            weights,
            code,
            float(loss_scale),
            gradient,
            threads,
        )


def chains_on(params: Vector, net: Chain) -> ChainArray:
    """Make an array of chains like `net` on params (m, 2L), which are not copied."""
    chains = ChainArray(np.empty((0, 2 * net.layers)), net.activations, net.frozen)
    chains._params = params
    return chains


def data_of(x: ArrayLike, y: ArrayLike, chains: int | None = None) -> tuple[Vector, Vector]:
    """Make contiguous x (n,) or (m, n) and y (m, n); y (n,) is repeated for `chains` chains."""
    inputs, targets = real_array(x, "x"), real_array(y, "y")
    if targets.ndim == 1 and chains is not None:
        targets = np.ascontiguousarray(np.broadcast_to(targets, (chains, targets.size)))
    if targets.ndim != 2 or (chains is not None and len(targets) != chains):
        rows = "m" if chains is None else chains
        raise ShapeError(f"y: shape {np.shape(y)}, expected ({rows}, n), a row for each chain")
    if inputs.shape not in (targets.shape, targets.shape[1:]):
        raise ShapeError(
            f"x: shape {inputs.shape}, expected {targets.shape[1:]} for all chains "
            f"or {targets.shape} as y"
        )
    return inputs, targets
