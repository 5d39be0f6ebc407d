"""Whatever a loop does, a watch changes nothing of it and leaves nothing behind."""

import copy
import gc
import io
import pickle
import weakref
from collections.abc import Callable
from contextlib import ExitStack

import pytest
import torch
from torch import Tensor, nn

import fitwell
from fitwell.records import Quantity


class Net(nn.Module):
    """Convolution, batch norm, in-place ReLU, dropout, a layer used twice, a frozen one, a tie."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)
        self.act, self.drop = nn.ReLU(inplace=True), nn.Dropout(0.3)
        self.shared, self.tied = nn.Linear(64, 64), nn.Linear(64, 64)
        self.tied.weight = self.shared.weight
        self.frozen, self.out = nn.Linear(64, 16).requires_grad_(False), nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.norm(self.conv(x))).flatten(1)
        x = self.act(x + self.shared(torch.relu(self.shared(x))))
        return self.out(self.drop(self.frozen(torch.tanh(self.tied(x)))))


class Words(nn.Module):
    """A sparse embedding and an LSTM."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.lstm = nn.Embedding(9, 4, sparse=True), nn.LSTM(4, 8, batch_first=True)
        self.out = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.lstm(self.embed(x))[0][:, -1])


class Loop:
    """A training loop with parts that a case replaces."""

    steps = 12

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model, self.loss_fn = self.network(), nn.CrossEntropyLoss()
        self.optimizers = self.make_optimizers()
        self.x, self.y = self.batch()
        self.outputs: list[Tensor] = []
        self.left: list[Tensor] = []

    def network(self) -> nn.Module:
        return Net()

    def batch(self) -> tuple[Tensor, Tensor]:
        return torch.randn(24, 1, 6, 6), torch.arange(24) % 3

    def make_optimizers(self) -> list[torch.optim.Optimizer]:
        weights = [p for n, p in self.model.named_parameters() if "out" not in n]
        groups = [{"params": weights, "lr": 1e-2}, {"params": self.model.out.parameters()}]
        return [torch.optim.Adam(groups, lr=1e-3)]

    def step(self) -> None:
        self.optimizers[0].zero_grad()
        out = self.model(self.x)
        self.loss_fn(out, self.y).backward()
        self.optimizers[0].step()
        self.outputs.append(out.detach().clone())

    def evaluate(self) -> None:
        self.model.eval()
        with torch.no_grad():
            self.outputs.append(self.loss_fn(self.model(self.x), self.y))
        self.model.train()

    def state(self) -> list[Tensor]:
        """Return all that a run leaves behind."""
        state = [*self.model.state_dict().values(), *self.outputs, torch.rand(3)]
        for p in self.model.parameters():
            if p.grad is not None:
                state.append(p.grad.to_dense() if p.grad.is_sparse else p.grad)
        for optimizer in self.optimizers:
            for kept in optimizer.state.values():
                state += [v for v in kept.values() if isinstance(v, Tensor)]
        return state


class Accumulating(Loop):
    def step(self) -> None:
        self.optimizers[0].zero_grad()
        for part in (slice(0, 8), slice(8, 24)):
            self.loss_fn(self.model(self.x[part]), self.y[part]).backward()
        self.optimizers[0].step()


class Scaled(Loop):
    """A scaler that has to skip a step, on the CPU."""

    def __init__(self) -> None:
        super().__init__()
        self.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**8, growth_interval=3)

    def step(self) -> None:
        self.optimizers[0].zero_grad()
        loss = self.loss_fn(self.model(self.x), self.y)
        if len(self.outputs) == 5:
            loss = loss * float("inf")
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizers[0])
        self.scaler.update()
        self.outputs.append(loss.detach().clone())


class Autocast(Loop):
    def step(self) -> None:
        self.optimizers[0].zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            loss = self.loss_fn(self.model(self.x), self.y)
        loss.backward()
        self.optimizers[0].step()


class Double(Loop):
    def network(self) -> nn.Module:
        return Net().double()

    def batch(self) -> tuple[Tensor, Tensor]:
        return torch.randn(24, 1, 6, 6, dtype=torch.float64), torch.arange(24) % 3


class Bfloat(Loop):
    def network(self) -> nn.Module:
        return Net().bfloat16()

    def batch(self) -> tuple[Tensor, Tensor]:
        return torch.randn(24, 1, 6, 6).bfloat16(), torch.arange(24) % 3


class Closure(Loop):
    def make_optimizers(self) -> list[torch.optim.Optimizer]:
        return [torch.optim.LBFGS(self.model.parameters(), lr=0.1, max_iter=3)]

    def step(self) -> None:
        def closure() -> Tensor:
            self.optimizers[0].zero_grad()
            loss = self.loss_fn(self.model(self.x), self.y)
            loss.backward()
            return loss

        self.optimizers[0].step(closure)


class Sparse(Loop):
    def network(self) -> nn.Module:
        return Words()

    def batch(self) -> tuple[Tensor, Tensor]:
        return torch.randint(9, (24, 5)), torch.arange(24) % 3

    def make_optimizers(self) -> list[torch.optim.Optimizer]:
        dense = [p for n, p in self.model.named_parameters() if "embed" not in n]
        words = torch.optim.SparseAdam(self.model.embed.parameters())
        return [torch.optim.SGD(dense, lr=0.1), words]

    def step(self) -> None:
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        self.loss_fn(self.model(self.x), self.y).backward()
        for optimizer in self.optimizers:
            optimizer.step()


class Adversaries(Loop):
    """Two networks in a container that runs nothing; the judge steps twice as often."""

    def network(self) -> nn.Module:
        maker = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 3))
        judge = nn.Sequential(nn.Linear(3, 8), nn.LeakyReLU(0.2), nn.Linear(8, 2))
        return nn.ModuleDict({"maker": maker, "judge": judge})

    def batch(self) -> tuple[Tensor, Tensor]:
        return torch.randn(24, 3), torch.ones(24, dtype=torch.long)

    def make_optimizers(self) -> list[torch.optim.Optimizer]:
        return [torch.optim.Adam(self.model[name].parameters()) for name in ("maker", "judge")]

    def step(self) -> None:
        maker, judge = self.model["maker"], self.model["judge"]
        for _ in range(2):
            self.optimizers[1].zero_grad()
            made = maker(torch.randn(24, 2)).detach()
            real = self.loss_fn(judge(self.x), self.y)
            (real + self.loss_fn(judge(made), 0 * self.y)).backward()
            self.optimizers[1].step()
        self.optimizers[0].zero_grad()
        self.loss_fn(judge(maker(torch.randn(24, 2))), self.y).backward()
        self.optimizers[0].step()

    def evaluate(self) -> None:
        pass


class Compiled(Loop):
    backend = "eager"

    def network(self) -> nn.Module:
        torch._dynamo.reset()
        return torch.compile(Net(), backend=self.backend)


class CompiledAhead(Compiled):
    backend = "aot_eager"


class CompiledInPlace(Loop):
    def network(self) -> nn.Module:
        torch._dynamo.reset()
        model = Net()
        model.compile(backend="eager")
        return model


class Copied(Loop):
    """Saves, copies and pickles the network and the optimizer in every step."""

    def step(self) -> None:
        super().step()
        torch.save(self.model, io.BytesIO())
        copy.deepcopy(self.model)(self.x).sum().backward()
        pickle.loads(pickle.dumps(self.model))
        copy.deepcopy(self.optimizers[0])


class Failing(Loop):
    """Passes that raise, forward and backward, and are caught by the loop."""

    def step(self) -> None:
        with pytest.raises(RuntimeError):
            self.model(self.x[:, :, :1])
        super().step()
        out = self.model(self.x)
        out.register_hook(_refuse)
        with pytest.raises(ZeroDivisionError):
            self.loss_fn(out, self.y).backward()


def _refuse(gradient: Tensor) -> None:
    raise ZeroDivisionError


class Mixed(Loop):
    def step(self) -> None:
        self.optimizers[0].zero_grad()
        out = self.model(self.x)
        loss = 0.7 * self.loss_fn(out, self.y) + 0.3 * self.loss_fn(out, self.y.flip(0))
        loss.backward()
        self.optimizers[0].step()


CASES = [
    *(Loop, Accumulating, Scaled, Autocast, Double, Bfloat, Closure, Sparse, Adversaries),
    *(Compiled, CompiledAhead, CompiledInPlace, Copied, Failing, Mixed),
]


def run(case: Callable[[], Loop], *watches: dict[str, object]) -> tuple[Loop, list[fitwell.watch]]:
    loop = case()
    with ExitStack() as stack:
        given = loop.optimizers if len(loop.optimizers) > 1 else loop.optimizers[0]
        watched = [
            stack.enter_context(fitwell.watch(loop.model, given, loop.loss_fn, **options))
            for options in watches
        ]
        for step in range(loop.steps):
            loop.step()
            if step % 4 == 3:
                loop.evaluate()
    loop.left = loop.state()
    return loop, watched


def hooks_on(loop: Loop) -> int:
    modules = [*loop.model.modules(), loop.loss_fn]
    own = sum(
        len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in modules
    )
    own += sum(len(p._backward_hooks or ()) for p in loop.model.parameters())
    return own + sum(
        len(o._optimizer_step_pre_hooks) + len(o._optimizer_step_post_hooks)
        for o in loop.optimizers
    )


@pytest.mark.parametrize(
    "watches",
    [[{"overhead": 1.0}], [{}], [{"overhead": 1.0}, {"every": 5}]],
    ids=["every step", "default", "two"],
)
@pytest.mark.parametrize("case", CASES)
def test_a_run_is_the_same_bit_for_bit_and_no_hook_is_left(case, watches):
    plain, _ = run(case)
    loop, watched = run(case, *watches)
    expected, state = plain.left, loop.left
    assert len(expected) == len(state)
    assert all(torch.equal(a, b) for a, b in zip(expected, state, strict=True))
    assert hooks_on(loop) == 0
    for one in watched:
        trace = one.trace
        assert trace.series(Quantity.GRADIENT_NORM)
        assert trace.series(Quantity.LOSS)
        assert trace.facts.layers
        one.diagnosis()


def test_a_skipped_step_is_no_explosion():
    _, (watched,) = run(Scaled, {"overhead": 1.0})
    norms = [value for _, value in watched.trace.series(Quantity.GRADIENT_NORM)]
    assert len(norms) == 11
    assert max(norms) < 1e6


def test_each_of_two_optimizers_is_read_on_its_own_network():
    _, (watched,) = run(Adversaries, {"overhead": 1.0})
    trace = watched.trace
    names = [f.name for f in trace.facts.layers]
    assert sorted(names) == ["judge.0", "judge.2", "maker.0", "maker.2"]
    judged = trace.series(Quantity.GRADIENT_NORM, "judge.0")
    made = trace.series(Quantity.GRADIENT_NORM, "maker.0")
    assert len(judged) == 2 * len(made) == 24
    assert [s for s, _ in made] == [s for s, _ in judged[1::2]]
    wholes = trace.series(Quantity.GRADIENT_NORM)
    assert [s for s, _ in wholes] == [s for s, _ in judged]


def test_the_losses_of_one_backward_pass_are_one():
    loop, (watched,) = run(Mixed, {"overhead": 1.0})
    steps = [step for step, _ in watched.trace.series(Quantity.LOSS)]
    assert steps == list(range(loop.steps))
    assert watched.trace.facts.noisy_training_loss
    _, (watched,) = run(Accumulating, {"overhead": 1.0})
    assert len(watched.trace.series(Quantity.LOSS)) == 2 * loop.steps


@pytest.mark.parametrize("case", [Compiled, CompiledInPlace])
def test_watching_has_nothing_compiled_anew_step_by_step(case):
    torch._dynamo.utils.counters.clear()
    run(case)
    alone = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    torch._dynamo.utils.counters.clear()
    run(case, {"overhead": 1.0})
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] <= alone + 1


def test_a_compiled_network_is_read_by_a_pass_of_its_original_aside():
    _, (watched,) = run(Compiled, {"overhead": 1.0})
    trace = watched.trace
    assert [f.name for f in trace.facts.layers][:2] == ["conv", "shared"]
    assert len(trace.series(Quantity.OUTPUT_RMS, "conv")) == 12
    assert trace.series(Quantity.DEAD_SHARE, "conv")


def test_a_watch_that_is_entered_within_itself_and_again_goes_on():
    loop = Loop()
    watched = fitwell.watch(loop.model, loop.optimizers[0], loop.loss_fn, overhead=1.0)
    with watched, watched:
        loop.step()
    assert hooks_on(loop) == 0
    loop.step()
    with watched:
        loop.step()
    assert hooks_on(loop) == 0
    assert [s for s, _ in watched.trace.series(Quantity.GRADIENT_NORM)] == [0, 1]


def test_a_watched_network_can_be_deleted():
    loop, watched = run(Loop, {"overhead": 1.0})
    gone = weakref.ref(loop.model)
    del loop, watched
    gc.collect()
    assert gone() is None


def test_an_exception_in_the_loop_leaves_nothing():
    loop = Loop()

    def broken():
        with fitwell.watch(loop.model, loop.optimizers[0], loop.loss_fn):
            loop.step()
            loop.model(loop.x)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
    assert hooks_on(loop) == 0
