"""Passes of a fit over examples in shards.

Examples are numbered through all shards, and each group of `LEAF` consecutive ones is a leaf
(csrc/cbackprop.h). A shard computes the nodes of the leaves that are completely in it. The examples
of a leaf that crosses the border of two shards are fetched once, and its node is computed here. So
the result of a pass does not depend on how the examples are divided into shards. The exact Hessian,
which only standard errors need, is added up shard by shard, and depends on it by rounding errors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _core
from .._core import LEAF, Chain
from ..errors import ParameterError, ShapeError
from .arguments import examples_of

if TYPE_CHECKING:
    from .._core import _Loss

__all__ = ["ShardedPass"]

Vector: TypeAlias = NDArray[np.float64]
Examples: TypeAlias = tuple[Vector, Vector, Vector | None]
Nodes: TypeAlias = tuple[NDArray[np.uintp], Vector]  # the result of _core.leaf_nodes
# Calls a function for each of some shards, with the shard's x, y and weights and with further
# arguments for that shard; returns the results in the order of the shards.
Ask: TypeAlias = Callable[..., list[Any]]


class ShardedPass:
    """A pass over shards.

    `ask(task, which, *more)` is called with a function, a list of shard numbers, and lists with a
    further argument for each of these shards; it returns a list of the results
    ``task(x, y, sample_weight, *further)``.
    """

    examples: Final = None  # not in memory

    def __init__(self, ask: Ask, count: int, net: Chain, *, loss: _Loss, loss_scale: float) -> None:
        which = list(range(count))
        sizes = ask(partial(_checked_size, net, loss, loss_scale), which)
        ends = list(accumulate(sizes))
        starts = [end - size for end, size in zip(ends, sizes, strict=True)]
        heads = [
            min(-(-start // LEAF) * LEAF, end) for start, end in zip(starts, ends, strict=True)
        ]
        tails = [max(end // LEAF * LEAF, head) for head, end in zip(heads, ends, strict=True)]
        self.n = ends[-1]
        if self.n == 0:
            raise ShapeError(
                "load: no example of positive weight in any shard; expected one or more"
            )
        cuts = [
            (size, head - start, tail - start)
            for size, start, head, tail in zip(sizes, starts, heads, tails, strict=True)
        ]
        shared = ask(_ends, which, *map(list, zip(*cuts, strict=True)))
        self._ask, self._sizes = ask, sizes
        self._leaves = list(_joined(starts, tails, shared))
        self._whole = [i for i in which if heads[i] < tails[i]]
        self._cuts = [[cuts[i][k] for i in self._whole] for k in range(3)]
        self._firsts = [heads[i] // LEAF for i in self._whole]

    def __call__(self, chain: Chain, loss: int, scale: float) -> Vector:
        """Compute the node of all examples."""
        task = partial(_nodes, chain, loss, scale)
        parts: list[Nodes] = []
        if self._whole:
            parts = self._ask(task, self._whole, *self._cuts, self._firsts)
        parts += [
            _core.leaf_nodes(chain, *examples, loss, scale, leaf) for leaf, examples in self._leaves
        ]
        parts.sort(key=lambda part: int(part[0][0, 0]))
        return _core.merge_nodes(chain, -(-self.n // LEAF), parts)

    def hessian(self, chain: Chain, loss: int, scale: float) -> Vector:
        """Compute the exact second derivatives of the averaged loss, added in the shards' order."""
        task = partial(_hessian_sums, chain, loss, scale)
        sums = self._ask(task, list(range(len(self._sizes))), self._sizes)
        width = 2 * chain.layers
        return _core.mean_of_sums(_core.merge_sums(sums)).reshape(width, width)


def _joined(
    starts: list[int], tails: list[int], shared: list[tuple[Examples, Examples]]
) -> Iterator[tuple[int, Examples]]:
    """Yield each leaf that crosses a border, from the examples at the ends of the shards."""
    pieces: dict[int, list[Examples]] = {}
    for start, tail, ends in zip(starts, tails, shared, strict=True):
        for first, piece in zip((start, tail), ends, strict=True):
            if piece[0].size:
                pieces.setdefault(first // LEAF, []).append(piece)
    for leaf, found in pieces.items():
        x, y = (np.concatenate([piece[k] for piece in found]) for k in range(2))
        weights = [np.ones(piece[0].size) if piece[2] is None else piece[2] for piece in found]
        yield leaf, (x, y, np.concatenate(weights))


# ---- tasks that run where the examples are -------------------------------------------------------


def _flat(x: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None) -> Examples:
    inputs, targets, weights, finite = examples_of(x, y, sample_weight)
    inputs, targets = inputs.reshape(-1), targets.reshape(-1)
    if not finite.all():
        i = int(np.flatnonzero(~finite.reshape(-1))[0])
        raise ParameterError(
            f"example {i}: x = {float(inputs[i])!r}, y = {float(targets[i])!r}; "
            "expected finite numbers"
        )
    return inputs, targets, None if weights is None else weights.reshape(-1)


def _checked_size(
    net: Chain,
    loss: _Loss,
    loss_scale: float,
    x: ArrayLike,
    y: ArrayLike,
    sample_weight: ArrayLike | None,
) -> int:
    """Count the examples; raises as `fit` does if one is invalid."""
    examples = _flat(x, y, sample_weight)
    _core.gradient_sums(net, *examples, loss, loss_scale)
    return examples[0].size


def _cut(examples: Examples, start: int, end: int) -> Examples:
    x, y, weights = examples
    return x[start:end], y[start:end], None if weights is None else weights[start:end]


def _again(x: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None, size: int) -> Examples:
    examples = _flat(x, y, sample_weight)
    if examples[0].size != size:
        raise ShapeError(
            f"load: {examples[0].size} examples, expected the {size} of its first load"
        )
    return examples


def _ends(
    x: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None, size: int, head: int, tail: int
) -> tuple[Examples, Examples]:
    """Return the examples before index `head`, and those from index `tail` on."""
    examples = _again(x, y, sample_weight, size)
    return _cut(examples, 0, head), _cut(examples, tail, size)


def _nodes(
    chain: Chain,
    loss: int,
    scale: float,
    x: ArrayLike,
    y: ArrayLike,
    sample_weight: ArrayLike | None,
    size: int,
    head: int,
    tail: int,
    first: int,
) -> Nodes:
    """Compute the nodes of the leaves from `head` to `tail`, the first of them leaf `first`."""
    examples = _cut(_again(x, y, sample_weight, size), head, tail)
    return _core.leaf_nodes(chain, *examples, loss, scale, first)


def _hessian_sums(
    chain: Chain,
    loss: int,
    scale: float,
    x: ArrayLike,
    y: ArrayLike,
    sample_weight: ArrayLike | None,
    size: int,
) -> Vector:
    """Compute the sums of the examples' second derivatives."""
    return _core.hessian_sums(chain, *_again(x, y, sample_weight, size), loss, scale)
