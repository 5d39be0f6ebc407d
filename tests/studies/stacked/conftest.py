"""Tasks in double precision, where two ways to compute the same agree to many digits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor, nn

from fitwell.records import RemedySpec
from fitwell.studies.job import Job
from fitwell.studies.stacked import fit_stacked, stackable
from fitwell.studies.training import Fitted, fit
from fitwell.tasks import Data, Split, Task
from fitwell.tasks.models import mlp

TOLERANCE = 1e-7


def rows(count: int, generator: torch.Generator, *, shape: tuple[int, ...] = (12,)) -> Split:
    x = 3 * torch.randn(count, *shape, generator=generator, dtype=torch.float64) + 1
    noise = torch.randn(count, 3, generator=generator, dtype=torch.float64)
    return Split(x, (x.flatten(1)[:, :3] + noise).argmax(1))


def exact_task(make_model: Callable[[], nn.Module] | None = None, **options: object) -> Task:
    generator = torch.Generator().manual_seed(0)
    shape = options.pop("shape", (12,))
    parts = [rows(count, generator, shape=shape) for count in (75, 60, 50)]
    network = make_model or (lambda: mlp((12, 16, 16, 3)))
    given: dict[str, object] = {"loss": "cross_entropy", "metric": "accuracy"}
    given |= {"epochs": 3, "batch_size": 16, **options}
    data = Data(*parts, "table", ("a", "b", "c"))
    return Task("exact", lambda: network().double(), data, **given)


def jobs_of(*names: str | RemedySpec, epochs: int | None = None) -> list[Job]:
    """Four runs at three rates, two of them read the test rows."""
    recipe = tuple(RemedySpec(n, {}) if isinstance(n, str) else n for n in names)
    runs = ((0, 1.0), (1, 10.0), (2, 0.3), (3, 1.0))
    return [Job(recipe, s, rate, test=s > 1, epochs=epochs) for s, rate in runs]


def assert_same(stacked: Sequence[Fitted], alone: Sequence[Fitted], tolerance: float) -> None:
    for one, other in zip(stacked, alone, strict=True):
        a, b = one.run, other.run
        assert (a.arm, a.seed, a.rate, a.epochs) == (b.arm, b.seed, b.rate, b.epochs)
        assert (a.best_epoch, a.diverged, a.parameters) == (b.best_epoch, b.diverged, b.parameters)
        assert a.took_effect == b.took_effect
        for name in ("train_loss", "validation_loss", "train_metric", "validation_metric"):
            expected = pytest.approx(getattr(b.curves, name), rel=tolerance, nan_ok=True)
            assert getattr(a.curves, name) == expected, name
        assert (a.test is None) == (b.test is None)
        for mine, theirs in ((a.validation, b.validation), (a.test, b.test)):
            if mine is not None and theirs is not None:
                assert mine.metric == pytest.approx(theirs.metric, rel=tolerance)
                assert mine.loss == pytest.approx(theirs.loss, rel=tolerance)
        assert_same_state(one.model, other.model, tolerance)


def assert_same_state(one: nn.Module, other: nn.Module, tolerance: float) -> None:
    assert not one.training
    theirs = other.state_dict()
    for name, value in one.state_dict().items():
        assert torch.allclose(
            value, theirs[name], rtol=tolerance, atol=tolerance, equal_nan=True
        ), name


def compare(task: Task, jobs: Sequence[Job], tolerance: float = TOLERANCE) -> list[Fitted]:
    assert stackable(task, jobs[0]) is None
    stacked = fit_stacked(task, jobs)
    assert_same(stacked, [fit(task, job) for job in jobs], tolerance)
    return stacked


def identical(one: Fitted, other: Fitted) -> bool:
    """Whether two runs agree in every bit."""
    states = zip(one.model.state_dict().values(), other.model.state_dict().values(), strict=True)
    return one.run.curves == other.run.curves and all(bits(a, b) for a, b in states)


def bits(a: Tensor, b: Tensor) -> bool:
    return torch.equal(a.nan_to_num(), b.nan_to_num()) and torch.equal(a.isnan(), b.isnan())


@pytest.fixture
def make_exact_task() -> Callable[..., Task]:
    return exact_task
