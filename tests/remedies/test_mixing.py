"""Mixup and CutMix mix rows and losses by one share, whatever the loss."""

import numpy as np
import pytest
import torch
from scipy.stats import kstest
from torch import Generator, nn
from torch.nn import functional as F

from fitwell.errors import BadInput, NotApplicable, ThresholdError
from fitwell.interfaces import Mixed
from fitwell.recipe import Recipe
from fitwell.remedies import Augment, CutMix, LabelSmoothing, Mixup
from fitwell.remedies.mixup import drawn_share
from fitwell.testing import RemedyContract


class TestMixup(RemedyContract):
    def make_remedy(self):
        return Mixup(0.4)

    def make_stack(self):
        return [Mixup(alpha) for alpha in (0.05, 0.4, 7.0)]

    def make_untreatable(self):
        return nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 2)), torch.arange(4)


class TestCutMix(RemedyContract):
    def make_remedy(self):
        return CutMix()

    def make_stack(self):
        return [CutMix(alpha) for alpha in (0.05, 1.0, 7.0)]

    def make_untreatable(self):
        return nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 2)), torch.arange(4)


def generator(seed=0):
    return Generator().manual_seed(seed)


SHAPES = {"image": (12, 3, 9, 7), "sequence": (12, 20, 3), "table": (12, 30)}
every_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=list(SHAPES))


@every_shape
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_mixup_is_a_straight_line_between_two_rows(shape, dtype):
    x, y = torch.randn(shape, generator=generator()).to(dtype), torch.arange(12)
    new, mixed = Mixup(1.0).on_batch(x, y, generator(1))
    assert (new.dtype, new.shape) == (dtype, shape)
    assert mixed.first is y
    assert mixed.share.shape == ()
    assert 0.05 < mixed.share < 0.95
    expected = mixed.share * x + (1 - mixed.share) * x[mixed.second]  # y numbers the rows
    assert torch.equal(new, expected)
    assert sorted(mixed.second.tolist()) == list(range(12))


@every_shape
def test_cutmix_takes_a_part_of_its_share_from_another_row(shape):
    x, y = torch.randn(shape, generator=generator()), torch.arange(12)
    for seed in range(30):
        new, mixed = CutMix().on_batch(x, y, generator(seed))
        other = x[mixed.second]
        kept, taken = (new == x), (new == other)
        assert bool((kept | taken).all())
        moved = mixed.second != y
        cut = (~kept)[moved].any(dim=0)  # the same part in every row that has another one
        assert torch.equal((~kept)[moved], cut.expand(int(moved.sum()), *shape[1:]))
        assert mixed.share.item() == pytest.approx(1 - cut.float().mean().item(), abs=1e-6)


def test_the_part_of_an_image_is_a_rectangle_over_all_channels():
    x, y = torch.randn(4, 2, 16, 12, generator=generator()), torch.arange(4)
    sizes = []
    for seed in range(60):
        new, _ = CutMix().on_batch(x, y, generator(seed))
        cut = (new != x).any(dim=0)
        assert torch.equal(cut[0], cut[1])
        rows, columns = cut[0].any(1).nonzero().flatten(), cut[0].any(0).nonzero().flatten()
        assert int(cut[0].sum()) == len(rows) * len(columns)
        for found in (rows, columns):
            assert found.diff().eq(1).all()
        sizes.append(cut[0].float().mean().item())
    assert min(sizes) < 0.1
    assert max(sizes) > 0.6


@pytest.mark.parametrize(("kind", "axis"), [("sequence", 1), ("signal", 2)])
def test_the_part_of_a_sequence_is_a_span_of_steps_over_all_features(kind, axis):
    x, y = torch.randn(6, 15, 15, generator=generator()), torch.arange(6)
    for seed in range(20):
        new, _ = CutMix(kind=kind).on_batch(x, y, generator(seed))
        steps = (new != x).any(dim=0).movedim(axis - 1, 0)
        assert torch.equal(steps.any(1), steps.all(1))
        assert steps.any(1).nonzero().flatten().diff().eq(1).all()


@pytest.mark.parametrize("alpha", [0.05, 0.2, 1.0, 5.0])
def test_the_share_has_the_mean_and_variance_of_the_beta_distribution(alpha):
    x, g = torch.zeros(2, 2, dtype=torch.float64), generator()
    drawn = [Mixup(alpha).on_batch(x, torch.zeros(2), g)[1].share for _ in range(3000)]
    shares = torch.stack(drawn)
    assert shares.isfinite().all()
    assert shares.mean().item() == pytest.approx(0.5, abs=0.03)
    assert shares.var().item() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.1)


LOSSES = {
    "cross_entropy": (F.cross_entropy, torch.arange(12) % 3),
    "module": (nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 3.0])), torch.arange(12) % 3),
    "nll": (lambda out, y: F.nll_loss(out.log_softmax(1), y), torch.arange(12) % 3),
    "bce": (F.binary_cross_entropy_with_logits, (torch.arange(36) % 2).float().view(12, 3)),
    "mse": (F.mse_loss, F.one_hot(torch.arange(12) % 3, 3).float()),
    "soft": (F.cross_entropy, torch.rand(12, 3, generator=generator()).softmax(1)),
}


@pytest.mark.parametrize("remedy", [Mixup(1.0), CutMix()], ids=str)
@pytest.mark.parametrize("loss", LOSSES)
def test_the_loss_is_the_mixture_of_both_losses_exactly(remedy, loss):
    loss_fn, y = LOSSES[loss]
    model, x = nn.Sequential(nn.Linear(6, 3)), torch.randn(12, 6, generator=generator())
    treated = Recipe(remedy).apply(model, example_input=x, seed=2)
    a, targets = treated.batch(x, y)
    assert isinstance(targets, Mixed)
    out, share = treated.model(a), targets.share
    expected = share * loss_fn(out, y) + (1 - share) * loss_fn(out, targets.second)
    assert torch.equal(treated.loss(loss_fn)(out, targets), expected)
    with torch.no_grad():
        assert torch.equal(treated.loss(loss_fn)(out, targets), expected)
        assert torch.equal(treated.loss(loss_fn)(out, y), loss_fn(out, y))


def test_mixed_class_numbers_cost_what_soft_labels_cost():
    x, y = torch.randn(12, 6, generator=generator()), torch.arange(12) % 3
    _, targets = Mixup(1.0).on_batch(x, y, generator(3))
    treated = Recipe(Mixup(1.0)).apply(nn.Sequential(nn.Linear(6, 3)), example_input=x)
    out = treated.model(x)
    soft = targets.share * F.one_hot(y, 3) + (1 - targets.share) * F.one_hot(targets.second, 3)
    ours = treated.loss(F.cross_entropy)(out, targets)
    torch.testing.assert_close(ours, F.cross_entropy(out, soft))


def test_smoothed_labels_are_mixed_after_they_are_smoothed():
    x, y = torch.randn(12, 6, generator=generator()), torch.arange(12) % 3
    recipe = Recipe(Mixup(1.0), LabelSmoothing(0.2))
    with pytest.warns(UserWarning, match="soft twice"):
        treated = recipe.apply(nn.Sequential(nn.Linear(6, 3)), example_input=x, seed=1)
    a, targets = treated.batch(x, y)
    out, share = treated.model(a), targets.share
    first, second = (F.cross_entropy(out, t, label_smoothing=0.2) for t in targets[:2])
    torch.testing.assert_close(
        treated.loss(F.cross_entropy)(out, targets), share * first + (1 - share) * second
    )


def test_targets_for_every_position_are_mixed_like_others():
    model = nn.Sequential(nn.Conv2d(1, 3, 1))
    x, y = torch.randn(4, 1, 5, 5, generator=generator()), torch.arange(100).view(4, 5, 5) % 3
    treated = Recipe(Mixup(1.0)).apply(model, example_input=x)
    a, targets = treated.batch(x, y)
    assert targets.second.shape == y.shape
    assert treated.loss(F.cross_entropy)(treated.model(a), targets).isfinite()


def test_augmented_rows_are_mixed_and_the_original_batch_stays():
    x, y = torch.randn(12, 6, generator=generator()), torch.arange(12) % 3
    kept = x.clone()
    treated = Recipe(Mixup(), Augment(kind="table")).apply(
        nn.Sequential(nn.Linear(6, 3)), example_input=x
    )
    treated.batch(x, y)
    assert torch.equal(x, kept)
    assert str(treated.recipe) == "augment(kind=table)+mixup()"


@pytest.mark.parametrize("remedy", [Mixup(), CutMix()], ids=str)
def test_a_loop_that_never_used_the_treated_loss_is_told(remedy):
    x, y = torch.randn(12, 6), torch.arange(12)
    treated = Recipe(remedy).apply(nn.Sequential(nn.Linear(6, 3)), example_input=x)
    assert treated.unused() == ("batch", "loss")
    treated.batch(x, y)
    with pytest.warns(UserWarning, match=r"never used treated.loss\(\)"):
        treated.finish()


@pytest.mark.parametrize("remedy", [Mixup(), CutMix()], ids=str)
@pytest.mark.parametrize(
    ("x", "y", "said"),
    [
        (torch.arange(6).view(2, 3), torch.zeros(2), "floating-point rows"),
        ({"ids": torch.zeros(2, 3)}, torch.zeros(2), "floating-point rows.*: got dict"),
        (torch.zeros(2, 3), torch.zeros(3), "a row for each of the 2 inputs"),
        (torch.zeros(2, 3), {"y": torch.zeros(2)}, "targets as one tensor"),
        (torch.zeros(2, 3), Mixed(*torch.zeros(3)), "got Mixed"),
    ],
)
def test_a_batch_that_cannot_be_mixed_is_refused(remedy, x, y, said):
    with pytest.raises(BadInput, match=f"{type(remedy).__name__} needs .*{said}"):
        remedy.on_batch(x, y, generator())


def test_a_batch_of_another_kind_is_not_cut():
    with pytest.raises(BadInput, match="for kind 'image'"):
        CutMix(kind="image").on_batch(torch.zeros(2, 3), torch.zeros(2), generator())
    with pytest.raises(NotApplicable, match="CutMix changes images"):
        Recipe(CutMix(kind="image")).apply(
            nn.Sequential(nn.Linear(3, 2)), example_input=torch.zeros(2, 3)
        )


class Keyed(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(3, 2)

    def forward(self, values, mask=None):
        return self.body(values if mask is None else values * mask)


class OneHot(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(5, 2)

    def forward(self, ids):
        return self.body(F.one_hot(ids, 5).float().mean(1))


class Bert(nn.Module):
    """Reads numbers of words by keyword, as language models do."""

    def __init__(self):
        super().__init__()
        self.words, self.out = nn.Embedding(9, 4), nn.Linear(4, 2)

    def forward(self, input_ids, attention_mask):
        return self.out((self.words(input_ids) * attention_mask[..., None]).mean(1))


IDS = torch.tensor([[1, 2, 3], [4, 0, 0]])
UNSUITED = {
    "embedding": (nn.Sequential(nn.Embedding(5, 3), nn.Flatten(), nn.Linear(9, 2)), IDS, "an Emb"),
    "one_hot": (OneHot(), IDS, "whole numbers"),
    "keywords": (Bert(), {"input_ids": IDS, "attention_mask": IDS.clamp(max=1)}, "an Embedding"),
    "one keyword": (Keyed(), {"values": torch.zeros(2, 3)}, "called by keyword, with values"),
    "two tensors": (Keyed(), (torch.zeros(2, 3), torch.ones(2, 3)), "are one tensor"),
}


@pytest.mark.parametrize("remedy", [Augment(), Mixup(), CutMix()], ids=str)
@pytest.mark.parametrize("case", UNSUITED)
def test_a_network_that_reads_no_single_tensor_of_numbers_is_refused_before_training(remedy, case):
    model, example, said = UNSUITED[case]
    with pytest.raises(NotApplicable, match=said):
        Recipe(remedy).apply(model, example_input=example)


@pytest.mark.parametrize("remedy", [Augment, CutMix])
def test_a_network_that_reads_channels_first_must_be_told(remedy):
    model, x = (
        nn.Sequential(nn.Conv1d(2, 4, 3), nn.Flatten(), nn.Linear(24, 2)),
        torch.zeros(3, 2, 8),
    )
    with pytest.raises(NotApplicable, match='write kind="signal"'):
        Recipe(remedy()).apply(model, example_input=x)
    Recipe(remedy(kind="signal")).apply(model, example_input=x)
    Recipe(Mixup()).apply(model, example_input=x)


def test_arguments_out_of_range_are_refused():
    for remedy in (Mixup, CutMix):
        with pytest.raises(ThresholdError, match="alpha"):
            remedy(0.0)
    with pytest.raises(BadInput, match="Unknown kind of data 'bag'"):
        CutMix(kind="bag")


def test_a_small_alpha_mixes_little_and_shares_follow_their_distribution():
    generator = torch.Generator().manual_seed(0)
    small = torch.stack([drawn_share(1e-3, generator) for _ in range(500)])
    assert ((small > 0.01) & (small < 0.99)).double().mean() < 0.03
    assert 0.4 < small.mean() < 0.6
    for alpha in (0.2, 1.0, 5.0):
        shares = np.array([float(drawn_share(alpha, generator)) for _ in range(1000)])
        assert kstest(shares, "beta", (alpha, alpha)).pvalue > 0.01


def test_two_remedies_that_mix_rows_are_refused():
    with pytest.raises(BadInput, match="Mixup and CutMix both mix the rows"):
        Recipe(Mixup(), CutMix())
