"""Every claim has all that a page of claims shows, and expects what it measures."""

import ast
import importlib
import re
from inspect import getsource

import pytest

from fitwell.claims import claims
from fitwell.words import Said

MOST_LINES = 75
"""Lines of a claim's file that say something: code without imports, blank lines and snippets."""
CLAIMS = [pytest.param(claim, id=claim.name) for claim in claims()]


def test_numbers_and_names_are_the_claims_own():
    numbers = [claim.number for claim in claims()]
    names = [claim.name for claim in claims()]
    assert numbers == sorted(set(numbers))
    assert set(numbers) <= set(range(1, 31))
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_name_can_be_typed(claim):
    assert re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", claim.name)


@pytest.mark.parametrize("claim", CLAIMS)
def test_every_text_is_there_and_can_be_told_in_another_language(claim):
    for text in (claim.title, claim.question, claim.data, claim.explanation):
        assert isinstance(text, Said)
        assert text.strip() == text != ""
    assert claim.formula
    assert claim.torch.strip()
    assert claim.keras.strip()
    assert claim.question.endswith("?")
    assert not claim.title.endswith(".")


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_claim_is_measured_on_eight_seeds_at_least(claim):
    assert claim.seeds >= 8


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_claim_expects_something(claim):
    assert claim.expects


@pytest.mark.parametrize("claim", CLAIMS)
def test_the_file_of_a_claim_is_short_and_named_by_its_number(claim):
    module = importlib.import_module(claim.experiment.__module__)
    source = getsource(module)
    assert module.__name__.rpartition(".")[2].startswith(f"c{claim.number:02d}_")
    assert told_lines(source) <= MOST_LINES


def told_lines(source):
    """Count the lines that are neither blank, import, docstring of the file, nor snippet."""
    left_out = set()
    for node in ast.walk(ast.parse(source)):
        snippet = isinstance(node, ast.keyword) and node.arg in ("torch", "keras")
        if snippet or isinstance(node, ast.Import | ast.ImportFrom):
            left_out |= set(range(node.lineno, node.end_lineno + 1))
    lines = source.splitlines()
    return sum(bool(line.strip()) and n not in left_out for n, line in enumerate(lines, 1))


@pytest.mark.slow
@pytest.mark.parametrize("claim", CLAIMS)
def test_what_is_expected_is_measured_and_drawn(claim):
    measured = claim.experiment((0, 1))
    assert measured.pictures
    for expected in claim.expects:
        arms = measured.values[expected.of]
        other = getattr(expected, "than", None) if hasattr(expected, "than") else expected.to
        assert expected.arm in arms
        assert not isinstance(other, str) or other in arms
    for arms in measured.values.values():
        assert all(len(values) == 2 for values in arms.values())
    for texts in (measured.values, *measured.values.values()):
        assert all(isinstance(text, Said) for text in texts)
