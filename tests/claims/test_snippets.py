"""The code beside every claim runs as it is written."""

import math
import os
from inspect import cleandoc
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fitwell.claims import claims

os.environ.setdefault("KERAS_BACKEND", "torch")

SHAPES = {"x": (32, 784), "x_val": (32, 784), "images": (32, 1, 28, 28), "sequences": (32, 28, 28)}
CLAIMS = [pytest.param(claim, id=claim.name) for claim in claims()]


def rows():
    """Return the inputs and classes that a snippet finds."""
    torch.manual_seed(0)
    inputs = {name: torch.rand(shape) for name, shape in SHAPES.items()}
    return SimpleNamespace(**inputs, y=torch.randint(10, (32,)), y_val=torch.randint(10, (32,)))


def torch_names():
    """Return what a snippet of PyTorch finds: rows, a network, a loss and an optimizer."""
    model = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))
    return {
        "torch": torch,
        "nn": nn,
        "F": F,
        "math": math,
        **vars(rows()),
        "model": model,
        "loss_fn": nn.CrossEntropyLoss(),
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.1),
    }


def keras_names(keras):
    """Return what a snippet of Keras finds: rows as arrays, and a compiled network."""
    keras.utils.set_random_seed(0)
    hidden, output = keras.layers.Dense(256, activation="relu"), keras.layers.Dense(10)
    model = keras.Sequential([keras.layers.Input((784,)), hidden, output])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss, metrics=["accuracy"])
    arrays = {name: tensor.numpy() for name, tensor in vars(rows()).items()}
    arrays["images"] = np.moveaxis(arrays["images"], 1, -1)  # (rows, height, width, channels)
    return {"keras": keras, "np": np, **arrays, "model": model}


@pytest.mark.parametrize("claim", CLAIMS)
def test_the_code_in_pytorch_runs(claim):
    exec(compile(cleandoc(claim.torch), claim.name, "exec"), torch_names())


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("claim", CLAIMS)
def test_the_code_in_keras_runs(claim):
    keras = pytest.importorskip("keras")
    exec(compile(cleandoc(claim.keras), claim.name, "exec"), keras_names(keras))
