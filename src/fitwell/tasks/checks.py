"""Whether a task's settings, model and data fit together."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from fitwell.anatomy import inspect
from fitwell.errors import TaskError
from fitwell.records import Anatomy
from fitwell.tasks.data import Data, Split
from fitwell.tasks.losses import Loss
from fitwell.tasks.metrics import Metric

MakeModel = Callable[[], nn.Module]


def settings(name: object, make_model: object, batch_size: object, epochs: object) -> None:
    """Check the plain arguments of a task.

    Raises:
        TaskError: If one is of the wrong type or range.
    """
    if not isinstance(name, str) or not name.strip():
        raise TaskError(f"A task needs a name, got {name!r}.")
    if isinstance(make_model, nn.Module):
        raise TaskError(
            "make_model must be a function that returns a new network each time, got a network: "
            "give `lambda: MyNet()` or the class itself."
        )
    if not callable(make_model):
        raise TaskError(
            f"make_model must be a function that returns a network, got {make_model!r}."
        )
    for setting, value in (("batch_size", batch_size), ("epochs", epochs)):
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise TaskError(f"{setting} must be a whole number of at least 1, got {value!r}.")


def metric_fits(metric: Metric, loss: Loss) -> None:
    """Check that a named metric scores what a named loss predicts.

    Raises:
        TaskError: If one is of classes and the other of numbers.
    """
    if metric.of_classes is None or loss.targets == "own":
        return
    if metric.of_classes != (loss.targets in ("class", "binary")):
        scores, learns = ("classes", "numbers") if metric.of_classes else ("numbers", "classes")
        better = "r2, mae or rmse" if metric.of_classes else "accuracy or balanced_accuracy"
        raise TaskError(
            f"The metric {metric.name} scores {scores}, but the loss {loss.name} learns {learns}: "
            f"take {better}."
        )


def built(make_model: MakeModel, seed: int = 0) -> nn.Module:
    """Build a network; the global random state is left as it was.

    Raises:
        TaskError: If the user's function fails or returns something else.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            model = make_model()
        except Exception as error:
            raise TaskError(f"make_model failed: {_said(error)}") from error
    if not isinstance(model, nn.Module):
        raise TaskError(f"make_model must return a torch.nn.Module, got {type(model).__name__}.")
    return model


def wants_ids(make_model: MakeModel) -> bool:
    """Say whether a network looks token ids up, and so wants whole numbers as inputs."""
    lookups = (nn.Embedding, nn.EmbeddingBag)
    return any(isinstance(module, lookups) for module in built(make_model).modules())


def model_fits(make_model: MakeModel, data: Data, loss: Loss, batch_size: int) -> None:
    """Build the network twice and run one training batch through it.

    Raises:
        TaskError: If networks share weights, or the network, the data and the loss do not fit.
    """
    for side, split in data.splits.items():
        _finite(split, side)
    model, other = built(make_model, 0), built(make_model, 1)
    rows = slice(0, min(batch_size, len(data.train)))
    x, y = data.train.x[rows], data.train.y[rows]
    outputs = _run(model, x)
    _separate(model, other)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise TaskError("The network has no parameter to train: requires_grad is False in all.")
    _shape_fits(outputs, y, data, loss)
    _loss_fits(loss, outputs, y)


def _finite(split: Split, side: str) -> None:
    for what, values in (("Inputs", split.x), ("Targets", split.y)):
        if values.is_floating_point() and not bool(values.isfinite().all()):
            raise TaskError(
                f"{what} of the {side} data must be finite, but some are NaN or infinite: "
                "impute them or drop those rows."
            )


def _separate(model: nn.Module, other: nn.Module) -> None:
    if model is other:
        raise TaskError(
            "make_model must return a new network each time, but returned the same object twice: "
            "create the network inside the function."
        )
    mine = {id(parameter) for parameter in model.parameters()}
    shared = [name for name, parameter in other.named_parameters() if id(parameter) in mine]
    if shared:
        raise TaskError(
            "make_model must return a new network each time, but two networks share the weights "
            f"{shared[0]!r}: create all layers inside the function."
        )


def _run(model: nn.Module, x: Tensor) -> Tensor:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        try:
            device = next((parameter.device for parameter in model.parameters()), x.device)
            outputs: Any = model.train()(x.to(device))
        except Exception as error:
            raise TaskError(
                f"The network cannot take a batch of shape {tuple(x.shape)}: {_said(error)}"
            ) from error
    if not isinstance(outputs, Tensor):
        raise TaskError(
            f"The network must return one tensor, got {type(outputs).__name__}: "
            "return the output that the loss takes."
        )
    return outputs.to(x.device)


def _shape_fits(outputs: Tensor, y: Tensor, data: Data, loss: Loss) -> None:
    got = tuple(outputs.shape)
    if loss.targets in ("binary", "number") and outputs.numel() != y.numel():
        raise TaskError(f"The network must return outputs of shape {tuple(y.shape)}, got {got}.")
    if loss.targets == "class" and not y.is_floating_point():
        classes = max(int(split.y.max()) for split in data.splits.values()) + 1
        wanted = (len(y), classes, *y.shape[1:])
        if outputs.ndim != len(wanted) or (got[0], *got[2:]) != (wanted[0], *wanted[2:]):
            raise TaskError(f"The network must return outputs of shape {wanted}, got {got}.")
        if got[1] < classes:
            raise TaskError(
                f"The network must return outputs of shape {wanted}, one for each class, "
                f"got {got}: class numbers run from 0 to {classes - 1}."
            )


def _loss_fits(loss: Loss, outputs: Tensor, y: Tensor) -> None:
    try:
        value: Any = loss(outputs, y)
    except Exception as error:
        raise TaskError(
            f"The loss {loss.name} failed on outputs {tuple(outputs.shape)} and "
            f"targets {tuple(y.shape)}: {_said(error)}"
        ) from error
    if not isinstance(value, Tensor) or value.numel() != 1:
        shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise TaskError(
            f"The loss {loss.name} must return one number for a batch, got {shape}: take the mean."
        )
    if not value.requires_grad:
        raise TaskError(
            f"The loss {loss.name} must be differentiable, but its value has no gradient: "
            "compute it from the outputs without .item(), .detach() or torch.no_grad()."
        )


def _said(error: Exception) -> str:
    """Kind and first line of somebody else's error."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def network_facts(make_model: MakeModel, example: Tensor) -> tuple[str, int, Anatomy]:
    """Return one line on a network's shape, its number of parameters, and its anatomy.

    Args:
        make_model: Builds the network.
        example: A few rows, which the anatomy is recorded from.

    Raises:
        TaskError: If the network cannot be built, or cannot take the rows.
    """
    model = built(make_model)
    if any(isinstance(parameter, UninitializedParameter) for parameter in model.parameters()):
        _run(model, example)
    return *_line_and_size(model), _anatomy(model, example)


def _anatomy(model: nn.Module, example: Tensor) -> Anatomy:
    device = next((parameter.device for parameter in model.parameters()), example.device)
    try:
        return inspect(model, example.to(device))
    except Exception as error:
        raise TaskError(
            f"In evaluation mode the network cannot take a batch of shape "
            f"{tuple(example.shape)}: {_said(error)}"
        ) from error


def _line_and_size(model: nn.Module) -> tuple[str, int]:
    layers = [m for m in model.modules() if any(True for _ in m.parameters(recurse=False))]
    linear = [m for m in layers if isinstance(m, nn.Linear)]
    parameters = sum(parameter.numel() for parameter in model.parameters())
    if layers and len(linear) == len(layers):
        return f"MLP {_widths(linear)}", parameters
    lines = [_layer_line(layer) for layer in layers]
    counted = [(line, len(list(group))) for line, group in groupby(lines)]
    return " · ".join(f"{line} (×{n})" if n > 1 else line for line, n in counted), parameters


def _widths(layers: list[nn.Linear]) -> str:
    counted = [(units, len(list(same))) for units, same in groupby(m.out_features for m in layers)]
    units = [f"{width}×{n}" if n > 2 else "-".join([str(width)] * n) for width, n in counted]
    return "-".join([str(layers[0].in_features), *units])


def _layer_line(layer: nn.Module) -> str:
    """A layer's class and sizes, as ``Conv2d 1→32``."""
    kind = type(layer).__name__
    for before, after in (
        ("in_features", "out_features"),
        ("in_channels", "out_channels"),
        ("input_size", "hidden_size"),
        ("num_embeddings", "embedding_dim"),
    ):
        if hasattr(layer, before) and hasattr(layer, after):
            return f"{kind} {getattr(layer, before)}→{getattr(layer, after)}"
    return kind
