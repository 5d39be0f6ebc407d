"""Which call of the source each step concerns, and whether the call can change as it wants."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

from torch import nn

from fitwell.patch.functions import Functions, in_lines
from fitwell.patch.origins import MODEL, Origin, Origins
from fitwell.patch.rewriting import Rewriter
from fitwell.patch.sketch import Sketch
from fitwell.patch.source import Source
from fitwell.patch.spots import Inexpressible, Spot, Step
from fitwell.records import Initialize, InsertAfter, ReplaceCall, SourceEdit


@final
@dataclass(frozen=True)
class Subject:
    """What is to be patched.

    Args:
        file: The user's file, resolved.
        qualname: Qualified name of the class.
        source: The file, parsed.
        model: A network of the class.
        example_input: What it can be called with.
        origins: Where its modules were made.
    """

    file: Path
    qualname: str
    source: Source
    model: nn.Module
    example_input: object
    origins: Origins


def origin_of(subject: Subject, spot: Spot) -> Origin:
    """Return the expression in the user's file that makes the module of a spot.

    Raises:
        Inexpressible: If none makes it, or one whose value is something else.
    """
    origin = subject.origins.of(subject.model.get_submodule(str(spot.key)))
    if origin is None:
        raise Inexpressible(f"no line makes {spot.key}: it is a copy, or was made by a call")
    where = f"{Path(origin.file).name}:{origin.scope}"
    if origin.line == 0 and origin.file == MODEL:
        raise Inexpressible(f"{spot.key} is made where the network is constructed, not in the file")
    if origin.line == 0:
        raise Inexpressible(f"{spot.key} is made in another file ({where})")
    if origin.outside and _is_part(subject, str(spot.key), origin):
        raise Inexpressible(f"{spot.key} is a part of what line {origin.line} makes ({where})")
    return origin


def _is_part(subject: Subject, path: str, origin: Origin) -> bool:
    """Whether the expression that made a module has made one around it as well."""
    while path:
        path = path.rpartition(".")[0]
        around = subject.origins.of(subject.model.get_submodule(path))
        if around is not None and around.place == origin.place:
            return True
    return False


def concerned(sketch: Sketch, step: Step) -> Spot | None:
    """Return the spot whose call a step changes; None where it adds a statement."""
    if isinstance(step.edit, Initialize):
        return None
    return sketch.by_key[step.number if isinstance(step.edit, ReplaceCall) else step.spot].base


def steps_at(sketch: Sketch, steps: Sequence[Step], spots: Iterable[Spot]) -> list[Step]:
    """Return the steps that change what is made at some spots."""
    wanted = {spot.key for spot in spots}
    found = ((step, concerned(sketch, step)) for step in steps)
    return [step for step, spot in found if spot is not None and spot.key in wanted]


def disagreements(
    subject: Subject, sketch: Sketch, steps: Sequence[Step]
) -> Iterable[tuple[Step, str]]:
    """Yield the steps at calls that make several modules which would need different changes."""
    alike: dict[tuple[int, int], list[Spot]] = {}
    for path, module in subject.model.named_modules():
        origin = subject.origins.of(module)
        if (
            origin is not None
            and origin.line
            and not (origin.outside and _is_part(subject, path, origin))
        ):
            alike.setdefault(origin.place, []).append(sketch.by_key[path])
    for (line, _), spots in alike.items():
        if len({spot.shape() for spot in spots}) < 2:
            continue
        here = steps_at(sketch, steps, spots)
        odd = {step.remedy for step in here} - set(_common(sketch, here, spots))
        for step in here:
            if step.remedy in odd or not odd:
                yield step, _why_not_all(line, spots, here, step.remedy, sketch)


def _common(sketch: Sketch, steps: Sequence[Step], spots: Sequence[Spot]) -> Iterable[str]:
    """Yield the remedies that do the same at every spot."""
    for remedy in {step.remedy for step in steps}:
        own = [step for step in steps if step.remedy == remedy]
        done = [
            [_content(step.edit, spot) for step in steps_at(sketch, own, [spot])] for spot in spots
        ]
        if all(contents == done[0] for contents in done):
            yield remedy


def _content(edit: SourceEdit, spot: Spot) -> str:
    """Return what an edit does, apart from where; a size that the layer sets is no own number."""
    match edit:
        case InsertAfter(_, name, module):
            sizes = {n: "size" if v == spot.size else v for n, v in module.args.items()}
            return repr((name, module.kind, sizes))
        case Initialize():
            return repr(replace(edit, parameter=""))
        case _:
            return repr(replace(edit, path=""))


def _why_not_all(
    line: int, spots: Sequence[Spot], steps: Sequence[Step], remedy: str, sketch: Sketch
) -> str:
    own = [step for step in steps if step.remedy == remedy]
    changed = [spot for spot in spots if steps_at(sketch, own, [spot])]
    if len(changed) == len(spots):
        return f"line {line} makes {len(spots)} modules, which would need different changes"
    return f"line {line} makes {len(spots)} modules, of which only {len(changed)} would change"


def unwritable(
    subject: Subject,
    sketch: Sketch,
    steps: Sequence[Step],
    rewriter: Rewriter,
    functions: Functions,
) -> Iterable[tuple[Step, str]]:
    """Write each call that changes; yield the steps at those that cannot be written."""
    written: set[tuple[int, int]] = set()
    for spot in sketch.changed:
        try:
            origin = origin_of(subject, spot)
            if origin.place not in written:
                rewriter.add(spot, origin)
                written.add(origin.place)
        except Inexpressible as error:
            for step in steps_at(sketch, steps, [spot]):
                yield step, str(error)
    for own, found in in_lines(steps, sketch.by_key, subject.model):
        try:
            functions.add(found)
        except Inexpressible as error:
            with_them = steps_at(sketch, steps, [called.spot for called in found])
            for step in {s.number: s for s in (*own, *with_them)}.values():
                yield step, str(error)
