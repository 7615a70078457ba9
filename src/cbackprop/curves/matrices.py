"""Small matrices with sums in a fixed order, so that bits do not depend on a BLAS."""

from __future__ import annotations

import math
from operator import mul
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["inverse_definite", "inverse_triangle", "product", "semidefinite_root", "solve"]

Matrix: TypeAlias = NDArray[np.float64]


def product(a: Matrix, b: Matrix) -> Matrix:
    """Multiply matrices of shapes (m, k) and (k, n), term by term in the order of k."""
    total = np.zeros((a.shape[0], b.shape[1]))
    for column, row in zip(a.T, b, strict=True):
        total += column[:, None] * row
    return total


def inverse_triangle(columns: Matrix) -> Matrix:
    """Invert the triangle R of columns = QR, shape (m, k): R^-1 times its transpose inverts C'C."""
    rows, k = columns.T.tolist(), columns.shape[1]  # lists: columns are short
    for j, column in enumerate(rows):  # Householder's reflections
        tail = column[j:]
        if not any(tail[1:]):
            continue
        length = math.copysign(math.sqrt(math.fsum(v * v for v in tail)), tail[0])
        tail[0] += length
        for other in rows[j:]:
            factor = math.fsum(map(mul, tail, other[j:])) / (length * tail[0])
            other[j:] = [value - factor * v for value, v in zip(other[j:], tail, strict=True)]
    inverse = np.zeros((k, k))
    for j in range(k):
        found = [0.0] * j + [1.0 / rows[j][j]]
        for i in reversed(range(j)):
            part = math.fsum(rows[m][i] * found[m] for m in range(i + 1, j + 1))
            found[i] = -part / rows[i][i]
        inverse[: j + 1, j] = found
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


def inverse_definite(matrix: Matrix) -> Matrix | None:
    """Invert a positive definite matrix; None if it is not."""
    scales = np.sqrt(matrix.diagonal())
    root = semidefinite_root(matrix / np.outer(scales, scales))
    if not (np.isfinite(root).all() and (root.diagonal() > 0).all()):
        return None
    inverse = inverse_triangle(root.T) / scales[:, None]
    return product(inverse, inverse.T)


def solve(matrix: Matrix, right: Matrix) -> Matrix:
    """Solve a system for one right side, by elimination with pivots; not finite if singular."""
    rows, size = np.column_stack((matrix, right)), len(right)
    for k in range(size):
        pivot = k + int(np.argmax(np.abs(rows[k:, k])))
        rows[[k, pivot]] = rows[[pivot, k]]
        rows[k] /= rows[k, k]
        for i in range(size):
            if i != k:
                rows[i] -= rows[i, k] * rows[k]
    solution: Matrix = rows[:, size]
    return solution
