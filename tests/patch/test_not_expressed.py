"""What has no form in the source is told, with where and why; the rest is written all the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from fitwell import Recipe
from fitwell.errors import BadInput
from fitwell.interfaces import Remedy, Stage
from fitwell.patch import patch
from fitwell.records import Anatomy, Edit, InsertBefore, ModuleSpec

HEAD = """
import copy
import torch
from torch import nn
from torch.nn import functional as F

"""


def net(init: str, forward: str = "return self.out(self.act(self.fc(x)))", before: str = "") -> str:
    """A class whose constructor and forward are given, a line each."""

    def lines(text: str) -> str:
        return "".join(f"        {line}\n" for line in text.strip().splitlines())

    return (
        f"{HEAD}{before}\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        f"        super().__init__()\n{lines(init)}\n"
        f"    def forward(self, x):\n{lines(forward)}"
    )


PLAIN = "self.fc = nn.Linear(6, 8)\nself.act = nn.Sigmoid()\nself.out = nn.Linear(8, 3)"


def reasons(made) -> dict[str, str]:
    return {entry.change: entry.reason for entry in made.not_expressed}


def test_what_belongs_to_the_training_loop_is_written_for_the_loop(place):
    made = place.patch(net(PLAIN), "batch_norm+clip_norm(1.0)+l2(1e-3)+label_smoothing(0.1)")
    assert list(reasons(made)) == ["LabelSmoothing()", "L2(strength=0.001)", "ClipNorm()"]
    assert all("training loop" in reason for reason in reasons(made).values())
    names: dict = {}
    exec(made.loop, names)
    assert {"training_loss", "before_step", "after_step"} <= set(names)
    assert "fc.layer.weight" in names["WEIGHTS"]


def test_a_copy_is_made_by_no_line(place):
    init = "layer = nn.Sequential(nn.Linear(6, 6), nn.Sigmoid())\n"
    init += "self.all = nn.ModuleList([copy.deepcopy(layer) for _ in range(2)])\n"
    init += "self.out = nn.Linear(6, 3)"
    made = place.patch(
        net(init, "for layer in self.all:\n    x = layer(x)\nreturn self.out(x)"), "activation"
    )
    assert made.diff == ""
    assert reasons(made) == {
        f"Activation: all.{n}.1: nn.Sigmoid() -> nn.ReLU()": (
            f"no line makes all.{n}.1: it is a copy, or was made by a call"
        )
        for n in (0, 1)
    }


def test_a_module_made_in_another_file_stays(place):
    other = place.file("from torch import nn\n\n\ndef make():\n    return nn.Sigmoid()\n")
    text = net(PLAIN.replace("nn.Sigmoid()", f"{other.stem}.make()")).replace(
        "import copy", f"import copy\nimport {other.stem}"
    )
    made = place.patch(text, "activation+batch_norm")
    (reason,) = reasons(made).values()
    assert reason == (
        f"line 13 makes it by {other.stem}.make(), which may be another class than Sigmoid"
    )
    assert "BatchNorm1d(8)" in made.diff
    made = place.patch(text, "dropout(0.3)")
    assert made.not_expressed == ()
    place.same_as_treated(made, "dropout(0.3)")


def test_what_another_file_makes_by_a_subscript_can_be_followed(place):
    other = place.file(
        "from torch import nn\n\n\nclass Kinds(dict):\n    def __getitem__(self, name):\n"
        "        return super().__getitem__(name)()\n\n\nKINDS = Kinds(s=nn.Sigmoid)\n"
    )
    text = net(PLAIN.replace("nn.Sigmoid()", f"{other.stem}.KINDS['s']"))
    text = text.replace("import copy", f"import copy\nimport {other.stem}")
    made = place.patch(text, "dropout(0.3)")
    assert made.not_expressed == ()
    assert f"(\"layer\", {other.stem}.KINDS['s'])," in made.diff
    place.same_as_treated(made, "dropout(0.3)")
    (reason,) = reasons(place.patch(text, "activation")).values()
    assert f"line 13 makes it by {other.stem}.KINDS['s'], which may be another class" in reason


def test_a_part_of_what_another_file_makes_stays(place):
    other = place.file(
        "from torch import nn\n\n\ndef make():\n"
        "    return nn.Sequential(nn.Linear(6, 8), nn.Sigmoid())\n"
    )
    text = net(
        f"self.fc = {other.stem}.make()\nself.out = nn.Linear(8, 3)", "return self.out(self.fc(x))"
    )
    text = text.replace("import copy", f"import copy\nimport {other.stem}")
    (reason,) = reasons(place.patch(text, "dropout(0.3)")).values()
    assert reason == f"fc.1 is a part of what line 12 makes ({other.name}:make)"


def test_modules_inside_a_layer_of_torch_stay(place):
    init = (
        "self.enc = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1)\nself.out = nn.Linear(8, 3)"
    )
    made = place.patch(net(init, "return self.out(self.enc(x))"), "dropout(0.4)", inputs=["2,4,8"])
    assert made.diff == ""
    told = set(reasons(made).values())
    assert told
    assert all("a part of what line 11 makes (transformer.py:" in reason for reason in told)


@pytest.mark.parametrize(
    "made_by",
    ["kind()", 'getattr(nn, "Sigmoid")()', "{1: nn.Sigmoid}[1]()", "nn.__dict__['Sigmoid']()"],
)
def test_a_class_that_the_call_does_not_name_is_not_replaced(place, made_by):
    text = net(f"kind = nn.Sigmoid\n{PLAIN}".replace("nn.Sigmoid()", made_by))
    made = place.patch(text, "activation")
    (reason,) = reasons(made).values()
    assert "which may be another class than Sigmoid" in reason
    assert made.diff == ""


def test_what_follows_such_a_call_can_be_written(place):
    text = net(f"kind = nn.Sigmoid\n{PLAIN}".replace("nn.Sigmoid()", "kind()"))
    made = place.patch(text, "dropout(0.2)")
    assert made.not_expressed == ()
    assert '("layer", kind())' in made.diff
    place.same_as_treated(made, "dropout(0.2)")


@pytest.mark.parametrize(
    ("made_by", "why"),
    [
        ("map(nn.Linear, [6, 8], [8, 8])", "no constructor call ends in line 11"),
        ("list(map(nn.Linear, [6, 8], [8, 8]))", "no expression in the source"),
    ],
)
def test_a_call_through_map_gives_no_module_that_could_be_wrapped(place, made_by, why):
    init = f"self.fc, self.mid = {made_by}\nself.act = nn.Sigmoid()\nself.out = nn.Linear(8, 3)"
    text = net(init, "return self.out(self.act(self.mid(self.act(self.fc(x)))))")
    made = place.patch(text, "batch_norm")
    assert made.diff == ""
    assert [reason for reason in reasons(made).values() if not reason.startswith(why)] == []


def test_unpacked_arguments_hide_which_one_changes(place):
    init = f"rates = (0.1,)\n{PLAIN}\nself.drop = nn.Dropout(*rates)"
    text = net(init, "return self.out(self.drop(self.act(self.fc(x))))")
    (reason,) = reasons(place.patch(text, "dropout(0.4)")).values()
    assert reason == "its arguments are unpacked by *"


def test_a_loop_in_which_only_some_would_change_stays_as_it_is(place):
    init = "self.all = nn.ModuleList([nn.Linear(6, 6) for _ in range(3)])\nself.act = nn.Sigmoid()"
    forward = "for layer in self.all[:2]:\n    x = self.act(layer(x))\nreturn self.all[2](x)"
    made = place.patch(net(init, forward), "activation+batch_norm")
    assert set(reasons(made).values()) == {"line 11 makes 3 modules, of which only 2 would change"}
    assert "-        self.act = nn.Sigmoid()\n+        self.act = nn.ReLU()\n" in made.diff
    assert "BatchNorm" not in made.diff


def test_a_constructor_that_reads_what_would_be_wrapped_keeps_it(place):
    init = f"{PLAIN}\nnn.init.xavier_uniform_(self.fc.weight)"
    made = place.patch(net(init), "activation+batch_norm")
    (reason,) = reasons(made).values()
    assert reason.startswith("the class would fail: AttributeError: 'Sequential' object has no")
    assert "ReLU" in made.diff
    assert "BatchNorm" not in made.diff
    place.same_as_treated(made, "activation")


def test_weights_that_are_drawn_again_after_the_block_are_seen(place):
    init = f"{PLAIN}\nself.apply(self.draw)"
    text = net(init) + "\n    def draw(self, m):\n        pass\n"
    made = place.patch(text, "initialization")
    assert made.not_expressed == ()
    late = text.replace("self.apply(self.draw)", "return  # the block would never run")
    made = place.patch(late, "initialization")
    assert made.diff == ""
    assert all("would not be as the recipe has it" in why for why in reasons(made).values())


def test_sizes_that_are_variables_are_not_guessed(place):
    text = net(f"hidden = 8\n{PLAIN}".replace("8,", "hidden,").replace("6, 8", "6, hidden"))
    made = place.patch(text, "shrink(0.5)+batch_norm")
    assert reasons(made) == {
        "Shrink()": "line 12 makes fc with out_features hidden, which is no constant",
    } | {"Shrink()": "line 14 makes out with in_features hidden, which is no constant"}
    assert len(made.not_expressed) == 2
    assert "nn.BatchNorm1d(hidden)" in made.diff


def test_sizes_that_are_numbers_shrink_where_they_stand(place):
    init = "self.fc = nn.Linear(3 * 2, 8)\nself.act = nn.ReLU()\nself.out = nn.Linear(2 * 2 * 2, 3)"
    made = place.patch(net(init), "shrink(0.5)+layer_norm")
    assert made.not_expressed == ()
    assert '("layer", nn.Linear(3 * 2, 4)),' in made.diff
    assert '("norm", nn.LayerNorm(4)),' in made.diff
    assert "+        self.out = nn.Linear(4, 3)\n" in made.diff
    place.same_as_treated(made, "shrink(0.5)+layer_norm")


def test_a_size_that_is_a_default_shrinks_there(place):
    text = net(
        "self.fc = nn.Linear(6, hidden)\nself.act = nn.ReLU()\nself.out = nn.Linear(hidden, 3)"
    )
    text = text.replace("def __init__(self):", "def __init__(self, hidden=8):")
    made = place.patch(text, "shrink(0.5)+batch_norm")
    assert made.not_expressed == ()
    assert "+    def __init__(self, hidden=4):\n" in made.diff
    assert "nn.BatchNorm1d(hidden)" in made.diff
    place.same_as_treated(made, "shrink(0.5)+batch_norm")


def test_a_default_that_the_network_was_not_made_with_stays(place):
    text = net(
        "self.fc = nn.Linear(6, hidden)\nself.act = nn.ReLU()\nself.out = nn.Linear(hidden, 3)"
    )
    text = text.replace("def __init__(self):", "def __init__(self, hidden=8):")
    made = place.patch(text, "shrink(0.5)", model="Net(hidden=10)")
    assert made.diff == ""
    assert "with in_features 8, but it has 10" in " ".join(reasons(made).values())


def test_a_function_whose_calls_would_have_weights_of_their_own_stays(place):
    init = (
        "self.all = nn.ModuleList([nn.Linear(6, 6) for _ in range(2)])\nself.out = nn.Linear(6, 3)"
    )
    text = net(init, "for layer in self.all:\n    x = F.relu(layer(x))\nreturn self.out(x)")
    made = place.patch(text, "activation(prelu)")
    assert made.diff == ""
    assert all("weights of its own" in reason for reason in reasons(made).values())
    made = place.patch(text, "activation(leaky_relu)")
    assert made.not_expressed == ()
    place.same_as_treated(made, "activation(leaky_relu)")


def test_a_function_with_weights_of_its_own_is_written_where_it_runs_once(place):
    text = net(
        "self.fc = nn.Linear(6, 8)\nself.out = nn.Linear(8, 3)",
        "return self.out(F.relu(self.fc(x)))",
    )
    made = place.patch(text, "activation(prelu)")
    assert "+        self.act = nn.PReLU()\n" in made.diff
    place.same_as_treated(made, "activation(prelu)")


def test_a_function_called_outside_a_method_stays(place):
    helper = "def bend(x):\n    return torch.sigmoid(x)\n\n"
    text = net(PLAIN, "return self.out(bend(self.fc(x)))", before=helper)
    made = place.patch(text, "activation")
    (reason,) = reasons(made).values()
    assert "stands in no method" in reason


def test_two_calls_in_a_line_of_which_one_changes_stay(place):
    init = "self.fc = nn.Linear(6, 8)\nself.out = nn.Linear(8, 3)"
    text = net(init, "return torch.sigmoid(self.out(torch.sigmoid(self.fc(x))))")
    made = place.patch(text, "activation")
    assert made.diff == ""
    (reason,) = reasons(made).values()
    assert "not every call would change" in reason


def test_a_class_that_gives_another_network_every_time_is_refused(place):
    init = f"global made\nmade += 1\n{PLAIN}\nself.extra = nn.Linear(2, made)"
    counting = place.file("made = [0]\n")
    text = net(
        init.replace("global made\nmade += 1", "made.append(0)").replace(", made)", ", len(made))")
    )
    text = text.replace("import copy", f"import copy\nfrom {counting.stem} import made")
    with pytest.raises(BadInput, match=r"cannot be patched as it stands: extra\.bias"):
        place.patch(text, "batch_norm")


@dataclass(frozen=True, slots=True)
class Before(Remedy):
    stage = Stage.NORMALIZATION

    def edit(self, anatomy: Anatomy) -> Sequence[Edit]:
        return [InsertBefore("fc", "first", ModuleSpec("LayerNorm", {"normalized_shape": 6}))]


def test_a_module_can_come_first(place):
    made = patch(place.file(net(PLAIN)), "Net", Recipe(Before()))
    assert made.not_expressed == ()
    assert '("first", nn.LayerNorm(6)),' in made.diff
    assert made.keys == {"fc.weight": "fc.layer.weight", "fc.bias": "fc.layer.bias"}


def test_a_size_that_is_computed_by_a_call_is_not_guessed(place):
    before = "def width(n):\n    return 2 * n\n\n\nhalf = 4\n\n"
    init = "self.fc = nn.Linear(6, width(half))\nself.act = nn.ReLU()\nself.out = nn.Linear(8, 3)"
    made = place.patch(net(init, before=before), "batch_norm")
    assert made.diff == ""
    (reason,) = reasons(made).values()
    assert reason == ("no expression in the source says the size of nn.BatchNorm1d(num_features=8)")
    made = place.patch(
        net(init.replace("width(half)", "int(2 * half)"), before=before), "batch_norm"
    )
    assert '("norm", nn.BatchNorm1d(int(2 * half))),' in made.diff


def test_a_layer_of_their_own_is_followed_where_its_arguments_are_constants(place):
    before = (
        "class Dense(nn.Linear):\n    def __init__(self, i, o):\n        super().__init__(i, o)\n"
    )
    init = "wide = 8\nself.fc = Dense(6, 8)\nself.act = nn.ReLU()\nself.out = nn.Linear(8, 3)"
    made = place.patch(net(init, before=before), "batch_norm")
    assert '("norm", nn.BatchNorm1d(8)),' in made.diff
    made = place.patch(net(init.replace("(6, 8)", "(6, wide)"), before=before), "batch_norm")
    assert made.diff == ""


def test_what_the_expression_on_the_command_line_makes_stays(place):
    text = net("self.fc = fc\nself.act = nn.ReLU()\nself.out = nn.Linear(8, 3)")
    text = text.replace("def __init__(self):", "def __init__(self, fc):")
    made = place.patch(text, "batch_norm", model="Net(nn.Linear(6, 8))")
    (reason,) = reasons(made).values()
    assert reason == "fc is made where the network is constructed, not in the file"
