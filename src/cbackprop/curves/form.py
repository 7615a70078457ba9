"""What a curve is made of: a declaration, and the forms of it, chains that compute it."""

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
    """Two sets of the chain's parameters that make the same curve; names are meant of one.

    That is the one in which the parameter `when` is not negative, which is held to that where
    anything is fixed or bounded. The other becomes it by adding, for `shift`, the second to the
    first, and turning the signs of those in `negate`.
    """

    when: str
    negate: tuple[str, ...]
    shift: tuple[str, str] | None = None

    def matrix(self, names: Sequence[str]) -> Vector:
        """Give the linear map from the other set to the one."""
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
    """[w1, b1, ..., wL, bL] -> natural parameters, of numbers that carry their derivatives."""
    alone: Mapping[str, str]
    """Natural parameters that one parameter of the chain alone determines, and which."""
    starts: Callable[[Vector], Iterator[Sequence[float]]]
    """Inputs -> candidates for all of the chain's parameters. Those of a last identity layer, where
    they are free, do not matter: they are solved for."""
    together: Mapping[tuple[str, ...], tuple[str, ...]] | None = None
    """Natural parameters that, when all are fixed, fix these parameters of the chain."""
    mirror: Mirror | None = None
    """The other set of parameters, if there are two."""
    limits: Mapping[str, tuple[float | None, float | None]] | None = None
    """Bounds that the chain's parameters have in any case."""
    row: int = 0
    """So many candidates stand in a row, where neighbours in rows and columns are alike; or 0."""
    basins: int = 1
    """The candidates are so many equal parts, each of which may lead to a minimum of its own."""
    distant: int = 0
    """So many candidates, the last, are for a fit by itself alone: many would creep from there."""

    def holds(self, fixed: Iterable[str]) -> set[str] | None:
        """Give the chain's parameters that are fixed with these, None if that cannot be said."""
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
    """A classical model as data; `Curve` says what each entry is."""

    name: str
    formula: str
    parameters: tuple[str, ...]
    forms: tuple[Form, ...]
    loss: Literal["squared", "log"] = "squared"
    log_axis: bool = False
    domain: tuple[float, float] = (-math.inf, math.inf)
    positive: tuple[str, ...] = ()
