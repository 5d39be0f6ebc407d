"""``treated.py``: the cured network as plain PyTorch, with its weights and a ``predict``."""

from __future__ import annotations

import ast
import inspect
import os
import site
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import FunctionType
from typing import Any

import torch
from torch import nn

from fitwell.modules.ensemble import Ensemble
from fitwell.recipe import Recipe
from fitwell.recipe.printing_treat import FACTORY
from fitwell.studies.training import EXAMPLE_ROWS, reproducible
from fitwell.tasks import Task

_IMPORTS = ("import torch", "from pathlib import Path", "from torch import nn")

_ENSEMBLE_IMPORTS = (
    "import math",
    "from collections.abc import Callable",
    "from collections.abc import Iterable",
    "from typing import Any",
    "from torch import Tensor",
    "from torch.nn import functional as F",
)

_HERE = "HERE = Path(__file__).resolve().parent\n"

_LOAD = '''def load() -> nn.Module:
    """Return the trained network, ready to predict."""
    with torch.random.fork_rng():
        model = treat(make_model(){factory})
    model.load_state_dict(torch.load(HERE / "model.pt", weights_only=True))
    return model.eval()
'''

_LOAD_ENSEMBLE = '''def load_ensemble() -> nn.Module:
    """Return the {networks} networks of the proof as one, which puts out their mean."""
    with torch.random.fork_rng():
        networks = [treat(make_model(){factory}) for _ in range({networks})]
    ensemble = Ensemble(networks, {average})
    ensemble.load_state_dict(torch.load(HERE / "ensemble.pt", weights_only=True))
    return ensemble.eval()
'''

_PREDICT_TABLE = '''@torch.no_grad()
def predict(rows, model: nn.Module | None = None) -> list:
    """Return what the network predicts for rows that it has not seen.

    Args:
        rows: A list of dicts, or a data frame, with the columns of the table; values that are
            missing may be None.
        model: The network that predicts; ``load()`` if None.
    """
    model = model or load()
    preprocess = Preprocess.from_dict(json.loads((HERE / "preprocess.json").read_text("utf-8")))
    return preprocess.named(model(preprocess.transform(rows)))
'''

_PREDICT_CLASSES = '''CLASSES = {classes!r}


@torch.no_grad()
def predict(rows, model: nn.Module | None = None) -> list:
    """Return the class of every row.

    Args:
        rows: Inputs as the network was trained on, shape (rows, {shape}).
        model: The network that predicts; ``load()`` if None.
    """
    model = model or load()
    outputs = model(torch.as_tensor(rows, dtype={dtype}))
    return [CLASSES[number] for number in outputs.argmax(1).tolist()]
'''

_PREDICT_NUMBERS = '''@torch.no_grad()
def predict(rows, model: nn.Module | None = None) -> list:
    """Return what the network puts out for every row.

    Args:
        rows: Inputs as the network was trained on, shape (rows, {shape}).
        model: The network that predicts; ``load()`` if None.
    """
    model = model or load()
    return model(torch.as_tensor(rows, dtype={dtype})).tolist()
'''

_LOADED = """    file = HERE / {place!r}
    spec = importlib.util.spec_from_file_location(file.stem, file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    sys.path.insert(0, str(file.resolve().parent))
    spec.loader.exec_module(module)
"""

_UNKNOWN_FACTORY = '''def make_model() -> nn.Module:
    """Return the untreated network: the function that makes it could not be named here."""
    raise NotImplementedError("Write here how your network is made, as in your task's make_model.")
'''


def treated_source(
    task: Task, recipe: Recipe, *, seed: int, folder: Path, networks: int = 0
) -> str:
    """Return the text of ``treated.py``.

    Args:
        task: What was learned.
        recipe: The proven recipe; empty for the untreated network.
        seed: Seed of the run whose weights are kept.
        folder: Where the file will stand, beside ``model.pt``.
        networks: How many networks ``ensemble.pt`` holds; 0 where there is none.
    """
    with reproducible(seed):
        model = task.make_model()
        example = task.data.train.x[:EXAMPLE_ROWS]
        code = recipe.to_code(model, example_input=example, make_model=task.make_model, seed=seed)
        anew = FACTORY in code
        if anew and _call(task.make_model) is None:
            # Nobody else can call this factory: what it makes of the arguments is written down.
            smaller = Recipe(*(remedy for remedy in recipe if remedy.makes_anew))
            model = smaller.apply(
                model, example_input=example, make_model=task.make_model, seed=seed
            ).model
    factory, imports = _factory(task.make_model, model, folder, anew=anew)
    load = [_LOAD.format(factory=", make_model" if anew else "")]
    if networks:
        given = {"factory": ", make_model" if anew else "", "networks": networks}
        load += [
            inspect.getsource(Ensemble),
            inspect.getsource(task.average),
            _LOAD_ENSEMBLE.format(average=task.average.__name__, **given),
        ]
        imports = [*imports, *_ENSEMBLE_IMPORTS]
    if task.data.preprocess is not None:
        imports = [*imports, "import json", "from fitwell.tasks import Preprocess"]
    return _with_imports(
        code,
        [*_IMPORTS, *imports],
        [_HERE, factory, *load, _predict(task)],
    )


def _predict(task: Task) -> str:
    data = task.data
    if data.preprocess is not None:
        return _PREDICT_TABLE
    shape = ", ".join(map(str, data.train.x.shape[1:]))
    dtype = str(data.train.x.dtype)
    if data.classes and not data.train.y.is_floating_point():
        return _PREDICT_CLASSES.format(classes=data.classes, shape=shape, dtype=dtype)
    return _PREDICT_NUMBERS.format(shape=shape, dtype=dtype)


def _factory(
    make: Callable[[], nn.Module], model: nn.Module, folder: Path, *, anew: bool = False
) -> tuple[str, list[str]]:
    """Return the source of ``make_model`` and the imports that it needs.

    Args:
        make: The factory.
        model: What it makes.
        folder: Where the source will stand.
        anew: Whether ``make_model`` is called with other arguments too.
    """
    called = _call(make)
    if anew and called:
        return _open_factory(*called, folder)
    expression = constructor(model)
    if expression is not None:
        what = (
            "network, as its factory makes it for these arguments" if anew else "untreated network"
        )
        body = f'    """Return the {what}."""\n    return {expression}\n'
        imports = ["from collections import OrderedDict"] if "OrderedDict" in expression else []
        imports += ["from typing import Any"] if anew else []
        return f"def make_model({'**other: Any' if anew else ''}) -> nn.Module:\n{body}", imports
    if called is None:
        return _UNKNOWN_FACTORY, []
    module, name, arguments = called
    file = Path(sys.modules[module].__file__ or "")
    if _installed(file):
        start = name.split(".")[0]
        body = f'    """Return the untreated network."""\n    return {name}({arguments})\n'
        return f"def make_model() -> nn.Module:\n{body}", [f"from {module} import {start}"]
    place = os.path.relpath(file.resolve(), folder.resolve())
    body = (
        f'    """Return the untreated network, made by {file.name}."""\n'
        f"{_LOADED.format(place=place)}"
        f"    return module.{name}({arguments})\n"
    )
    return f"def make_model() -> nn.Module:\n{body}", ["import importlib.util", "import sys"]


def _open_factory(module: str, name: str, arguments: str, folder: Path) -> tuple[str, list[str]]:
    """Return source in which ``make_model`` is the factory itself, and the imports it needs."""
    file = Path(sys.modules[module].__file__ or "")
    start, imports = "", [f"from {module} import {name.split('.')[0]}"]
    if not _installed(file):
        place = os.path.relpath(file.resolve(), folder.resolve())
        start = (
            f'def theirs() -> Any:\n    """Return the module {file.name}."""\n'
            f"{_LOADED.format(place=place)}    return module\n\n\n"
        )
        name = f"theirs().{name}"
        imports = ["import importlib.util", "import sys", "from typing import Any"]
    if arguments:
        name = f"partial({name}, {arguments})"
        imports.append("from functools import partial")
    return f"{start}make_model = {name}\n", imports


def constructor(module: nn.Module, indent: int = 4) -> str | None:
    """Return an expression that makes an equal network, or None if it is no plain stack of layers.

    ``nn.Sequential`` of PyTorch's own layers can be written down; what the expression makes is
    compared with the network, so that it is right or not returned.
    """
    expression = _expression(module, indent)
    if expression is None:
        return None
    names = {"nn": nn, "OrderedDict": __import__("collections").OrderedDict}
    try:
        with torch.random.fork_rng(devices=[]):
            again = eval(expression, names)  # noqa: S307  # text of our own, of layers' reprs
    except (TypeError, ValueError, SyntaxError, NameError, AttributeError):
        return None
    same = repr(again) == repr(module) and _shapes(again) == _shapes(module)
    return expression if same else None


def _expression(module: nn.Module, indent: int) -> str | None:
    if type(module) is nn.Sequential:
        pad = " " * (indent + 4)
        parts = {name: _expression(child, indent + 4) for name, child in module.named_children()}
        if None in parts.values():
            return None
        if list(parts) == [str(number) for number in range(len(parts))]:
            lines = "".join(f"{pad}{part},\n" for part in parts.values())
            return f"nn.Sequential(\n{lines}{' ' * indent})"
        lines = "".join(f"{pad}({name!r}, {part}),\n" for name, part in parts.items())
        return f"nn.Sequential(OrderedDict([\n{lines}{' ' * indent}]))"
    own = getattr(nn, type(module).__name__, None)
    if own is not type(module) or any(True for _ in module.children()):
        return None
    return f"nn.{module!r}"


def _shapes(module: nn.Module) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in module.state_dict().items()}


def _call(make: Callable[..., Any]) -> tuple[str, str, str] | None:
    """Return module, name and arguments of a factory that can be imported, or None."""
    given: list[str] = []
    while isinstance(make, partial):
        given = [*map(repr, make.args), *given]
        given += [f"{name}={value!r}" for name, value in make.keywords.items()]
        make = make.func
    if not isinstance(make, FunctionType | type) or not all(map(_is_literal, given)):
        return None
    module = sys.modules.get(make.__module__)
    if "<" in make.__qualname__ or module is None or not getattr(module, "__file__", None):
        return None
    return make.__module__, make.__qualname__, ", ".join(given)


def _is_literal(argument: str) -> bool:
    try:
        ast.literal_eval(argument.partition("=")[2] or argument)
    except (ValueError, SyntaxError):
        return False
    return True


def _installed(file: Path) -> bool:
    """Whether a module can be imported by its name from anywhere."""
    ours = Path(__file__).resolve().parents[1]
    places = [ours, *map(Path, site.getsitepackages())]
    return any(file.resolve().is_relative_to(place) for place in places)


def _with_imports(code: str, imports: Sequence[str], parts: Sequence[str]) -> str:
    """Add imports to the head of a module, and parts to its end."""
    head, _, rest = code.partition("\n\n\n")
    docstring, _, present = head.partition("\n\n")
    lines = [line for line in present.splitlines() if line]
    lines += [line for line in dict.fromkeys(imports) if line not in _spread(lines)]
    groups: dict[int, list[str]] = {}
    for line in sorted(lines, key=lambda line: (not line.startswith("import"), line)):
        groups.setdefault(_group(line), []).append(line)
    sorted_imports = "\n\n".join("\n".join(groups[number]) for number in sorted(groups))
    body = (part.strip() for part in (rest, *parts))
    return "\n\n\n".join([f"{docstring}\n\n{sorted_imports}", *body]) + "\n"


def _group(line: str) -> int:
    """Return the place of an import: ``__future__``, the standard library, the rest."""
    module = line.split()[1].split(".")[0]
    return 0 if module == "__future__" else 1 if module in sys.stdlib_module_names else 2


def _spread(lines: Sequence[str]) -> set[str]:
    """Return import lines with ``from a import b, c`` also as one line for each name."""
    spread = set(lines)
    for line in lines:
        start, found, names = line.partition(" import ")
        if found:
            spread |= {f"{start} import {name}" for name in names.split(", ")}
    return spread
