"""Edits, performed on a copy of a network."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from functools import singledispatch
from weakref import ref

import torch
from torch import nn

from fitwell.errors import NotApplicable
from fitwell.modules import MODULES
from fitwell.modules.attached import Attached
from fitwell.records import (
    Configure,
    Edit,
    Initialize,
    InsertAfter,
    InsertBefore,
    LevelOutputs,
    MeasureInputs,
    ModuleSpec,
    Replace,
    ReplaceCall,
)
from fitwell.surgery.rewriting import rewrite

LAYER = "layer"
"""Name of the original module in the sequence that an insertion makes of it."""


def perform(
    model: nn.Module,
    edits: Iterable[Edit],
    *,
    seed: int = 0,
    rows: object = None,
    example: object = None,
    notes: list[str] | None = None,
) -> dict[str, str]:
    """Perform edits, in order, on the model that is given; give it a copy.

    New modules go to the device and dtype of what they replace. Random numbers come from ``seed``;
    the global random state is left as it was.

    Args:
        model: A copy of the user's model. It is changed in place.
        edits: What to do.
        seed: Seed of new weights.
        rows: What the model can be called with, for edits that measure; all for the others too,
            where there is no example.
        example: A few such rows, for edits that only have to run the model.
        notes: Where to put sentences on what was measured.

    Returns:
        The ``state_dict`` keys that moved: old name to new name.

    Raises:
        NotApplicable: If an edit concerns the whole network and not a module inside it, or cannot
            be performed on this one.
    """
    # Weakly: what an edit takes out of the network must not be kept in memory meanwhile.
    before = {key: ref(tensor) for key, tensor in model.state_dict(keep_vars=True).items()}
    devices = sorted({p.device.index or 0 for p in model.parameters() if p.is_cuda})
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        for edit in edits:
            measures = example is None or isinstance(edit, (MeasureInputs, LevelOutputs))
            said = perform_one(edit, model, rows if measures else example)
            if notes is not None:
                notes += said or ()
    return moved_keys(before, model.state_dict(keep_vars=True))


HALF = (torch.float16, torch.bfloat16)


@singledispatch
def perform_one(edit: object, model: nn.Module, rows: object) -> Sequence[str] | None:
    """Perform one edit and say what was measured; every kind of edit registers a function here."""
    raise TypeError(f"Expected an edit, got {type(edit).__name__}.")


@perform_one.register
def _(edit: Replace, model: nn.Module, rows: object) -> None:
    old = model.get_submodule(edit.path)
    new = made(edit.module, old, model)
    if edit.keep:
        take_over(new, old)
    put(model, edit.path, old, new)


@perform_one.register
def _(edit: InsertBefore, model: nn.Module, rows: object) -> None:
    old = model.get_submodule(edit.path)
    children = [(edit.name, made(edit.module, old, model)), (LAYER, old)]
    row = Attached if edit.answers else nn.Sequential
    put(model, edit.path, old, row(OrderedDict(children)).train(old.training))


@perform_one.register
def _(edit: InsertAfter, model: nn.Module, rows: object) -> None:
    old = model.get_submodule(edit.path)
    new = made(edit.module, old, model)
    parent_path, _, name = edit.path.rpartition(".")
    parent = model.get_submodule(parent_path)
    if _is_sequence(old):
        children = [*old.named_children(), (_free_name(old, edit.name), new)]
        put(model, edit.path, old, nn.Sequential(OrderedDict(children)))
    elif name == LAYER and _is_sequence(parent):
        children = list(parent.named_children())
        place = [child for child, _ in children].index(LAYER) + 1
        children.insert(place, (_free_name(parent, edit.name), new))
        put(model, parent_path, parent, nn.Sequential(OrderedDict(children)))
    else:
        children = [(LAYER, old), (edit.name, new)]
        put(model, edit.path, old, nn.Sequential(OrderedDict(children)))


@perform_one.register
def _(edit: ReplaceCall, model: nn.Module, rows: object) -> None:
    owner = model.get_submodule(edit.path)
    rewrite(model, owner, edit, made(edit.module, owner, model), rows)


@perform_one.register
def _(edit: Initialize, model: nn.Module, rows: object) -> None:
    parameter = model.get_parameter(edit.parameter)
    part = parameter if edit.rows is None else parameter[edit.rows[0] : edit.rows[1]]
    with torch.no_grad():
        # Some of the functions need a decomposition, which half precision lacks, and rows in order.
        drawn = (part.float() if part.dtype in HALF else part).contiguous()
        getattr(nn.init, edit.function)(drawn, **edit.args)
        part.copy_(drawn)


@perform_one.register
def _(edit: Configure, model: nn.Module, rows: object) -> None:
    setattr(model.get_submodule(edit.path), edit.attribute, edit.value)


def made(spec: ModuleSpec, old: nn.Module, model: nn.Module) -> nn.Module:
    """Make a module on the device and with the dtype of the one whose place it takes."""
    kind = MODULES[spec.kind] if spec.own else getattr(nn, spec.kind)
    new: nn.Module = kind(**spec.args)
    floating = (p for m in (old, model) for p in m.parameters() if p.is_floating_point())
    like = next(floating, None)
    held = (*new.parameters(), *new.buffers())
    if like is not None and not any(tensor.is_meta for tensor in held):
        new = new.to(device=like.device, dtype=like.dtype)
    return new.train(old.training)


def take_over(new: nn.Module, old: nn.Module) -> None:
    """Give a module the parameters and buffers of another that have the same name and shape."""
    own = {**new._parameters, **new._buffers}
    for name, value in {**old._parameters, **old._buffers}.items():
        mine = own.get(name)
        if mine is not None and value is not None and mine.shape == value.shape:
            setattr(new, name, value)


def put(model: nn.Module, path: str, old: nn.Module, new: nn.Module) -> None:
    """Put ``new`` wherever ``old`` stands."""
    if old is model:
        raise NotApplicable(
            "The network is a single layer: nothing can be put beside it.\n"
            "  wrap it: nn.Sequential(layer)"
        )
    places = [
        (parent, name)
        for parent in model.modules()
        for name, child in parent._modules.items()
        if child is old
    ]
    if not places:
        raise NotApplicable(f"No module stands at {path!r}.")
    for parent, name in places:
        setattr(parent, name, new)


def _is_sequence(module: nn.Module) -> bool:
    """Whether a module is a sequence that an insertion has made."""
    return isinstance(module, nn.Sequential) and LAYER in module._modules


def _free_name(sequence: nn.Module, name: str) -> str:
    taken = {child for child, _ in sequence.named_children()}
    return next(n for n in (name, *(f"{name}{i}" for i in range(2, 99))) if n not in taken)


def taken_out(model: nn.Module, sequence: nn.Module, edits: Sequence[Edit]) -> InsertAfter | None:
    """Take an insertion out again, where it made a sequence of a layer and one new module.

    Returns:
        The edit that had made it; None, with nothing done, if none of the edits had.
    """
    named = model.named_modules(remove_duplicate=False)
    paths = {name for name, found in named if found is sequence}
    made = [e for e in edits if isinstance(e, InsertAfter) and e.path in paths]
    if len(made) != 1 or len(sequence._modules) != 2 or not _is_sequence(sequence):
        return None
    put(model, made[0].path, sequence, sequence.get_submodule(LAYER))
    return made[0]


def moved_keys(
    before: Mapping[str, ref[torch.Tensor]], after: Mapping[str, torch.Tensor]
) -> dict[str, str]:
    """Map old keys to new ones for the tensors that are the same objects under other names."""
    new_keys: dict[int, list[str]] = {}
    for key, tensor in after.items():
        new_keys.setdefault(id(tensor), []).append(key)
    moved = {}
    for key, old in before.items():
        names = new_keys.get(id(old()), [])
        if names and key not in names:
            moved[key] = names[0]
    return moved
