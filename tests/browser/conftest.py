"""A browser for the whole session, and the pages in it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.browser.chromium import Chromium, chromium, programs
from tests.browser.pages import page

REQUIRED = "FITWELL_REQUIRE_CHROMIUM"
"""Set where Chromium must be there, as in the checks: its absence is then a failure."""


@pytest.fixture(scope="session")
def browser() -> Iterator[Chromium]:
    found = programs()
    if found is None:
        missing = "Chromium is not installed: apt-get install chromium chromium-driver"
        if REQUIRED in os.environ:
            pytest.fail(missing)
        pytest.skip(missing)
    with chromium(*found) as started:
        yield started


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return what writes the page of a name to the disk, once."""
    folder = tmp_path_factory.mktemp("pages")

    def write(name: str) -> Path:
        target = folder / f"{name}.html"
        if not target.exists():
            target.write_text(page(name), encoding="utf-8")
        return target

    return write
