"""A recipe is drafted and tried, until what is left of it comes out right."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from fitwell.errors import BadInput, FitwellError
from fitwell.interfaces import Remedy, Stage
from fitwell.patch.drafting import Draft, Subject, drafted
from fitwell.patch.planning import planned
from fitwell.patch.result import NotExpressed
from fitwell.patch.sketch import Step, steps_of
from fitwell.patch.verifying import FAILURES, Build, difference
from fitwell.records import Initialize


def tried(
    subject: Subject, remedies: Iterable[Remedy], build: Build
) -> tuple[Draft, list[NotExpressed]]:
    """Return a draft that was found to give the treated network, and what is left out of it.

    A remedy none of whose changes can be written, or one that resizes layers and cannot be written
    as a whole, is left out, and the others are planned without it.

    Args:
        subject: What is to be patched.
        remedies: What to do, in the order of a recipe.
        build: Makes a network of the class in a module.

    Raises:
        BadInput: If the class gives another network every time it is made.
    """
    left = list(remedies)
    gone: list[NotExpressed] = []
    while True:
        plan = planned(subject.model, left, example_input=subject.example_input)
        steps, failed = steps_of(subject.model, plan.edits)
        whole = _drafted(subject, steps)
        if whole is not None:
            failed += whole.failed
            steps = list(whole.steps)
        hopeless = _hopeless(left, steps, failed)
        if hopeless is None:
            draft, wrong = _kept(subject, steps, whole, build)
            failed += wrong
            hopeless = _hopeless(left, draft.steps, failed)
        if hopeless is None:
            break
        gone += _told(hopeless, failed)
        left.remove(hopeless)
    told = [NotExpressed(str(remedy), reason) for remedy, reason in plan.refused]
    return draft, [*told, *gone, *(NotExpressed(_words(step), why) for step, why in failed)]


def _words(step: Step) -> str:
    return f"{step.remedy}: {step.words}"


def _told(remedy: Remedy, failed: Sequence[tuple[Step, str]]) -> Iterator[NotExpressed]:
    """Say why a remedy is left out: by place, or as a whole where its changes need each other."""
    own = [(step, why) for step, why in failed if step.remedy == type(remedy).__name__]
    if remedy.stage == Stage.CAPACITY:
        yield from (NotExpressed(str(remedy), why) for why in dict.fromkeys(w for _, w in own))
    else:
        yield from (NotExpressed(_words(step), why) for step, why in own)


def _hopeless(
    remedies: Iterable[Remedy], steps: Iterable[Step], failed: Iterable[tuple[Step, str]]
) -> Remedy | None:
    """Return the first remedy that cannot be written, or not as a whole where it must be."""
    missed = {step.remedy for step, _ in failed}
    done = {step.remedy for step in steps}
    for remedy in remedies:
        name = type(remedy).__name__
        if name in missed and (name not in done or remedy.stage == Stage.CAPACITY):
            return remedy
    return None


def _kept(
    subject: Subject, steps: Sequence[Step], whole: Draft | None, build: Build
) -> tuple[Draft, list[tuple[Step, str]]]:
    """Return the draft of as many steps as give what they must, and the others with reasons."""
    if whole is not None and not _wrong(subject, whole, build):
        return whole, []
    best = _drafted(subject, [])
    reason = _wrong(subject, best, build)
    if best is None or reason:
        raise BadInput(f"{subject.qualname} cannot be patched as it stands: {reason}.")
    failed: list[tuple[Step, str]] = []
    for unit in _by_remedy(steps):
        attempt = _drafted(subject, [*best.steps, *unit])
        for part in [] if _is_right(subject, attempt, build) else _by_place(unit, whole):
            attempt = _drafted(subject, [*best.steps, *part])
            reason = _wrong(subject, attempt, build)
            if attempt is None or reason:
                failed += [(step, reason) for step in part]
            else:
                best = attempt
                failed += attempt.failed
    return best, failed


def _by_remedy(steps: Iterable[Step]) -> list[list[Step]]:
    units: dict[str, list[Step]] = {}
    for step in steps:
        units.setdefault(step.remedy, []).append(step)
    return list(units.values())


def _by_place(steps: Iterable[Step], draft: Draft | None) -> list[list[Step]]:
    """Return steps by the line that they change; what fills a weight stands alone."""
    units: dict[object, list[Step]] = {}
    for step in steps:
        line = draft.lines.get(step.number) if draft is not None else None
        alone = line is None or isinstance(step.edit, Initialize)
        units.setdefault(("step", step.number) if alone else line, []).append(step)
    return list(units.values())
