"""fitwell makes neural networks train well.

It says what is wrong with a training run, applies the remedy to the user's own model, and proves by
controlled experiment, on data kept aside, which remedies helped.
"""

from fitwell import remedies
from fitwell.cure import Cure, cure
from fitwell.errors import FitwellError, NotApplicable, TrainingStopped
from fitwell.monte_carlo import MonteCarlo, monte_carlo
from fitwell.preflight import preflight
from fitwell.recipe import Recipe, Treated
from fitwell.records import Diagnosis, Finding, LearningCurve, RemedySpec, Trace, Verdict
from fitwell.studies import Study, compare, learning_curve
from fitwell.tasks import Task
from fitwell.watch import watch

__version__ = "0.1.0"

__all__ = [
    "Cure",
    "Diagnosis",
    "Finding",
    "FitwellError",
    "LearningCurve",
    "MonteCarlo",
    "NotApplicable",
    "Recipe",
    "RemedySpec",
    "Study",
    "Task",
    "Trace",
    "TrainingStopped",
    "Treated",
    "Verdict",
    "compare",
    "cure",
    "learning_curve",
    "monte_carlo",
    "preflight",
    "remedies",
    "watch",
]
