"""Every reading, on a live run: it comes, and the run does not notice."""

from contextlib import nullcontext

import pytest
import torch
from torch import nn

from fitwell.records import Quantity
from fitwell.watch import watch

EVERYWHERE = {
    *("input_mean", "input_max", "input_spread", "input_norm", "input_shift"),
    *("target_mean", "target_spread", "target_min", "target_max", "target_shift"),
    *("output_min", "output_max", "output_spread", "row_sum_error", "output_shift"),
    *("training_mode", "carried_gradient", "update_cosine", "neighbor_disagreement"),
}


class Rows(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Linear(8, 16),
            nn.BatchNorm1d(16),
            nn.ReLU(inplace=True),
            nn.Dropout(0.3),
            nn.Linear(16, 3),
        )


class Steps(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(2, 6, 2, batch_first=True, dropout=0.5)
        self.cell, self.out = nn.GRUCell(6, 6), nn.Linear(6, 3)

    def forward(self, x):
        states, _ = self.rnn(x.reshape(len(x), 4, 2))
        h = torch.zeros(len(x), 6)
        for t in range(4):
            h = self.cell(states[:, t], h)
        return self.out(h)


class ByHand(nn.Module):
    """A recurrence that is written out, its weights in one layer."""

    def __init__(self):
        super().__init__()
        self.step, self.out = nn.Linear(8, 6), nn.Linear(6, 3)

    def forward(self, x):
        h = torch.zeros(len(x), 6)
        for t in range(4):
            h = torch.tanh(self.step(torch.cat([x.reshape(len(x), 4, 2)[:, t], h], 1)))
        return self.out(h)


class Idle(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(8, 3))
        self.unused = nn.Linear(2, 2)

    def forward(self, x):
        return self[0](x)


def run(make, *, watched):
    """Train for 45 steps; return the watch, and everything that a run consists of."""
    torch.manual_seed(0)
    model, loss_fn = make(), nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    x, y = torch.randn(240, 8), torch.randint(0, 3, (240,))
    losses = []

    def evaluate():
        model.eval()
        with torch.no_grad():
            losses.append(float(loss_fn(model(x[:120]), y[:120])))
        model.train()

    with watch(model, optimizer, loss_fn, overhead=1.0) if watched else nullcontext() as one:
        evaluate()
        for step in range(45):
            at = step * 16 % 240
            optimizer.zero_grad()
            loss = loss_fn(model(x[at : at + 16]), y[at : at + 16])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            if step % 15 == 14:
                evaluate()
    state = [*model.state_dict().values(), torch.tensor(losses), torch.rand(3)]
    state += [p.grad for p in model.parameters() if p.grad is not None]
    for entry in optimizer.state_dict()["state"].values():
        state += [torch.as_tensor(value) for value in entry.values()]
    return one, model, state


@pytest.mark.parametrize("make", [Rows, Steps, ByHand, Idle])
def test_a_run_with_every_reading_is_the_same_bit_for_bit(make):
    _, _, bare = run(make, watched=False)
    _, model, watched = run(make, watched=True)
    assert len(bare) == len(watched)
    assert all(torch.equal(a, b) for a, b in zip(bare, watched, strict=True))
    assert not any(p._backward_hooks for p in model.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


@pytest.mark.parametrize(
    ("make", "own"),
    [
        (Rows, {"statistics_drift"}),
        (Steps, {"time_gradient"}),
        (ByHand, {"time_gradient"}),
        (Idle, {"gradientless"}),
    ],
)
def test_every_reading_comes(make, own):
    one, _, _ = run(make, watched=True)
    trace = one.trace
    found = {str(row.quantity) for row in trace}
    assert found >= EVERYWHERE | own
    assert all(abs(row.value) < float("inf") for row in trace)
    assert Quantity.NON_FINITE not in found


def test_what_a_healthy_run_shows():
    one, _, _ = run(Rows, watched=True)
    trace = one.trace
    assert {v for _, v in trace.series(Quantity.CARRIED_GRADIENT)} == {0.0}
    assert {v for _, v in trace.series(Quantity.TRAINING_MODE)} == {1.0}
    assert {v for _, v in trace.series(Quantity.TRAINING_MODE, phase="validation")} == {0.0}
    assert trace.series(Quantity.INPUT_SHIFT, phase="validation")[-1][1] < 0.3
    facts = trace.facts
    assert (facts.output_shape, facts.target_shape, facts.target_kind) == (
        (16, 3),
        (16,),
        "integers",
    )
    assert (facts.loss_expects, facts.input_kind, facts.dropout) == ("logits", "rows", 0.3)
    assert facts.mode_matters
    assert [(n.name, n.kind, n.rows) for n in facts.norms] == [("1", "batch", 16)]
