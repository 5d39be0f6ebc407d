"""Attach the probes to a live training run, sample within a budget of time, diagnose."""

from fitwell.watch.session import Watch, watch

__all__ = ["Watch", "watch"]
