from __future__ import annotations

from types import SimpleNamespace

from fitwell.records import RemedySpec, RunRecord, Score
from fitwell.studies.candidates import Candidate
from fitwell.studies.search import SEARCH_SEEDS, Race

GOOD, CLOSE, BAD = (Candidate((RemedySpec(name),)) for name in ("Augment", "Dropout", "L2"))


def raced(scores: dict[Candidate, list[float]]) -> Race:
    task = SimpleNamespace(
        higher_is_better=True, metric_name="accuracy", data=SimpleNamespace(validation=range(1000))
    )
    race = Race(SimpleNamespace(task=task))
    for candidate, metrics in scores.items():
        for seed, metric in zip(SEARCH_SEEDS, metrics, strict=False):
            score = Score(metric, 1 - metric)
            race.runs.setdefault(candidate, {})[seed] = RunRecord(
                "", seed, 1.0, 1, 0, False, score, None, 1.0, 1
            )
    return race


def test_who_is_far_behind_on_three_seeds_is_beaten():
    race = raced({GOOD: [0.9, 0.91, 0.9], CLOSE: [0.89, 0.92, 0.9], BAD: [0.6, 0.61, 0.6]})
    assert race.unbeaten([GOOD, CLOSE, BAD]) == (GOOD, CLOSE)


def test_on_two_seeds_nobody_is_beaten():
    race = raced({GOOD: [0.9, 0.91], BAD: [0.6, 0.61]})
    assert race.unbeaten([BAD, GOOD]) == (BAD, GOOD)


def test_candidates_are_compared_on_the_seeds_that_all_have():
    race = raced({GOOD: [0.9, 0.91, 0.9], BAD: [0.6, 0.61, 0.6, 0.6]})
    del race.runs[GOOD][SEARCH_SEEDS[0]]
    assert race.unbeaten([GOOD, BAD, CLOSE]) == (GOOD, BAD, CLOSE)
