"""Training in evaluation mode, and evaluation in training mode."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, final

from fitwell.detectors.curves import curve
from fitwell.errors import in_range
from fitwell.interfaces import Detector
from fitwell.records import Finding, Quantity, Severity, Trace
from fitwell.words import say


@final
@dataclass(frozen=True, slots=True)
class WrongMode(Detector):
    """Report training passes in evaluation mode, and evaluations in training mode.

    It matters where the two differ (dropout, batch norm with running statistics) and is judged
    there alone. In evaluation mode dropout does nothing and batch norm learns no statistics; in
    training mode an evaluation is noisy, depends on what else is in the batch, and, worst, feeds
    validation rows into the running statistics.

    Definition: of the training passes of the second half of the run, the share ``max_share`` or
    more ran with the network in evaluation mode: usually because ``model.eval()`` was called for
    the first evaluation and ``model.train()`` never again. Or of the passes without gradients, the
    share ``max_share`` or more ran with the network in training mode, and validation losses or
    metrics came of them.

    What counts is the mode of the network as a whole: to keep parts of it in evaluation mode, as in
    fine-tuning with frozen batch norms, is sound. Passes without gradients that give no loss or
    metric of validation (statistics made anew, samples drawn, dropout drawn on purpose when
    predicting) are mild at most, and none where there are passes in evaluation mode as well.

    Evidence: ``training_in_eval`` and ``evaluation_in_train``, the shares.

    Args:
        max_share: Share of passes from which it counts, in (0, 1].

    Raises:
        ThresholdError: If an argument is out of range.

    References:
        Ioffe and Szegedy, "Batch normalization", ICML 2015. Gal and Ghahramani, "Dropout as a
        Bayesian approximation", ICML 2016.
    """

    condition: ClassVar[str] = "wrong_mode"
    max_share: float = 0.9

    def __post_init__(self) -> None:
        in_range("max_share", self.max_share, 0, 1, open_low=True)

    def unjudged(self, trace: Trace) -> str | None:
        """Say that the mode was not seen."""
        if trace.series(Quantity.TRAINING_MODE) or not trace.facts.mode_matters:
            return None
        return say("wrong_mode: the mode of the network was not seen in training.")

    def detect(self, trace: Trace) -> Iterable[Finding]:
        """Return a finding for each of the two sides that is wrong."""
        if not trace.facts.mode_matters:
            return
        training = trace.series(Quantity.TRAINING_MODE)
        late = training[len(training) // 2 :]
        off = sum(1 for _, mode in late if mode == 0)
        if len(late) >= 2 and off >= self.max_share * len(late):
            yield self._training(trace, training, off / len(late))
        passes = trace.series(Quantity.TRAINING_MODE, phase="validation")
        on = sum(1 for _, mode in passes if mode != 0)
        if len(passes) >= 2 and on >= self.max_share * len(passes):
            yield self._evaluation(trace, passes[0][0], on / len(passes), len(passes))

    def _training(self, trace: Trace, modes: list[tuple[int, float]], share: float) -> Finding:
        since = next(step for step, mode in modes if mode == 0)
        begins = all(mode == 0 for _, mode in modes)
        return Finding(
            condition=self.condition,
            severity="moderate",
            confidence=0.8 if begins else 0.95,
            layers=_batch_norms(trace),
            since=None if begins else since,
            evidence={"training_in_eval": share},
            explanation=(
                say(
                    "The network is trained in evaluation mode: dropout does nothing and batch "
                    "norm learns no statistics."
                )
                if begins
                else say(
                    "The network is trained in evaluation mode from step {step} on: dropout does "
                    "nothing and batch norm learns no statistics.",
                    step=since,
                )
            ),
            advice=say("Call model.train() before the training steps of every epoch."),
            phrase=say("training in evaluation mode"),
        )

    def _evaluation(self, trace: Trace, since: int, share: float, passes: int) -> Finding:
        norms = _batch_norms(trace)
        return Finding(
            condition=self.condition,
            severity=_evaluation_severity(trace),
            confidence=0.85,
            layers=norms,
            since=since,
            evidence={"evaluation_in_train": share, "passes": float(passes)},
            explanation=(
                say(
                    "Validation runs in training mode: batch norm takes the statistics of the "
                    "validation rows, and keeps them."
                )
                if norms
                else say(
                    "Validation runs in training mode: dropout is drawn, so that validation looks "
                    "worse than it is."
                )
            ),
            advice=say("Call model.eval() before every evaluation, and model.train() after it."),
            phrase=say("evaluation in training mode"),
        )


def _batch_norms(trace: Trace) -> tuple[str, ...]:
    return tuple(norm.name for norm in trace.facts.norms if norm.tracks)


def _evaluation_severity(trace: Trace) -> Severity:
    """Moderate where validation numbers come of it: they are then not those of the network."""
    evaluations = len(curve(trace, "validation")) or len(
        curve(trace, "validation", Quantity.METRIC)
    )
    return "moderate" if evaluations else "mild"
