"""The graph that backpropagation walks, as a picture."""

import os
import unicodedata
from collections import Counter
from collections.abc import Mapping
from itertools import accumulate
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

import numpy as np

from ..kernels import device
from ..kernels.files import atomic_write
from .folded import folded
from .graph import Graph, Vertex, graph
from .layered import Point, place
from .module import Module
from .tensor import Tensor

__all__ = ["Drawing", "draw"]

# A picture that stands in a page cannot know whether the page is light or dark, so it brings its own paper.
_PAPER, _RIM, _INK, _GREY, _GRADIENT, _LINE = "#fcfbf8", "#dedacf", "#1f2328", "#5b636c", "#b3261e", "#8b949e"
_FILLS = {  # and its rim
    "op": ("#ffffff", "#57606a"),
    "view": (_PAPER, "#b5bac0"),
    "module": ("#efe9f7", "#7a5ea8"),
    "parameter": ("#e6effa", "#4f7cb3"),
    "input": ("#eaf3e4", "#6f9a55"),
    "constant": ("#f3f1ea", "#b9b4a5"),
}
_COLOURS = {"name": _INK, "value": _INK, "small": _GREY, "gradient": _GRADIENT}
_FONT = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, 'Liberation Mono', monospace"
_SIZE = {"name": 12.5, "value": 11.0, "small": 10.0, "gradient": 11.0}
_ADVANCE, _LEADING = 0.61, 1.28  # of a character and of a line, in sizes
_PAD, _STEP, _MARGIN = 6.0, 12.0, 18.0
_FEW = 4  # numbers that are shown one by one
_MOST = 1000  # boxes

Line = tuple[str, str]  # what kind of text, and the text


class Drawing(str):
    """The text of an SVG; a notebook shows the picture."""

    __slots__ = ()

    def _repr_svg_(self) -> str:
        return str(self)


def draw(
    tensor: Tensor,
    path: str | os.PathLike[str] | None = None,
    *,
    model: Module | None = None,
    names: Mapping[str, Any] | None = None,
    gradients: bool = True,
    depth: int | None = None,
) -> Drawing:
    """A picture (SVG) of what a tensor was computed from, the forward pass downwards.

    Boxes are leaves and ops; below an op stands what it made: shape, value (of more than four numbers their root mean
    square), and in red, after a ∂, the gradient of the drawn tensor by it, if that is one number. Where several read
    a tensor the parts that add up to its gradient stand above those that read it. `grad` of no tensor changes.
    Take it before `backward` frees the graph. `nn.graph` gives the same as data.

    Args:
        path: a file to write the picture to.
        model: where the paths of parameters and modules start; if left out at the outermost module that was called.
        names: of tensors, computed ones too, and of arrays: `names={"x": x, "loss": loss}`.
        gradients: whether to show them.
        depth: from 1, how deep in the tree of modules to look: each call of one that lies there is one box, with
            the parameters and nameless constants that only it reads.

    Raises:
        ValueError: the tensor has no graph, `backward` has freed it, part of it is inside `nn.recompute`, or there are
            more than 1000 boxes.
        RuntimeError: a tensor that the backward pass needs was changed in place since.
        OSError: the file cannot be written.
    """
    if depth is not None and (not isinstance(depth, int) or depth < 1):
        raise ValueError(f"draw: depth: expected a whole number from 1, or None for all, got {depth!r}")
    drawn = graph(tensor, model=model, names=names)
    drawn = drawn if depth is None else folded(drawn, depth)
    if len(drawn.vertices) > _MOST:
        raise ValueError(
            f"draw: {len(drawn.vertices):,} boxes, and at most {_MOST:,} are drawn: fold modules by depth=1"
        )
    svg = Drawing(_svg(drawn, gradients))
    if path is not None:
        with atomic_write(path) as file:
            file.write(svg.encode())
    return svg


def _svg(drawn: Graph, gradients: bool) -> str:
    edges = drawn.edges
    last = drawn.vertices[-1]
    reads = Counter((edge.source, edge.slot) for edge in edges)
    reads[last, drawn.slot] += 1  # so that it is shown
    boxes = {vertex: _Box(vertex, reads, gradients) for vertex in drawn.vertices}
    index = {vertex: i for i, vertex in enumerate(boxes)}
    ins = [x for box in boxes.values() for x in box.ins]
    ends = [
        (index[e.source], boxes[e.source].outs[e.slot], index[e.target], x) for e, x in zip(edges, ins, strict=True)
    ]
    places, paths, (width, height) = place([box.size for box in boxes.values()], ends)
    root = Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "role": "img", "font-family": _FONT})
    SubElement(root, "title").text = _clean(f"What {last.names.get(drawn.slot, last.name)} was computed from")
    paper = _rect(root, "paper", (0.5, 0.5, 0, 0), 10, _PAPER, _RIM)
    body = SubElement(root, "g", {"transform": f"translate({_MARGIN:g},{_MARGIN:g})"})
    for edge, path in zip(edges, paths, strict=True):
        _arrow(body, path, boxes[edge.target].note_height, edge.flows)
    for (vertex, box), corner in zip(boxes.items(), places, strict=True):
        box.paint(body, corner, drawn.slot if vertex is last else None)
    width, height = _legend(body, drawn, gradients, width, height + 16)
    width, height = width + 2 * _MARGIN, height + 2 * _MARGIN
    for element, inset in ((root, 0), (paper, 1)):
        element.attrib.update(width=f"{width - inset:.1f}", height=f"{height - inset:.1f}")
    root.set("viewBox", f"0 0 {width:.1f} {height:.1f}")
    return tostring(root, encoding="unicode")


class _Box:
    """A vertex: parts of its outputs' gradients, the box, and the outputs, from above.

    Attributes:
        size: of all this.
        ins: how far from the left each edge meets it, `outs` leaves it, by output.
    """

    def __init__(self, vertex: Vertex, reads: Mapping[tuple[Vertex, int], int], gradients: bool):
        self.kind, leaf = vertex.kind, vertex.node is None and vertex.kind != "module"
        labels = {s: _label(vertex, s, gradients) for s in range(len(vertex.values)) if reads[vertex, s]}
        self.text: list[Line] = [("name", vertex.name)] if vertex.name else []
        self.labels: dict[int, list[Line]] = {} if leaf else labels
        if leaf:
            self.text += labels[0][len(vertex.names) :]
        else:
            below = [vertex.options, vertex.module_kind if self.kind == "module" else vertex.module]
            self.text += [("small", text) for text in below if text]
        self.notes: list[list[Line]] = [
            [("gradient", f"∂ {_numbers(e.gradient)}")]
            if gradients and e.gradient is not None and reads[e.source, e.slot] > 1
            else []
            for e in vertex.inputs
        ]
        cells = [max(_extent(note)[0], 2 * _PAD) for note in self.notes]
        self.box = _extent(self.text)
        self.box = max(self.box[0], sum(cells)), self.box[1]
        widths = [_extent(label)[0] for label in self.labels.values()]
        whole = max(self.box[0], sum(widths))
        starts = accumulate(cells, initial=(whole - sum(cells)) / 2)
        spread = self.box[0] / sum(cells) if cells else 1.0
        self.ins = [
            whole / 2 + (start + cell / 2 - whole / 2) * spread for start, cell in zip(starts, cells, strict=False)
        ]
        starts = accumulate(widths, initial=(whole - sum(widths)) / 2)
        self.outs = {s: x + w / 2 for s, x, w in zip(self.labels, starts, widths, strict=False)} or {0: whole / 2}
        self.note_height = _extent(max(self.notes, key=len))[1] + _STEP if any(self.notes) else 0.0
        label_height = max((_extent(label)[1] + _STEP / 2 for label in self.labels.values()), default=0.0)
        self.size = whole, self.note_height + self.box[1] + label_height

    def paint(self, parent: Element, corner: Point, final: int | None) -> None:
        left, top = corner
        middle, under = left + self.size[0] / 2, top + self.note_height + self.box[1]
        group = SubElement(parent, "g")
        for note, x in zip(self.notes, self.ins, strict=True):
            if note:
                _texts(group, "label", note, left + x, top)
        for slot, label in self.labels.items():
            x = left + self.outs[slot]
            _path(group, f"M{middle:.1f},{under - 2:.1f} L{x:.1f},{under + _STEP / 2:.1f}", _LINE, True)
            _texts(group, "label", label, x, under + _STEP / 2, _INK if slot == final else "none")
        _texts(group, f"box {self.kind}", self.text, middle, under - self.box[1], *_FILLS[self.kind][::-1], self.box[0])


def _label(vertex: Vertex, slot: int, gradients: bool) -> list[Line]:
    """Name, shape, value and gradient of an output."""
    x, gradient = vertex.values[slot], vertex.gradients[slot]
    lines = [("name", vertex.names[slot])] if slot in vertex.names else []
    if x.ndim:
        lines.append(("small", str(tuple(x.shape)).replace(",)", ")")))
    lines.append(("value", _numbers(x)))
    if gradients and gradient is not None:
        lines.append(("gradient", f"∂ {_numbers(gradient)}"))
    return lines


def _numbers(x: Any) -> str:
    """An array's numbers if they are few, else their root mean square, or the dtype if they are ids."""
    x = device.to(x, "cpu")
    if x.size == 0:
        return "empty"
    if x.size > _FEW and not device.is_float(x.dtype):
        return str(x.dtype)
    if device.is_float(x.dtype):
        x = x.astype(np.float64)
    if x.size > _FEW:
        with np.errstate(over="ignore"):
            return f"rms {np.sqrt(np.mean(np.square(x))):.3g}"

    digits = 4 if x.size == 1 else 3

    def shown(x: Any) -> str:
        if isinstance(x, list):
            return f"[{', '.join(map(shown, x))}]"
        return f"{x:.{digits}g}" if isinstance(x, float) else str(x)

    return shown(x.tolist()).replace("-", "−")


def _legend(parent: Element, drawn: Graph, gradients: bool, width: float, top: float) -> tuple[float, float]:
    """What colours and signs mean, in lines as wide as the picture; its width and height with them."""
    kinds = {vertex.kind for vertex in drawn.vertices}
    items: list[tuple[str, Line]] = [(kind, ("small", kind)) for kind in _FILLS if kind in kinds and kind != "op"]
    last = drawn.vertices[-1]
    if gradients and last.gradients[drawn.slot] is not None:
        items.append(("", ("gradient", f"∂ gradient of {last.names.get(drawn.slot, 'the last number')}")))
    if "rms " in "".join(text or "" for text in parent.itertext()):
        items.append(("", ("small", "rms root mean square")))
    x, widest = 0.0, width
    height = _extent([("gradient", "")])[1]
    for kind, line in items:
        swatch = 18.0 if kind else 0.0
        extent = _extent([line])[0] + swatch
        if x and x + extent > width:
            x, top = 0.0, top + height
        if kind:
            _rect(parent, "swatch", (x, top + height / 2 - 5, 14, 10), 3, *_FILLS[kind])
        _texts(parent, "legend", [line], x + swatch + (extent - swatch) / 2, top)
        x += extent + _PAD
        widest = max(widest, x - _PAD)
    return widest, top + height


def _extent(lines: list[Line]) -> Point:
    """Width and height of lines of text with some space around."""
    cells = [sum(1 + (unicodedata.east_asian_width(c) in "WF") for c in text) * _SIZE[kind] for kind, text in lines]
    return max(cells, default=0.0) * _ADVANCE + 2 * _PAD, sum(_SIZE[kind] * _LEADING for kind, _ in lines) + _PAD


def _texts(
    parent: Element,
    role: str,
    lines: list[Line],
    x: float,
    y: float,
    rim: str = "none",
    fill: str = _PAPER,
    width: float = 0,
) -> None:
    """Lines of text, centred at x below y, on a rectangle."""
    extent = _extent(lines)
    width = max(width, extent[0])
    _rect(parent, role, (x - width / 2, y, width, extent[1]), 5, fill, rim)
    y += _PAD / 2
    for kind, text in lines:
        y += _SIZE[kind] * _LEADING
        look = {
            "x": f"{x:.1f}",
            "y": f"{y - 0.32 * _SIZE[kind]:.1f}",
            "font-size": f"{_SIZE[kind]:g}",
            "fill": _COLOURS[kind],
        }
        SubElement(parent, "text", look | {"class": kind, "text-anchor": "middle"}).text = _clean(text)


def _rect(
    parent: Element, role: str, at: tuple[float, float, float, float], radius: float, fill: str, rim: str
) -> Element:
    sides = {name: f"{value:.1f}" for name, value in zip(("x", "y", "width", "height"), at, strict=True)}
    return SubElement(parent, "rect", sides | {"class": role, "rx": f"{radius:g}", "fill": fill, "stroke": rim})


def _arrow(parent: Element, path: list[Point], further: float, flows: bool) -> None:
    """Along the points of `place`, then further down to a tip."""
    (x, y), *others = path
    text = f"M{x:.1f},{y:.1f}"
    for i, (u, v) in enumerate(others):
        middle = (y + v) / 2
        text += f" L{u:.1f},{v:.1f}" if i % 2 else f" C{x:.1f},{middle:.1f} {u:.1f},{middle:.1f} {u:.1f},{v:.1f}"
        x, y = u, v
    y += further
    _path(parent, f"{text} L{x:.1f},{y - 4:.1f}", _LINE, flows)
    SubElement(parent, "path", {"d": f"M{x - 3.5:.1f},{y - 7:.1f} h7 l-3.5,7 z", "fill": _LINE})


def _path(parent: Element, d: str, colour: str, solid: bool) -> None:
    look = {"d": d, "fill": "none", "stroke": colour, "stroke-width": "1.3"}
    SubElement(parent, "path", look if solid else look | {"stroke-dasharray": "3 3"})


def _clean(text: str) -> str:
    """Without the characters that XML cannot hold."""
    return "".join(c if c.isprintable() else "�" for c in text)
