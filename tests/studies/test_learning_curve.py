"""A curve measured on a small task, and one whose runs follow a known law exactly."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from fitwell.errors import BadInput, FitwellError, TaskError, ThresholdError
from fitwell.records import RemedySpec, RunRecord, Score
from fitwell.studies import InProcess, Processes, learning_curve, performing
from fitwell.studies.bench import Bench
from fitwell.studies.forecasting import Scale, back_test
from fitwell.studies.job import Job, Refusal
from fitwell.studies.learning_curve import SHARES, design, measure
from fitwell.studies.store import Memory
from fitwell.studies.subsets import rows_of
from fitwell.studies.training import fit, without_test
from fitwell.tasks import Data, Split, Task

ROWS = 400


def rows(count: int, seed: int) -> Split:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 4, generator=generator)
    y = (x[:, 0] + 0.5 * torch.randn(count, generator=generator) > 0).long()
    return Split(x, y)


def small_network() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))


def small_task(
    count: int = 160, *, epochs: int = 3, metric: object = "accuracy", **options: object
):
    data = Data(rows(count, 0), rows(60, 1), rows(50, 2), "table", ("left", "right"))
    return Task("small", small_network, data, "cross_entropy", metric, epochs=epochs, **options)


def recorded(job: Job, metric: float, seconds: float = 1.0) -> RunRecord:
    return RunRecord(
        job.arm, job.seed, job.rate, 3, 1, False, Score(metric, 0.5), None, seconds, 10
    )


def known_curve(law, *, gain: float = 0.0, task: Task | None = None, wobble: float = 0.001):
    """Measure a curve whose runs were stored before: law gives the score of a number of rows."""
    task = task or small_task(ROWS)
    plan, memory = design(task, seeds=range(3)), Memory()
    for job in plan.jobs:
        away = wobble * (job.seed - 1)
        score = law(rows_of(ROWS, job.share)) + away
        if job.recipe:
            score += gain + 0.1 * away
        memory.put(job, recorded(job, score, 3.0 if job.recipe else 1.5), clock=0.0)
    return measure(Bench(task, InProcess(), store=memory), plan)


def test_a_known_law_is_continued_to_twice_and_four_times_the_rows():
    curve = known_curve(lambda n: 0.95 - 2.0 * n**-0.5)
    assert [point.rows for point in curve.points] == [50, 100, 200, 400]
    assert [forecast.rows for forecast in curve.forecasts] == [800, 1600]
    for forecast in curve.forecasts:
        expected = 0.95 - 2.0 * forecast.rows**-0.5
        assert forecast.score == pytest.approx(expected, abs=0.005)
        assert forecast.low < expected < forecast.high
    assert curve.law.exponent == pytest.approx(0.5, rel=0.2)
    error = curve.law.floor + curve.law.scale * 800**-curve.law.exponent
    assert 1 - error == pytest.approx(curve.forecasts[0].score)


def test_the_back_test_predicts_the_whole_from_half_and_stands_beside_the_simple_guesses():
    curve = known_curve(lambda n: 0.95 - 2.0 * n**-0.5)
    test = curve.back_test
    assert (test.largest, test.forecast.rows) == (200, 400)
    assert test.measured == pytest.approx(curve.now)
    assert abs(test.error) < 0.01
    assert test.inside
    assert test.unchanged == pytest.approx(curve.points[-2].mean)
    assert test.continued > test.measured + 0.01


def test_the_straight_line_is_the_one_over_the_logarithm_of_the_rows():
    curve = known_curve(lambda n: 0.5 + 0.05 * torch.tensor(float(n)).log2().item())
    assert curve.back_test.continued == pytest.approx(curve.now)


def test_augmentation_is_worth_the_rows_that_would_give_as_much():
    gain = 2.0 * (400**-0.5 - 1200**-0.5)
    tried = known_curve(lambda n: 0.95 - 2.0 * n**-0.5, gain=gain).augmented
    assert tried.remedy == RemedySpec("Augment", {"kind": "table"})
    assert tried.gain.mean == pytest.approx(gain)
    assert tried.gain.low > 0
    assert tried.cost == pytest.approx(2.0)
    assert tried.worth.times == pytest.approx(3.0, rel=0.2)
    assert tried.worth.low <= tried.worth.times


def test_a_gain_that_may_be_chance_is_worth_nothing_that_can_be_told():
    curve = known_curve(lambda n: 0.95 - 2.0 * n**-0.5, gain=0.00001)
    assert curve.augmented.worth is None
    assert "no gain beyond chance" in str(curve)


def test_a_gain_beyond_the_curve_is_not_put_into_rows():
    curve = known_curve(lambda n: 0.95 - 2.0 * n**-0.5, gain=0.13)
    assert curve.augmented.worth.times is None
    assert "more rows than this curve can tell of" in str(curve) or "at least" in str(curve)


def test_an_error_falls_with_rows_and_its_interval_is_the_right_way_round():
    task = small_task(ROWS, metric=lambda outputs, y: 0.0, higher_is_better=False)
    curve = known_curve(lambda n: 5.0 + 40.0 * n**-0.5, task=task, wobble=0.01)
    twice = curve.forecasts[0]
    assert twice.score == pytest.approx(5.0 + 40.0 * 800**-0.5, abs=0.1)
    assert twice.low < twice.score < twice.high
    assert curve.tells(twice)


def test_a_score_without_a_best_may_have_any_size():
    task = small_task(ROWS, metric=lambda outputs, y: 0.0, higher_is_better=True)
    curve = known_curve(lambda n: -3.0 - 40.0 * n**-0.5, task=task, wobble=0.01)
    assert curve.forecasts[0].score == pytest.approx(-3.0 - 40.0 * 800**-0.5, abs=0.1)


def test_a_metric_that_shares_a_name_but_not_the_range_is_taken_as_it_is():
    scale = Scale("accuracy", True, 100)
    curve = known_curve(lambda n: 0.95 - 2.0 * n**-0.5)
    percent = [
        replace(p, per_seed=tuple(100 * score for score in p.per_seed)) for p in curve.points
    ]
    test = back_test(scale, percent)
    assert test.forecast.score == pytest.approx(100 * curve.back_test.forecast.score, abs=1.0)


def test_a_curve_that_tells_nothing_says_so():
    curve = known_curve(lambda n: 0.8, wobble=0.02)
    assert not any(map(curve.tells, curve.forecasts))
    assert "too uncertain to say" in str(curve)


def test_a_curve_reads_as_one_paragraph():
    text = str(known_curve(lambda n: 0.95 - 2.0 * n**-0.5, gain=0.03))
    assert "\n" not in text
    assert text.startswith("More data: with twice the rows 0.88 [")
    assert "accuracy on validation is 0.85 now" in text
    assert "Augmentation gives +0.03 [" in text
    assert "at 2 times the training time, as" in text
    assert "Tried on itself: from at most 200 rows it predicts 0.85 [" in text


def test_a_curve_is_plain_data():
    curve = known_curve(lambda n: 0.95 - 2.0 * n**-0.5, gain=0.03)
    data = json.loads(json.dumps(curve.to_dict(), allow_nan=False))
    assert data["points"][-1] == {
        "rows": 400,
        "share": 1.0,
        "per_seed": list(curve.points[-1].per_seed),
        "mean": curve.now,
    }
    assert data["augmented"]["remedy"] == {"name": "Augment", "args": {"kind": "table"}}
    assert data["back_test"]["inside"] is True
    assert data["back_test"]["error"] == curve.back_test.error
    assert [f["rows"] for f in data["forecasts"]] == [800, 1600]


@pytest.fixture(scope="module")
def measured():
    return learning_curve(small_task(), seeds=2, executor=InProcess())


def test_every_size_is_trained_on_validation_alone_with_as_many_seeds(measured):
    assert [point.rows for point in measured.points] == [20, 40, 80, 160]
    assert all(len(point.per_seed) == 2 for point in measured.points)
    task = without_test(small_task())
    for seed in (0, 1):
        run = fit(task, Job((), seed, share=0.25)).run
        assert run.validation.metric == measured.points[1].per_seed[seed]
        assert run.test is None


def test_test_rows_change_nothing_of_a_curve(measured):
    task = small_task()
    spoiled = Split(100 * task.data.test.x, 1 - task.data.test.y)
    vars(task)["data"] = replace(task.data, test=spoiled)
    again = learning_curve(task, seeds=2, executor=InProcess())
    assert again.points == measured.points
    assert again.augmented.per_seed == measured.augmented.per_seed


def test_workers_measure_the_same_curve(measured):
    workers = Processes(2)
    try:
        again = learning_curve(small_task(), seeds=2, executor=workers)
    finally:
        workers.close()
    cost = {"cost": 0.0}
    assert again.to_dict() | {"augmented": None} == measured.to_dict() | {"augmented": None}
    assert vars(again.augmented) | cost == vars(measured.augmented) | cost


def test_no_run_is_done_twice(monkeypatch):
    done = []
    real = performing.Performance.__call__
    monkeypatch.setattr(
        performing.Performance,
        "__call__",
        lambda self, batch: done.extend(job.key for job in batch) or real(self, batch),
    )
    learning_curve(small_task(), seeds=2, executor=InProcess())
    assert len(done) == len(set(done)) == 2 * (4 + 1)


def test_a_share_trains_on_its_rows_alone():
    task = small_task(epochs=1)
    seen = []

    class Listening(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if torch.is_grad_enabled():
                seen.extend(map(tuple, x.tolist()))
            return self.layer(x)

    task.make_model = Listening
    fit(task, Job((), 0, share=0.25))
    assert len(set(seen)) == 40


def test_a_job_on_all_rows_has_the_key_that_it_always_had():
    assert Job((), 3).key == (
        '{"epochs": null, "rate": 1.0, "recipe": [], "seed": 3, "test": false}'
    )
    assert Job((), 3, share=0.5).key != Job((), 3).key != Job((), 3, share=0.25).key


def test_sizes_of_too_few_rows_are_left_out():
    plan = design(small_task(80), seeds=range(3))
    assert plan.shares == (0.25, 0.5, 1.0)
    assert len(plan.jobs) == 3 * 4


def test_a_table_too_small_for_a_curve_is_refused_in_one_line():
    with pytest.raises(TaskError, match="50 training rows are too few: give more rows") as caught:
        learning_curve(small_task(50))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("seeds", [1, 0, -3, 1001])
def test_seeds_out_of_range_are_refused(seeds):
    with pytest.raises(BadInput, match=r"seeds must lie in \[2, 1000\]"):
        learning_curve(small_task(), seeds=seeds)


@pytest.mark.parametrize("share", [0.0, -0.5, 1.5, float("nan")])
def test_a_share_out_of_range_is_refused(share):
    with pytest.raises(ThresholdError, match=r"A share must lie in \(0, 1\]"):
        learning_curve(small_task(), shares=(share, 0.25, 0.5, 1.0))


@pytest.mark.parametrize("shares", [(), (1.0,), (0.5, 1.0), (0.25, 0.5), (0.6, 0.8, 1.0)])
def test_shares_that_make_no_curve_are_refused(shares):
    with pytest.raises(BadInput, match=r"at least two up to 0\.5, and 1"):
        learning_curve(small_task(), shares=shares)


def test_rows_that_cannot_be_augmented_have_a_curve_without_it():
    task = small_task()
    vars(task)["data"] = replace(task.data, kind="other")
    curve = learning_curve(task, seeds=2, executor=InProcess())
    assert curve.augmented is None
    assert curve.notes == ("Rows of this kind cannot be augmented.",)
    assert "Augmentation could not be tried." in str(curve)
    assert curve.to_dict()["augmented"] is None


def test_augmentation_that_a_network_refuses_is_left_out_with_the_reason():
    task = small_task(ROWS)
    plan, memory = design(task, seeds=range(3)), Memory()
    for job in plan.jobs:
        done = Refusal("augmented", "no neighbours") if job.recipe else recorded(job, 0.8)
        memory.put(job, done, clock=0.0)
    curve = measure(Bench(task, InProcess(), store=memory), plan)
    assert curve.augmented is None
    assert curve.notes == ("Augmentation was left out: no neighbours",)


class Hungry(nn.Module):
    """Wants batches of at least 24 rows while it trains."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training and torch.is_grad_enabled() and len(x) < 24:
            raise RuntimeError("too few rows")
        return self.layer(x)


def test_a_network_that_does_not_train_on_fewer_rows_has_no_curve_and_says_why():
    task = small_task()
    task.make_model = Hungry
    with pytest.raises(FitwellError, match=r"on 0\.125 of the rows, does not train: too few rows"):
        learning_curve(task, seeds=2, executor=InProcess())


def test_the_usual_shares_are_doublings():
    assert SHARES == (0.125, 0.25, 0.5, 1.0)
