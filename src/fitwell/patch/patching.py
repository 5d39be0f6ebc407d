"""From a file, a class and a recipe to a patch that was tried."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import libcst as cst
import torch
from torch import Tensor, nn

from fitwell import anatomy
from fitwell.errors import BadInput, TaskError
from fitwell.patch.diff import unified
from fitwell.patch.drafting import Draft
from fitwell.patch.inputs import inputs_in
from fitwell.patch.origins import MODEL, Origins
from fitwell.patch.places import Subject
from fitwell.patch.planning import IN_THE_LOOP
from fitwell.patch.result import Applied, NotExpressed, Patch
from fitwell.patch.source import Source
from fitwell.patch.trying import tried
from fitwell.patch.verifying import FAILURES
from fitwell.recipe import Recipe
from fitwell.recipe.layout import Layout
from fitwell.recipe.printing import source_of
from fitwell.tasks.theirs import module_of, run_theirs

_INSTEAD = "let it be imported"


def patch(
    file: str | Path,
    qualname: str,
    recipe: Recipe,
    *,
    model: str = "",
    inputs: Sequence[str] = (),
) -> Patch:
    """Write what a recipe does to a network into the source of its class.

    The file is imported, the class constructed, and the recipe planned on what came out. Each edit
    is written where the module that it concerns was made. The patched text is run: what it makes
    must be the treated network, in keys and shapes of its ``state_dict``, settings and outputs, and
    what does not come out so is left out. Nothing is written to the file.

    Args:
        file: A Python file.
        qualname: A class in it, a subclass of ``nn.Module``.
        recipe: What to do.
        model: An expression that constructs it, as ``"Net(hidden=64)"``; by default the class is
            called without arguments.
        inputs: Shapes of what the network is called with, as ``"2,1,28,28"`` or ``"2,8:long"``; by
            default an input is made from its first layer.

    Raises:
        BadInput: If the file, the class, its construction or the input cannot be used.
    """
    given, path = str(file), Path(file).resolve()
    text = model.strip() or f"{qualname}()"
    examples = inputs_in(inputs)
    data = _read(given, path)
    with Origins(path) as origins, torch.random.fork_rng(devices=[]):
        module = run_theirs(given, lambda: module_of(str(path)), instead=_INSTEAD)
        kind = _class(module, given, qualname)
        made = _built(text, kind, module)
    source = _parsed(data, module, given)
    example = _example(made, examples, inputs, text)
    subject = Subject(path, qualname, source, made, example, origins)
    draft, not_expressed = tried(subject, recipe, partial(constructed, text))
    encoding = "utf-8" if source.tree.encoding == "utf-8-sig" else source.tree.encoding
    changed = draft.text != data
    return Patch(
        file=given,
        qualname=qualname,
        before=data,
        after=draft.text,
        encoding=encoding,
        diff=unified(data.decode(encoding), draft.text.decode(encoding), path),
        applied=tuple(
            Applied(step.remedy, step.words, draft.lines[step.number])
            for step in draft.steps
            if changed and draft.changes(step)
        ),
        not_expressed=tuple(not_expressed),
        keys=draft.keys if changed else {},
        notes=_notes(source, draft, qualname) if changed else (),
        loop=_loop(recipe, draft.target, not_expressed),
    )


def _notes(source: Source, draft: Draft, qualname: str) -> tuple[str, ...]:
    """Name what else in the file the patch changes."""
    lines = {line for line in draft.lines.values() if line}
    others = source.used_besides(lines, qualname)
    return (f"changes with it: {', '.join(sorted(others))}",) if others else ()


def _loop(recipe: Recipe, model: nn.Module, not_expressed: Iterable[NotExpressed]) -> str:
    """Return plain PyTorch for what the remedies do in the training loop."""
    told = {entry.change for entry in not_expressed if entry.reason == IN_THE_LOOP}
    remedies = [remedy for remedy in recipe if str(remedy) in told]
    return source_of(remedies, (), layout=Layout.of(model), seed=0) if remedies else ""


def _read(given: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"Cannot read {given}: {error.strerror}.") from error


def _class(module: ModuleType, given: str, qualname: str) -> type[nn.Module]:
    """Return the class that is to be patched."""
    found: Any = module
    for name in qualname.split("."):
        if not hasattr(found, name):
            classes = [n for n, c in vars(module).items() if _is_network(c, module)]
            near = get_close_matches(name, classes, n=1)
            hint = f"did you mean {near[0]}?" if near else f"it has {_listed(classes)}."
            raise BadInput(f"{given} has no class {qualname}: {hint}")
        found = getattr(found, name)
    if not isinstance(found, type) or not issubclass(found, nn.Module):
        kind = "class" if isinstance(found, type) else type(found).__name__
        raise BadInput(f"{qualname} in {given} is a {kind}, but no nn.Module: name a network.")
    if found.__module__ != module.__name__:
        raise BadInput(
            f"{qualname} is not defined in {given} but in {found.__module__}: give that file."
        )
    return found


def _is_network(found: object, module: ModuleType) -> bool:
    return (
        isinstance(found, type)
        and issubclass(found, nn.Module)
        and found.__module__ == module.__name__
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) if names else "no class that is an nn.Module"


def _parsed(data: bytes, module: ModuleType, given: str) -> Source:
    try:
        return Source(data, module)
    except cst.ParserSyntaxError as error:
        raise BadInput(f"{given} cannot be parsed: {error.message}.") from error


def _built(text: str, kind: type[nn.Module], module: ModuleType) -> nn.Module:
    """Construct the network; what goes wrong is told as the user's own error."""
    target = f"{text} in {Path(str(module.__file__)).name}"
    try:
        made = run_theirs(target, lambda: constructed(text, module), instead="construct it alone")
    except TaskError as error:
        first, *rest = str(error).splitlines()
        frames = [line for line in rest if line.startswith('  File "')]
        if len(frames) == 1 and MODEL in frames[0]:  # it is the expression that is wrong
            rest = []
        hint = 'say how to construct it, as in --model "Net(hidden=64)"'
        raise BadInput("\n".join([f"{first.rstrip('.')}: {hint}.", *rest])) from error
    if not isinstance(made, kind):
        raise BadInput(f"{text} must give a {kind.__name__}, got {type(made).__name__}.")
    return made


def constructed(text: str, module: ModuleType) -> Any:
    """Evaluate the expression that constructs a network, with the names of its module."""
    code = compile(text, MODEL, "eval")
    return eval(code, dict(vars(module)))  # noqa: S307  # the user's own words


def _example(model: nn.Module, inputs: Sequence[Tensor], texts: Sequence[str], text: str) -> object:
    """Return what the network can be called with."""
    if not inputs:
        try:
            return anatomy.example_for(model)
        except BadInput as error:
            raise BadInput(
                f"No input could be made that goes through {text}: give its shape, as in "
                "--input 2,1,28,28, or --input 2,8:long for numbers of words."
            ) from error
    example = inputs[0] if len(inputs) == 1 else tuple(inputs)
    try:
        with anatomy.undisturbed(model), torch.no_grad():
            anatomy.run(model, example)
    except FAILURES as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())
        raise BadInput(f"{text} cannot be called with {' and '.join(texts)}: {said}") from error
    return example
