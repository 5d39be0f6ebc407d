"""What it costs to do runs in other processes and on other machines, and a model of many workers.

    python benchmarks/scale.py --storage postgresql://USER@HOST/DATABASE

measures the constants of docs/scale.md on this machine, and puts them into the model. The runs
are empty: what is left is the cost of asking for them, doing nothing, and getting the results.
Times are seconds of processor where they can be (they do not depend on what else the machine
does), and of the clock where it says so. The server has to be on this machine for its share to be
seen. Everything is repeated; what is printed is the median and, in brackets, the range.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import cloudpickle
import sqlalchemy as sa
import torch

from fitwell.integrations.ray import Ray
from fitwell.records import Curves, RunRecord, Score
from fitwell.studies import InProcess, Processes, Silent
from fitwell.studies.executor import cores
from fitwell.studies.job import Batch, Job, Results
from fitwell.studies.storage.address import connected, parsed
from fitwell.studies.storage.claims import Claims
from fitwell.studies.storage.executor import Storage
from fitwell.studies.storage.identity import versions_needed
from fitwell.studies.storage.schema import Schema
from fitwell.studies.storage.worker import work
from fitwell.studies.store import job_to_text
from fitwell.tasks import Data, Split, Task

EPOCHS = 40
CURVE = tuple(0.123456789 / (n + 1) for n in range(EPOCHS))
RECORD = RunRecord(
    arm="untreated",
    seed=0,
    rate=1.0,
    epochs=EPOCHS,
    best_epoch=7,
    diverged=False,
    validation=Score(0.912345678, 0.2123456789),
    test=Score(0.912345678, 0.2123456789),
    seconds=1.23456789,
    parameters=12345,
    curves=Curves(CURVE, CURVE, CURVE, CURVE),
)
"""What a run of 40 epochs sends back."""


def empty(batch: Batch) -> Results:
    """Do nothing, and say that it was done."""
    return [replace(RECORD, arm=job.arm, seed=job.seed) for job in batch]


def network() -> torch.nn.Module:
    return torch.nn.Linear(784, 10)


def task(rows: int = 200) -> Task:
    x = torch.randn(rows, 784)
    y = torch.arange(rows) % 10
    few = Split(x[:100], y[:100])
    return Task(
        "empty runs", network, Data(Split(x, y), few, few, "table"), "cross_entropy", "accuracy"
    )


# What is measured


def batches(count: int, size: int, *, first: int = 0) -> list[Batch]:
    seeds = range(first, first + count * size)
    jobs = [Job((), seed, arm="untreated") for seed in seeds]
    return [tuple(jobs[at : at + size]) for at in range(0, len(jobs), size)]


@dataclass
class Spent:
    """Processor seconds here and at the server, and seconds of the clock."""

    here: float
    server: float
    clock: float


class Meter:
    """Measures what a block costs here and, if it is on this machine, at the server."""

    def __init__(self, engine: sa.Engine | None = None) -> None:
        self.server = _postmaster(engine) if engine is not None else None

    def __call__(self, action: Callable[[], object]) -> Spent:
        began = time.process_time(), self._at_server(), time.perf_counter()
        action()
        ended = time.process_time(), self._at_server(), time.perf_counter()
        return Spent(*(after - before for before, after in zip(began, ended, strict=True)))

    def _at_server(self) -> float:
        return _family_seconds(self.server) if self.server is not None else 0.0


def _postmaster(engine: sa.Engine) -> int | None:
    if engine.dialect.name != "postgresql":
        return None
    with engine.begin() as connection:
        pid = connection.execute(sa.text("select pg_backend_pid()")).scalar_one()
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists() or "postgres" not in stat.read_text():
        return None
    return int(_fields(pid)[1])


def _fields(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _family_seconds(parent: int) -> float:
    """Processor seconds of a process, of its ended children, and of those that live."""
    ticks = sum(map(int, _fields(parent)[11:15]))
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = _fields(int(entry.name))
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[1]) == parent:
                ticks += sum(map(int, fields[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def told(values: Iterable[float], unit: float = 1e3) -> str:
    """Return median and range, by default of seconds as milliseconds."""
    scaled = sorted(unit * value for value in values)
    return f"{statistics.median(scaled):8.2f}  [{scaled[0]:.2f}, {scaled[-1]:.2f}]"


def starts(storage: str, repeats: int) -> float:
    """How long a worker takes to be there: processor and clock, from the command to its sign."""
    code = "from fitwell.cli import main; raise SystemExit(main())"
    here, clock = [], []
    for _ in range(repeats):
        before, began = os.times(), time.perf_counter()
        command = [sys.executable, "-c", code, "worker", "--storage", storage, "--idle", "0"]
        subprocess.run(command, check=True, capture_output=True)
        after = os.times()
        clock.append(time.perf_counter() - began)
        here.append(
            after.children_user
            - before.children_user
            + after.children_system
            - before.children_system
        )
    print(f"start and end of a worker, processor seconds  {told(here, 1)}")
    print(f"start and end of a worker, by the clock       {told(clock, 1)}")
    return statistics.median(here)


def transports(repeats: int, count: int) -> None:
    """What a batch of one empty run costs by the clock, with one worker."""
    places = {
        "in this process": InProcess,
        "pool": lambda: Processes(1),
        "Ray": lambda: Ray(workers=1),
    }
    for name, make in places.items():
        began = time.perf_counter()
        executor = make()
        list(executor.map(empty, batches(2, 1)))
        start, seconds = time.perf_counter() - began, []
        for _ in range(repeats):
            began = time.perf_counter()
            list(executor.map(empty, batches(count, 1)))
            seconds.append((time.perf_counter() - began) / count)
        executor.close()
        print(f"{name:16} start {start:6.2f} s   a batch, ms by the clock {told(seconds)}")


def coordinator(storage: str, repeats: int, count: int) -> dict[int, Spent]:
    """What a batch costs whoever asks for it: here and at the server, by its size."""
    found = {}
    for size in (1, 8, 32):
        asked: list[Spent] = []
        for repeat in range(repeats):
            place = Storage(storage, task(), study=f"ask-{size}-{repeat}-{time.time_ns()}")
            meter, call = Meter(place._engine), place._values.put(empty)
            numbers: list[tuple[int, dict[int, Job]]] = []

            def ask(place=place, call=call, size=size, numbers=numbers) -> None:
                for batch in batches(count, size):
                    number, trials = place._orders.publish(call, batch)
                    numbers.append((number, dict(zip(trials, batch, strict=True))))

            def collect(place=place, numbers=numbers) -> None:
                for number, trials in numbers:
                    place._orders.ended([number])
                    place._orders.results(trials)

            spent = [meter(ask)]
            _drain(storage, place.study)
            spent.append(meter(collect))
            asked.append(Spent(*(sum(vars(s)[k] for s in spent) / count for k in vars(spent[0]))))
            place.close()
        found[size] = _median(asked)
        print(
            f"coordinator, batch of {size:2}: ms here {told(s.here for s in asked)}   "
            f"at the server {told(s.server for s in asked)}"
        )
    return found


def _drain(storage: str, study: str) -> int:
    engine = connected(parsed(storage))
    schema = Schema(engine)
    number = schema.number_of(study)
    claims = Claims(engine, schema, f"drain-{os.getpid()}", number, versions_needed())
    claims.beat()
    count = 0
    while (claim := claims.claim()) is not None:
        claims.finish(claim, empty(claim.jobs))
        count += 1
    engine.dispose()
    return count


def _work(storage: str, study: str, ready, go, over, counts) -> None:
    engine = connected(parsed(storage))
    schema = Schema(engine)
    claims = Claims(
        engine, schema, f"one-{os.getpid()}", schema.number_of(study), versions_needed()
    )
    claims.beat()
    ready.release()
    go.wait()
    began, count = time.process_time(), 0
    while (claim := claims.claim()) is not None:
        claims.finish(claim, empty(claim.jobs))
        count += 1
    counts.put((count, time.process_time() - began))
    over.wait()  # a connection that ends takes its share of the server's time out of sight
    engine.dispose()


def claims(storage: str, repeats: int, count: int) -> Spent:
    """How many batches a second workers claim and finish, and what one costs."""
    context = get_context("fork")  # quick, and nothing runs here beside this thread
    alone: list[Spent] = []
    for workers in (1, 2, 4, 8):
        rates, spent = [], []
        for repeat in range(repeats):
            name = f"claim-{workers}-{repeat}-{time.time_ns()}"
            place = Storage(storage, task(), study=name)
            meter, call = Meter(place._engine), place._values.put(empty)
            for batch in batches(count, 1):
                place._orders.publish(call, batch)
            ready, counts = context.Semaphore(0), context.Queue()
            go, over = context.Event(), context.Event()
            crew = [
                context.Process(target=_work, args=(storage, name, ready, go, over, counts))
                for _ in range(workers)
            ]
            for one in crew:
                one.start()
            for _ in crew:
                ready.acquire()
            done: list[tuple[int, float]] = []

            def wait(go=go, counts=counts, crew=crew, done=done) -> None:
                go.set()
                done.extend(counts.get() for _ in crew)

            took = meter(wait)
            over.set()
            for one in crew:
                one.join()
            assert sum(n for n, _ in done) == count
            rates.append(count / took.clock)
            spent.append(Spent(sum(s for _, s in done) / count, took.server / count, took.clock))
            place.close()
        if workers == 1:
            alone = spent
        print(
            f"{workers} workers: batches a second by the clock {told(rates, 1)}   ms a batch: "
            f"worker {told(s.here for s in spent)}  server {told(s.server for s in spent)}"
        )
    return _median(alone)


@dataclass(frozen=True)
class Nap:
    """A run that takes its time and no processor, so that two cores serve many workers."""

    seconds: float

    def __call__(self, batch: Batch) -> Results:
        time.sleep(self.seconds * len(batch))
        return empty(batch)


def _serve(storage: str, study: str) -> None:
    with contextlib.suppress(KeyboardInterrupt):  # told to stop
        work(storage, study=study, tell=Silent().say)


def together(storage: str, model: Model, seconds: float = 2.0, rounds: int = 5) -> None:
    """Hold the model against workers that are there and take their time."""
    context = get_context("fork")
    for workers in (1, 8, 32):
        place = Storage(storage, task(), study=f"nap-{workers}-{time.time_ns()}")
        crew = [context.Process(target=_serve, args=(storage, place.study)) for _ in range(workers)]
        for one in crew:
            one.start()
        while place._orders.workers() < workers:
            time.sleep(0.2)
        place._tended = 0.0
        began = time.perf_counter()
        count = len(list(place.map(Nap(seconds), batches(rounds * workers, 1))))
        rate = count / (time.perf_counter() - began)
        print(
            f"{workers:2} workers, runs of {seconds:g} s that sleep: {rate:6.2f} runs a second, "
            f"model {model.runs(workers, seconds, 1):6.2f}"
        )
        place.close()
        for one in crew:
            one.terminate()
        for one in crew:
            one.join()


def sizes(storage: str, rows: int = 5000) -> None:
    """How large what travels is."""
    record, job = json.dumps(asdict(RECORD)), job_to_text(Job((), 0, arm="untreated"))
    print(f"a record of {EPOCHS} epochs: {len(record)} bytes; a job: {len(job)} bytes")
    large = task(rows)
    place = Storage(storage, large, study=f"size-{time.time_ns()}")
    engine, meter = place._engine, Meter(place._engine)
    put = meter(lambda: place.share(large))
    reader = Storage(storage, large, study=place.study)
    name = place._values.put(large)
    got = meter(lambda: reader._values.get(name))
    print(
        f"a task of {rows} x 784: {len(cloudpickle.dumps(large)) / 1e6:.1f} MB; written in "
        f"{put.clock:.2f} s, read in {got.clock:.2f} s by the clock "
        f"({got.here:.3f} s here, {got.server:.3f} s at the server)"
    )
    if engine.dialect.name == "postgresql":
        tables = ("trials", "trial_params", "trial_user_attributes", "trial_values")
        with engine.begin() as connection:
            total = sum(
                connection.execute(sa.text(f"select pg_total_relation_size('{t}')")).scalar_one()
                for t in (*tables, "fitwell_batches")
            )
            runs = connection.execute(sa.text("select count(*) from trials")).scalar_one()
        print(f"in the database, with indices: {total / max(1, runs) / 1e3:.1f} kB a run")
    place.close()
    reader.close()


def _median(spent: list[Spent]) -> Spent:
    return Spent(*(statistics.median(vars(s)[name] for s in spent) for name in vars(spent[0])))


# The model


@dataclass(frozen=True)
class Model:
    """What limits W workers: all constants in processor seconds, measured above.

    Args:
        start: To start a worker.
        ask: Of the coordinator for a batch, and of the server for that, by batch size.
        work: Of a worker for claim and result of a batch, and of the server for that.
    """

    start: float
    ask: dict[int, Spent]
    work: Spent

    def runs(self, workers: int, seconds: float, size: int) -> float:
        """Return how many runs are done in a second."""
        return self.share(workers, seconds, size)[0] * workers / seconds

    def share(
        self, workers: int, seconds: float, size: int, server_cores: int = 4
    ) -> tuple[float, str, float]:
        """Return the workers' share of time in runs, its limit, and batches wanted a second."""
        batch = seconds * size
        alone = batch / (batch + self.work.here + self.work.server)
        wanted = workers * alone / batch
        limits = {
            "coordinator": 1 / (self.ask[size].here + self.ask[size].server),
            "server": server_cores / (self.ask[size].server + self.work.server),
        }
        least = min(limits, key=limits.__getitem__)
        share = alone * min(1.0, limits[least] / wanted)
        limit = least if limits[least] < wanted else "-"
        return share, limit, wanted

    def row(self, workers: int, seconds: float, size: int) -> str:
        """Return a line of the table."""
        share, limit, wanted = self.share(workers, seconds, size)
        return (
            f"| {workers:5,} | {seconds:g} s | {size:3} | {wanted:8,.1f} | "
            f"{self.runs(workers, seconds, size):9,.1f} | {100 * share:5.1f} % | {limit} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--storage", required=True, metavar="URL")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--batches", type=int, default=200)
    given = parser.parse_args()
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    torch.set_num_threads(1)
    print(f"load of this machine while measuring: {os.getloadavg()[0]:.1f} on {cores()} cores")
    worked = claims(given.storage, given.repeats, given.batches)
    asked = coordinator(given.storage, given.repeats, given.batches)
    sizes(given.storage)
    start = starts(given.storage, given.repeats)
    transports(given.repeats, given.batches)
    model = Model(start, asked, worked)
    together(given.storage, model)
    print("\n| workers | a run | runs a batch | batches/s | runs/s | share in runs | limit |")
    print("|---|---|---|---|---|---|---|")
    for seconds in (0.1, 1.0, 10.0):
        for size in (1, 32):
            for workers in (1, 10, 100, 1000):
                print(model.row(workers, seconds, size))


if __name__ == "__main__":
    main()
