"""How much time watching may take, and which steps it can afford."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import final

DENSE_STEPS = 21
"""Steps 0 to 20 are always sampled: explosions and dead starts show there (``design.md`` measured
that warm-up windows miss explosions at step 0)."""

_TYPICAL = 4.0
"""A pause of more than this many typical steps, as an evaluation, earns no sampling in a burst."""


@final
class Budget:
    """Measures its own time and that of the steps, and allows a sample where the share permits.

    After the dense start, a step is sampled if what was spent since then plus the cost of one
    more sample stays within ``overhead`` times the duration of the steps since then.

    Args:
        overhead: Share of the run's time that may be spent, in (0, 1]; 1 samples every step.
        every: Sample every so many steps instead, and read no clock for it.
    """

    def __init__(self, overhead: float, every: int | None = None) -> None:
        self._overhead, self._every = overhead, every
        self._began = self._last = perf_counter()
        self._ended: float | None = None
        self._spent = self._spent_before = self._spent_dense = 0.0
        self._sample_cost = 0.0
        self._typical = 0.0
        self._stepping = 0.0

    def begin(self) -> None:
        """Start the clock of the run; a run that is taken up again goes on with what it had."""
        self._last = perf_counter()
        if self._ended is not None:
            self._began += self._last - self._ended
            self._ended = None
        elif not self._spent:
            self._began = self._last

    @contextmanager
    def spending(self) -> Iterator[None]:
        """Count the time inside as spent on watching."""
        began = perf_counter()
        try:
            yield
        finally:
            self._spent += perf_counter() - began

    def step_done(self, step: int, *, sampled: bool) -> None:
        """Note that an optimizer step has ended."""
        now = perf_counter()
        took, self._last = now - self._last, now
        own, self._spent_before = self._spent - self._spent_before, self._spent
        if sampled:
            self._sample_cost = (
                own if not self._sample_cost else 0.7 * self._sample_cost + 0.3 * own
            )
        bare = took - own
        self._typical = (
            bare if not self._typical else min(0.9 * self._typical + 0.1 * bare, 2 * bare)
        )
        if step < DENSE_STEPS:
            self._spent_dense = self._spent
        else:
            self._stepping += min(took, _TYPICAL * self._typical)

    def allows(self, step: int) -> bool:
        """Whether a step is to be sampled."""
        if step < DENSE_STEPS or self._overhead >= 1.0:
            return True
        if self._every is not None:
            return step % self._every == 0
        spent = self._spent - self._spent_dense + self._sample_cost
        return spent <= self._overhead * self._stepping

    def end(self) -> None:
        """Stop the clock of the run."""
        self._ended = perf_counter()

    @property
    def share(self) -> float:
        """Time spent on watching over the time of the run so far, in [0, 1]."""
        elapsed = (self._ended or perf_counter()) - self._began
        return min(1.0, self._spent / elapsed) if elapsed > 0 else 0.0
