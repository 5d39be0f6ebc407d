"""From a plan to the text of the patched file, and to the network that it must give."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

import libcst as cst
from torch import nn

from fitwell import surgery
from fitwell.patch.functions import Functions, in_lines
from fitwell.patch.initializing import Constructor, in_groups
from fitwell.patch.names import Names, with_imports
from fitwell.patch.origins import Origin, Origins
from fitwell.patch.rewriting import Rewriter
from fitwell.patch.sketch import Inexpressible, Sketch, Spot, Step, sketched
from fitwell.patch.source import Source
from fitwell.records import Edit, Initialize, InsertAfter, ReplaceCall


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


@final
@dataclass(frozen=True)
class Draft:
    """A patched file that was not tried yet.

    Args:
        text: The file.
        without_initializers: The same without the statements that fill weights.
        target: The network that the class must give.
        keys: The ``state_dict`` keys that moved: old name to new name.
        fills: What those statements fill, in their order.
        steps: The steps that it takes.
        lines: By number of a step, the line that it changes; None for an added statement.
        failed: The steps that it could not take, each with the reason.
    """

    text: bytes
    without_initializers: bytes
    target: nn.Module
    keys: Mapping[str, str]
    fills: Sequence[Sequence[Initialize]]
    steps: Sequence[Step]
    lines: Mapping[int, int | None]
    failed: Sequence[tuple[Step, str]]

    @property
    def fills_more(self) -> bool:
        """Whether statements that fill weights are added."""
        return self.text != self.without_initializers

    def changes(self, step: Step) -> bool:
        """Whether a step changes the text; one that fills weights may stand there already."""
        return self.fills_more or not isinstance(step.edit, Initialize)


def drafted(subject: Subject, steps: Iterable[Step]) -> Draft:
    """Write as many steps as the source can take.

    Args:
        subject: What is to be patched.
        steps: What to do, in order.
    """
    left, failed = list(steps), list[tuple[Step, str]]()
    while True:
        sketch, done, refused = sketched(subject.model, left)
        names = Names(subject.source)
        rewriter = Rewriter(subject.source, names)
        refused = refused or [*_disagreements(subject, sketch, left)]
        functions = Functions(subject.source, subject.file, subject.model, rewriter)
        refused = refused or [*_unwritable(subject, sketch, left, rewriter, functions)]
        if not refused:
            break
        failed += refused
        gone = {step.number for step, _ in refused}
        left = [step for step in left if step.number not in gone]
    target = surgery.copy_of(subject.model)
    keys = surgery.perform(target, [edit for _, edit in done], rows=subject.example_input)
    fills = in_groups(edit for _, edit in done if isinstance(edit, Initialize))
    adding: type[Edit] = ReplaceCall
    try:
        plain = tree = _with_declarations(rewriter.written(), functions, subject.source.limit)
        adding = Initialize
        if fills:
            constructor = Constructor(plain, subject.qualname, limit=subject.source.limit)
            tree = constructor.with_weights(fills, target, names)
    except Inexpressible as error:
        lost = [step for step, edit in done if isinstance(edit, adding)]
        again = drafted(subject, [step for step in left if step not in lost])
        reasons = [*failed, *((step, str(error)) for step in lost), *again.failed]
        return replace(again, failed=reasons)
    return Draft(
        text=with_imports(tree, names.missing).bytes,
        without_initializers=with_imports(plain, names.missing).bytes,
        target=target,
        keys=keys,
        fills=fills,
        steps=left,
        lines={step.number: _line(subject, sketch, step) for step in left},
        failed=failed,
    )


def _with_declarations(tree: cst.Module, functions: Functions, limit: int) -> cst.Module:
    """Add the modules that forwards call to the constructors of their classes."""
    added: dict[str, list[str]] = {}
    for declaration in functions.declared.values():
        statement = f"{declaration.name} = {declaration.text}"
        added.setdefault(declaration.qualname, []).append(statement)
    for qualname, statements in added.items():
        tree = Constructor(tree, qualname, limit=limit).with_modules(statements)
    return tree


def _line(subject: Subject, sketch: Sketch, step: Step) -> int | None:
    if isinstance(step.edit, ReplaceCall):
        return int(step.edit.source.rpartition(":")[2])
    spot = _concerned(sketch, step)
    own = spot is not None and spot.original is not None
    return _origin(subject, spot).line if spot is not None and own else None


def _origin(subject: Subject, spot: Spot) -> Origin:
    """Return the call in the user's file that makes the module of a spot.

    Raises:
        Inexpressible: If no call makes it, or one in another file.
    """
    module = subject.model.get_submodule(str(spot.key))
    origin = subject.origins.of(module)
    if origin is None:
        raise Inexpressible(f"{spot.key} is a copy of another module: no line makes it")
    if Path(origin.file) != subject.file:
        where = f"{Path(origin.file).name}:{origin.line}"
        raise Inexpressible(f"{spot.key} is made by {origin.scope} in another file ({where})")
    return origin


def _concerned(sketch: Sketch, step: Step) -> Spot | None:
    """Return the spot whose call a step changes; None where it adds a statement."""
    if isinstance(step.edit, Initialize):
        return None
    return sketch.by_key[step.number if isinstance(step.edit, ReplaceCall) else step.spot].base


def _at(sketch: Sketch, steps: Sequence[Step], spots: Iterable[Spot]) -> list[Step]:
    wanted = {spot.key for spot in spots}
    found = ((step, _concerned(sketch, step)) for step in steps)
    return [step for step, spot in found if spot is not None and spot.key in wanted]


def _disagreements(
    subject: Subject, sketch: Sketch, steps: Sequence[Step]
) -> Iterable[tuple[Step, str]]:
    """Yield the steps at calls that make several modules which would need different changes."""
    alike: dict[tuple[int, int], list[Spot]] = {}
    for path, module in subject.model.named_modules():
        origin = subject.origins.of(module)
        if origin is not None and Path(origin.file) == subject.file:
            alike.setdefault(origin.place, []).append(sketch.by_key[path])
    for (line, _), spots in alike.items():
        if len({spot.shape() for spot in spots}) < 2:
            continue
        here = _at(sketch, steps, spots)
        odd = {step.remedy for step in here} - set(_common(sketch, here, spots))
        for step in here:
            if step.remedy in odd or not odd:
                changed = [s for s in spots if _at(sketch, [step], [s])]
                yield step, _why_not_all(line, spots, here, step.remedy, sketch) if changed else ""


def _common(sketch: Sketch, steps: Sequence[Step], spots: Sequence[Spot]) -> Iterable[str]:
    """Yield the remedies that do the same at every spot."""
    for remedy in {step.remedy for step in steps}:
        own = [step for step in steps if step.remedy == remedy]
        done = [
            [_content(step.edit, spot) for step in _at(sketch, own, [spot])]
            for spot in spots
        ]
        if all(contents == done[0] for contents in done):
            yield remedy


def _content(edit: Edit, spot: Spot) -> str:
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
    changed = [spot for spot in spots if _at(sketch, own, [spot])]
    if len(changed) == len(spots):
        return f"line {line} makes {len(spots)} modules, which would need different changes"
    return f"line {line} makes {len(spots)} modules, of which only {len(changed)} would change"


def _unwritable(
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
            origin = _origin(subject, spot)
            if origin.place not in written:
                rewriter.add(spot, origin)
                written.add(origin.place)
        except Inexpressible as error:
            for step in _at(sketch, steps, [spot]):
                yield step, str(error)
    for own, found in in_lines(steps, sketch.by_key, subject.model):
        try:
            functions.add(found)
        except Inexpressible as error:
            with_them = _at(sketch, steps, [called.spot for called in found])
            for step in {s.number: s for s in (*own, *with_them)}.values():
                yield step, str(error)
