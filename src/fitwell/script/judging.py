"""From what was recorded to what is said of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from fitwell.prescribe import diagnose
from fitwell.records import Diagnosis, Recorded, WatchedModel, WatchedProgram
from fitwell.records.watched import unique_names
from fitwell.script.program import Ended, Program
from fitwell.words import Said, say


def judged(
    program: Program, ended: Ended, recorded: Sequence[Recorded], mute: Collection[str] = ()
) -> WatchedProgram:
    """Diagnose every network that a program trained.

    Args:
        program: What ran.
        ended: How it ended.
        recorded: What was recorded, one entry a network; one that made no step and met no error
            was called and not trained, and is left out.
        mute: Conditions not to look for.
    """
    trained = seen_to_train(recorded)
    names = unique_names([one.name for one in trained])
    models = tuple(
        WatchedModel(
            name=name,
            kind=one.kind,
            parameters=one.parameters,
            optimizer=one.optimizer,
            steps=one.steps,
            diagnosis=_for_a_script(diagnose(one.trace, mute=mute)),
            cost=one.cost,
            trace=one.trace,
        )
        for name, one in zip(names, trained, strict=True)
    )
    return WatchedProgram(program.name, ended.code, models)


def seen_to_train(recorded: Sequence[Recorded]) -> list[Recorded]:
    """Return what made a step, or was ended by an error before its first."""
    return [one for one in recorded if one.steps or one.trace.facts.error]


def _for_a_script(diagnosis: Diagnosis) -> Diagnosis:
    """Say what was missing, without what to pass to a watch: a script under watch holds none."""
    return replace(diagnosis, unjudged=tuple(map(_without_hint, diagnosis.unjudged)))


def _without_hint(text: str) -> str:
    if isinstance(text, Said) and "missing" in text.values:
        return say("{missing}.", missing=text.values["missing"])
    return text
