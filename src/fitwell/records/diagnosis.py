"""What is wrong with one run: its findings, and the illnesses that they are signs of."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, final

from fitwell.records.findings import SEVERITIES, Finding, Severity
from fitwell.records.shown import html_of, markdown_of
from fitwell.words import enumerated, say, told

Chain: TypeAlias = tuple[Finding, ...]
"""One illness: the finding that explains the others first, then these, causes before effects."""

NO_STEP = say(
    "no step was seen: run the loop inside the with, and pass the optimizer whose step() it calls."
)
"""Why nothing can be said of a run that made no step under watch."""


@final
@dataclass(frozen=True)
class Diagnosis:
    """All findings of one run; empty means healthy.

    Args:
        findings: What was found, root causes and severe findings first.
        unjudged: Sentences on what could not be judged, and why.
        muted: Conditions that were not to be named; what they explain still says so.
    """

    findings: tuple[Finding, ...] = ()
    unjudged: tuple[str, ...] = ()
    muted: tuple[str, ...] = ()

    @property
    def healthy(self) -> bool:
        """True if nothing was found."""
        return not self.findings

    @property
    def conditions(self) -> tuple[str, ...]:
        """Slugs of the findings, in order."""
        return tuple(finding.condition for finding in self.findings)

    def worst(self) -> Severity | None:
        """Return the highest severity found, or None if healthy."""
        return worst_of(self.findings) if self.findings else None

    def chains(self) -> tuple[Chain, ...]:
        """Return one tuple of findings an illness: root cause first, causes before effects.

        A finding belongs to the illness that its ``cause`` leads back to. Where the root is muted,
        the chain begins with what is left of it. Every finding is in one chain.
        """
        found: dict[int | str, list[Finding]] = {}
        for finding in self.findings:
            found.setdefault(self._illness(finding), []).append(finding)
        return tuple(tuple(sorted(chain, key=_depth)) for chain in found.values())

    def _illness(self, finding: Finding) -> int | str:
        """Place of the root among the findings, or its condition where it is not among them."""
        root = finding.root
        for place, other in enumerate(self.findings):
            if other is root:
                return place
        roots = {f.condition: place for place, f in enumerate(self.findings) if f.cause is None}
        return roots.get(root.condition, root.condition)

    def stories(self) -> tuple[str, ...]:
        """Return every chain in words, in the order of :meth:`chains`."""
        return tuple(chain_text(chain) for chain in self.chains())

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return the diagnosis as JSON-ready data.

        It holds ``schema`` (1), ``healthy``, ``findings``, ``chains`` (one list of conditions and
        its text an illness), ``unjudged`` and ``muted``.
        """
        return {
            "schema": 1,
            "healthy": self.healthy,
            "findings": [finding.to_dict() for finding in self.findings],
            "chains": [
                {"conditions": [f.condition for f in chain], "text": chain_text(chain)}
                for chain in self.chains()
            ],
            "unjudged": list(self.unjudged),
            "muted": list(self.muted),
        }

    def to_json(self) -> str:
        """Return :meth:`to_dict` as JSON text."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)

    def __str__(self) -> str:
        blocks = ["\n".join(_block(chain)) for chain in self.chains()]
        if self.healthy:
            blocks = [self._nothing]
        if self.muted:
            blocks.append(say("muted: {conditions}", conditions=", ".join(self.muted)))
        more = len(self.unjudged)
        for text in self.unjudged[:1]:
            line = say("not judged: {sentence}", sentence=told(text))
            more_of = say(" ({number} in all, see .unjudged)", number=more) if more > 1 else ""
            blocks.append(f"{line}{more_of}")
        return "\n".join(blocks)

    @property
    def _nothing(self) -> str:
        return say("no finding") if NO_STEP in self.unjudged else say("healthy: no finding")

    def _repr_html_(self) -> str:
        return html_of(self)

    def _repr_markdown_(self) -> str:
        return markdown_of(self)


def worst_of(findings: Iterable[Finding]) -> Severity:
    """Return the highest severity among some findings; there must be one."""
    return SEVERITIES[max(SEVERITIES.index(finding.severity) for finding in findings)]


def chain_text(chain: Sequence[Finding]) -> str:
    """Return an illness in words: ``"weights of fc2 10 times too large -> … -> the loss is NaN"``.

    What follows directly from the root comes next, then what follows from that; findings that
    stand equally far from the root are joined by ``and``.
    """
    levels: dict[int, list[str]] = {}
    for finding in chain:
        levels.setdefault(_depth(finding), []).append(finding.said)
    return " -> ".join(enumerated(level) for _, level in sorted(levels.items()))


def _depth(finding: Finding) -> int:
    """How many causes lie between a finding and its root."""
    depth = 0
    while finding.cause is not None:
        finding, depth = finding.cause, depth + 1
    return depth


def _block(chain: Chain) -> Iterator[str]:
    root = chain[0]
    yield f"{worst_of(chain)} {root.condition} {root.place}"
    if len(chain) > 1:
        yield f"  {chain_text(chain)}"
    yield f"  {told(root.explanation)}"
    if root.cause is not None:
        cause = say("explained by {condition}, which is muted", condition=root.cause.condition)
        yield f"  {cause}"
    for finding in chain:
        if finding.advice:
            yield f"  {say('change: {advice}', advice=told(finding.advice))}"
    if root.remedies:
        remedies = ", ".join(str(spec) for spec in root.remedies[:3])
        yield f"  {say('worth trying: {remedies}', remedies=remedies)}"
