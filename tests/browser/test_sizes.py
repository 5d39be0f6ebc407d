"""How much the pages of the largest studies carry: what makes a browser slow is counted."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.browser.chromium import Chromium
from tests.browser.pages import LARGE, page

BYTES, MARKS, ROWS, ELEMENTS = 3_000_000, 12_000, 12_000, 25_000


def rows_in(part: Any) -> Iterator[int]:
    """Yield how many rows every table of a specification has."""
    if isinstance(part, dict):
        for name, value in part.items():
            if name == "values" and isinstance(value, list):
                yield len(value)
            elif name == "drawn" and isinstance(value, str):
                yield value.count("\n")
            else:
                yield from rows_in(value)
    elif isinstance(part, list):
        for one in part:
            yield from rows_in(one)


@pytest.mark.parametrize("name", LARGE)
def test_a_page_of_200_runs_stays_small(name: str) -> None:
    html = page(name)
    specs = re.findall(r'<script type="application/json" id="[^"]+">(.*?)</script>', html, re.S)
    assert len(html.encode()) < BYTES
    assert 0 < sum(sum(rows_in(json.loads(spec))) for spec in specs) < ROWS


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_a_page_of_200_runs_draws_a_bounded_number_of_marks(
    browser: Chromium, written: Callable[[str], Path], name: str
) -> None:
    browser.open(written(name))
    assert sum(chart["marks"] for chart in browser.charts()) < MARKS
    assert browser.run("return document.querySelectorAll('*').length") < ELEMENTS
