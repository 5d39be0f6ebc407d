from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from fitwell.errors import OutputError
from fitwell.records import Curves, RemedySpec, RowScores, RunRecord, Score
from fitwell.studies.job import Job, Refusal
from fitwell.studies.store import Memory, Store

JOB = Job((RemedySpec("Dropout", {"rate": 0.3}),), 7, 0.3, arm="dropout")
RUN = RunRecord(
    arm="dropout",
    seed=7,
    rate=0.3,
    epochs=2,
    best_epoch=1,
    diverged=False,
    validation=Score(0.9, 0.25),
    test=Score(0.8, 0.5),
    seconds=1.5,
    parameters=10,
    curves=Curves((1.0, 0.5), (1.0, 0.25), (0.5, 1.0), (0.5, 0.9)),
    took_effect=("Dropout has 2 layers that drop in training",),
    test_rows=RowScores.of((1.0, 0.0), (0.25, 0.75)),
)


def test_a_run_comes_back_from_the_file_as_it_was(tmp_path):
    Store(tmp_path / "study.db", higher_is_better=True).put(JOB, RUN, clock=12.5)
    again = Store(tmp_path / "study.db", higher_is_better=True)
    assert again.get(JOB) == RUN
    assert again.runs == 1
    assert again.spent == 12.5


def test_another_job_is_not_found(tmp_path):
    store = Store(tmp_path / "study.db", higher_is_better=True)
    store.put(JOB, RUN, clock=0.0)
    assert store.get(Job(JOB.recipe, 8, 0.3)) is None


def test_a_run_is_found_under_the_name_that_is_asked_for():
    memory = Memory()
    memory.put(JOB, RUN, clock=0.0)
    found = memory.get(Job(JOB.recipe, 7, 0.3, arm="cured"))
    assert found is not None
    assert found.arm == "cured"


def test_a_refusal_is_remembered_but_is_no_run(tmp_path):
    Store(tmp_path / "study.db", higher_is_better=True).put(
        JOB, Refusal("dropout", "no place for it"), clock=1.0
    )
    again = Store(tmp_path / "study.db", higher_is_better=True)
    assert again.get(JOB) == Refusal("dropout", "no place for it")
    assert again.runs == 0


def test_optuna_itself_reads_the_study(tmp_path):
    store = Store(tmp_path / "study.db", higher_is_better=True)
    store.put(JOB, RUN, clock=0.0)
    store.put(Job((), 7), RUN, clock=0.0)
    study = optuna.load_study(study_name="fitwell", storage=f"sqlite:///{tmp_path}/study.db")
    assert [t.params for t in study.trials] == [
        {"rate": 0.3, "seed": 7},
        {"rate": 1.0, "seed": 7},
    ]
    assert study.best_value == 0.9
    assert study.trials[1].user_attrs["recipe"] == "untreated"


def test_a_file_that_is_no_study_is_refused(tmp_path):
    (tmp_path / "study.db").write_text("no database at all, and long enough to be told apart")
    with pytest.raises(OutputError, match=r"study\.db"):
        Store(tmp_path / "study.db", higher_is_better=True)


def test_the_file_is_plain_sqlite(tmp_path):
    Store(tmp_path / "study.db", higher_is_better=False).put(JOB, RUN, clock=0.0)
    with sqlite3.connect(tmp_path / "study.db") as connection:
        assert connection.execute("select count(*) from trials").fetchone() == (1,)
    connection.close()


def test_results_of_a_batch_are_kept_together_and_read_back_in_order(tmp_path):
    store = Store(tmp_path / "study.db", higher_is_better=True)
    runs = {replace(JOB, seed=seed): replace(RUN, seed=seed) for seed in range(5)}
    refused = {replace(JOB, seed=9): Refusal("dropout", "no place for it")}
    store.put_all(runs | refused, clock=3.0)
    store.put_all({}, clock=4.0)
    again = Store(tmp_path / "study.db", higher_is_better=True)
    assert {job: again.get(job) for job in runs | refused} == runs | refused
    assert (again.runs, again.spent) == (5, 3.0)
    study = optuna.load_study(study_name="fitwell", storage=f"sqlite:///{tmp_path}/study.db")
    assert [t.number for t in study.trials] == list(range(6))
    assert [t.state.name for t in study.trials] == ["COMPLETE"] * 5 + ["FAIL"]
    assert all(t.datetime_start and t.datetime_complete for t in study.trials)


def test_what_was_kept_is_there_after_a_kill(tmp_path):
    code = textwrap.dedent(
        f"""
        import os, signal, sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from dataclasses import replace
        from test_store import JOB, RUN, Path, Store
        store = Store(Path({str(tmp_path)!r}) / "study.db", higher_is_better=True)
        for start in (0, 10):
            store.put_all({{replace(JOB, seed=start + n): RUN for n in range(10)}}, clock=1.0)
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    killed = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    assert Store(tmp_path / "study.db", higher_is_better=True).runs == 20


def test_a_file_may_be_made_by_several_at_once(tmp_path):
    for turn in range(4):
        start = threading.Barrier(6)

        def opened(_, path=tmp_path / f"{turn}.db", start=start):
            start.wait()
            return Store(path, higher_is_better=True).runs

        with ThreadPoolExecutor(6) as pool:
            assert list(pool.map(opened, range(6))) == [0] * 6
