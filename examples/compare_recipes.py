"""Compare recipes on data of one's own: arms × seeds, always beside the untreated network."""

from sklearn.datasets import load_digits
from torch import nn

import fitwell
from fitwell import remedies as r

digits = load_digits()


def make_model() -> nn.Module:
    """Return a new network; every seed and every arm begins with one."""
    return nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))


task = fitwell.Task(
    "digits-small",
    make_model,
    train=(digits.data[:400] / 16, digits.target[:400]),
    loss="cross_entropy",
    metric="accuracy",
    epochs=10,
)
arms = {"dropout": fitwell.Recipe(r.Dropout(0.3)), "weight decay": fitwell.Recipe(r.L2(0.1))}

if __name__ == "__main__":
    study = fitwell.compare(task, arms, seeds=4)
    print(study.table())
    for verdict in study.verdicts.values():
        print(verdict.arm, verdict.outcome, verdict.effect.to_dict())
