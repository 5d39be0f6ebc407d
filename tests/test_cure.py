"""A whole cure of a small deep sigmoid network, whose gradients vanish."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from functools import partial

import pytest
import torch
from torch import nn
from torch.optim import SGD

from fitwell.cure import cure, job, outputs
from fitwell.errors import BadInput, BudgetTooSmall, Interrupted, OutputError, TaskError
from fitwell.recipe import Recipe
from fitwell.studies import InProcess, Processes, performing, train
from fitwell.studies.search import SEARCH_SEEDS
from fitwell.studies.store import Store
from fitwell.tasks import Data, Split, Task

SEEDS = 4


def deep_network(layers: int = 8) -> nn.Module:
    stack: list[nn.Module] = [nn.Linear(4, 16), nn.Sigmoid()]
    for _ in range(layers):
        stack += [nn.Linear(16, 16), nn.Sigmoid()]
    return nn.Sequential(*stack, nn.Linear(16, 2))


def rows(count: int, seed: int) -> Split:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 4, generator=generator)
    return Split(x, (x[:, 0] + x[:, 1] > 0).long())


def deep_task(layers: int = 8, epochs: int = 10) -> Task:
    data = Data(rows(96, 0), rows(60, 1), rows(200, 2), "table", ("left", "right"))
    return Task(
        "deep",
        partial(deep_network, layers),
        data,
        "cross_entropy",
        "accuracy",
        optimizer=partial(SGD, lr=0.1),
        batch_size=16,
        epochs=epochs,
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
        return cure(deep_task(), runs=20, seeds=SEEDS, out=out)


def test_what_is_wrong_is_found_and_what_helps_is_proven(cured):
    assert "vanishing_gradients" in cured.diagnosis.conditions
    assert len(cured.recipe) > 0
    assert cured.record.verdict.outcome == "helps"
    assert cured.record.verdict.effect.low > 0.1


def test_the_result_file_is_the_record_and_adds_up(cured):
    result = json.loads((cured.out / "result.json").read_text())
    assert result == json.loads(json.dumps(cured.record.to_dict()))
    before, after = result["baseline"]["per_seed"], result["cured"]["per_seed"]
    assert len(before) == len(after) == SEEDS
    mean = sum(b - a for a, b in zip(before, after, strict=True)) / SEEDS
    assert result["effect"]["mean"] == pytest.approx(mean)
    assert [s["name"] for s in result["recipe"]] == [s.name for s in cured.recipe.specs]
    assert 0 < result["runs"] <= 20 + 1 + 2 * SEEDS


def test_the_scores_are_those_of_fresh_runs_on_test(cured):
    arm = cured.study.record.arms[-1]
    run = train(deep_task(), cured.recipe, seed=2, rate=arm.rate, test=True)
    assert run.test.metric == arm.per_seed[2]


def test_test_rows_are_read_by_the_proof_alone(cured):
    seeds = {run.seed for arm in cured.study.record.arms for run in arm.runs}
    assert seeds == set(range(SEEDS))
    assert not seeds & set(SEARCH_SEEDS)


def test_every_file_is_there_and_nothing_else(cured):
    together = {"ensemble.pt"} if cured.ensemble is not None else set()
    assert {path.name for path in cured.out.iterdir()} == together | {
        "job.json",
        "model.pt",
        "recipe.json",
        "report.html",
        "report.md",
        "result.json",
        "study.db",
        "trace.json",
        "treated.py",
    }


def test_the_recipe_file_is_the_recipe(cured):
    assert Recipe.from_json((cured.out / "recipe.json").read_text()) == cured.recipe


def test_the_kept_network_is_the_proven_run_that_was_best_on_validation(cured):
    runs = cured.study.record.arms[-1].runs
    best = max(runs, key=lambda r: (r.validation.metric, -r.validation.loss))
    split = deep_task().data.test
    with torch.no_grad():
        right = (cured.model(split.x).argmax(1) == split.y).double().mean().item()
    assert right == best.test.metric
    assert not cured.model.training


def test_treated_code_loads_the_weights_and_predicts_unseen_rows(cured, tmp_path):
    unseen = rows(20, 99).x
    code = (
        "import sys, json; sys.path.insert(0, sys.argv[1]); import treated; "
        "print(json.dumps(treated.predict(json.loads(sys.argv[2])))); "
        "assert not any(m.split('.')[0] == 'fitwell' for m in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(cured.out), json.dumps(unseen.tolist())],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    with torch.no_grad():
        expected = [("left", "right")[i] for i in cured.model(unseen).argmax(1).tolist()]
    assert json.loads(done.stdout) == expected


def test_the_report_is_one_page(cured, tmp_path):
    page = (cured.out / "report.html").read_text()
    assert page.lstrip().lower().startswith("<!doctype html>")
    assert cured.report(tmp_path / "again.html").read_text() == page


def test_a_finished_folder_is_refused(cured):
    with pytest.raises(OutputError, match="finished"):
        cure(deep_task(), runs=20, seeds=SEEDS, out=cured.out)


class Breaking:
    """Presses Ctrl-C after a number of runs."""

    def __init__(self, after: int) -> None:
        self.left = after

    def stage(self, name, total): ...

    def advance(self, n=1):
        self.left -= n
        if self.left <= 0:
            raise KeyboardInterrupt

    def say(self, text): ...

    def done(self): ...


@pytest.mark.parametrize("after", [5, 19])
def test_an_interrupted_cure_resumes_to_the_same_result_without_redoing_runs(
    cured, tmp_path, monkeypatch, after
):
    options = {"runs": 20, "seeds": SEEDS, "out": tmp_path / "out"}
    with pytest.raises(Interrupted, match="resumes"):
        cure(deep_task(), progress=Breaking(after), **options)
    assert not (tmp_path / "out" / "result.json").exists()
    kept = Store(tmp_path / "out" / "study.db", higher_is_better=True).runs
    assert 0 < kept < cured.record.runs
    done = []
    real = performing.Performance.__call__
    monkeypatch.setattr(
        performing.Performance, "__call__", lambda self, jobs: done.extend(jobs) or real(self, jobs)
    )
    resumed = cure(deep_task(), **options)
    assert len(done) == resumed.record.runs - kept
    expected = cured.record.to_dict() | {"seconds": 0}
    assert resumed.record.to_dict() | {"seconds": 0} == expected


def easy_task() -> Task:
    data = Data(*(rows(n, s) for n, s in ((300, 0), (60, 1), (60, 2))), "table", ("a", "b"))
    return Task(
        "easy",
        partial(nn.Linear, 4, 2),
        data,
        "cross_entropy",
        "accuracy",
        optimizer=partial(SGD, lr=0.2),
        epochs=20,
    )


def test_a_healthy_task_ends_with_an_empty_recipe():
    found = cure(easy_task(), runs=5, seeds=2)
    assert found.diagnosis.healthy, found.diagnosis
    result = json.loads((found.out / "result.json").read_text())
    assert result["recipe"] == []
    assert result["cured"] == result["baseline"]
    assert result["effect"] == {"mean": 0.0, "low": 0.0, "high": 0.0, "p": 1.0}
    assert found.study is None
    assert found.out.as_posix() == "fitwell-runs/easy/1"
    assert found.record.trials == ()


def test_a_blind_cure_searches_whatever_was_found():
    found = cure(easy_task(), runs=5, seeds=2, blind=True)
    assert found.diagnosis.healthy
    assert any(trial.recipe for trial in found.record.trials)
    with pytest.raises(OutputError):
        cure(easy_task(), runs=5, seeds=2, out=found.out)


@pytest.mark.parametrize(
    "options",
    [
        {"budget": "1"},
        {"budget": "banana"},
        {"runs": 0},
        {"seeds": 0},
        {"runs": 5, "seeds": 1},
    ],
)
def test_wrong_options_leave_nothing_behind(tmp_path, options):
    with pytest.raises(BadInput):
        cure(deep_task(), **options)
    assert list(tmp_path.iterdir()) == []


def test_a_task_that_cannot_be_trained_on_leaves_nothing_behind(tmp_path):
    task = deep_task()
    task.make_model = partial(nn.Linear, 3, 2)
    with pytest.raises(TaskError):
        cure(task, runs=5)
    assert list(tmp_path.iterdir()) == []


def test_a_budget_too_small_says_what_is_needed_and_leaves_nothing_behind(tmp_path):
    with pytest.raises(BudgetTooSmall, match="need about"):
        cure(deep_task(), budget="0.001s")
    assert not (tmp_path / "fitwell-runs/deep/1").exists()


def test_the_same_runs_in_workers_give_the_same_result(cured, tmp_path, monkeypatch):
    monkeypatch.setattr(job, "executor_for", lambda *a, **k: Processes(2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = cure(deep_task(), runs=20, seeds=SEEDS, out=tmp_path / "out")
    assert found.record.to_dict() | {"seconds": 0} == cured.record.to_dict() | {"seconds": 0}
