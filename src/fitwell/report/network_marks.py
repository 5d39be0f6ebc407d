"""What a drawing says of its layers: the findings about them, and what a recipe changed there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

from fitwell.records import SEVERITIES, Anatomy, Change, Diagnosis, Finding, Node, Role
from fitwell.records.drawing import Line
from fitwell.report.conditions import condition_title
from fitwell.words import say


@final
@dataclass(frozen=True)
class Mark:
    """What is said of a line.

    Args:
        severity: The worst of what the diagnosis says; "" if it says nothing.
        text: The conditions; for a block that repeats with the number of layers concerned.
        treated: The remedies that changed something there; "" if none did.
    """

    severity: str
    text: str
    treated: str = ""

    @property
    def said(self) -> str:
        """Both as one text."""
        return "; ".join(part for part in (self.text, self.treated) if part)


def marks_of(
    anatomy: Anatomy, lines: Sequence[Line], diagnosis: Diagnosis, changes: Iterable[Change]
) -> dict[int, Mark]:
    """Return what is to be said of each line, by its number; lines without a word are left out."""
    treated = _treated(anatomy, changes)
    found = {}
    for number, line in enumerate(lines):
        mark = _mark(line, diagnosis, treated)
        if mark.said:
            found[number] = mark
    return found


def _mark(line: Line, diagnosis: Diagnosis, treated: Mapping[str, Sequence[str]]) -> Mark:
    found: dict[str, int] = {}
    worst = -1
    for finding in diagnosis:
        concerned = sum(_names(finding, node) for node in line.nodes)
        if concerned:
            title = condition_title(finding.condition)
            found[title] = max(found.get(title, 0), concerned)
            worst = max(worst, SEVERITIES.index(finding.severity))
    changed: dict[str, int] = {}
    for node in line.nodes:
        for remedy in treated.get(node.path, ()) if _own(node) else ():
            changed[remedy] = changed.get(remedy, 0) + 1
    every = len(line.nodes)
    severity = SEVERITIES[worst] if found else ""
    text = f"+ {_counted(changed, every)}" if changed else ""
    return Mark(severity, _counted(found, every), text)


def _counted(found: Mapping[str, int], every: int) -> str:
    """Return names, each with how many of a line's layers it is about where not about all."""
    return ", ".join(
        name if n == every else say("{what} ({some} of {all})", what=name, some=n, all=every)
        for name, n in found.items()
    )


def _names(finding: Finding, node: Node) -> bool:
    """Whether a finding is about the module of a node, which is marked where it first runs."""
    return _own(node) and node.path in finding.layers


def _own(node: Node) -> bool:
    """Whether a node stands for the module at its path, and is its first run."""
    layer = not node.functional or node.role in (Role.LAYER, Role.RECURRENT)
    return layer and node.call == 0


def _treated(anatomy: Anatomy, changes: Iterable[Change]) -> dict[str, list[str]]:
    """Return the remedies that changed each module of the untreated network, by its path.

    A change is told of the treated network, where what stood at a path may lie deeper: it belongs
    to the innermost module of the untreated one that its place is in.
    """
    known = {node.path for node in anatomy.nodes if _own(node)}
    found: dict[str, list[str]] = {}
    for change in changes:
        path = change.where
        while path and path not in known:
            path = path.rpartition(".")[0]
        if path in known and change.remedy not in found.setdefault(path, []):
            found[path].append(change.remedy)
    return found
