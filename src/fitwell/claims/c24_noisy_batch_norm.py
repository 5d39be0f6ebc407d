"""Noise added after batch norm does not hurt: its benefit is not less covariate shift."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.optim import SGD

from fitwell.claims.claim import Claim, Close, Larger
from fitwell.claims.courses import TEST, Runs, Values, learning, tested
from fitwell.claims.norms import NoisyBatchNorm, following
from fitwell.claims.tasks import DIGITS, digits_task
from fitwell.records import Lines, Measured
from fitwell.studies.job import Job
from fitwell.studies.training import fit
from fitwell.words import say

PLAIN, BATCH_NORM, NOISY = say("plain"), say("batch norm"), say("batch norm and noise")
SHIFT = say("shift of a unit's mean input from step to step, in the last hidden layer")


def network(norm: Callable[[int], nn.Module]) -> nn.Sequential:
    """Return six hidden layers of 64 sigmoid units with a norm before each activation."""
    hidden = [(nn.Linear(64, 64), norm(64), nn.Sigmoid()) for _ in range(6)]
    return nn.Sequential(*(layer for block in hidden for layer in block), nn.Linear(64, 10))


def experiment(seeds: Sequence[int]) -> Measured:
    """Train the three networks, and follow the inputs of the last hidden layer's units."""
    norms = {PLAIN: nn.Identity, BATCH_NORM: nn.BatchNorm1d, NOISY: NoisyBatchNorm}
    runs: Runs = {}
    shifts: Values = {}
    units = []
    for arm, norm in norms.items():
        optimizer = partial(SGD, lr=0.1)
        task = digits_task(partial(network, norm), epochs=10, batch_size=64, optimizer=optimizer)
        means: list[list[Tensor]] = [[] for _ in seeds]
        runs[arm] = tuple(
            fit(task, Job((), seed, test=True), observer=partial(following, own))
            for seed, own in zip(seeds, means, strict=True)
        )
        shifts[arm] = tuple(float(torch.stack(own).diff(dim=0).abs().mean()) for own in means)
        units += [(arm, step, float(own[0])) for step, own in enumerate(means[0], 1)]
    title = say("What one unit of the last hidden layer gets on average, step by step")
    picture = Lines(title, say("step"), say("mean of its input"), tuple(units))
    return Measured({TEST: tested(runs), SHIFT: shifts}, (picture, learning(runs)))


CLAIM = Claim(
    number=24,
    name="noisy-batch-norm",
    title=say("The benefit of batch norm is not less covariate shift"),
    question=say("Does it still help if noise after it makes the distributions jump every step?"),
    data=DIGITS,
    experiment=experiment,
    expects=(
        Close(NOISY, BATCH_NORM, of=TEST, within=0.03),
        Larger(NOISY, PLAIN, of=TEST, by=0.1),
        Larger(NOISY, PLAIN, of=SHIFT),
    ),
    formula=r"y = s \cdot \mathrm{BN}(x) + m, \quad m \sim U(\mu_t - 0.1,\ \mu_t + 0.1), \ "
    r"\mu_t \sim U(-0.5,\ 0.5)",
    explanation=say(
        "Batch norm was invented against internal covariate shift: a layer's inputs change while "
        "the layers below learn. If that were why it helps, noise after it, with another mean and "
        "scale for every unit in every step, would undo the help. It does not: the distributions "
        "shift more than without any norm, and the network learns as well. Santurkar et al. "
        "(2018, arXiv:1805.11604), whose noise this is, find instead that the loss becomes "
        "smoother; other reasons (length and direction of the weights apart, level gradients) "
        "are argued too. That noise is harmless does not say which of them is right."
    ),
    torch="""
        class NoisyBatchNorm(nn.BatchNorm1d):
            def forward(self, x):
                out = super().forward(x)
                if not self.training:
                    return out
                mean = torch.rand_like(out[0]) - 0.5  # one a unit, anew in every step
                scale = 1 + 0.25 * torch.rand_like(out[0])
                return scale * out + mean
    """,
    keras="""
        class NoisyBatchNorm(keras.layers.BatchNormalization):
            def call(self, x, training=None):
                out = super().call(x, training=training)
                if not training:
                    return out
                units = (x.shape[-1],)
                mean = keras.random.uniform(units, -0.5, 0.5)
                return keras.random.uniform(units, 1.0, 1.25) * out + mean
    """,
)
