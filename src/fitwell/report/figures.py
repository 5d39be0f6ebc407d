"""Which figures a page has, by the name that it places them by: pages and files draw the same."""

from __future__ import annotations

from typing import TypeAlias

from fitwell.records import ArmRecord, CureRecord, Diagnosis, StudyRecord, Trace
from fitwell.report.charts import (
    Figure,
    contributions_figure,
    course_figure,
    dead_figure,
    gradient_figure,
    learning_figure,
    loss_figure,
    saturated_figure,
    scores_figure,
    update_figure,
    weights_figure,
)

Figures: TypeAlias = dict[str, Figure | None]
"""Figures in the order of their page; None where there is nothing to draw."""


def cure_figures(record: CureRecord) -> Figures:
    """Return the figures of a cure."""
    task, proof = record.task, record.proof
    return {
        **_measured(record.trace, record.diagnosis),
        "losses": loss_figure(task, drawn_arms(record)),
        "contributions": contributions_figure(task, record.contributions),
        "scores": scores_figure(task, proof.arms if proof is not None else ()),
        "weights": weights_figure(record.weights),
        "curve": learning_figure(record.learning_curve) if record.learning_curve else None,
    }


def study_figures(record: StudyRecord) -> Figures:
    """Return the figures of a comparison."""
    return {
        "scores": scores_figure(record.task, record.arms),
        "losses": loss_figure(record.task, record.arms),
    }


def diagnosis_figures(trace: Trace, diagnosis: Diagnosis) -> Figures:
    """Return the figures of one run under watch, with what its findings are about outlined."""
    return {"course": course_figure(trace), **_measured(trace, diagnosis)}


def _measured(trace: Trace, diagnosis: Diagnosis) -> Figures:
    return {
        "gradients": gradient_figure(trace, diagnosis),
        "dead": dead_figure(trace, diagnosis),
        "saturated": saturated_figure(trace, diagnosis),
        "updates": update_figure(trace),
    }


def drawn_arms(record: CureRecord) -> tuple[ArmRecord, ...]:
    """Return untreated and treated runs of the proof, or the untreated ones where none was made."""
    if record.proof is not None:
        return (record.proof.arms[0], record.proof.arms[-1])
    return (ArmRecord("untreated", (), 1.0, record.baseline),)
