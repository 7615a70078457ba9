"""The data of a curve: a declaration, and its forms, chains that compute the curve."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .dual import Dual

__all__ = ["POSITIVE", "Declaration", "Form", "Mirror"]

Vector: TypeAlias = NDArray[np.float64]
POSITIVE: Final = (0.0, math.inf)  # a domain


@dataclass(frozen=True)
class Mirror:
    """The linear map between two sets of the chain's parameters that make the same curve.

    Natural parameters refer to the set in which the chain's parameter `when` is not negative; where
    anything is fixed or bounded, `when` has the lower bound 0. The map changes the signs of the
    parameters in `negate`, and for `shift` adds the second parameter to the first.
    """

    when: str
    negate: tuple[str, ...]
    shift: tuple[str, str] | None = None

    def matrix(self, names: Sequence[str]) -> Vector:
        """Return the matrix of the map from the other set to that of the natural parameters."""
        matrix = np.diag([-1.0 if name in self.negate else 1.0 for name in names])
        if self.shift is not None:
            matrix[names.index(self.shift[0]), names.index(self.shift[1])] = 1.0
        return matrix


@dataclass(frozen=True)
class Form:
    """One chain that computes the curve."""

    activations: tuple[str, ...]
    frozen: tuple[str, ...]
    chain: Callable[..., Sequence[float]]
    """Natural parameters -> [w1, b1, ..., wL, bL]."""
    natural: Callable[..., Sequence[Dual]]
    """[w1, b1, ..., wL, bL] -> natural parameters, for dual numbers."""
    alone: Mapping[str, str]
    """Natural parameter -> the one parameter of the chain that determines it, if there is one."""
    starts: Callable[[Vector], Iterator[Sequence[float]]]
    """Inputs -> candidates for all of the chain's parameters. The values of free parameters of a
    last identity layer do not matter: they are replaced by the linear least-squares solution."""
    together: Mapping[tuple[str, ...], tuple[str, ...]] | None = None
    """Natural parameters -> the parameters of the chain that are fixed if all of them are fixed."""
    mirror: Mirror | None = None
    """The map to a second set of parameters of the same curve, if there is one."""
    limits: Mapping[str, tuple[float | None, float | None]] | None = None
    """Bounds of the chain's parameters in every fit."""
    row: int = 0
    """Row length if the candidates form a grid, in which neighbours are similar; otherwise 0."""
    basins: int = 1
    """Number of equal parts of the candidates, each of which may lead to a different minimum."""
    distant: int = 0
    """Number of candidates at the end of the list that only a single fit uses, since many fits
    would converge slowly from there."""

    def holds(self, fixed: Iterable[str]) -> set[str] | None:
        """Return the chain's parameters to fix for these; None if this form cannot fix them."""
        left, places = set(fixed), set[str]()
        for names, group in (self.together or {}).items():
            if left.issuperset(names):
                places.update(group)
                left.difference_update(names)
        if not left.issubset(self.alone):
            return None
        return places.union(self.alone[name] for name in left)


@dataclass(frozen=True)
class Declaration:
    """A classical model as data; `Curve` documents the fields."""

    name: str
    formula: str
    parameters: tuple[str, ...]
    forms: tuple[Form, ...]
    loss: Literal["squared", "log"] = "squared"
    log_axis: bool = False
    domain: tuple[float, float] = (-math.inf, math.inf)
    positive: tuple[str, ...] = ()
