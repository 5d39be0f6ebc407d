"""The scores of single rows, kept small: what a run did on every row of a small test set."""

from __future__ import annotations

import base64
import sys
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True)
class RowScores:
    """Metric and loss of every row of a split, in the order of the rows.

    Kept as text, four bytes a number, so that the runs of a study stay small in memory and in the
    file. Each is "" where the score of the split is no mean over rows, as R² or macro F1.

    Args:
        metric: The metric's values, packed.
        loss: The loss's values, packed.
    """

    metric: str = ""
    loss: str = ""

    @classmethod
    def of(cls, metric: Sequence[float], loss: Sequence[float]) -> RowScores:
        """Pack values, one a row; none at all where there are no such values."""
        return cls(_packed(metric), _packed(loss))

    @property
    def metrics(self) -> tuple[float, ...]:
        """The metric of every row, in single precision."""
        return _unpacked(self.metric)

    @property
    def losses(self) -> tuple[float, ...]:
        """The loss of every row, in single precision."""
        return _unpacked(self.loss)


def _packed(values: Sequence[float]) -> str:
    return base64.b64encode(_little(array("f", values)).tobytes()).decode("ascii")


def _unpacked(text: str) -> tuple[float, ...]:
    values = array("f")
    values.frombytes(base64.b64decode(text))
    return tuple(_little(values))


def _little(values: array[float]) -> array[float]:
    """Return values in little-endian order, or back from it: a file reads alike everywhere."""
    if sys.byteorder == "big":
        values.byteswap()
    return values
