"""Recipes as plain PyTorch source that runs without fitwell."""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from fitwell.errors import BadInput
from fitwell.interfaces import Plain, Remedy
from fitwell.recipe import printed
from fitwell.recipe.changes import Operation
from fitwell.recipe.layout import Layout
from fitwell.recipe.printing_edits import files_of, helpers_of, split_source
from fitwell.recipe.printing_treat import arguments_of, treat_source
from fitwell.recipe.printing_usage import usage_of

_HEADER = '''"""Plain PyTorch for the recipe {recipe}."""

from __future__ import annotations

'''

_IMPORTS = (
    "import copy",
    "from collections import OrderedDict",
    "from collections.abc import Callable, Iterator, Mapping, Sequence",
    "from contextlib import contextmanager",
    "from typing import Any, NamedTuple",
    "import math",
    "import torch",
    "from torch import Generator, Tensor, nn",
    "from torch.nn import functional as F",
)

_SEAMS: Mapping[str, tuple[str, str]] = {
    "on_batch": ("x, y", "generator"),
    "on_loss": ("loss", "outputs, targets"),
    "on_gradients": ("gradients", "parameters"),
    "after_update": ("parameters", "rate"),
    "average": ("averages", "tensors, step"),
    "rate_factor": ("", "step"),
    "should_stop": ("", "losses"),
}
"""What a seam hands on from remedy to remedy, and what it takes besides."""

_FUNCTIONS: Mapping[str, str] = {
    "on_batch": '''def on_batch(
    x: Tensor, y: Tensor, generator: Generator
) -> tuple[Tensor, Tensor]:
    """Return the batch to train on."""
{calls}
    return x, y
''',
    "on_loss": '''def training_loss(loss: Tensor, outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the loss to go down on, given the mean loss of the batch."""
{calls}
    return loss
''',
    "on_gradients": '''@torch.no_grad()
def before_step(model: nn.Module{memory}) -> None:
    """Change the gradients; call it between loss.backward() and optimizer.step().{kept}"""
    parameters = {name: p for name, p in model.named_parameters() if p.grad is not None}
    gradients = {name: p.grad for name, p in parameters.items()}
{calls}
    for name, parameter in parameters.items():
        parameter.grad.copy_(gradients[name])
''',
    "after_update": '''@torch.no_grad()
def after_step(model: nn.Module, rate: float) -> None:
    """Change the parameters; call it after optimizer.step() with the learning rate."""
    live = {name: p for name, p in model.named_parameters() if p.grad is not None}
    parameters = dict(live)
{calls}
    for name, parameter in live.items():
        parameter.copy_(parameters[name])
''',
    "average": '''@torch.no_grad()
def average(averages: Mapping[str, Tensor], model: nn.Module, step: int) -> dict[str, Tensor]:
    """Return the running average of the weights; call it after every optimizer.step().

    The averages are empty at first; step counts from 0.
    """
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    tensors = {**trained, **floating_buffers(model)}
{calls}
    return dict(averages)
''',
    "rate_factor": '''def rate_factor(step: int) -> float:
    """Return the multiple of the learning rate at a step, from 0."""
    return {calls}
''',
    "should_stop": '''def should_stop(losses: Sequence[float]) -> bool:
    """Say whether training shall end, given the validation loss of every epoch so far."""
    return {calls}
''',
}


def source_of(
    remedies: Sequence[Remedy],
    operations: Sequence[Operation],
    *,
    layout: Layout,
    example_input: object = None,
    seed: int,
) -> str:
    """Return a module of plain PyTorch that does what the remedies do.

    Args:
        remedies: The remedies of a recipe, in order.
        operations: Their edits to the network at hand.
        layout: What the seams need to know of the treated network's parameters.
        example_input: What the network can be called with, for code that has to call it.
        seed: Seed of what is random in the batches, for the usage at the end.

    Raises:
        BadInput: If a remedy names no plain function for a seam that it acts at.
    """
    plain = {seam: _at(seam, remedies) for seam in _SEAMS}
    memories = dict(_at("remember", remedies))
    recipe = " + ".join(str(remedy) for remedy in remedies) or "without a remedy"
    edits = [edit for operation in operations for edit in operation.edits]
    files = [split_source(file) for file in files_of(edits)]
    acting = [p for found in plain.values() for _, p in found] + list(memories.values())
    functions: list[Callable[..., Any]] = [f for p in acting for f in (*p.needs, p.function)]
    mixes = any(remedy.mixes for remedy in remedies)
    if mixes:
        functions.append(printed.mixed_loss)
    if plain["average"]:
        functions += [printed.floating_buffers, printed.show, printed.shown]
    parts = _names(layout, {r for found in plain.values() for r, _ in found})
    parts += [body for _, body in files]
    parts += [_source(function) for function in dict.fromkeys((*helpers_of(edits), *functions))]
    parts.append(treat_source(operations, example_input))
    parts += [_seam(name, found, memories, layout) for name, found in plain.items() if found]
    if mixes:
        parts = [part.replace("tuple[Tensor, Tensor]", "tuple[Tensor, Mixed]") for part in parts]
    if plain["should_stop"]:
        parts.append(_source(printed.Best))
    acts = {seam for seam, found in plain.items() if found}
    acts |= {name for name, there in (("mixes", mixes), ("remember", memories)) if there}
    parts.append(usage_of(acts, seed, arguments_of(edits)))
    head = _HEADER.format(recipe=recipe) + _merged([line for lines, _ in files for line in lines])
    text = "\n\n".join(part.strip("\n") + "\n" for part in (head, *parts))
    return _without_unused_imports(text)


def _at(seam: str, remedies: Iterable[Remedy]) -> list[tuple[Remedy, Plain]]:
    """Return the remedies that act at a seam, each with the function that does it."""
    found = []
    for remedy in remedies:
        plain = remedy.plain()
        if seam in plain:
            found.append((remedy, plain[seam]))
        elif seam in remedy.seams() and not plain:
            raise BadInput(
                f"{type(remedy).__name__} cannot be printed: it names no plain function for "
                f"{seam}. Give it a method plain() that returns one."
            )
    return found


def _source(thing: Callable[..., Any]) -> str:
    return inspect.getsource(thing).replace("@final\n", "")


def _names(layout: Layout, remedies: Collection[Remedy]) -> list[str]:
    """Return the sets of names that the remedies need."""
    parts = []
    if any(remedy.scope == "weights" for remedy in remedies):
        parts.append(_set_of("WEIGHTS", layout.weights))
    if layout.transposed and any(remedy.units_first for remedy in remedies):
        parts += [_set_of("TRANSPOSED", layout.transposed), _source(printed.turned)]
    return parts


def _set_of(variable: str, names: Collection[str]) -> str:
    lines = "".join(f"    {json.dumps(name)},\n" for name in sorted(names))
    return f"{variable} = {{\n{lines}}}\n" if names else f"{variable}: set[str] = set()\n"


def _seam(
    seam: str,
    found: Sequence[tuple[Remedy, Plain]],
    memories: Mapping[Remedy, Plain],
    layout: Layout,
) -> str:
    """Return the function that does what all remedies do at a seam."""
    calls = [_call(seam, remedy, plain, memories.get(remedy), layout) for remedy, plain in found]
    joint = {"should_stop": " or ", "rate_factor": " * "}.get(seam, "\n")
    kept = (
        "\n\n    The memory is a dict, empty at first, that is kept from step to step.\n    "
        if memories
        else ""
    )
    return (
        _FUNCTIONS[seam]
        .replace("{calls}", joint.join(calls))
        .replace("{memory}", ", memory: dict[str, dict[str, Tensor]]" if memories else "")
        .replace("{kept}", kept)
    )


def _call(seam: str, remedy: Remedy, plain: Plain, memory: Plain | None, layout: Layout) -> str:
    """Return the line or lines in which one remedy acts."""
    handed, besides = _SEAMS[seam]
    if not handed:
        return _line(plain, besides)
    lines, part, result = [], handed, "{}"
    if remedy.scope == "weights" and handed in ("gradients", "parameters"):
        lines.append(f"part = {{name: t for name, t in {handed}.items() if name in WEIGHTS}}")
        part, result = "part", f"{{{{**{handed}, **{{}}}}}}"
    if seam == "on_gradients":
        if remedy.units_first and layout.transposed:
            lines.append(f"part = turned({part}, TRANSPOSED)")
            part, result = "part", f"{{{{**{handed}, **turned({{}}, TRANSPOSED)}}}}"
            besides = f"turned({besides}, TRANSPOSED)"
        name = json.dumps(type(remedy).__name__)
        known = "{}" if memory is None else f"memory[{name}]"
        if memory is not None:
            lines.append(f"{known} = {_line(memory, f'memory.get({name}, {{}}), {part}')}")
        besides = f"{besides}, {known}"
    lines.append(f"{handed} = {result.format(_line(plain, f'{part}, {besides}'))}")
    return "\n".join(f"    {line}" for line in lines)


def _line(plain: Plain, given: str) -> str:
    args = "".join(f", {name}={value!r}" for name, value in plain.args.items())
    return f"{plain.function.__name__}({given}{args})"


def _merged(imports: Iterable[str]) -> str:
    """Return import lines with ours, each name once, the standard library first."""
    whole: dict[str, None] = {}
    parts: dict[str, dict[str, None]] = {}
    for line in (*_IMPORTS, *imports):
        start, found, names = line.partition(" import ")
        if not found:
            whole[line] = None
        elif start != "from __future__":
            parts.setdefault(start, {}).update(dict.fromkeys(names.split(", ")))
    lines = [*whole, *(f"{start} import {', '.join(sorted(parts[start]))}" for start in parts)]
    groups = (
        [line for line in sorted(lines, key=_place) if _is_ours(line) == ours] for ours in (0, 1)
    )
    return "\n\n".join("\n".join(group) for group in groups) + "\n"


def _place(line: str) -> tuple[bool, str]:
    return line.startswith("from"), line


def _is_ours(line: str) -> bool:
    """Whether a line imports from a library, not from the standard library."""
    return line.split()[1].partition(".")[0] not in sys.stdlib_module_names


def _without_unused_imports(text: str) -> str:
    """Leave out what the header imports and the rest does not use."""
    head, rest = _split_header(text)
    return "\n".join(kept for line in head.splitlines() for kept in _used(line, rest)) + rest


def _used(line: str, rest: str) -> list[str]:
    """Return a line of the header as far as the rest uses what it imports."""
    if line.startswith("import "):
        return [line] if _is_used(line.removeprefix("import "), rest) else []
    start, imports, names = line.partition(" import ")
    if not imports or start == "from __future__":
        return [line]
    kept = [name for name in names.split(", ") if _is_used(name.split(" as ")[-1], rest)]
    return [f"{start} import {', '.join(kept)}"] if kept else []


def _split_header(text: str) -> tuple[str, str]:
    end = text.index("\n\n\n")
    return text[:end], text[end:]


def _is_used(name: str, text: str) -> bool:
    return re.search(rf"\b{name}\b", text) is not None
