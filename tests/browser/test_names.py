"""Names out of a run that attack the page: they are shown as they are, and do nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.support.ui import WebDriverWait
from tests.browser.chromium import Chromium
from tests.browser.made import HOSTILE

NAME = "cure of hostile names"
TIP = "#vg-tooltip-element.visible"


@pytest.fixture(scope="module")
def attacked(browser: Chromium, written: Callable[[str], Path]) -> Chromium:
    browser.open(written(NAME))
    return browser


def test_nothing_of_a_name_becomes_an_element(attacked: Chromium) -> None:
    assert attacked.run("return document.querySelectorAll('img, iframe, object, b b').length") == 0
    kinds = attacked.run(
        "return [...document.querySelectorAll('body script')].map((s) => s.type || 'ours')"
    )
    assert kinds.count("ours") == kinds.index("ours", 1) - kinds.index("ours") + 1 == 2 or kinds
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
    seen = set()
    for mark in marks[:: max(1, len(marks) // 12)]:
        attacked.run("arguments[0].scrollIntoView({ block: 'center' })", mark)
        ActionChains(attacked.driver, duration=0).move_to_element(mark).perform()
        WebDriverWait(attacked.driver, 5, 0.02).until(
            lambda _: attacked.run("return document.querySelector(arguments[0]) !== null", TIP)
        )
        seen.add(attacked.run("return document.querySelector(arguments[0]).textContent", TIP))
        assert (
            attacked.run("return document.querySelectorAll(`${arguments[0]} img`).length", TIP) == 0
        )
    assert sum(any(name in text for text in seen) for name in HOSTILE) > 2
    assert attacked.run("return alerted") == []
