"""Intervals that are about other rows: of one small test set, and over repeated splits."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fitwell.studies.statistics import other_rows_effect, paired_effect, repeated_splits_effect


def rows(studies: int) -> Iterator[str]:
    """Tell how often the interval for other rows holds the gain of all rows there are."""
    yield "| seeds | test rows | interval for other rows holds · is wide | that over seeds holds |"
    yield "|---|---|---|---|"
    for seeds in (5, 8, 16):
        for count in (30, 100, 300, 1000):
            held, plain, width = np.array(
                [_other_rows(seeds, count, number) for number in range(max(2, studies // 4))],
                dtype=float,
            ).mean(0)
            yield (
                f"| {seeds} | {count:,} | {100 * held:.1f} · {100 * width:.1f} points "
                f"| {100 * plain:.1f} |"
            )


def _other_rows(seeds: int, count: int, number: int) -> tuple[bool, bool, float]:
    """Whether either interval holds the mean gain of rows that gain 0 to 20 % of what is missed."""
    random = np.random.default_rng([seeds, count, number])
    chance = random.beta(0.9, 0.1, size=count)
    gain = 0.2 * random.random(count)
    truth = 0.1 * 0.1  # what is missed, and how much of it is gained, are independent
    before = (random.random((seeds, count)) < chance).astype(float)
    after = (random.random((seeds, count)) < chance + (1 - chance) * gain).astype(float)
    wide = other_rows_effect(before.tolist(), after.tolist(), higher_is_better=True)
    narrow = paired_effect(
        before.mean(1).tolist(), after.mean(1).tolist(), higher_is_better=True, step=1 / count
    )
    return (
        wide.low <= truth <= wide.high,
        narrow.low <= truth <= narrow.high,
        wide.high - wide.low,
    )


def splits(studies: int) -> Iterator[str]:
    """Tell how often intervals over repeated splits hold the gain over all sets of rows."""
    yield "| rows | splits 80:20 | corrected interval holds | plain interval holds |"
    yield "|---|---|---|---|"
    for count in (50, 200):
        for repeats in (5, 10, 30):
            truth = np.mean([_split_gains(count, 1, 10**6 + n)[0] for n in range(20 * studies)])
            held = []
            for number in range(studies):
                gains = _split_gains(count, repeats, number)
                nothing = [0.0] * repeats
                corrected = repeated_splits_effect(
                    nothing,
                    gains,
                    train_rows=4 * count // 5,
                    test_rows=count // 5,
                    higher_is_better=True,
                )
                plain = paired_effect(nothing, gains, higher_is_better=True)
                held.append([e.low <= truth <= e.high for e in (corrected, plain)])
            shares = " | ".join(f"{100 * share:.1f}" for share in np.mean(held, 0))
            yield f"| {count} | {repeats} | {shares} |"


def _split_gains(count: int, repeats: int, number: int) -> list[float]:
    """What ridge regression gains over least squares, in squared error, on splits of one sample."""
    random = np.random.default_rng([count, number])
    x = random.normal(size=(count, 10))
    y = x @ np.linspace(0, 0.5, 10) + random.normal(size=count)
    gains = []
    for _ in range(repeats):
        train, test = np.split(random.permutation(count), [4 * count // 5])
        moments, target = x[train].T @ x[train], x[train].T @ y[train]
        error = [
            np.square(y[test] - x[test] @ np.linalg.solve(moments + k * np.eye(10), target)).mean()
            for k in (0.0, 10.0)
        ]
        gains.append(float(error[0] - error[1]))
    return gains
