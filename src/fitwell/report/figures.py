"""Which figures a page has, by the name that it places them by: pages and files draw the same."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from fitwell.records import ArmRecord, ClaimRecord, CureRecord, Diagnosis, StudyRecord, Trace
from fitwell.report.charts import (
    Figure,
    contributions_figure,
    dead_figure,
    evidence_figure,
    gradient_figure,
    learning_figure,
    loss_figure,
    picture_figure,
    saturated_figure,
    scores_figure,
)

Figures: TypeAlias = dict[str, Figure | None]
"""Figures in the order of their page; None where there is nothing to draw."""


def cure_figures(record: CureRecord) -> Figures:
    """Return the figures of a cure."""
    task, proof = record.task, record.proof
    return {
        **diagnosis_figures(record.trace, record.diagnosis),
        "losses": loss_figure(task, drawn_arms(record)),
        "contributions": contributions_figure(task, record.contributions),
        "scores": scores_figure(task, proof.arms if proof is not None else ()),
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
    return {
        "gradients": gradient_figure(trace, diagnosis),
        "dead": dead_figure(trace, diagnosis),
        "saturated": saturated_figure(trace, diagnosis),
    }


def claim_figures(record: ClaimRecord) -> Figures:
    """Return the figures of a claim: its pictures, then the evidence, one figure a measure."""
    measures = dict.fromkeys(answer.measure for answer in record.answers)
    figures = (
        *map(picture_figure, record.measured.pictures),
        *(evidence_figure(record, measure) for measure in measures),
    )
    return {f"{record.name}-{place}": figure for place, figure in enumerate(figures, start=1)}


def claims_figures(records: Iterable[ClaimRecord]) -> Figures:
    """Return the figures of claims, one after another."""
    return {key: figure for record in records for key, figure in claim_figures(record).items()}


def drawn_arms(record: CureRecord) -> tuple[ArmRecord, ...]:
    """Return untreated and treated runs of the proof, or the untreated ones where none was made."""
    if record.proof is not None:
        return (record.proof.arms[0], record.proof.arms[-1])
    return (ArmRecord("untreated", (), 1.0, record.baseline),)
