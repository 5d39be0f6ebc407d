"""Which figures a page has, by the name that it places them by: pages and files draw the same."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from fitwell.records import (
    Anatomy,
    ArmRecord,
    ClaimRecord,
    CureRecord,
    Diagnosis,
    StudyRecord,
    Trace,
    WatchedProgram,
)
from fitwell.report.charts import (
    Figure,
    contributions_figure,
    course_figure,
    dead_figure,
    evidence_figure,
    gradient_figure,
    learning_figure,
    loss_figure,
    picture_figure,
    saturated_figure,
    scores_figure,
    update_figure,
    weights_figure,
)
from fitwell.report.network_svg import NetworkFigure, network_figure

Figures: TypeAlias = dict[str, Figure | None]
"""Figures in the order of their page; None where there is nothing to draw."""

Drawings: TypeAlias = dict[str, Figure | NetworkFigure | None]
"""Figures and the network, for files."""


def cure_figures(record: CureRecord) -> Figures:
    """Return the figures of a cure."""
    task, proof = record.task, record.proof
    return {
        **_measured(record.trace, record.diagnosis),
        "losses": loss_figure(task, drawn_arms(record)),
        "contributions": contributions_figure(task, record.contributions),
        "scores": scores_figure(task, proof.arms if proof is not None else ()),
        "weights": weights_figure(record.weights) if record.tested else None,
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


def watched_figures(program: WatchedProgram) -> Figures:
    """Return the figures of every network that a program trained, of those that ail alike once."""
    return {
        f"{group[0].name}-{name}": figure
        for group in program.groups()
        for name, figure in diagnosis_figures(group[0].trace, group[0].diagnosis).items()
    }


def cure_drawings(record: CureRecord) -> Drawings:
    """Return the figures of a cure with the network, its treated places marked."""
    changes = record.proof.arms[-1].changes if record.proof is not None else ()
    network = network_figure(record.task.anatomy, record.diagnosis, changes)
    return {"network": network, **cure_figures(record)}


def study_drawings(record: StudyRecord) -> Drawings:
    """Return the figures of a comparison with the network, its treated places marked."""
    changes = [change for arm in record.arms for change in arm.changes]
    network = network_figure(record.task.anatomy, Diagnosis(), changes)
    return {"network": network, **study_figures(record)}


def diagnosis_drawings(diagnosis: Diagnosis, trace: Trace, anatomy: Anatomy | None) -> Drawings:
    """Return the figures of one run under watch with the network, where it is known."""
    return {"network": network_figure(anatomy, diagnosis), **diagnosis_figures(trace, diagnosis)}


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
