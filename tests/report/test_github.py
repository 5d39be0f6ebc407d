from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from fitwell.report.github import block, bullets, code, folded, joined, prose, table

READER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
NASTY = st.text(alphabet="ab1 _*`|<>[]()!#-+=.~&;:\\/\"'\n\t@x", max_size=24)


def shown(html: str) -> str:
    """What a reader sees of HTML."""
    text = re.sub(r"<[^>]*>", "", html)
    for entity, sign in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&amp;", "&")):
        text = text.replace(entity, sign)
    return text.replace("\u2060", "")


@given(NASTY)
def test_prose_is_one_paragraph_that_reads_as_the_text(text: str) -> None:
    html = READER.render(prose(text))
    assert set(re.findall(r"<(/?\w+)", html)) <= {"p", "/p"}
    assert shown(html).strip() == " ".join(text.split())


@given(NASTY)
def test_code_reads_as_the_text(text: str) -> None:
    html = READER.render(code(text))
    assert set(re.findall(r"<(/?\w+)", html)) <= {"p", "/p", "code", "/code"}
    assert shown(html).strip() == " ".join(text.split()).replace("|", "\\|")


@given(NASTY, NASTY)
def test_a_cell_holds_what_it_was_given_and_no_cell_more(one: str, other: str) -> None:
    html = READER.render(table(("a", "b"), [(prose(one), code(other))]))
    cells = re.findall(r"<td>(.*?)</td>", html, re.DOTALL)
    assert [shown(cell).strip() for cell in cells] == [" ".join(t.split()) for t in (one, other)]


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("see https://example.org", "see https\\://example.org"),
        ("www.example.org", "www\\.example.org"),
        ("@someone in #12", "@\u2060someone in \\#\u206012"),
        ("layer_1.conv", "layer_1.conv"),
        ("+4.9 points", "+4.9 points"),
        ("- a", "\\- a"),
        ("1. a", "1\\. a"),
        ("\x1b[31m", "\\\\x1b\\[31m"),
    ],
)
def test_what_would_become_a_link_or_a_list_is_defused_and_the_rest_left_alone(
    text: str, safe: str
) -> None:
    assert prose(text) == safe


def test_a_block_cannot_be_left_from_inside() -> None:
    html = READER.render(block("```\n<b>x</b>"))
    assert shown(html).strip() == "```\n<b>x</b>"
    assert html.count("<pre>") == 1


def test_a_folded_part_still_holds_a_table() -> None:
    html = READER.render(joined(["", folded("more", table(("a",), [("1",)])), bullets(["x", "y"])]))
    assert html.index("<details>") < html.index("<table>") < html.index("</details>")
    assert html.count("<li>") == 2
