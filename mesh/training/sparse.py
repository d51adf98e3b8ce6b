"""A sparse matrix, as much of it as fitting needs: numpy alone, no SciPy."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Sparse:
    """Rows of (column, value), and the same by column, so that both products are sums of runs."""

    shape: tuple[int, int]
    starts: Places  # of each row in ``columns``, and the end
    columns: Places
    values: Floats
    starts_by_column: Places
    rows_by_column: Places
    values_by_column: Floats

    @classmethod
    def of(
        cls, columns: Sequence[NDArray[np.int64]], values: Sequence[Floats], width: int
    ) -> "Sparse":
        """Make one of each row's columns and values."""
        lengths = np.array([len(each) for each in columns], dtype=np.int64)
        starts = np.concatenate([[0], np.cumsum(lengths)])
        flat = np.concatenate([np.empty(0, np.int64), *columns]).astype(np.int64)
        cells = np.concatenate([np.empty(0, np.float32), *values]).astype(np.float32)
        order = np.argsort(flat, kind="stable")
        rows = np.repeat(np.arange(len(lengths)), lengths)
        counts = np.bincount(flat, minlength=width)
        return cls(
            (len(lengths), width),
            starts,
            flat,
            cells,
            np.concatenate([[0], np.cumsum(counts)]),
            rows[order],
            cells[order],
        )

    def times(self, right: Floats) -> Floats:
        """Return self @ right, for a vector: one head at a time fits the processor's caches."""
        return _sums(self.starts, self.columns, self.values, right)

    def transposed_times(self, right: Floats) -> Floats:
        """Return self.T @ right, for a vector."""
        return _sums(self.starts_by_column, self.rows_by_column, self.values_by_column, right)

    def take(self, rows: NDArray[np.intp]) -> "Sparse":
        """Return some of the rows, in the order given."""
        spans = [slice(self.starts[row], self.starts[row + 1]) for row in rows]
        return Sparse.of(
            [self.columns[span] for span in spans],
            [self.values[span] for span in spans],
            self.shape[1],
        )


def _sums(starts: Places, places: Places, values: Floats, right: Floats) -> Floats:
    """Return, for each run, the sum of its values times the numbers of ``right`` that it names."""
    summed = np.zeros(len(starts) - 1, dtype=np.float32)
    # reduceat takes an empty run for one of a single cell, so only runs that hold some.
    filled = np.flatnonzero(np.diff(starts))
    if len(filled):
        summed[filled] = np.add.reduceat(values * right[places], starts[filled])
    return summed
