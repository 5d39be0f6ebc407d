"""What a recipe would do to a network, remedy by remedy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import final

from torch import nn

from fitwell import surgery
from fitwell.errors import NotApplicable
from fitwell.interfaces import Remedy
from fitwell.recipe.changes import operate
from fitwell.records import SourceEdit

MEASURED = (
    "changes weights by what is measured on the network, which source cannot say: "
    "apply the recipe to the network"
)
IN_THE_LOOP = "belongs to the training loop, not to the class: --loop PATH writes it"


@final
@dataclass(frozen=True)
class Plan:
    """Edits of the remedies that serve a network.

    Args:
        edits: Name of the remedy, edit, and what it does in words, in order.
        refused: Remedies that cannot serve it, or that are no matter of a class, each with why.
    """

    edits: Sequence[tuple[str, SourceEdit, str]]
    refused: Sequence[tuple[Remedy, str]]


def planned(model: nn.Module, remedies: Iterable[Remedy], *, example_input: object) -> Plan:
    """Plan one remedy after the other, each for the network as the ones before leave it.

    A remedy that cannot serve the network is left out, and the others are planned without it.

    Args:
        model: The network; it is not changed.
        remedies: What to do, in the order of a recipe.
        example_input: What the network can be called with.
    """
    treated = surgery.copy_of(model)
    edits: list[tuple[str, SourceEdit, str]] = []
    refused: list[tuple[Remedy, str]] = []
    for remedy in remedies:
        attempt = surgery.copy_of(treated)
        try:
            changes, operations = operate(
                attempt, [remedy], example_input=example_input, seed=0, measure=False
            )
        except NotApplicable as error:
            refused.append((remedy, " ".join(str(error).split())))
            continue
        whole = [(o.remedy, edit) for o in operations for edit in o.edits]
        done = [(name, edit) for name, edit in whole if isinstance(edit, SourceEdit)]
        if len(done) < len(whole):
            refused.append((remedy, MEASURED))
            continue
        if remedy.seams() - {"edit"}:
            refused.append((remedy, IN_THE_LOOP))
        treated = attempt
        edits += [(n, e, str(c)) for (n, e), c in zip(done, changes.items, strict=True)]
    return Plan(edits, refused)
