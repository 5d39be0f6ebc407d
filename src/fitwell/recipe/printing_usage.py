"""How printed code is used: a comment that shows its functions in a training loop."""

from __future__ import annotations

from collections.abc import Collection


def usage_of(acts: Collection[str], seed: int, arguments: Collection[str] = ()) -> str:
    """Return a comment with the loop in which the printed functions stand.

    Args:
        acts: Seams at which the recipe acts, with ``"mixes"`` where it mixes rows.
        seed: Seed of what is random in the batches.
        arguments: What ``treat`` takes besides the model.
    """
    lines = [*_before(acts, seed, arguments), *_step(acts), *_after(acts)]
    return "# Use:\n" + "".join(f"#   {line}\n" for line in lines)


def _before(acts: Collection[str], seed: int, arguments: Collection[str]) -> list[str]:
    lines = {
        "": f"model = treat({', '.join(['model', *arguments])})",
        "on_batch": f"generator = Generator(x.device).manual_seed({seed})",
        "remember": "memory = {}  # one for each optimizer",
        "average": "averages, step = {}, 0",
        "rate_factor": "scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, rate_factor)",
        "should_stop": "best = Best(model, should_stop)",
    }
    return [line for seam, line in lines.items() if not seam or seam in acts]


def _step(acts: Collection[str]) -> list[str]:
    remembers = ", memory" if "remember" in acts else ""
    steps: list[tuple[str, list[str]]] = [
        ("", ["for x, y in batches:"]),
        ("on_batch", ["    x, y = on_batch(x, y, generator)"]),
        ("", ["    outputs = model(x)", *_loss(acts)]),
        ("", ["    optimizer.zero_grad()", "    loss.backward()"]),
        ("on_gradients", [f"    before_step(model{remembers})"]),
        ("", ["    optimizer.step()"]),
        ("after_update", ['    after_step(model, optimizer.param_groups[0]["lr"])']),
        ("average", ["    averages, step = average(averages, model, step), step + 1"]),
        ("rate_factor", ["    scheduler.step()"]),
    ]
    return [line for seam, lines in steps for line in lines if not seam or seam in acts]


def _loss(acts: Collection[str]) -> list[str]:
    if "mixes" not in acts:
        plain = ["    loss = loss_fn(outputs, y)"]
        return [*plain, *["    loss = training_loss(loss, outputs, y)"] * ("on_loss" in acts)]
    if "on_loss" not in acts:
        return ["    loss = mixed_loss(loss_fn, outputs, y)"]
    return [
        "    def smooth(outputs, y):",
        "        return training_loss(loss_fn(outputs, y), outputs, y)",
        "    loss = mixed_loss(smooth, outputs, y)",
    ]


def _after(acts: Collection[str]) -> list[str]:
    note = "stop = best.note(val_loss)"
    if "average" not in acts:
        stops = [f"after each epoch: {note}", "at the end: best.restore()"]
        return stops if "should_stop" in acts else []
    lines = ["to evaluate: with shown(model, averages): ..."]
    if "should_stop" in acts:
        return [*lines, f"in there, after each epoch: {note}", "at the end: best.restore()"]
    return [*lines, "at the end: show(model, averages)"]
