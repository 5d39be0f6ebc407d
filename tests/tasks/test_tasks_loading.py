"""What the command line takes as a task, and what it says of what it cannot take."""

from __future__ import annotations

import subprocess
import sys
import traceback
from pathlib import Path

import cloudpickle
import pytest

from fitwell.errors import TaskError
from fitwell.tasks import builtin, load

SOURCE = """
import numpy as np
import torch
from fitwell.tasks import Task
from {beside} import WIDTH

class Net(torch.nn.Linear):
    pass

def make_model():
    return Net(WIDTH, 2)

def make_task():
    x = np.random.default_rng(0).normal(size=(60, WIDTH))
    return Task("theirs", make_model, (x, np.arange(60) % 2), "cross_entropy", "accuracy")

def fails():
    return inner()

def inner():
    raise ZeroDivisionError("their own mistake")

def returns_a_number():
    return 3

def bad_task():
    return Task("theirs", make_model, None, "cros_entropy", "accuracy")

number = 3
"""


@pytest.fixture
def file(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    beside = f"beside_{abs(hash(request.node.name))}"
    (tmp_path / f"{beside}.py").write_text("WIDTH = 3\n")
    path = tmp_path / f"tasks_{abs(hash(request.node.name))}.py"
    path.write_text(SOURCE.format(beside=beside))
    return path


def test_a_function_in_a_file_gives_a_task(file: Path) -> None:
    task = load(f"{file}:make_task")
    task.check()
    assert task.name == "theirs"


def test_a_task_of_a_file_travels_to_a_process_that_cannot_import_it(
    file: Path, tmp_path: Path
) -> None:
    packed = tmp_path / "task.pickle"
    packed.write_bytes(cloudpickle.dumps(load(f"{file}:make_task")))
    file.unlink()
    code = "import pickle, sys; t = pickle.load(open(sys.argv[1], 'rb')); t.check(); print(t.name)"
    done = subprocess.run(
        [sys.executable, "-c", code, str(packed)],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": f"{tmp_path}:{':'.join(sys.path)}"},
    )
    assert done.stdout.strip() == "theirs"


def test_a_function_that_raises_is_told_with_its_own_traceback_alone(file: Path) -> None:
    with pytest.raises(TaskError) as refusal:
        load(f"{file}:fails")
    first, *rest = str(refusal.value).splitlines()
    assert first == f"{file}:fails failed: ZeroDivisionError: their own mistake"
    assert rest[0] == "Traceback (most recent call last):"
    assert "in fails" in rest[1]
    assert not any("loading.py" in line for line in rest)
    cause = refusal.value.__cause__
    assert isinstance(cause, ZeroDivisionError)
    assert [f.name for f in traceback.extract_tb(cause.__traceback__)] == ["fails", "inner"]


def test_a_file_that_is_no_python_is_told_with_the_place(tmp_path: Path) -> None:
    (tmp_path / "broken_syntax.py").write_text("def make(:\n")
    with pytest.raises(TaskError, match=r"failed: SyntaxError") as refusal:
        load(f"{tmp_path / 'broken_syntax.py'}:make")
    assert "def make(:" in str(refusal.value)
    assert "broken_syntax" not in sys.modules


def test_our_own_refusal_inside_a_function_is_handed_on_as_it_is(file: Path) -> None:
    with pytest.raises(TaskError, match=r"^Unknown loss 'cros_entropy'"):
        load(f"{file}:bad_task")


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("make_tusk", "has no function 'make_tusk'. Did you mean 'make_task'"),
        ("returns_a_number", "must return a fitwell.Task, got int"),
        ("number", "must be a function that returns a task, got int"),
    ],
)
def test_a_function_that_is_none_or_gives_none_is_refused(
    file: Path, function: str, said: str
) -> None:
    with pytest.raises(TaskError, match=said):
        load(f"{file}:{function}")


def test_a_function_of_a_module_gives_a_task() -> None:
    assert load("fitwell.tasks.builtin.tables:wine").name == "wine"


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("mnist-smal", "No task 'mnist-smal': did you mean 'mnist-small'"),
        ("qqqq", "No task 'qqqq': built in are mnist-small, digits-deep"),
        ("tasks.py", "as in tasks.py:make_task"),
        ("absent.py:make", "No file at absent.py"),
        ("absent_module.inner:make", "No module 'absent_module.inner'"),
        ("absent.csv", "No file at absent.csv"),
    ],
)
def test_a_target_that_is_nothing_known_is_refused_in_one_line(target: str, said: str) -> None:
    with pytest.raises(TaskError, match=said) as refusal:
        load(target)
    assert "\n" not in str(refusal.value)


def test_options_of_tables_are_refused_for_other_tasks() -> None:
    with pytest.raises(TaskError, match="--target, --time are for CSV and Parquet files"):
        load("wine", column="x", time="y")


def test_a_table_without_a_target_asks_for_it(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    with pytest.raises(TaskError, match=r"Give --target with one of: a, b\."):
        load(str(tmp_path / "t.csv"))


def test_a_file_of_an_unknown_kind_says_which_ones_are_known(tmp_path: Path) -> None:
    (tmp_path / "t.xlsx").write_bytes(b"x")
    with pytest.raises(TaskError, match="neither a table nor a task"):
        load(str(tmp_path / "t.xlsx"))


def test_the_built_in_tasks_are_those_that_are_promised() -> None:
    assert list(builtin()) == [
        "mnist-small",
        "digits-deep",
        "digits-rows-rnn",
        "breast-cancer",
        "wine",
        "diabetes",
        "docstrings",
        "digits-healthy",
    ]
