from __future__ import annotations

import torch
from tests.studies.stacked.conftest import assert_same, compare, exact_task, jobs_of
from torch import Tensor, nn

from fitwell.records import RemedySpec
from fitwell.studies.job import Job
from fitwell.studies.stacked import fit_stacked, stackable
from fitwell.studies.stacked.chain import chain_of
from fitwell.studies.training import fit
from fitwell.tasks import Task


class Residual(nn.Module):
    """A network that is no sequence: with a buffer, batch norm, dropout and a frozen part."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(12, 10)
        self.norm = nn.BatchNorm1d(10)
        self.drop = nn.Dropout(0.3)
        self.second = nn.Linear(10, 10)
        self.output = nn.Linear(10, 3)
        self.frozen = nn.Linear(10, 10)
        self.frozen.requires_grad_(False)
        self.register_buffer("shift", torch.randn(10))

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.drop(self.norm(self.first(x)).relu())
        hidden = hidden + self.second(hidden) + self.frozen(hidden) + self.shift
        return self.output(hidden)


class Images(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout2d(0.4)
        )
        self.output = nn.Linear(4 * 2 * 3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.layers(x).flatten(1))


def test_a_network_with_shortcuts_trains_as_alone():
    compare(exact_task(Residual), jobs_of())


def test_gradients_that_are_nothing_but_rounding_do_not_refuse_a_network():
    """A bias before a batch norm has none."""
    task = exact_task(Residual)
    parts = [type(p)(p.x.float(), p.y) for p in (task.data.train, task.data.validation)]
    data = type(task.data)(*parts, parts[1], "table", ("a", "b", "c"))
    assert (
        stackable(Task("single", Residual, data, "cross_entropy", "accuracy"), Job((), 0)) is None
    )


def test_remedies_act_in_it_as_alone():
    compare(exact_task(Residual), jobs_of("L2", "ClipNorm", "WeightAverage", "Mixup"))


def test_convolutions_train_one_by_one_on_a_cpu_but_can_train_together():
    task = exact_task(Images, shape=(1, 4, 6))
    jobs = jobs_of()
    assert "convolutions" in str(stackable(task, jobs[0]))
    assert_same(fit_stacked(task, jobs), [fit(task, job) for job in jobs], 1e-7)


def test_shared_weights_stay_shared():
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(12, 12), nn.Linear(12, 12)
            self.last.weight = self.first.weight

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.first(x).tanh())

    compare(exact_task(Tied), jobs_of())


def refusal(network, **options) -> str:
    return str(stackable(exact_task(network, **options), Job((), 0)))


class Forward(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.layer, self.function = nn.Linear(12, 3), function
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, self.layer(x))


def forward(function):
    return lambda: Forward(function)


def test_what_cannot_be_mapped_is_refused_with_a_reason():
    assert "item" in refusal(forward(lambda _, x: x * x.sum().item()))
    assert refusal(forward(lambda _, x: x[x[:, 0] > 0])) != "None"
    assert "random" in refusal(forward(lambda m, x: nn.functional.dropout(x, 0.5, m.training)))
    assert refusal(lambda: nn.Sequential(nn.Unflatten(1, (3, 4)), Last())) != "None"


class Last(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(4, 3, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.rnn(x)[0][:, -1]


def test_a_network_that_keeps_something_elsewhere_is_refused():
    def counts(module, x):
        module.layer.bias = nn.Parameter(module.layer.bias.detach() + 1)
        return x

    assert refusal(forward(counts)) != "None"


def test_a_parameter_without_a_part_in_the_output_is_refused():
    class Idle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.idle = nn.Linear(12, 3), nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.used(x)

    assert "no part" in refusal(Idle)


def test_nothing_is_drawn_from_the_global_state_when_it_is_tried():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    stackable(exact_task(Residual), Job((RemedySpec("Dropout", {}),), 0))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_run_does_not_depend_on_its_company():
    task = exact_task(Residual)
    jobs = [Job((), seed) for seed in range(5)]
    many, two = fit_stacked(task, jobs), fit_stacked(task, jobs[3:])
    assert many[3].run.curves.validation_loss == two[0].run.curves.validation_loss


class Written(nn.Module):
    """A sequence that is told by its forward, as people write it."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.output = nn.Linear(12, 9), nn.Linear(9, 7), nn.Linear(7, 3)
        self.act, self.dropout = nn.ELU(), nn.Dropout(0.3)
        self.norm = nn.BatchNorm1d(7)

    def forward(self, x: Tensor) -> Tensor:
        x = x.view(x.size(0), -1)
        x = self.dropout(torch.relu(self.first(x)))
        x = self.dropout(self.act(self.norm(self.second(x))))
        return self.output(self.act(x))


def test_a_sequence_that_is_written_out_is_worked_through_as_a_chain():
    task = exact_task(Written, shape=(3, 4))
    assert chain_of(Written().double(), task.data.train.x[:2]) is not None
    compare(task, jobs_of())
    compare(task, jobs_of("L2", "ClipNorm"))


def test_remedies_find_their_place_in_a_written_sequence():
    compare(exact_task(Written), jobs_of(RemedySpec("Activation", {"kind": "gelu"}), "Mixup"))


def test_an_activation_may_stand_in_several_places_of_a_sequence():
    def network() -> nn.Module:
        act, drop = nn.Tanh(), nn.Dropout(0.2)
        layers = [nn.Linear(12, 8), act, drop, nn.Linear(8, 8), act, drop, nn.Linear(8, 3)]
        return nn.Sequential(*layers)

    assert chain_of(network().double(), exact_task().data.train.x[:2]) is not None
    compare(exact_task(network), jobs_of())


def test_what_is_no_sequence_is_not_taken_for_one():
    x = torch.randn(2, 12)
    for network in (
        Residual(),
        Forward(lambda _, y: y + 1),
        Forward(lambda m, y: m.layer(y[:, :3])),
    ):
        assert chain_of(network, x) is None
    shared = nn.Linear(12, 12)
    assert chain_of(nn.Sequential(shared, nn.ReLU(), shared), x) is None
    scaled = Forward(lambda _, y: nn.functional.leaky_relu(y, 0.3))
    assert chain_of(scaled, x) is None
    by_mode = Forward(lambda m, y: y.relu() if m.training else y)
    assert chain_of(by_mode, x) is None
