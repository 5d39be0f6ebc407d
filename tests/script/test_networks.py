"""What a script trains is found, whichever way it trains it."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import pytest

from fitwell.records import Trace

from .conftest import TRAINING, Run, Watched

EVERYTHING = ("--overhead", "1.0")


def traced(run: Run, tmp_path: Path, source: str) -> tuple[Watched, Trace]:
    path = tmp_path / "trace.json"
    done = run(source, options=(*EVERYTHING, "--trace", str(path)))
    return done, Trace.load(path)


def test_every_step_is_recorded_from_the_first_with_its_loss(
    in_process: Run, tmp_path: Path
) -> None:
    source = TRAINING + (
        "for step in range(4):\n"
        "    optimizer.zero_grad(); loss = loss_fn(net(x), y); print(loss.item())\n"
        "    loss.backward(); optimizer.step()\n"
    )
    done, trace = traced(in_process, tmp_path, source)
    printed = [float(line) for line in done.script_out.splitlines()]
    assert [value for _, value in trace.series("loss")] == pytest.approx(printed)
    for quantity in ("gradient_norm", "update_norm", "output_rms", "signal_rms"):
        assert [step for step, _ in trace.series(quantity, "0")] == [0, 1, 2, 3]
    assert trace.facts.loss == "cross_entropy"
    assert trace.facts.loss_expects == "logits"
    assert trace.facts.classes == 3


def test_the_watch_changes_nothing(in_process: Run) -> None:
    source = TRAINING + (
        "train(30)\nprint([p.sum().item() for p in net.parameters()], torch.rand(1).item())\n"
    )
    with_watch = in_process(source, options=EVERYTHING).script_out

    bare = io.StringIO()
    with contextlib.redirect_stdout(bare):
        exec(source, {"__name__": "bare"})
    assert with_watch == bare.getvalue()


def test_nothing_stays_patched(in_process: Run) -> None:
    import torch
    import torch.nn.functional as F
    from torch.optim import Optimizer, optimizer
    from torch.utils.data import dataloader

    def state() -> list[object]:
        return [
            *(F.cross_entropy, F.mse_loss, torch.autograd.backward, Optimizer.__init__),
            dataloader._BaseDataLoaderIter.__next__,
            len(optimizer._global_optimizer_pre_hooks),
            len(optimizer._global_optimizer_post_hooks),
        ]

    before = state()
    in_process(TRAINING + "train(3)\nraise ValueError('on the way')\n")
    assert state() == before


GAN = """
import torch
from torch import nn
import torch.nn.functional as F
torch.manual_seed(0)
netG = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
netD = nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
optG = torch.optim.Adam(netG.parameters(), lr=1e-3)
optD = torch.optim.Adam(netD.parameters(), lr=1e-3)
for step in range(12):
    real = torch.randn(32, 2) + 2
    fake = netG(torch.randn(32, 4))
    optD.zero_grad()
    d = F.binary_cross_entropy_with_logits(netD(real), torch.ones(32, 1))
    d = d + F.binary_cross_entropy_with_logits(netD(fake.detach()), torch.zeros(32, 1))
    d.backward()
    optD.step()
    optG.zero_grad()
    g = F.binary_cross_entropy_with_logits(netD(fake), torch.ones(32, 1))
    g.backward()
    optG.step()
    print(d.item() / 2, g.item())
"""


def test_the_two_networks_of_a_gan_are_told_apart(in_process: Run, tmp_path: Path) -> None:
    done, generator = traced(in_process, tmp_path, GAN)
    discriminator = Trace.load(tmp_path / "trace.2.json")
    assert done.names == ["netG", "netD"]
    assert [model["steps"] for model in done.found["models"]] == [12, 12]
    pairs = [[float(n) for n in line.split()] for line in done.script_out.splitlines()]
    assert [v for _, v in discriminator.series("loss")] == pytest.approx([d for d, _ in pairs])
    assert [v for _, v in generator.series("loss")] == pytest.approx([g for _, g in pairs])
    assert generator.series("loss", phase="validation") == []


FOLDS = (
    TRAINING.replace("def train", "def unused")
    + """
def fold(number):
    torch.manual_seed(number)
    net = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for step in range(60):
        optimizer.zero_grad()
        loss_fn(net(x), y).backward()
        optimizer.step()
for number in range(3):
    fold(number)
"""
)


def test_the_folds_of_a_cross_validation_are_told_apart_and_grouped(in_process: Run) -> None:
    done = in_process(FOLDS)
    assert done.names == ["net", "net 2", "net 3"]
    assert [model["steps"] for model in done.found["models"]] == [60, 60, 60]
    assert done.story.count("Sequential, 163 parameters; 60 steps of SGD") == 1


def test_networks_that_ended_are_let_go_of(in_process: Run) -> None:
    source = (
        "import gc, weakref\n"
        + FOLDS.replace(
            "    optimizer = torch", "    alive.append(weakref.ref(net))\n    optimizer = torch"
        ).replace("def fold", "alive = []\ndef fold")
        + "gc.collect()\nprint([one() is None for one in alive])\n"
    )
    assert in_process(source).script_out == "[True, False, False]\n"


def test_validation_is_told_from_an_evaluation_on_training_rows(
    in_process: Run, tmp_path: Path
) -> None:
    source = (
        TRAINING
        + """
from torch.utils.data import DataLoader, TensorDataset
seen, held = TensorDataset(x[:64], y[:64]), TensorDataset(x[64:], y[64:])
for epoch in range(3):
    net.train()
    for inputs, targets in DataLoader(seen, batch_size=16, shuffle=True):
        optimizer.zero_grad()
        loss_fn(net(inputs), targets).backward()
        optimizer.step()
    net.eval()
    with torch.no_grad():
        for data in (seen, held):
            total = 0
            for inputs, targets in DataLoader(data, batch_size=16):
                total += loss_fn(net(inputs), targets).item() / (len(data) / 16)
        print(total)
"""
    )
    done, trace = traced(in_process, tmp_path, source)
    printed = [float(line) for line in done.script_out.splitlines()]
    assert [v for _, v in trace.series("loss", phase="validation")] == pytest.approx(printed)


def test_a_loss_inside_the_model_is_heard_of(in_process: Run, tmp_path: Path) -> None:
    source = (
        TRAINING
        + """
import torch.nn.functional as F
class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = net
    def forward(self, inputs, labels=None):
        logits = self.body(inputs)
        return {"loss": F.cross_entropy(logits, labels), "logits": logits}
model = Model()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
for step in range(5):
    out = model(inputs=x, labels=y)
    (out["loss"] / 2).backward()
    optimizer.step(); optimizer.zero_grad()
    print(out["loss"].item())
"""
    )
    done, trace = traced(in_process, tmp_path, source)
    printed = [float(line) for line in done.script_out.splitlines()]
    assert done.names == ["model"]
    assert [v for _, v in trace.series("loss")] == pytest.approx(printed)


def test_a_loss_of_ones_own_is_read_at_its_backward_pass(in_process: Run, tmp_path: Path) -> None:
    source = (
        TRAINING
        + """
for step in range(5):
    optimizer.zero_grad()
    loss = (torch.logsumexp(net(x), 1) - net(x)[range(96), y]).mean()
    loss.backward(); optimizer.step()
    print(loss.item())
"""
    )
    done, trace = traced(in_process, tmp_path, source)
    printed = [float(line) for line in done.script_out.splitlines()]
    assert [v for _, v in trace.series("loss")] == pytest.approx(printed)


def test_lbfgs_is_watched(in_process: Run, tmp_path: Path) -> None:
    source = (
        TRAINING
        + """
optimizer = torch.optim.LBFGS(net.parameters(), max_iter=4)
def closure():
    optimizer.zero_grad()
    loss = loss_fn(net(x), y)
    loss.backward()
    return loss
for step in range(3):
    print(optimizer.step(closure).item())
"""
    )
    done, trace = traced(in_process, tmp_path, source)
    printed = [float(line) for line in done.script_out.splitlines()]
    assert trace.series("loss") == list(enumerate(pytest.approx(v) for v in printed))
    assert len(trace.series("gradient_norm", "0")) == 3


def test_an_optimizer_made_anew_goes_on_with_the_same_network(in_process: Run) -> None:
    source = TRAINING + (
        "for epoch in range(4):\n"
        "    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)\n    train(5)\n"
    )
    done = in_process(source)
    assert done.names == ["net"]
    assert done.found["models"][0]["steps"] == 20


def test_two_optimizers_of_one_network_are_one_watch(in_process: Run) -> None:
    source = (
        TRAINING
        + """
first = torch.optim.SGD(net[0].parameters(), lr=0.1)
second = torch.optim.Adam(net[2].parameters(), lr=0.01)
for step in range(6):
    first.zero_grad(); second.zero_grad()
    loss_fn(net(x), y).backward()
    first.step(); second.step()
"""
    )
    done = in_process(source)
    assert [(m["name"], m["steps"]) for m in done.found["models"]] == [("net", 6)]
    assert "untrained_parameters" not in done.conditions


def test_a_head_trained_alone_is_seen_within_its_network(in_process: Run, tmp_path: Path) -> None:
    source = TRAINING + "optimizer = torch.optim.SGD(net[2].parameters(), lr=0.1)\ntrain(5)\n"
    _, trace = traced(in_process, tmp_path, source)
    assert [layer.name for layer in trace.facts.layers] == ["0", "2"]


def test_the_error_that_a_loss_raised_is_a_fact(in_process: Run, tmp_path: Path) -> None:
    source = TRAINING + "y[0] = 7\ntrain(3)\n"
    done, trace = traced(in_process, tmp_path, source)
    assert done.code == 1
    assert trace.facts.error.startswith("IndexError: Target 7 is out of bounds")
    assert trace.facts.output_shape == (16, 3)
    assert trace.facts.target_shape == (16,)


def test_a_script_without_training_says_so(in_process: Run) -> None:
    done = in_process("print('nothing')")
    assert done.code == 0
    assert done.found["models"] == []
    assert "No network was seen to train" in done.story


SICK = TRAINING.replace("lr=0.1", "lr=1e4") + "train(60)\n"


def test_fail_on_is_one_if_the_script_itself_is_well(in_process: Run) -> None:
    assert in_process(SICK).code == 0
    done = in_process(SICK, options=("--fail-on", "mild"))
    assert done.found["findings"]
    assert all(finding["model"] == "net" for finding in done.found["findings"])
    assert done.code == 1
    assert in_process(SICK + "import sys; sys.exit(5)", options=("--fail-on", "mild")).code == 5


def test_a_muted_condition_is_not_named(in_process: Run) -> None:
    found = in_process(SICK).conditions
    assert found
    options = tuple(word for name in found for word in ("--mute", name))
    assert not set(found) & set(in_process(SICK, options=options).conditions)


def test_json_of_a_healthy_run_has_the_fields_of_check(in_process: Run) -> None:
    done = in_process(TRAINING + "train(5)\n")
    assert {"schema", "healthy", "findings", "models"} <= done.found.keys()
    assert done.found["schema"] == 1
    assert json.dumps(done.found)
