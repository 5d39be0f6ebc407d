"""Copy a network and change the copy.

Edits are plain data (:mod:`fitwell.records.network`); here they are performed. A module that stands
under several names stays shared, because the new one is put under all of them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from copy import deepcopy
from functools import singledispatch

import torch
from torch import nn

from fitwell.anatomy import is_normalization
from fitwell.errors import NotApplicable
from fitwell.records import Configure, Edit, Initialize, InsertAfter, ModuleSpec, Replace

LAYER = "layer"
"""Name of the original module in the sequence that an insertion makes of it."""


def copy_of(model: nn.Module) -> nn.Module:
    """Return a deep copy of a model; shared modules and tied weights stay shared within it."""
    return deepcopy(model)


def module_paths(model: nn.Module, module: nn.Module) -> tuple[str, ...]:
    """Return every name under which a module stands in a model."""
    named = model.named_modules(remove_duplicate=False)
    return tuple(name for name, found in named if found is module)


def weight_names(model: nn.Module) -> frozenset[str]:
    """Return the names of the parameters that multiply an input.

    Biases, slopes of activations and the parameters of normalisation layers are left out: they are
    not penalised.
    """
    return frozenset(
        f"{path}.{name}".lstrip(".")
        for path, module in model.named_modules()
        if not is_normalization(module)
        for name, parameter in module.named_parameters(recurse=False)
        if parameter.dim() > 1 and "bias" not in name
    )


def perform(model: nn.Module, edits: Iterable[Edit], *, seed: int = 0) -> dict[str, str]:
    """Perform edits, in order, on the model that is given; give it a copy.

    New modules go to the device and dtype of what they replace. Random numbers come from ``seed``;
    the global random state is left as it was.

    Args:
        model: A copy of the user's model. It is changed in place.
        edits: What to do.
        seed: Seed of new weights.

    Returns:
        The ``state_dict`` keys that moved: old name to new name.

    Raises:
        NotApplicable: If an edit concerns the whole network and not a module inside it.
    """
    before = model.state_dict(keep_vars=True)
    devices = sorted({p.device.index or 0 for p in model.parameters() if p.is_cuda})
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        for edit in edits:
            _perform(edit, model)
    return _moved(before, model.state_dict(keep_vars=True))


@singledispatch
def _perform(edit: object, model: nn.Module) -> None:
    raise TypeError(f"Expected an edit, got {type(edit).__name__}.")


@_perform.register
def _(edit: Replace, model: nn.Module) -> None:
    old = model.get_submodule(edit.path)
    _put(model, edit.path, old, _made(edit.module, old, model))


@_perform.register
def _(edit: InsertAfter, model: nn.Module) -> None:
    old = model.get_submodule(edit.path)
    new = _made(edit.module, old, model)
    parent_path, _, name = edit.path.rpartition(".")
    parent = model.get_submodule(parent_path)
    if _is_sequence(old):
        children = [*old.named_children(), (_free_name(old, edit.name), new)]
        _put(model, edit.path, old, nn.Sequential(OrderedDict(children)))
    elif name == LAYER and _is_sequence(parent):
        (first, *rest) = parent.named_children()
        children = [first, (_free_name(parent, edit.name), new), *rest]
        _put(model, parent_path, parent, nn.Sequential(OrderedDict(children)))
    else:
        children = [(LAYER, old), (edit.name, new)]
        _put(model, edit.path, old, nn.Sequential(OrderedDict(children)))


@_perform.register
def _(edit: Initialize, model: nn.Module) -> None:
    parameter = model.get_parameter(edit.parameter)
    part = parameter if edit.rows is None else parameter[edit.rows[0] : edit.rows[1]]
    with torch.no_grad():
        getattr(nn.init, edit.function)(part, **edit.args)


@_perform.register
def _(edit: Configure, model: nn.Module) -> None:
    setattr(model.get_submodule(edit.path), edit.attribute, edit.value)


def _is_sequence(module: nn.Module) -> bool:
    """Whether a module is a sequence that an insertion has made."""
    first = next(module.named_children(), ("", None))[0]
    return isinstance(module, nn.Sequential) and first == LAYER


def _free_name(sequence: nn.Module, name: str) -> str:
    taken = {child for child, _ in sequence.named_children()}
    return next(n for n in (name, *(f"{name}{i}" for i in range(2, 99))) if n not in taken)


def _made(spec: ModuleSpec, old: nn.Module, model: nn.Module) -> nn.Module:
    """Make a module on the device and with the dtype of the one whose place it takes."""
    new: nn.Module = getattr(nn, spec.kind)(**spec.args)
    floating = (p for m in (old, model) for p in m.parameters() if p.is_floating_point())
    like = next(floating, None)
    if like is not None:
        new = new.to(device=like.device, dtype=like.dtype)
    return new.train(old.training)


def _put(model: nn.Module, path: str, old: nn.Module, new: nn.Module) -> None:
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


def _moved(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> dict[str, str]:
    """Map old keys to new ones for the tensors that are the same objects under other names."""
    new_keys: dict[int, list[str]] = {}
    for key, tensor in after.items():
        new_keys.setdefault(id(tensor), []).append(key)
    moved = {}
    for key, tensor in before.items():
        names = new_keys.get(id(tensor), [])
        if names and key not in names:
            moved[key] = names[0]
    return moved
