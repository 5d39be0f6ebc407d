"""Whether a network that was changed still fits: it runs, and its output has the same shape."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from weakref import ref

import torch
from torch import nn

from fitwell import anatomy, surgery
from fitwell.errors import BadInput, FitwellError, NotApplicable
from fitwell.modules.rows import sample
from fitwell.records import Anatomy, Edit
from fitwell.words import say

MISFITS = (RuntimeError, AttributeError, TypeError, ValueError, LookupError)
"""What a network raises whose parts no longer fit, or that is called with what it does not take."""


def misfit(remedy: str, error: Exception) -> NotApplicable:
    """Return the refusal of a remedy after which the network does not run."""
    return NotApplicable(
        f"{remedy} does not fit this network: its own code relies on what would change.\n"
        f"  {type(error).__name__}: {error}{_hint(error)}"
    )


def inspected(model: nn.Module, example_input: object) -> Anatomy:
    """Return the anatomy of a network that the user has given, with an input of theirs.

    Raises:
        BadInput: If the network cannot be called with it; the network's own error is the cause.
    """
    try:
        return anatomy.inspect(model, example_input)
    except MISFITS as error:
        if isinstance(error, FitwellError):
            raise
        raise BadInput(
            "The network cannot be called with the example input that was given: "
            f"{_described(example_input)}.\n"
            f"  {type(error).__name__}: {error}\n"
            "  give a tensor, a tuple of positional arguments or a mapping of keyword arguments"
        ) from error


def check_rows(model: nn.Module, data: object) -> None:
    """Refuse training rows that the network cannot be called with.

    Raises:
        BadInput: If two of them cannot be run; the network's own error is the cause.
    """
    try:
        with anatomy.undisturbed(model), torch.no_grad():
            anatomy.run(model, sample(data, 2))
    except MISFITS as error:
        raise BadInput(
            "The network cannot be called with the training rows that were given as data=: "
            f"{_described(data)}.\n"
            f"  {type(error).__name__}: {error}\n"
            "  give them as the network is called with them: a tensor, a tuple or a mapping of "
            "tensors"
        ) from error


def _described(value: object) -> str:
    """Return dtype and shape of the tensors in what a network is called with."""
    if isinstance(value, torch.Tensor):
        return f"{value.dtype} {tuple(value.shape)}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k}: {_described(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (tuple, list)):
        return "(" + ", ".join(map(_described, value)) + ")"
    return type(value).__name__


def checked(
    model: nn.Module,
    remedy: str,
    *,
    example_input: object,
    before: Anatomy,
) -> Anatomy:
    """Return the anatomy after the edits, if the network still runs and its output fits."""
    try:
        after = anatomy.inspect(model, example_input)
        fast_path = torch.backends.mha.get_fastpath_enabled()
        with anatomy.undisturbed(model), torch.no_grad():
            torch.backends.mha.set_fastpath_enabled(fast_path)
            anatomy.run(model, example_input)
    except MISFITS as error:
        raise misfit(remedy, error) from error
    if after.outputs != before.outputs:
        raise NotApplicable(
            f"{remedy} does not fit this network: its output would go from "
            f"{_shapes(before)} to {_shapes(after)}."
        )
    return after


def settled(
    model: nn.Module,
    remedy: str,
    edits: Sequence[Edit],
    *,
    example_input: object,
    before: Anatomy,
) -> tuple[Anatomy, tuple[Edit, ...], tuple[str, ...]]:
    """Return the anatomy after the edits, those that stayed, and why others were taken out again.

    An insertion is taken out where the network's own code reads an attribute of the layer that now
    stands inside a sequence; the others stay.

    Raises:
        NotApplicable: If the network does not run for another reason, or no edit stays.
    """
    kept = list(edits)
    notes: list[str] = []
    while True:
        try:
            after = checked(model, remedy, example_input=example_input, before=before)
        except NotApplicable as refusal:
            error = refusal.__cause__
            if not isinstance(error, AttributeError) or not isinstance(error.obj, nn.Module):
                raise
            gone = surgery.taken_out(model, error.obj, kept)
            if gone is None or len(kept) == 1:
                raise
            kept.remove(gone)
            notes.append(
                say(
                    "{layer} is left as it was: the network reads its .{name}.",
                    layer=gone.path,
                    name=error.name,
                )
            )
        else:
            return after, tuple(kept), tuple(notes)


def _shapes(found: Anatomy) -> str:
    return ", ".join(str(shape) for shape in found.outputs)


def _hint(error: Exception) -> str:
    """Say what to do where a forward reads an attribute of a layer that became a sequence."""
    if not isinstance(error, AttributeError) or not isinstance(error.obj, nn.Sequential):
        return ""
    children = ", ".join(str(child) for child in error.obj.children())
    return (
        f"\n  forward() reads .{error.name} of a layer, which would stand inside a sequence: "
        f"{children}\n"
        "  call the layer instead of reading its parameters, or write the new module into forward()"
    )


def check_that_all_ran(
    model: nn.Module, remedy: str, modules: Iterable[ref[nn.Module]], after: Anatomy
) -> None:
    """Refuse a change that put modules where they never run."""
    known = {id(module()) for module in modules}
    ran = {node.path for node in after.nodes if not node.functional}
    for module in model.modules():
        if id(module) in known or isinstance(module, nn.Sequential):
            continue
        paths = surgery.module_paths(model, module)
        if ran.isdisjoint(paths):
            raise NotApplicable(
                f"{remedy} would have no effect: {module} at {paths[0]} never runs."
            )
