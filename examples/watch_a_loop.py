"""Watch a training loop that is already there: two lines more, and the loop itself is unchanged."""

import torch
from sklearn.datasets import load_digits
from torch import nn

import fitwell

digits = load_digits()
x = torch.tensor(digits.data, dtype=torch.float32) / 16
y = torch.tensor(digits.target)

torch.manual_seed(0)
hidden = [layer for _ in range(12) for layer in (nn.Linear(64, 64), nn.Sigmoid())]
model = nn.Sequential(*hidden, nn.Linear(64, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
loss_fn = nn.CrossEntropyLoss()

with fitwell.watch(model, optimizer, loss_fn) as watch:
    for _ in range(5):
        for rows in torch.randperm(1500).split(64):
            optimizer.zero_grad()
            loss_fn(model(x[rows]), y[rows]).backward()
            optimizer.step()
        with torch.no_grad():
            watch.log(val_loss=loss_fn(model(x[1500:]), y[1500:]).item())

print(watch.diagnosis())
print(f"recorded {len(watch.trace):,} numbers; watching took {watch.cost:.1%} of the time")
