"""What the probes recorded, as plain numbers: one row a (step, layer, quantity)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, final

from fitwell.errors import BadInput, require
from fitwell.records.shown import html_of

SCHEMA = 1
"""Version of what :meth:`Trace.save` writes."""

_LISTS = ("output_shape", "target_shape", "forgotten", "frozen")
"""Facts that are tuples, and lists in JSON."""


class Quantity(StrEnum):
    """What a row of a trace measures, with its unit."""

    LOSS = "loss"
    """Mean loss over the rows of a batch or of an evaluation; unit of the loss."""
    METRIC = "metric"
    """The task's metric; its own unit."""
    LEARNING_RATE = "learning_rate"
    """Learning rate of the first parameter group."""
    GRADIENT_NORM = "gradient_norm"
    """L2 norm of the gradient of a layer's weights; of all parameters where module is ""."""
    WEIGHT_NORM = "weight_norm"
    """L2 norm of a layer's weights."""
    UPDATE_NORM = "update_norm"
    """L2 norm of the change of a layer's weights in one step."""
    INPUT_NORM = "input_norm"
    """Root mean square of what enters the network, where module is "", or a layer."""
    OUTPUT_RMS = "output_rms"
    """Root mean square of what a layer puts out, before its activation."""
    SIGNAL_RMS = "signal_rms"
    """Root mean square of what a layer puts out, before its activation, around its mean
    over the batch: what still tells one sample from another."""
    UNIT_SPREAD = "unit_spread"
    """How far a layer's units differ from their mean, against their size; 0 if all are alike."""
    DEAD_SHARE = "dead_share"
    """Share of a layer's units whose activation was zero for every sample, in [0, 1]."""
    SATURATED_SHARE = "saturated_share"
    """Share of a layer's activations in the flat part of a sigmoid or tanh, in [0, 1]."""
    NON_FINITE = "non_finite"
    """1 if a NaN or infinity was seen, else 0."""
    INPUT_MEAN = "input_mean"
    """Mean of what enters the network."""
    INPUT_MAX = "input_max"
    """Largest absolute value of what enters the network."""
    INPUT_SPREAD = "input_spread"
    """Largest standard deviation of an input feature over the smallest that is not zero; at
    least 1. For images the features are the channels."""
    INPUT_SHIFT = "input_shift"
    """How far the inputs of an evaluation lie from those of training: root mean square over the
    features of the difference of the means, in standard deviations of training; phase
    ``"validation"``, ``count`` is the smaller number of rows. For token inputs, the total
    variation distance of the two histograms, and ``count`` is the smaller number of tokens."""
    TARGET_SHIFT = "target_shift"
    """The same for the targets; for classes, the total variation distance of their shares."""
    OUTPUT_SHIFT = "output_shift"
    """The same for what the network puts out, before its first update."""
    TARGET_MEAN = "target_mean"
    """Mean of the targets that the loss is given."""
    TARGET_SPREAD = "target_spread"
    """Standard deviation of the targets that the loss is given."""
    TARGET_MIN = "target_min"
    """Smallest target that the loss is given."""
    TARGET_MAX = "target_max"
    """Largest target that the loss is given."""
    OUTPUT_MIN = "output_min"
    """Smallest value that the loss is given as the network's output."""
    OUTPUT_MAX = "output_max"
    """Largest value that the loss is given as the network's output."""
    OUTPUT_SPREAD = "output_spread"
    """Standard deviation over the rows, averaged over the units, of what the loss is given as
    output: 0 if the network says the same of every row."""
    ROW_SUM_ERROR = "row_sum_error"
    """Largest distance from 1 of the sum of a row of outputs: 0 behind a softmax."""
    TRAINING_MODE = "training_mode"
    """1 if the network was in training mode at a forward pass, else 0. Phase ``"train"``: passes
    that a backward pass follows; ``"validation"``: passes without gradients."""
    CARRIED_GRADIENT = "carried_gradient"
    """Share of a step's gradient that is left from the step before, because it was not cleared:
    0, or about 1/2 and more."""
    GRADIENTLESS = "gradientless"
    """Number of parameters of a module that require a gradient, and that the optimizer holds,
    but that got none in this step; a row only where there are some."""
    TIME_GRADIENT = "time_gradient"
    """L2 norm of the gradient of the loss with respect to what a recurrent layer takes in at one
    time step; ``call`` is the time step, from 0."""
    STATISTICS_DRIFT = "statistics_drift"
    """How far the mean of a batch norm's batch lies from its running mean, in running standard
    deviations, root mean square over the channels; ``count`` is the number of values of a channel
    in the batch, ``call`` that of the layer's call within the forward pass."""
    UPDATE_COSINE = "update_cosine"
    """Cosine of the change of all weights in one step with that in the step before, in [-1, 1]."""
    NEIGHBOR_DISAGREEMENT = "neighbor_disagreement"
    """How much the targets of rows with the nearest inputs differ, over how much those of any two
    rows do: 0 if near rows agree, 1 if nearness tells nothing. ``count`` is the number of rows."""


@final
@dataclass(frozen=True, slots=True)
class Row:
    """One measured number.

    ``phase`` is ``"train"`` or ``"validation"``; ``module`` is a module's name, "" for the
    whole network; ``call`` counts calls of a reused module or time steps; ``count`` is the
    number of values pooled.
    """

    step: int
    quantity: Quantity
    value: float
    module: str = ""
    phase: str = "train"
    epoch: int = 0
    call: int = 0
    count: int = 1
    run: str = ""


@final
@dataclass(frozen=True)
class LayerFact:
    """What does not change about a parameter layer during a run.

    Args:
        name: Module name of the layer.
        kind: Class name, as ``"Linear"``.
        role: ``"hidden"``, ``"output"`` or ``"recurrent"``.
        order: Place in the order of execution, from 0.
        activation: Slug of the activation that follows (``"relu"``), or "".
        parameters: Number of parameters.
        fan_in: Inputs per unit, or 0 where there is no such thing.
        units: Output units or channels.
        trainable: Whether a parameter of it requires a gradient.
        in_optimizer: Whether the optimizer holds a parameter of it.
        normalized: Whether a normalisation stands between it and its activation.
        gated: Whether its output is a gate or a mask, which is meant to saturate.
        bypassed: Whether a residual connection leads around it.
    """

    name: str
    kind: str
    role: str
    order: int
    activation: str = ""
    parameters: int = 0
    fan_in: int = 0
    units: int = 0
    trainable: bool = True
    in_optimizer: bool = True
    normalized: bool = False
    gated: bool = False
    bypassed: bool = False


@final
@dataclass(frozen=True)
class NormFact:
    """What does not change about a normalisation layer during a run.

    Args:
        name: Module name.
        kind: ``"batch"``, ``"layer"``, ``"group"``, ``"instance"`` or ``"rms"``.
        calls: Calls within one forward pass.
        rows: Rows of the training batch that it saw, or 0 if unknown.
        recurrent: Whether it stands in a recurrence: it is called once a time step, or takes the
            states of a recurrent layer over time as its batch.
        momentum: Weight of the new batch in the running statistics, in [0, 1]; 0 where there are
            none.
        tracks: Whether evaluation uses running statistics.
    """

    name: str
    kind: str
    calls: int = 1
    rows: int = 0
    recurrent: bool = False
    momentum: float = 0.0
    tracks: bool = False


@final
@dataclass(frozen=True)
class Facts:
    """What does not change during a run, and so stands beside the rows.

    Args:
        layers: Parameter layers in order of execution.
        loss: Name of the loss (``"cross_entropy"``), or "".
        metric: Name of the metric, or "".
        higher_is_better: Whether a larger metric is better.
        optimizer: Class name of the optimizer, or "".
        batch_size: Rows in a training batch, or 0 if unknown.
        rows: Training rows, or 0 if unknown.
        validation_rows: Validation rows, or 0 if unknown.
        classes: Number of classes, or 0 if it is no classification.
        chance_loss: Loss of the best constant prediction, or None if unknown.
        noisy_training_loss: True if the logged training loss was measured under dropout,
            augmentation or another treatment, and so does not compare with validation's.
        norms: Normalisation layers in order of execution.
        output_activation: Slug of the activation that ends the network (``"softmax"``), or "".
        output_shape: Shape of what the loss was given as output; empty if unknown.
        target_shape: Shape of what the loss was given as target; empty if unknown.
        target_kind: ``"integers"``, ``"floats"`` or ``"booleans"``; "" if unknown.
        input_kind: ``"tokens"`` (integers), ``"images"``, ``"sequences"``, ``"rows"``; "" if
            unknown.
        loss_expects: What the loss takes as output: ``"logits"``, ``"probabilities"``,
            ``"log_probabilities"`` or ``"values"``; "" if unknown.
        forgotten: Names of the parameters that require a gradient, and that no optimizer holds.
        frozen: Names of the parameters that require no gradient.
        mode_matters: Whether training and evaluation mode differ: dropout, or batch norm with
            running statistics.
        dropout: Largest dropout rate, in [0, 1].
        weight_decay: Largest weight decay of the optimizer.
        momentum: Momentum of the optimizer, or its first beta.
        planned_steps: Steps that the run was meant to take, or 0 if unknown.
        error: What the exception said that ended the run, or "".
        input_normalized: Whether a normalisation reads the input before any layer with weights.
    """

    layers: tuple[LayerFact, ...] = ()
    loss: str = ""
    metric: str = ""
    higher_is_better: bool = True
    optimizer: str = ""
    batch_size: int = 0
    rows: int = 0
    validation_rows: int = 0
    classes: int = 0
    chance_loss: float | None = None
    noisy_training_loss: bool = False
    norms: tuple[NormFact, ...] = ()
    output_activation: str = ""
    output_shape: tuple[int, ...] = ()
    target_shape: tuple[int, ...] = ()
    target_kind: str = ""
    input_kind: str = ""
    loss_expects: str = ""
    forgotten: tuple[str, ...] = ()
    frozen: tuple[str, ...] = ()
    mode_matters: bool = False
    dropout: float = 0.0
    weight_decay: float = 0.0
    momentum: float = 0.0
    planned_steps: int = 0
    error: str = ""
    input_normalized: bool = False

    def layer(self, name: str) -> LayerFact | None:
        """Return the layer of that name, or None."""
        return next((layer for layer in self.layers if layer.name == name), None)


@final
@dataclass(frozen=True, slots=True)
class _Index:
    """Rows by (quantity, module, phase), and which rows these were."""

    rows: list[Row]
    length: int
    groups: dict[tuple[Quantity, str, str], list[Row]]

    @classmethod
    def of(cls, rows: list[Row]) -> _Index:
        length = len(rows)
        groups: dict[tuple[Quantity, str, str], list[Row]] = {}
        for row in rows[:length]:
            groups.setdefault((row.quantity, row.module, row.phase), []).append(row)
        return cls(rows, length, groups)


@final
@dataclass
class Trace:
    """All rows of a run, with the facts beside them.

    Rows are appended, never exchanged: what was found by :meth:`of` is kept until their number
    changes.
    """

    rows: list[Row] = field(default_factory=list)
    facts: Facts = field(default_factory=Facts)
    _index: _Index | None = field(default=None, init=False, repr=False, compare=False)

    def of(self, quantity: Quantity, module: str = "", phase: str = "train") -> Sequence[Row]:
        """Return the rows of one quantity of one module in one phase, in the order of recording.

        The rows are sorted into such groups once, not searched again at every call: twenty
        detectors ask a hundred times.
        """
        index = self._index
        if index is None or index.rows is not self.rows or index.length != len(self.rows):
            index = self._index = _Index.of(self.rows)
        return index.groups.get((quantity, module, phase), ())

    def series(
        self, quantity: Quantity, module: str = "", phase: str = "train"
    ) -> list[tuple[int, float]]:
        """Return (step, value) of one quantity in the order of recording."""
        return [(row.step, row.value) for row in self.of(quantity, module, phase)]

    def modules(self, quantity: Quantity) -> list[str]:
        """Return the modules that have rows of a quantity, in order of appearance."""
        names = (row.module for row in self.rows if row.quantity == quantity and row.module)
        return list(dict.fromkeys(names))

    def add(self, rows: Iterable[Row]) -> None:
        """Append rows."""
        self.rows.extend(rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def _repr_html_(self) -> str:
        return html_of(self)

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"schema": 1, "facts": {...}, "columns": {...}}``, one list a column."""
        columns = {name: [getattr(row, name) for row in self.rows] for name in _columns()}
        columns["value"] = [_spelled(value) for value in columns["value"]]
        columns["quantity"] = [str(quantity) for quantity in columns["quantity"]]
        return {"schema": SCHEMA, "facts": asdict(self.facts), "columns": columns}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Trace:
        """Read what :meth:`to_dict` wrote; quantities that this version does not know are skipped.

        Raises:
            BadInput: If the schema is not one that this version reads.
        """
        if data.get("schema") != SCHEMA:
            raise BadInput(
                f"Expected a trace of schema {SCHEMA}, got {data.get('schema')!r}: "
                "save it again with this version of fitwell."
            )
        facts = dict(data["facts"])
        facts["layers"] = tuple(LayerFact(**layer) for layer in facts["layers"])
        facts["norms"] = tuple(NormFact(**norm) for norm in facts.get("norms", ()))
        facts |= {k: tuple(facts[k]) for k in _LISTS if k in facts}
        known = set(Quantity)
        rows = [
            Row(
                **{
                    **values,
                    "quantity": Quantity(values["quantity"]),
                    "value": float(values["value"]),
                }
            )
            for values in (
                dict(zip(data["columns"], row, strict=True))
                for row in zip(*data["columns"].values(), strict=True)
            )
            if values["quantity"] in known
        ]
        return cls(rows, Facts(**facts))

    def to_pandas(self) -> Any:
        """Return the rows as a ``pandas.DataFrame``."""
        return require("pandas").DataFrame(self.rows, columns=_columns())

    def save(self, path: str | Path) -> None:
        """Write the trace as JSON."""
        Path(path).write_text(json.dumps(self.to_dict(), allow_nan=False), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> Trace:
        """Read what :meth:`save` wrote."""
        return cls.from_dict(json.loads(Path(path).read_text(encoding="utf-8")))


def _columns() -> list[str]:
    return [column.name for column in fields(Row)]


def _spelled(value: float) -> float | str:
    """JSON has no infinity and no NaN: spell them out."""
    return value if abs(value) < float("inf") else str(value)
