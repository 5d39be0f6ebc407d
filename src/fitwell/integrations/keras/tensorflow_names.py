"""What a Keras program takes from TensorFlow itself, as far as Keras 3 has the like."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType, SimpleNamespace
from typing import Any

import keras
import torch
from keras import ops

from fitwell.errors import ScriptRefused

VERSION = "2.16.0"
"""The first version of TensorFlow whose Keras is Keras 3."""


def tensorflow_value(name: str) -> Any:
    """Return what stands for an attribute of ``tensorflow``.

    Raises:
        ScriptRefused: If nothing does: the script needs TensorFlow itself.
    """
    if name.startswith("_") and name != "__version__":
        raise AttributeError(name)
    made = _VALUES.get(name)
    if made is not None:
        return made()
    if name in _TYPES:
        return name
    if name in _OPERATIONS:
        return getattr(ops, _OPERATIONS[name])
    raise ScriptRefused(
        f"The script needs TensorFlow itself (tf.{name}): fitwell answers tensorflow.keras by "
        "Keras 3 on torch, and no other part of TensorFlow."
    )


_TYPES = frozenset("float16 float32 float64 int8 int32 int64 uint8 bool string".split())

_OPERATIONS: Mapping[str, str] = MappingProxyType(
    {
        **{
            name: name
            for name in (
                *("abs", "add", "argmax", "argmin", "cast", "concat", "convert_to_tensor", "cos"),
                *("equal", "exp", "expand_dims", "eye", "matmul", "maximum", "minimum", "multiply"),
                *("ones", "ones_like", "pad", "range", "reshape", "round", "shape", "sigmoid"),
                *("sign", "sin", "size", "sqrt", "square", "squeeze", "stack", "subtract", "tanh"),
                *("tile", "transpose", "where", "zeros", "zeros_like", "norm", "einsum"),
            )
            if hasattr(ops, name)
        },
        "concat": "concatenate",
        "range": "arange",
        "constant": "convert_to_tensor",
        "reduce_mean": "mean",
        "reduce_sum": "sum",
        "reduce_max": "max",
        "reduce_min": "min",
        "pow": "power",
        "clip_by_value": "clip",
        "divide": "divide",
    }
)
"""Function of TensorFlow to the operation of Keras 3."""


def _nothing(*args: Any, **kwargs: Any) -> None:
    """Do nothing: a setting of TensorFlow that means nothing here."""


def _none(*args: Any) -> list[Any]:
    """Return no device: Keras on torch finds its own."""
    return []


def _plain_function(function: Any = None, **settings: Any) -> Any:
    """Stand for ``tf.function``: the function runs as it is."""
    return function if function is not None else _plain_function


def _nn() -> SimpleNamespace:
    names = ("relu", "sigmoid", "tanh", "softmax", "elu", "selu", "gelu", "silu", "softplus")
    return SimpleNamespace(
        **{name: getattr(keras.activations, name) for name in names},
        leaky_relu=keras.activations.leaky_relu,
        relu6=keras.activations.relu6,
        swish=keras.activations.silu,
    )


def _random() -> SimpleNamespace:
    return SimpleNamespace(
        set_seed=keras.utils.set_random_seed,
        normal=keras.random.normal,
        uniform=keras.random.uniform,
        set_random_seed=keras.utils.set_random_seed,
    )


def _math() -> SimpleNamespace:
    names = (
        *("abs", "add", "argmax", "cos", "equal", "exp", "log", "maximum", "minimum", "multiply"),
        *("round", "sigmoid", "sign", "sin", "sqrt", "square", "subtract", "tanh"),
    )
    reductions = {f"reduce_{n}": getattr(ops, n) for n in ("mean", "sum", "max", "min")}
    return SimpleNamespace(
        **{name: getattr(ops, name) for name in names}, **reductions, pow=ops.power
    )


def _config() -> SimpleNamespace:
    return SimpleNamespace(
        list_physical_devices=_none,
        list_logical_devices=_none,
        run_functions_eagerly=_nothing,
        experimental=SimpleNamespace(
            list_physical_devices=_none,
            set_memory_growth=_nothing,
            enable_op_determinism=_nothing,
        ),
        threading=SimpleNamespace(
            set_inter_op_parallelism_threads=_nothing, set_intra_op_parallelism_threads=_nothing
        ),
    )


def _train() -> SimpleNamespace:
    """Optimizers of TensorFlow 1 by their old names."""
    made = keras.optimizers
    return SimpleNamespace(
        AdamOptimizer=made.Adam,
        GradientDescentOptimizer=made.SGD,
        MomentumOptimizer=made.SGD,
        RMSPropOptimizer=made.RMSprop,
        AdagradOptimizer=made.Adagrad,
        AdadeltaOptimizer=made.Adadelta,
    )


def _compat() -> SimpleNamespace:
    logging = SimpleNamespace(set_verbosity=_nothing, ERROR=40, INFO=20, WARN=30)
    one = SimpleNamespace(
        logging=logging,
        set_random_seed=keras.utils.set_random_seed,
        train=_train(),
        disable_eager_execution=_nothing,
        enable_eager_execution=_nothing,
    )
    one.v1 = one.v2 = one
    return one


_VALUES: Mapping[str, Callable[[], Any]] = MappingProxyType(
    {
        "__version__": lambda: VERSION,
        "version": lambda: SimpleNamespace(VERSION=VERSION),
        "nn": _nn,
        "random": _random,
        "math": _math,
        "config": _config,
        "train": _train,
        "compat": _compat,
        "set_random_seed": lambda: keras.utils.set_random_seed,
        "enable_eager_execution": lambda: _nothing,
        "executing_eagerly": lambda: lambda: True,
        "logging": lambda: _compat().v1.logging,
        "get_logger": lambda: lambda: SimpleNamespace(setLevel=_nothing),
        "function": lambda: _plain_function,
        "initializers": lambda: keras.initializers,
        "losses": lambda: keras.losses,
        "metrics": lambda: keras.metrics,
        "optimizers": lambda: keras.optimizers,
        "Tensor": lambda: torch.Tensor,
    }
)
"""Attribute of ``tensorflow`` to what makes the value that stands for it."""
