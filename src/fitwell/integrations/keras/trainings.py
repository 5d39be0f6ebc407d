"""Find out which models of Keras a program trains, and watch them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, final

import keras
from keras.src.backend.torch.trainer import TorchTrainer

from fitwell.integrations.keras.facts import row_facts
from fitwell.integrations.keras.session import KerasSession
from fitwell.records import Recorded

_ENDED = 2
"""So many sessions without a model in training are kept open; older ones are closed."""


@final
class KerasTrainings:
    """Watches every model that ``fit`` or ``train_on_batch`` trains, one watch a model.

    Args:
        overhead: Share of the run's time that watching may take, in (0, 1].
        naming: Returns the name by which the program knows a model, or "".
    """

    def __init__(self, overhead: float, naming: Callable[[object], str]) -> None:
        self._overhead, self._naming = overhead, naming
        self._sessions: list[KerasSession] = []
        self._open = ExitStack()
        self._depth = 0
        self._recorded: list[Recorded] = []

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch what is trained inside; nothing of it is left attached afterwards."""
        kept = {
            n: getattr(TorchTrainer, n) for n in ("fit", "train_on_batch", "make_train_function")
        }
        TorchTrainer.fit = self._fit(kept["fit"])
        TorchTrainer.train_on_batch = self._trained_on_batch(kept["train_on_batch"])
        TorchTrainer.make_train_function = self._made(kept["make_train_function"])
        try:
            yield
        finally:
            for name, function in kept.items():
                setattr(TorchTrainer, name, function)
            for session in list(self._sessions):
                self._end(session)

    @property
    def recorded(self) -> list[Recorded]:
        """What was recorded of each model, in the order in which they began to train."""
        return list(self._recorded)

    def _fit(self, fit: Callable[..., Any]) -> Callable[..., Any]:
        names = tuple(inspect.signature(fit).parameters)[1:]

        @functools.wraps(fit)
        def told(model: Any, *args: Any, **kwargs: Any) -> Any:
            placed = dict(zip(names, args, strict=False))
            if len(args) > len(names) or placed.keys() & kwargs.keys():
                return fit(model, *args, **kwargs)  # which refuses them, as it does unwatched
            session, named = self._session(model), placed | kwargs
            session.describe(**row_facts(named))
            named["callbacks"] = _with(named.get("callbacks"), _Epochs(session))
            with self._training(session):
                return fit(model, **named)

        return told

    def _trained_on_batch(self, train: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(train)
        def told(model: Any, *args: Any, **kwargs: Any) -> Any:
            with self._training(self._session(model)):
                return train(model, *args, **kwargs)

        return told

    def _made(self, make: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(make)
        def told(model: Any, force: bool = False) -> Any:
            made = make(model, force)
            session = next((s for s in self._sessions if s.model is model), None)
            if session is not None and self._depth and model.built:
                self._open.enter_context(session.training())
            return made

        return told

    @contextmanager
    def _training(self, session: KerasSession) -> Iterator[None]:
        """Listen to a model from the moment it is built to the end of a call that trains it."""
        self._depth += 1
        try:
            yield
        except Exception as error:  # a callback may raise whatever it likes: noted, and handed on
            session.failed(error)
            raise
        finally:
            self._depth -= 1
            if not self._depth:
                self._open.close()

    def _session(self, model: Any) -> KerasSession:
        session = next((s for s in self._sessions if s.model is model), None)
        if session is None:
            for old in [s for s in self._sessions if type(s.model) is type(model)][:-_ENDED]:
                self._end(old)
            name = self._naming(model) or type(model).__name__
            session = KerasSession(model, name, self._overhead)
            self._sessions.append(session)
        return session

    def _end(self, session: KerasSession) -> None:
        self._sessions.remove(session)
        self._recorded.append(session.close())


def _with(callbacks: Any, further: Any) -> Any:
    """Return callbacks as ``fit`` takes them, with a further one."""
    if isinstance(callbacks, keras.callbacks.CallbackList):
        callbacks.append(further)
        return callbacks
    given = callbacks if isinstance(callbacks, (list, tuple)) else [callbacks]
    return [*(one for one in given if one is not None), further]


@final
class _Epochs(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Tells a session of the end of every epoch."""

    def __init__(self, session: KerasSession) -> None:
        super().__init__()
        self._session = session

    def on_train_begin(self, logs: Any = None) -> None:
        """Note how long training is meant to be."""
        steps, epochs = self.params.get("steps") or 0, self.params.get("epochs") or 0
        self._session.describe(planned_steps=int(steps) * int(epochs))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Hand over the metrics."""
        self._session.epoch_ended(logs or {})
