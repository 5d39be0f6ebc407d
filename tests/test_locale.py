"""The Korean catalogue: whole, of one meaning with the English, and compiled."""

from __future__ import annotations

import configparser
import io
import re
import warnings
from functools import cache
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

import fitwell

PACKAGE = Path(fitwell.__file__).parent
LOCALE = PACKAGE / "locale"
TEXTS = LOCALE / "ko" / "LC_MESSAGES" / "fitwell.po"
KEYWORDS = {"say": None, "say_many": (1, 2)}

SAME_IN_BOTH = {"L1", "L2", "MNIST", "R²", "ReLU", "Leaky ReLU", "tanh", "x", "λ"}
"""Names that Korean textbooks write as English ones do; sentences of places alone are others."""

SIGNS_IN_KOREAN = {
    "tanh at |x| < 1",
    "tanh at |x| > 10",
    "{arm} larger than {than}",
    "{arm} smaller than {than}",
    "{kind}, {parameters}; {steps} of {optimizer}",
    "{least} to {most}",
    "{low} to {high}",
    "{number} points",
    "{some} and {last}",
}
"""Texts whose words are signs or commas in Korean."""

PLACE = re.compile(r"\{(\w*)\}")
PARTICLE = re.compile(r"\{(?!share|left)\w+\}(은|는|이|가|을|를|과|와|로|으로|나|이나)(?![가-힣])")
"""A particle whose form hangs on the last letter of what stands at the place; shares end in "%"."""


@cache
def messages() -> tuple[Message, ...]:
    catalogue = read_po(io.BytesIO(TEXTS.read_bytes()), locale="ko")
    return tuple(message for message in catalogue if message.id)


@cache
def said() -> dict[str, str]:
    """First form of every text that is said in the code -> the file that says it."""
    mapping = configparser.RawConfigParser()
    mapping.read(LOCALE / "babel.cfg", encoding="utf-8")
    methods, options = [], {}
    for section in mapping.sections():
        method, pattern = section.split(":", 1)
        methods.append((pattern.strip(), method))
        options[pattern.strip()] = dict(mapping.items(section))
    found: dict[str, str] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for file, _, text, *_ in extract_from_dir(PACKAGE, methods, options, keywords=KEYWORDS):
            found[text if isinstance(text, str) else text[0]] = file
    return found


def english(message: Message) -> tuple[str, ...]:
    return (message.id,) if isinstance(message.id, str) else tuple(message.id)


def korean(message: Message) -> str:
    return message.string if isinstance(message.string, str) else message.string[0]


def places(text: str) -> set[str]:
    return set(PLACE.findall(text))


def test_every_text_that_is_said_has_its_korean() -> None:
    known = {english(message)[0] for message in messages() if korean(message)}
    assert len(said()) > 1000
    assert {text: file for text, file in said().items() if text not in known} == {}


def test_no_text_of_the_catalogue_is_left_over_or_doubtful() -> None:
    catalogue = read_po(io.BytesIO(TEXTS.read_bytes()), locale="ko")
    assert catalogue.obsolete == {}
    assert [message.id for message in messages() if message.fuzzy] == []
    assert [m.id for m in messages() if english(m)[0] not in said()] == []


def test_the_same_stands_at_the_places_of_both_languages() -> None:
    wrong = [
        message.id
        for message in messages()
        if places(korean(message)) - {"number"} != places(english(message)[-1]) - {"number"}
    ]
    assert wrong == []


def test_every_text_is_korean() -> None:
    same = [
        text
        for message in messages()
        for text in english(message)
        if not re.search("[가-힣]", korean(message))
        and text not in SAME_IN_BOTH
        and text not in SIGNS_IN_KOREAN
        and re.search("[A-Za-z]{2}", PLACE.sub("", text))
    ]
    assert same == []


def test_no_particle_hangs_on_what_stands_at_a_place() -> None:
    assert [m.id for m in messages() if PARTICLE.search(korean(m))] == []


def test_the_compiled_catalogue_is_what_the_texts_compile_to() -> None:
    catalogue: Catalog = read_po(io.BytesIO(TEXTS.read_bytes()), locale="ko")
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    assert TEXTS.with_suffix(".mo").read_bytes() == compiled.getvalue(), "run `make texts`"
