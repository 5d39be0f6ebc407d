"""The coordinator's side of a shared study: an executor whose workers are found in a database."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, TypeVar, cast, final

import optuna
import sqlalchemy as sa

from fitwell.errors import BadInput, RunFailed, WorkerLost
from fitwell.studies.carrying import leaves_files, put_files, sent
from fitwell.studies.job import Batch, Done, Job
from fitwell.studies.progress import Silent
from fitwell.studies.storage.address import (
    connected,
    parsed,
    patiently,
    reaching,
    shown,
    together,
)
from fitwell.studies.storage.batches import TRIES, revive
from fitwell.studies.storage.identity import identity, study_name, versions_needed
from fitwell.studies.storage.orders import Orders
from fitwell.studies.storage.schema import Schema, make_tables
from fitwell.studies.storage.values import Values
from fitwell.tasks import Task

Item = TypeVar("Item")
Result = TypeVar("Result")
Value = TypeVar("Value")

GRACE = 60.0
"""Seconds without a sign of its worker after which a batch is given to another."""
TENDING = 2.0
"""Seconds between two looks at who is there and which worker is lost."""
SOON, LATE = 0.01, 0.25
"""Seconds between two looks for results: just after one came, and after a while without."""
LONELY = 3.0
"""Seconds without a worker after which it is said how one is started."""


@final
class Storage:
    """Performs batches in ``fitwell worker`` processes, which find them in a database.

    Any number of workers may come and go, on any machine that reaches the database. A run that
    the study holds already is not done again; one that waits or runs there, asked for by a
    coordinator that was killed, is waited for.

    Args:
        address: ``postgresql://USER@HOST/DATABASE``, or ``sqlite:///FILE`` on one machine.
        task: What is trained: the study belongs to it.
        study: Name of the study; by default one that is made from the task, its data, its
            network and the versions in use.
        grace: Seconds without a sign of its worker after which a batch is given to another;
            at least 1; its workers show one six times as often.
        tell: Told, as sentences, that no worker is there.

    Raises:
        BadInput: If the address cannot be used, or the study is one of another task.
        MissingExtra: If the database's driver is not installed.
    """

    def __init__(
        self,
        address: str,
        task: Task,
        *,
        study: str | None = None,
        grace: float = GRACE,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self._url = parsed(address)
        self.study = study or study_name(task)
        self._tell = tell or Silent().say
        with reaching(self._url):
            _open_study(self._url, self.study, task)
            self._engine = connected(self._url)
            make_tables(self._engine)
            schema = Schema(self._engine)
            number = schema.number_of(self.study)
            assert number is not None
            self._orders = Orders(
                self._engine, schema, number, made_with=versions_needed(), grace=max(1.0, grace)
            )
            self._schema, self._values = schema, Values(self._engine, schema)
            self._answered, self._open = self._orders.answered(), self._orders.open()
        self._asked: set[int] = set()
        self._tended, self._present, self._lonely_since = -math.inf, 0, time.monotonic()

    @property
    def workers(self) -> int:
        """How many workers are there now; at least 1, which is then waited for."""
        self._tend()
        return max(1, self._present)

    def share(self, value: Value) -> Callable[[], Value]:
        """Put a value into the database, once, whatever uses it."""
        with reaching(self._url):
            return self._values.share(value)

    def map(
        self, function: Callable[[Item], Result], jobs: Iterable[Item]
    ) -> Iterator[tuple[Item, Result]]:
        """Yield every batch with its results, in order of completion.

        Batches are drawn a little before a worker is free for them, so that none has to wait.

        Raises:
            RunFailed: If a batch raised an error at its worker.
            WorkerLost: If three workers in a row were lost at a batch.
            BadInput: If the database cannot be used any more.
        """
        batches = cast("Iterable[Batch]", jobs)
        with reaching(self._url):
            call = self._values.put(sent(function))
            for batch, results in self._performed(call, iter(batches)):
                if leaves_files(function):
                    put_files(function, patiently(self._orders.files))
                yield cast("Item", batch), cast("Result", results)

    def close(self, *, now: bool = False) -> None:
        """Take back what nobody has begun and leave the database; workers stay for the next."""
        with reaching(self._url):
            self._withdraw()
        self._engine.dispose()

    def _performed(self, call: str, batches: Iterator[Batch]) -> Iterator[tuple[Batch, list[Done]]]:
        awaited: list[_Awaited] = []
        pause = SOON
        try:
            while True:
                self._tend()
                room = max(0, self._ahead() - len(awaited))
                awaited.extend(self._place(call, batch) for batch in islice(batches, room))
                if not awaited:
                    return
                ended = self._ended(awaited)
                self._asked -= ended.keys()
                ready = [one for one in awaited if one.batches <= ended.keys()]
                awaited = [one for one in awaited if one not in ready]
                for one in ready:
                    _raise_first(ended[number] for number in one.batches)
                    results = patiently(partial(self._orders.results, one.trials))
                    self._answered |= {job.key: trial for trial, job in one.trials.items()}
                    yield one.batch, [results[job] for job in one.batch]
                pause = SOON if ready else min(LATE, 1.5 * pause)
                if not ready:
                    time.sleep(pause)
        finally:
            self._withdraw()

    def _ended(self, awaited: Iterable[_Awaited]) -> dict[int, str | None]:
        numbers = {number for one in awaited for number in one.batches}
        return patiently(lambda: self._orders.ended(numbers))

    def _withdraw(self) -> None:
        """Take back those of the batches that nobody has begun."""
        asked, self._asked = self._asked, set()
        if asked:
            self._orders.withdraw(asked)

    def _place(self, call: str, batch: Batch) -> _Awaited:
        """Ask for those jobs of a batch that the study neither holds nor waits for."""
        one = _Awaited(batch)
        missing = []
        for job in batch:
            if job.key in self._answered:
                one.trials[self._answered[job.key]] = job
            elif job.key in self._open:
                number, trial = self._open[job.key]
                one.trials[trial] = job
                one.batches.add(number)
            else:
                missing.append(job)
        if missing:
            number, trials = self._orders.publish(call, tuple(missing))
            one.trials |= dict(zip(trials, missing, strict=True))
            one.batches.add(number)
        self._asked |= one.batches
        return one

    def _ahead(self) -> int:
        """How many batches are asked for at the same time: one a worker, and a few that wait."""
        return max(1, self._present) + math.ceil(self._present / 2)

    def _tend(self) -> None:
        """Look, not too often, who is there and which worker is lost."""
        now = time.monotonic()
        if now - self._tended < TENDING:
            return
        self._tended = now
        with reaching(self._url):
            patiently(lambda: revive(self._engine, self._schema))
            self._present = patiently(self._orders.workers)
        if self._present:
            self._lonely_since = math.inf
        elif self._lonely_since == math.inf:
            self._lonely_since = now
        elif now - self._lonely_since > LONELY:
            self._lonely_since = now + 20 * LONELY
            self._tell(
                f"No worker is there for the study {self.study!r}. Start one or more, with the "
                f"same versions ({versions_needed()}): fitwell worker --storage {shown(self._url)}"
            )


@final
@dataclass
class _Awaited:
    """A batch that was asked for: its trials, and what in the queue has to end before."""

    batch: Batch
    trials: dict[int, Job] = field(default_factory=dict)
    batches: set[int] = field(default_factory=set)


def _raise_first(errors: Iterable[str | None]) -> None:
    for error in errors:
        if error is None:
            continue
        if error.startswith(f"{TRIES} workers"):
            raise WorkerLost(f"A batch of runs is given up: {error}.")
        raise RunFailed(error)


def _open_study(url: sa.URL, name: str, task: Task) -> None:
    """Open Optuna's study of a name, made if missing.

    Raises:
        BadInput: If it belongs to something else.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    address = url.render_as_string(hide_password=False).replace("{", "{{").replace("}", "}}")
    options: dict[str, Any] = {"connect_args": {"timeout": 60}} if "sqlite" in address else {}
    storage = together(partial(optuna.storages.RDBStorage, address, engine_kwargs=options))
    ours = identity(task)
    try:
        study = together(
            lambda: optuna.create_study(
                study_name=name,
                storage=storage,
                load_if_exists=True,
                direction="maximize" if task.higher_is_better else "minimize",
            )
        )
        held = study.user_attrs.get("fitwell")
        if held is None and not study.get_trials(deepcopy=False):
            study.set_user_attr("fitwell", ours)
        elif held != ours:
            raise BadInput(
                f"The study {name!r} in {shown(url)} is one of another task, of other data or "
                "settings, or not of fitwell: give another --study."
            )
    finally:
        storage.remove_session()
        storage.engine.dispose()
