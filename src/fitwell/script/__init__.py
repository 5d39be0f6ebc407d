"""Run somebody's training script as Python would, and watch what it trains."""

from fitwell.script.judging import judged, seen_to_train
from fitwell.script.program import Ended, Program
from fitwell.script.watcher import Watcher

__all__ = ["Ended", "Program", "Watcher", "judged", "seen_to_train"]
