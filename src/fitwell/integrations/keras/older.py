"""Modules, methods and backend functions that Keras had before version 3."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import keras
import numpy as np
from keras import ops
from keras.src.backend.torch.trainer import TorchTrainer

GONE = ("workers", "use_multiprocessing", "max_queue_size")
"""Arguments that told older versions how to load rows: Keras 3 takes them no more."""


def _legacy_text(name: str) -> Any:
    return _from("keras.src.legacy.preprocessing.text", name)


def _image(name: str) -> Any:
    return _from("keras.src.legacy.preprocessing.image", name, "keras.utils")


def _sequence(name: str) -> Any:
    return _from("keras.src.legacy.preprocessing.sequence", name, "keras.utils")


def _backend(name: str) -> Any:
    found = backend_functions().get(name)
    return found if found is not None else _from("keras.backend", name)


def _scikit_learn(name: str) -> Any:
    wrapper = {"KerasClassifier": "SKLearnClassifier", "KerasRegressor": "SKLearnRegressor"}[name]
    make = getattr(importlib.import_module("keras.wrappers"), wrapper)

    def made(build_fn: Callable[..., Any], **kwargs: Any) -> Any:
        return make(_Built(build_fn), fit_kwargs=kwargs)

    return made


class _Built:
    """Makes a model, whatever the rows are."""

    def __init__(self, build: Callable[..., Any]) -> None:
        self._build = build

    def __call__(self, rows: Any, targets: Any) -> Any:
        return self._build()


LEGACY: Mapping[str, Callable[[str], Any]] = MappingProxyType(
    {
        "preprocessing.text": _legacy_text,
        "preprocessing.image": _image,
        "preprocessing.sequence": _sequence,
        "backend": _backend,
        "wrappers.scikit_learn": _scikit_learn,
    }
)
"""Older module, as put together from several places: name to value."""


def _from(module: str, name: str, other: str = "") -> Any:
    for place in (module, other):
        if place and hasattr(importlib.import_module(place), name):
            return getattr(importlib.import_module(place), name)
    raise AttributeError(f"Keras {keras.__version__} has no {name} in {module}")


def backend_functions() -> dict[str, Any]:
    """Return the functions of ``keras.backend`` that operations of Keras 3 answer."""

    def over_axes(operation: Callable[..., Any]) -> Callable[..., Any]:
        return lambda x, axis=None, keepdims=False: operation(x, axis=axis, keepdims=keepdims)

    reductions = {name: over_axes(getattr(ops, name)) for name in ("mean", "sum", "max", "min")}
    same = (
        *("abs", "square", "sqrt", "log", "exp", "sign", "round", "clip", "maximum", "minimum"),
        *("cast", "reshape", "transpose", "concatenate", "stack", "equal", "not_equal", "greater"),
        *("less", "softmax", "relu", "sigmoid", "tanh", "shape", "argmax", "argmin", "squeeze"),
    )
    return {
        **reductions,
        **{name: getattr(ops, name) for name in same},
        "pow": ops.power,
        "dot": ops.matmul,
        "flatten": ops.ravel,
        "expand_dims": ops.expand_dims,
        "int_shape": lambda x: tuple(x.shape),
        "variable": keras.Variable,
        "constant": ops.convert_to_tensor,
        "binary_crossentropy": keras.losses.binary_crossentropy,
        "categorical_crossentropy": keras.losses.categorical_crossentropy,
        "set_image_dim_ordering": _set_image_order,
        "image_dim_ordering": lambda: "tf",
        "get_value": lambda x: np.asarray(keras.ops.convert_to_numpy(x)),
        "set_value": lambda x, value: x.assign(value),
    }


def _set_image_order(order: str) -> None:
    keras.config.set_image_data_format("channels_first" if order == "th" else "channels_last")


def older_methods() -> dict[str, Callable[..., Any]]:
    """Return the methods that models had."""

    def predict_classes(self: Any, x: Any, batch_size: int | None = None, verbose: Any = 0) -> Any:
        said = self.predict(x, batch_size=batch_size, verbose=verbose)
        return said.argmax(-1) if said.shape[-1] > 1 else (said > 0.5).astype("int32")

    def predict_proba(self: Any, x: Any, batch_size: int | None = None, verbose: Any = 0) -> Any:
        return self.predict(x, batch_size=batch_size, verbose=verbose)

    def fit_generator(self: Any, generator: Any, *args: Any, **kwargs: Any) -> Any:
        return self.fit(generator, **_named(args, _OF_FIT_GENERATOR), **kwargs)

    def evaluate_generator(self: Any, generator: Any, steps: Any = None, **kwargs: Any) -> Any:
        return self.evaluate(generator, steps=steps, **_without_gone(kwargs))

    def predict_generator(self: Any, generator: Any, steps: Any = None, **kwargs: Any) -> Any:
        return self.predict(generator, steps=steps, **_without_gone(kwargs))

    return {
        "predict_classes": predict_classes,
        "predict_proba": predict_proba,
        "fit_generator": fit_generator,
        "evaluate_generator": evaluate_generator,
        "predict_generator": predict_generator,
    }


def older_values() -> list[tuple[Any, Mapping[str, Any]]]:
    """Return what classes and modules of Keras 3 lack of what they had: owner and values.

    Optimizers under ``legacy`` are there, and refuse to be made: those of today answer.
    """
    made = keras.optimizers
    preprocessing = "keras.src.legacy.preprocessing"
    image, sequence = (
        importlib.import_module(f"{preprocessing}.{n}") for n in ("image", "sequence")
    )
    return [
        (TorchTrainer, older_methods()),
        (keras.backend, backend_functions()),
        (keras.utils, {"np_utils": keras.utils}),
        (keras.preprocessing.image, {"ImageDataGenerator": image.ImageDataGenerator}),
        (keras.preprocessing.sequence, {"TimeseriesGenerator": sequence.TimeseriesGenerator}),
        (keras.layers, {"CuDNNLSTM": keras.layers.LSTM, "CuDNNGRU": keras.layers.GRU}),
        (keras.optimizers, {name.lower(): getattr(made, name) for name in _OPTIMIZERS}),
        (keras.optimizers.legacy, {name: getattr(made, name) for name in _OPTIMIZERS}),
    ]


_OPTIMIZERS = ("SGD", "RMSprop", "Adam", "Adadelta", "Adagrad", "Adamax", "Nadam")
"""Classes that older versions had under lower-case names too."""


_OF_FIT_GENERATOR = (
    *("steps_per_epoch", "epochs", "verbose"),
    *("callbacks", "validation_data", "validation_steps"),
)
"""Its arguments by position, behind the generator: those that all older versions agree on."""


def _named(args: tuple[Any, ...], names: tuple[str, ...]) -> dict[str, Any]:
    if len(args) > len(names):
        raise TypeError(f"Expected at most {', '.join(names)} by position, got {len(args)} values.")
    return dict(zip(names, args, strict=False))


def _without_gone(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in kwargs.items() if name not in GONE}
