"""A treated copy of a network: a copy, or what its factory makes with other arguments."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import nn

from fitwell import anatomy, surgery
from fitwell.errors import BadInput, in_range
from fitwell.interfaces import Remedy, Stage
from fitwell.recipe.changes import Changes, Operation, operate, seed_of
from fitwell.recipe.fitting import checked
from fitwell.recipe.wording import words_of
from fitwell.records import Change

TREATED_BY = "_treated_by"
"""Attribute of a treated network: names of the remedies that must not be applied again."""


def treat(
    model: nn.Module,
    remedies: Sequence[Remedy],
    *,
    example_input: object,
    make_model: Callable[..., nn.Module] | None = None,
    data: object = None,
    seed: int = 0,
    measure: bool = True,
) -> tuple[nn.Module, Changes, tuple[Operation, ...]]:
    """Return a treated copy of a model; the model itself stays as it is.

    Args:
        model: Any eager network.
        remedies: What to do, in order.
        example_input: What the model can be called with.
        make_model: The factory of the model, for a remedy that makes it anew.
        data: Training rows, as the model is called with them.
        seed: Seed of new weights, in [0, 1e12].
        measure: As for :func:`operate`.

    Raises:
        NotApplicable: If a remedy cannot serve this network.
        BadInput: If a remedy that must be applied once was applied before, lacks the training
            rows, or the factory makes another network.
    """
    in_range("seed", seed, 0, 1e12)
    before = tuple(getattr(model, TREATED_BY, ()))
    lasting = tuple(type(r).__name__ for r in remedies if r.stage == Stage.CAPACITY)
    twice = next((name for name in lasting if name in before), None)
    if twice:
        raise BadInput(
            f"{twice} was applied to this network before, and would take as much away again: "
            f"apply it to the untreated network, with another share."
        )
    made = None
    if make_model is not None and remedies:
        made = _made_anew(model, remedies[0], example_input, make_model, data, seed)
    copy, items, done = made or (surgery.copy_of(model), (), ())
    changes, later = operate(
        copy,
        remedies[len(done) :],
        example_input=example_input,
        data=data,
        seed=seed,
        measure=measure,
    )
    if lasting:
        setattr(copy, TREATED_BY, (*before, *lasting))
    whole = Changes((*items, *changes.items), changes.keys, changes.notes)
    return copy, whole, (*done, *later)


def _made_anew(
    model: nn.Module,
    remedy: Remedy,
    example_input: object,
    make_model: Callable[..., nn.Module],
    data: object,
    seed: int,
) -> tuple[nn.Module, tuple[Change, ...], tuple[Operation, ...]] | None:
    """Return the network that a remedy has the factory make, or None if it edits the old one.

    No copy is made before: the old network, and one new one, are all that is in memory.
    """
    if not remedy.makes_anew or not all(p.requires_grad for p in model.parameters()):
        return None
    if any(hasattr(module, surgery.COMPILED) for module in model.modules()):
        model = surgery.copy_of(model)
    name = type(remedy).__name__
    own = seed_of(remedy, seed)
    factory = surgery.Factory(make_model, model, example_input=example_input, rows=data, seed=own)
    edit = remedy.remake(factory)
    if edit is None:
        return None
    new = factory.made(edit.args)
    before = anatomy.inspect(model, example_input)
    after = checked(new, name, example_input=example_input, before=before)
    counts = (sum(p.numel() for p in net.parameters()) for net in (model, new))
    said = [*words_of(edit, before, after), ("forward", "{:,} parameters -> {:,}".format(*counts))]
    said += [(child, "made anew") for child, _ in new.named_children()]
    said += [(weight, "made anew") for weight, _ in new.named_parameters(recurse=False)]
    items = tuple(Change(name, where, what) for where, what in said)
    return new, items, (Operation(name, (edit,), own),)
