"""In a deep sigmoid net the gradient falls geometrically toward the input."""

from collections.abc import Sequence
from math import log10

import torch
from torch import nn

from fitwell import remedies as r
from fitwell.claims.claim import Claim, Close, Larger
from fitwell.claims.tasks import DIGITS
from fitwell.claims.watching import by_layer, first_step, of_layers, straight
from fitwell.recipe import Recipe
from fitwell.records import Lines, Measured, Quantity
from fitwell.tasks.builtin.digits import digits
from fitwell.tasks.models import mlp
from fitwell.words import say

SIGMOID, RELU = say("sigmoid"), say("ReLU")
PASSED, STRAIGHT = say("log10 of what a layer passes on"), say("R² of the straight line")


def norms(activation: type[nn.Module], seed: int) -> list[float]:
    """Return the norm of every hidden layer's gradient in the first step, input side first."""
    x, y = digits()
    torch.manual_seed(seed)
    network = mlp((64, *[64] * 20, 10), activation=activation)
    treated = Recipe(r.Initialization("auto")).apply(network, example_input=x[:8], seed=seed)
    return of_layers(first_step(treated.model, x[:256], y[:256]), Quantity.GRADIENT_NORM)


def experiment(seeds: Sequence[int]) -> Measured:
    """Read the gradients of twenty layers in the first step, and fit a line to their logarithms."""
    arms = {SIGMOID: nn.Sigmoid, RELU: nn.ReLU}
    found = {arm: [norms(kind, seed) for seed in seeds] for arm, kind in arms.items()}
    fits = {arm: [straight(of) for of in all_seeds] for arm, all_seeds in found.items()}
    title, layer = say("The gradient, layer by layer"), say("layer, from the input")
    norm = say("norm of the gradient")
    return Measured(
        {
            PASSED: {arm: tuple(-slope for slope, _ in of) for arm, of in fits.items()},
            STRAIGHT: {SIGMOID: tuple(r2 for _, r2 in fits[SIGMOID])},
        },
        (Lines(title, layer, norm, by_layer(found), log_y=True),),
    )


CLAIM = Claim(
    number=11,
    name="vanishing",
    title=say("In a deep sigmoid net the gradient falls geometrically toward the input"),
    question=say("By what factor does each of twenty sigmoid layers weaken the gradient?"),
    data=DIGITS,
    experiment=experiment,
    expects=(
        Close(SIGMOID, log10(1 / 4), of=PASSED, within=0.1),
        Larger(SIGMOID, 0.9, of=STRAIGHT),
        Larger(RELU, SIGMOID, of=PASSED, by=0.3),
    ),
    formula=r"\delta_{l} = (W_{l+1}^\top \delta_{l+1}) \odot \sigma'(z_{l}), \quad \sigma' \le 1/4",
    explanation=say(
        "Going backward, every layer multiplies the gradient by its weights and by the slope of "
        "its activation. The slope of the sigmoid is 1/4 at most; with Xavier's weights, which "
        "neither shrink nor stretch, a quarter is what is left after each layer: log10 of it is "
        "-0.6. Factors multiply, so twenty layers leave a millionth of a millionth, and the first "
        "layers do not learn. Smaller weights make it worse, and large ones saturate the units. "
        "With ReLU and He's weights the gradient stays level. (Hochreiter 1991; Glorot and Bengio "
        "2010.)"
    ),
    torch="""
        loss_fn(model(x), y).backward()
        for name, p in model.named_parameters():
            print(name, p.grad.norm().item())
    """,
    keras="""
        import torch  # the backend of Keras here

        loss = keras.losses.sparse_categorical_crossentropy(
            y, model(x), from_logits=True
        )
        loss.mean().backward()
        for w in model.trainable_weights:
            print(w.path, w.value.grad.norm().item())
    """,
)
