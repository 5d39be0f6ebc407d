"""Writes docs/zoo.md: what every remedy did to every network. Run: python -m tests.zoo.page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

from fitwell.interfaces import Remedy

from .checks import Outcome, Specimen, outcome
from .networks import NETWORKS
from .variants import remedies

PAGE = Path(__file__).parents[2] / "docs" / "zoo.md"

_APPLIED, _FAILED = "✓", "**failed**"
_INTRODUCTION = """\
# The zoo: every remedy on other people's networks

{networks} networks are built from small configurations, without a download, and every remedy is
tried on each: {counts}.

- **✓** It was applied, and all of this holds: the output keeps its structure, shapes and dtypes;
  weights that the changes do not name are bit-equal under `treated.changes.keys`; a plain loop with
  every seam trains with finite gradients, and `treated.unused()` is empty; the weights save, and
  load into a second application; the same seed gives the same weights; a deep copy is equal. The
  original is bit-equal afterwards: parameters, buffers, gradients, modes, hooks, and the random
  states of torch, numpy and Python.
- **–** It cannot serve this network, and says why: the number is that of the
  [reason](#reasons), from which names and sizes are left out.
- **failed** Something of this does not hold. There must be none.

Written by `python -m tests.zoo.page` with torch {torch} and transformers {transformers}; the tests
in `tests/zoo` compare every cell.
"""

_BARE = (
    (re.compile(r"/\S+/(\w+\.py):\d+"), r"\1"),
    (
        re.compile(r"\(\)|(?<=out )\([\d, ]+\)|(?<=float32 )\([\d, ]+\)|(?<=float16 )\([\d, ]+\)"),
        "…",
    ),
    (re.compile(r"(?<=int64 )\([\d, ]+\)|'?\[[-\d, ]+\]'?"), "…"),
    (re.compile(r"torch\.Size|torch\.(?=float|int|bfloat)"), ""),
    (re.compile(r"\bmove to: .*? is an? \w+\."), "move to."),
    (re.compile(r"^Only \d+ of \d+ (.*), and \d+ would"), r"Not enough \1, as some would"),
    (re.compile(r"(?<=is called with )[\w(].*"), "…."),
    (re.compile(r"(?<=this network reads )\([\d, ]+\)|(?<=whole numbers )\([\d, ]+\)"), "…"),
    (re.compile(r"\bof size \d+|\b(?<=keeps its )\d+"), "…"),
    # Numbers that a processor rounds in its own way.
    (re.compile(r"(?<=targets it is )[-\d.e]+(?=,)|(?<=the loss is )[-\d.e]*\d"), "…"),
)
"""What differs from network to network in a reason, and what stands for it."""

_PLACE = re.compile(r"^\S+( \(\S+\))? (?=(is|works|leads|serves|reaches|keeps|shares|feeds)\b)")
_NAMES = re.compile(
    r"(?<=is tied to a width by ).*|(?<=feeds ).*(?= beside)|(?<=of kind )\w+"
    r"|(?<=convolution but )\w+|(?<=is followed by )\w+ \(.*?\)(?=, whose)|(?<=^is given ).*"
)
_ERROR = re.compile(r"^\w+Error: ")


def row(network: str, tried: Sequence[Remedy]) -> dict[str, Outcome]:
    """Return what became of every remedy on one network, by remedy."""
    specimen = Specimen(NETWORKS[network])
    return {head(remedy): outcome(specimen, remedy) for remedy in tried}


def head(remedy: Remedy) -> str:
    """Return the head of a remedy's column: its name, and its arguments below."""
    name, _, arguments = str(remedy).partition("(")
    return "<br>".join(filter(None, (name, arguments.rstrip(")"))))


def shown(result: Outcome) -> str:
    """Return what the page says of an outcome: a mark, or the reason without places and sizes."""
    if result.kind != "not applicable":
        return _APPLIED if result.kind == "applied" else _FAILED
    first, *details = (line.strip() for line in result.said.splitlines())
    reasons = {_bare(line, _PLACE) for line in details if _PLACE.match(line) or _ERROR.match(line)}
    return _bare(first, None) + (f" – {'; '.join(sorted(reasons))}" if reasons else "")


def _bare(line: str, place: re.Pattern[str] | None) -> str:
    if place is not None:
        line = _NAMES.sub("…", place.sub("", line))
    for pattern, stands_for in _BARE:
        line = pattern.sub(stands_for, line)
    return line.replace("|", "/")


def page(table: Mapping[str, Mapping[str, str]]) -> str:
    """Return the page for what :func:`shown` says, by network and remedy."""
    said = [text for cells in table.values() for text in cells.values()]
    marks = (_APPLIED, _FAILED)
    reasons = list(dict.fromkeys(text for text in said if text not in marks))
    numbers = {reason: index for index, reason in enumerate(reasons, start=1)}
    cells = {mark: mark for mark in marks} | {
        reason: f"–<sup>{number}</sup>" for reason, number in numbers.items()
    }
    refused = len(said) - said.count(_APPLIED) - said.count(_FAILED)
    counts = (
        f"{len(said)} pairs, {said.count(_APPLIED)} applied, {refused} not applicable, "
        f"{said.count(_FAILED)} failed"
    )
    parts = [
        _INTRODUCTION.format(
            networks=len(table),
            counts=counts,
            applied=_APPLIED,
            torch=_torch(),
            transformers=version("transformers"),
        )
    ]
    families = dict.fromkeys(NETWORKS[name].family for name in table)
    for family in families:
        rows = {n: c for n, c in table.items() if NETWORKS[n].family == family}
        parts.append(f"## {family[0].upper()}{family[1:]}\n\n{_table(rows, cells)}\n")
    parts.append("## Reasons\n")
    parts += [f"{number}. {reason}" for reason, number in numbers.items()]
    return "\n".join(parts) + "\n"


def _torch() -> str:
    return version("torch").partition("+")[0]


def _table(rows: Mapping[str, Mapping[str, str]], cells: Mapping[str, str]) -> str:
    heads = list(next(iter(rows.values())))
    lines = [f"| network | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for name, texts in rows.items():
        lines.append(f"| {name} | {' | '.join(cells[text] for text in texts.values())} |")
    return "\n".join(lines)


def read(text: str) -> dict[str, dict[str, str]]:
    """Return what a page says, by network and remedy, as :func:`shown` puts it."""
    reasons = dict(re.findall(r"^(\d+)\. (.*)$", text.partition("## Reasons")[2], re.MULTILINE))
    table: dict[str, dict[str, str]] = {}
    heads: list[str] = []
    for line in text.splitlines():
        if not line.startswith("| "):
            continue
        name, *cells = (cell.strip() for cell in line.strip("| ").split(" | "))
        if name == "network":
            heads = cells
            continue
        texts = (reasons[number[1]] if (number := _NUMBER.match(c)) else c for c in cells)
        table[name] = dict(zip(heads, texts, strict=True))
    return table


_NUMBER = re.compile(r"–<sup>(\d+)</sup>")


def written_with(text: str) -> bool:
    """Whether a page was written with the versions that are installed."""
    return f"torch {_torch()} and transformers {version('transformers')};" in text


def _shown_row(network: str) -> dict[str, str]:
    import transformers

    transformers.logging.set_verbosity_error()
    results = row(network, remedies())
    for remedy, result in results.items():
        if result.kind == "failed":
            print(f"{network}, {remedy}: {result.said}\n{result.trace}")
    return {remedy: shown(result) for remedy, result in results.items()}


def table_of(names: Iterable[str], *, processes: int = 2) -> dict[str, dict[str, str]]:
    """Try every remedy on the named networks, several networks at once."""
    names = list(names)
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        return dict(zip(names, pool.map(_shown_row, names), strict=True))


if __name__ == "__main__":
    PAGE.write_text(page(table_of(n for n in NETWORKS if not NETWORKS[n].optional)), "utf-8")
    print(f"wrote {PAGE}")
