"""Keras programs as people write them, sick and sound: each says itself what is to be found."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from .conftest import Run

PROGRAMS = sorted((Path(__file__).parent / "programs").glob("*.py"))
QUICK = ("class_numbers_without_to_categorical", "softmax_on_one_unit", "sound_xor")
SOUND = "healthy"

pytestmark = [
    pytest.mark.skipif(find_spec("keras") is None, reason="Keras is an extra"),
    pytest.mark.filterwarnings("ignore"),  # those of Keras and of the programs
]


def cases() -> list[object]:
    marks = {True: (), False: (pytest.mark.slow,)}
    return [pytest.param(p, id=p.stem, marks=marks[p.stem in QUICK]) for p in PROGRAMS]


def expected(program: Path) -> list[str]:
    line = re.search(r"^# expects: (.*)$", program.read_text(), re.MULTILINE)
    assert line is not None, f"{program.name} does not say what is to be found"
    return line[1].split(" | ")


@pytest.mark.parametrize("program", cases())
def test_what_a_program_says_of_itself_is_found(program: Path, in_process: Run) -> None:
    wanted = expected(program)
    findings = in_process(program.read_text()).found["findings"]
    grave = [f["condition"] for f in findings if f["severity"] != "mild"]
    if wanted == [SOUND]:
        assert grave == []
    else:
        assert set(wanted) & {finding["condition"] for finding in findings}


def test_there_are_programs_of_both_kinds() -> None:
    sound = [program for program in PROGRAMS if expected(program) == [SOUND]]
    assert len(sound) >= 8
    assert len(PROGRAMS) - len(sound) >= 20
