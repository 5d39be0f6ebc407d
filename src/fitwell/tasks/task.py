"""A task: what is to be learned, from which data, by which network, scored how."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, partial
from types import MappingProxyType
from typing import Any, TypeAlias, final

from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop

from fitwell.errors import TaskError
from fitwell.records import TaskRecord
from fitwell.tasks import checks
from fitwell.tasks.arrays import Given
from fitwell.tasks.data import Data, Kind
from fitwell.tasks.losses import TensorMean, TensorPair, loss_of, named
from fitwell.tasks.metrics import Score, metric_of
from fitwell.tasks.preparing import prepared
from fitwell.tasks.stacked import StackedLoss, stacked_metric

MakeOptimizer: TypeAlias = Callable[[Iterable[nn.Parameter]], Optimizer]

OPTIMIZERS: Mapping[str, MakeOptimizer] = MappingProxyType(
    {
        "adamw": partial(AdamW, lr=1e-3),
        "adam": partial(Adam, lr=1e-3),
        "sgd": partial(SGD, lr=1e-2),
        "rmsprop": partial(RMSprop, lr=1e-3),
    }
)
"""The optimizers that a task can name, with the learning rate that they then get."""


@final
class Task:
    """A model factory, data, a loss, a metric and training settings.

    What is not given of validation and test is split off from the training rows: 20 % of all
    rows each, stratified, with equal rows kept on one side. The data are prepared once, when
    :attr:`data` is first read.

    Args:
        name: What to call it.
        make_model: Returns a new, untrained network each time it is called.
        train: (X, y) as tensors, arrays or data frames, a map-style dataset of (x, y) pairs, or
            prepared :class:`~fitwell.tasks.data.Data`.
        loss: Name (``cross_entropy``, ``nll``, ``bce_with_logits``, ``mse``, ``mae``, ``huber``)
            or callable (outputs, targets) -> mean loss.
        metric: Name (``accuracy``, ``balanced_accuracy``, ``macro_f1``, ``r2``, ``mae``, ``mse``,
            ``rmse``) or callable (outputs, targets) -> number, called once on all rows of a split.
        validation: Rows to make choices on, as ``train``; split off if None.
        test: Rows for the final proof, as ``train``; split off if None.
        optimizer: Name (``adamw``, ``adam``, ``sgd``, ``rmsprop``), or callable parameters ->
            optimizer; AdamW with rate 0.001 if None.
        batch_size: Rows in a training batch; at least 1.
        epochs: Passes over the training rows; at least 1.
        higher_is_better: Which way a callable metric points; required for one.
        seed: Seed of the split.
        description: One sentence for reports.
        kind: What the rows are; told by their shape if None.

    Raises:
        TaskError: If an argument cannot be used; data and model are judged by :meth:`check`.
    """

    def __init__(
        self,
        name: str,
        make_model: Callable[[], nn.Module],
        train: Given | Data,
        loss: str | TensorPair,
        metric: str | Score,
        validation: Given | None = None,
        test: Given | None = None,
        optimizer: str | MakeOptimizer | None = None,
        batch_size: int = 32,
        epochs: int = 40,
        *,
        higher_is_better: bool | None = None,
        seed: int = 0,
        description: str = "",
        kind: Kind | None = None,
    ) -> None:
        checks.settings(name, make_model, batch_size, epochs)
        self._loss = loss_of(loss)
        self._stacked_loss = StackedLoss(self._loss)
        self._metric = metric_of(metric, higher_is_better)
        self._make_optimizer = _optimizer_of(optimizer)
        self._given: tuple[Given | Data, Given | None, Given | None] = (train, validation, test)
        checks.metric_fits(self._metric, self._loss)
        if isinstance(train, Data) and (validation is not None or test is not None):
            raise TaskError(
                "Prepared data hold validation and test rows already: leave validation= and test= "
                "out, or give train as (X, y)."
            )
        self.name = name
        self.make_model = make_model
        self.batch_size = batch_size
        self.epochs = epochs
        self.seed = seed
        self.description = description
        self.kind = kind

    @cached_property
    def data(self) -> Data:
        """The prepared data.

        Raises:
            TaskError: If they cannot be trained on.
        """
        train, validation, test = self._given
        if isinstance(train, Data):
            return train
        return prepared(
            train,
            validation,
            test,
            targets=self._loss.targets,
            seed=self.seed,
            kind=self.kind,
            wants_ids=lambda: checks.wants_ids(self.make_model),
        )

    @property
    def loss_name(self) -> str:
        """Name of the loss."""
        return self._loss.name

    @property
    def metric_name(self) -> str:
        """Name of the metric."""
        return self._metric.name

    @property
    def higher_is_better(self) -> bool:
        """Which way the metric points."""
        return self._metric.higher_is_better

    @property
    def scores_shares(self) -> bool:
        """Whether the metric is a share of rows, in [0, 1], as accuracy is; False where unknown."""
        return self._metric.of_classes is True

    @property
    def chance_loss(self) -> float | None:
        """Loss of the best constant prediction of the training targets, or None if unknown."""
        return self._loss.of_chance(self.data.train.y)

    @property
    def average(self) -> TensorMean:
        """How the outputs of several networks are averaged, (networks, rows, ...) -> (rows, ...).

        Probabilities where the loss is of classes, else the outputs themselves.
        """
        return self._loss.average

    def loss_fn(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss of a batch, a scalar."""
        return self._loss(outputs, targets)

    def metric_fn(self, outputs: Tensor, targets: Tensor) -> float:
        """Return the metric over all rows of a split, numbers in the unit of the raw table."""
        return self._metric(*self._restored(outputs, targets))

    @property
    def has_plain_cross_entropy(self) -> bool:
        """Whether the loss is PyTorch's cross-entropy, without settings of its own."""
        return self._loss.function is cross_entropy

    def stacked_loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss of every run (runs,), as :meth:`loss_fn` gives it.

        Args:
            outputs: Outputs of many runs (runs, rows, ...).
            targets: Targets of all runs (runs, rows, ...); those that they share are given by
                ``targets.expand(runs, *targets.shape)``, which copies nothing.
        """
        return self._stacked_loss(outputs, targets)

    def stacked_metric(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the metric of every run (runs,) in double, as :meth:`metric_fn` gives it.

        Arguments are as for :meth:`stacked_loss`.
        """
        return stacked_metric(self._metric, *self._restored(outputs, targets))

    def _restored(self, *numbers: Tensor) -> tuple[Tensor, ...]:
        """Return numbers in the unit of the raw table."""
        preprocess = self.data.preprocess
        return numbers if preprocess is None else tuple(map(preprocess.restored, numbers))

    def make_optimizer(self, params: Iterable[nn.Parameter], rate: float = 1.0) -> Optimizer:
        """Return the task's optimizer over ``params``.

        Args:
            params: Parameters, or groups of them.
            rate: Multiple of the task's learning rate, applied to every group; above 0.

        Raises:
            TaskError: If the task's callable returned no optimizer.
        """
        optimizer = self._make_optimizer(params)
        if not isinstance(optimizer, Optimizer):
            raise TaskError(
                "The task's optimizer must return a torch.optim.Optimizer, "
                f"got {type(optimizer).__name__}."
            )
        for group in optimizer.param_groups:
            group["lr"] = group["lr"] * rate
        return optimizer

    def check(self) -> None:
        """Build the model twice and run one batch, so that what is wrong shows before training.

        The global random state is left as it was.

        Raises:
            TaskError: If model and data do not fit together; one clear line.
        """
        checks.model_fits(self.make_model, self.data, self._loss, self.batch_size)

    def record(self) -> TaskRecord:
        """Return what the task is, as plain data for a report."""
        data = self.data
        network, parameters, anatomy = checks.network_facts(self.make_model, data.train.x[:2])
        return TaskRecord(
            name=self.name,
            description=self.description,
            metric=self.metric_name,
            higher_is_better=self.higher_is_better,
            loss=self.loss_name,
            rows=(len(data.train), len(data.validation), len(data.test)),
            classes=data.classes,
            parameters=parameters,
            network=network,
            notes=data.notes,
            fingerprint=data.fingerprint,
            anatomy=anatomy,
        )

    def __getstate__(self) -> dict[str, Any]:
        """Travel with the prepared data alone: nothing is prepared twice or sent twice."""
        state = {**vars(self), "_given": (self.data, None, None)}
        state.pop("data", None)
        return state


def _optimizer_of(given: str | MakeOptimizer | None) -> MakeOptimizer:
    if given is None or isinstance(given, str):
        return named(given or "adamw", OPTIMIZERS, "optimizer")
    if not callable(given):
        raise TaskError(
            f"An optimizer is a name or a callable parameters -> optimizer, got {given!r}: "
            "try functools.partial(torch.optim.SGD, lr=0.05)."
        )
    return given
