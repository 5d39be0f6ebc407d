"""Find out what a program trains, and watch it."""

from __future__ import annotations

import functools
import os
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, final

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from fitwell.records import Recorded
from fitwell.script.functional import LossCall, losses_told, reached
from fitwell.script.imports import keras_answered
from fitwell.script.loading import Datasets, loaders_told
from fitwell.script.roots import Candidates, name_in_program, unwrapped
from fitwell.script.session import Session

_IDLE = 50
"""Steps of another network of the same class after which one that made none is let go of."""
_FRUITLESS = 3
"""Searches of a loss in the graph that found nothing, after which its value is taken instead."""


@final
class Watcher:
    """Watches every network that is trained in this process, one watch a network.

    Optimizers are heard of when they are made, the network that they train when it is first
    called with gradients enabled; losses and their targets through the loss functions of torch,
    and the value of any other loss when its backward pass begins.

    Args:
        overhead: Share of the run's time that watching may take, in (0, 1].
        say: Tells the user one line, where something of the script is answered by another.
    """

    def __init__(self, overhead: float = 0.01, *, say: Callable[[str], None] | None = None) -> None:
        self._overhead, self._say = overhead, say or _silent
        self._keras: Any = None
        self._process = os.getpid()
        self._waiting: dict[int, tuple[weakref.ref[Optimizer], Candidates]] = {}
        self._sessions: list[Session] = []
        self._recorded: list[tuple[int, Recorded]] = []
        self._of: dict[int, list[Session]] = {}
        self._beside: set[int] = set()
        self._successors: dict[int, tuple[weakref.ref[Optimizer], Session]] = {}
        self._latest: Session | None = None
        self._pending: dict[int, tuple[LossCall, Session, bool]] = {}
        self._trained: list[LossCall] = []
        self._values: list[Tensor] = []
        self._fruitless = 0
        self._datasets = Datasets()
        self._inside: Optimizer | None = None
        self._told = False
        self._order = 0

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch what is trained inside; nothing of it is left attached afterwards."""
        with ExitStack() as stack:
            stack.enter_context(losses_told(self))
            stack.enter_context(loaders_told(self))
            stack.enter_context(_optimizers_told(self))
            before = register_optimizer_step_pre_hook(self._step_begins)
            stack.callback(before.remove)
            after = register_optimizer_step_post_hook(self._step_ended)
            stack.callback(after.remove)
            stack.callback(self._close)
            stack.enter_context(
                keras_answered(functools.partial(self._keras_loaded, stack), self._say)
            )
            yield

    def _keras_loaded(self, stack: ExitStack) -> Any:
        """Watch what Keras trains, from here on; return what answers its older names."""
        from fitwell.integrations.keras import Answers, KerasTrainings, older_spellings

        self._keras = KerasTrainings(self._overhead, name_in_program)
        stack.enter_context(older_spellings())
        stack.enter_context(self._keras.watching())
        return Answers()

    def failed(self, error: BaseException) -> None:
        """Note the exception that ended the program."""
        if self._latest is not None:
            self._latest.watch.describe(error=f"{type(error).__name__}: {error}")

    @property
    def recorded(self) -> list[Recorded]:
        """What was recorded of each network, in the order in which they began to train."""
        found = [one for _, one in sorted(self._recorded, key=lambda pair: pair[0])]
        return found + (self._keras.recorded if self._keras is not None else [])

    # What is heard of, one method an event.

    def optimizer_made(self, optimizer: Optimizer) -> None:
        """Look for the network that it trains."""
        if self._elsewhere() or _is_of_keras(optimizer):
            return
        held = [p for group in optimizer.param_groups for p in group["params"]]
        reference = weakref.ref(optimizer)
        for session in self._sessions:
            own = {id(p) for p in session.root.parameters()}
            if any(id(p) in own for p in held):
                self._successors[id(optimizer)] = (reference, session)
                return
        self._beside.discard(id(optimizer))
        candidates = Candidates(held, functools.partial(self._root_called, reference))
        self._waiting[id(optimizer)] = (reference, candidates)
        weakref.finalize(optimizer, candidates.close)

    def loss_computed(self, call: LossCall) -> None:
        """Keep a loss until a backward pass goes through it; without gradients it is evaluation."""
        session = self._latest
        if session is None or self._elsewhere():
            return
        if not call.key:
            self._evaluate(call, session)
            return
        for key, (other, owner, training) in list(self._pending.items()):
            if not training:
                del self._pending[key]
                self._evaluate(other, owner)
        self._pending[call.key] = (call, session, session.mode)

    def loss_failed(self, function: str, outputs: Tensor, targets: Tensor) -> None:
        """Note what a loss was given that it cannot take."""
        if self._latest is not None and not self._elsewhere():
            self._latest.refused(function, outputs, targets)

    def backward_began(self, losses: tuple[Tensor, ...]) -> None:
        """Take the losses that it goes through as those that are trained on."""
        if self._latest is None or self._elsewhere():
            return
        self._datasets.trained()
        keys = reached(losses, self._pending) if self._fruitless < _FRUITLESS else set()
        for key in sorted(keys):
            self._trained.append(self._pending.pop(key)[0])
        if keys:
            self._fruitless = 0
        else:
            self._fruitless += bool(self._pending)
            self._values += [loss.detach().mean() for loss in losses]
        if self._inside is not None and not self._told:
            self._told = True
            self._hand_over(self._of.get(id(self._inside), []))

    def batch_loaded(self, dataset: Any) -> None:
        """Note which dataset is worked on."""
        self._datasets.loaded(dataset)

    def loader_ended(self) -> None:
        """Note that no dataset is worked on."""
        self._datasets.loaded(None)

    # Optimizer steps.

    def _step_begins(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if self._elsewhere() or self._is_beside(optimizer):
            return
        self._resolve(optimizer)
        sessions = self._of.get(id(optimizer), [])
        self._inside, self._told = optimizer, bool(self._trained or self._values)
        if self._told:
            self._hand_over(sessions)
        succeeded = self._succeeded(optimizer)
        if succeeded is not None:
            succeeded.stepped_with(optimizer, True, args, kwargs)

    def _step_ended(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if self._elsewhere() or self._is_beside(optimizer):
            return
        self._inside = None
        self._trained, self._values = [], []
        self._pending.clear()
        sessions = self._of.get(id(optimizer), [])
        succeeded = self._succeeded(optimizer)
        if succeeded is not None:
            succeeded.stepped_with(optimizer, False, args, kwargs)
            sessions = [succeeded]
        for session in sessions:
            session.steps += 1
            session.last_step = self._order
        self._order += 1
        if self._order % _IDLE == 0:
            self._let_go()

    def _is_beside(self, optimizer: Optimizer) -> bool:
        """Whether another optimizer counts the steps of the same network."""
        return id(optimizer) in self._beside or _is_of_keras(optimizer)

    def _hand_over(self, sessions: list[Session]) -> None:
        """Tell the sessions of an optimizer of the losses that this step goes down on."""
        for session in sessions or ([self._latest] if self._latest else []):
            if self._trained:
                session.trained_on(self._trained)
            elif self._values:
                session.went_down_on(self._values)
        self._trained, self._values = [], []

    def _succeeded(self, optimizer: Optimizer) -> Session | None:
        """Return the session whose own optimizer this one came after, and took the place of."""
        reference, session = self._successors.get(id(optimizer), (None, None))
        if reference is None or reference() is not optimizer or session is None:
            return None
        return session

    def _resolve(self, optimizer: Optimizer) -> None:
        """Watch the likeliest network of an optimizer that steps before one was called."""
        if id(optimizer) not in self._of and id(optimizer) not in self._successors:
            if id(optimizer) not in self._waiting:
                self.optimizer_made(optimizer)
            waiting = self._waiting.get(id(optimizer))
            root = waiting[1].outermost() if waiting else None
            if root is not None and waiting is not None:
                waiting[1].settle(root)
                self._begin(unwrapped(root), optimizer)

    # Sessions.

    def _root_called(
        self,
        reference: weakref.ref[Optimizer],
        module: nn.Module,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        optimizer = reference()
        if optimizer is None or self._elsewhere():
            return
        root = unwrapped(module)
        known = next((s for s in self._sessions if s.root is root), None)
        if known is not None:  # another optimizer, made before the network was known
            self._beside.add(id(optimizer))
            return
        together = [other for other, found in self._alive() if found.holds(module)]
        others = tuple(other for other in together if other is not optimizer)
        session = self._begin(root, optimizer, name_in_program(module), others=others)
        if root is module:
            session.entered(args, kwargs)

    def _alive(self) -> list[tuple[Optimizer, Candidates]]:
        """Return the optimizers that are there, with the modules that hold their weights."""
        pairs = [(reference(), found) for reference, found in self._waiting.values()]
        return [(optimizer, found) for optimizer, found in pairs if optimizer is not None]

    def _begin(
        self,
        root: nn.Module,
        optimizer: Optimizer,
        name: str = "",
        *,
        others: tuple[Optimizer, ...] = (),
    ) -> Session:
        name = name or name_in_program(root) or type(root).__name__
        session = Session(
            root, optimizer, name, others=others, overhead=self._overhead, ran=self._ran
        )
        session.number = len(self._sessions) + len(self._recorded)
        session.last_step = self._order
        self._sessions.append(session)
        self._of.setdefault(id(optimizer), []).append(session)
        self._latest = session
        return session

    def _ran(self, session: Session) -> None:
        self._latest = session

    def _evaluate(self, call: LossCall, session: Session) -> None:
        in_training = session.mode and session.with_gradients
        if not in_training and not self._datasets.is_trained():
            session.evaluated(call)

    def _let_go(self) -> None:
        """Drop the networks that have ended: a program may train thousands, one after another."""
        for session in list(self._sessions):
            idle = self._order - session.last_step
            alike = [s for s in self._sessions if type(s.root) is type(session.root)]
            newer = any(s.number > session.number and s.steps for s in alike)
            if newer and idle > _IDLE:
                self._end(session)

    def _end(self, session: Session) -> None:
        self._sessions.remove(session)
        left = {key: [s for s in own if s is not session] for key, own in self._of.items()}
        self._of = {key: own for key, own in left.items() if own}
        self._successors = {k: v for k, v in self._successors.items() if v[1] is not session}
        if self._latest is session:
            self._latest = None
        self._recorded.append((session.number, session.close()))

    def _close(self) -> None:
        for _, candidates in self._waiting.values():
            candidates.close()
        for session in list(self._sessions):
            self._end(session)

    def _elsewhere(self) -> bool:
        """Whether this is a worker process that the program forked."""
        return os.getpid() != self._process


def _is_of_keras(optimizer: Optimizer) -> bool:
    """Whether it makes the steps of a Keras optimizer, whose model is watched as one of Keras."""
    return type(optimizer).__module__.startswith("fitwell.integrations.keras")


def _silent(text: str) -> None:
    """Tell nothing."""


@contextmanager
def _optimizers_told(watcher: Watcher) -> Iterator[None]:
    """Tell the watcher of every optimizer that is made."""
    made = Optimizer.__init__

    @functools.wraps(made)
    def told(self: Optimizer, *args: Any, **kwargs: Any) -> None:
        made(self, *args, **kwargs)
        watcher.optimizer_made(self)

    Optimizer.__init__ = told  # type: ignore[method-assign]  # this command alone may patch
    try:
        yield
    finally:
        Optimizer.__init__ = made  # type: ignore[method-assign]
