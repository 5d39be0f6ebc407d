"""How one column of a table becomes inputs of a network; fitted on training rows alone."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, ClassVar, Self, final

import numpy as np

from fitwell.errors import TaskError
from fitwell.tasks.cells import (
    Floats,
    as_dates,
    as_numbers,
    as_text,
    is_missing,
    present,
    words_of,
)

MAX_LEVELS = 32
"""Most categories of a column that get an input of their own."""

MAX_WORDS = 256
"""Most words of a text column that get an input of their own."""


@dataclass(frozen=True)
class Encoder(ABC):
    """Turns one column into numbers; a plain value that saves as JSON.

    Args:
        column: Name of the column.
    """

    kind: ClassVar[str]
    column: str

    @property
    @abstractmethod
    def features(self) -> tuple[str, ...]:
        """Names of the inputs that it makes."""

    @abstractmethod
    def encode(self, values: Sequence[object]) -> Floats:
        """Return the inputs (rows, features).

        Raises:
            TaskError: If a value is not of the kind that this column holds.
        """

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return {"kind": self.kind, **asdict(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_dict` wrote."""
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in data.items()
            if key != "kind"
        }
        return cls(**values)


@final
@dataclass(frozen=True)
class Number(Encoder):
    """A number, scaled to mean 0 and deviation 1; the median where it is missing.

    Args:
        median: Stands in for a missing value.
        mean: Mean after that, subtracted.
        scale: Standard deviation after that, divided by; above 0.
        indicator: Whether a further input says that the value is missing.
    """

    kind: ClassVar[str] = "number"
    median: float
    mean: float
    scale: float
    indicator: bool

    @classmethod
    def fit(cls, column: str, values: Sequence[object]) -> Number:
        """Learn from training values; at least one must be present."""
        numbers = as_numbers(values, column)
        missing = np.isnan(numbers)
        median = float(np.median(numbers[~missing]))
        filled = np.where(missing, median, numbers)
        mean, scale = moments(filled)
        return cls(column, median, mean, scale, bool(missing.any()))

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the inputs that it makes."""
        return (self.column, f"{self.column} is missing") if self.indicator else (self.column,)

    def encode(self, values: Sequence[object]) -> Floats:
        """Return the inputs (rows, features)."""
        numbers = as_numbers(values, self.column)
        missing = np.isnan(numbers)
        scaled = (np.where(missing, self.median, numbers) - self.mean) / self.scale
        return np.column_stack([scaled, missing.astype(float)] if self.indicator else [scaled])


@final
@dataclass(frozen=True)
class Category(Encoder):
    """A category as one input each for the frequent ones.

    A category that training rows did not hold goes where the rare ones go, or leaves all
    inputs 0 where there were none.

    Args:
        levels: Categories with an input of their own, the most frequent first.
        other: Whether the rare ones share a further input.
        missing: Whether a missing value has a further input.
    """

    kind: ClassVar[str] = "category"
    levels: tuple[str, ...]
    other: bool
    missing: bool

    @classmethod
    def fit(cls, column: str, values: Sequence[object]) -> Category:
        """Learn from training values: at most 32 categories, each in at least two rows."""
        counts = Counter(as_text(value) for value in present(values))
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        levels = tuple(name for name, count in ranked[:MAX_LEVELS] if count > 1)
        missing = sum(counts.values()) < len(values)
        return cls(column, levels, len(levels) < len(counts), missing)

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the inputs that it makes."""
        names = [f"{self.column} = {level}" for level in self.levels]
        names += [f"{self.column} = (other)"] * self.other
        return (*names, *[f"{self.column} is missing"] * self.missing)

    def encode(self, values: Sequence[object]) -> Floats:
        """Return the inputs (rows, features)."""
        places = {level: place for place, level in enumerate(self.levels)}
        other = len(self.levels) if self.other else -1
        gap = len(self.levels) + self.other if self.missing else other
        hot = [gap if is_missing(v) else places.get(as_text(v), other) for v in values]
        places_hot = np.array(hot, dtype=np.int64)
        encoded = np.zeros((len(values), len(self.features)))
        rows = np.flatnonzero(places_hot >= 0)
        encoded[rows, places_hot[rows]] = 1.0
        return encoded


@final
@dataclass(frozen=True)
class Moment(Encoder):
    """A date as its parts, each scaled as a number is; parts that never change are left out.

    Args:
        form: Format as for ``datetime.strptime``, or ``"iso"``.
        parts: Which of year, month, day, weekday, hour, minute.
        means: Mean of every part, which also stands in for a missing date.
        scales: Standard deviation of every part.
        indicator: Whether a further input says that the date is missing.
    """

    kind: ClassVar[str] = "date"
    form: str
    parts: tuple[str, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]
    indicator: bool

    @classmethod
    def fit(cls, column: str, values: Sequence[object], form: str) -> Moment:
        """Learn from training values of a known format."""
        dates = as_dates(values, form, column)
        known = [moment for moment in dates if moment is not None]
        table = {part: np.array([_part(m, part) for m in known]) for part in _PARTS}
        kept = tuple(part for part, numbers in table.items() if len(set(numbers.tolist())) > 1)
        fitted = [moments(table[part]) for part in kept]
        means, scales = tuple(m for m, _ in fitted), tuple(s for _, s in fitted)
        return cls(column, form, kept, means, scales, len(known) < len(dates))

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the inputs that it makes."""
        names = [f"{part} of {self.column}" for part in self.parts]
        return (*names, *[f"{self.column} is missing"] * self.indicator)

    def encode(self, values: Sequence[object]) -> Floats:
        """Return the inputs (rows, features)."""
        dates = as_dates(values, self.form, self.column)
        columns = [
            np.array([(_part(m, part) - mean) / scale if m else 0.0 for m in dates])
            for part, mean, scale in zip(self.parts, self.means, self.scales, strict=True)
        ]
        if self.indicator:
            columns.append(np.array([float(moment is None) for moment in dates]))
        return np.column_stack(columns) if columns else np.zeros((len(values), 0))


_PARTS = ("year", "month", "day", "weekday", "hour", "minute")


def _part(moment: datetime, part: str) -> float:
    return float(moment.weekday() if part == "weekday" else getattr(moment, part))


@final
@dataclass(frozen=True)
class Text(Encoder):
    """Free text as the weights of its words (tf-idf), of one length a row.

    The length is the root of the number of known words in a training row, so that a word that is
    there counts about 1, as much as other inputs do.

    Args:
        words: Words with an input of their own.
        weights: Inverse document frequency of every word: ln((1 + n) / (1 + rows with it)) + 1.
        length: Euclidean length of a row that has a known word; at least 1.

    References:
        Salton and Buckley, "Term-weighting approaches in automatic text retrieval", 1988; the
        smoothing is scikit-learn's.
    """

    kind: ClassVar[str] = "text"
    words: tuple[str, ...]
    weights: tuple[float, ...]
    length: float

    @classmethod
    def fit(cls, column: str, values: Sequence[object]) -> Text:
        """Learn the words of training rows: the 256 in most rows, each in at least two."""
        counts = Counter(word for value in values for word in set(words_of(value)))
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        kept = sorted((word, n) for word, n in ranked[:MAX_WORDS] if n > 1)
        weights = tuple(math.log((1 + len(values)) / (1 + n)) + 1 for _, n in kept)
        a_row = sum(n for _, n in kept) / max(1, len(present(values)))
        return cls(column, tuple(word for word, _ in kept), weights, math.sqrt(max(1.0, a_row)))

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the inputs that it makes."""
        return tuple(f"{self.column} has {word!r}" for word in self.words)

    def encode(self, values: Sequence[object]) -> Floats:
        """Return the inputs (rows, features)."""
        places = {word: place for place, word in enumerate(self.words)}
        encoded = np.zeros((len(values), len(self.words)))
        for row, value in enumerate(values):
            for word in words_of(value):
                if word in places:
                    encoded[row, places[word]] += 1.0
        encoded *= np.array(self.weights)
        lengths = np.linalg.norm(encoded, axis=1, keepdims=True)
        weighted: Floats = self.length * encoded / np.where(lengths > 0, lengths, 1.0)
        return weighted


def moments(numbers: Floats) -> tuple[float, float]:
    """Mean and standard deviation to scale by; 1 where all numbers are the same."""
    largest = float(np.abs(numbers).max())
    if largest > 1e150:
        raise TaskError(f"Numbers up to {largest:g} cannot be scaled: rescale the column.")
    deviation = float(numbers.std())
    return float(numbers.mean()), deviation if deviation > 1e-12 * max(largest, 1e-300) else 1.0


ENCODERS: Mapping[str, type[Encoder]] = MappingProxyType(
    {encoder.kind: encoder for encoder in (Number, Category, Moment, Text)}
)
"""Encoders by the kind that is saved."""
