"""Look at a network before it is trained: one batch through it, and it is left as it was."""

import torch
from sklearn.datasets import load_breast_cancer
from torch import nn

import fitwell

cancer = load_breast_cancer()
x = torch.tensor(cancer.data, dtype=torch.float32)  # areas in the hundreds beside shares below 1
y = torch.tensor(cancer.target)

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(30, 64), nn.ReLU(), nn.Linear(64, 2), nn.Softmax(dim=1))
before = {name: tensor.clone() for name, tensor in model.state_dict().items()}

diagnosis = fitwell.preflight(model, (x[:64], y[:64]), nn.CrossEntropyLoss())
print(diagnosis)
for finding in diagnosis:
    print(f"{finding.condition}: {finding.advice or ', '.join(map(str, finding.remedies))}")

assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())

# The same network with what was found put right: inputs of one scale, and logits for the loss.
x = (x - x.mean(0)) / x.std(0)
print("afterwards:", fitwell.preflight(model[:3], (x[:64], y[:64]), nn.CrossEntropyLoss()))
