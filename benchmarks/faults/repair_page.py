"""The part of ``docs/detection.md`` on what the remedies are worth."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median

from benchmarks.faults.case import SPLITS, Case
from benchmarks.faults.repairing import Repair

_HEAD = """## What the recommended remedies are worth

Generated from `python -m benchmarks.faults repair`. The first remedy that the diagnosis of a
recorded sick run names is applied by `Recipe(spec).apply`, and the run is repeated with the same
seed; then, if that did not repair it, the second and the third. A run is repaired if its outcome is
no worse than a further run of its repaired twin would be (one side of a 95 % prediction interval,
from the twin's runs).

Some faults are not in the network but in the code or the data: gradients that are never cleared,
the wrong mode, a softmax before a loss that has its own, rows without their labels. No remedy can
cure them; the diagnosis says what to change. They are counted apart (*advised*): the advice counts
as right if it names the right condition and, where the fault is in some layers, at least one of
them; it is not carried out.

- *first*, *first three*: share of the runs with remedies that are repaired by the first, by one of
  the first three;
- *gain*: mean share of the gap between the sick run and its twin that the first remedy closed;
- *advised*: share of the runs with advice alone in which it is right;
- *silent*: runs whose diagnosis named nothing."""


def repair_section(cases: Sequence[Case], repairs: Sequence[Repair]) -> str:
    """Return the section: a table for each part of the corpus, and what was not repaired."""
    parts = [_HEAD]
    for split in SPLITS:
        mine = {case.name: case for case in cases if case.program.split == split}
        chosen = [repair for repair in repairs if repair.case in mine]
        if chosen:
            parts += [f"### {split.capitalize()} architectures", _table(mine, chosen)]
    parts += ["### Not repaired", _failures(repairs)]
    return "\n\n".join(parts)


def _table(cases: dict[str, Case], repairs: Sequence[Repair]) -> str:
    head = "| condition | runs | first | first three | gain | advised | silent | seconds |"
    lines = [head, "|---" * 8 + "|"]
    conditions = sorted({cases[repair.case].condition for repair in repairs})
    for condition in conditions:
        mine = [r for r in repairs if cases[r.case].condition == condition]
        lines.append(_line(condition, mine))
    return "\n".join([*lines, _line("all", repairs)])


def _line(name: str, repairs: Sequence[Repair]) -> str:
    remedied = [r for r in repairs if r.root and not r.code]
    advised = [r for r in repairs if r.code]
    found = [r.seconds for r in remedied if r.repaired]
    numbers = (
        _share([r.repaired == 1 for r in remedied]),
        _share([r.repaired > 0 for r in remedied]),
        f"{fmean(r.gain for r in remedied):.2f}" if remedied else "–",
        _share([r.advised for r in advised]),
        str(sum(not r.root for r in repairs)),
        f"{median(found):.1f}" if found else "–",
    )
    return f"| {' | '.join([name, str(len(repairs)), *numbers])} |"


def _share(hits: Sequence[bool]) -> str:
    return f"{sum(hits)}/{len(hits)}" if hits else "–"


def _failures(repairs: Sequence[Repair]) -> str:
    """A line for every case with a run that was neither repaired nor advised rightly."""
    lines: list[str] = []
    for name in dict.fromkeys(repair.case for repair in repairs):
        bad = [r for r in repairs if r.case == name and not r.repaired and not r.advised]
        if bad:
            said = sorted({r.root or "nothing" for r in bad})
            tried = sorted({", ".join(r.tried) or "nothing" for r in bad})
            lines.append(
                f"- `{name}`, {len(bad)} runs: said {', '.join(said)}; tried {' or '.join(tried)}"
            )
    return "\n".join(lines) or "Nothing."
