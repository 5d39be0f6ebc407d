"""A user's file, patched; and the patched class held against the treated network."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

from fitwell import Recipe, anatomy
from fitwell.patch import Patch, patch


class Workplace:
    """A folder with user's files in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._loaded: list[str] = []

    def file(self, text: str | bytes, name: str = "") -> Path:
        path = self.folder / (name or f"net_{uuid.uuid4().hex}.py")
        path.write_bytes(text if isinstance(text, bytes) else dedent(text).encode())
        self._loaded.append(path.stem)
        return path

    def patch(
        self, text: str | bytes | Path, recipe: str, qualname: str = "Net", **kw: Any
    ) -> Patch:
        path = text if isinstance(text, Path) else self.file(text)
        return patch(path, qualname, Recipe.from_text(recipe), **kw)

    def module(self, data: bytes) -> ModuleType:
        name = f"net_{uuid.uuid4().hex}"
        module = ModuleType(name)
        sys.modules[name] = module
        self._loaded.append(name)
        exec(compile(data, name, "exec"), vars(module))
        return module

    def network(self, data: bytes, model: str) -> nn.Module:
        torch.manual_seed(0)
        made: nn.Module = eval(model, vars(self.module(data)))
        return made

    def same_as_treated(
        self, made: Patch, recipe: str, example: Any = None, model: str = "Net()"
    ) -> None:
        """Assert that the patched class and the treated network exchange their weights."""
        before, after = self.network(made.before, model), self.network(made.after, model)
        example = anatomy.example_for(before) if example is None else example
        treated = Recipe.from_text(recipe).apply(before, example_input=example).model
        ours, theirs = treated.state_dict(), after.state_dict()
        assert {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in theirs.items()}
        after.load_state_dict(ours, strict=True)
        if isinstance(example, torch.Tensor) and example.is_floating_point():
            example = torch.randn(example.shape, generator=torch.Generator().manual_seed(1)).to(
                example
            )
        for training in (False, True):
            outputs = []
            for network in (treated, after):
                network.train(training)
                torch.manual_seed(0)
                outputs.append(list(anatomy.tensors_in(anatomy.run(network, example))))
            for one, other in zip(*outputs, strict=True):
                torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)

    def forget(self) -> None:
        for name in self._loaded:
            sys.modules.pop(name, None)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workplace]:
    monkeypatch.chdir(tmp_path)
    found = Workplace(tmp_path)
    yield found
    found.forget()


@pytest.fixture
def applied(tmp_path: Path) -> Callable[[Patch], bytes]:
    """Return what ``git apply`` makes of the file of a patch."""

    def run(made: Patch) -> bytes:
        diff = tmp_path / "change.diff"
        diff.write_bytes(made.diff_bytes)
        subprocess.run(["git", "apply", "--whitespace=nowarn", str(diff)], cwd=tmp_path, check=True)
        return Path(made.file).read_bytes()

    return run
