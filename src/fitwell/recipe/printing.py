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
from fitwell.recipe.printing_edits import files_of, helpers_of, line_of, split_source

_HEADER = '''"""Plain PyTorch for the recipe {recipe}."""

from __future__ import annotations

'''

_IMPORTS = (
    "import copy",
    "from collections import OrderedDict",
    "from collections.abc import Callable, Mapping, Sequence",
    "import torch",
    "from torch import Generator, Tensor, nn",
    "from torch.nn import functional as F",
)

_SEAMS: Mapping[str, tuple[str, str]] = {
    "on_batch": ("x, y", "generator"),
    "on_loss": ("loss", "outputs, targets"),
    "on_gradients": ("gradients", "parameters"),
    "after_update": ("parameters", "rate"),
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
def before_step(model: nn.Module) -> None:
    """Change the gradients; call it between loss.backward() and optimizer.step()."""
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
    "should_stop": '''def should_stop(losses: Sequence[float]) -> bool:
    """Say whether training shall end, given the validation loss of every epoch so far."""
    return {calls}
''',
}


def source_of(
    remedies: Sequence[Remedy],
    operations: Sequence[Operation],
    *,
    weights: Collection[str],
    seed: int,
) -> str:
    """Return a module of plain PyTorch that does what the remedies do.

    Args:
        remedies: The remedies of a recipe, in order.
        operations: Their edits to the network at hand.
        weights: Names of the weights of the treated network.
        seed: Seed of what is random in the batches, for the usage at the end.

    Raises:
        BadInput: If a remedy names no plain function for a seam that it acts at.
    """
    plain = {seam: _at(seam, remedies) for seam in _SEAMS}
    recipe = " + ".join(str(remedy) for remedy in remedies) or "without a remedy"
    parts: list[str] = []
    if any(r.scope == "weights" for seam in plain.values() for r, _ in seam):
        parts.append(_weights(weights))
    functions = [f for seam in plain.values() for _, p in seam for f in (*p.needs, p.function)]
    edits = [edit for operation in operations for edit in operation.edits]
    files = [split_source(file) for file in files_of(edits)]
    parts += [body for _, body in files]
    parts += [_source(function) for function in dict.fromkeys((*helpers_of(edits), *functions))]
    parts.append(_treat(operations))
    for seam, found in plain.items():
        if found:
            parts.append(_FUNCTIONS[seam].replace("{calls}", _calls(seam, found)))
    if plain["should_stop"]:
        parts.append(_source(printed.Best))
    parts.append(_usage({seam for seam, found in plain.items() if found}, seed))
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


def _weights(names: Collection[str]) -> str:
    lines = "".join(f"    {json.dumps(name)},\n" for name in sorted(names))
    return f"WEIGHTS = {{\n{lines}}}\n" if names else "WEIGHTS: set[str] = set()\n"


def _treat(operations: Sequence[Operation]) -> str:
    lines = [
        "def treat(model: nn.Module) -> nn.Module:",
        '    """Return a treated copy of a model; the global random state is left as it was."""',
        "    model = copy.deepcopy(model)",
    ]
    if operations:
        lines += [
            "    devices = sorted({p.device.index or 0 for p in model.parameters() if p.is_cuda})",
            "    with torch.random.fork_rng(devices=devices), torch.no_grad():",
        ]
    for operation in operations:
        lines.append(f"        torch.manual_seed({operation.seed})")
        lines += [f"        {line_of(edit)}" for edit in operation.edits]
    return "\n".join([*lines, "    return model", ""])


def _calls(seam: str, found: Sequence[tuple[Remedy, Plain]]) -> str:
    """Return the lines that hand something on from remedy to remedy."""
    handed, besides = _SEAMS[seam]
    lines = []
    for remedy, plain in found:
        args = "".join(f", {name}={value!r}" for name, value in plain.args.items())
        name = plain.function.__name__
        if seam == "should_stop":
            lines.append(f"{name}({besides}{args})")
        elif remedy.scope == "weights":
            lines += [
                f"    part = {{name: t for name, t in {handed}.items() if name in WEIGHTS}}",
                f"    {handed} = {{**{handed}, **{name}(part, {besides}{args})}}",
            ]
        else:
            lines.append(f"    {handed} = {name}({handed}, {besides}{args})")
    return (" or " if seam == "should_stop" else "\n").join(lines)


def _usage(seams: Collection[str], seed: int) -> str:
    """Return a comment that shows how the functions are used."""
    steps = {
        "on_batch": ["    x, y = on_batch(x, y, generator)"],
        "": ["    outputs = model(x)", "    loss = loss_fn(outputs, y)"],
        "on_loss": ["    loss = training_loss(loss, outputs, y)"],
        " ": ["    optimizer.zero_grad()", "    loss.backward()"],
        "on_gradients": ["    before_step(model)"],
        "  ": ["    optimizer.step()"],
        "after_update": ['    after_step(model, optimizer.param_groups[0]["lr"])'],
    }
    lines = ["model = treat(model)"]
    if "on_batch" in seams:
        lines.append(f"generator = Generator(x.device).manual_seed({seed})")
    if "should_stop" in seams:
        lines.append("best = Best(model, should_stop)")
    lines.append("for x, y in batches:")
    lines += [
        line for seam, part in steps.items() if not seam.strip() or seam in seams for line in part
    ]
    if "should_stop" in seams:
        lines += ["after each epoch: stop = best.note(val_loss)", "at the end: best.restore()"]
    return "# Use:\n" + "".join(f"#   {line}\n" for line in lines)


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
