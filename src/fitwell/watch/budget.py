"""How much time watching may take, and which steps it can afford."""

from __future__ import annotations

import math
from collections import deque
from contextlib import AbstractContextManager
from enum import IntEnum
from statistics import median
from time import perf_counter
from types import TracebackType
from typing import final

DENSE_STEPS = 21
"""With ``every``, steps 0 to 20 are always sampled: explosions and dead starts show there
(``design.md`` measured that warm-up windows miss explosions at step 0)."""

HORIZON = 200
"""A run is taken to last so many steps at least: what it may spend on them can be spent on the
first ones, where initial troubles show."""

FREE = 0.005
"""Seconds that may be spent whatever the share: a run of tiny steps would else not be looked at
before it is over, and nobody misses them."""

DENSELY = 0.5
"""Seconds that a watch with a dense start may spend whatever the share: of a script that somebody
waits for, a diagnosis is wanted even where it is over in a second."""

_DENSE_GROWTH = 1.25
"""Ratio of the sampled steps one after another behind a dense start, as long as that time lasts."""

_FIRST = 6
"""Steps 0 to 5 are read in any case, cheaply at least: troubles at the start show there, and
whether a loop clears its gradients shows in steps that follow one another."""

_GRADIENTS_SHARE = 0.3
"""Share of the allowance that goes to cheap readings, which are to be frequent."""

_GROWTH = 1.6
"""Ratio of the steps that are sampled in full one after another, in the first ``HORIZON``."""

_TIMED = 9
"""So many unsampled steps before a sampled one are timed, to tell what it cost by comparison."""

_DISPATCH = 1.5e-6
"""Seconds that torch takes to call a hook, beside what the hook does: measured on a module with and
without a hook that does nothing, median of five times 200,000 calls."""

_UNTIMED = 2 * _DISPATCH
"""Seconds a step for the permanent hooks that are too short to be timed: two are on the network."""

_STANDING_SHARE = 0.3
"""Share of the allowance that reading the loss may take; beyond, some steps are left out."""

_LEAST_SHARE = 0.1
"""Share of the allowance that full readings get even where the others take it up."""

_FIRST_GUESS = 1e-4
"""Seconds that a cheap reading is taken to cost before one was made."""

_ENOUGH = 3
"""So many unsampled steps tell how long one takes."""


class Level(IntEnum):
    """How much is read in a step."""

    NOTHING = 0
    GRADIENTS = 1
    EVERYTHING = 2


@final
class Budget:
    """Measures its own time and that of the steps, and says what to read in which step.

    What a sampled step cost is what was timed around everything that was done in it, and by how
    much it lasted longer than that and than the unsampled steps before it (memory, caches, the
    slower way in which torch calls a module with hooks): the median over recent such steps. Time
    between steps, as an evaluation, earns nothing, so that no burst of samples follows it.

    Args:
        overhead: Share of the run's time that may be spent, in (0, 1]; 1 samples every step.
        every: Sample every so many steps instead, and read no clock for it.
        dense: Sample steps 0 to 20 in any case, and the next ones for ``DENSELY`` seconds; what
            that took beyond the share is earned again by later steps.
    """

    def __init__(self, overhead: float, every: int | None = None, *, dense: bool = False) -> None:
        self._overhead, self._every, self._dense = overhead, every, dense
        self._own = _Stopwatch()
        self._began = self._last = perf_counter()
        self._ended: float | None = None
        self._before = 0.0
        self._steps = 0
        self._asleep = False
        self._prices = {level: _Price() for level in Level}
        self._bare: deque[float] = deque(maxlen=_TIMED)
        self._least = math.inf
        self._standing: deque[float] = deque(maxlen=_TIMED)
        self._next = {Level.GRADIENTS: 1, Level.EVERYTHING: 1}
        self.wake = 0
        self.stride = 1

    def begin(self) -> None:
        """Start the clock of the run; a run that is taken up again goes on with what it had."""
        self._last = perf_counter()
        if self._ended is not None:
            self._began += self._last - self._ended
            self._ended = None
        elif not self._own.entries:
            self._began = self._last

    def spending(self) -> AbstractContextManager[None]:
        """Count the time inside as spent on watching."""
        return self._own

    def level(self, step: int) -> Level:
        """Return what is to be read in a step."""
        if step == 0 or self.every_step:
            return Level.EVERYTHING
        if self._every is not None:
            sampled = step < DENSE_STEPS or step % self._every == 0
            return Level.EVERYTHING if sampled else Level.NOTHING
        for level in (Level.EVERYTHING, Level.GRADIENTS):
            if step >= self._next[level]:
                return level
        return Level.NOTHING

    @property
    def every_step(self) -> bool:
        """Whether every step is sampled."""
        return self._every is None and self._overhead >= 1.0

    def step_done(self, step: int, level: Level) -> None:
        """Note that an optimizer step has ended, in which so much was read.

        It must be called for every step from ``wake`` on, and need not be called before.
        """
        now = perf_counter()
        spent = self._own.total
        took, own = now - self._last, spent - self._before
        self._last, self._before, self._steps = now, spent, step + 1
        if self._asleep:
            self._asleep = False
        elif level == Level.NOTHING:
            self._bare.append(took - own)
            self._standing.append(own)
        else:
            self._least = min(self._least, took - own)
            usual = median(self._bare) if len(self._bare) >= _ENOUGH else None
            self._prices[level].add(own, None if usual is None else took - own - usual)
        if self._every is not None or self.every_step:
            return
        if level != Level.NOTHING:
            self._plan(step)
            if self._dense:
                self._plan_densely(step)
        self.wake = max(step + 1, min(self._next.values()) - _TIMED - 1)
        self._asleep = self.wake > step + 1

    def _plan(self, step: int) -> None:
        """Choose the next steps that are sampled."""
        per_step = self._overhead * self._typical
        standing = median(self._standing) if self._standing else 0.0
        standing += _UNTIMED
        cheap = self._prices[Level.GRADIENTS].usual or _FIRST_GUESS
        apart = max(1, math.ceil(cheap / (_GRADIENTS_SHARE * per_step)))
        if step + 1 >= HORIZON and self.stride == 1:
            self.stride = max(1, math.ceil(standing / (_STANDING_SHARE * per_step)))
        if self._next[Level.GRADIENTS] <= step:
            self._next[Level.GRADIENTS] = step + (1 if step + 1 < _FIRST else apart)
        if self._next[Level.EVERYTHING] > step:
            return
        full = self._prices[Level.EVERYTHING].usual
        left = max(0, HORIZON - step - 1)
        regular = standing + cheap / apart
        allowed = per_step * max(step + 1, HORIZON) - left * regular
        missing = self.spent + full - max(allowed, FREE)
        if missing <= 0:
            grown = math.ceil(_GROWTH * step) if left else step + 1
            self._next[Level.EVERYTHING] = max(step + 1, grown)
        else:
            rate = max(per_step - regular, _LEAST_SHARE * per_step)
            self._next[Level.EVERYTHING] = step + left + max(1, math.ceil(missing / rate))

    def _plan_densely(self, step: int) -> None:
        """Bring the next sampled step forward, at the start and while there is time for it."""
        following = step + 1
        if following >= DENSE_STEPS:
            if self.spent > DENSELY:
                return
            following = max(following, math.ceil(_DENSE_GROWTH * step))
        self._next[Level.EVERYTHING] = min(self._next[Level.EVERYTHING], following)

    @property
    def _typical(self) -> float:
        """How long a step takes that is not sampled."""
        return max(1e-6, median(self._bare) if len(self._bare) >= _ENOUGH else self._least)

    def end(self) -> None:
        """Stop the clock of the run."""
        self._ended = perf_counter()

    @property
    def spent(self) -> float:
        """Seconds that watching has taken so far."""
        beside = sum(price.beside for price in self._prices.values())
        return self._own.total + self._own.entries * _DISPATCH + self._steps * _UNTIMED + beside

    @property
    def share(self) -> float:
        """Time spent on watching over the time of the run so far, in [0, 1]."""
        elapsed = (self._ended or perf_counter()) - self._began
        return min(1.0, self.spent / elapsed) if elapsed > 0 else 0.0


@final
class _Price:
    """What steps sampled alike have cost.

    Attributes:
        usual: What one more will cost.
        beside: What all of them have cost beside what was timed.
    """

    def __init__(self) -> None:
        self.usual = self.beside = 0.0
        self._excess: deque[float] = deque(maxlen=_TIMED)
        self._unpriced = 0

    def add(self, own: float, excess: float | None) -> None:
        """Note a step.

        Args:
            own: What was timed.
            excess: How much longer than other steps it took beside that, if it can be told.
        """
        self._unpriced += 1
        hidden = 0.0
        if excess is not None:
            self._excess.append(excess)
        if self._excess:
            hidden = max(0.0, median(self._excess))
            self.beside += hidden * self._unpriced
            self._unpriced = 0
        price = own + hidden
        self.usual = 0.7 * min(self.usual, 2 * price) + 0.3 * price if self.usual else price


@final
class _Stopwatch:
    """Context manager that adds up the time inside; it may be entered within itself.

    Attributes:
        total: Seconds so far.
        entries: How often it was entered.
    """

    __slots__ = ("_began", "_depth", "entries", "total")

    def __init__(self) -> None:
        self.total = self._began = 0.0
        self.entries = self._depth = 0

    def __enter__(self) -> None:
        self.entries += 1
        if not self._depth:
            self._began = perf_counter()
        self._depth += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._depth -= 1
        if not self._depth:
            self.total += perf_counter() - self._began
