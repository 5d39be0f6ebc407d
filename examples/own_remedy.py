"""A remedy of your own: a frozen dataclass with the one seam that it needs."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

import fitwell
from fitwell import remedies as r
from fitwell.interfaces import Remedy, Stage


@dataclass(frozen=True)
class Centralize(Remedy):
    """Take from every unit's gradient its mean (Yong et al., 2020, arXiv:2004.01461)."""

    stage = Stage.CLIPPING
    scope = "weights"  # no biases, nothing of a normalisation layer

    def on_gradients(
        self, gradients: Mapping[str, Tensor], parameters: object, memory: object
    ) -> dict[str, Tensor]:
        """Return the gradients that the optimizer shall see, under the same names."""
        return {name: g - g.mean(1, keepdim=True) for name, g in gradients.items()}


digits = load_digits()
x, y = torch.tensor(digits.data, dtype=torch.float32) / 16, torch.tensor(digits.target)

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
treated = fitwell.Recipe(Centralize(), r.ClipNorm(1.0)).apply(model, example_input=x[:8])
optimizer = treated.optimizer(torch.optim.SGD, lr=0.5)
sums = treated.model[0].weight.sum(1)

for _ in range(10):
    for rows in torch.randperm(1500).split(64):
        optimizer.zero_grad()
        nn.functional.cross_entropy(treated.model(x[rows]), y[rows]).backward()
        optimizer.step()

accuracy = (treated.model(x[1500:]).argmax(1) == y[1500:]).float().mean().item()
moved = (treated.model[0].weight.sum(1) - sums).abs().max().item()
print(f"accuracy on rows kept aside: {accuracy:.3f}")
print(f"the weights of a unit still sum to what they did, within {moved:.0e}")
