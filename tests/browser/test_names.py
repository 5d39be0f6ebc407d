"""Names out of a run that attack the page: they are shown as they are, and do nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from tests.browser.chromium import Chromium
from tests.browser.made import HOSTILE

NAME = "cure of hostile names"
OURS = 2
"""Scripts of a page: Vega, and what draws with it."""


@pytest.fixture(scope="module")
def attacked(browser: Chromium, written: Callable[[str], Path]) -> Chromium:
    browser.open(written(NAME))
    return browser


def test_nothing_of_a_name_becomes_an_element(attacked: Chromium) -> None:
    assert attacked.run("return document.querySelectorAll('img, iframe, object, b b').length") == 0
    scripts = "return document.querySelectorAll('script:not([type])').length"
    assert attacked.run(scripts) == OURS
    assert attacked.run("return alerted") == []


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_stands_in_the_text_as_it_is(attacked: Chromium, name: str) -> None:
    shown = attacked.run("return document.querySelector('main').textContent")
    assert shown.count(name) > 5


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_stands_beside_its_marks_as_it_is(attacked: Chromium, name: str) -> None:
    texts = attacked.run(
        "return [...document.querySelectorAll('.chart svg text')].map((t) => t.textContent)"
    )
    short = name if len(name) <= 20 else "…" + name[-19:]
    assert short in texts
    assert name in texts


@pytest.mark.parametrize("chart", ["gradients-1", "scores-1"])
def test_a_name_under_the_pointer_is_text(attacked: Chromium, chart: str) -> None:
    marks = attacked.run(
        "return [...document.querySelectorAll(`[data-spec='${arguments[0]}'] .mark-rect path,"
        " [data-spec='${arguments[0]}'] .mark-symbol path`)]",
        chart,
    )
    seen: set[str] = set()
    for mark in marks[:: max(1, len(marks) // 40)]:
        attacked.run("arguments[0].scrollIntoView({ block: 'center' })", mark)
        ActionChains(attacked.driver, duration=0).move_to_element(mark).perform()
        attacked.settle()
        text, images = attacked.run(
            "const tip = document.querySelector('#vg-tooltip-element.visible');"
            "return tip ? [tip.textContent, tip.querySelectorAll('img, svg, script').length]"
            " : ['', 0];"
        )
        assert images == 0
        seen |= {name for name in HOSTILE if name in text}
        if len(seen) > 2:
            break
    assert len(seen) > 2
    assert attacked.run("return alerted") == []
