"""What to make of a column: a number, a category, a date, text, or nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fitwell.tasks.cells import as_text, date_format, is_missing, present, words_of
from fitwell.tasks.encoders import Category, Encoder, Moment, Number, Text

_ID_NAME = re.compile(
    r"(^|[_\s.-])(id|ids|uuid|guid|index|idx|key|rowid)$|^(unnamed|index|row)\b", re.I
)
_CAMEL_ID = re.compile(r"[a-z](Id|ID)$")

WORDY = 3.0
"""Mean number of words from which a string column counts as free text."""


def unusable(name: str, values: Sequence[object]) -> str | None:
    """Say why a column cannot tell rows apart in a useful way, or None if it may.

    Args:
        name: Name of the column.
        values: Its cells.

    Returns:
        ``"empty"``, ``"constant"``, ``"like an id"`` or None.
    """
    cells = present(values)
    if not cells:
        return "empty"
    distinct = len(set(cells))
    if distinct == 1:
        return "constant" if len(cells) == len(values) else None
    called_id = bool(_ID_NAME.search(name) or _CAMEL_ID.search(name))
    many = distinct > max(20, len(cells) / 20)
    if isinstance(cells[0], str):
        if date_format(values) or _is_text(cells):
            return None
        return (
            "like an id" if distinct > 20 and (distinct > 0.9 * len(cells) or called_id) else None
        )
    if isinstance(cells[0], bool | np.bool_) or not isinstance(cells[0], int | float | np.number):
        return None
    numbers = np.array(cells, dtype=float)
    if not bool((numbers == np.round(numbers)).all()):
        return None
    return "like an id" if (called_id and many) or _numbered(numbers) else None


def _numbered(numbers: NDArray[Any]) -> bool:
    """Whether whole numbers just count rows: all different, and most of their range is taken."""
    span = float(numbers.max() - numbers.min()) + 1
    return len(numbers) > 20 and len(set(numbers.tolist())) == len(numbers) > span / 2


def _is_text(cells: Sequence[object]) -> bool:
    """Whether strings are free text: several words, and seldom the same."""
    if len(set(cells)) <= max(20, len(cells) / 10):
        return False
    return sum(len(words_of(cell)) for cell in cells) >= WORDY * len(cells)


def fitted(name: str, values: Sequence[object]) -> Encoder:
    """Fit the encoder that suits a usable column, from its training values."""
    cells = present(values)
    if len(set(cells)) == 1:
        return Category.fit(name, values)
    form = date_format(values)
    if form is not None:
        return Moment.fit(name, values, form)
    if not isinstance(cells[0], str):
        return Number.fit(name, values)
    return Text.fit(name, values) if _is_text(cells) else Category.fit(name, values)


def told_kind(values: Sequence[object]) -> str:
    """Tell classification from regression by the target.

    Strings and truth values are classes. Numbers are classes if they are whole and few: two of
    them, or at most 20 with ten rows each on average.
    """
    cells = present(values)
    if any(isinstance(cell, str | bool | np.bool_) for cell in cells):
        return "classification"
    distinct = {float(cell) for cell in cells}  # type: ignore[arg-type]  # neither strings nor dates
    few = len(distinct) <= 20 and len(cells) >= 10 * len(distinct)
    whole = all(number == round(number) for number in distinct)
    return "classification" if len(distinct) <= 2 or (few and whole) else "regression"


def class_names(values: Sequence[object]) -> tuple[str, ...]:
    """Names of the classes in order: by size if all are numbers, else by letter."""
    names = {as_text(value) for value in values if not is_missing(value)}
    try:
        return tuple(sorted(names, key=float))
    except ValueError:
        return tuple(sorted(names))
