from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path

import cloudpickle
import optuna
import pytest
import sqlalchemy as sa
import torch

from fitwell.cure import cure
from fitwell.errors import BadInput, RunFailed, WorkerLost
from fitwell.records import RemedySpec, RunRecord
from fitwell.studies import InProcess
from fitwell.studies.bench import Bench
from fitwell.studies.job import Job, Refusal
from fitwell.studies.storage.address import connected, parsed
from fitwell.studies.storage.batches import revive
from fitwell.studies.storage.claims import Claims
from fitwell.studies.storage.executor import Storage
from fitwell.studies.storage.identity import versions_needed
from fitwell.studies.storage.schema import Schema
from fitwell.studies.storage.values import Values

JOBS = [
    *(Job((), seed, test=True, arm="untreated") for seed in range(4)),
    *(Job((RemedySpec("Dropout", {"rate": 0.5}),), seed, arm="dropout") for seed in range(3)),
    Job((RemedySpec("Activation", {"kind": "relu"}),), 0, arm="no place for it"),
]
REQUIRED = "FITWELL_REQUIRE_POSTGRES"
"""Set where PostgreSQL must be there, as in the checks: its absence is then a failure."""


def programs() -> Path | None:
    found = shutil.which("initdb")
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return Path(found).parent if found else installed[-1].parent if installed else None


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def answers(port: int) -> bool:
    engine = connected(parsed(f"postgresql://fitwell@127.0.0.1:{port}/postgres"))
    try:
        with engine.begin():
            return True
    except sa.exc.DBAPIError:
        return False
    finally:
        engine.dispose()


@pytest.fixture(scope="module")
def postgres():
    """A PostgreSQL server of this test alone; a server refuses to run as root."""
    where = programs()
    if where is None:
        missing = "PostgreSQL is not installed: apt-get install postgresql"
        if REQUIRED in os.environ:
            pytest.fail(missing)
        pytest.skip(missing)
    folder, port = Path(tempfile.mkdtemp(prefix="fitwell-postgres-")), free_port()
    user = "postgres" if os.geteuid() == 0 else None
    if user:
        shutil.chown(folder, user)
    given = {"cwd": folder, "user": user, "stdout": subprocess.DEVNULL}
    make = [where / "initdb", "-D", folder / "data", "-A", "trust", "-U", "fitwell", "--no-sync"]
    subprocess.run(make, check=True, **given)
    serve = [where / "postgres", "-D", folder / "data", "-p", str(port), "-F"]
    options = ["-c", f"unix_socket_directories={folder}", "-c", "listen_addresses=127.0.0.1"]
    with subprocess.Popen([*serve, *options], stderr=subprocess.DEVNULL, **given) as server:
        deadline = time.monotonic() + 30
        while not answers(port) and time.monotonic() < deadline:
            time.sleep(0.1)
        yield f"postgresql://fitwell:s3cret@127.0.0.1:{port}/postgres"
        server.send_signal(signal.SIGINT)
    shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/shared.db"
    return request.getfixturevalue("postgres")


@pytest.fixture
def name(request):
    return request.node.name


@pytest.fixture(autouse=True)
def looks_often(monkeypatch):
    monkeypatch.setattr("fitwell.studies.storage.executor.TENDING", 0.05)


@pytest.fixture
def shared(address, task, name):
    travels(task)
    storage = Storage(address, task, study=name, grace=1.0)
    yield storage
    storage.close()


def travels(task):
    """Let the functions of this test's own modules go to other processes by value."""
    cloudpickle.register_pickle_by_value(sys.modules[task.make_model.__module__])


@pytest.fixture
def hand(address, name):
    """Give workers of the test's study, and part from the database at its end."""
    made = []

    def one(label="hand", versions=None):
        made.append(Hand(address, name, label, versions))
        return made[-1]

    yield one
    for each in made:
        each.engine.dispose()


class Hand:
    """A worker whose moves the test makes one by one."""

    def __init__(self, address, name, label="hand", versions=None):
        engine = connected(parsed(address))
        self.engine, self.schema = engine, Schema(engine)
        study = self.schema.number_of(name)
        self.claims = Claims(engine, self.schema, label, study, versions or versions_needed())
        self.claims.beat()
        self.values = Values(engine, self.schema)

    def waits_for_claim(self):
        deadline = time.monotonic() + 20
        while (claim := self.claims.claim()) is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return claim

    def does(self, claim):
        return self.claims.finish(claim, self.values.get(claim.call)(claim.jobs))

    def has_passed(self, seconds):
        """Let the database believe that all signs were made so many seconds earlier."""
        for table in (self.schema.batches, self.schema.workers):
            with self.engine.begin() as connection:
                connection.execute(sa.update(table).values(beat=table.c.beat - seconds))


class Crew:
    """Hands that work in threads until the with block ends; torch has one stream of numbers."""

    def __init__(self, address, name, count=2):
        self.hands = [Hand(address, name, f"crew-{n}") for n in range(count)]
        self.over, self.one_trains = threading.Event(), threading.Lock()
        self.threads = [threading.Thread(target=self.work, args=(hand,)) for hand in self.hands]

    def work(self, hand):
        while not self.over.wait(0.005):
            claim = hand.claims.claim()
            if claim is not None:
                with self.one_trains:
                    hand.does(claim)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *error):
        self.over.set()
        for thread in self.threads:
            thread.join()
        for hand in self.hands:
            hand.engine.dispose()


def in_a_thread(action):
    outcome = []

    def run():
        try:
            outcome.append(action())
        except Exception as error:  # noqa: BLE001
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, outcome


def plain(done):
    return [{**vars(one), "seconds": 0} for one in done.values()]


def trials(address, name):
    url = parsed(address).render_as_string(hide_password=False)
    storage = optuna.storages.RDBStorage(url)
    found = optuna.load_study(study_name=name, storage=storage).trials
    storage.engine.dispose()
    return found


def count(address, name, state):
    return sum(trial.state.name == state for trial in trials(address, name))


def test_the_runs_are_those_of_this_process(shared, address, name, task):
    with Crew(address, name):
        there = Bench(task, shared).run(JOBS)
    here = Bench(task, InProcess()).run(JOBS)
    assert list(there) == JOBS
    assert plain(there) == plain(here)
    assert isinstance(there[JOBS[-1]], Refusal)


def test_optuna_reads_every_run_once(shared, address, name, task):
    with Crew(address, name):
        there = Bench(task, shared).run(JOBS)
    found = trials(address, name)
    assert [trial.number for trial in found] == list(range(len(JOBS)))
    assert count(address, name, "COMPLETE") == len(JOBS) - 1
    assert count(address, name, "FAIL") == 1
    for trial, job in zip(found, JOBS, strict=True):
        assert trial.params == {"rate": job.rate, "seed": job.seed}
        if isinstance(there[job], RunRecord):
            assert trial.value == there[job].validation.metric
            assert trial.datetime_complete >= trial.datetime_start
            assert abs((trial.datetime_complete - trial.datetime_start).total_seconds()) < 60
    assert found[4].user_attrs["recipe"] == "Dropout(rate=0.5)"


def test_jobs_travel_in_batches_and_come_back_in_their_order(shared, address, name, task):
    batches = [tuple(JOBS[:5]), tuple(JOBS[5:])]
    performance = Bench(task, shared)._perform
    with Crew(address, name, 1):
        given = dict(shared.map(performance, batches))
    assert set(given) == set(batches)
    for batch, results in given.items():
        assert [one.arm for one in results] == [job.arm for job in batch]


def test_the_files_that_runs_leave_come_back(shared, address, name, task, tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    Bench(task, InProcess(), weights=here).run(JOBS[:2])
    with Crew(address, name):
        Bench(task, shared, weights=there).run(JOBS[:2])
    names = sorted(file.name for file in here.iterdir())
    assert sorted(file.name for file in there.iterdir()) == names
    for file in names:
        one, other = torch.load(here / file), torch.load(there / file)
        assert all(torch.equal(one[key], other[key]) for key in one)
    assert shared._orders.files() == {}


def test_of_many_who_claim_at_once_each_gets_another_batch(shared, address, name, task, hand):
    call = shared._values.put(len)
    for seed in range(30):
        shared._orders.publish(call, (Job((), seed),))
    hands = [hand(f"hand-{n}") for n in range(6)]
    claimed = []

    def grab(one):
        while (claim := one.claims.claim()) is not None:
            claimed.append(claim.batch)

    threads = [threading.Thread(target=grab, args=(hand,)) for hand in hands]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) == len(set(claimed)) == 30


def test_a_batch_of_a_lost_worker_is_done_by_another_and_counted_once(
    shared, address, name, task, hand
):
    lost, other = hand("lost"), hand("other")
    thread, outcome = in_a_thread(lambda: Bench(task, shared).run(JOBS[:1]))
    held = lost.waits_for_claim()
    lost.has_passed(2.0)
    again = other.waits_for_claim()
    assert again.trials == held.trials
    assert not lost.does(held)
    assert other.does(again)
    thread.join()
    assert plain(outcome[0]) == plain(Bench(task, InProcess()).run(JOBS[:1]))
    assert [trial.state.name for trial in trials(address, name)] == ["COMPLETE"]


def test_a_worker_that_shows_signs_keeps_its_batch(shared, address, name, hand):
    one = hand()
    shared._orders.publish(shared._values.put(len), (JOBS[0],))
    one.waits_for_claim()
    one.has_passed(2.0)
    one.claims.beat()
    assert revive(one.engine, one.schema) == 0
    one.has_passed(2.0)
    assert revive(one.engine, one.schema) == 1
    assert revive(one.engine, one.schema) == 0


def test_a_batch_that_loses_three_workers_is_given_up(shared, address, name, task, hand):
    one = hand()
    thread, outcome = in_a_thread(lambda: Bench(task, shared).run(JOBS[:1]))
    for _ in range(3):
        claim = one.waits_for_claim()
        one.has_passed(2.0)
    thread.join()
    assert not one.does(claim)
    assert isinstance(outcome[0], WorkerLost)
    assert "3 workers in a row were lost" in str(outcome[0])
    assert count(address, name, "FAIL") == 1


def test_a_batch_that_is_given_back_has_lost_no_worker(shared, address, name, hand):
    one = hand()
    shared._orders.publish(shared._values.put(len), (JOBS[0],))
    for _ in range(5):
        claim = one.waits_for_claim()
        one.claims.give_back(claim)
    assert claim.tries == 1
    assert count(address, name, "WAITING") == 1


def test_an_error_at_a_worker_reaches_the_caller_with_its_traceback(
    shared, address, name, task, hand
):
    task.make_model = lambda: torch.nn.Linear(3, 2)
    one = hand()
    thread, outcome = in_a_thread(lambda: Bench(task, shared).run(JOBS[:1]))
    claim = one.waits_for_claim()
    one.claims.fail(claim, "The runs failed at hand: RuntimeError: no\nTraceback ...")
    thread.join()
    assert isinstance(outcome[0], RunFailed)
    assert str(outcome[0]).startswith("The runs failed at hand: RuntimeError: no")


def test_a_run_that_the_study_holds_is_not_done_again(shared, address, name, task):
    with Crew(address, name):
        first = Bench(task, shared).run(JOBS)
    again = Storage(address, task, study=name)
    assert plain(Bench(task, again).run(JOBS)) == plain(first)
    assert len(trials(address, name)) == len(JOBS)
    again.close()


def test_what_a_killed_coordinator_has_asked_for_is_waited_for(shared, address, name, task):
    call = shared._values.put(Bench(task, shared)._perform)
    shared._orders.publish(call, tuple(JOBS[:2]))
    again = Storage(address, task, study=name)
    with Crew(address, name):
        done = Bench(task, again).run(JOBS[:3])
    assert list(done) == JOBS[:3]
    assert count(address, name, "COMPLETE") == len(trials(address, name)) == 3
    again.close()


def test_a_caller_that_stops_takes_back_what_nobody_has_begun(shared, address, name, task, hand):
    one = hand()
    results = shared.map(Bench(task, shared)._perform, [(job,) for job in JOBS])
    thread, outcome = in_a_thread(lambda: next(results))
    one.does(one.waits_for_claim())
    thread.join()
    assert outcome[0][0] == (JOBS[0],)
    results.close()
    assert one.claims.claim() is None
    assert count(address, name, "WAITING") == 0
    again = Storage(address, task, study=name)
    with Crew(address, name):
        assert len(Bench(task, again).run(JOBS)) == len(JOBS)
    assert count(address, name, "COMPLETE") == len(JOBS) - 1
    again.close()


def test_a_worker_of_other_versions_takes_nothing_and_says_so(shared, address, name, hand):
    shared._orders.publish(shared._values.put(len), (JOBS[0],))
    one = hand(versions="fitwell 0.0.1")
    assert one.claims.claim() is None
    assert one.claims.others_wait_for() == versions_needed()


def test_the_workers_that_are_there_are_counted(shared, address, name, hand):
    assert shared._orders.workers() == 0
    assert shared.workers == 1
    first, second = hand(f"{name}-1"), hand(f"{name}-2")
    assert shared._orders.workers() == 2
    second.claims.leave()
    assert shared._orders.workers() == 1
    first.has_passed(20.0)
    assert shared._orders.workers() == 0


def test_a_caller_without_workers_is_told_how_to_start_one(address, name, task, monkeypatch, hand):
    monkeypatch.setattr("fitwell.studies.storage.executor.LONELY", 0.0)
    told = []
    travels(task)
    storage = Storage(address, task, study=name, tell=told.append)
    thread, outcome = in_a_thread(lambda: Bench(task, storage).run(JOBS[:1]))
    while not told:
        time.sleep(0.01)
    one = hand()
    one.does(one.waits_for_claim())
    thread.join()
    assert len(outcome[0]) == 1
    assert "fitwell worker --storage" in told[0]
    assert "s3cret" not in told[0]
    storage.close()


def test_a_study_of_another_task_is_refused(shared, address, name, make_task):
    with pytest.raises(BadInput, match="one of another task"):
        Storage(address, make_task(epochs=4), study=name)


def test_a_large_value_travels_in_parts_and_once(shared, monkeypatch):
    monkeypatch.setattr("fitwell.studies.storage.values.PART", 1000)
    value = torch.arange(500)
    first, again = shared._values.put(value), shared._values.put(value.clone())
    assert first == again
    read = Values(shared._engine, shared._schema)
    assert torch.equal(read.get(first), value)
    assert read.get(first) is read.get(first)
    table = shared._schema.shared
    with shared._engine.begin() as connection:
        parts = connection.execute(sa.select(table.c.part).where(table.c.digest == first)).all()
        assert len(parts) == 5
        connection.execute(sa.delete(table).where(table.c.part == 3))
    with pytest.raises(BadInput, match="damaged"):
        Values(shared._engine, shared._schema).get(first)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("nothing", "what was given is no address"),
        ("oracle://me:s3cret@there/db", "got oracle://"),
        ("sqlite://", "needs a file"),
        ("sqlite:////no/such/folder/study.db", "unable to open database file"),
        ("postgresql://me:s3cret@127.0.0.1:1/db", r"postgresql://me:\*\*\*@127\.0\.0\.1:1/db"),
    ],
)
def test_an_address_that_cannot_be_used_is_told_in_one_line_without_its_password(task, given, said):
    with pytest.raises(BadInput, match=said) as refused:
        Storage(given, task)
    assert "s3cret" not in str(refused.value)
    assert "\n" not in str(refused.value)


def deep_network():
    """A network whose gradients vanish."""
    hidden = [part for _ in range(8) for part in (torch.nn.Linear(8, 8), torch.nn.Sigmoid())]
    ends = torch.nn.Linear(4, 8), torch.nn.Linear(8, 2)
    return torch.nn.Sequential(ends[0], torch.nn.Sigmoid(), *hidden, ends[1])


@contextlib.contextmanager
def workers_of(address, name, count):
    """Start worker processes, wait until they are there, and end them at the end of the block."""
    command = [sys.executable, "-m", "fitwell", "worker", "--study", name]
    options = {"env": os.environ | {"FITWELL_STORAGE": address}, "stderr": subprocess.PIPE}
    crew = [subprocess.Popen(command, text=True, **options) for _ in range(count)]
    look = Hand(address, name, "looks on")
    look.claims.leave()
    table = look.schema.workers
    try:
        there = set()
        while len(there) < count:
            assert all(one.poll() is None for one in crew)
            with look.engine.begin() as connection:
                names = connection.execute(sa.select(table.c.worker)).scalars().all()
            there = {one.pid for one in crew if any(f"-{one.pid}-" in name for name in names)}
            time.sleep(0.2)
        yield crew
    finally:
        look.engine.dispose()
        for one in crew:
            one.send_signal(signal.SIGTERM)
            one.said = one.communicate()[1]


@pytest.mark.slow
def test_four_workers_one_of_them_killed_lose_no_run_and_count_none_twice(
    postgres, name, make_task, tmp_path
):
    here, killed = os.getpid(), tmp_path / "killed"
    task = make_task()
    travels(task)
    make = task.make_model

    def dies_once():
        if os.getpid() != here:
            with contextlib.suppress(FileExistsError):
                killed.touch(exist_ok=False)
                os.kill(os.getpid(), signal.SIGKILL)
        return make()

    task.make_model = dies_once
    jobs = [Job((), seed, test=True, arm="untreated") for seed in range(24)]
    storage = Storage(postgres, task, study=name, grace=2.0)
    alone = [(job,) for job in jobs]
    with workers_of(postgres, name, 4) as crew:
        there = dict(storage.map(Bench(task, storage)._perform, alone))
    assert sorted(one.returncode for one in crew) == [-9, 130, 130, 130]
    here_too = Bench(task, InProcess())
    assert sorted(there, key=alone.index) == alone
    for batch, results in InProcess().map(here_too._perform, alone):
        assert plain(dict(enumerate(there[batch]))) == plain(dict(enumerate(results)))
    found = trials(postgres, name)
    assert [trial.state.name for trial in found] == ["COMPLETE"] * len(jobs)
    assert [trial.params["seed"] for trial in found] == list(range(len(jobs)))
    table, study = storage._schema.batches, storage._schema.number_of(name)
    with storage._engine.begin() as connection:
        tries = sa.select(table.c.tries).where(table.c.study == study)
        assert sorted(connection.execute(tries).scalars()) == [1] * (len(jobs) - 1) + [2]
    assert "s3cret" not in "".join(one.said for one in crew)
    storage.close()


@pytest.mark.slow
def test_a_terminated_worker_puts_its_batch_back_at_once(postgres, name, make_task):
    task = make_task(epochs=100_000)
    travels(task)
    storage = Storage(postgres, task, study=name)
    call = storage._values.put(Bench(task, storage)._perform)
    storage._orders.publish(call, (Job((), 0, arm="long"),))
    with workers_of(postgres, name, 1) as (one,):
        while count(postgres, name, "RUNNING") == 0:
            time.sleep(0.2)
    assert one.returncode == 130
    assert "is put back" in one.said
    assert count(postgres, name, "WAITING") == 1
    assert storage._orders.workers() == 0
    storage.close()


@pytest.mark.slow
def test_a_cure_gives_the_same_in_workers_and_tells_nobody_the_password(
    postgres, name, make_task, tmp_path
):
    task = make_task(epochs=4, optimizer=partial(torch.optim.SGD, lr=0.1))
    travels(task)
    task.make_model = deep_network
    storage = Storage(postgres, task, study=name)
    with Crew(postgres, name, 1):
        there = cure(task, runs=8, seeds=2, out=tmp_path / "there", executor=storage)
    here = cure(task, runs=8, seeds=2, out=tmp_path / "here", executor=InProcess())
    assert here.record.trials
    told = [{**done.record.to_dict(), "seconds": 0} for done in (here, there)]
    assert told[0] == told[1]
    files = [file for file in (tmp_path / "there").rglob("*") if file.is_file()]
    assert len(files) > 3
    assert not [file for file in files if b"s3cret" in file.read_bytes()]
    storage.close()
