"""A graph with modules as single boxes."""

import weakref
from dataclasses import replace

from ..kernels import registry
from .graph import Graph, Vertex

__all__ = ["folded"]


def folded(whole: Graph, depth: int) -> Graph:
    """Each call of a module at a depth as one vertex, with the leaves that only it reads."""
    homes: dict[Vertex, Vertex] = {}
    calls: dict[int, Vertex] = {}
    readers: dict[Vertex, set[Vertex | None]] = {}
    for vertex in whole.vertices:
        if len(vertex.calls) >= depth:
            path, kind, call = vertex.calls[depth - 1]
            homes[vertex] = calls.setdefault(id(call), Vertex(path, "module", module_kind=kind))
    for edge in whole.edges:
        readers.setdefault(edge.source, set()).add(homes.get(edge.target))
    for vertex in whole.vertices:
        only = readers.get(vertex, set())
        hidden = vertex.kind == "parameter" or (vertex.kind == "constant" and not vertex.names)
        home = next(iter(only)) if hidden and len(only) == 1 else None
        homes.setdefault(vertex, replace(vertex, inputs=[]) if home is None else home)
    slots: dict[tuple[Vertex, int], int] = {}

    def slot_of(source: Vertex, slot: int) -> int:
        home = homes[source]
        if home.kind != "module":
            return slot
        if (source, slot) not in slots:
            slots[source, slot] = len(home.values)
            home.names.update({len(home.values): source.names[slot]} if slot in source.names else {})
            home.values.append(source.values[slot])
            home.gradients.append(source.gradients[slot])
        return slots[source, slot]

    for edge in whole.edges:
        source, target = homes[edge.source], homes[edge.target]
        if source is target:
            continue
        slot = slot_of(edge.source, edge.slot)
        same = next((e for e in target.inputs if e.source is source and e.slot == slot), None)
        if same is None or target.kind != "module":
            target.inputs.append(replace(edge, source=source, slot=slot, reader=weakref.ref(target)))
        elif edge.gradient is not None:
            same.gradient = edge.gradient if same.gradient is None else registry["add"](same.gradient, edge.gradient)
            same.flows = True
    last = slot_of(whole.vertices[-1], whole.slot)
    order = dict.fromkeys(homes[vertex] for vertex in reversed(whole.vertices))  # a module where its last op stood
    return Graph([*order][::-1], last)
