"""Tasks of arrays, tensors, frames and datasets, and what is said about those that cannot be."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import cloudpickle
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from torch import nn
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from fitwell.errors import TaskError
from fitwell.tasks import Task

X = np.random.default_rng(0).normal(size=(90, 4)).astype("float32")
Y = np.arange(90) % 3


def make_model() -> nn.Module:
    return nn.Linear(4, 3)


def task(train=(X, Y), model: Callable[[], nn.Module] = make_model, **options) -> Task:
    loss = options.pop("loss", "cross_entropy")
    return Task("mine", model, train, loss, options.pop("metric", "accuracy"), **options)


class Pairs(Dataset):
    def __len__(self) -> int:
        return 90

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        return torch.from_numpy(X[row]), int(Y[row])


@pytest.mark.parametrize(
    "train",
    [
        (X, Y),
        (torch.from_numpy(X), torch.from_numpy(Y)),
        (X.tolist(), Y.tolist()),
        (pd.DataFrame(X), pd.Series(Y)),
        (pl.DataFrame(X), pl.Series(Y)),
        TensorDataset(torch.from_numpy(X), torch.from_numpy(Y)),
        Pairs(),
    ],
    ids=["arrays", "tensors", "lists", "pandas", "polars", "TensorDataset", "dataset"],
)
def test_every_form_of_the_same_data_gives_the_same_splits(train) -> None:
    data = task(train).data
    assert data.fingerprint == task().data.fingerprint
    assert (len(data.train), len(data.validation), len(data.test)) == (54, 18, 18)
    assert data.train.x.dtype == torch.float32
    assert data.train.y.dtype == torch.long


def test_what_is_given_is_kept_and_the_rest_is_split_off() -> None:
    given = (X[:20] + 100, Y[:20])
    data = task(test=given).data
    assert torch.equal(data.test.x, torch.from_numpy(given[0]))
    assert (len(data.train), len(data.validation)) == (72, 18)


def test_names_of_classes_are_numbered_in_order() -> None:
    data = task((X, np.array(["c", "a", "b"])[Y])).data
    assert data.classes == ("a", "b", "c")
    assert data.train.y.bincount().tolist() == [18, 18, 18]


def test_numbers_to_predict_become_a_column() -> None:
    assert task((X, X[:, 0]), loss="mse", metric="r2").data.train.y.shape == (54, 1)


def test_whole_numbers_are_ids_only_for_a_network_that_looks_them_up() -> None:
    ids = np.random.default_rng(0).integers(0, 9, size=(90, 4))
    looks_up = partial(nn.Sequential, nn.Embedding(9, 2), nn.Flatten(), nn.Linear(8, 3))
    assert task((ids, Y), looks_up).data.train.x.dtype == torch.long
    assert task((ids, Y), looks_up).data.kind == "sequence"
    assert task((ids, Y)).data.train.x.dtype == torch.float32


def test_equal_rows_stay_on_one_side_and_are_counted() -> None:
    x = np.repeat(X[:45], 2, axis=0)
    data = task((x, np.repeat(np.arange(45) % 3, 2))).data
    held = [{row.tobytes() for row in s.x.numpy()} for s in data.splits.values()]
    assert sum(map(len, held)) == len(set.union(*held))
    assert any("45 rows repeat another" in note for note in data.notes)


def test_test_rows_that_also_train_are_named() -> None:
    notes = task(test=(X[:20], Y[:20])).data.notes
    assert any("20 test rows also stand in the training rows" in note for note in notes)


@pytest.mark.parametrize(
    ("shape", "kind"), [((4,), "table"), ((2, 2), "sequence"), ((1, 2, 2), "image")]
)
def test_the_kind_is_told_by_the_shape(shape: tuple[int, ...], kind: str) -> None:
    assert task((X.reshape(-1, *shape), Y)).data.kind == kind


def test_a_healthy_task_passes_its_check_and_leaves_the_random_state() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    task().check()
    assert torch.equal(before, torch.get_rng_state())


def test_the_optimizer_is_scaled_in_every_group() -> None:
    mine = task(optimizer=partial(torch.optim.SGD, lr=0.5))
    model = make_model()
    groups = [{"params": [model.weight]}, {"params": [model.bias], "lr": 0.1}]
    assert [g["lr"] for g in mine.make_optimizer(groups, 0.5).param_groups] == [0.25, 0.05]
    assert task().make_optimizer(model.parameters()).param_groups[0]["lr"] == 1e-3


def test_a_task_travels_with_its_prepared_data() -> None:
    mine = task(loss=lambda outputs, targets: outputs.square().mean())
    other = cloudpickle.loads(cloudpickle.dumps(mine))
    assert other.data.fingerprint == mine.data.fingerprint
    assert other.loss_name == "<lambda>"
    assert other.chance_loss is None


def test_the_record_says_what_the_task_is() -> None:
    record = task(description="Mine.").record()
    assert record.rows == (54, 18, 18)
    assert (record.network, record.parameters) == ("MLP 4-3", 15)
    assert (record.metric, record.higher_is_better, record.loss) == (
        "accuracy",
        True,
        "cross_entropy",
    )


def test_the_record_carries_the_anatomy_of_the_network_as_plain_data() -> None:
    anatomy = task().record().anatomy
    assert anatomy is not None
    assert [(node.path, node.kind) for node in anatomy.layers] == [("", "Linear")]
    assert "torch" not in repr(anatomy).lower()


def test_a_network_that_cannot_run_in_evaluation_mode_is_named_as_such() -> None:
    class Trained(nn.Linear):
        def forward(self, x):
            if not self.training:
                raise RuntimeError("no weights yet")
            return super().forward(x)

    with pytest.raises(TaskError, match=r"In evaluation mode .* RuntimeError: no weights yet"):
        task(model=lambda: Trained(4, 3)).record()


class Stream(IterableDataset):
    def __iter__(self):
        yield X[0], 0


def with_value(value: float) -> np.ndarray:
    return np.where(np.arange(360).reshape(90, 4) == 22, value, X)


BAD_DATA = {
    "X and y of the training data must be of equal length, got 90 and 80": {"train": (X, Y[:80])},
    r"Inputs of the training data must be finite, but 1 of 360 .*nan at \[5, 2\]": {
        "train": (with_value(np.nan), Y)
    },
    "Inputs of the validation data must be finite": {"validation": (with_value(np.inf), Y)},
    "Targets of the training data must be finite": {
        "train": (X, with_value(np.nan)[:, 2]),
        "loss": "mse",
        "metric": "r2",
    },
    "The validation data are empty": {"validation": (X[:0], Y[:0])},
    "At least 30 rows are needed .*, got 29": {"train": (X[:29], Y[:29])},
    "At least two classes are needed, but all 90 rows": {"train": (X, Y * 0)},
    "Every class needs at least two rows, but 7 has one": {
        "train": (X, np.where(np.arange(90) == 4, 7, Y))
    },
    "The loss predicts classes, but the targets are fractions": {"train": (X, X[:, 0])},
    "Class numbers start at 0, got -1": {"train": (X, Y - 1)},
    "bce_with_logits needs targets of 0 and 1, got 0, 1, 2": {"loss": "bce_with_logits"},
    "must be numbers, got an array of <U32": {"train": (X.astype(str), Y)},
    "columns that are not numbers: b": {
        "train": (pd.DataFrame({"a": X[:, 0], "b": ["x"] * 90}), Y)
    },
    "duplicate column names: 0": {
        "train": (pd.concat([pd.DataFrame(X), pd.DataFrame(X[:, :1])], axis=1), Y)
    },
    "iterable dataset": {"train": Stream()},
    r"must be \(X, y\) or a map-style dataset .*, got a ndarray": {"train": X},
    r"shape of the training rows, \(4,\), got \(3,\)": {"test": (X[:, :3], Y)},
    "a ragged list": {"train": ([[1.0], [1.0, 2.0]] * 45, Y)},
}


@pytest.mark.parametrize("said", BAD_DATA)
def test_data_that_cannot_be_used_are_refused_in_one_line(said: str) -> None:
    with pytest.raises(TaskError, match=said) as refusal:
        _ = task(**BAD_DATA[said]).data
    assert "\n" not in str(refusal.value)


SHARED = nn.Linear(4, 3)


def fails() -> nn.Module:
    raise KeyError("layers")


BAD_MODELS = {
    "returned the same object twice": lambda: SHARED,
    "two networks share the weights '0.weight'": lambda: nn.Sequential(SHARED),
    r"outputs of shape \(32, 3\), one for each class, got \(32, 2\)": lambda: nn.Linear(4, 2),
    r"outputs of shape \(32, 3\), got \(32, 4, 1\)": lambda: nn.Sequential(
        nn.Linear(4, 4), nn.Unflatten(1, (4, 1))
    ),
    r"cannot take a batch of shape \(32, 4\): RuntimeError": lambda: nn.Linear(5, 3),
    "must return one tensor, got tuple": lambda: nn.RNN(4, 3),
    r"must return a torch.nn.Module, got int": lambda: 3,
    "make_model failed: KeyError: 'layers'": fails,
    "no parameter to train": lambda: nn.Linear(4, 3).requires_grad_(False),
}


@pytest.mark.parametrize("said", BAD_MODELS)
def test_a_network_that_does_not_fit_is_refused_in_one_line(said: str) -> None:
    with pytest.raises(TaskError, match=said) as refusal:
        task(model=BAD_MODELS[said]).check()
    assert "\n" not in str(refusal.value)


BAD_OPTIONS = {
    "batch_size must be a whole number of at least 1, got 0": {"batch_size": 0},
    "epochs must be a whole number of at least 1, got 2.5": {"epochs": 2.5},
    "must be a function that returns a new network each time, got a network": {"model": SHARED},
    "Unknown metric 'acuracy'.*Did you mean 'accuracy'": {"metric": "acuracy"},
    "Unknown optimizer 'adm'": {"optimizer": "adm"},
    "metric r2 scores numbers, but the loss cross_entropy learns classes": {"metric": "r2"},
    "metric accuracy scores classes, but the loss mse learns numbers": {"loss": "mse"},
}


@pytest.mark.parametrize("said", BAD_OPTIONS)
def test_settings_that_cannot_be_used_are_refused_at_once(said: str) -> None:
    with pytest.raises(TaskError, match=said):
        task(**BAD_OPTIONS[said])


def test_a_loss_that_is_no_single_number_is_refused() -> None:
    with pytest.raises(TaskError, match=r"must return one number for a batch, got \(32,\)"):
        task(loss=nn.CrossEntropyLoss(reduction="none")).check()


def test_a_loss_without_a_gradient_is_refused() -> None:
    with pytest.raises(TaskError, match="must be differentiable"):
        task(loss=lambda outputs, targets: outputs.detach().mean()).check()
