"""Outside of what changes, every byte of the file stays."""

from __future__ import annotations

from difflib import SequenceMatcher

import pytest

ODD = '''\
#!/usr/bin/env python
# -*- coding: utf-8 -*-
"""Ünïcode docstring — with dashes."""
import math ;import torch    # two in a line
import torch.nn as nn


@torch.no_grad()
def  helper( x ) :   return x   # odd, but theirs


class Other(nn.Module):   # uses the same block
    def __init__(self):
        super().__init__()
        self.block=Block( 6 )   # ← shared


class Block(nn.Module):
    """A block."""

    def __init__( self, dim ):

        super( ).__init__( )
        self.größe, self.act = "日本語", nn.Sigmoid( )  # ein Kommentar: äöü
        self.fc   =   nn.Linear( dim,
                                 dim,  # as many
                                 bias = True )  # behind

    def forward(self, x):
        return  self.act( self.fc(x) )


def wrap(cls): return cls


@wrap
class Net( nn.Module ):

    layers : int = 2

    def __init__(self) :
        super().__init__()
        self.blocks = nn.Sequential( *[ Block(6) for _ in range(self.layers) ] )
        self.head   = nn.Linear(6,2);  self.drop = nn.Dropout( p = 0.1 )
        # the end of the constructor

    def forward(self, x):
        return self.head( self.blocks(self.drop(x)) )
    # the end of the class


if __name__ == "__main__":
    print( Net() )
'''

RECIPE = "activation(leaky_relu)+batch_norm+dropout(0.3)"


def changed(before: bytes, after: bytes) -> list[str]:
    """Return the lines of the old file that are not in the new one."""
    old, new = before.split(b"\n"), after.split(b"\n")
    blocks = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    return [line.decode() for tag, a, b, _, _ in blocks if tag != "equal" for line in old[a:b]]


def test_only_the_lines_concerned_change(place, applied):
    made = place.patch(ODD.encode(), RECIPE)
    assert made.not_expressed == ()
    assert [line.strip() for line in changed(made.before, made.after)] == [
        'self.größe, self.act = "日本語", nn.Sigmoid( )  # ein Kommentar: äöü',
        "self.fc   =   nn.Linear( dim,",
        "bias = True )  # behind",
        "self.head   = nn.Linear(6,2);  self.drop = nn.Dropout( p = 0.1 )",
    ]
    text = made.after.decode()
    assert 'self.größe, self.act = "日本語", nn.Sequential(OrderedDict([\n' in text
    assert "self.drop = nn.Dropout( p = 0.3 )" in text
    assert "dim,  # as many" in text
    assert made.notes == ("changes with it: Other",)
    place.same_as_treated(made, RECIPE)
    assert applied(made) == made.after


def test_the_block_of_weights_comes_before_the_last_comment(place):
    text = place.patch(ODD.encode(), "initialization").after.decode()
    end = text[text.index("self.drop = nn.Dropout( p = 0.1 )\n") :]
    assert end.startswith("self.drop = nn.Dropout( p = 0.1 )\n        with torch.no_grad():\n")
    assert "zeros_(bias)\n        # the end of the constructor\n" in end


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"\n", b"\r\n"),
        (b"    ", b"\t"),
        (b"    ", b"  "),
        (b"#!/usr/bin/env python\n", b"\xef\xbb\xbf"),
        (b"print( Net() )\n", b"print( Net() )"),
        (b"class Block", b"\x0cclass Block"),
    ],
    ids=["CRLF", "tabs", "two blanks", "byte order mark", "no end of line", "form feed"],
)
@pytest.mark.parametrize("recipe", [RECIPE, f"{RECIPE}+initialization"])
def test_line_ends_indentation_and_marks_stay(place, applied, old, new, recipe):
    made = place.patch(ODD.encode().replace(old, new), recipe)
    assert made.not_expressed == ()
    assert len(changed(made.before, made.after)) <= 6
    assert (b"\r\n" in made.before) == (b"\r\n" in made.after)
    assert made.after.count(b"\n") == made.after.count(b"\r\n") or b"\r" not in made.after
    if new == b"\t":
        assert [line for line in made.after.split(b"\n") if line.startswith(b" " * 4)] == []
    place.same_as_treated(made, recipe)
    assert applied(made) == made.after


def test_another_encoding_stays(place, applied):
    data = ODD.replace("utf-8", "latin-1").replace("日本語", "ÄÖÜ").replace("—", "-")
    made = place.patch(data.replace("←", "<").encode("latin-1"), RECIPE)
    assert made.encoding == "iso-8859-1"
    assert 'self.größe, self.act = "ÄÖÜ", nn.Sequential'.encode("latin-1") in made.after
    assert applied(made) == made.after


def test_an_import_joins_the_line_that_imports_from_there(place):
    text = "from collections import deque\nfrom torch.nn import Linear, Module, Tanh\n\n\n"
    text += "class Net(Module):\n    def __init__(self):\n        super().__init__()\n"
    text += "        self.fc = Linear(6, 8)\n        self.act = Tanh()\n"
    text += "        self.out = Linear(8, 2)\n\n"
    text += "    def forward(self, x):\n        return self.out(self.act(self.fc(x)))\n"
    made = place.patch(text.encode(), "batch_norm")
    lines = made.after.decode().splitlines()
    assert lines[:2] == [
        "from collections import deque, OrderedDict",
        "from torch.nn import Linear, Module, Tanh, BatchNorm1d, Sequential",
    ]
    place.same_as_treated(made, "batch_norm")


def test_a_name_that_means_something_else_is_not_taken(place):
    text = "import torch.nn as nn\n\nOrderedDict = dict\n\n\nclass Net(nn.Sequential):\n"
    text += "    def __init__(self):\n"
    text += "        super().__init__(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 2))\n"
    made = place.patch(text.encode(), "batch_norm+activation")
    (entry,) = made.not_expressed
    assert entry.reason == "the name OrderedDict means something else in this file"
    assert "nn.ReLU()" in made.diff


def test_a_sequence_that_a_patch_has_made_takes_more(place):
    text = "import torch.nn as nn\n\n\nclass Net(nn.Sequential):\n    def __init__(self):\n"
    text += "        super().__init__(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))\n"
    first = place.patch(text.encode(), "dropout(0.2)")
    assert '("layer", nn.ReLU())' in first.diff
    again = place.patch(first.after, "activation(leaky_relu)+batch_norm+dropout(0.4)")
    assert again.not_expressed == ()
    place.same_as_treated(again, "activation(leaky_relu)+batch_norm+dropout(0.4)")


def test_a_list_of_pairs_takes_what_follows(place):
    text = """\
        from collections import OrderedDict
        import torch.nn as nn


        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Sequential(OrderedDict([
                    ("layer", nn.Linear(6, 8)),  # first
                    ("act", nn.Tanh()),
                ]))
                self.mid = nn.Sequential(OrderedDict([("layer", nn.Tanh())]))
                self.out = nn.Linear(8, 2)

            def forward(self, x):
                return self.out(self.mid(self.fc(x)))
        """
    made = place.patch(text, "dropout(0.2)+batch_norm")
    after = made.after.decode()
    assert made.not_expressed == ()
    assert '("layer", nn.Linear(6, 8)),  # first\n            ("norm", nn.BatchNorm1d(8)),' in after
    assert 'OrderedDict([("layer", nn.Tanh()), ("dropout", nn.Dropout(p=0.2))])' in after
    place.same_as_treated(made, "dropout(0.2)+batch_norm")
