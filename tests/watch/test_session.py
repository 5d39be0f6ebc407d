import copy
import io
import math
import pickle
import time

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fitwell.errors import BadInput, ThresholdError
from fitwell.probes import activations
from fitwell.records import Quantity, Trace
from fitwell.watch import watch


class Net(nn.Module):
    """Convolution, batch norm, functional in-place ReLU, dropout, a shared and a frozen layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)
        self.shared, self.drop = nn.Linear(64, 64), nn.Dropout(0.3)
        self.frozen, self.out = nn.Linear(64, 16).requires_grad_(False), nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.conv(x)), inplace=True).flatten(1)
        x = torch.tanh(self.shared(torch.relu(self.shared(x))))
        return self.out(self.drop(self.frozen(x)))


def data(rows=24):
    generator = torch.Generator().manual_seed(5)
    return torch.randn(rows, 1, 6, 6, generator=generator), torch.arange(rows) % 3


def train(*, watched, steps=8, make=None, overhead=1.0, accumulate=1):
    """Train, and return everything that a run leaves behind."""
    torch.manual_seed(0)
    model = Net()
    weights = [p for n, p in model.named_parameters() if "out" not in n]
    groups = [{"params": weights, "lr": 1e-2}, {"params": model.out.parameters(), "lr": 1e-3}]
    optimizer = (make or torch.optim.Adam)(groups)
    loss_fn, (x, y) = nn.CrossEntropyLoss(), data()
    watches = [watch(model, optimizer, loss_fn, overhead=overhead) for _ in range(watched)]
    for one in watches:
        one.__enter__()
    outputs = []
    for _ in range(steps):
        model.train()
        optimizer.zero_grad()
        for _ in range(accumulate):
            out = model(x)
            loss = loss_fn(out, y)
            loss.backward()
        optimizer.step()
        model.eval()
        with torch.no_grad():
            outputs += [out.detach().clone(), loss_fn(model(x), y)]
    for one in watches:
        one.__exit__(None, None, None)
    state = [*model.state_dict().values(), *outputs, torch.rand(3)]
    state += [p.grad for p in model.parameters() if p.grad is not None]
    for per_parameter in optimizer.state.values():
        state += [v for v in per_parameter.values() if isinstance(v, Tensor)]
    return model, optimizer, loss_fn, state, watches


def hooks_on(model, optimizer, loss_fn) -> int:
    modules = [*model.modules(), loss_fn]
    own = sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in modules)
    own += sum(len(m._backward_hooks) + len(m._backward_pre_hooks) for m in modules)
    return (
        own + len(optimizer._optimizer_step_pre_hooks) + len(optimizer._optimizer_step_post_hooks)
    )


@pytest.mark.parametrize("overhead", [1.0, 1e-9])
@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("watched", [1, 2])
def test_a_watched_run_is_the_same_bit_for_bit(watched, accumulate, overhead):
    *_, plain, _ = train(watched=0, accumulate=accumulate, steps=25)
    model, optimizer, loss_fn, state, _ = train(
        watched=watched, accumulate=accumulate, overhead=overhead, steps=25
    )
    assert len(plain) == len(state)
    assert all(torch.equal(a, b) for a, b in zip(plain, state, strict=True))
    assert hooks_on(model, optimizer, loss_fn) == 0


def test_two_watches_at_once_see_the_same():
    *_, (first, second) = train(watched=2)
    assert first.trace.rows == second.trace.rows
    assert len(first.trace) > 100


def test_every_layer_is_known_with_its_role_and_activation():
    *_, (one,) = train(watched=1)
    facts = one.trace.facts
    assert [(f.name, f.activation, f.role) for f in facts.layers] == [
        ("conv", "relu", "hidden"),
        ("shared", "relu", "hidden"),
        ("frozen", "", "hidden"),
        ("out", "", "output"),
    ]
    assert facts.loss == "cross_entropy"
    assert facts.classes == 3
    assert facts.chance_loss == pytest.approx(math.log(3))
    assert facts.batch_size == 24
    assert facts.noisy_training_loss


def test_step_zero_is_recorded_in_full():
    *_, (one,) = train(watched=1, steps=1)
    found = {(r.quantity, r.module) for r in one.trace if r.step == 0}
    for name in ("conv", "out"):
        for quantity in ("GRADIENT_NORM", "WEIGHT_NORM", "UPDATE_NORM", "OUTPUT_RMS", "SIGNAL_RMS"):
            assert (Quantity[quantity], name) in found
    assert (Quantity.DEAD_SHARE, "conv") in found
    assert (Quantity.GRADIENT_NORM, "frozen") not in found
    assert (Quantity.LOSS, "") in found


def test_losses_of_training_and_evaluation_are_told_apart():
    *_, (one,) = train(watched=1, steps=3)
    trace = one.trace
    assert [s for s, _ in trace.series(Quantity.LOSS)] == [0, 1, 2]
    assert [s for s, _ in trace.series(Quantity.LOSS, phase="validation")] == [0, 1, 2]


def test_a_sampled_step_reads_once_even_with_accumulated_gradients():
    *_, (one,) = train(watched=1, steps=2, accumulate=3)
    trace = one.trace
    assert [s for s, _ in trace.series(Quantity.GRADIENT_NORM)] == [0, 1]
    assert [s for s, _ in trace.series(Quantity.OUTPUT_RMS, "conv")] == [0, 1]
    assert len(trace.series(Quantity.LOSS)) == 6


def small_run():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(inplace=True), nn.Linear(8, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return model, optimizer, nn.MSELoss(), torch.randn(16, 3), torch.randn(16, 2)


def step(model, optimizer, loss_fn, x, y):
    optimizer.zero_grad()
    loss = loss_fn(model(x), y)
    loss.backward()
    optimizer.step()
    return loss.item()


def test_no_layer_carries_a_hook_outside_of_the_forward_pass_of_a_sampled_step():
    run = small_run()
    seen = []

    def count(module, args):
        seen.append(len(module._forward_hooks))

    run[0][0].register_forward_pre_hook(count)
    with watch(*run[:3], overhead=1e-9, every=30):
        for _ in range(23):
            step(*run)
            assert not any(m._forward_hooks for m in run[0].children())
    # The recorder of the layers listens in the first pass as well.
    assert seen == [2] + [1] * 20 + [0, 0]


def test_every_loss_is_kept_whatever_the_budget_says_of_the_first_steps():
    run = small_run()
    with watch(*run[:3], overhead=1e-9) as one:
        for _ in range(40):
            step(*run)
    assert len(one.trace.series(Quantity.LOSS)) == 40


def test_with_all_overhead_allowed_every_step_is_sampled():
    run = small_run()
    with watch(*run[:3], overhead=1.0) as one:
        for _ in range(40):
            step(*run)
    assert len(one.trace.series(Quantity.GRADIENT_NORM)) == 40
    assert 0 < one.cost < 1


def test_every_so_many_steps_are_sampled_after_the_dense_start_whatever_the_clock_says():
    run = small_run()
    with watch(*run[:3], overhead=1e-9, every=10) as one:
        for _ in range(50):
            step(*run)
    sampled = [step for step, _ in one.trace.series(Quantity.GRADIENT_NORM)]
    assert sampled == [*range(21), 30, 40]


def test_sampling_every_no_steps_is_refused():
    with pytest.raises(ThresholdError, match="every must lie in"):
        watch(*small_run()[:3], every=0)


def test_a_forward_pass_that_raises_leaves_no_hook_on_the_layers():
    run = small_run()
    with watch(*run[:3]) as one:
        with pytest.raises(RuntimeError):
            run[0](torch.randn(16, 99))
        assert not any(m._forward_hooks for m in run[0].children())
        step(*run)
    assert hooks_on(*run[:3]) == 0
    assert one.trace.series(Quantity.OUTPUT_RMS, "0")


def test_everything_is_gone_after_an_exception_in_the_loop():
    run = small_run()

    def loop():
        with watch(*run[:3]):
            step(*run)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        loop()
    assert hooks_on(*run[:3]) == 0


def test_a_watched_model_can_be_copied_saved_and_pickled():
    run = small_run()
    with watch(*run[:3]) as one:
        step(*run)
        copied = copy.deepcopy(run[0])
        buffer = io.BytesIO()
        torch.save(run[0], buffer)
        size = buffer.tell()
        pickled = pickle.loads(pickle.dumps(run[0]))
        copy.deepcopy(run[1])
        before = len(one.trace)
        copied(run[3]).sum().backward()
        pickled(run[3]).sum().backward()
        assert len(one.trace) == before
    plain = io.BytesIO()
    torch.save(small_run()[0], plain)
    assert size < plain.tell() + 2000


def test_a_step_that_a_fused_scaler_skipped_is_no_explosion():
    model, _, loss_fn, x, y = small_run()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, fused=True)
    with watch(model, optimizer, loss_fn, overhead=1.0) as one:
        step(model, optimizer, loss_fn, x, y)
        for p in model.parameters():
            p.grad.fill_(math.inf)
        optimizer.grad_scale, optimizer.found_inf = torch.tensor(64.0), torch.tensor(1.0)
        optimizer.step()
        del optimizer.grad_scale, optimizer.found_inf
        step(model, optimizer, loss_fn, x, y)
    assert [s for s, _ in one.trace.series(Quantity.GRADIENT_NORM)] == [0, 2]
    assert not one.trace.series(Quantity.NON_FINITE)


def test_with_a_closure_gradients_are_read_after_the_step():
    model, _, loss_fn, x, y = small_run()
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=3)

    def closure():
        optimizer.zero_grad()
        loss = loss_fn(model(x), y)
        loss.backward()
        return loss

    with watch(model, optimizer, loss_fn) as one:
        optimizer.step(closure)
        expected = model[0].weight.grad.norm().item()
    ((_, value),) = one.trace.series(Quantity.GRADIENT_NORM, "0")
    assert value == pytest.approx(expected)


def test_a_nan_is_marked_where_it_shows():
    model, optimizer, loss_fn, x, y = small_run()
    with watch(model, optimizer, loss_fn) as one:
        step(model, optimizer, loss_fn, x, y)
        step(model, optimizer, loss_fn, x * math.nan, y)
    marks = [(r.step, r.module) for r in one.trace if r.quantity == Quantity.NON_FINITE]
    assert marks[0][0] == 1
    assert (1, "0") in marks
    (finding,) = [f for f in one.diagnosis() if f.condition == "non_finite"]
    assert finding.since == 1


def test_what_is_logged_takes_the_place_of_what_was_read():
    run = small_run()
    with watch(*run[:3]) as one:
        for _ in range(3):
            step(*run)
        one.log(train_loss=7.0, val_loss=torch.tensor(8.0), val_accuracy=0.5, val_f1=0.1)
    trace = one.trace
    assert trace.series(Quantity.LOSS) == [(2, 7.0)]
    assert trace.series(Quantity.LOSS, phase="validation") == [(2, 8.0)]
    assert trace.series(Quantity.METRIC, phase="validation") == [(2, 0.5)]
    assert trace.facts.metric == "accuracy"


def test_what_the_hooks_of_the_layers_take_counts_as_cost(monkeypatch):
    measure = activations.measured

    def slowly(*args):
        time.sleep(0.02)
        return measure(*args)

    monkeypatch.setattr(activations, "measured", slowly)
    run = small_run()
    with watch(*run[:3], overhead=1.0) as one:
        for _ in range(4):
            step(*run)
    assert one.cost > 0.5


def test_a_functional_loss_is_not_read_but_can_be_logged():
    model, optimizer, _, x, y = small_run()
    with watch(model, optimizer, F.mse_loss) as one:
        loss = step(model, optimizer, F.mse_loss, x, y)
        assert not one.trace.series(Quantity.LOSS)
        one.log(train_loss=loss)
    assert one.trace.series(Quantity.LOSS) == [(0, pytest.approx(loss))]
    assert one.trace.facts.loss == "mse"


def test_a_network_whose_forward_is_never_called_is_still_watched_by_its_weights():
    model, optimizer, loss_fn, x, y = small_run()
    with watch(model, optimizer, loss_fn) as one:
        loss_fn(model[2](model[0](x)), y).backward()
        optimizer.step()
    assert [f.name for f in one.trace.facts.layers] == ["0", "2"]
    assert one.trace.series(Quantity.GRADIENT_NORM, "0")


def test_facts_can_be_described_and_unknown_ones_are_named():
    run = small_run()
    with watch(*run[:3]) as one:
        step(*run)
        one.describe(rows=500, chance_loss=1.5)
        with pytest.raises(BadInput, match="chance_los"):
            one.describe(chance_los=1.5)
        with pytest.raises(BadInput, match="val_loss"):
            one.log(loss=1.0)
    assert one.trace.facts.rows == 500
    assert one.trace.facts.chance_loss == 1.5


def test_a_trace_survives_a_file(tmp_path):
    *_, (one,) = train(watched=1, steps=2)
    one.trace.save(tmp_path / "trace.json")
    read = Trace.load(tmp_path / "trace.json")
    assert read.rows == one.trace.rows
    assert read.facts == one.trace.facts


def test_wrong_arguments_are_refused():
    model, optimizer, *_ = small_run()
    with pytest.raises(BadInput, match=r"torch\.optim\.Optimizer"):
        watch(model, "adam")
    with pytest.raises(BadInput, match=r"torch\.nn\.Module"):
        watch(print, optimizer)
    with pytest.raises(BadInput, match="loss function, got 'mse'"):
        watch(model, optimizer, "mse")
    with pytest.raises(ThresholdError, match="overhead"):
        watch(model, optimizer, overhead=0.0)


@pytest.mark.parametrize("given", ["low", None, torch.ones(3)])
def test_what_is_no_number_cannot_be_logged(given):
    model, optimizer, *_ = small_run()
    with pytest.raises(BadInput, match="Expected one number for val_loss"):
        watch(model, optimizer).log(val_loss=given)


def test_a_run_of_which_no_step_was_seen_is_not_called_healthy():
    model, optimizer, *_ = small_run()
    diagnosis = watch(model, optimizer).diagnosis()
    assert diagnosis.unjudged[0].startswith("no step was seen")
    assert "healthy" not in str(diagnosis)
    assert "healthy" not in diagnosis._repr_html_()
