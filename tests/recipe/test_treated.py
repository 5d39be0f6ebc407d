"""A treated model trains in a loop of one's own, and the recipe acts where it should."""

import copy
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fitwell.errors import BadInput, NotApplicable
from fitwell.interfaces import Remedy, Stage
from fitwell.recipe import Recipe
from fitwell.records import InsertAfter, ModuleSpec
from fitwell.remedies import (
    L1,
    L2,
    Activation,
    Augment,
    BatchNorm,
    ClipNorm,
    Dropout,
    EarlyStopping,
    Initialization,
    LabelSmoothing,
    Shrink,
)

X = torch.randn(16, 6, generator=torch.Generator().manual_seed(0))
Y = torch.arange(16) % 3


def mlp():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.Sigmoid(), nn.Linear(8, 3))


def apply(*remedies, model=None, **options):
    return Recipe(*remedies).apply(model or mlp(), example_input=X, **options)


def step(treated, optimizer, x=X, y=Y):
    optimizer.zero_grad()
    F.cross_entropy(treated.model(x), y).backward()
    optimizer.step()


def test_the_empty_recipe_changes_nothing_at_all():
    model = mlp()
    treated = Recipe().apply(model, example_input=X)
    assert treated.model is not model
    assert treated.loss(F.cross_entropy) is F.cross_entropy
    assert all(a is b for a, b in zip(treated.batch(X, Y), (X, Y), strict=True))
    optimizer, plain = treated.optimizer(torch.optim.Adam), torch.optim.Adam(model.parameters())
    step(treated, optimizer)
    F.cross_entropy(model(X), Y).backward()
    plain.step()
    assert torch.equal(treated.model[0].weight, model[0].weight)
    assert treated.effects() == treated.unused() == treated.changes.items == ()


def test_the_changes_are_told_in_words_with_the_keys_that_moved():
    treated = apply(Activation("relu"), BatchNorm())
    assert str(treated.changes) == (
        "1: nn.Sigmoid() -> nn.ReLU()\n0: followed by nn.BatchNorm1d(num_features=8)"
    )
    assert treated.changes.keys == {"0.weight": "0.layer.weight", "0.bias": "0.layer.bias"}


def test_keys_that_move_twice_are_followed():
    recipe = Recipe(BatchNorm(), Around())
    treated = recipe.apply(nn.Sequential(mlp()), example_input=X)
    assert treated.changes.keys["0.0.weight"] == "0.layer.0.layer.weight"
    assert treated.model.get_parameter("0.layer.0.layer.weight").shape == (8, 6)


@dataclass(frozen=True)
class Around(Remedy):
    stage: ClassVar[Stage] = Stage.DROPOUT

    def edit(self, anatomy):
        return [InsertAfter("0", "nothing", ModuleSpec("Identity"))]


def test_weights_of_the_untreated_model_load_under_their_new_names():
    treated, original = apply(BatchNorm(), Dropout()), mlp()
    with torch.no_grad():
        original[0].weight.fill_(0.25)
    treated.load_original(original.state_dict())
    assert treated.model[0].layer.weight.unique().tolist() == [0.25]
    with pytest.raises(BadInput, match="do not fit the treated model") as refusal:
        apply(Shrink()).load_original(original.state_dict())
    assert "0.weight, 0.bias, 2.weight" in str(refusal.value)


class Peeking(nn.Module):
    """Reads a setting of its first layer, and nothing of the second."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.out = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x):
        x = torch.relu(self.a(x)) / self.a.out_features
        return self.out(torch.relu(self.b(x)))


def test_a_layer_that_the_network_reads_is_left_and_the_others_are_treated():
    model = Peeking()
    treated = apply(BatchNorm(), model=model)
    assert isinstance(treated.model.a, nn.Linear)
    assert isinstance(treated.model.b.norm, nn.BatchNorm1d)
    assert treated.changes.keys == {"b.weight": "b.layer.weight", "b.bias": "b.layer.bias"}
    assert treated.changes.notes == (
        "BatchNorm: a is left as it was: the network reads its .out_features.",
    )
    code = Recipe(BatchNorm()).to_code(model, example_input=X)
    assert '"a"' not in code


def test_clipping_acts_on_the_norm_over_all_groups_before_the_step():
    treated = apply(ClipNorm(0.01))
    optimizer = treated.optimizer(
        lambda parameters: torch.optim.SGD(
            [{"params": [p]} for p in list(parameters)[:2]]
            + [{"params": list(treated.model.parameters())[2:], "lr": 0.5}],
            lr=1.0,
        )
    )
    before = copy.deepcopy(treated.model)
    step(treated, optimizer)
    F.cross_entropy(before(X), Y).backward()
    torch.nn.utils.clip_grad_norm_(before.parameters(), 0.01)
    for (name, p), q in zip(treated.model.named_parameters(), before.parameters(), strict=True):
        rate = 0.5 if name.startswith("2.") else 1.0
        assert torch.allclose(p, q - rate * q.grad, atol=1e-9), name


def test_each_group_is_penalised_at_its_own_rate():
    treated = apply(L2(0.1))
    optimizer = treated.optimizer(
        lambda _: torch.optim.SGD(
            [
                {"params": treated.model[0].parameters(), "lr": 0.1},
                {"params": treated.model[2].parameters(), "lr": 1.0},
            ]
        )
    )
    before = [treated.model[i].weight.detach().clone() for i in (0, 2)]
    for p in treated.model.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    assert torch.allclose(treated.model[0].weight, before[0] * 0.99)
    assert torch.allclose(treated.model[2].weight, before[1] * 0.9)


def test_frozen_parameters_are_left_alone():
    model = mlp()
    model[0].weight.requires_grad_(False)
    treated = apply(L1(1.0), L2(1.0), ClipNorm(), model=model)
    step(treated, treated.optimizer(torch.optim.Adam, lr=0.1))
    assert torch.equal(treated.model[0].weight, model[0].weight)
    assert not torch.equal(treated.model[2].weight, model[2].weight)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_precisions_keep_theirs(dtype):
    model = mlp().to(dtype)
    treated = Recipe(BatchNorm(), Initialization("he_normal"), L1(), L2(), ClipNorm()).apply(
        model, example_input=X.to(dtype)
    )
    step(treated, treated.optimizer(torch.optim.SGD, lr=0.1), X.to(dtype))
    assert {p.dtype for p in treated.model.parameters()} == {dtype}
    assert all(bool(p.isfinite().all()) for p in treated.model.parameters())


def test_a_step_with_a_closure_is_clipped_after_each_call_of_it():
    treated, other = apply(ClipNorm(0.01)), apply(ClipNorm(0.01))
    optimizer = treated.optimizer(torch.optim.SGD, lr=1.0)

    def closure():
        optimizer.zero_grad()
        loss = F.cross_entropy(treated.model(X), Y)
        loss.backward()
        return loss

    assert optimizer.step(closure) > 0
    step(other, other.optimizer(torch.optim.SGD, lr=1.0))
    assert torch.equal(treated.model[0].weight, other.model[0].weight)
    optimizer = treated.optimizer(torch.optim.LBFGS, max_iter=5)
    optimizer.step(closure=closure)
    norm = torch.stack([p.grad.norm() for p in treated.model.parameters()]).norm()
    assert norm <= 0.01 * 1.0001


@pytest.mark.parametrize("limit", [0.01, 100.0])
def test_a_scaler_with_a_fused_optimizer_is_served_at_the_true_size_of_the_gradient(limit):
    treated, other = apply(ClipNorm(limit), L2(0.5)), apply(ClipNorm(limit), L2(0.5))
    step(other, other.optimizer(torch.optim.SGD, lr=0.1))
    optimizer = treated.optimizer(torch.optim.SGD, lr=0.1, fused=True)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    scaler.scale(F.cross_entropy(treated.model(X), Y)).backward()
    scaler.step(optimizer)
    scaler.update()
    assert torch.allclose(treated.model[0].weight, other.model[0].weight, atol=1e-6)


def test_a_step_that_a_scaler_skips_changes_nothing():
    treated = apply(L1(0.5), L2(0.5))
    optimizer = treated.optimizer(torch.optim.SGD, lr=0.1, fused=True)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    before = copy.deepcopy(treated.model.state_dict())
    scaler.scale(F.cross_entropy(treated.model(X), Y) * float("inf")).backward()
    scaler.step(optimizer)
    scaler.update()
    assert all(torch.equal(v, before[k]) for k, v in treated.model.state_dict().items())


def test_a_sparse_gradient_is_refused_with_what_to_do():
    model = nn.Sequential(nn.Embedding(5, 3, sparse=True), nn.Linear(3, 2))
    treated = Recipe(ClipNorm()).apply(model, example_input=torch.arange(4))
    optimizer = treated.optimizer(torch.optim.SGD, lr=0.1)
    treated.model(torch.arange(4)).sum().backward()
    with pytest.raises(BadInput, match=r"sparse gradient of 0.weight: make the layer"):
        optimizer.step()


def test_an_optimizer_copies_and_saves_without_the_recipe():
    treated = apply(ClipNorm())
    optimizer = treated.optimizer(torch.optim.Adam)
    assert set(optimizer.state_dict()) == {"state", "param_groups"}
    assert not copy.deepcopy(optimizer)._optimizer_step_pre_hooks


def test_what_the_loop_never_used_is_named_and_warned_about_once():
    treated = apply(Augment(), LabelSmoothing(), ClipNorm(), EarlyStopping())
    assert treated.unused() == ("batch", "loss", "optimizer", "should_stop", "finish")
    step(treated, treated.optimizer(torch.optim.SGD, lr=0.1))
    treated.batch(X, Y)
    treated.loss(F.cross_entropy)
    assert treated.unused() == ("loss", "should_stop", "finish")
    with pytest.warns(UserWarning, match=r"never used treated.loss\(\), treated.should_stop\(\)"):
        treated.finish()
    treated.finish()


def test_a_long_loop_without_batches_is_warned_about_before_it_ends():
    treated = apply(Augment(), EarlyStopping())
    optimizer = treated.optimizer(torch.optim.SGD, lr=0.1)
    for _ in range(199):
        optimizer.step()
    with pytest.warns(UserWarning, match=r"never used treated.batch\(\)\."):
        optimizer.step()


def test_the_effects_tell_what_was_seen():
    treated = apply(Activation("relu"), BatchNorm(), Dropout(0.2), LabelSmoothing(), L1(1.0))
    optimizer, loss_fn = treated.optimizer(torch.optim.SGD, lr=1.0), treated.loss(F.cross_entropy)
    for _ in range(3):
        optimizer.zero_grad()
        loss_fn(treated.model(X), Y).backward()
        optimizer.step()
    weights = [treated.model[0].layer.weight, treated.model[2].weight]
    zeros = sum(int((w == 0).sum()) for w in weights)
    assert zeros > 0
    assert treated.effects() == (
        "Activation made 1 change, which ran on the example input",
        "BatchNorm made 1 change, which ran on the example input",
        "BatchNorm has averaged over 3 training batches",
        "Dropout made 1 change, which ran on the example input",
        "Dropout has 1 layer active in training",
        "LabelSmoothing changed 3 training losses",
        f"L1 acted after 3 steps; {zeros} of 72 weights are exactly zero",
        "L1 left 6 input features unused: 0, 1, 2, 3, 4, 5",
    )


def test_the_schedule_is_constant():
    treated = apply(L2())
    optimizer = treated.optimizer(torch.optim.SGD, lr=0.3)
    scheduler = treated.scheduler(optimizer)
    for _ in range(4):
        step(treated, optimizer)
        scheduler.step()
        assert optimizer.param_groups[0]["lr"] == 0.3


@dataclass(frozen=True)
class Useless(Remedy):
    stage: ClassVar[Stage] = Stage.DROPOUT

    def edit(self, anatomy):
        return [InsertAfter("unused", "dropout", ModuleSpec("Dropout"))]


class Unused(nn.Module):
    def __init__(self):
        super().__init__()
        self.used, self.unused = nn.Linear(6, 3), nn.Linear(6, 3)

    def forward(self, x):
        return self.used(x)


def test_a_change_that_never_runs_is_refused():
    with pytest.raises(NotApplicable, match="Useless would have no effect"):
        apply(Useless(), model=Unused())


def test_a_network_with_keywords_and_several_outputs_is_treated():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.act = nn.Linear(6, 8), nn.Tanh()
            self.a, self.b = nn.Linear(8, 2), nn.Linear(8, 3)

        def forward(self, *, values, scale=1.0):
            hidden = self.act(self.body(values * scale))
            return {"a": self.a(hidden), "b": self.b(hidden)}

    recipe = Recipe(Activation("relu"), BatchNorm(), Dropout(), Initialization(), Shrink())
    treated = recipe.apply(Two(), example_input={"values": X})
    out = treated.model(values=X)
    assert (out["a"].shape, out["b"].shape) == ((16, 2), (16, 3))
    assert treated.model.body.layer.out_features == 4


def test_modes_and_buffers_of_the_original_are_kept_in_the_copy():
    model = nn.Sequential(mlp(), nn.BatchNorm1d(3)).train()
    model[1].eval()
    treated = apply(Dropout(), model=model)
    assert treated.model[0].training
    assert not treated.model[1].training
    assert treated.model[1].num_batches_tracked == 0
