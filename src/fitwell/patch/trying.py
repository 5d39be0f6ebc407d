"""A recipe is drafted and tried, until what is left of it comes out right."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from fitwell.errors import BadInput, NotApplicable
from fitwell.interfaces import Remedy, Stage
from fitwell.patch.drafting import Draft, drafted, written
from fitwell.patch.places import Subject
from fitwell.patch.planning import planned
from fitwell.patch.result import NotExpressed
from fitwell.patch.sketch import steps_of
from fitwell.patch.spots import Step
from fitwell.patch.verifying import Build, difference
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
        found = written(subject, steps)
        failed += found.failed
        hopeless = _hopeless(left, found.steps, failed)
        if hopeless is None:
            draft, wrong = _kept(subject, found.steps, build)
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
    subject: Subject, steps: Sequence[Step], build: Build
) -> tuple[Draft, list[tuple[Step, str]]]:
    """Return the draft of as many steps as give what they must, and the others with reasons."""
    whole = _drafted(subject, steps)
    if isinstance(whole, Draft) and not _wrong(subject, whole, build):
        return whole, list(whole.failed)
    best = _drafted(subject, [])
    reason = _wrong(subject, best, build)
    if isinstance(best, str) or reason:
        raise BadInput(f"{subject.qualname} cannot be patched as it stands: {reason}.")
    failed: list[tuple[Step, str]] = []
    for unit in _by_remedy(steps):
        attempt = _drafted(subject, [*best.steps, *unit])
        if isinstance(attempt, Draft) and not _wrong(subject, attempt, build):
            best = attempt
            failed += attempt.failed
            continue
        for part in _by_place(unit, whole):
            attempt = _drafted(subject, [*best.steps, *part])
            reason = _wrong(subject, attempt, build)
            if isinstance(attempt, str) or reason:
                failed += [(step, reason) for step in part]
            else:
                best = attempt
                failed += attempt.failed
    return best, failed


def _drafted(subject: Subject, steps: Iterable[Step]) -> Draft | str:
    """Draft steps, or say why the network cannot be treated so."""
    try:
        return drafted(subject, steps)
    except NotApplicable as error:
        return " ".join(str(error).split())


def _wrong(subject: Subject, draft: Draft | str, build: Build) -> str:
    """Say why a draft is not what it must be, or ""."""
    if isinstance(draft, str):
        return draft
    return difference(draft, subject, build)


def _by_remedy(steps: Iterable[Step]) -> list[list[Step]]:
    units: dict[str, list[Step]] = {}
    for step in steps:
        units.setdefault(step.remedy, []).append(step)
    return list(units.values())


def _by_place(steps: Iterable[Step], draft: Draft | str) -> list[list[Step]]:
    """Return steps by the line that they change; what fills a weight stands alone."""
    units: dict[object, list[Step]] = {}
    for step in steps:
        line = draft.lines.get(step.number) if isinstance(draft, Draft) else None
        alone = line is None or isinstance(step.edit, Initialize)
        units.setdefault(("step", step.number) if alone else line, []).append(step)
    return list(units.values())
