"""Studies: the training loop, arms × seeds, many at once, statistics, search, store."""

from fitwell.studies.budget import Budget, parse_budget
from fitwell.studies.checking import check
from fitwell.studies.executor import Executor, InProcess, Processes
from fitwell.studies.learning_curve import learning_curve
from fitwell.studies.progress import Progress, Silent
from fitwell.studies.statistics import holm, paired_effect, verdict
from fitwell.studies.study import Study, compare
from fitwell.studies.training import train

__all__ = [
    "Budget",
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
    "paired_effect",
    "parse_budget",
    "train",
    "verdict",
]
