"""Augmentation changes the batch, not the targets, and only by the random numbers it is given."""

import time

import pytest
import torch
from torch import Generator, nn

from fitwell.errors import BadInput, NotApplicable, ThresholdError
from fitwell.recipe import Recipe
from fitwell.remedies import Augment
from fitwell.testing import RemedyContract


class TestAugmentTable(RemedyContract):
    def make_remedy(self):
        return Augment(0.7)

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


def test_a_batch_of_50_small_images_costs_a_few_milliseconds():
    x, y, g = torch.rand(50, 1, 28, 28), torch.zeros(50), generator()
    Augment().on_batch(x, y, g)
    times = []
    for _ in range(20):
        start = time.perf_counter()
        Augment().on_batch(x, y, g)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.02


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
