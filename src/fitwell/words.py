"""Sentences that are told in the reader's language: English as written, others from catalogues."""

from __future__ import annotations

import gettext
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any, final

from fitwell.errors import BadInput

LANGUAGES = ("en", "ko")
"""What reports can be written in."""
_CATALOGUES = Path(__file__).parent / "locale"
_language: ContextVar[str] = ContextVar("language", default="en")


@final
class Said(str):
    """A sentence in the language that was spoken when it was made, which can be told in another.

    It is a plain string for everyone who does not know better, JSON included.

    Args:
        text: The sentence.
        template: The English sentence with its places, as ``"{count} layers are dead"``; of a
            sentence with a plural, singular and plural.
        values: What stands at the places.
    """

    __slots__ = ("template", "values")

    template: tuple[str, ...]
    values: Mapping[str, Any]

    def __new__(cls, text: str, template: tuple[str, ...], values: Mapping[str, Any]) -> Said:
        """Make the sentence."""
        said = super().__new__(cls, text)
        said.template, said.values = template, values
        return said

    def __getnewargs__(self) -> tuple[Any, ...]:
        return (str(self), self.template, self.values)


def say(template: str, /, **values: Any) -> Said:
    """Return a sentence in the language that is spoken, its places filled with the values.

    The template is written out where it is said, so that it is found for the catalogues
    (``pybabel extract -k say``).

    Args:
        template: The English sentence, its places in braces: ``"Averaging {networks} networks"``.
        values: What stands at the places, formatted already; sentences that were said are told
            in the same language, other texts stay as they are.
    """
    return _said((template,), values, None)


def say_many(one: str, many: str, number: int, /, **values: Any) -> Said:
    """Return a sentence that depends on a number, which stands at its place ``{number}``.

    Args:
        one: The English sentence for one, as ``"{number} layer"``.
        many: The sentence for any other number.
        number: How many there are.
        values: As for :func:`say`.
    """
    return _said((one, many), {"number": f"{number:,}", **values}, number)


def together(texts: Sequence[str], between: str = " ") -> Said:
    """Return sentences one after another as one, each of them told in the language that is spoken.

    Args:
        texts: The sentences.
        between: What stands between them, in every language.
    """
    places = {f"part{number}": text for number, text in enumerate(texts)}
    return _said((between.join(f"{{{name}}}" for name in places),), places, None)


def enumerated(texts: Sequence[str]) -> Said:
    """Return names or sentences joined by "and"; there must be one."""
    joined = together(texts[:1])
    for text in texts[1:]:
        joined = say("{some} and {last}", some=joined, last=text)
    return joined


def told(text: str) -> str:
    """Return a text that was said in the language that is spoken.

    A plain text is looked up as it is, so that a sentence without places outlives a file; any other
    is returned as it is.
    """
    if not isinstance(text, Said):
        return _catalogue(_language.get()).gettext(text) if text else text
    number = text.values.get("number") if len(text.template) > 1 else None
    return _said(text.template, text.values, None if number is None else _whole(number))


def known_language(language: str) -> str:
    """Return a language that there is a catalogue for.

    Raises:
        BadInput: If there is none.
    """
    if language not in LANGUAGES:
        raise BadInput(f"A language is one of {', '.join(LANGUAGES)}; got {language!r}.")
    return language


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Speak a language inside.

    Raises:
        BadInput: If there is no catalogue for it.
    """
    token = _language.set(known_language(language))
    try:
        yield
    finally:
        _language.reset(token)


def spoken() -> str:
    """Return the language that is spoken: ``"en"`` unless inside :func:`speaking`."""
    return _language.get()


def _said(template: tuple[str, ...], values: Mapping[str, Any], number: int | None) -> Said:
    book = _catalogue(_language.get())
    if number is None:
        found = book.gettext(template[0])
    else:
        found = book.ngettext(template[0], template[-1], number)
    filled = {name: told(v) if isinstance(v, Said) else v for name, v in values.items()}
    return Said(found.format(**filled), template, values)


def _whole(number: str) -> int:
    return int(number.replace(",", ""))


@cache
def _catalogue(language: str) -> gettext.NullTranslations:
    if language == "en":
        return gettext.NullTranslations()
    return gettext.translation("fitwell", _CATALOGUES, [language])
