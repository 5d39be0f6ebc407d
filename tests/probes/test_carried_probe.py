"""Whether gradients were cleared, in every order in which loops clear them."""

import pytest
import torch
from torch import nn

from fitwell.probes import Carried
from fitwell.records import Quantity
from fitwell.testing import ProbeContract


class TestCarried(ProbeContract):
    def make(self, model, optimizer):
        return Carried(optimizer)

    def network(self):
        model = super().network()
        for parameter in model.parameters():
            parameter.grad = torch.ones_like(parameter)
        return model


def clear_first(model, optimizer, loss, step):
    optimizer.zero_grad()
    loss().backward()
    step()


def clear_to_zeros(model, optimizer, loss, step):
    optimizer.zero_grad(set_to_none=False)
    loss().backward()
    step()


def clear_after_the_forward_pass(model, optimizer, loss, step):
    value = loss()
    optimizer.zero_grad()
    value.backward()
    step()


def clear_after_the_step(model, optimizer, loss, step):
    loss().backward()
    step()
    optimizer.zero_grad()


def accumulate(model, optimizer, loss, step):
    for _ in range(3):
        loss().backward()
    step()
    optimizer.zero_grad()


def accumulate_and_clip(model, optimizer, loss, step):
    optimizer.zero_grad()
    for _ in range(3):
        loss().backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.01)
    step()


def another_backward_pass_before_clearing(model, optimizer, loss, step):
    """As the generator of a GAN does to its discriminator."""
    loss().backward()
    optimizer.zero_grad()
    loss().backward()
    step()


def another_backward_pass_before_clearing_to_zeros(model, optimizer, loss, step):
    loss().backward()
    optimizer.zero_grad(set_to_none=False)
    loss().backward()
    step()


def no_backward_pass_but_through_another_tensor(model, optimizer, loss, step):
    optimizer.zero_grad()
    torch.autograd.grad(loss(), list(model.parameters()))
    loss().backward()
    step()


def never(model, optimizer, loss, step):
    loss().backward()
    step()


def never_and_clipped(model, optimizer, loss, step):
    loss().backward()
    nn.utils.clip_grad_norm_(model.parameters(), 0.01)
    step()


def never_and_accumulated(model, optimizer, loss, step):
    loss().backward()
    loss().backward()
    step()


CLEARED = (
    *(clear_first, clear_to_zeros, clear_after_the_forward_pass, clear_after_the_step),
    *(accumulate, accumulate_and_clip, another_backward_pass_before_clearing),
    another_backward_pass_before_clearing_to_zeros,
    no_backward_pass_but_through_another_tensor,
)
CARRIED = (never, never_and_clipped, never_and_accumulated)


def shares(loop, *, steps=5, rate=0.01) -> list[float]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    probe, found = Carried(optimizer), []

    def loss():
        return nn.functional.mse_loss(model(torch.randn(16, 4)), torch.randn(16, 2))

    def step():
        probe.before_update()
        optimizer.step()
        probe.after_update()
        found.extend(float(r.value) for r in probe.readings())
        probe.__exit__(None, None, None)
        probe.__enter__()

    with probe:
        for _ in range(steps):
            loop(model, optimizer, loss, step)
    assert not any(p._backward_hooks for p in model.parameters())
    return found


@pytest.mark.parametrize("loop", CLEARED, ids=lambda loop: loop.__name__)
def test_a_loop_that_clears_its_gradients_carries_nothing(loop):
    found = shares(loop)
    assert found == [0.0] * len(found)


@pytest.mark.parametrize("loop", CARRIED, ids=lambda loop: loop.__name__)
def test_a_loop_that_never_clears_carries_something_in_every_step(loop):
    found = shares(loop)
    assert len(found) == 4
    assert min(found) > 0


def test_what_is_never_cleared_is_half_of_the_gradient_and_more():
    assert max(shares(never)) > 0.5
    assert min(shares(never)) > 0.3


def test_the_share_is_that_of_the_norms():
    layer = nn.Linear(1, 1, bias=False)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.0)
    layer.weight.grad = torch.tensor([[3.0]])
    with Carried(optimizer) as probe:
        layer(torch.tensor([[2.0]])).sum().backward()
        probe.before_update()
        ((quantity, value),) = [(r.quantity, float(r.value)) for r in probe.readings()]
    assert (quantity, value) == (Quantity.CARRIED_GRADIENT, pytest.approx(3.0 / 5.0))


def test_gradients_that_are_no_numbers_say_nothing():
    layer = nn.Linear(1, 1, bias=False)
    layer.weight.grad = torch.tensor([[float("nan")]])
    with Carried(torch.optim.SGD(layer.parameters())) as probe:
        layer(torch.tensor([[2.0]])).sum().backward()
        probe.before_update()
        assert [float(r.value) for r in probe.readings()] == [0.0]


def test_sparse_gradients_are_not_followed():
    model = nn.Sequential(nn.Embedding(9, 3, sparse=True), nn.Linear(3, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(torch.tensor([1, 4])).sum().backward()
    with Carried(optimizer) as probe:
        model(torch.tensor([1, 4])).sum().backward()
        probe.before_update()
        assert [float(r.value) for r in probe.readings()] == [pytest.approx(0.5)]
