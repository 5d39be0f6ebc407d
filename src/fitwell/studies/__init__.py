"""Studies: the training loop, arms × seeds, many at once, statistics, search, store."""

from fitwell.studies.budget import Budget, parse_budget
from fitwell.studies.checking import check
from fitwell.studies.executor import Executor, InProcess, Processes
from fitwell.studies.learning_curve import learning_curve
from fitwell.studies.progress import Progress, Silent
from fitwell.studies.statistics import (
    ConfidenceSequence,
    holm,
    minimum_detectable_effect,
    other_rows_effect,
    paired_effect,
    repeated_splits_effect,
    sign_flip_p,
    verdict,
)
from fitwell.studies.study import Study, compare
from fitwell.studies.training import train

__all__ = [
    "Budget",
    "ConfidenceSequence",
    "Executor",
    "InProcess",
    "Processes",
    "Progress",
    "Silent",
    "Study",
    "check",
    "compare",
    "holm",
    "learning_curve",
    "minimum_detectable_effect",
    "other_rows_effect",
    "paired_effect",
    "parse_budget",
    "repeated_splits_effect",
    "sign_flip_p",
    "train",
    "verdict",
]
