"""Layer norm works in a recurrent network."""

from collections.abc import Sequence
from functools import partial

from torch import nn
from torch.optim import AdamW

from fitwell import remedies as r
from fitwell.claims.claim import Claim, Larger, Smaller
from fitwell.claims.courses import TEST, Runs, finals, learning, tested
from fitwell.claims.tasks import POOLED, mnist_task
from fitwell.claims.training import trained
from fitwell.recipe import Recipe
from fitwell.records import Measured
from fitwell.tasks.models import RowReader
from fitwell.words import say

PLAIN, LAYER_NORM = say("plain"), say("layer norm at every step")
LOSS = say("training loss after the last epoch")


def reader() -> nn.Sequential:
    """Return a recurrent network of 32 units that takes an image of 14 x 14 row by row."""
    return nn.Sequential(nn.Flatten(1, 2), RowReader(14, 32, 10))


def experiment(seeds: Sequence[int]) -> Measured:
    """Train a recurrent network that reads digits row by row, with and without layer norm."""
    task = mnist_task(reader, epochs=16, optimizer=partial(AdamW, lr=3e-3), pooled=True)
    arms = {PLAIN: Recipe(), LAYER_NORM: Recipe(r.LayerNorm())}
    runs: Runs = {arm: trained(task, seeds, recipe) for arm, recipe in arms.items()}
    losses = finals(runs, lambda curves: curves.train_loss)
    return Measured({TEST: tested(runs), LOSS: losses}, (learning(runs),))


CLAIM = Claim(
    number=26,
    name="recurrent-layer-norm",
    title=say("Layer norm works in a recurrent network"),
    question=say("Does a network that reads the rows one by one learn faster with layer norm?"),
    data=POOLED,
    experiment=experiment,
    expects=(
        Larger(LAYER_NORM, PLAIN, of=TEST),
        Smaller(LAYER_NORM, PLAIN, of=LOSS),
    ),
    formula=r"h_t = \tanh\bigl(\mathrm{LN}(W x_t + U h_{t-1}) + b\bigr)",
    explanation=say(
        "At every step the sum that goes into tanh is normalised over the units of one row, with "
        "one scale and offset for all steps. It needs no statistics for each step, as batch norm "
        "would, and no end of a sequence that training has seen. The state can then neither die "
        "away nor blow up, whatever the scale of the recurrent weights, and the gradient through "
        "many steps stays usable: it learns faster (Ba et al., 2016, arXiv:1607.06450). It does "
        "not give a plain recurrent network the memory of an LSTM, and each step costs more."
    ),
    torch="""
        cell, norm = nn.RNNCell(28, 32), nn.LayerNorm(32)
        rows, state = torch.randn(8, 28, 28), torch.zeros(8, 32)
        for row in rows.unbind(1):
            total = row @ cell.weight_ih.T + state @ cell.weight_hh.T
            state = torch.tanh(norm(total))
    """,
    keras="""
        class Cell(keras.layers.SimpleRNNCell):
            def build(self, shape):
                super().build(shape)
                self.norm = keras.layers.LayerNormalization()
                self.norm.build((None, self.units))

            def call(self, x, states, training=False):
                total = x @ self.kernel + states[0] @ self.recurrent_kernel
                state = keras.ops.tanh(self.norm(total))
                return state, [state]

        state = keras.layers.RNN(Cell(32))(keras.random.normal((8, 28, 28)))
    """,
)
