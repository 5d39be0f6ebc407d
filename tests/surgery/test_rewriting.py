"""A function inside a forward is replaced only where the trace does what the forward does."""

import pytest
import torch
from torch import nn

from fitwell import surgery
from fitwell.errors import NotApplicable
from fitwell.records import ModuleSpec, ReplaceCall

X = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(4, 4)

    def forward(self, x, scale=1.0):
        return torch.sigmoid(self.a(x)) * scale


class Calling(nn.Module):
    """Calls its block by position, by keyword, or with a flag that a trace does not know."""

    def __init__(self, how) -> None:
        super().__init__()
        self.block, self.how = Block(), how

    def forward(self, x):
        return self.how(self.block, x)


def edit(**options):
    return ReplaceCall("block", "sigmoid", 0, ModuleSpec("ReLU"), "act", **options)


def test_a_block_is_rewritten_wherever_it_stands_and_stays_the_same_object():
    block = Block()
    model = nn.ModuleDict({"block": block, "twin": block})
    model.forward = None
    whole = Calling(lambda block, x: block(x))
    moved = surgery.perform(whole, [edit()], rows=X)
    assert moved == {}
    assert torch.equal(whole(X), torch.relu(whole.block.a(X)))


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        (lambda block, x: block(x, 3.0), "it is given scale=3.0, which its trace would fix"),
        (lambda block, x: block(x, scale=x), "it is given scale=Tensor"),
    ],
)
def test_a_call_that_the_trace_does_not_fit_is_refused(how, reason):
    with pytest.raises(NotApplicable, match="cannot be traced") as refusal:
        surgery.perform(Calling(how), [edit(source="model.py:7")], rows=X)
    assert reason in str(refusal.value)
    assert "called at model.py:7" in str(refusal.value)


def test_keywords_are_passed_on():
    whole = Calling(lambda block, x: block(x=x, scale=1.0))
    surgery.perform(whole, [edit()], rows=X)
    assert torch.equal(whole(X), torch.relu(whole.block.a(X)))


def test_a_module_with_hooks_is_refused():
    model = Calling(lambda block, x: block(x))
    model.block.register_forward_hook(lambda *_: None)
    with pytest.raises(NotApplicable, match="cannot be traced") as refusal:
        surgery.perform(model, [edit()], rows=X)
    assert "carries hooks" in str(refusal.value)


def test_the_check_leaves_weights_modes_and_random_numbers_alone():
    model = Calling(lambda block, x: block(x)).train()
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    surgery.perform(model, [edit()], rows=X)
    assert torch.equal(torch.rand(2), expected)
    assert all(module.training for module in model.modules())
