"""A cure of a network that overfits ends with a learning curve, within its caps."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import nn
from torch.optim import AdamW

from fitwell.cure import cure, job, more_data, outputs
from fitwell.errors import Interrupted
from fitwell.records import Diagnosis, Finding
from fitwell.studies import Budget, InProcess, performing
from fitwell.studies.bench import Bench
from fitwell.studies.search import SEARCH_SEEDS
from fitwell.studies.store import Store
from fitwell.tasks import Data, Split, Task

RUNS, SEEDS = 60, 3


def rows(count: int, seed: int) -> Split:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 12, generator=generator)
    noise = 1.2 * torch.randn(count, generator=generator)
    return Split(x, (x[:, 0] + x[:, 1] + noise > 0).long())


def large_network() -> nn.Module:
    return nn.Sequential(nn.Linear(12, 128), nn.ReLU(), nn.Linear(128, 2))


def overfitting_task(count: int = 140) -> Task:
    data = Data(rows(count, 0), rows(200, 1), rows(200, 2), "table", ("left", "right"))
    return Task(
        "noisy",
        large_network,
        data,
        "cross_entropy",
        "accuracy",
        optimizer=partial(AdamW, lr=1e-2),
        batch_size=32,
        epochs=12,
    )


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(job, "executor_for", lambda *args, **options: InProcess())
    monkeypatch.setattr(outputs, "report_of", lambda record, name, **told: "a page")


@pytest.fixture(scope="module")
def cured(tmp_path_factory):
    out = tmp_path_factory.mktemp("cure") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "executor_for", lambda *args, **options: InProcess())
        patch.setattr(outputs, "report_of", lambda record, name, **told: "a page")
        return cure(overfitting_task(), runs=RUNS, seeds=SEEDS, out=out)


def without_times(record):
    data = record.to_dict() | {"seconds": 0}
    data["learning_curve"]["augmented"]["cost"] = 0
    return data


def test_overfitting_is_answered_by_a_curve_in_the_result_file(cured):
    assert "overfitting" in cured.diagnosis.conditions
    result = json.loads((cured.out / "result.json").read_text())
    curve = result["learning_curve"]
    assert [point["rows"] for point in curve["points"]] == [18, 35, 70, 140]
    assert [forecast["rows"] for forecast in curve["forecasts"]] == [280, 560]
    assert curve["augmented"]["gain"].keys() == {"mean", "low", "high", "p"}


def test_the_curve_is_of_seeds_of_the_search_and_reads_no_test_row(cured):
    seeds, rate = cured.record.learning_curve.seeds, cured.record.baseline[0].rate
    assert seeds == SEARCH_SEEDS[: len(seeds)]
    stored = Store(cured.out / "study.db", higher_is_better=True)
    plan = more_data.design(overfitting_task(), seeds=seeds, rate=rate)
    assert all(stored.get(one).test is None for one in plan.jobs)


def test_its_runs_count_and_stay_under_the_cap(cured):
    proof = sum(len(arm.runs) for arm in cured.study.record.arms) if cured.study else SEEDS
    assert cured.record.runs <= RUNS + 1 + proof
    stored = Store(cured.out / "study.db", higher_is_better=True)
    assert cured.record.runs == stored.runs


@pytest.mark.parametrize("before_the_end", [5, 9])
def test_interrupted_in_the_curve_it_resumes_to_the_same_without_redoing_runs(
    cured, tmp_path, monkeypatch, before_the_end
):
    class Breaking:
        """Presses Ctrl-C so many runs before the end of the curve."""

        left = math.inf

        def stage(self, name, total):
            self.left = total - before_the_end if "more data" in name else math.inf

        def advance(self, n=1):
            self.left -= n
            if self.left <= 0:
                raise KeyboardInterrupt

        def say(self, text): ...

        def done(self): ...

    options = {"runs": RUNS, "seeds": SEEDS, "out": tmp_path / "out"}
    with pytest.raises(Interrupted, match="resumes"):
        cure(overfitting_task(), progress=Breaking(), **options)
    kept = Store(tmp_path / "out" / "study.db", higher_is_better=True).runs
    done = []
    real = performing.Performance.__call__
    monkeypatch.setattr(
        performing.Performance,
        "__call__",
        lambda self, batch: done.extend(batch) or real(self, batch),
    )
    resumed = cure(overfitting_task(), **options)
    assert 0 < len(done) == resumed.record.runs - kept <= before_the_end
    assert without_times(resumed.record) == without_times(cured.record)


def test_too_few_runs_have_no_curve_and_a_note_says_why():
    found = cure(overfitting_task(), runs=8, seeds=2)
    result = json.loads((found.out / "result.json").read_text())
    assert result["learning_curve"] is None
    assert any("10 runs did not fit into the budget" in note for note in result["notes"])
    assert found.record.runs <= 8 + 1 + 2 * 2


def test_a_table_too_small_has_no_curve_and_a_note_says_why():
    task = overfitting_task(60)
    bench_ = Bench(task, InProcess(), budget=Budget(None, 100))
    found = more_data.outlook(bench_, overfits(), 1.0, 0.0)
    assert found.curve is None
    assert "60 training rows are too few" in found.note


def overfits() -> Diagnosis:
    return Diagnosis((Finding("overfitting", "severe", 0.9, (), None, {}, "It overfits.", ()),))


def test_without_overfitting_there_is_no_curve_and_a_note_says_why():
    bench_ = Bench(overfitting_task(), InProcess())
    found = more_data.outlook(bench_, Diagnosis(), 1.0, 0.0)
    assert found.curve is None
    assert found.notes == (more_data.NO_REASON,)


def test_a_clock_near_the_end_of_the_budget_leaves_the_curve_out():
    def left(seconds: float) -> more_data.Outlook:
        budget = Budget(10.0, spent=10.0 - seconds)
        return more_data.outlook(
            Bench(overfitting_task(), InProcess(), budget=budget), overfits(), 1.0, 0.5
        )

    assert left(1.0).curve is None
    assert len(left(9.99).curve.seeds) == 3
    assert len(left(7.0).curve.seeds) == 2


def test_a_network_that_cannot_train_on_fewer_rows_costs_no_cure(monkeypatch):
    def refuse(*args, **options):
        raise more_data.TaskError("too few rows in a batch")

    monkeypatch.setattr(more_data, "measure", refuse)
    bench_ = Bench(overfitting_task(), InProcess())
    found = more_data.outlook(bench_, overfits(), 1.0, 0.0)
    assert found == more_data.Outlook(None, "too few rows in a batch")


def test_room_is_kept_only_where_there_is_to_be_a_curve():
    budget = Budget(None, 100)
    more_data.keep_room(overfitting_task(), Diagnosis(), budget, 1.0)
    more_data.keep_room(overfitting_task(60), overfits(), budget, 1.0)
    assert budget.search_runs == 100
    more_data.keep_room(overfitting_task(), overfits(), budget, 1.0)
    assert budget.search_runs == 85
    few = Budget(None, 50)
    more_data.keep_room(overfitting_task(), overfits(), few, 1.0)
    assert few.search_runs == 40


def test_a_record_without_a_curve_says_null(cured):
    assert replace(cured.record, learning_curve=None).to_dict()["learning_curve"] is None
