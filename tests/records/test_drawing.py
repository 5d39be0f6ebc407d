"""A picture shows what ran, every branch of it, and no more lines than it takes."""

from __future__ import annotations

from collections import Counter
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fitwell.records import Anatomy, Node, Role
from fitwell.records.drawing import GLYPHS, Row, picture_of, rows_of, text_of

ALWAYS = {
    *(Role.LAYER, Role.RECURRENT, Role.ACTIVATION, Role.NORMALIZATION),
    *(Role.DROPOUT, Role.GATE, Role.ATTENTION),
}


class Net:
    """An anatomy written node by node; each takes the one before unless told otherwise."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []

    def module(self, path: str, kind: str, role: Role, *inputs: int, **more) -> int:
        return self._add(path, kind, role, inputs, functional=False, **more)

    def call(self, kind: str, role: Role, *inputs: int, path: str = "", **more) -> int:
        return self._add(path, kind, role, inputs, functional=True, **more)

    def linear(self, path: str, before: int, after: int, *inputs: int) -> int:
        sizes = {"in_features": before, "out_features": after}
        names = (f"{path}.weight", f"{path}.bias")
        return self.module(
            path, "Linear", Role.LAYER, *inputs, shape=(2, after), settings=sizes, parameters=names
        )

    def relu(self, *inputs: int, path: str = "") -> int:
        return self.call("relu", Role.ACTIVATION, *inputs, path=path)

    def _add(self, path, kind, role, inputs, *, functional, **more) -> int:
        index = len(self.nodes)
        given = inputs or (index - 1,)
        shape = self.nodes[given[0]].shape if index and given[0] >= 0 else (2, 4)
        call = sum(node.path == path and node.kind == kind for node in self.nodes)
        fields = {"shape": shape, "call": call} | more
        self.nodes.append(Node(index, path, kind, role, functional, given, **fields))
        return index

    @property
    def text(self) -> str:
        return str(Anatomy(tuple(self.nodes)))


def drawn(text: str) -> str:
    return dedent(text).strip("\n")


def test_a_chain_is_one_line_a_node_with_sizes_and_shapes() -> None:
    net = Net()
    net.call("flatten", Role.SHAPE, -1, shape=(2, 64))
    net.linear("0", 64, 128)
    net.module("1", "ReLU", Role.ACTIVATION)
    net.module("2", "Dropout", Role.DROPOUT, settings={"p": 0.5})
    net.linear("3", 128, 10)
    assert net.text == drawn("""
        ○  input
        ●  0  Linear 64 → 128  128
        ƒ  1  ReLU             128
        ░  2  Dropout 0.5      128
        ■  3  Linear 128 → 10  10
    """)


def test_a_residual_block_has_a_rail_beside_it() -> None:
    net = Net()
    stem = net.linear("stem", 4, 4, -1)
    net.linear("a", 4, 4)
    net.relu()
    body = net.linear("b", 4, 4)
    net.call("add", Role.ADD, body, stem)
    net.linear("head", 4, 2)
    assert net.text == drawn("""
        ○    input
        ●    stem  Linear 4 → 4  4
        ├─╮
        ● │  a     Linear 4 → 4  4
        ƒ │  relu                4
        ● │  b     Linear 4 → 4  4
        ⊕─╯  add                 4
        ■    head  Linear 4 → 2  2
    """)


def test_a_gate_and_what_it_opens_are_seen_through_views() -> None:
    net = Net()
    layer = net.linear("layer", 4, 4, -1)
    net.call("mean", Role.SHAPE, layer)
    net.linear("squeeze", 4, 4)
    net.call("sigmoid", Role.GATE)
    gate = net.call("view", Role.SHAPE)
    net.call("mul", Role.OTHER, layer, gate)
    assert net.text == drawn("""
        ○    input
        ●    layer    Linear 4 → 4  4
        ├─╮
        ■ │  squeeze  Linear 4 → 4  4
        σ │  sigmoid                4
        ⊗─╯  mul                    4
    """)


def test_three_branches_run_side_by_side_into_a_concatenation() -> None:
    net = Net()
    ends = []
    for name in "abc":
        net.linear(name, 4, 4, -1)
        ends.append(net.relu())
    net.call("cat", Role.SHAPE, *ends, shape=(2, 12))
    assert net.text == drawn("""
        ○        input
        ├─────╮
        ■     │  a  Linear 4 → 4  4
        ƒ     │  relu             4
        │ ■───┤  b  Linear 4 → 4  4
        │ ƒ   │  relu             4
        │ │ ■─╯  c  Linear 4 → 4  4
        │ │ ƒ    relu             4
        ◇─┴─╯    cat              12
    """)


def test_skips_that_lie_in_one_another_do_not_cross() -> None:
    net = Net()
    outer = net.linear("outer", 4, 4, -1)
    inner = net.linear("inner", 4, 4)
    net.linear("middle", 4, 4)
    net.call("cat", Role.SHAPE, 2, inner)
    net.call("cat", Role.SHAPE, 3, outer)
    assert net.text == drawn("""
        ○      input
        ●      outer   Linear 4 → 4  4
        ├───╮
        ●   │  inner   Linear 4 → 4  4
        ├─╮ │
        ■ │ │  middle  Linear 4 → 4  4
        ◇─╯ │  cat                   4
        ◇───╯  cat                   4
    """)


def test_a_side_head_hangs_on_the_trunk_which_goes_on() -> None:
    net = Net()
    trunk = net.linear("trunk", 4, 4, -1)
    net.linear("side", 4, 2)
    net.linear("further", 4, 4, trunk)
    net.linear("head", 4, 2)
    assert net.text == drawn("""
        ○    input
        ●    trunk    Linear 4 → 4  4
        ├─■  side     Linear 4 → 2  2
        ●    further  Linear 4 → 4  4
        ■    head     Linear 4 → 2  2
    """)


def blocks(net: Net, count: int, *, width: int = 4) -> None:
    for number in range(count):
        before = len(net.nodes) - 1
        net.module(f"h.{number}.norm", "LayerNorm", Role.NORMALIZATION)
        net.linear(f"h.{number}.fc", width, width)
        net.relu(path=f"h.{number}")
        net.call("add", Role.ADD, len(net.nodes) - 1, before, path=f"h.{number}")


def test_blocks_that_repeat_are_drawn_once() -> None:
    net = Net()
    net.linear("stem", 4, 4, -1)
    blocks(net, 12)
    net.linear("head", 4, 2)
    assert net.text == drawn("""
        ○    input
        ●    stem     Linear 4 → 4  4
        ├─╮
        │ │  ⎡ × 12 (h.0 to h.11)
        ≈ │  ⎢ .norm  LayerNorm     4
        ● │  ⎢ .fc    Linear 4 → 4  4
        ƒ │  ⎢ relu                 4
        ⊕─╯  ⎣ add                  4
        ■    head     Linear 4 → 2  2
    """)


def test_a_block_with_another_size_is_not_drawn_with_the_others() -> None:
    net = Net()
    blocks(net, 3)
    net.linear("h.3.fc", 4, 4)
    assert "× 3 (h.0 to h.2)" in net.text
    assert "h.3.fc" in net.text


@pytest.mark.parametrize(
    ("taken", "title"),
    [
        ((3, 7, 11, 15, 19), "× 5 (h.0 to h.4)"),
        ((3, 19), "× 4 (h.1 to h.4)"),
        ((7, 19), "× 2 (h.0 to h.1)"),
        ((19,), "× 5 (h.0 to h.4)"),
    ],
)
def test_blocks_are_one_only_if_all_of_them_feed_what_comes_later(taken, title) -> None:
    net = Net()
    blocks(net, 5)
    net.call("stack", Role.SHAPE, *taken)
    assert title in net.text


def test_a_block_that_all_later_ones_take_from_is_drawn_by_itself() -> None:
    net = Net()
    for number in range(5):
        before = len(net.nodes) - 1
        net.linear(f"h.{number}.fc", 4, 4, before)
        net.relu(path=f"h.{number}")
        net.call("cat", Role.SHAPE, len(net.nodes) - 1, 0, before, path=f"h.{number}")
    assert "●" in next(line for line in net.text.splitlines() if "h.0.fc" in line)
    assert "× 4 (h.1 to h.4)" in net.text


def test_a_sequence_of_layers_and_activations_repeats_from_its_layer_on() -> None:
    net = Net()
    net.linear("0", 8, 4, -1)
    net.module("1", "ReLU", Role.ACTIVATION)
    for number in range(2, 12, 2):
        net.linear(str(number), 4, 4)
        net.module(str(number + 1), "ReLU", Role.ACTIVATION)
    net.linear("12", 4, 2)
    assert net.text == drawn("""
        ○  input
        ●  0    Linear 8 → 4  4
        ƒ  1    ReLU          4
        │  ⎡ × 5 (2 to 11)
        ●  ⎢ 2  Linear 4 → 4  4
        ƒ  ⎣ 3  ReLU          4
        ■  12   Linear 4 → 2  2
    """)


def test_blocks_within_blocks_are_both_drawn_once() -> None:
    net = Net()
    for stage in range(3):
        net.module(f"stages.{stage}.norm", "LayerNorm", Role.NORMALIZATION, len(net.nodes) - 1)
        for layer in range(4):
            net.linear(f"stages.{stage}.layers.{layer}.fc", 4, 4)
            net.relu(path=f"stages.{stage}.layers.{layer}")
    assert net.text == drawn("""
        ○  input
        │  ⎡ × 3 (stages.0 to stages.2)
        ≈  ⎢ .norm  LayerNorm     4
        │  ⎢ ⎡ × 4 (.layers.0 to layers.3)
        ●  ⎢ ⎢ .fc  Linear 4 → 4  4
        ƒ  ⎣ ⎣ relu               4
    """)


def test_a_module_that_runs_again_says_so() -> None:
    net = Net()
    for _ in range(3):
        net.linear("cell", 4, 4)
    net.module("tied", "Linear", Role.LAYER, parameters=("cell.weight", "tied.bias"))
    assert net.text == drawn("""
        ○  input
        ●  cell  Linear 4 → 4             4
        ●  cell  Linear 4 → 4, again      4
        ●  cell  Linear 4 → 4, call 3     4
        ■  tied  Linear, weights of cell  4
    """)


def test_a_loop_over_one_cell_is_drawn_as_its_first_run_and_the_others() -> None:
    net = Net()
    for _ in range(20):
        net.linear("cell", 4, 4)
        net.call("tanh", Role.ACTIVATION)
    net.linear("head", 4, 2)
    assert net.text == drawn("""
        ○  input
        │  ⎡ × 20 (the same modules each time)
        ●  ⎢ cell  Linear 4 → 4  4
        ƒ  ⎣ tanh                4
        ■  head    Linear 4 → 2  2
    """)


def test_what_is_computed_aside_without_weights_is_no_branch() -> None:
    net = Net()
    layer = net.linear("layer", 4, 4, -1)
    mask = net.call("ne", Role.OTHER, -1)
    net.call("masked_fill", Role.OTHER, layer, mask)
    net.call("softmax", Role.ATTENTION)
    assert net.text == drawn("""
        ○  input
        ■  layer  Linear 4 → 4  4
        ◎  softmax              4
    """)


def test_weights_used_by_a_function_are_named() -> None:
    net = Net()
    net.linear("block.fc", 4, 4, -1)
    net.call("add", Role.OTHER, path="block", parameters=("block.shift", "scale"))
    net.call("linear", Role.LAYER, path="head", parameters=("head.weight",), shape=(2, 3))
    assert net.text == drawn("""
        ○  input
        ●  block.fc        Linear 4 → 4       4
        ⊕  add (in block)  with shift, scale  4
        ■  linear (in head)                   3
    """)


def test_a_network_of_one_layer_and_one_of_nothing_are_drawn_too() -> None:
    net = Net()
    net.linear("", 4, 2, -1)
    assert net.text == "○  input\n■  the network  Linear 4 → 2  2"
    assert str(Anatomy(())) == "nothing was recorded"


SIZES = {
    "Conv2d 3 → 16, 3×3, stride 2, 8 groups": (
        "Conv2d",
        Role.LAYER,
        {"in_channels": 3, "out_channels": 16, "kernel_size": (3, 3), "stride": (2, 2)}
        | {"dilation": (1, 1), "groups": 8},
    ),
    "Conv1d 4 → 4, kernel 5, dilation 2, depthwise": (
        "Conv1d",
        Role.LAYER,
        {"in_channels": 4, "out_channels": 4, "kernel_size": (5,), "dilation": (2,), "groups": 4},
    ),
    "LSTM 8 → 16, 2 layers, both directions": (
        "LSTM",
        Role.RECURRENT,
        {"input_size": 8, "hidden_size": 16, "num_layers": 2, "bidirectional": True},
    ),
    "Embedding 100 × 8": ("Embedding", Role.LAYER, {"num_embeddings": 100, "embedding_dim": 8}),
    "GroupNorm 8, 2 groups": (
        "GroupNorm",
        Role.NORMALIZATION,
        {"num_channels": 8, "num_groups": 2},
    ),
    "LayerNorm 4×8": ("LayerNorm", Role.NORMALIZATION, {"normalized_shape": (4, 8)}),
    "MaxPool2d 2×2": ("MaxPool2d", Role.SHAPE, {"kernel_size": 2}),
    "AdaptiveAvgPool2d to 1×1": ("AdaptiveAvgPool2d", Role.SHAPE, {"output_size": 1}),
    "GELU": ("GELU", Role.ACTIVATION, {}),
}


@pytest.mark.parametrize("told", SIZES)
def test_a_module_is_told_with_the_sizes_that_matter(told: str) -> None:
    kind, role, made_with = SIZES[told]
    net = Net()
    net.module("it", kind, role, -1, settings=made_with)
    assert picture_of(Anatomy(tuple(net.nodes))).lines[1].what == told


def test_a_branch_without_room_for_a_rail_is_named() -> None:
    net = Net()
    kept = [net.linear(f"layer{n}", 4, 4) for n in range(40)]
    for source in reversed(kept[:-1]):
        net.call("add", Role.ADD, len(net.nodes) - 1, source)
    rows = rows_of(picture_of(Anatomy(tuple(net.nodes))))
    assert max(len(row.gutter) for row in rows) < 40
    assert rows[-1].note == "also from layer0"


# What follows reads the rails back from the text, without looking at how they were laid out.


def read_back(rows: list[Row]) -> list[set[int]]:
    """Return for each line the lines that the rails of the text lead back to."""
    numbers: dict[int, int] = {}
    for at, row in enumerate(rows):
        if row.line is not None:
            numbers[at] = len(numbers)
    grid = [row.gutter for row in rows]

    def cell(at: int, column: int) -> str:
        return grid[at][column : column + 1] or " " if at >= 0 else " "

    def up(at: int, column: int) -> int | None:
        while (sign := cell(at, column)) in "│├┤┼" and sign != " ":
            at -= 1
        if sign in GLYPHS.values():
            return numbers[at]
        if sign in "╮╭":
            step, end = (-1, "├") if sign == "╮" else (1, "┤")
            column += step
            while cell(at, column) != end:
                assert cell(at, column) in "─│"
                column += step
            return up(at - 1, column)
        assert sign in " ╯╰┴─"
        return None

    found = []
    for at, row in enumerate(rows):
        if row.line is None or not row.line.glyph:
            if row.line is not None:
                found.append(set())
            continue
        column = next(n for n, sign in enumerate(row.gutter) if sign in GLYPHS.values())
        sources = {up(at - 1, column)}
        for step in (1, -1):
            place = column + step
            while cell(at, place) not in " ":
                sign = cell(at, place)
                if sign in "╯╰┴┼" or (sign in "┤├" and cell(at, place - step) == "─"):
                    sources.add(up(at - 1, place))
                if sign in "╯╰┤├" or (sign == "│" and cell(at, place - step) != "─"):
                    break
                place += step
        found.append(sources - {None})
    return found


@st.composite
def anatomies(draw: st.DrawFn, repeated: bool = True) -> Anatomy:
    """Any graph of up to 30 nodes; some of it the same few modules again and again."""
    roles = st.sampled_from([*Role])
    nodes: list[Node] = []
    for _ in range(draw(st.integers(1, 5))):
        part = [
            (draw(roles), draw(st.lists(st.integers(1, 6), max_size=3)))
            for _ in range(draw(st.integers(1, 4)))
        ]
        prefix = draw(st.sampled_from("abc")) + ("" if repeated else str(len(nodes)))
        for number in range(draw(st.integers(1, 4)) if repeated else 1):
            for name, (role, offsets) in enumerate(part):
                index = len(nodes)
                inputs = tuple(dict.fromkeys(max(index - offset, -1) for offset in offsets))
                path = f"{prefix}.{number}.{name}"
                nodes.append(Node(index, path, "mul", role, False, inputs, (2, 3)))
    return Anatomy(tuple(nodes))


@settings(max_examples=300, deadline=None)
@given(anatomies())
def test_every_node_that_is_not_folded_stands_in_one_line(anatomy: Anatomy) -> None:
    picture = picture_of(anatomy)
    shown = Counter(node.index for line in picture.lines for node in line.nodes)
    assert set(shown.values()) <= {1}
    assert {n.index for n in anatomy.nodes if n.role in ALWAYS} <= shown.keys()
    folded_away = [n for n in anatomy.nodes if n.index not in shown]
    assert all(n.role in (Role.SHAPE, Role.OTHER, Role.ADD, Role.PRODUCT) for n in folded_away)
    order = [line.nodes[0].index for line in picture.lines if line.nodes]
    assert order == sorted(order)


@settings(max_examples=500, deadline=None)
@given(anatomies())
def test_the_rails_of_the_text_lead_where_the_values_come_from(anatomy: Anatomy) -> None:
    picture = picture_of(anatomy)
    for line, found in enumerate(read_back(rows_of(picture))):
        wanted = set(picture.sources[line] or ()) - set(picture.layout.untold.get(line, ()))
        assert found == wanted, text_of(anatomy)
        assert all(source < line for source in found)


def nearest_shown(anatomy: Anatomy, node: Node, shown: set[int]) -> set[int]:
    """Walk back from a node to the nearest ones that are drawn, or to the input."""
    reached: set[int] = set()
    for index in node.inputs:
        if index == -1 or index in shown:
            reached.add(index)
        else:
            reached |= nearest_shown(anatomy, anatomy.nodes[index], shown)
    return reached


@settings(max_examples=300, deadline=None)
@given(anatomies(repeated=False))
def test_edges_lead_through_what_is_folded_away(anatomy: Anatomy) -> None:
    picture = picture_of(anatomy)
    at = {line.nodes[0].index: n for n, line in enumerate(picture.lines) if line.nodes}
    for index, line in at.items():
        reached = nearest_shown(anatomy, anatomy.nodes[index], set(at))
        wanted = {at[source] for source in reached if source >= 0}
        assert {source for source in picture.sources[line] or () if source > 0} == wanted
        if 0 in (picture.sources[line] or ()):
            assert -1 in reached


@pytest.mark.parametrize("kind", ["alike", "different", "dense"])
def test_a_thousand_nodes_are_drawn(kind: str) -> None:
    net = Net()
    for number in range(1000):
        earlier = range(max(0, number - 60), number - 1)
        inputs = (number - 1, *earlier) if kind == "dense" else (number - 1, max(number - 3, -1))
        size = {"num_features": number if kind == "different" else 1}
        node = Node(number, f"h.{number}", "Norm", Role.NORMALIZATION, False, inputs, (2, 3))
        net.nodes.append(
            Node(**{**vars(node), "settings": size, "inputs": tuple(dict.fromkeys(inputs))})
        )
    text = text_of(Anatomy(tuple(net.nodes)))
    assert text.splitlines()[0].endswith("input")
    assert "h.0" in text
