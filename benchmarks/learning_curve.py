"""How well a learning curve foretells: the score on all rows, predicted from a part of them.

    .venv/bin/python benchmarks/learning_curve.py [--tasks TASK …] [--seeds 3] [--repeats 3]

Each built-in task is trained on nested subsets, by several sets of seeds that have none in
common. From the three largest sizes up to 50 % (25 %), the power law predicts the score on all
rows, twice (four times) as many; so do two simple guesses: that nothing changes, and the straight
line over the logarithm of the rows. Errors are absolute, in the unit of the metric on validation.
Writes Markdown tables.
"""

import argparse
import time
from dataclasses import replace
from statistics import fmean

from fitwell import tasks
from fitwell.records import BackTest, LearningCurve
from fitwell.studies.bench import Bench
from fitwell.studies.executor import executor_for
from fitwell.studies.forecasting import Scale, back_test
from fitwell.studies.learning_curve import design, measure
from fitwell.studies.training import without_test

SHARES = (0.0625, 0.125, 0.25, 0.5, 1.0)
HEAD = (
    "| task | sizes | measured | predicted [95 %] | error | no change | log-linear | inside |\n"
    "|---|---|---|---|---|---|---|---|"
)


def curves(name: str, seeds: int, repeats: int) -> tuple[Scale, list[LearningCurve]]:
    """Measure the curves of a task, one a set of seeds."""
    task = without_test(tasks.builtin()[name].make())
    executor = executor_for(seeds * repeats * len(SHARES), 1.0)
    try:
        bench = Bench(task, executor)
        plans = [
            design(task, seeds=range(start, start + seeds), shares=SHARES)
            for start in range(0, seeds * repeats, seeds)
        ]
        found = [measure(bench, replace(plan, augment=None)) for plan in plans]
    finally:
        executor.close()
    return Scale(task.metric_name, task.higher_is_better, len(task.data.validation)), found


def tested(scale: Scale, curve: LearningCurve, most: float) -> BackTest | None:
    """Predict the whole from the three largest sizes up to a share; None without two of them."""
    smaller = [point for point in curve.points if point.share <= most][-3:]
    return back_test(scale, (*smaller, curve.points[-1]), most=most) if len(smaller) > 1 else None


def row(name: str, curve: LearningCurve, tests: list[BackTest]) -> tuple[str, list[float]]:
    """Return the line of a task, and its errors: of the law, of both guesses, and the hits."""
    numbers = [
        fmean(abs(t.error) for t in tests),
        fmean(abs(t.measured - t.unchanged) for t in tests),
        fmean(abs(t.measured - t.continued) for t in tests),
        fmean(t.inside for t in tests),
    ]
    sizes = ", ".join([str(p.rows) for p in curve.points if p.rows <= tests[0].largest][-3:])
    expected, low, high = (
        fmean(getattr(t.forecast, part) for t in tests) for part in ("score", "low", "high")
    )
    line = (
        f"| {name} | {sizes} to {curve.rows} | {fmean(t.measured for t in tests):.3f} "
        f"| {expected:.3f} [{low:.3f}, {high:.3f}] "
        f"| {numbers[0]:.4f} | {numbers[1]:.4f} | {numbers[2]:.4f} "
        f"| {sum(t.inside for t in tests)} of {len(tests)} |"
    )
    return line, numbers


def main() -> None:
    """Print one table for twice and one for four times the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", nargs="*", default=list(tasks.builtin()))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    chosen = parser.parse_args()
    start = time.perf_counter()
    measured = {name: curves(name, chosen.seeds, chosen.repeats) for name in chosen.tasks}
    for most, words in ((0.5, "Twice"), (0.25, "Four times")):
        print(f"\n{words} the rows, means over {chosen.repeats} sets of {chosen.seeds} seeds:\n")
        print(HEAD)
        errors = []
        for name, (scale, found) in measured.items():
            tests = [t for curve in found if (t := tested(scale, curve, most)) is not None]
            if tests:
                line, numbers = row(name, found[0], tests)
                errors.append(numbers)
                print(line)
        law, same, straight, inside = (fmean(column) for column in zip(*errors, strict=True))
        print(f"| mean | | | | {law:.4f} | {same:.4f} | {straight:.4f} | {inside:.0%} |")
    print(f"\n{time.perf_counter() - start:.0f} seconds")


if __name__ == "__main__":
    main()
