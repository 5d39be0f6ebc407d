"""A script under watch does what it does without: the same words, the same code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .conftest import FITWELL, TRAINING, Run

LOOKING = """
import os, sys
import sibling
print(sys.argv, __name__, __file__, __spec__, __package__, __doc__, __cached__)
print(sys.path[0], sys.modules["__main__"].__dict__ is globals(), sibling.NAME)
print(sorted(k for k in globals() if k != "__annotations__"))
print(sys.stdin.read())
print("to the other", file=sys.stderr)
"""


def both(
    tmp_path: Path, source: str, *arguments: str, stdin: str = ""
) -> tuple[subprocess.CompletedProcess[str], subprocess.CompletedProcess[str]]:
    (tmp_path / "script.py").write_text(source)
    (tmp_path / "sibling.py").write_text("NAME = 'beside it'\n")
    runs = [
        subprocess.run(
            [*command, "script.py", *arguments],
            cwd=tmp_path,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        for command in ((sys.executable,), (*FITWELL, "watch"))
    ]
    return runs[0], runs[1]


def test_arguments_names_paths_and_streams_are_those_of_python(tmp_path: Path) -> None:
    plain, watched = both(tmp_path, LOOKING, "--json", "x y", "-m", stdin="a\nb")
    assert watched.stdout.startswith(plain.stdout)
    assert watched.stdout.removeprefix(plain.stdout).startswith("\nfitwell watched script.py\n")
    assert watched.stderr == plain.stderr
    assert watched.returncode == plain.returncode == 0


@pytest.mark.parametrize("ending", ["3", "'no good'", "None", "0", "256 + 7"])
def test_the_exit_code_is_that_of_the_script(ending: str, in_process: Run) -> None:
    expected = {"3": 3, "'no good'": 1, "None": 0, "0": 0, "256 + 7": 7}[ending]
    done = in_process(f"import sys\nsys.exit({ending})")
    assert done.code == expected
    assert ("no good" in done.err) == (ending == "'no good'")


def test_a_crash_shows_the_traceback_of_python_and_the_diagnosis(tmp_path: Path) -> None:
    source = (
        TRAINING
        + "train(5)\ntry:\n    {}['a']\nexcept KeyError as e:\n    raise ValueError('b') from e\n"
    )
    plain, watched = both(tmp_path, source)
    assert watched.stderr == plain.stderr
    assert "KeyError: 'a'" in plain.stderr
    assert watched.returncode == plain.returncode == 1
    assert "5 steps of SGD" in watched.stdout


def test_a_syntax_error_is_told_as_python_tells_it(tmp_path: Path) -> None:
    plain, watched = both(tmp_path, "def f(:\n    pass\n")
    assert watched.stderr == plain.stderr
    assert watched.returncode == plain.returncode == 1


def test_an_error_in_a_backward_pass_shows_no_frame_of_ours(tmp_path: Path) -> None:
    plain, watched = both(tmp_path, "import torch\ntorch.ones(()).backward()\n")
    assert watched.stderr == plain.stderr
    assert "does not require grad" in plain.stderr


def test_ctrl_c_ends_with_the_diagnosis_and_130(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        TRAINING + "train(3)\nprint('on the way', flush=True)\nwhile True: train(1)\n"
    )
    running = subprocess.Popen(
        [*FITWELL, "watch", str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stdout is not None
    assert running.stdout.readline() == "on the way\n"
    time.sleep(0.2)
    os.kill(running.pid, signal.SIGINT)
    out, err = running.communicate(timeout=120)
    assert running.returncode == 130
    assert "steps of SGD" in out
    assert err == "fitwell: interrupted: this is the diagnosis of what was recorded.\n"


def test_what_main_defines_can_be_pickled(in_process: Run) -> None:
    source = "import pickle\nclass A: pass\nprint(type(pickle.loads(pickle.dumps(A()))) is A)"
    assert in_process(source).script_out == "True\n"


def test_a_module_runs_as_with_python_m(tmp_path: Path) -> None:
    package = tmp_path / "pack"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "other.py").write_text("WORD = 'relative'\n")
    (package / "__main__.py").write_text(
        "import sys\nfrom .other import WORD\n"
        "print(WORD, sys.argv, __name__, __package__, __spec__.name, __file__, sys.path[0])\n"
    )
    runs = [
        subprocess.run(
            [*command, "-m", "pack", "--deep"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        for command in ((sys.executable,), (*FITWELL, "watch"))
    ]
    assert runs[0].stdout.startswith("relative")
    assert runs[1].stdout.startswith(runs[0].stdout)


WORKERS = (
    TRAINING
    + """
from torch.utils.data import DataLoader, TensorDataset
import multiprocessing as mp
def double(x):
    return 2 * x
if __name__ == "__main__":
    for inputs, targets in DataLoader(TensorDataset(x, y), batch_size=32, num_workers=2):
        optimizer.zero_grad(); loss_fn(net(inputs), targets).backward(); optimizer.step()
    with mp.get_context("spawn").Pool(2) as pool:
        print(pool.map(double, [1, 2, 3]))
    with mp.get_context("fork").Pool(1) as pool:
        print(pool.map(double, [4]))
"""
)


def test_workers_run_and_are_not_watched(as_command: Run) -> None:
    done = as_command(WORKERS)
    assert done.code == 0, done.err
    assert done.script_out == "[2, 4, 6]\n[8]\n"
    assert done.err == ""
    assert [model["steps"] for model in done.found["models"]] == [3]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["missing.py"], "There is no file missing.py"),
        (["."], "got the folder ."),
        (["--mute", "hunger", "x.py"], "Cannot mute 'hunger'"),
        (["--overhead", "0", "x.py"], "--overhead must lie in (0, 1]"),
        (["-m", "no_such_module_at_all"], "There is no module no_such_module_at_all"),
        (["--json", "no/such/folder.json", "x.py"], "there is no folder"),
        ([], "Missing argument 'SCRIPT.py'"),
    ],
)
def test_wrong_use_is_one_clear_line(
    given: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from fitwell.cli import main

    assert main(["watch", *given]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("fitwell: ")
    assert err.count("\n") == 1
    assert words in err


def test_a_file_that_is_no_python_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from fitwell.cli import main

    page = tmp_path / "page.csv"
    page.write_text("a,b c\n1,2 3\n")
    assert main(["watch", str(page)]) == 2
    assert "Expected a Python script" in capsys.readouterr().err


def test_a_script_that_closes_its_output_is_told_the_diagnosis_all_the_same(tmp_path: Path) -> None:
    plain, watched = both(tmp_path, TRAINING + "\ntrain(3)\nimport sys\nsys.stdout.close()\n")
    assert (plain.returncode, watched.returncode) == (0, 0)
    assert "Traceback" not in watched.stderr
    assert "fitwell watched script.py" in watched.stderr


def test_what_is_not_judged_names_nothing_that_a_script_cannot_do(in_process: Run) -> None:
    story = in_process(TRAINING + "\ntrain(20)\n").story
    assert "Overfitting: needs training and validation loss.\n" in story
    assert "log val_loss" not in story


def test_of_a_script_that_fails_before_its_first_step_one_line_says_what_was_not_judged(
    in_process: Run,
) -> None:
    done = in_process(TRAINING + "\ny += 3\ntrain(1)\n")
    unjudged = done.found["unjudged"]
    assert done.found["models"][0]["steps"] == 0
    assert len(unjudged) > 3
    assert all(": " in sentence for sentence in unjudged)
    lines = [line for line in done.story.splitlines() if line.startswith("Not judged")]
    said = f"{len(unjudged)} other conditions, as no step was made (--json lists them)."
    assert lines == [f"Not judged: {said}"]
    assert done.conditions == ["loss_output_mismatch"]
