"""The graph that backpropagation walks, as data: what each op was given and made, and which gradients came back."""

import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..kernels import device, registry
from .module import Module, Parameter
from .tape import Node
from .tensor import Tensor

__all__ = ["Edge", "Graph", "Vertex", "graph"]


@dataclass(eq=False)
class Edge:
    """What an op reads of another, or of a leaf.

    Attributes:
        source, slot: from where, and which of its outputs.
        target, name: to where, as long as the graph is there, and as which argument.
        flows: whether a gradient goes back along it.
        gradient: of the drawn tensor by what this one edge carries; None where there is none.
    """

    source: "Vertex"
    slot: int
    reader: "weakref.ref[Vertex]"  # weak, or all of a graph's arrays would wait for the cycle collector
    name: str
    flows: bool
    gradient: Any = None

    @property
    def target(self) -> "Vertex":
        found = self.reader()
        if found is None:
            raise RuntimeError("target: the graph that this edge belonged to is gone; keep it")
        return found

    @property
    def value(self) -> Any:
        """The array that it carries."""
        return self.source.values[self.slot]


@dataclass(eq=False)
class Vertex:
    """A leaf, or one run of an op.

    Attributes:
        name: of the op; of a leaf its name in the model or among `names`, else that of the argument which it is.
        kind: "op" or "view"; of a leaf "parameter", "input" (it requires a gradient) or "constant".
        options: words that the op was given, such as an activation, but for its defaults.
        module, module_kind: path and class of the module that ran the op.
        values: an array for each output; a leaf has one.
        gradients: of the drawn tensor by each of them: the sum over the edges that leave it, None without any.
        names: of those outputs that are parameters or among `names`, by their number.
        inputs: the edges that end here, in the order of the op's arguments.
        calls: of each module that ran it its path, its class, and what only this call of it has; the outermost first,
            without the model.
    """

    name: str
    kind: str
    options: str = ""
    module: str = ""
    module_kind: str = ""
    values: list[Any] = field(default_factory=list)
    gradients: list[Any] = field(default_factory=list)
    names: dict[int, str] = field(default_factory=dict)
    inputs: list[Edge] = field(default_factory=list)
    calls: list[Any] = field(default_factory=list)
    node: Any = None
    given: Any = ()  # positional and named arguments, with edges in the place of arrays


class Graph:
    """What a tensor was computed from.

    Attributes:
        vertices: those that an op reads stand before it, the op that made the tensor last.
        edges: of all of them.
        slot: which output of the last vertex the tensor is.

    >>> from octavo import nn
    >>> x = nn.Tensor(3.0, requires_grad=True)
    >>> g = nn.graph(x * x + x, names={"x": x})
    >>> [(e.source.name, e.target.name, float(e.value), float(e.gradient)) for e in g.edges]
    [('x', 'mul', 3.0, 3.0), ('x', 'mul', 3.0, 3.0), ('mul', 'add', 9.0, 1.0), ('x', 'add', 3.0, 1.0)]
    >>> float(g.run({g.edges[0]: np.array(3.5)}))  # 3.5 · 3 + 3
    13.5
    """

    def __init__(self, vertices: list[Vertex], slot: int):
        self.vertices, self.slot = vertices, slot

    @property
    def edges(self) -> list[Edge]:
        return [edge for vertex in self.vertices for edge in vertex.inputs]

    def run(self, changed: Mapping[Edge, Any]) -> Any:
        """The tensor's array, were other arrays on some edges: each op computes again that they lead to.

        What a float64 array leads to is float64, so that differences of two such runs test gradients. To change a
        tensor that several ops read, change all edges that leave it.
        """
        fresh: dict[Vertex, list[Any]] = {}
        for vertex in self.vertices:
            if any(edge in changed or edge.source in fresh for edge in vertex.inputs):
                read = {
                    e: changed[e] if e in changed else fresh.get(e.source, e.source.values)[e.slot]
                    for e in vertex.inputs
                }
                fresh[vertex] = _compute(vertex, read)
        last = self.vertices[-1]
        return fresh.get(last, last.values)[self.slot]


def graph(tensor: Tensor, *, model: Module | None = None, names: Mapping[str, Any] | None = None) -> Graph:
    """The ops and leaves that a tensor was computed from, with values and, if it is one number, gradients.

    The tape keeps no value that the backward pass does not need: all are computed again, from the leaves as they are
    now. No `grad` changes and no hook is called.

    Args:
        model: where the paths of parameters and modules start; if left out at the outermost module that was called.
        names: of tensors, computed ones too, and of arrays.

    Raises:
        ValueError: the tensor has no graph, `backward` has freed it, or part of it is inside `nn.recompute`.
        RuntimeError: a tensor that the backward pass needs was changed in place since.
    """
    nodes = _nodes(tensor)
    vertices = _Builder(nodes, model, names or {}).vertices
    if tensor.size == 1:
        _differentiate(vertices, tensor._slot)
    return Graph(vertices, tensor._slot)


def _nodes(tensor: Tensor) -> list[Node]:
    """All that the tensor was computed by, in the order in which it was."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"graph: expected a tensor, got {type(tensor).__name__}")
    if tensor._node is None:
        raise ValueError(
            "graph: this tensor has none: it was made under no_grad(), or from nothing that requires a gradient; "
            "compute it outside of no_grad(), from parameters or from Tensor(..., requires_grad=True)"
        )
    found: dict[int, Node] = {}
    waiting = [tensor._node]
    while waiting:
        node = waiting.pop()
        if node.number in found:
            continue
        if node.name == "recompute":
            raise ValueError(
                "graph: nn.recompute keeps no graph of what is in it; compute without it (model.recompute = False)"
            )
        if node.saved is None:
            raise ValueError(
                f"graph: an earlier backward pass has freed it (from {node.name} on); take the graph before, compute "
                "the tensor again, or pass retain_graph=True to backward"
            )
        found[node.number] = node
        waiting += [edge[0] for edge in _flat(node.edges) if type(edge) is tuple]
    return [found[number] for number in sorted(found)]


class _Builder:
    """Vertices of nodes and of the leaves that they read."""

    def __init__(self, nodes: list[Node], model: Module | None, names: Mapping[str, Any]):
        self.vertices: list[Vertex] = []
        self.made: dict[Any, Vertex] = {}  # by node, or identity of the leaf
        self.known: dict[Any, tuple[str, str]] = {}  # name and kind, by identity of a tensor or array
        self.paths: dict[int, str] = {}
        self.model = model
        for prefix, root in self._roots(nodes):
            for path, module in root.named_modules(prefix):
                self.paths.setdefault(id(module), path)
            for name, p in root.named_parameters():
                name = f"{prefix}.{name}" if prefix else name
                self.known[id(p)] = self.known[id(p.data)] = name, "parameter"
        for name, x in names.items():
            if isinstance(x, Tensor):
                key: Any = id(x) if x._node is None else (x._node.number, x._slot)
                self.known[key] = self.known[id(x.data)] = name, "constant"
            elif device.is_array(x):
                self.known[id(x)] = name, "constant"
            else:
                raise TypeError(f"graph: names: {name}: expected a tensor or an array, got {type(x).__name__}")
        for node in nodes:
            self._add(node)

    def _roots(self, nodes: list[Node]) -> Iterator[tuple[str, Module]]:
        """Outermost modules; where there are several each is called by its class, numbered."""
        if self.model is not None:
            yield "", self.model
            return
        outermost = {id(calls[0][0]): calls[0][0] for node in nodes if (calls := _calls(node))}
        if len(outermost) == 1:
            self.model = next(iter(outermost.values()))
            yield "", self.model
            return
        kinds = [type(module).__name__ for module in outermost.values()]
        for i, (kind, module) in enumerate(zip(kinds, outermost.values(), strict=True)):
            yield f"{kind}{kinds[: i + 1].count(kind)}" if kinds.count(kind) > 1 else kind, module

    def _add(self, node: Node) -> None:
        vertex = Vertex(node.name, "view" if node.op.view else "op", node=node)
        calls = _calls(node)
        if calls:
            told = [(self.paths.get(id(call[0]), ""), type(call[0]).__name__, call) for call in calls]
            vertex.module, vertex.module_kind, _ = told[-1]
            vertex.calls = told[calls[0][0] is self.model :]
        positional, named = node.given or ((), {})
        args, params = list(positional), dict(named)
        edges = dict(zip(node.op.differentiable, node.edges, strict=True))
        for i, name in enumerate(node.op.names[: len(node.op.arrays)]):
            place: Any = args if i < len(args) else params
            key: Any = i if i < len(args) else name
            if place is args or key in params:
                place[key] = self._linked(vertex, name, place[key], edges.get(name))
        vertex.given = args, params
        words = {**dict(zip(node.op.names, args, strict=False)), **params}
        defaults = node.op.__signature__.parameters
        vertex.options = " ".join(x for name, x in words.items() if isinstance(x, str) and x != defaults[name].default)
        vertex.values = _compute(vertex, {edge: edge.value for edge in vertex.inputs})
        vertex.gradients = [None] * len(vertex.values)
        slots = range(len(vertex.values))
        vertex.names = {slot: self.known[node.number, slot][0] for slot in slots if (node.number, slot) in self.known}
        self.made[node] = vertex
        self.vertices.append(vertex)

    def _linked(self, vertex: Vertex, name: str, given: Any, edge: Any) -> Any:
        """An argument with edges in the place of its arrays."""
        if type(edge) is list or isinstance(given, (list, tuple)):
            edges = [None] * len(given) if edge is None else edge
            return [
                self._linked(vertex, f"{name}[{i}]", *pair) for i, pair in enumerate(zip(given, edges, strict=True))
            ]
        if edge is None and not device.is_array(given):
            return given
        source, slot = (self.made[edge[0]], edge[1]) if type(edge) is tuple else (self._leaf(name, given, edge), 0)
        link = Edge(source, slot, weakref.ref(vertex), name, edge is not None)
        vertex.inputs.append(link)
        return link

    def _leaf(self, name: str, given: Any, tensor: Tensor | None) -> Vertex:
        x = given if tensor is None else tensor.data
        ids = (id(x), id(getattr(x, "base", x))) if tensor is None else (id(tensor), id(x))
        known = next((self.known[key] for key in ids if key in self.known), None)
        nameless = known is None and x.ndim == 0
        key: Any = (ids[0], len(self.vertices)) if nameless and tensor is None else ids[0]  # one 2.0 is not another
        if key not in self.made:
            kind = "constant" if tensor is None else "parameter" if isinstance(tensor, Parameter) else "input"
            if known is not None:
                name, kind = known[0], known[1] if kind == "constant" else kind
            names = {} if known is None else {0: name}
            self.made[key] = Vertex("" if nameless else name, kind, values=[x], gradients=[None], names=names)
            self.vertices.append(self.made[key])
        return self.made[key]


def _calls(node: Node) -> list[Any]:
    found = []
    call = node.call
    while call is not None:
        found.append(call)
        call = call[1]
    return found[::-1]


def _compute(vertex: Vertex, read: Mapping[Edge, Any]) -> list[Any]:
    """What the op makes of the arrays on its edges."""
    args, params = vertex.given
    results = vertex.node.op(*[_filled(x, read) for x in args], **{n: _filled(x, read) for n, x in params.items()})
    return list(_flat(results if type(results) is tuple else (results,)))


def _filled(x: Any, read: Mapping[Edge, Any]) -> Any:
    return [_filled(y, read) for y in x] if type(x) is list else read[x] if isinstance(x, Edge) else x


def _differentiate(vertices: list[Vertex], slot: int) -> None:
    """Send a gradient of 1 back through the nodes, and keep it at every edge."""
    out = vertices[-1].values[slot]
    vertices[-1].gradients[slot] = device.empty(out.shape, out.dtype, device.of(out))
    device.copy(device.number(1.0, out.dtype, device.of(out)), vertices[-1].gradients[slot])
    for vertex in reversed(vertices):
        received = {slot: gradient for slot, gradient in enumerate(vertex.gradients) if gradient is not None}
        if vertex.node is None or not received:
            continue
        backward = vertex.node.differentiate(received, retain=True)
        edges = [edge for edge in vertex.inputs if edge.flows]
        for edge, (_, gradient, _) in zip(edges, backward, strict=True):
            edge.gradient = device.empty(gradient.shape, edge.value.dtype, device.of(gradient))  # not what a node saved
            device.copy(gradient, edge.gradient)
            gradients = edge.source.gradients
            before = gradients[edge.slot]
            gradients[edge.slot] = edge.gradient if before is None else registry["add"](before, edge.gradient)


def _flat(values: Any) -> Iterator[Any]:
    for value in values:
        if type(value) is list:
            yield from _flat(value)
        else:
            yield value
