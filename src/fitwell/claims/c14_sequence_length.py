"""In a recurrent net the gradient grows with the sequence length."""

from collections.abc import Sequence
from math import log10

import numpy as np
import torch
from torch import Tensor

from fitwell.claims.claim import Claim, Larger, Smaller
from fitwell.claims.courses import point
from fitwell.claims.tasks import MNIST
from fitwell.claims.watching import first_step
from fitwell.records import Lines, Measured, Quantity, Trace
from fitwell.tasks.builtin.digits import mnist
from fitwell.tasks.models import RowReader
from fitwell.words import say

ARMS: dict[str, float] = {
    (OWN := say("PyTorch's own weights")): 1.0,
    (THREE := say("weights three times as large")): 3.0,
    (SIX := say("weights six times as large")): 6.0,
}
LENGTHS, WHOLE = (7, 14, 28, 56, 112), 28
GROWTH = say("log10 of the gradient's growth a step")
EARLY = say("log10 of the gradient at the first row over that at the last")


def step(data: tuple[Tensor, Tensor], gain: float, length: int, seed: int) -> Trace:
    """Take the first step on so many rows of pixels; a whole image is read again and again."""
    x, y = data
    chosen = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))[:64]
    rows = x[chosen].repeat(1, -(-length // WHOLE), 1)[:, :length]
    torch.manual_seed(seed)
    return first_step(RowReader(WHOLE, 64, 10, gain=gain), rows, y[chosen])


def experiment(seeds: Sequence[int]) -> Measured:
    """Read the gradient of the recurrent weights for sequences of every length."""
    data = mnist()
    growth: dict[str, tuple[float, ...]] = {}
    early: dict[str, tuple[float, ...]] = {}
    lengths, times = [], []
    for arm, gain in ARMS.items():
        traces = {n: [step(data, gain, n, seed) for seed in seeds] for n in LENGTHS}
        norms = {
            n: [trace.of(Quantity.GRADIENT_NORM, "rnn")[0].value for trace in of]
            for n, of in traces.items()
        }
        logs = np.log10(list(norms.values()))  # (lengths, seeds)
        growth[arm] = tuple(np.polyfit(LENGTHS, logs, 1)[0].tolist())
        at = [[row.value for row in t.of(Quantity.TIME_GRADIENT, "rnn")] for t in traces[WHOLE]]
        early[arm] = tuple(log10(of[0] / of[-1]) for of in at)
        lengths += [point(arm, n, of) for n, of in norms.items()]
        times += [point(arm, place, of) for place, of in enumerate(zip(*at, strict=True), 1)]
    by_length = say("The gradient of the recurrent weights, by length"), say("rows read")
    by_time = say("The gradient that comes back to each row of an image"), say("row")
    norm = say("norm of the gradient")
    return Measured(
        {GROWTH: growth, EARLY: early},
        (
            Lines(*by_length, norm, tuple(lengths), log_y=True),
            Lines(*by_time, norm, tuple(times), log_y=True),
        ),
    )


CLAIM = Claim(
    number=14,
    name="sequence-length",
    title=say("In a recurrent net the gradient grows with the sequence length"),
    question=say("How does the gradient change with the number of steps that are read?"),
    data=MNIST,
    experiment=experiment,
    expects=(
        Larger(SIX, 0.05, of=GROWTH),
        Larger(SIX, 3.0, of=EARLY),
        Smaller(OWN, -3.0, of=EARLY),
    ),
    formula=(
        r"\frac{\partial h_T}{\partial h_t} = "
        r"\prod_{s=t+1}^{T} \mathrm{diag}\left(1 - h_s^2\right) W_{hh}"
    ),
    explanation=say(
        "Going back in time, the gradient is multiplied by the recurrent weights at every step. "
        "Where these stretch by more than tanh holds back, the factors multiply: the gradient of "
        "long sequences explodes, and what comes from the early steps drowns the rest. How far it "
        "holds: it takes large weights. With PyTorch's own the factor is below 1, the gradient of "
        "the weights does not grow, and the early steps are not heard at all: the same "
        "product, vanishing. (Bengio et al. 1994; Pascanu et al. 2013.)"
    ),
    torch="""
        rnn = nn.RNN(8, 16, batch_first=True)
        for length in (7, 14, 28, 56):
            rnn.zero_grad()
            rnn(torch.randn(32, length, 8))[1].sum().backward()
            print(length, rnn.weight_hh_l0.grad.norm().item())
    """,
    keras="""
        import torch  # the backend of Keras here

        rnn = keras.layers.SimpleRNN(16)
        for length in (7, 14, 28, 56):
            x = keras.random.normal((32, length, 8))
            rnn(x).sum().backward()
            w = rnn.trainable_weights[1].value
            print(length, w.grad.norm().item())
            w.grad = None
    """,
)
