"""What a Keras model and its ``compile`` tell of the facts beside a trace."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from fitwell.integrations.keras.shells import activation_of

_FULL_NAMES = MappingProxyType(
    {
        "mse": "mean_squared_error",
        "mae": "mean_absolute_error",
        "mape": "mean_absolute_percentage_error",
        "msle": "mean_squared_logarithmic_error",
        "bce": "binary_crossentropy",
        "kld": "kl_divergence",
    }
)

_SLUGS = MappingProxyType({"hard_sigmoid": "hardsigmoid", "swish": "silu"})
"""Keras' spelling of an activation to torch's, where they differ."""


def loss_facts(model: Any) -> dict[str, Any]:
    """Return name of the loss, what it takes as output, the last activation and the classes."""
    loss = _first(getattr(model, "loss", None))
    name = loss_name(loss)
    outputs = output_shape(model)
    logits = bool(getattr(loss, "_fn_kwargs", {}).get("from_logits", False))
    facts: dict[str, Any] = {"loss": name, "output_activation": last_activation(model)}
    if "crossentropy" in name:
        facts["loss_expects"] = "logits" if logits else "probabilities"
        classes = int(outputs[-1] or 0) if "categorical" in name and outputs else 0
        facts["classes"] = classes
        facts["chance_loss"] = math.log(max(classes, 2))
    elif name.startswith("mean_") or name in ("huber", "log_cosh"):
        facts["loss_expects"] = "values"
    return facts


def loss_name(loss: Any) -> str:
    """Return the full name of a loss: of a string, a function, or an object of Keras."""
    if loss is None:
        return ""
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", getattr(loss, "name", ""))
    if not isinstance(name, str) or not name.isidentifier():
        return ""
    snake = "".join(f"_{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))
    for plain in (name.lower(), snake):
        if plain in _FULL_NAMES or "_" in plain:
            return _FULL_NAMES.get(plain, plain)
    return name.lower()


def optimizer_facts(model: Any) -> dict[str, Any]:
    """Return class, weight decay and momentum of the optimizer."""
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None:
        return {}
    momentum = getattr(optimizer, "momentum", None) or getattr(optimizer, "beta_1", None) or 0.0
    return {
        "optimizer": type(optimizer).__name__,
        "weight_decay": float(getattr(optimizer, "weight_decay", None) or 0.0),
        "momentum": float(momentum),
    }


def last_activation(model: Any) -> str:
    """Return the activation that ends a model, or ""."""
    for layer in reversed([one for one in _layers(model) if _computes(one)]):
        name = activation_of(layer)
        if name or getattr(layer, "kernel", None) is not None or hasattr(layer, "cell"):
            recurrent = hasattr(layer, "cell")
            return "" if recurrent else _SLUGS.get(name, name)
    return ""


def output_shape(model: Any) -> tuple[Any, ...]:
    """Return the shape of the first output, or () if it is not known."""
    try:
        shape = model.output_shape
    except (AttributeError, ValueError):
        return ()
    if isinstance(shape, Mapping):
        shape = next(iter(shape.values()))
    if shape and isinstance(shape[0], (tuple, list)):
        shape = shape[0]
    return tuple(shape or ())


def row_facts(arguments: Mapping[str, Any]) -> dict[str, int]:
    """Return how many rows ``fit`` was given to train and to validate on; 0 where unknown.

    Args:
        arguments: What ``fit`` was called with, by name.
    """
    rows = _rows(arguments.get("x"))
    held = arguments.get("validation_data")
    if held is not None:
        return {"rows": rows, "validation_rows": _rows(held[0]) if _is_pair(held) else 0}
    kept = int(rows * (1 - (arguments.get("validation_split") or 0.0)))
    return {"rows": kept, "validation_rows": rows - kept}


def _is_pair(held: Any) -> bool:
    return isinstance(held, (tuple, list)) and len(held) > 1


def _rows(inputs: Any) -> int:
    if isinstance(inputs, Mapping):
        inputs = next(iter(inputs.values()), None)
    if isinstance(inputs, (tuple, list)) and inputs:
        inputs = inputs[0]
    return int(inputs.shape[0]) if hasattr(inputs, "shape") and len(inputs.shape) else 0


def _layers(model: Any) -> Sequence[Any]:
    """Return the layers in the order of definition, those of models inside among them."""
    found: list[Any] = []
    for layer in getattr(model, "layers", ()):
        inner = _layers(layer) if hasattr(layer, "layers") else ()
        found += inner or [layer]
    return found


def _computes(layer: Any) -> bool:
    """Whether a layer does more than reshape, drop or name what it is given."""
    passing = ("Dropout", "Flatten", "Reshape", "InputLayer", "Permute", "Rescaling")
    return type(layer).__name__ not in passing


def _first(loss: Any) -> Any:
    if isinstance(loss, Mapping):
        return next(iter(loss.values()), None)
    return loss[0] if isinstance(loss, (list, tuple)) and loss else loss
