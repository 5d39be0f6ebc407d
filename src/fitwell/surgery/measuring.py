"""Edits that look at the weights, or at what rows of data do to them, performed on a copy."""

from __future__ import annotations

from torch import nn

from fitwell.errors import BadInput, NotApplicable, require
from fitwell.modules.folding import fold_norm
from fitwell.modules.lsuv import level_outputs
from fitwell.modules.pruning import FAILURES, prune_units
from fitwell.modules.standardize import Standardize, Unmeasurable, measure_inputs
from fitwell.records import FoldNorm, LevelOutputs, MeasureInputs, PruneUnits
from fitwell.surgery.edits import perform_one
from fitwell.words import say

MEASURING = (MeasureInputs, LevelOutputs)
"""Edits that run rows of training data through the network."""

_STANDARD = 0.05
"""How far from 0 a mean, and from 1 a deviation, may be in inputs that are standardised: what
twice the standard error leaves of them in 1,600 rows."""


@perform_one.register
def _(edit: MeasureInputs, model: nn.Module, rows: object) -> list[str]:
    try:
        measure_inputs(model, edit.paths, rows)
    except Unmeasurable as error:
        raise BadInput(f"The inputs cannot be scaled: {error}.") from error
    except FAILURES as error:
        raise NotApplicable(
            "The inputs cannot be scaled: the network's own code relies on what would change, or "
            f"does not run on the rows.\n  {type(error).__name__}: {error}"
        ) from error
    scales = [model.get_submodule(path) for path in edit.paths]
    if all(_does_nothing(scale) for scale in scales):
        raise NotApplicable(
            "The inputs are standardised already: every mean lies within "
            f"{_STANDARD:g} of 0 and every deviation within {_STANDARD:g} of 1."
        )
    return []


def _does_nothing(scale: nn.Module) -> bool:
    assert isinstance(scale, Standardize)
    near = scale.mean.abs().max() <= _STANDARD and (scale.deviation - 1).abs().max() <= _STANDARD
    return bool(near)


@perform_one.register
def _(edit: LevelOutputs, model: nn.Module, rows: object) -> list[str]:
    try:
        found = level_outputs(model, edit.paths, rows, edit.tolerance, edit.rounds)
    except ValueError as error:
        raise NotApplicable(
            f"The variance of every layer cannot be brought to 1: {error}.\n"
            "  give rows that differ from each other, and inputs that are finite"
        ) from error
    still = [name for name, (start, _) in found.items() if not start]
    same = [
        say("{layer} puts out the same everywhere, and was not scaled", layer=name)
        for name in still
    ]
    found = {name: values for name, values in found.items() if name not in still}
    off = {name: end for name, (_, end) in found.items() if abs(end - 1) > edit.tolerance}
    low, high = (side(end for _, end in found.values()) for side in (min, max))
    starts = [start for start, _ in found.values()]
    said = [
        say(
            "the outputs of {layers} layers had variances from {least} to {most}, and have from "
            "{low} to {high}",
            layers=len(found),
            least=f"{min(starts):.3g}",
            most=f"{max(starts):.3g}",
            low=f"{low:.3g}",
            high=f"{high:.3g}",
        )
    ]
    if off:
        names = ", ".join(off)
        said.append(
            say("after {rounds} rounds not yet at 1: {layers}", rounds=edit.rounds, layers=names)
        )
    return [*said, *same, *edit.left]


@perform_one.register
def _(edit: FoldNorm, model: nn.Module, rows: object) -> None:
    fold_norm(model, edit.layer, edit.norm, edit.first)


@perform_one.register
def _(edit: PruneUnits, model: nn.Module, rows: object) -> list[str]:
    require("torch_pruning")
    before = sum(p.numel() for p in model.parameters())
    try:
        left = prune_units(model, rows, edit.share, edit.importance, edit.keep, edit.fresh)
    except RuntimeError as error:
        raise NotApplicable(
            "No layer found whose units can be taken out.\n  "
            + "\n  ".join([*edit.left, str(error)])
        ) from error
    after = sum(p.numel() for p in model.parameters())
    said = say("{before} parameters became {after}", before=f"{before:,}", after=f"{after:,}")
    return [said, *edit.left, *left]
