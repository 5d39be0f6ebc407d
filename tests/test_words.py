"""Sentences that are told in the reader's language."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle

import pytest

from fitwell.errors import BadInput
from fitwell.words import (
    LANGUAGES,
    Said,
    enumerated,
    known_language,
    say,
    say_many,
    speaking,
    spoken,
    together,
    told,
)


@dataclasses.dataclass
class Note:
    text: str


def in_korean(text: str) -> str:
    with speaking("ko"):
        return told(text)


def test_english_is_spoken_unless_another_language_is_asked_for() -> None:
    assert spoken() == "en"
    with speaking("ko"):
        assert spoken() == "ko"
    assert spoken() == "en"


def test_a_language_without_a_catalogue_is_refused_in_one_line() -> None:
    for refuse in (known_language, lambda language: speaking(language).__enter__()):
        with pytest.raises(BadInput, match=r"^A language is one of en, ko; got 'fr'\.$"):
            refuse("fr")
    assert [known_language(language) for language in LANGUAGES] == list(LANGUAGES)


def test_what_was_said_in_one_language_is_told_in_another() -> None:
    said = say("the loss ends at {times} times that of a constant guess.", times="2.5")
    assert said == "the loss ends at 2.5 times that of a constant guess."
    assert in_korean(said) == "손실은 상수 예측의 2.5배로 끝납니다."
    with speaking("ko"):
        korean = say("{number} points", number="+4.9")
    assert (korean, told(korean)) == ("+4.9%p", "+4.9 points")


def test_what_stands_in_a_sentence_is_told_with_it() -> None:
    said = say(
        "{metric} on test {score}",
        metric=say("balanced accuracy"),
        score=say("not a number"),
    )
    assert said == "balanced accuracy on test not a number"
    assert in_korean(said) == "테스트 균형 정확도 수가 아님"


def test_names_that_look_like_words_stay_as_they_are() -> None:
    said = say("in {layers}", layers="loss")
    assert in_korean("loss") == "손실"
    assert in_korean(said) == "loss에서"


@pytest.mark.parametrize(
    ("number", "english", "korean"),
    [(1, "1 run", "실행 1개"), (0, "0 runs", "실행 0개"), (1200, "1,200 runs", "실행 1,200개")],
)
def test_one_thing_is_singular_and_many_are_plural(number: int, english: str, korean: str) -> None:
    said = say_many("{number} run", "{number} runs", number)
    assert (said, in_korean(said)) == (english, korean)


def test_sentences_put_together_are_each_told() -> None:
    both = together([say("nothing was learned"), "as it is"], "; ")
    assert both == "nothing was learned; as it is"
    assert in_korean(both) == "아무것도 배우지 못했습니다; as it is"
    some = enumerated([say("inputs"), say("targets"), say("rows")])
    assert (some, in_korean(some)) == ("inputs and targets and rows", "입력, 타깃, 행")
    assert enumerated(["one"]) == "one"


@pytest.mark.parametrize(
    "copied",
    [
        lambda said: pickle.loads(pickle.dumps(said)),
        copy.copy,
        copy.deepcopy,
        lambda said: dataclasses.asdict(Note(said))["text"],
    ],
)
def test_a_sentence_stays_one_through_every_copy(copied) -> None:
    said = copied(say("{low} to {high}", low=say("infinite"), high="2"))
    assert isinstance(said, Said)
    assert (said, in_korean(said)) == ("infinite to 2", "무한대 ~ 2")


def test_a_plain_text_is_looked_up_and_data_hold_plain_text() -> None:
    read = json.loads(json.dumps(say("Only the untreated network was trained.")))
    assert type(read) is str
    assert in_korean(read) == "처방 없는 신경망만 훈련했습니다."
    assert (in_korean(""), in_korean("fc1.weight")) == ("", "fc1.weight")
