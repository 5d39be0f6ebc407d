"""What a patch is: plain data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, final

SCHEMA = 1


@final
@dataclass(frozen=True)
class Applied:
    """One change that the patch makes.

    Args:
        remedy: Name of the remedy.
        change: Where and what, in words.
        line: Line of the file that it concerns; None for a statement that is added.
    """

    remedy: str
    change: str
    line: int | None


@final
@dataclass(frozen=True)
class NotExpressed:
    """One change of the recipe that the patch does not make, and why."""

    change: str
    reason: str


@final
@dataclass(frozen=True)
class Patch:
    """A change of a user's own source, tried and found to give the treated network.

    Args:
        file: The file, as it was given.
        qualname: The class.
        before: What the file holds.
        after: What it shall hold.
        encoding: Encoding of the file.
        diff: The change as a unified diff; "" if there is nothing to change.
        applied: What the patch does.
        not_expressed: What the recipe would do besides.
        keys: The ``state_dict`` keys that move: old name to new name.
        notes: What else one should know.
        loop: Plain PyTorch for the remedies that act in the training loop; "" if there are none.
    """

    file: str
    qualname: str
    before: bytes
    after: bytes
    encoding: str
    diff: str
    applied: tuple[Applied, ...] = ()
    not_expressed: tuple[NotExpressed, ...] = ()
    keys: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    loop: str = ""

    @property
    def diff_bytes(self) -> bytes:
        """The diff in the encoding of the file."""
        return self.diff.encode(self.encoding)

    def __str__(self) -> str:
        name = f"{self.qualname} in {self.file}"
        lines = [
            f"{name}: {_count(len(self.applied))}" if self.diff else f"{name}: nothing to change"
        ]
        lines += [f"  {line}" for line in _grouped(self.applied)]
        if self.keys:
            old, new = next(iter(self.keys.items()))
            count = len(self.keys)
            lines.append(f"state_dict keys that move: {count}, as {old} -> {new}")
        if self.not_expressed:
            lines.append("not expressed:")
            lines += [f"  {item.change}: {item.reason}" for item in self.not_expressed]
        return "\n".join([*lines, *self.notes])

    def to_dict(self) -> dict[str, Any]:
        """Return the patch as plain data, for ``--json``."""
        return {
            "schema": SCHEMA,
            "file": self.file,
            "class": self.qualname,
            "diff": self.diff,
            "applied": [vars(change) for change in self.applied],
            "not_expressed": [vars(change) for change in self.not_expressed],
            "keys": dict(self.keys),
            "notes": list(self.notes),
        }


def _grouped(applied: Iterable[Applied]) -> list[str]:
    """Return a line for each place of the source and what is done there."""
    groups: dict[tuple[str, int | None, str], list[str]] = {}
    for change in applied:
        where, _, what = change.change.partition(": ")
        groups.setdefault((change.remedy, change.line, what), []).append(where)
    return [
        f"{f'line {line}' if line else 'added'}: {remedy}, {', '.join(wheres)}: {what}"
        for (remedy, line, what), wheres in groups.items()
    ]


def _count(number: int) -> str:
    return f"{number} change{'s' * (number != 1)}"
