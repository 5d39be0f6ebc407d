"""Many runs of one structure trained as one program, each as if it were alone."""

from fitwell.studies.stacked.fitting import fit_stacked
from fitwell.studies.stacked.program import Unstackable
from fitwell.studies.stacked.structure import stackable, structure

__all__ = ["Unstackable", "fit_stacked", "stackable", "structure"]
