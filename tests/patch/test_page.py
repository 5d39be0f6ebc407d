"""The page on patches shows what the command really prints."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from fitwell.cli import main

PAGE = Path(__file__).parents[2] / "docs" / "patch.md"


def blocks(language: str) -> list[str]:
    found = re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), flags=re.M | re.S)
    assert found
    return found


def test_the_example_prints_what_the_page_shows(place, capsys):
    (net,), (command,), (diff,), (story,) = map(blocks, ("python", "console", "diff", "text"))
    place.file(net, "net.py")
    program, *arguments = shlex.split(command.removeprefix("$ "))
    assert program == "fitwell"
    assert main(arguments) == 0
    told = capsys.readouterr()
    assert told.out == diff
    assert told.err == story
