"""Runs a second against scikit-learn, Optuna and Ray Tune, all cores allowed to all."""

from __future__ import annotations

import importlib
import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.studies import loops
from benchmarks.studies.grounds import GROUNDS, Ground
from benchmarks.studies.measuring import Arm, figure, others, ratio, take_turns
from benchmarks.studies.users import OURS, cores, our_arm

from fitwell.tasks import Task

CLASSIFIER = "MLPClassifier, a process a core"
THREADS, JOURNAL, SQLITE = "Optuna, threads", "Optuna, processes, journal", "Optuna, sqlite"
TUNE = "Ray Tune"
TRIALS = 8
"""Runs of a peer in one measurement, over all cores."""
RATES = (3e-4, 3e-3)
"""Range of the learning rates that the tools try."""
HEAD = (
    "| network | against | theirs, runs/s | fitwell | faster | others |\n|---|---|---|---|---|---|"
)


def classifiers_run(make: Callable[[], Task], hidden: Sequence[int], seeds: Sequence[int]) -> int:
    """Train scikit-learn's network as often and as long as the task says; all of its own code."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    task = loops.made(make)
    train, held_out = task.data.train, task.data.validation
    for seed in seeds:
        model = MLPClassifier(
            tuple(hidden),
            batch_size=task.batch_size,
            learning_rate_init=1e-3,
            max_iter=task.epochs,
            n_iter_no_change=task.epochs + 1,
            random_state=seed,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(train.x.numpy(), train.y.numpy())
        model.score(held_out.x.numpy(), held_out.y.numpy())
    return len(seeds)


def hidden_widths(task: Task) -> list[int] | None:
    """Return the widths of the hidden layers of a perceptron, None of another network."""
    layers = [module for module in task.make_model() if hasattr(module, "out_features")]
    shaped = all(type(m).__name__ in ("Linear", "ReLU") for m in task.make_model())
    return [layer.out_features for layer in layers[:-1]] if shaped else None


def objective(make: Callable[[], Task], trial: Any) -> float:
    """Let Optuna choose the learning rate of a user's run."""
    rate = trial.suggest_float("rate", *RATES, log=True)
    return loops.users_run(loops.made(make), trial.number, rate)


def optimize(make: Callable[[], Task], trials: int, jobs: int, storage: str) -> int:
    """Do trials of an Optuna study that others may share, and return their number."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    kept: Any = None
    if storage.startswith("sqlite:"):
        kept = storage
    elif storage:
        backend = optuna.storages.journal.JournalFileBackend(storage)
        kept = optuna.storages.JournalStorage(backend)
    study = optuna.create_study(
        study_name="loop", storage=kept, load_if_exists=True, direction="maximize"
    )
    study.optimize(partial(objective, make), n_trials=trials, n_jobs=jobs)
    return trials


def optuna_in_processes(pool: Any, make: Callable[[], Task], kind: str) -> float:
    """Let a process a core do its part of the trials of one study."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "study")
        storage = f"sqlite:///{path}.db" if kind == SQLITE else f"{path}.log"
        pool.submit(
            optimize, make, 0, 1, storage
        ).result()  # the tables are there before all use them
        waiting = [
            pool.submit(optimize, make, TRIALS // cores(), 1, storage) for _ in range(cores())
        ]
        return float(sum(each.result() for each in waiting))


def tunes_trial(config: dict[str, Any]) -> dict[str, float]:
    """Do one trial of Ray Tune."""
    loops.begin(1)
    return {"accuracy": loops.users_run(loops.made(config["make"]), config["seed"], config["rate"])}


def tune(make: Callable[[], Task]) -> float:
    """Do trials of Ray Tune, one CPU each, and return their number."""
    from ray import tune as ray_tune

    with tempfile.TemporaryDirectory() as folder:
        tuner = ray_tune.Tuner(
            ray_tune.with_resources(tunes_trial, {"cpu": 1}),
            param_space={
                "make": make,
                "rate": ray_tune.loguniform(*RATES),
                "seed": ray_tune.randint(0, 1000),
            },
            tune_config=ray_tune.TuneConfig(num_samples=TRIALS, reuse_actors=True),
            run_config=ray_tune.RunConfig(storage_path=folder, verbose=0),
        )
        results = tuner.fit()
    if results.num_errors:
        raise RuntimeError(f"Ray Tune: {results.errors[0]}")
    return float(len(results))


@contextmanager
def ray_started() -> Iterator[str | None]:
    """Start Ray on all cores; give the reason if it is not to be had."""
    try:
        ray = importlib.import_module("ray")
        importlib.import_module("ray.tune")
    except ImportError as error:
        yield f"not measured: {str(error).splitlines()[0]}"
        return
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
    path = os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")])
    ray.init(
        num_cpus=cores(),
        include_dashboard=False,
        logging_level=logging.ERROR,
        log_to_driver=False,
        runtime_env={"env_vars": {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}},
    )
    try:
        yield None
    finally:
        ray.shutdown()


def classifiers(pool: Any, ground: Ground, hidden: Sequence[int]) -> float:
    """Let a process a core train scikit-learn's networks, and return their number."""
    seeds = range(ground.runs)
    waiting = [
        pool.submit(classifiers_run, ground.task, hidden, list(seeds)) for _ in range(cores())
    ]
    return float(sum(each.result() for each in waiting))


def rows(ground: Ground, repeats: int) -> Iterator[str]:
    """Yield the rows of one network."""
    with ExitStack() as stack:
        one = loops.workers(1, 1)
        pool = loops.workers(cores(), 1)
        stack.callback(one.shutdown, kill_workers=True)
        stack.callback(pool.shutdown, kill_workers=True)
        arms: dict[str, Arm] = {}
        if hidden := hidden_widths(ground.task()):
            arms[CLASSIFIER] = partial(classifiers, pool, ground, hidden)
        arms[THREADS] = lambda: float(
            one.submit(optimize, ground.task, TRIALS, cores(), "").result()
        )
        for kind in (JOURNAL, SQLITE):
            arms[kind] = partial(optuna_in_processes, pool, ground.task, kind)
        missing = stack.enter_context(ray_started())
        if missing is None:
            arms[TUNE] = partial(tune, ground.task)
        arms[OURS] = stack.enter_context(our_arm(ground, cores()))
        found = take_turns(arms, repeats)
        ours = found[OURS]
        for name in [name for name in arms if name != OURS]:
            theirs = found[name]
            yield (
                f"| {ground.name} | {name} | {figure(1 / sorted(theirs.wall)[repeats // 2])} "
                f"| {figure(1 / sorted(ours.wall)[repeats // 2])} "
                f"| **{ratio(theirs.wall, ours.wall)}** | {others(found)} |"
            )
        if missing:
            yield f"| {ground.name} | {TUNE} | {missing} | | | |"


def table(names: Sequence[str], repeats: int) -> Iterator[str]:
    """Yield the lines of the table."""
    yield (
        "Runs a second, all cores allowed to all; the tools are started before, with one thread a "
        "process. MLPClassifier: the same network, batches, epochs and learning rate, Adam, single "
        "precision, no early stopping. Optuna and Ray Tune choose the learning rate of the loop "
        f"that a user writes, {TRIALS} trials a turn.\n"
    )
    yield HEAD
    for ground in GROUNDS:
        if not names or ground.name in names:
            yield from rows(ground, repeats)
