"""The main job, told in one page of code: :mod:`fitwell.cure.job`."""

from fitwell.cure.job import cure
from fitwell.cure.result import Cure

__all__ = ["Cure", "cure"]
