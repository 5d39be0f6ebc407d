"""From a plan to the text of the patched file, and to the network that it must give."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import final

import libcst as cst
from torch import nn

from fitwell import surgery
from fitwell.errors import NotApplicable
from fitwell.patch.functions import Functions
from fitwell.patch.initializing import Constructor, in_groups
from fitwell.patch.names import Names, with_imports
from fitwell.patch.places import Subject, concerned, disagreements, origin_of, unwritable
from fitwell.patch.rewriting import Rewriter
from fitwell.patch.sketch import Sketch, sketched
from fitwell.patch.spots import Inexpressible, Step
from fitwell.records import Initialize, ReplaceCall, SourceEdit


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


@final
@dataclass(frozen=True)
class Written:
    """Steps that the source can take, each place of it written.

    Args:
        sketch: What stands where after them.
        done: The steps, each with its edit as it is without those that failed.
        failed: The steps that the source cannot take, each with the reason.
        names: How to spell torch's names, and what must be imported.
        rewriter: Has every expression that changes.
        functions: Has every call in a forward that changes.
    """

    sketch: Sketch
    done: Sequence[tuple[Step, SourceEdit]]
    failed: Sequence[tuple[Step, str]]
    names: Names
    rewriter: Rewriter
    functions: Functions

    @property
    def steps(self) -> list[Step]:
        """The steps."""
        return [step for step, _ in self.done]


def written(subject: Subject, steps: Iterable[Step]) -> Written:
    """Write as many steps as the source can take, without asking what comes out.

    Args:
        subject: What is to be patched.
        steps: What to do, in order.
    """
    left, failed = list(steps), list[tuple[Step, str]]()
    while True:
        sketch, done, refused = sketched(subject.model, left)
        names = Names(subject.source)
        rewriter = Rewriter(subject.source, names)
        functions = Functions(subject.source, subject.file, subject.model, rewriter)
        refused = refused or [*disagreements(subject, sketch, left)]
        refused = refused or [*unwritable(subject, sketch, left, rewriter, functions)]
        if not refused:
            return Written(sketch, done, failed, names, rewriter, functions)
        failed += refused
        gone = {step.number for step, _ in refused}
        left = [step for step in left if step.number not in gone]


def drafted(subject: Subject, steps: Iterable[Step]) -> Draft:
    """Return the file with as many steps as it can take, and the network that it must give.

    Args:
        subject: What is to be patched.
        steps: What to do, in order.

    Raises:
        NotApplicable: If the steps that are left do not suit the network.
    """
    found = written(subject, steps)
    target = surgery.copy_of(subject.model)
    try:
        keys = surgery.perform(target, [e for _, e in found.done], rows=subject.example_input)
    except (RuntimeError, AttributeError, TypeError, ValueError, IndexError) as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())
        raise NotApplicable(f"without the others it does not suit the network: {said}") from error
    fills = in_groups(edit for _, edit in found.done if isinstance(edit, Initialize))
    limit = subject.source.limit
    adding: type[Initialize | ReplaceCall] = ReplaceCall
    try:
        plain = tree = _with_declarations(found.rewriter.written(), found.functions, limit)
        adding = Initialize
        if fills:
            constructor = Constructor(plain, subject.qualname, limit=limit)
            tree = constructor.with_weights(fills, target, found.names)
    except Inexpressible as error:
        lost = [step for step in found.steps if isinstance(step.edit, adding)]
        again = drafted(subject, [step for step in found.steps if step not in lost])
        reasons = [*found.failed, *((step, str(error)) for step in lost), *again.failed]
        return replace(again, failed=reasons)
    return Draft(
        text=with_imports(tree, found.names.missing).bytes,
        without_initializers=with_imports(plain, found.names.missing).bytes,
        target=target,
        keys=keys,
        fills=fills,
        steps=found.steps,
        lines={step.number: _line(subject, found.sketch, step) for step in found.steps},
        failed=found.failed,
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
    spot = concerned(sketch, step)
    own = spot is not None and spot.original is not None
    return origin_of(subject, spot).line if spot is not None and own else None
