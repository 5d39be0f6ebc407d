"""A probe for what changes slowly: it need not be read in every sampled step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Self, final

from fitwell.interfaces import Probe, Reading

_EARLY = frozenset({0, 1, 2, 3, 5, 8, 13, 20})
_EVERY = 8


@final
class Rarely(Probe):
    """Enters another probe at some of the times that it is entered itself.

    These are the 1st to 4th, the 6th, 9th, 14th and 21st time, and every eighth from then on:
    scales of inputs and targets, or whether gradients are cleared, show in the first steps and
    seldom change.

    Args:
        probe: The one that is to be spared.
    """

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self._times = 0
        self._standing = False

    def __enter__(self) -> Self:
        times, self._times = self._times, self._times + 1
        if times in _EARLY or (times > max(_EARLY) and times % _EVERY == 0):
            self._probe.__enter__()
            self._standing = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._standing:
            self._standing = False
            self._probe.__exit__(kind, error, traceback)

    def before_update(self) -> None:
        """Hand on, in a step that is read."""
        if self._standing:
            self._probe.before_update()

    def after_update(self) -> None:
        """Hand on, in a step that is read."""
        if self._standing:
            self._probe.after_update()

    def readings(self) -> Iterable[Reading]:
        """Return what the probe read; nothing in a step that it was spared."""
        return self._probe.readings() if self._standing else ()

    def facts(self) -> Mapping[str, Any]:
        """Return what the probe has found out so far; nothing in a step that it was spared."""
        return self._probe.facts() if self._standing else {}
