from __future__ import annotations

import json
import subprocess
import sys

import pytest

from fitwell.errors import OutputError
from fitwell.studies.folder import Folder, open_folder

JOB = {"task": "iris", "seeds": 8}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_the_first_folder_is_number_one():
    with open_folder(None, JOB) as folder:
        assert folder.path.as_posix() == "fitwell-runs/iris/1"
        assert not folder.resumed


def test_an_unfinished_folder_of_the_same_job_is_resumed():
    open_folder(None, JOB).close()
    with open_folder(None, JOB) as folder:
        assert folder.path.name == "1"
        assert folder.resumed


def test_other_options_get_the_next_number():
    open_folder(None, JOB).close()
    with open_folder(None, {**JOB, "seeds": 4}) as folder:
        assert folder.path.name == "2"


def test_after_a_finished_one_comes_the_next_number():
    with open_folder(None, JOB) as folder:
        folder.write("result.json", "{}")
    with open_folder(None, JOB) as folder:
        assert folder.path.name == "2"


def test_ten_comes_after_nine():
    for _ in range(10):
        with open_folder(None, JOB) as folder:
            folder.write("result.json", "{}")
    assert folder.path.name == "10"


def test_a_given_folder_is_resumed_if_unfinished(tmp_path):
    open_folder(tmp_path / "out", JOB).close()
    with open_folder(tmp_path / "out", JOB) as folder:
        assert folder.resumed


def test_a_given_folder_that_is_finished_is_refused(tmp_path):
    with open_folder(tmp_path / "out", JOB) as folder:
        folder.write("result.json", "{}")
    with pytest.raises(OutputError, match="finished run"):
        open_folder(tmp_path / "out", JOB)


def test_a_given_folder_of_other_options_is_refused(tmp_path):
    open_folder(tmp_path / "out", JOB).close()
    with pytest.raises(OutputError, match="--overwrite"):
        open_folder(tmp_path / "out", {**JOB, "seeds": 3})


def test_overwriting_replaces_what_fitwell_wrote(tmp_path):
    with open_folder(tmp_path / "out", JOB) as folder:
        folder.write("result.json", "{}")
    with open_folder(tmp_path / "out", {**JOB, "seeds": 3}, overwrite=True) as folder:
        assert not (folder.path / "result.json").exists()
        assert json.loads((folder.path / "job.json").read_text())["seeds"] == 3


def test_a_folder_with_files_of_others_is_never_emptied(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("mine")
    with pytest.raises(OutputError, match="no run of fitwell"):
        open_folder(tmp_path / "out", JOB, overwrite=True)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["thesis.tex"]


def test_a_file_in_the_way_is_refused(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(OutputError, match="out"):
        open_folder(tmp_path / "out", JOB)


def test_a_place_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="Not a directory"):
        open_folder(tmp_path / "file" / "out", JOB)


def test_a_folder_in_use_is_refused_and_free_after_the_other_was_killed(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from fitwell.studies.folder import Folder;"
        f"f = Folder(Path(sys.argv[1]), {JOB!r}); print('held', flush=True); time.sleep(60)"
    )
    out = tmp_path / "out"
    with subprocess.Popen([sys.executable, "-c", code, str(out)], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(OutputError, match="in use"):
            open_folder(out, JOB)
        other.kill()
    with open_folder(out, JOB) as folder:
        assert folder.resumed


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    with open_folder(tmp_path / "out", JOB) as folder:
        folder.write("a.txt", "old")
        with pytest.raises(TypeError):
            folder.write("a.txt", 3)  # type: ignore[arg-type]
        assert (folder.path / "a.txt").read_text() == "old"
        assert sorted(p.name for p in folder.path.iterdir()) == [".lock", "a.txt", "job.json"]


def test_a_discarded_new_folder_leaves_nothing(tmp_path):
    with open_folder(tmp_path / "out", JOB) as folder:
        folder.write("study.db", b"")
        folder.discard()
    assert not (tmp_path / "out").exists()


def test_a_discarded_new_folder_leaves_no_parent_that_it_made(tmp_path):
    (tmp_path / "mine").mkdir()
    with Folder(tmp_path / "mine" / "runs" / "wine" / "1", JOB) as folder:
        folder.discard()
    assert list(tmp_path.iterdir()) == [tmp_path / "mine"]
    assert not list((tmp_path / "mine").iterdir())


def test_a_discarded_resumed_folder_is_kept(tmp_path):
    Folder(tmp_path / "out", JOB).close()
    with open_folder(tmp_path / "out", JOB) as folder:
        folder.discard()
    assert (tmp_path / "out" / "job.json").exists()


def test_a_task_name_with_slashes_is_one_folder():
    with open_folder(None, {"task": "../a/b c"}) as folder:
        assert folder.path.as_posix() == "fitwell-runs/a-b-c/1"
