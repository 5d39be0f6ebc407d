"""What a recipe does to a network: edits, planned, performed and checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import final
from weakref import ref

import torch
from torch import nn

from fitwell import surgery
from fitwell.errors import BadInput, FitwellError, NotApplicable, in_range
from fitwell.interfaces import Remedy
from fitwell.recipe.fitting import (
    MISFITS,
    check_rows,
    check_that_all_ran,
    inspected,
    misfit,
    settled,
)
from fitwell.recipe.timing import faster, forward_time
from fitwell.recipe.wording import place, words_of
from fitwell.records import (
    Change,
    Configure,
    Edit,
    FoldNorm,
    Initialize,
    InsertAfter,
    InsertBefore,
    LevelOutputs,
    MeasureInputs,
    PruneUnits,
    Remake,
    Replace,
    ReplaceCall,
)
from fitwell.words import say

_SEEDS_OF_A_RUN = 100
"""Distance between the seeds of two runs: each stage of a recipe has one of its own between."""


@final
@dataclass(frozen=True)
class Changes:
    """What was done to a network.

    Args:
        items: Every change, in words, in order.
        keys: The ``state_dict`` keys that moved: old name to new name.
        notes: What was measured, each a sentence that begins with the name of the remedy.
    """

    items: tuple[Change, ...] = ()
    keys: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [*(str(item) for item in self.items), *self.notes]
        return "\n".join(lines) or "nothing was changed"


@final
@dataclass(frozen=True)
class Operation:
    """The edits of one remedy, and the seed that they are performed with."""

    remedy: str
    edits: tuple[Edit, ...]
    seed: int


def seed_of(remedy: Remedy, seed: int) -> int:
    """Return the seed of the edits of a remedy in a run."""
    return seed * _SEEDS_OF_A_RUN + int(remedy.stage)


def operate(
    model: nn.Module,
    remedies: Iterable[Remedy],
    *,
    example_input: object,
    data: object = None,
    seed: int = 0,
    measure: bool = True,
) -> tuple[Changes, tuple[Operation, ...]]:
    """Treat a copy of a model in place, one remedy after the other.

    Every stage draws from a seed of its own, so that two recipes that share a remedy give it the
    same random numbers, whatever else they hold.

    Args:
        model: A copy of the user's model; it is changed.
        remedies: What to do, in order.
        example_input: What the model can be called with.
        data: Training rows, as the model is called with them; of at most 1,024 is measured.
        seed: Seed of new weights, in [0, 1e12].
        measure: Whether edits that measure the training rows, and the time of a forward pass, are
            performed; else weights and scales keep what they begin with.

    Raises:
        NotApplicable: If a remedy cannot serve this network.
        BadInput: If a remedy measures the training rows, and there are none, or if the network
            cannot be called with the example input.
    """
    in_range("seed", seed, 0, 1e12)
    items: list[Change] = []
    notes: list[str] = []
    keys = {key: key for key in model.state_dict()}
    done: list[Operation] = []
    editing = [remedy for remedy in remedies if "edit" in remedy.seams()]
    if not editing:
        return Changes(), ()
    before = inspected(model, example_input)
    for remedy in editing:
        name = type(remedy).__name__
        edits = _of_trained(model, name, tuple(remedy.edit(before)))
        edits = _possible(model, edits, example_input)
        if not edits:
            continue
        performed = [e for e in edits if measure or not isinstance(e, surgery.MEASURING)]
        timed = measure and any(isinstance(e, (FoldNorm, PruneUnits)) for e in edits)
        slow = forward_time(model, example_input) if timed else 0.0
        modules = [ref(module) for module in model.modules()]
        state = {key: ref(tensor) for key, tensor in model.state_dict(keep_vars=True).items()}
        said: list[str] = []
        rows = _rows(model, name, edits, example_input, data, measure=measure)
        try:
            surgery.perform(
                model,
                performed,
                seed=seed_of(remedy, seed),
                rows=rows,
                example=example_input,
                notes=said,
            )
        except FitwellError:
            raise
        except MISFITS as error:
            raise misfit(name, error) from error
        after, edits, left = settled(model, name, edits, example_input=example_input, before=before)
        moved = surgery.moved_keys(state, model.state_dict(keep_vars=True))
        keys = {old: moved.get(new, new) for old, new in keys.items()}
        check_that_all_ran(model, name, modules, after)
        places = [said for edit in edits for said in words_of(edit, before, after)]
        items += [Change(name, where, what) for where, what in places]
        if timed:
            said.append(faster(slow, forward_time(model, example_input)))
        notes += [say("{remedy}: {did}", remedy=name, did=sentence) for sentence in (*said, *left)]
        done.append(Operation(name, edits, seed_of(remedy, seed)))
        before = after
    moved = {old: new for old, new in keys.items() if old != new}
    return Changes(tuple(items), moved, tuple(notes)), tuple(done)


def _rows(
    model: nn.Module,
    remedy: str,
    edits: Iterable[Edit],
    example_input: object,
    data: object,
    *,
    measure: bool,
) -> object:
    """Return the rows to measure on: the training rows, or the example where that will do."""
    if measure and data is None and any(isinstance(edit, MeasureInputs) for edit in edits):
        raise BadInput(
            f"{remedy} measures the training rows: give them as data=, as the network is called "
            "with them.\n  Recipe.apply(model, example_input=x[:8], data=x)"
        )
    if data is None:
        return example_input
    if measure and any(isinstance(edit, surgery.MEASURING) for edit in edits):
        check_rows(model, data)
    return data


def _of_trained(model: nn.Module, remedy: str, edits: tuple[Edit, ...]) -> tuple[Edit, ...]:
    """Leave out what would change frozen weights, or what they are learned to put out."""
    kept = tuple(
        replace(edit, paths=tuple(path for path in edit.paths if _is_trained(model, path)))
        if isinstance(edit, LevelOutputs)
        else edit
        for edit in edits
        if not _concerns_frozen(model, edit)
    )
    gone = (place(edit) for edit in edits if edit not in kept)
    frozen = list(dict.fromkeys(path for path in gone if path))
    # What keeps its weights is swapped place by place; what does not must fit its neighbours.
    replaced = [
        place(edit)
        for edit in edits
        if edit not in kept and isinstance(edit, Replace) and not edit.keep
    ]
    if replaced or (frozen and not kept):
        raise NotApplicable(
            f"{remedy} would change frozen layers, whose weights keep what they have learned.\n"
            f"  frozen: {', '.join(replaced or frozen)}\n"
            "  apply it to the part that is trained, or set requires_grad_(True)"
        )
    return kept


def _possible(model: nn.Module, edits: tuple[Edit, ...], example_input: object) -> tuple[Edit, ...]:
    """Leave out optional edits that cannot be done; if none remains, keep all: they say why."""
    kept = tuple(
        edit
        for edit in edits
        if not (isinstance(edit, ReplaceCall) and edit.optional)
        or not surgery.obstacle(model, edit, example_input)
    )
    return kept or edits


def _concerns_frozen(model: nn.Module, edit: Edit) -> bool:
    """Whether an edit draws, replaces or normalises weights that take no gradient."""
    if isinstance(edit, Initialize):
        return not model.get_parameter(edit.parameter).requires_grad
    if isinstance(edit, LevelOutputs):
        return not any(_is_trained(model, path) for path in edit.paths)
    if isinstance(edit, (Configure, MeasureInputs, FoldNorm, PruneUnits, Remake)):
        return False
    old = model.get_submodule(edit.path)
    if isinstance(edit, (InsertAfter, InsertBefore, ReplaceCall)):
        with torch.device("meta"):
            new = surgery.made(edit.module, old, old)
        if next(new.parameters(), None) is None:
            return False
    own = list(old.parameters())
    return bool(own) and not any(parameter.requires_grad for parameter in own)


def _is_trained(model: nn.Module, path: str) -> bool:
    return all(p.requires_grad for p in model.get_submodule(path).parameters())
