"""Claims measured side by side, and those that were measured before taken as they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches

from fitwell.claims import claims
from fitwell.claims.claim import Claim
from fitwell.claims.keeping import Kept
from fitwell.errors import BadInput
from fitwell.records import ClaimRecord, Measured
from fitwell.studies.executor import Executor, InProcess, Processes, cores
from fitwell.studies.progress import Progress, Silent
from fitwell.words import say


def chosen(given: Sequence[str]) -> tuple[Claim, ...]:
    """Return the claims that these names or numbers mean, each once, in the order of numbers.

    Args:
        given: Names as ``"dropout"`` or numbers as ``"10"``; none means all.

    Raises:
        BadInput: If there is no such claim.
    """
    known = claims()
    if not given:
        return known
    by_word = {word: c for c in known for word in (c.name, str(c.number), f"{c.number:02d}")}
    found = {_found(by_word, word).number for word in given}
    return tuple(claim for claim in known if claim.number in found)


def learn(
    asked: Iterable[Claim],
    kept: Kept,
    *,
    fresh: bool = False,
    progress: Progress | None = None,
) -> Iterator[ClaimRecord]:
    """Yield the record of every claim as it is known: first those that were kept.

    What is measured is kept at once: an interruption costs what is at work.

    Args:
        asked: The claims.
        kept: Where measured numbers lie.
        fresh: Whether to measure anew what was kept.
        progress: Told how far it is.

    Raises:
        OutputError: If what was measured cannot be kept.
    """
    tell = progress or Silent()
    missing: dict[str, Claim] = {}
    for claim in asked:
        known = None if fresh else kept.read(claim)
        if known is None:
            missing[claim.name] = claim
        else:
            yield claim.judged(*known)
    if not missing:
        return
    tell.stage(say("Experiments"), len(missing))
    with _executor(len(missing)) as executor:
        for name, (measured, seconds) in executor.map(measure, missing):
            tell.advance()
            kept.write(missing[name], measured, seconds)
            yield missing[name].judged(measured, seconds)
    tell.done()


def measured_before(kept: Kept, besides: Sequence[ClaimRecord]) -> list[ClaimRecord]:
    """Return the claims whose kept numbers still hold, but for those that are there already."""
    names = {record.name for record in besides}
    others = [claim for claim in claims() if claim.name not in names]
    return [claim.judged(*known) for claim in others if (known := kept.read(claim)) is not None]


def measure(name: str) -> tuple[Measured, float]:
    """Do the experiment of a claim, and return what it measured and the seconds it took."""
    record = _found({claim.name: claim for claim in claims()}, name).run()
    return record.measured, record.seconds


@contextmanager
def _executor(count: int) -> Iterator[Executor]:
    """Give one process a core, and end them at once if their results are not waited for."""
    size = min(cores(), count)
    executor: Executor = Processes(size) if size > 1 else InProcess()
    done = False
    try:
        yield executor
        done = True
    finally:
        executor.close(now=not done)


def _found(by_word: dict[str, Claim], word: str) -> Claim:
    claim = by_word.get(word.strip().lower())
    if claim is None:
        near = get_close_matches(word, by_word, n=3)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise BadInput(f"There is no claim {word!r}: {hint}fitwell learn --list names them all.")
    return claim
