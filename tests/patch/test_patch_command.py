"""``fitwell patch``: the diff on standard output, the story beside it, one line where it fails."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from pathlib import Path

import pytest

from fitwell.cli import main

NET = """\
import torch.nn as nn


class Net(nn.Module):
    def __init__(self, hidden=8):
        super().__init__()
        self.fc = nn.Linear(6, hidden)
        self.act = nn.Sigmoid()
        self.out = nn.Linear(hidden, 3)

    def forward(self, x):
        return self.out(self.act(self.fc(x)))


class Words(nn.Module):
    def __init__(self, vocabulary):
        super().__init__()
        self.words = nn.Embedding(vocabulary, 6)
        self.net = Net()

    def forward(self, x, scale):
        return self.net(self.words(x).mean(1) * scale)


class Bag:
    pass


def number():
    return 3
"""


@pytest.fixture
def net(place) -> str:
    path = place.file(NET)
    return path.name


def failed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["patch", *arguments]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("fitwell: ")
    return told.err.removeprefix("fitwell: ").splitlines()[0]


def test_the_diff_alone_is_printed_and_git_applies_it(net, capsys, tmp_path):
    assert main(["patch", f"{net}:Net", "activation+l2(1e-3)", "--json", "told.json"]) == 0
    told = capsys.readouterr()
    assert told.out.startswith(f"--- a/{net}\n+++ b/{net}\n@@ ")
    assert f"Net in {net}: 1 change\n" in told.err
    assert "line 8: Activation, act: nn.Sigmoid() -> nn.ReLU()" in told.err
    assert "L2(strength=0.001): belongs to the training loop" in told.err
    data = json.loads(Path("told.json").read_text())
    assert data["schema"] == 1
    assert (data["file"], data["class"], data["diff"]) == (net, "Net", told.out)
    assert data["applied"] == [
        {"remedy": "Activation", "change": "act: nn.Sigmoid() -> nn.ReLU()", "line": 8}
    ]
    assert [entry["change"] for entry in data["not_expressed"]] == ["L2(strength=0.001)"]
    for command in (["git", "apply"], ["patch", "-p1"]):
        Path(net).write_text(NET)
        subprocess.run(command, input=told.out, text=True, check=True, capture_output=True)
        assert Path(net).read_text() == NET.replace("nn.Sigmoid()", "nn.ReLU()")


def test_write_changes_the_file_and_keeps_what_it_may(net, capsys):
    Path(net).chmod(0o640)
    link = Path("link.py")
    link.symlink_to(net)
    assert main(["patch", f"{link}:Net", "batch_norm", "--write", "--out", "change.diff"]) == 0
    assert link.is_symlink()
    assert stat.S_IMODE(Path(net).stat().st_mode) == 0o640
    written = Path(net).read_text()
    assert "nn.BatchNorm1d(hidden)" in written
    Path(net).write_text(NET)
    diff = Path("change.diff").read_text()
    assert diff == capsys.readouterr().out
    subprocess.run(["patch", net], input=diff, text=True, check=True, capture_output=True)
    assert Path(net).read_text() == written


def test_the_same_patch_again_has_nothing_to_change(net, capsys):
    arguments = ["patch", f"{net}:Net", "activation+batch_norm", "--write"]
    assert main(arguments) == 0
    capsys.readouterr()
    before = Path(net).read_bytes()
    assert main(arguments) == 0
    told = capsys.readouterr()
    assert told.out == ""
    assert f"Net in {net}: nothing to change" in told.err
    assert "BatchNorm(): No hidden layer found" in told.err
    assert Path(net).read_bytes() == before


def test_a_recipe_can_be_a_file(net, capsys):
    Path("recipe.json").write_text('{"recipe": [{"name": "Activation", "args": {}}]}')
    assert main(["patch", f"{net}:Net", "recipe.json"]) == 0
    assert "nn.ReLU()" in capsys.readouterr().out


def test_what_belongs_to_the_loop_is_written_where_asked(net, capsys):
    assert main(["patch", f"{net}:Net", "clip_norm", "--loop", "loop.py"]) == 0
    assert capsys.readouterr().out == ""
    assert "def before_step(" in Path("loop.py").read_text()


def test_a_class_with_arguments_and_several_inputs_is_told_how(net, capsys):
    assert "--model" in failed(capsys, f"{net}:Words", "activation")
    how = ["--model", "Words(vocabulary=9)"]
    assert "--input" in failed(capsys, f"{net}:Words", "activation", *how)
    wrong = failed(capsys, f"{net}:Words", "activation", *how, "--input", "2,8")
    assert wrong.startswith("Words(vocabulary=9) cannot be called with 2,8: TypeError:")
    given = ["--input", "2,8:long", "--input", "2,1"]
    assert main(["patch", f"{net}:Words", "activation", *how, *given]) == 0
    told = capsys.readouterr()
    assert "+        self.act = nn.ReLU()" in told.out
    assert "changes with it" not in told.err


def test_what_else_in_the_file_changes_is_named(net, capsys):
    assert main(["patch", f"{net}:Net", "activation"]) == 0
    assert "changes with it: Words" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("target", "recipe", "said"),
    [
        ("missing.py:Net", "activation", "missing.py"),
        ("NET", "activation", "Name the file and the class, as in net.py:Net"),
        ("NET:", "activation", "Name the file and the class, as in net.py:Net"),
        ("NET:Nett", "activation", "has no class Nett: did you mean Net?"),
        ("NET:Net.Inner", "activation", "has no class Net.Inner"),
        ("NET:Bag", "activation", "no nn.Module"),
        ("NET:number", "activation", "no nn.Module"),
        ("NET:nn.Linear", "activation", "is not defined in"),
        ("NET:Net", "dropuot(0.5)", "Did you mean Dropout?"),
        ("NET:Net", "dropout(7)", "In the recipe 'dropout(7)': rate must lie in"),
        ("NET:Net", "missing.json", "Cannot read the recipe missing.json"),
    ],
)
def test_what_cannot_be_used_is_told_in_a_line(net, capsys, target, recipe, said):
    assert said in failed(capsys, target.replace("NET", net), recipe)
    assert Path(net).read_text() == NET


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("class Net(:\n", "SyntaxError"),
        ("import nowhere_at_all\n", "No module named 'nowhere_at_all'"),
        ("raise SystemExit(3)\n", "ended the program with exit code 3"),
        (
            "from torch import nn\nclass Net(nn.Module):\n    def __init__(self): 1/0\n",
            "ZeroDivision",
        ),
        ("x = 3\n", "has no class Net: it has no class that is an nn.Module"),
    ],
)
def test_a_file_that_fails_is_told_in_a_line(place, capsys, text, said):
    path = place.file(text)
    assert said in failed(capsys, f"{path.name}:Net", "activation", "--write")
    assert path.read_text() == text


@pytest.mark.parametrize("shape", ["", "2,x", "0,3", "2,3:cat", ":long"])
def test_an_input_that_cannot_be_read_is_told(net, capsys, shape):
    assert "Cannot read the input" in failed(capsys, f"{net}:Net", "activation", "--input", shape)


def test_a_model_of_another_class_is_told(net, capsys):
    said = failed(capsys, f"{net}:Net", "activation", "--model", "nn.Linear(2, 3)")
    assert said == "nn.Linear(2, 3) must give a Net, got Linear."
    assert "NameError" in failed(capsys, f"{net}:Net", "activation", "--model", "Netz()")
    assert "SyntaxError" in failed(capsys, f"{net}:Net", "activation", "--model", "Net(")


def test_without_libcst_the_extra_is_named(net, capsys, monkeypatch):
    found = __import__("importlib").util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == "libcst" else found(name)
    )
    assert "pip install 'fitwell[lab]'" in failed(capsys, f"{net}:Net", "activation")


def test_a_file_that_changes_meanwhile_is_left_alone(net, capsys, monkeypatch):
    import fitwell.patch

    plain = fitwell.patch.patch

    def slow(*args, **kw):
        made = plain(*args, **kw)
        Path(net).write_text("# edited\n")
        return made

    monkeypatch.setattr(fitwell.patch, "patch", slow)
    assert main(["patch", f"{net}:Net", "activation", "--write"]) == 2
    assert "has changed meanwhile" in capsys.readouterr().err
    assert Path(net).read_text() == "# edited\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_leaves_the_file_whole(net, capsys, tmp_path):
    tmp_path.chmod(0o500)
    try:
        assert main(["patch", f"{net}:Net", "activation", "--write"]) == 2
        assert Path(net).read_text() == NET
    finally:
        tmp_path.chmod(0o700)


def test_a_file_inside_a_package_finds_its_neighbours(place, capsys):
    package = place.folder / f"nets_{place.folder.name}"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "parts.py").write_text("WIDTH = 8\n")
    (package / "net.py").write_text(
        NET.replace("import torch.nn as nn", "import torch.nn as nn\n\nfrom .parts import WIDTH")
    )
    assert main(["patch", f"{package.name}/net.py:Net", "batch_norm"]) == 0
    told = capsys.readouterr()
    assert told.out.startswith(f"--- a/{package.name}/net.py\n")
    assert "nn.BatchNorm1d(hidden)" in told.out


@pytest.mark.parametrize("option", ["--out", "--loop", "--json"])
def test_a_result_is_never_written_over_the_source_or_the_recipe(
    net: str, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    recipe = Path("recipe.json")
    recipe.write_text('{"recipe": [{"name": "Activation", "args": {}}]}')
    for read in (Path(net), recipe):
        before = read.read_bytes()
        said = failed(capsys, f"{net}:Net", str(recipe), option, f"./{read}")
        assert said == f"Cannot write {read}: that is what is read; name another file."
        assert read.read_bytes() == before


def test_two_results_do_not_go_into_one_file(net: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = failed(capsys, f"{net}:Net", "activation", "--out", "a", "--json", "./a")
    assert said == "Cannot write a: two results would go there; name two files."
    assert not Path("a").exists()
    assert main(["patch", f"{net}:Net", "l2", "--out", "/dev/null", "--json", "/dev/null"]) == 0


def test_what_cannot_construct_it_is_told_without_a_line_of_our_own(
    net: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["patch", f"{net}:Net", "activation", "--model", "Net(depth=3)"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "unexpected keyword argument 'depth'" in line
    assert line.endswith('say how to construct it, as in --model "Net(hidden=64)".')
