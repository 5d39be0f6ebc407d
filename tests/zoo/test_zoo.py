"""Every remedy on every network of the zoo: it works, or says why it cannot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from secrets import randbelow
from typing import TYPE_CHECKING, ClassVar

import pytest
import torch
from torch import Tensor

from fitwell.errors import NotApplicable
from fitwell.interfaces import Remedy, Stage
from fitwell.records import Anatomy, Edit, Initialize
from fitwell.remedies import REMEDIES

from .checks import Specimen, outcome
from .networks import NETWORKS
from .page import PAGE, head, page, read, row, shown, written_with
from .variants import remedies

if TYPE_CHECKING:
    from fitwell.interfaces import Tensors

QUICK = (
    *("MLP, functional activations", "MLP, compiled (eager)", "Shared layers", "Frozen backbone"),
    *("Keyword inputs, dictionary output", "CNN, batch norm", "LSTM, bidirectional, packed"),
    *("ResNet", "ViT, eager attention", "BERT", "GPT-2", "T5", "Wav2Vec2"),
)


def check(name: str, tried: Sequence[Remedy]) -> None:
    """Try remedies on a network, report all failures together, and compare with the page."""
    results = row(name, tried)
    failed = [f"{r}: {o.said}\n{o.trace}" for r, o in results.items() if o.kind == "failed"]
    assert not failed, "\n\n".join(failed)
    text = PAGE.read_text("utf-8")
    if written_with(text) and not NETWORKS[name].optional:
        said = read(text)[name]
        assert {r: shown(o) for r, o in results.items()} == {r: said[r] for r in results}, (
            "docs/zoo.md is not up to date: python -m tests.zoo.page"
        )


@pytest.mark.parametrize("name", QUICK)
def test_every_remedy_serves_a_network_or_says_why(name):
    check(name, remedies())


@pytest.mark.slow
@pytest.mark.parametrize(("place", "name"), [*enumerate(n for n in NETWORKS if n not in QUICK)])
def test_every_second_remedy_serves_another_network_or_says_why(place, name):
    """The page tries all; here the next network gets those that this one does not."""
    check(name, remedies()[place % 2 :: 2])


def test_the_page_has_every_network_and_every_remedy_and_no_failure():
    text = PAGE.read_text("utf-8")
    table = read(text)
    assert list(table) == [name for name in NETWORKS if not NETWORKS[name].optional]
    assert {tuple(cells) for cells in table.values()} == {tuple(map(head, remedies()))}
    assert not [name for name, cells in table.items() if "**failed**" in cells.values()]
    assert {type(remedy).__name__ for remedy in remedies()} == set(REMEDIES)
    if written_with(text):
        assert page(table) == text


@dataclass(frozen=True)
class Bad(Remedy):
    """A remedy that breaks one promise."""

    stage: ClassVar[Stage] = Stage.BATCH

    how: str = ""

    def edit(self, anatomy: Anatomy) -> Sequence[Edit]:
        match self.how:
            case "no reason":
                raise NotApplicable
            case "error":
                raise ZeroDivisionError
            case "random":
                torch.rand(1)
            case "numbers":
                return [Initialize("0.bias", "constant_", {"val": float("inf")})]
            case "draws":
                return [Initialize("0.bias", "constant_", {"val": randbelow(1_000_000)})]
        return ()

    def on_loss(self, loss: Tensor, outputs: Tensor, targets: Tensor) -> Tensor:
        return loss / 0 if self.how == "loss" else loss

    def on_gradients(self, gradients: Tensors, parameters: Tensors, memory: Tensors) -> Tensors:
        if self.how == "stuck":
            return {name: torch.zeros_like(g) for name, g in gradients.items()}
        return gradients

    def after_update(self, parameters: Tensors, rate: float | Tensor) -> Tensors:
        if self.how == "lost":
            return {name: p / 0 for name, p in parameters.items()}
        return parameters


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("no reason", "refused without a reason"),
        ("error", "ZeroDivisionError"),
        ("random", "random state of torch changed"),
        ("numbers", "the loss is not finite"),
        ("draws", "the same seed gave other weights"),
        ("loss", "the loss is not finite"),
        ("stuck", "three steps changed no parameter"),
        ("lost", "a parameter is not finite"),
    ],
)
def test_a_remedy_that_breaks_a_promise_is_found_out(how, said):
    result = outcome(Specimen(NETWORKS["MLP, ReLU modules"]), Bad(how))
    assert result.kind == "failed"
    assert said in result.said


def test_a_remedy_that_does_nothing_passes():
    assert outcome(Specimen(NETWORKS["MLP, ReLU modules"]), Bad()).kind == "applied"
