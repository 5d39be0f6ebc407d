"""``treated.py`` for every way in which a network can be made."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections import OrderedDict
from functools import partial

import pytest
import torch
from torch import nn

from fitwell.cure.source import constructor, treated_source
from fitwell.recipe import Recipe
from fitwell.remedies import LSUV, Augment, BatchNorm, ClipNorm, Dropout, ScaleInputs, Shrink
from fitwell.studies.training import EXAMPLE_ROWS, reproducible
from fitwell.tasks import Data, Split, Task
from fitwell.tasks.models import RowReader

RECIPE = Recipe(BatchNorm(), Dropout(0.25), ClipNorm(1.0))


def stack():
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))


class Own(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.first, self.act, self.last = nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 3)

    def forward(self, x):
        return self.last(self.act(self.first(x)))


def task_of(make, shape=(4,), classes=("a", "b", "c"), name="plain"):
    x = torch.randn(30, *shape, generator=torch.Generator().manual_seed(0))
    y = torch.arange(30) % 3 if classes else x.reshape(30, -1)[:, :1] * torch.ones(30, 3)
    split = Split(x, y)
    loss, metric = ("cross_entropy", "accuracy") if classes else ("mse", "mae")
    return Task(name, make, Data(split, split, split, "other", classes), loss, metric)


def written(task, recipe, folder):
    """Write treated.py beside weights of a treated network, import it, return both."""
    with reproducible(7):
        rows, make = task.data.train.x, task.make_model
        treated = recipe.apply(
            make(), example_input=rows[:EXAMPLE_ROWS], make_model=make, data=rows, seed=7
        )
        model = treated.model.eval()
    torch.save(model.state_dict(), folder / "model.pt")
    file = folder / "treated.py"
    file.write_text(treated_source(task, recipe, seed=7, folder=folder))
    spec = importlib.util.spec_from_file_location("treated", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module, model


def assert_same(module, model, x):
    loaded = module.load()
    assert not loaded.training
    with torch.no_grad():
        assert torch.equal(loaded(x), model(x))


@pytest.mark.parametrize("recipe", [RECIPE, Recipe()], ids=["treated", "untreated"])
@pytest.mark.parametrize(
    "make",
    [stack, partial(RowReader, 4, 8, 3), lambda: nn.Sequential(nn.Flatten(), stack())],
    ids=["stack", "package", "nested"],
)
def test_the_code_loads_the_network_without_its_maker(make, recipe, tmp_path):
    shape = (5, 4) if isinstance(make, partial) else (4,)
    task = task_of(make, shape)
    if shape == (5, 4):
        recipe = Recipe(*(r for r in recipe if not isinstance(r, BatchNorm | Dropout)))
    module, model = written(task, recipe, tmp_path)
    assert_same(module, model, torch.randn(6, *shape))


def test_a_factory_in_a_users_file_is_imported_from_there(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "out").mkdir()
    source = (
        "from torch import nn\n\n\nclass Net(nn.Module):\n    def __init__(self, width):\n"
        "        super().__init__()\n        self.first = nn.Linear(4, width)\n"
        "        self.act, self.last = nn.ReLU(), nn.Linear(width, 3)\n\n"
        "    def forward(self, x):\n        return self.last(self.act(self.first(x)))\n"
    )
    (tmp_path / "mine" / "nets_of_mine.py").write_text(source)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "mine"), *sys.path])
    import nets_of_mine

    task = task_of(partial(nets_of_mine.Net, width=6))
    module, model = written(task, RECIPE, tmp_path / "out")
    assert "mine/nets_of_mine.py" in (tmp_path / "out" / "treated.py").read_text()
    assert_same(module, model, torch.randn(6, 4))


SMALLER = Recipe(Shrink(0.5), ScaleInputs(), LSUV())


def test_a_factory_of_the_package_is_called_with_other_arguments(tmp_path):
    task = task_of(partial(RowReader, inputs=4, units=8, classes=3), (5, 4))
    module, model = written(task, SMALLER, tmp_path)
    assert model.rnn.layer.hidden_size == 4
    assert "make_model(units=4)" in (tmp_path / "treated.py").read_text()
    assert_same(module, model, torch.randn(6, 5, 4))


def test_a_factory_in_a_users_file_is_called_with_other_arguments(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "out").mkdir()
    source = (
        "from torch import nn\n\n\ndef net(width=8, depth=1):\n"
        "    layers = [m for _ in range(depth) for m in (nn.Linear(width, width), nn.ReLU())]\n"
        "    return nn.Sequential(nn.Linear(4, width), *layers, nn.Linear(width, 3))\n"
    )
    (tmp_path / "mine" / "sized_nets.py").write_text(source)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "mine"), *sys.path])
    import sized_nets

    for make in (sized_nets.net, partial(sized_nets.net, depth=2)):
        module, model = written(task_of(make), SMALLER, tmp_path / "out")
        assert model[0].layer.out_features == 4
        assert_same(module, model, torch.randn(6, 4))


def test_a_smaller_network_of_a_nameless_factory_is_written_down(tmp_path):
    make = lambda width=8: nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 3))  # noqa: E731
    module, model = written(task_of(make), SMALLER, tmp_path)
    assert model[0].layer.out_features == 4
    assert_same(module, model, torch.randn(6, 4))


def test_a_factory_that_has_no_name_is_left_to_the_user(tmp_path):
    module, _ = written(task_of(lambda: Own(8)), RECIPE, tmp_path)
    with pytest.raises(NotImplementedError, match="your network"):
        module.load()


def test_classes_are_predicted_by_name(tmp_path):
    task = task_of(stack, name="named")
    module, model = written(task, RECIPE, tmp_path)
    x = torch.randn(9, 4)
    expected = ["abc"[i] for i in model(x).argmax(1).tolist()]
    assert module.predict(x.tolist()) == expected
    assert module.predict(x.numpy()) == expected


def test_numbers_are_predicted_as_they_come(tmp_path):
    module, model = written(task_of(stack, classes=()), RECIPE, tmp_path)
    x = torch.randn(9, 4)
    assert torch.tensor(module.predict(x)) == pytest.approx(model(x).detach().numpy())


def test_rows_of_a_table_are_predicted_from_their_columns(tmp_path):
    polars = pytest.importorskip("polars")
    from fitwell.tasks.table import from_frame

    rows = [
        {"size": float(i % 7), "colour": "red" if i % 2 else "blue", "kind": "xy"[i % 2]}
        for i in range(90)
    ]
    task = from_frame(polars.DataFrame(rows), "kind")
    (tmp_path / "preprocess.json").write_text(json.dumps(task.data.preprocess.to_dict()))
    module, model = written(task, RECIPE, tmp_path)
    unseen = [{"size": 3.5, "colour": "red"}, {"size": None, "colour": "green"}]
    x = task.data.preprocess.transform(unseen)
    expected = [task.data.classes[i] for i in model(x).argmax(1).tolist()]
    assert module.predict(unseen) == expected


def test_augmentation_is_in_the_code_but_not_in_the_prediction(tmp_path):
    module, model = written(task_of(stack), Recipe(Augment(kind="table")), tmp_path)
    assert hasattr(module, "on_batch")
    assert_same(module, model, torch.randn(5, 4))


def test_imports_stand_at_the_head_each_once(tmp_path):
    written(task_of(stack), RECIPE, tmp_path)
    text = (tmp_path / "treated.py").read_text()
    imports = [line for line in text.splitlines() if line.startswith(("import ", "from "))]
    assert len(set(imports)) == len(imports)
    assert imports[0] == "from __future__ import annotations"


@pytest.mark.parametrize(
    "module",
    [
        nn.Linear(3, 2, bias=False),
        nn.Sequential(nn.Conv2d(1, 4, (3, 5), padding=1), nn.BatchNorm2d(4), nn.LeakyReLU(0.2)),
        nn.Sequential(OrderedDict(first=nn.Linear(2, 2), act=nn.Sigmoid())),
        nn.LSTM(3, 5, num_layers=2, batch_first=True),
    ],
)
def test_stacks_of_layers_are_written_down_exactly(module):
    again = eval(constructor(module), {"nn": nn, "OrderedDict": OrderedDict})
    assert repr(again) == repr(module)
    shapes = {name: value.shape for name, value in module.state_dict().items()}
    assert {name: value.shape for name, value in again.state_dict().items()} == shapes


@pytest.mark.parametrize(
    "module", [Own(8), nn.Sequential(stack(), Own(8)), nn.MultiheadAttention(8, 2)]
)
def test_what_is_no_plain_stack_is_not_written_down(module):
    assert constructor(module) is None
