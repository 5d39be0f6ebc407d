"""Augmentation changes the batch, not the targets, and only by the random numbers it is given."""

import importlib

import numpy as np
import pytest
import torch
from torch import Generator, nn

from fitwell.errors import BadInput, NotApplicable, ThresholdError
from fitwell.recipe import Recipe
from fitwell.remedies import Augment
from fitwell.remedies.augmenting import erase, move_images, warp_time
from fitwell.testing import RemedyContract


class TestAugmentTable(RemedyContract):
    def make_remedy(self):
        return Augment(0.7)

    def make_stack(self):
        return [Augment(strength) for strength in (0.05, 0.7, 1.0)]

    def make_untreatable(self):
        return nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 2)), torch.arange(4)


def generator(seed=0):
    return Generator().manual_seed(seed)


BATCHES = {
    "image": torch.rand(12, 1, 10, 14, generator=generator()),
    "sequence": torch.randn(12, 20, 3, generator=generator()),
    "table": torch.randn(12, 30, generator=generator()),
}


@pytest.mark.parametrize("kind", BATCHES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_shape_dtype_and_targets_stay_and_the_values_change(kind, dtype):
    x, y = BATCHES[kind].to(dtype), torch.arange(12)
    new, targets = Augment().on_batch(x, y, generator())
    assert (new.shape, new.dtype) == (x.shape, x.dtype)
    assert targets is y
    assert bool(new.isfinite().all())
    assert not torch.equal(new, x)


@pytest.mark.parametrize("kind", BATCHES)
def test_all_chance_comes_from_the_generator(kind):
    x, y = BATCHES[kind], torch.arange(12)
    state = torch.get_rng_state()
    first = Augment().on_batch(x, y, generator(1))[0]
    assert torch.equal(first, Augment().on_batch(x, y, generator(1))[0])
    assert not torch.equal(first, Augment().on_batch(x, y, generator(2))[0])
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(Augment(kind=kind).on_batch(x, y, generator(1))[0], first)


@pytest.mark.parametrize("kind", BATCHES)
def test_a_smaller_strength_changes_less(kind):
    x, y = BATCHES[kind], torch.arange(12)
    change = [
        sum((Augment(s).on_batch(x, y, generator(i))[0] - x).square().mean() for i in range(20))
        for s in (0.1, 0.9)
    ]
    assert change[0] < 0.5 * change[1]


def test_images_move_by_the_matrix_that_was_drawn():
    x = torch.zeros(200, 1, 41, 41)
    x[:, :, 20, 20] = 1000.0
    x[:, :, 0, 0] = 1e-3
    new = Augment(1.0).on_batch(x, torch.zeros(200), generator())[0].amax(1)
    top = new.flatten(1).argmax(1)
    rows, columns = top // 41 - 20, top % 41 - 20
    seen = new.flatten(1).amax(1) > 100
    for offset in (rows[seen], columns[seen]):
        assert 6 <= offset.abs().max() <= 9
        assert abs(offset.float().mean()) < 1.5


def test_flip_is_off_unless_asked_for():
    x = torch.zeros(100, 1, 9, 9)
    x[..., :4] = 1.0
    y = torch.zeros(100)
    left = Augment(0.1).on_batch(x, y, generator())[0]
    assert bool((left[..., :3].mean((1, 2, 3)) > left[..., -3:].mean((1, 2, 3))).all())
    both = Augment(0.1, flip=True).on_batch(x, y, generator())[0]
    mirrored = (both[..., :3].mean((1, 2, 3)) < both[..., -3:].mean((1, 2, 3))).float().mean()
    assert 0.3 < mirrored < 0.7


def test_zero_stays_zero_in_a_sparse_table_unless_another_row_has_something():
    x = torch.zeros(50, 40)
    x[:, 0] = torch.arange(50.0)
    new = Augment(1.0).on_batch(x, torch.zeros(50), generator())[0]
    assert not new[:, 1:].any()


def test_a_fifth_of_the_words_is_dropped_at_strength_1():
    x = torch.ones(200, 100)
    new = Augment(1.0, kind="bag").on_batch(x, torch.zeros(200), generator())[0]
    assert set(new.unique().tolist()) == {0.0, 1.0}
    assert (new == 0).float().mean().item() == pytest.approx(0.2, abs=0.01)


def test_the_blanked_steps_of_a_sequence_are_one_span():
    new = Augment(1.0).on_batch(torch.ones(100, 50, 2), torch.zeros(100), generator())[0]
    blank = (new == 0).all(2)
    assert int(blank.sum(1).max()) in range(10, 17)
    starts = (blank[:, 1:] & ~blank[:, :-1]).sum(1) + blank[:, 0]
    assert int(starts.max()) == 1


def test_treated_batches_differ_from_step_to_step_and_repeat_with_the_seed():
    model, x, y = nn.Sequential(nn.Linear(30, 2)), BATCHES["table"], torch.arange(12)
    first, second = (Recipe(Augment()).apply(model, example_input=x, seed=4) for _ in range(2))
    runs = [[t.batch(x, y)[0] for _ in range(3)] for t in (first, second)]
    assert not torch.equal(runs[0][0], runs[0][1])
    assert all(torch.equal(a, b) for a, b in zip(*runs, strict=True))


@pytest.mark.parametrize("x", [torch.arange(6).reshape(2, 3), torch.rand(3), "text"])
def test_a_batch_of_another_kind_is_refused(x):
    with pytest.raises(BadInput, match="Augment needs a batch of floating-point"):
        Augment().on_batch(x, torch.zeros(2), generator())


def test_numbers_of_words_are_refused_before_training():
    model = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 2))
    with pytest.raises(NotApplicable, match="0 is an Embedding"):
        Recipe(Augment()).apply(model, example_input=torch.arange(4))


def test_arguments_out_of_range_are_refused():
    with pytest.raises(ThresholdError, match="strength"):
        Augment(0.0)
    with pytest.raises(BadInput, match="Unknown kind of data 'video'"):
        Augment(kind="video")


def geometry(x, **given):
    """Move images by what is given alone."""
    rows = len(x)
    plain = {"angle": torch.zeros(rows), "zoom": torch.ones(rows), "shift": torch.zeros(rows, 2)}
    return move_images(x, **{**plain, "mirror": torch.zeros(rows, dtype=torch.bool), **given})


SMOOTH = torch.nn.functional.interpolate(
    torch.rand(5, 2, 4, 5, generator=generator()), size=(12, 17), mode="bilinear"
)
GEOMETRY = {
    "turned": (
        {"angle": torch.linspace(-0.5, 0.5, 5)},
        lambda k: k.rotate(SMOOTH, torch.linspace(0.5, -0.5, 5).rad2deg(), padding_mode="border"),
    ),
    "shifted": (
        {"shift": torch.tensor([[2.0, -1.5]]).repeat(5, 1)},
        lambda k: k.translate(
            SMOOTH, torch.tensor([[2.0, -1.5]]).repeat(5, 1), padding_mode="border"
        ),
    ),
    "zoomed": (
        {"zoom": torch.linspace(0.8, 1.2, 5)},
        lambda k: k.scale(
            SMOOTH, torch.linspace(0.8, 1.2, 5)[:, None].repeat(1, 2), padding_mode="border"
        ),
    ),
    "mirrored": ({"mirror": torch.ones(5, dtype=torch.bool)}, lambda k: k.hflip(SMOOTH)),
}


@pytest.mark.parametrize("case", GEOMETRY)
def test_images_move_as_kornia_moves_them(case):
    given, oracle = GEOMETRY[case]
    expected = oracle(importlib.import_module("kornia.geometry.transform"))
    torch.testing.assert_close(geometry(SMOOTH, **given), expected, rtol=0, atol=1e-4)
    assert not torch.allclose(expected, SMOOTH, atol=0.01)


def test_a_rectangle_is_erased_as_kornia_erases_it():
    augmentation = importlib.import_module("kornia.augmentation")
    corner, sides = torch.tensor([[3.0, 2.0], [0.0, 0.0]]), torch.tensor([[4.0, 5.0], [17.0, 1.0]])
    x, value = SMOOTH[:2], torch.full((2, 1, 1, 1), 0.5)
    oracle = augmentation.RandomErasing(p=1.0)
    params = {
        "xs": corner[:, 0],
        "ys": corner[:, 1],
        "widths": sides[:, 0],
        "heights": sides[:, 1],
        "values": torch.full((2,), 0.5),
    }
    expected = oracle.apply_transform(x, params, {}, None)
    torch.testing.assert_close(erase(x, corner, sides, value), expected)


def test_time_is_warped_as_numpy_interpolates_and_never_runs_backwards():
    steps, rows = 40, 6
    speed = 0.5 + torch.rand(rows, 4, generator=generator())
    ramp = torch.arange(steps, dtype=torch.float64).expand(rows, steps)[:, :, None]
    place = warp_time(ramp, speed)[:, :, 0]
    assert place[:, 0].tolist() == [0.0] * rows
    torch.testing.assert_close(place[:, -1], torch.full((rows,), steps - 1.0, dtype=torch.float64))
    assert bool((place.diff() > 0.2).all())
    assert (place - ramp[:, :, 0]).abs().max() > 1
    x = torch.randn(rows, steps, 3, dtype=torch.float64, generator=generator())
    warped = warp_time(x, speed)
    for row in range(rows):
        for feature in range(3):
            oracle = np.interp(place[row], np.arange(steps), x[row, :, feature])
            assert np.allclose(warped[row, :, feature], oracle, atol=1e-5)


def test_an_even_speed_and_a_single_step_leave_time_as_it_is():
    x = torch.randn(3, 9, 2, generator=generator())
    torch.testing.assert_close(warp_time(x, torch.full((3, 4), 1.3)), x)
    assert warp_time(x[:, :1], torch.rand(3, 4)) is not None
    torch.testing.assert_close(warp_time(x[:, :1], torch.rand(3, 4)), x[:, :1])


def test_a_masked_entry_of_a_table_is_that_of_another_row():
    x = torch.arange(40.0).view(8, 5) * 1000
    new = Augment(1.0, kind="table").on_batch(x, torch.zeros(8), generator())[0]
    kept = (new - x).abs() < x.std(dim=0) * 0.5
    masked = new[~kept]
    assert 0 < len(masked) < 15
    for column in range(5):
        assert set(new[~kept[:, column], column].tolist()) <= set(x[:, column].tolist())


def test_signals_are_sequences_with_channels_first():
    x, y = torch.randn(6, 3, 20, generator=generator()), torch.zeros(6)
    new = Augment(0.8, kind="signal").on_batch(x, y, generator(2))[0]
    turned = Augment(0.8, kind="sequence").on_batch(x.transpose(1, 2), y, generator(2))[0]
    assert torch.equal(new, turned.transpose(1, 2))
