"""What a script finds when it imports Keras, or TensorFlow for the sake of Keras."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any, final

from fitwell.errors import ScriptRefused

BACKEND = "torch"

_LIBRARIES = (str(Path(importlib.__file__).parent.parent), str(Path(__file__).parent.parent))
"""Folders whose imports are not those of the program: the standard library, and this package."""


@contextmanager
def keras_answered(loaded: Callable[[], Any], say: Callable[[str], None]) -> Iterator[None]:
    """Have Keras run on torch, and answer ``tensorflow.keras`` by it, in this process.

    Args:
        loaded: Called once Keras has been imported; it returns what answers older names, an
            object with ``answer(name)`` that gives a module or None.
        say: Tells the user one line.
    """
    finder = _Finder(loaded, say)
    before = set(sys.modules)
    sys.meta_path.insert(0, finder)
    if "keras" in sys.modules:
        finder.keras_loaded()
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in set(sys.modules) - before:
            if isinstance(getattr(sys.modules[name], "__loader__", None), _Answering):
                del sys.modules[name]


@final
class _Finder(MetaPathFinder):
    """Stands before all other finders; what is not Keras or TensorFlow is left to them."""

    def __init__(self, loaded: Callable[[], Any], say: Callable[[str], None]) -> None:
        self._loaded, self._say = loaded, say
        self._answers: Any = None
        self._said: set[str] = set()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return what answers a name, or None."""
        root = fullname.partition(".")[0]
        if fullname == "keras":
            return self._keras(path)
        if root not in ("keras", "tensorflow") or not _asked_by_the_program():
            return None
        if root == "tensorflow":
            if "keras" not in sys.modules:
                importlib.import_module("keras")
            self.say("tensorflow.keras is answered by Keras {} on torch.")
        if self._answers is None:
            return None
        module = self._answers.answer(fullname)
        if module is None:
            return None
        if root == "keras":
            self.say("older names of Keras are answered by Keras {} on torch.")
        return ModuleSpec(fullname, _Answering(module), is_package=True)

    def say(self, text: str) -> None:
        """Tell a line, once; the version of Keras stands in for the braces."""
        if not self._said:
            self._said.add(text)
            self._say(text.format(sys.modules["keras"].__version__))

    def _keras(self, path: Sequence[str] | None) -> ModuleSpec | None:
        spec = PathFinder.find_spec("keras", path)
        if (spec is None or spec.loader is None) and not _asked_by_the_program():
            return None
        if spec is None or spec.loader is None:
            raise ScriptRefused(
                "The script needs keras, which is not installed: pip install 'fitwell[keras]'"
            )
        asked = os.environ.get("KERAS_BACKEND", BACKEND)
        if asked != BACKEND:
            self._say(f"the Keras backend {asked} is answered by torch.")
        os.environ["KERAS_BACKEND"] = BACKEND
        spec.loader = _Then(spec.loader, self.keras_loaded)
        return spec

    def keras_loaded(self) -> None:
        """Begin to listen to Keras."""
        self._answers = self._loaded()


def _asked_by_the_program() -> bool:
    """Whether the import stands in the user's own code: libraries look for TensorFlow too."""
    frame = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if file != __file__ and not file.startswith("<frozen importlib"):
            return not file.startswith(_LIBRARIES) and "site-packages" not in Path(file).parts
        frame = frame.f_back  # type: ignore[assignment]  # the loop ends where it is None
    return False


@final
class _Then(Loader):
    """Loads a module as another loader does, and calls back."""

    def __init__(self, loader: Any, then: Callable[[], None]) -> None:
        self._loader, self._then = loader, then

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Create it as the other loader does."""
        made: ModuleType | None = self._loader.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        """Run it, then call back."""
        self._loader.exec_module(module)
        self._then()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)


@final
class _Answering(Loader):
    """Hands out a module that is there already."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the module."""
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: it has run."""
