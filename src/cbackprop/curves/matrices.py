"""Small matrices with sums in a fixed order, so that bits do not depend on a BLAS."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["inverse_triangle", "product", "semidefinite_root"]

Matrix: TypeAlias = NDArray[np.float64]


def product(a: Matrix, b: Matrix) -> Matrix:
    """Multiply matrices of shapes (m, k) and (k, n), term by term in the order of k."""
    total = np.zeros((a.shape[0], b.shape[1]))
    for column, row in zip(a.T, b, strict=True):
        total += column[:, None] * row
    return total


def inverse_triangle(columns: Matrix) -> Matrix:
    """Invert the triangle R of columns = QR, shape (m, k): R^-1 times its transpose inverts C'C."""
    rows, k = columns.copy(), columns.shape[1]
    for j in range(k):  # Householder's reflections
        tail = rows[j:, j].copy()
        if not tail[1:].any():
            continue
        length = math.copysign(math.sqrt(math.fsum(tail * tail)), tail[0])
        tail[0] += length
        factor = 1.0 / (length * tail[0])
        for other in range(j, k):
            rows[j:, other] -= factor * math.fsum(tail * rows[j:, other]) * tail
    inverse = np.zeros((k, k))
    for j in range(k):
        inverse[j, j] = 1.0 / rows[j, j]
        for i in reversed(range(j)):
            part = math.fsum(rows[i, i + 1 : j + 1] * inverse[i + 1 : j + 1, j])
            inverse[i, j] = -part / rows[i, i]
    return inverse


def semidefinite_root(matrix: Matrix) -> Matrix:
    """Find L with LL' = matrix by Cholesky; linearly dependent rows have a pivot of 0."""
    k = len(matrix)
    root = np.zeros((k, k))
    for j in range(k):
        for i in range(j, k):
            left = matrix[i, j] - math.fsum(root[i, :j] * root[j, :j])
            if i == j:
                root[j, j] = math.sqrt(left) if left > 0 else 0.0
            elif root[j, j] > 0:
                root[i, j] = left / root[j, j]
    return root
