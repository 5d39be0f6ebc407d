from __future__ import annotations

from contextlib import contextmanager
from functools import partial

import pytest
import torch
from torch import nn
from torch.optim import SGD

from fitwell.recipe import Recipe
from fitwell.records import RemedySpec
from fitwell.remedies import (
    Dropout,
    EarlyStopping,
    LearningRate,
    Mixup,
    PercentileClip,
    WeightAverage,
)
from fitwell.studies import train
from fitwell.studies.job import Job
from fitwell.studies.training import batches, chance, evaluate, fit, without_test
from fitwell.tasks import Data, Split, Task


def test_a_plain_loop_gives_the_same_scores(task):
    """The oracle: the loop as anybody would write it."""
    torch.manual_seed(5)
    model = task.make_model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    order = torch.Generator().manual_seed(5)
    data, seen = task.data, []
    for _ in range(3):
        model.train()
        for chosen in torch.randperm(40, generator=order).tensor_split(2):
            loss = nn.functional.cross_entropy(model(data.train.x[chosen]), data.train.y[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        outputs = model(data.validation.x)
        accuracy = (outputs.argmax(1) == data.validation.y).double().mean().item()
        validation_loss = nn.functional.cross_entropy(outputs, data.validation.y).item()
        tested = (model(data.test.x).argmax(1) == data.test.y).double().mean().item()
        seen.append((accuracy, -validation_loss, tested))
    rows, top = len(data.validation), max(seen)[0]
    noise = (max(top * (1 - top), (1 - 1 / rows) / rows) / rows) ** 0.5
    best = max((s for s in seen if s[0] >= top - noise), key=lambda s: s[1])
    run = train(task, Recipe(), seed=5, test=True)
    assert run.curves.validation_metric == pytest.approx([accuracy for accuracy, _, _ in seen])
    assert run.curves.validation_loss == pytest.approx([-loss for _, loss, _ in seen], rel=1e-5)
    assert run.best_epoch == seen.index(best)
    assert (run.validation.metric, run.validation.loss) == pytest.approx((best[0], -best[1]))
    assert run.test is not None
    assert run.test.metric == pytest.approx(best[2])


def test_the_same_job_gives_the_same_run_whatever_ran_before(task):
    first = fit(task, Job((), 3, test=True))
    torch.rand(17)
    again = fit(task, Job((), 3, test=True))
    assert first.run.curves == again.run.curves
    for a, b in zip(first.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_the_callers_random_state_and_threads_stay_as_they_were(task):
    torch.manual_seed(1)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    train(task, Recipe(Dropout()), seed=0)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads


def test_the_test_rows_are_read_only_when_asked_for(task):
    assert train(task, Recipe(), seed=0).test is None
    assert train(task, Recipe(), seed=0, test=True).test is not None


def test_a_task_without_test_rows_trains_the_same(task):
    blind = without_test(task)
    assert len(blind.data.test) == 0
    assert len(task.data.test) == 50
    assert train(blind, Recipe(), seed=0).curves == train(task, Recipe(), seed=0).curves


def test_arms_share_initial_weights_and_order_of_the_data(task):
    batches_seen: dict[str, list[torch.Tensor]] = {"": [], "dropout": []}
    weights: dict[str, torch.Tensor] = {}

    for arm, recipe in (("", Recipe()), ("dropout", Recipe(Dropout(0.5)))):

        @contextmanager
        def record(model, optimizer, arm=arm):
            weights[arm] = next(model.parameters()).detach().clone()
            handle = model.register_forward_pre_hook(
                lambda m, args: batches_seen[arm].append(args[0]) if m.training else None
            )
            yield lambda **numbers: None
            handle.remove()

        train(task, recipe, seed=2, observer=record)
    assert torch.equal(weights[""], weights["dropout"])
    for a, b in zip(*batches_seen.values(), strict=True):
        assert torch.equal(a, b)


def test_the_rate_multiplies_the_learning_rate(task):
    seen = []

    @contextmanager
    def record(model, optimizer):
        seen.append(optimizer.param_groups[0]["lr"])
        yield lambda **numbers: None

    train(task, Recipe(), seed=0, rate=3.0, observer=record)
    assert seen == [pytest.approx(3e-3)]


def test_early_stopping_ends_the_run(make_task):
    task = make_task(epochs=40, optimizer=partial(SGD, lr=1e-12))
    run = train(task, Recipe(EarlyStopping(patience=2, min_delta=0.1)), seed=0)
    assert run.epochs == 3


def test_averaged_weights_are_evaluated_and_kept(make_task):
    """The oracle: torch's own average beside a plain loop."""
    task = make_task(optimizer=partial(SGD, lr=0.5))
    torch.manual_seed(5)
    model = task.make_model()
    averaged = torch.optim.swa_utils.AveragedModel(model)
    optimizer = SGD(model.parameters(), lr=0.5)
    order = torch.Generator().manual_seed(5)
    data, seen = task.data, []
    for _ in range(3):
        for chosen in torch.randperm(40, generator=order).tensor_split(2):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(data.train.x[chosen]), data.train.y[chosen])
            loss.backward()
            optimizer.step()
            averaged.update_parameters(model)
        with torch.no_grad():
            held_out = averaged(data.validation.x)
        seen.append(nn.functional.cross_entropy(held_out, data.validation.y).item())
    done = fit(task, Job((RemedySpec("WeightAverage", {"kind": "swa"}),), 5))
    assert done.run.curves.validation_loss == pytest.approx(seen, rel=1e-4)
    kept = nn.functional.cross_entropy(done.model(data.validation.x), data.validation.y)
    assert kept.item() == pytest.approx(done.run.validation.loss, rel=1e-5)


def test_the_rate_is_moved_at_every_step(make_task):
    """Of 3 epochs of 2 batches, only the last step has the whole rate of a warm-up over 6."""
    rates = []

    class Noted(SGD):
        def step(self, closure=None):
            rates.append(self.param_groups[0]["lr"])
            return super().step(closure)

    task = make_task(optimizer=partial(Noted, lr=0.6))
    run = train(task, Recipe(LearningRate(warmup=6)), seed=0)
    assert rates == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    assert run.took_effect == (
        "LearningRate moved the learning rate in 6 steps, to 1 times its value",
    )


def test_mixed_batches_and_clips_with_a_memory_train_in_a_study(task):
    recipe = Recipe(Mixup(), PercentileClip(50.0), WeightAverage(decay=0.9))
    run = train(task, recipe, seed=0)
    assert run.took_effect[0] == "Mixup changed 6 batches"
    assert run.curves == train(task, recipe, seed=0).curves


def test_a_run_that_diverges_is_scored_by_its_best_epoch_before(task):
    losses = iter([1.0] * 4 + [float("nan")] * 100)

    def breaking(outputs, targets):
        loss = nn.functional.cross_entropy(outputs, targets)
        return loss * next(losses) if outputs.requires_grad else loss

    task = Task("breaks", task.make_model, task.data, breaking, "accuracy", epochs=9)
    run = train(task, Recipe(), seed=0, test=True)
    assert run.diverged
    assert run.epochs == 3
    assert run.best_epoch in (0, 1)
    assert run.validation.metric == run.curves.validation_metric[run.best_epoch]


def test_a_run_that_diverges_at_once_is_scored_as_chance(make_task):
    task = make_task(epochs=5, optimizer=partial(SGD, lr=1e30))
    run = train(task, Recipe(), seed=0, test=True)
    assert run.diverged
    share = task.data.train.y.double().mean().item()
    common = int(share > 0.5)
    assert run.test is not None
    assert run.test.metric == (task.data.test.y == common).double().mean().item()
    assert run.test.loss < 1.0


def test_chance_of_numbers_is_their_mean():
    y = torch.tensor([[1.0], [3.0]])
    split = Split(torch.zeros(2, 4), y)
    data = Data(split, split, split, "table")
    task = Task("numbers", partial(nn.Linear, 4, 1), data, "mse", "mae")
    score = chance(task, split)
    assert (score.metric, score.loss) == (1.0, 1.0)


def test_evaluation_is_in_evaluation_mode_and_leaves_training_mode(task):
    model = nn.Sequential(task.make_model(), nn.Dropout(0.9))
    model.train()
    first = evaluate(task, model, task.data.test)
    assert first == evaluate(task, model, task.data.test)
    assert model.training


@pytest.mark.parametrize(("count", "size"), [(40, 32), (33, 32), (32, 32), (7, 100), (1, 1)])
def test_every_row_is_in_one_batch_and_no_batch_is_above_the_size(count, size):
    parts = batches(count, size, torch.Generator().manual_seed(0))
    assert sorted(torch.cat(parts).tolist()) == list(range(count))
    assert max(map(len, parts)) <= size
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_jobs_that_differ_only_in_the_name_of_the_arm_have_one_key():
    spec = RemedySpec("Dropout", {"rate": 0.5})
    assert Job((spec,), 1, arm="a").key == Job((spec,), 1, arm="b").key
    others = [
        Job((spec,), 2),
        Job((spec,), 1, 3.0),
        Job((spec,), 1, test=True),
        Job((spec,), 1, epochs=2),
        Job((), 1),
        Job((RemedySpec("Dropout", {"rate": 0.4}),), 1),
    ]
    keys = {job.key for job in others}
    assert len(keys) == len(others)
    assert Job((spec,), 1).key not in keys


def test_curves_have_one_point_an_epoch_on_as_many_training_as_validation_rows(task):
    few = Split(task.data.test.x[:10], task.data.test.y[:10])
    data = Data(task.data.train, few, few, "table")
    task = Task("few", task.make_model, data, "cross_entropy", "accuracy", epochs=2)
    run = train(task, Recipe(), seed=0)
    assert [len(c) for c in vars(run.curves).values()] == [2, 2, 2, 2]
    assert all(abs(10 * m - round(10 * m)) < 1e-9 for m in run.curves.train_metric)


def test_training_rows_alone_are_measured_for_the_scale_of_the_inputs(task):
    x = task.data.train.x
    far = Split(x * 50 + 7, task.data.train.y)
    data = Data(far, task.data.validation, task.data.test, "table", task.data.classes)
    scaled = Task("far", task.make_model, data, "cross_entropy", "accuracy", epochs=2)
    fitted = fit(scaled, Job((RemedySpec("ScaleInputs"),), 1))
    assert torch.allclose(fitted.model[0].scale.mean, far.x.mean(0), rtol=1e-4)
    assert torch.allclose(fitted.model[0].scale.deviation, far.x.std(0, correction=0), rtol=1e-4)


def sized(width=8):
    return nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 2))


def test_a_smaller_network_comes_from_the_tasks_factory(task):
    smaller = Task("sized", sized, task.data, "cross_entropy", "accuracy", epochs=2)
    job = Job((RemedySpec("Shrink", {"width": 0.25}),), 1)
    fitted = fit(smaller, job)
    assert repr(fitted.model.train()) == repr(sized(2))
    assert fitted.run.parameters == 4 * 2 + 2 + 2 * 2 + 2
    assert fit(smaller, job).run.curves == fitted.run.curves
