"""Every form in which a class makes its modules: the patched class is the treated network."""

from __future__ import annotations

import pytest

ALL = "activation(leaky_relu)+batch_norm+dropout(0.3)+initialization"

FORMS = {
    "attributes": """
        import torch.nn as nn

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc1 = nn.Linear(6, 8)
                self.act = nn.Sigmoid()
                self.fc2 = nn.Linear(8, 3)

            def forward(self, x):
                return self.fc2(self.act(self.fc1(x)))
        """,
    "keyword arguments": """
        import torch.nn as nn

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc1 = nn.Linear(out_features=8, in_features=6, bias=False)
                self.act, self.fc2 = nn.Sigmoid(), nn.Linear(8, out_features=3)

            def forward(self, x):
                return self.fc2(self.act(self.fc1(x)))
        """,
    "a sequence": """
        import torch
        from torch import nn

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = nn.Sequential(
                    nn.Conv2d(1, 4, 3), nn.Tanh(),
                    nn.Sequential(nn.Conv2d(4, 4, 3), nn.Tanh()),
                    nn.Flatten(), nn.Linear(4 * 24 * 24, 3),
                )

            def forward(self, x):
                return self.layers(x)
        """,
    "named sequence": """
        from collections import OrderedDict
        import torch

        class Net(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = torch.nn.Sequential(OrderedDict([
                    ("one", torch.nn.Linear(6, 8)),
                    ("act", torch.nn.Sigmoid()),
                    ("two", torch.nn.Linear(8, 3)),
                ]))

            def forward(self, x):
                return self.layers(x)
        """,
    "a list, with names of their own": """
        from torch.nn import Linear, Module, ModuleList, Tanh

        class Net(Module):
            def __init__(self):
                super().__init__()
                self.layers = ModuleList([Linear(6, 8), Tanh(), Linear(8, 8), Tanh(), Linear(8, 3)])

            def forward(self, x):
                for layer in self.layers:
                    x = layer(x)
                return x
        """,
    "a loop": """
        import torch as th

        class Net(th.nn.Module):
            def __init__(self, sizes=(6, 8, 9)):
                super().__init__()
                layers = []
                for i, o in zip(sizes, sizes[1:]):
                    layers += [th.nn.Linear(i, o), th.nn.Tanh()]
                layers.append(th.nn.Linear(sizes[-1], 3))
                self.layers = th.nn.Sequential(*layers)

            def forward(self, x):
                return self.layers(x)
        """,
    "a comprehension of blocks": """
        import torch.nn as nn

        class Block(nn.Module):
            def __init__(self, dim):
                super().__init__()
                self.fc = nn.Linear(dim, dim)
                self.act = nn.Sigmoid()

            def forward(self, x):
                return x + self.act(self.fc(x))

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.blocks = nn.ModuleList(Block(6) for _ in range(3))
                self.head = nn.Linear(6, 2)

            def forward(self, x):
                for block in self.blocks:
                    x = block(x)
                return self.head(x)
        """,
    "a helper": """
        from torch import nn

        def layer(i, o):
            return nn.Sequential(nn.Conv1d(i, o, kernel_size=3, padding=1), nn.Sigmoid())

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.one, self.two = layer(2, 4), layer(4, 5)
                self.head = nn.Linear(5, 2)

            def forward(self, x):
                return self.head(self.two(self.one(x)).mean(-1))
        """,
    "a base class": """
        from torch import nn

        class Base(nn.Module):
            def __init__(self, width=8):
                super().__init__()
                self.fc1 = nn.Linear(6, width)
                self.act = nn.Sigmoid()

        class Net(Base):
            def __init__(self):
                super().__init__(width=7)
                self.fc2 = nn.Linear(7, 3)

            def forward(self, x):
                return self.fc2(self.act(self.fc1(x)))
        """,
    "a constructor that is inherited": """
        from torch import nn

        class Base(nn.Module):
            def __init__(self, width=8):
                super().__init__()
                self.fc1 = nn.Linear(6, width)
                self.act = nn.Sigmoid()
                self.fc2 = nn.Linear(width, 3)

        class Net(Base):
            '''A network.'''

            def forward(self, x):
                return self.fc2(self.act(self.fc1(x)))
        """,
    "a configuration": """
        from dataclasses import dataclass, field
        import torch
        import torch.nn as nn

        @dataclass
        class Config:
            hidden: int = 8
            depth: int = 2

        class Net(nn.Module):
            def __init__(self, cfg: Config = Config()):
                super().__init__()
                self.inp = nn.Linear(6, cfg.hidden)
                self.mid = nn.ModuleList(
                    [nn.Linear(cfg.hidden, cfg.hidden) for _ in range(cfg.depth)]
                )
                self.act = nn.Tanh()
                self.out = nn.Linear(cfg.hidden, 3)

            def forward(self, x):
                x = self.act(self.inp(x))
                for layer in self.mid:
                    x = self.act(layer(x))
                return self.out(x)
        """,
    "a dataclass": """
        from dataclasses import dataclass
        from torch import nn

        @dataclass(eq=False)
        class Net(nn.Module):
            hidden: int = 8

            def __post_init__(self):
                super().__init__()
                self.fc1 = nn.Linear(6, self.hidden)
                self.act = nn.Sigmoid()
                self.fc2 = nn.Linear(self.hidden, 3)

            def forward(self, x):
                return self.fc2(self.act(self.fc1(x)))
        """,
    "a subclass of a layer": """
        from torch import nn

        class Dense(nn.Linear):
            def __init__(self, i, o):
                super().__init__(i, o, bias=False)

        class Net(nn.Sequential):
            def __init__(self):
                super().__init__(Dense(6, 8), nn.Sigmoid(), Dense(8, 3))
        """,
    "a default argument and a class attribute": """
        from torch import nn

        class Net(nn.Module):
            act = nn.Sigmoid

            def __init__(self, first=nn.Linear(6, 8), activation=nn.Sigmoid()):
                super().__init__()
                self.first = first
                self.activation = activation
                self.last = nn.Linear(8, 3)

            def forward(self, x):
                return self.last(self.activation(self.first(x)))
        """,
    "a shared module": """
        from torch import nn

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                act = nn.Sigmoid()
                self.one = nn.Sequential(nn.Linear(6, 8), act)
                self.two = nn.Sequential(nn.Linear(8, 8), act)
                self.head = nn.Linear(8, 3)

            def forward(self, x):
                return self.head(self.two(self.one(x)))
        """,
    "functions in the forward": """
        import torch
        from torch import nn
        from torch.nn import functional as F

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.a = nn.Linear(6, 8)
                self.b = nn.Linear(8, 8)
                self.c = nn.Linear(8, 8)
                self.d = nn.Linear(8, 3)

            def forward(self, x):
                x = torch.sigmoid(self.a(x))
                x = F.tanh(self.b(x))
                x = self.c(x).sigmoid()
                return self.d(x)
        """,
    "gates of an LSTM": """
        from torch import nn

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.rnn = nn.LSTM(5, 4, num_layers=2, batch_first=True)
                self.fc = nn.Linear(4, 6)
                self.act = nn.Tanh()
                self.out = nn.Linear(6, 2)

            def forward(self, x):
                return self.out(self.act(self.fc(self.rnn(x)[0][:, -1])))
        """,
    "names that are computed": """
        from torch import nn

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                for i in range(2):
                    setattr(self, f"fc{i}", nn.Linear(6, 6))
                    self.add_module(f"act{i}", nn.Tanh() if i < 5 else nn.ReLU())
                self.out = nn.Linear(6, 2)

            def forward(self, x):
                for i in range(2):
                    x = getattr(self, f"act{i}")(getattr(self, f"fc{i}")(x))
                return self.out(x)
        """,
    "layers of another type": """
        import torch
        from torch import nn

        class Net(nn.Module):
            def __init__(self, kind=torch.float64):
                super().__init__()
                self.fc = nn.Linear(6, 8, dtype=kind)
                self.act = (lambda: nn.Sigmoid())()
                self.mid = nn.Linear(8, 8).to(kind)
                self.out = nn.Linear(8, 3, dtype=kind, device="cpu")

            def forward(self, x):
                return self.out(self.act(self.mid(self.act(self.fc(x)))))
        """,
    "tied weights": """
        from torch import nn

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.enc = nn.Linear(6, 6)
                self.act = nn.Tanh()
                self.mid = nn.Linear(6, 4)
                self.act2 = nn.Tanh()
                self.out = nn.Linear(4, 6)
                self.last = nn.Linear(6, 6)
                self.last.weight = self.out2 = nn.Parameter(self.last.weight.detach() * 0.5)

            def forward(self, x):
                return self.last(self.out(self.act2(self.mid(self.act(self.enc(x))))))
        """,
    "a dictionary of modules": """
        from torch import nn

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.parts = nn.ModuleDict({"in": nn.Linear(6, 8), "act": nn.Sigmoid()})
                self.parts["the end"] = nn.Linear(8, 3)

            def forward(self, x):
                return self.parts["the end"](self.parts["act"](self.parts["in"](x)))
        """,
}


OF_OURS = {("gates of an LSTM", "layer_norm"): "torch has no Recurrent"}
"""Changes that are no module of torch: the source takes the others, and they are listed."""


@pytest.mark.parametrize("recipe", [ALL, "batch_norm", "dropout(0.3)", "layer_norm"])
@pytest.mark.parametrize("form", FORMS)
def test_the_patched_class_is_the_treated_network(place, applied, form, recipe):
    made = place.patch(FORMS[form], recipe)
    if (form, recipe) in OF_OURS:
        (left,) = made.not_expressed
        assert left.reason.startswith(OF_OURS[form, recipe])
        return
    assert made.not_expressed == ()
    place.same_as_treated(made, recipe)
    assert applied(made) == made.after


@pytest.mark.parametrize("form", FORMS)
def test_patching_what_is_patched_finds_nothing_to_change(place, form):
    made = place.patch(FORMS[form], ALL)
    again = place.patch(made.after, ALL)
    assert again.diff == ""
    assert again.after == made.after
    assert [entry for entry in again.not_expressed if "would" in entry.reason] == []
