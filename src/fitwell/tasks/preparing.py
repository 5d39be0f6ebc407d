"""From what a user handed over to three checked splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fitwell.errors import TaskError
from fitwell.tasks.arrays import Given, Raw, encoded, raw
from fitwell.tasks.data import Data, Kind, Split, kind_of
from fitwell.tasks.losses import Targets
from fitwell.tasks.splits import Ints, copies, split_rows, strata_of
from fitwell.words import say

LEAST_ROWS = 30
"""Fewer rows cannot be split three ways and still say anything."""

SHARES = (0.6, 0.2, 0.2)
"""Training, validation and test share of the rows where none is given."""

_SPLIT_OFF = {
    ("validation",): say("Validation rows"),
    ("test",): say("Test rows"),
    ("validation", "test"): say("Validation and test rows"),
}
"""What was split off, by the sides that were not given."""


def prepared(
    train: Given,
    validation: Given | None,
    test: Given | None,
    *,
    targets: Targets,
    seed: int,
    kind: Kind | None,
    wants_ids: Callable[[], bool],
) -> Data:
    """Check, encode and split what a user gave.

    Args:
        train: Training rows, and all others where they are not given.
        validation: Validation rows, or None to split them off.
        test: Test rows, or None to split them off.
        targets: What the loss takes.
        seed: Seed of the split.
        kind: What the rows are, or None to tell by their shape.
        wants_ids: Says whether whole numbers are token ids; asked only where inputs are whole.

    Raises:
        TaskError: If the data cannot be trained on.
    """
    given = {"training": train, "validation": validation, "test": test}
    parts = {side: raw(rows, side) for side, rows in given.items() if rows is not None}
    _same_shape(parts)
    ys, classes = encoded([part.y for part in parts.values()], targets)
    labels = _labels(torch.cat(ys), targets)
    enough(sum(map(len, ys)), labels)
    as_ids = all(not p.x.is_floating_point() for p in parts.values()) and wants_ids()
    splits = {
        side: Split(part.x.long() if as_ids else part.x.float(), y)
        for (side, part), y in zip(parts.items(), ys, strict=True)
    }
    notes = _split_off(splits, targets, seed)
    notes += _seen_before(splits)
    return Data(
        splits["training"],
        splits["validation"],
        splits["test"],
        kind=kind or kind_of(splits["training"].x),
        classes=classes,
        notes=tuple(notes),
    )


def enough(rows: int, labels: Ints | None, names: Sequence[str] = ()) -> None:
    """Refuse data that are too few, or classes that cannot be learned.

    Args:
        rows: Number of rows in all.
        labels: Class number of every row; None for numbers.
        names: Names of the classes.

    Raises:
        TaskError: For fewer than 30 rows, one class only, or a class with one row.
    """
    if rows < LEAST_ROWS:
        raise TaskError(
            f"At least {LEAST_ROWS} rows are needed for training, validation and test, "
            f"got {rows}: add rows."
        )
    if labels is None:
        return
    counts = Counter(labels.tolist())
    named = {c: repr(names[c]) if names else str(c) for c in counts}
    if len(counts) < 2:
        raise TaskError(
            f"At least two classes are needed, but all {rows} rows are of class "
            f"{named[next(iter(counts))]}: choose another target, or add rows of another class."
        )
    alone = [named[c] for c, count in sorted(counts.items()) if count == 1]
    if alone:
        raise TaskError(
            f"Every class needs at least two rows, but {listed(alone)} "
            f"{'has' if len(alone) == 1 else 'have'} one: "
            "add rows, merge it with another class, or drop it."
            + (" If these are amounts, choose regression." if len(alone) > 5 else "")
        )


def listed(names: Sequence[str], most: int = 5) -> str:
    """Names separated by commas, the first few of them."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _same_shape(parts: dict[str, Raw]) -> None:
    first = parts["training"].x.shape[1:]
    for side, part in parts.items():
        if part.x.shape[1:] != first:
            raise TaskError(
                f"Rows of the {side} data must have the shape of the training rows, "
                f"{tuple(first)}, got {tuple(part.x.shape[1:])}."
            )


def _labels(y: Tensor, targets: Targets) -> Ints | None:
    """Class of every row where there is one class a row, else None."""
    if targets == "binary" and y.shape[1] == 1:
        return y[:, 0].long().numpy()
    if y.ndim == 1 and not y.is_floating_point():
        return y.numpy()
    return None


def _split_off(splits: dict[str, Split], targets: Targets, seed: int) -> list[str]:
    """Fill in the sides that are missing from the training rows; return what was done."""
    missing = [side for side in ("validation", "test") if side not in splits]
    if not missing:
        return []
    whole = splits["training"]
    labels = _labels(whole.y, targets)
    strata = _bins(whole.y) if labels is None else labels
    groups = copies(row.tobytes() for row in _comparable(whole.x))
    held = [SHARES[1] for _ in missing]
    sides, notes = split_keeping_copies(strata, groups, [1 - sum(held), *held], seed)
    for side, rows in zip(["training", *missing], sides, strict=True):
        chosen = torch.from_numpy(rows)
        splits[side] = Split(whole.x[chosen], whole.y[chosen])
    split = _SPLIT_OFF[tuple(missing)]
    if labels is None:
        return [say("{rows} were split off at random.", rows=split), *notes]
    return [
        say("{rows} were split off at random, in the same shares of every class.", rows=split),
        *notes,
    ]


def split_keeping_copies(
    strata: Ints, groups: Ints, shares: Sequence[float], seed: int
) -> tuple[list[Ints], list[str]]:
    """Split rows with equal ones on one side, unless too few different rows are left for that.

    In a table of a few columns with few values each, equal rows are no copies but the rule; if
    the largest set of equal rows exceeds half of the smallest side, they are split like others.

    Returns:
        Row numbers of every side, and what was done as sentences.
    """
    counts = np.bincount(groups)
    repeats = len(groups) - len(counts)
    if repeats == 0:
        return split_rows(strata, shares=shares, seed=seed), []
    if counts.max() > min(shares) * len(groups) / 2:
        note = say(
            "{repeats} rows repeat another, one of them {most} times: too few different rows to "
            "keep equal ones on one side of the split.",
            repeats=repeats,
            most=int(counts.max()),
        )
        return split_rows(strata, shares=shares, seed=seed), [note]
    sides = split_rows(strata, shares=shares, seed=seed, groups=groups)
    note = say(
        "{repeats} rows repeat another: equal rows were kept on one side of the split.",
        repeats=repeats,
    )
    return sides, [note]


def _bins(y: Tensor) -> Ints:
    """Strata of float targets: bins of the first output."""
    return strata_of(y.reshape(len(y), -1)[:, 0].numpy())


def _comparable(x: Tensor) -> NDArray[Any]:
    """Rows whose bytes are equal where their values are: -0.0 becomes 0.0."""
    return np.ascontiguousarray(x.numpy() + 0)


def _seen_before(splits: dict[str, Split]) -> list[str]:
    """Name held-out rows that also stand in the training rows, as a user's own split may have."""
    seen = {row.tobytes() for row in _comparable(splits["training"].x)}
    notes: list[str] = []
    for side in ("validation", "test"):
        count = sum(row.tobytes() in seen for row in _comparable(splits[side].x))
        if count:
            of = {"count": count, "all": len(splits[side])}
            notes.append(
                say(
                    "{count} of {all} validation rows also stand in the training rows: scores on "
                    "them flatter the network.",
                    **of,
                )
                if side == "validation"
                else say(
                    "{count} of {all} test rows also stand in the training rows: scores on them "
                    "flatter the network.",
                    **of,
                )
            )
    return notes
