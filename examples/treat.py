"""Treat a network in a loop of one's own, and print the plain PyTorch that does the same."""

import torch
from sklearn.datasets import load_digits
from torch import nn

import fitwell
from fitwell import remedies as r

digits = load_digits()
x = torch.tensor(digits.data, dtype=torch.float32) / 16
y = torch.tensor(digits.target)

torch.manual_seed(0)
hidden = [layer for _ in range(8) for layer in (nn.Linear(64, 64), nn.Sigmoid())]
model = nn.Sequential(*hidden, nn.Linear(64, 10))

recipe = fitwell.Recipe(
    r.Activation("relu"), r.Initialization("he_normal"), r.BatchNorm(), r.ClipNorm(1.0)
)
treated = recipe.apply(model, example_input=x[:8])
optimizer = treated.optimizer(torch.optim.Adam, lr=1e-3)
loss_fn = treated.loss(nn.CrossEntropyLoss())

for _ in range(15):
    for rows in torch.randperm(1500).split(64):
        inputs, targets = treated.batch(x[rows], y[rows])
        optimizer.zero_grad()
        loss_fn(treated.model(inputs), targets).backward()
        optimizer.step()

treated.finish()
treated.model.eval()
accuracy = (treated.model(x[1500:]).argmax(1) == y[1500:]).float().mean().item()
print(f"accuracy on rows kept aside: {accuracy:.3f}")
print(*treated.effects(), sep="\n")
print(recipe.to_code(model, example_input=x[:8]))
