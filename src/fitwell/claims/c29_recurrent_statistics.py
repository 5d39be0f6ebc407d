"""In a recurrent net the statistics differ from time step to time step."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from fitwell.claims.claim import Claim, Larger, Smaller
from fitwell.claims.tasks import MNIST, rows_task
from fitwell.claims.training import trained
from fitwell.records import Lines, Measured
from fitwell.tasks.models import RowReader
from fitwell.words import say

ALL, MIDDLE = say("all 28 steps"), say("the middle 14 steps")
SHUFFLED = say("steps of each row shuffled")
APART = say("distance of the steps' means, in standard deviations")


def apart(states: Tensor) -> float:
    """Return how far the means of the steps lie apart, of states (rows, steps, units)."""
    means, deviation = states.mean(0), states.var(0).mean(0).sqrt()
    return float(((means - means.mean(0)) / deviation).square().mean().sqrt())


def experiment(seeds: Sequence[int]) -> Measured:
    """Train recurrent nets, and compare the mean of every hidden unit between the steps."""
    task = rows_task(partial(RowReader, 28, 64, 10), epochs=3)
    x, fitted = task.data.test.x, trained(task, seeds)
    with torch.no_grad():
        states = [one.model.get_submodule("rnn")(x)[0] for one in fitted]
    torch.manual_seed(0)
    order = torch.rand(x.shape[:2]).argsort(1)[..., None]
    shuffled = [of.gather(1, order.expand_as(of)) for of in states]
    pictures = tuple(
        Lines(
            title,
            say("time step"),
            value,
            tuple(
                (say("unit {number}", number=unit + 1), step + 1, at)
                for unit in range(3)
                for step, at in enumerate(of[:, unit].tolist())
            ),
        )
        for title, value, of in (
            (say("Mean of three hidden units over the rows"), say("mean"), states[0].mean(0)),
            (say("Their standard deviation"), say("standard deviation"), states[0].std(0)),
        )
    )
    return Measured(
        {
            APART: {
                ALL: tuple(map(apart, states)),
                MIDDLE: tuple(apart(of[:, 7:21]) for of in states),
                SHUFFLED: tuple(map(apart, shuffled)),
            }
        },
        pictures,
    )


CLAIM = Claim(
    number=29,
    name="recurrent-statistics",
    title=say("In a recurrent net the statistics differ from time step to time step"),
    question=say("Would one mean and one deviation do for all steps of a recurrent net?"),
    data=MNIST,
    experiment=experiment,
    expects=(
        Larger(ALL, SHUFFLED, of=APART, by=0.2),
        Larger(MIDDLE, SHUFFLED, of=APART, by=0.2),
        Smaller(SHUFFLED, 0.1, of=APART),
    ),
    formula=r"\mu_t = \frac{1}{m} \sum_{i=1}^{m} h_t^{(i)} \ne \mu_{t'}",
    explanation=say(
        "Batch norm keeps one moving mean and variance for evaluation. The states of a recurrent "
        "net begin at zero and change with what is read, so that each time step has statistics of "
        "its own: one pair fits none of them, and a pair for every step is of no use for a longer "
        "sequence than any seen. Shuffling the steps within each row shows what chance alone would "
        "do. The middle steps differ too, so the empty margins of the images are not the reason. "
        "Layer norm takes its statistics from one row at one step, and has no such question. "
        "(Laurent et al. 2016; Cooijmans et al. 2017; Ba et al. 2016.)"
    ),
    torch="""
        rnn = nn.RNN(28, 64, batch_first=True)
        states, _ = rnn(sequences)  # (rows, steps, units)
        print(states.mean(dim=0))  # one row a time step
        print(states.std(dim=0))
    """,
    keras="""
        rnn = keras.layers.SimpleRNN(64, return_sequences=True)
        states = rnn(sequences)  # (rows, steps, units)
        print(keras.ops.mean(states, axis=0))  # one row a step
        print(keras.ops.std(states, axis=0))
    """,
)
