"""A module's ``forward`` as a graph in which calls of functions can be changed; torch alone."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from torch import fx, nn
from torch.fx.graph_module import reduce_graph_module


class Rewritten(fx.GraphModule):
    """A module with another forward, and all else that it had: children, parameters, attributes.

    Args:
        root: The module whose forward was traced.
        graph: What its forward shall do.
        class_name: Name to show.
    """

    def __init__(self, root: nn.Module, graph: fx.Graph, class_name: str = "Rewritten") -> None:
        super().__init__(root, graph, class_name)
        kept = {k: v for k, v in vars(root).items() if k not in ("_graph", "_code")}
        vars(self).update(kept)

    def _deepcopy_init(self) -> Callable[..., None]:
        return Rewritten.__init__

    def __reduce__(self) -> tuple[Any, ...]:
        _, (state, imports) = super().__reduce__()
        return rebuilt, (state, imports)


def rebuilt(state: Mapping[str, Any], imports: str) -> nn.Module:
    """Make a :class:`Rewritten` again of what was pickled."""
    traced = reduce_graph_module(dict(state), imports)
    assert isinstance(traced, fx.GraphModule)
    root = nn.Module()
    vars(root).update(state)
    return Rewritten(root, traced.graph, class_name=type(traced).__name__)


_UNTRACEABLE = (
    *(fx.proxy.TraceError, TypeError, ValueError, RuntimeError, AttributeError),
    *(NotImplementedError, LookupError, AssertionError),
)
"""What a forward raises when it is given a placeholder that it cannot work with."""


_WAS = "function"
"""Where a node that calls a module says which function it called before."""


class ChildrenStay(fx.Tracer):
    """Traces the ``forward`` of one module; the modules that it calls stay as they are."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Never look into a module that is called."""
        return True


def function_name(node: fx.Node) -> str:
    """Return the name of the function or method that a node of a graph calls, or called, or ""."""
    if _WAS in node.meta:
        return str(node.meta[_WAS])
    if node.op == "call_method":
        return str(node.target).strip("_")
    if node.op == "call_function":
        return str(getattr(node.target, "__name__", "")).strip("_")
    return ""


def graph_of(module: nn.Module) -> fx.Graph:
    """Return the graph of a module's forward, the same in training and in evaluation.

    Arguments that have a default keep it: the graph refuses another value. Functional dropout,
    whose flag would be fixed by the mode in which it is traced, becomes a module: ``module`` gets
    a child for each.

    Raises:
        RuntimeError: If the forward decides by its input, holds constants of its own making, or
            does different things in training and in evaluation.
    """
    parameters = list(inspect.signature(module.forward).parameters.values())
    defaults = {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}
    was_training = module.training
    graphs: dict[bool, fx.Graph] = {}
    try:
        for training in (False, True):
            module.training = training
            graphs[training] = ChildrenStay().trace(module, concrete_args=defaults or None)
            _keep_defaults(graphs[training], defaults)
    except _UNTRACEABLE as error:
        raise RuntimeError(f"{type(error).__name__}: {str(error).splitlines()[0]}") from error
    finally:
        module.training = was_training
    if any("_tensor_constant" in str(node.target) for node in graphs[True].nodes):
        raise RuntimeError("it makes a tensor that does not depend on its input")
    for number, (off, on) in enumerate(zip(graphs[False].nodes, graphs[True].nodes, strict=False)):
        if on.kwargs.get("training") is True and off.kwargs.get("training") is False:
            _drop_by_module(module, f"dropout_{number}", off, on)
    if str(graphs[False]) != str(graphs[True]):
        raise RuntimeError("it does different things in training and in evaluation")
    return graphs[True]


def only(value: Any, default: Any, name: str) -> None:
    """Refuse a value other than the default that a graph was made with.

    Raises:
        TypeError: If it is another.
    """
    if isinstance(value, fx.Proxy):  # a graph is made again of its code when it is loaded
        value.tracer.create_proxy("call_function", only, (value, default, name), {})
    elif type(value) is not type(default) or value != default:
        raise TypeError(f"{name}={value!r} is not what this forward was made for: {default!r}")


def _keep_defaults(graph: fx.Graph, defaults: Mapping[str, Any]) -> None:
    """Make a graph refuse other values than the defaults, in one way for all of them."""
    places = [node for node in graph.nodes if node.op == "placeholder"]
    for node in places[len(places) - len(defaults) :]:
        checks = list(node.users)
        for check in checks:
            checks += [user for user in check.users if user not in checks]
        for check in reversed(checks):
            graph.erase_node(check)
    for node, (name, value) in zip(
        places[len(places) - len(defaults) :], defaults.items(), strict=True
    ):
        node.target, node.name, node.args = name, name, (value,)
        with graph.inserting_after(places[-1]):
            graph.call_function(only, (node, value, name))


def _drop_by_module(module: nn.Module, name: str, *nodes: fx.Node) -> None:
    kinds: dict[Any, type[nn.Module]] = {
        nn.functional.dropout: nn.Dropout,
        nn.functional.dropout1d: nn.Dropout1d,
        nn.functional.dropout2d: nn.Dropout2d,
        nn.functional.dropout3d: nn.Dropout3d,
        nn.functional.alpha_dropout: nn.AlphaDropout,
        nn.functional.feature_alpha_dropout: nn.FeatureAlphaDropout,
    }
    if nodes[0].target not in kinds:
        return
    rate = nodes[0].kwargs.get("p", nodes[0].args[1] if len(nodes[0].args) > 1 else 0.5)
    module.add_module(name, kinds[nodes[0].target](rate).train(module.training))
    for node in nodes:
        with node.graph.inserting_after(node):
            new = node.graph.call_module(name, (node.args[0],))
        new.meta[_WAS] = function_name(node)
        node.replace_all_uses_with(new)
        node.graph.erase_node(node)


def call_in(graph: fx.Graph, function: str, order: int) -> fx.Node:
    """Return the call of a function in a graph, after so many others of it.

    Raises:
        RuntimeError: If there are not so many, or it is a dropout that acts in evaluation too.
    """
    calls: list[fx.Node]
    calls = [node for node in graph.nodes if function_name(node) == function]
    if len(calls) <= order:
        raise RuntimeError(f"its trace calls {function} {len(calls)} times")
    if calls[order].kwargs.get("training") is True:
        raise RuntimeError("it drops in evaluation too")
    return calls[order]


def call_module(
    module: nn.Module, function: str, order: int, name: str, new: nn.Module, follow: bool = False
) -> None:
    """Call a new module in the place of a function, or on its result, in a module's forward.

    The module stays the same object with the same children, parameters and attributes; its forward
    becomes that of a ``torch.fx.GraphModule``.

    Args:
        module: The module whose forward calls the function.
        function: Name of the function.
        order: How many calls of that function its forward makes before.
        name: Name of the new module inside it; a number is added where it is taken.
        new: What to call.
        follow: Whether the function stays, and the new module is called on its result.

    Raises:
        RuntimeError: If the forward cannot be traced, does not call the function that often, or
            calls it as a dropout that acts in evaluation too.
    """
    graph = module.graph if isinstance(module, fx.GraphModule) else graph_of(module)
    call = call_in(graph, function, order)
    free = next(n for n in (name, *(f"{name}{i}" for i in range(2, 999))) if not hasattr(module, n))
    module.add_module(free, new)
    with graph.inserting_after(call):
        after = graph.call_module(free, (call if follow else call.args[0],))
    call.replace_all_uses_with(after, delete_user_cb=lambda user: user is not after)
    if not follow:
        graph.erase_node(call)
        if call.op == "call_module":
            delattr(module, str(call.target))
    graph.lint()
    new_self = Rewritten(module, graph, class_name=type(module).__name__)
    module.__class__ = type(new_self)
    vars(module).update(vars(new_self))
