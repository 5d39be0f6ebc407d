"""TensorFlow's name for Keras, and older names and spellings of Keras, answered by Keras 3."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType, ModuleType
from typing import Any, final

import keras
from keras.src.backend.torch.trainer import TorchTrainer
from keras.src.optimizers.base_optimizer import BaseOptimizer
from keras.src.utils.module_utils import tensorflow

from fitwell.errors import ScriptRefused
from fitwell.integrations.keras.older import GONE, LEGACY, older_values
from fitwell.integrations.keras.tensorflow_names import tensorflow_value

_MOVED = MappingProxyType(
    {
        **dict.fromkeys(
            (
                *("core", "convolutional", "normalization", "recurrent", "embeddings", "pooling"),
                *("advanced_activations", "noise", "wrappers", "merge", "local", "rnn"),
                *("normalization.batch_normalization", "core.dense", "core.dropout"),
            ),
            "layers",
        ),
    }
)
"""Submodules of ``keras.layers`` in older versions: all names now stand in ``keras.layers``."""

_MODULES = MappingProxyType(
    {
        **{f"layers.{old}": new for old, new in _MOVED.items()},
        "utils.np_utils": "utils",
        "utils.generic_utils": "utils",
        "utils.vis_utils": "utils",
        "utils.data_utils": "utils",
        "utils.training_utils": "utils",
        "engine": "layers",
        "engine.topology": "layers",
        "engine.training": "models",
        "engine.base_layer": "layers",
        "backend": "backend",
        "preprocessing.text": "preprocessing.text",
        "preprocessing.image": "preprocessing.image",
        "preprocessing.sequence": "preprocessing.sequence",
        "optimizers.legacy": "optimizers",
        "initializers.initializers_v2": "initializers",
        "wrappers.scikit_learn": "wrappers.scikit_learn",
        "losses.losses_utils": "losses",
        "objectives": "losses",
        "optimizer_v2": "optimizers",
        "callbacks.callbacks": "callbacks",
    }
)
"""Older module of Keras to the one of Keras 3 that answers it."""


@final
class Answer(ModuleType):
    """A module under an older name: what it does not hold itself, another one answers.

    Args:
        name: Its name.
        target: The module that answers; None if only ``found`` does.
        found: Returns the value of a name, or raises ``AttributeError``.
    """

    def __init__(
        self, name: str, target: ModuleType | None, found: Callable[[str], Any] | None = None
    ) -> None:
        super().__init__(name)
        self.__path__: list[str] = []
        self._target, self._found = target, found

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name not in ("__version__", "__all__"):
            raise AttributeError(name)
        if name == "__all__":
            return [n for n in dir(self._target) if not n.startswith("_")]
        if self._found is not None:
            try:
                return self._found(name)
            except AttributeError:
                if self._target is None:
                    raise
        return getattr(self._target, name)


@final
class Answers:
    """What a name of TensorFlow or of an older Keras leads to."""

    def answer(self, name: str) -> ModuleType | None:
        """Return the module that answers a dotted name, or None if Keras has it itself.

        Args:
            name: As ``"tensorflow.keras.layers"``, or ``"keras.utils.np_utils"``.

        Raises:
            ScriptRefused: If it is a part of TensorFlow that Keras does not answer.
        """
        parts = name.split(".")
        if parts[0] == "keras":
            return self._older(name, ".".join(parts[1:]))
        inner = [part for part in parts[1:] if part not in ("python", "_api", "v2", "v1", "api")]
        if not inner:
            return Answer(name, None, self._of_tensorflow)
        if inner[0] == "keras":
            rest = ".".join(inner[1:])
            return self._older(name, rest) or self._module(name, rest)
        value = tensorflow_value(inner[0])
        for part in inner[1:]:
            value = getattr(value, part)
        return Answer(name, None, functools.partial(getattr, value))

    def _of_tensorflow(self, name: str) -> Any:
        return self._module("tensorflow.keras", "") if name == "keras" else tensorflow_value(name)

    def _older(self, name: str, rest: str) -> ModuleType | None:
        if rest == "backend" and not name.startswith("tensorflow"):
            return None  # Keras 3 has it; what it lacks is added to it
        if rest not in _MODULES:
            return None
        return self._module(name, _MODULES[rest])

    def _module(self, name: str, rest: str) -> ModuleType | None:
        if rest in LEGACY:
            return Answer(name, None, LEGACY[rest])
        try:
            target = importlib.import_module(f"keras.{rest}" if rest else "keras")
        except ModuleNotFoundError as error:
            raise ScriptRefused(
                f"The script imports {name}, which Keras {keras.__version__} does not have: "
                "it would have to be written for Keras 3."
            ) from error
        return Answer(name, target, functools.partial(_keras_value, target))


def _keras_value(target: ModuleType, name: str) -> Any:
    """Return an attribute of a module of Keras; a submodule of an older name among them."""
    if hasattr(target, name):
        return getattr(target, name)
    rest = target.__name__.removeprefix("keras").lstrip(".")
    older = ".".join(part for part in (rest, name) if part)
    if older in _MODULES:
        found = Answers()._module(f"keras.{older}", _MODULES[older])
        if found is not None:
            return found
    raise AttributeError(f"module {target.__name__!r} has no attribute {name!r}")


@contextmanager
def older_spellings() -> Iterator[None]:
    """Have Keras 3 take the spellings of older versions: ``SGD(lr=…, decay=…)``, ``nb_epoch``."""
    kept = BaseOptimizer.__init__, TorchTrainer.fit
    tensorflow._available = False  # Keras itself must not take the answers for TensorFlow
    before: list[tuple[Any, str, Any]] = []
    for owner, values in older_values():
        for name, value in values.items():
            if not hasattr(owner, name) or owner is keras.optimizers.legacy:
                before.append((owner, name, getattr(owner, name, None)))
                setattr(owner, name, value)
    BaseOptimizer.__init__ = _rate_under_its_old_name(kept[0])
    TorchTrainer.fit = _epochs_under_their_old_name(kept[1])
    try:
        yield
    finally:
        BaseOptimizer.__init__, TorchTrainer.fit = kept
        for owner, name, value in before:
            if value is None:
                delattr(owner, name)
            else:
                setattr(owner, name, value)


def _rate_under_its_old_name(init: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(init)
    def told(self: Any, learning_rate: Any = None, *args: Any, **kwargs: Any) -> None:
        rate = kwargs.pop("lr", learning_rate)
        decay = kwargs.pop("decay", None)
        if decay and isinstance(rate, (int, float)):
            rate = keras.optimizers.schedules.InverseTimeDecay(rate, 1, decay)
        init(self, rate, *args, **kwargs)

    return told


def _epochs_under_their_old_name(fit: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(fit)
    def told(self: Any, *args: Any, **kwargs: Any) -> Any:
        if "nb_epoch" in kwargs:
            kwargs["epochs"] = kwargs.pop("nb_epoch")
        for gone in GONE:
            kwargs.pop(gone, None)
        history = fit(self, *args, **kwargs)
        history.history = _OlderKeys(history.history)
        return history

    return told


@final
class _OlderKeys(dict[str, Any]):
    """The curves of a run, found under the names that Keras gave them before 2.3 as well."""

    _NAMES: Mapping[str, str] = MappingProxyType(
        {"acc": "accuracy", "val_acc": "val_accuracy", "accuracy": "acc", "val_accuracy": "val_acc"}
    )

    def __missing__(self, key: str) -> Any:
        other = self._NAMES.get(key)
        if other is not None and other in self:
            return self[other]
        raise KeyError(key)
