"""The graph that backpropagation walks, as data and as a picture."""

import gc
from collections import Counter
from itertools import combinations
from xml.etree import ElementTree

import numpy as np
import pytest
from cases import find
from differences import central

import octavo
from octavo import nn
from octavo.kernels import device, registry
from octavo.nn import functional as F
from octavo.nn.layered import place

SVG = "{http://www.w3.org/2000/svg}"
IDS = np.random.default_rng(0).integers(0, 16, (2, 8))


def gpt(**options):
    nn.random.seed(1)
    return nn.GPT(nn.GPTConfig(vocab_size=16, context=8, layers=2, heads=2, width=8, dropout=0.1))


def mlp():
    nn.random.seed(0)
    model = nn.MLP(3, 5, activation="gelu").to("float64")
    x, y = (nn.Tensor(np.random.default_rng(i).normal(size=(2, 3))) for i in range(2))
    return model, {"x": x, "y": y}, F.mse_loss(model(x), y)


def shared():
    """Numbers that several ops read, one of them twice."""
    a, b, c = (nn.Tensor(np.array(v), requires_grad=True) for v in (2.0, -3.0, 10.0))
    d = a * b
    e = d + c
    return {"a": a, "b": b, "c": c, "d": d, "e": e}, (e * 0.2).tanh() + e * 0.1 + a * a


def joined():
    """Lists on both sides of ops, with a constant in one, and arguments by name."""
    a, b = (nn.Tensor(np.random.default_rng(i).normal(size=(2, 3)), requires_grad=True) for i in range(2))
    parts = F.split(F.cat([a, np.ones((1, 3)), b], dim=0), sizes=[2, 3], dim=0)
    return {"a": a, "b": b}, (parts[0] @ F.pad(parts[1], (0, 1))[:, 1:].T).square().sum()


def whole():
    model = gpt().to("float64")
    return {"ids": IDS}, model.loss(IDS, IDS), model


@pytest.mark.parametrize("made", [shared, joined, whole, lambda: mlp()[1:]])
def test_gradients_are_those_of_the_tape_and_of_differences(made):
    names, loss, *model = made()
    g = nn.graph(loss, names=names, model=model[0] if model else None)
    rng = np.random.default_rng(0)
    for edge in g.edges:
        if not edge.flows:
            assert edge.gradient is None
            continue
        x = edge.value.astype(np.float64)
        entries = [tuple(rng.integers(x.shape)) for _ in range(2)] if x.ndim else [()]
        for at, expected, noise in central(lambda e=edge, x=x: float(g.run({e: x})), x, entries):
            assert abs(edge.gradient[at] - expected) <= 1e-7 * max(1, abs(expected)) + noise, (
                edge.target.name,
                edge.name,
            )
    leaves = [v for v in g.vertices if v.kind in ("parameter", "input")]
    tensors = {id(edge): edge for node in (v.node for v in g.vertices) if node for edge in leaves_of(node.edges)}
    assert len(leaves) == len(tensors) and all(t.grad is None for t in tensors.values())
    loss.backward()
    by_value = {id(t.data): t.grad for t in tensors.values()}
    assert all(np.array_equal(v.gradients[0], by_value[id(v.values[0])]) for v in leaves)


def leaves_of(edges):
    for edge in edges:
        if isinstance(edge, list):
            yield from leaves_of(edge)
        elif isinstance(edge, nn.Tensor):
            yield edge


def test_parts_of_a_gradient_add_up():
    names, loss = shared()
    g = nn.graph(loss, names=names)
    for vertex in g.vertices[:-1]:
        parts = [edge.gradient for edge in g.edges if edge.source is vertex]
        assert vertex.kind == "constant" or np.isclose(sum(parts), vertex.gradients[0], rtol=1e-15)
    a = next(v for v in g.vertices if v.name == "a")
    assert [e.target.name for e in g.edges if e.source is a] == ["mul", "mul", "mul"]


@pytest.mark.parametrize("name", [n for n, op in registry.items() if op.backward_name and not op.discrete])
def test_every_op_is_computed_again(name, monkeypatch):
    monkeypatch.setattr(device, "REFERENCE_ONLY", True)
    op, seen = registry[name], 0
    for sample in list(find(name).samples())[-3:]:
        args = [tensors(x, i < len(op.arrays) and op.names[i] in op.differentiable) for i, x in enumerate(sample.args)]
        kwargs = {k: tensors(x, k in op.differentiable) for k, x in sample.kwargs.items()}
        with np.errstate(all="ignore"):
            for t in flat(nn.apply(op, *args, **kwargs)):
                if t.requires_grad:
                    assert np.array_equal(nn.graph(t).vertices[-1].values[t._slot], t.data, equal_nan=True)
                    seen += 1
    assert seen


def tensors(x, may):
    if isinstance(x, (list, tuple)):
        return [tensors(y, may) for y in x] if any(isinstance(y, np.ndarray) for y in x) else x
    return nn.Tensor(x, requires_grad=True) if may and isinstance(x, np.ndarray) and x.dtype.kind == "f" else x


def flat(x):
    return [t for y in x for t in flat(y)] if isinstance(x, (list, tuple)) else [x]


def test_nothing_waits_for_the_cycle_collector():
    gc.collect()
    gc.disable()
    try:
        model = gpt()
        loss = model.loss(IDS, IDS)
        before = octavo.memory().current
        nn.draw(loss, model=model, depth=1)
        assert octavo.memory().current == before
    finally:
        gc.enable()


def test_random_draws_repeat():
    model = gpt()
    loss = model.loss(IDS, IDS)
    assert nn.graph(loss, model=model).vertices[-1].values[0] == loss.data


def picture(svg):
    root = ElementTree.fromstring(svg)
    rects, texts, group = [], [], None
    for element in root.iter():
        if element.tag == f"{SVG}rect" and element.get("class").split()[0] in ("box", "label"):
            x, y, w, h = (float(element.get(k)) for k in ("x", "y", "width", "height"))
            group = (element.get("class"), (x, y, x + w, y + h), [])
            rects.append(group)
        elif element.tag == f"{SVG}rect":
            group = None
        elif element.tag == f"{SVG}text" and group is not None:
            group[2].append(element.text)
            texts.append((element, group[1]))
    return rects, texts


@pytest.mark.parametrize("depth", [None, 1, 2])
@pytest.mark.parametrize("made", [shared, joined, whole])
def test_every_vertex_has_a_box_and_nothing_overlaps(made, depth):
    names, loss, *model = made()
    options = {"names": names, "model": model[0] if model else None}
    g = nn.graph(loss, **options)
    rects, texts = picture(nn.draw(loss, depth=depth, **options))
    boxes = [lines for kind, _, lines in rects if kind.startswith("box")]
    if depth is None or not model:
        expected = Counter(v.name for v in g.vertices if v.name)
        assert Counter(lines[0] for lines in boxes if lines[0] in expected) == expected and len(boxes) == len(
            g.vertices
        )
    else:
        shown = {lines[0] for lines in boxes}
        assert {"wte.weight", "h.0", "h.1"} <= shown if depth == 1 else {"h.0.attn", "h.1.mlp"} <= shown
        assert not any(name.startswith("h.0.attn.") for name in shown)
    for (_, (left, top, right, bottom), _), (_, other, _) in combinations(rects, 2):
        assert right <= other[0] + 0.2 or other[2] <= left + 0.2 or bottom <= other[1] + 0.2 or other[3] <= top + 0.2
    for text, (left, top, right, bottom) in texts:
        half = len(text.text) * float(text.get("font-size")) * 0.6 / 2
        assert left <= float(text.get("x")) - half and float(text.get("x")) + half <= right
        assert top < float(text.get("y")) < bottom


def test_numbers_in_the_picture_are_those_of_the_graph():
    names, loss = shared()
    g = nn.graph(loss, names=names)
    rects, _ = picture(nn.draw(loss, names={**names, "L": loss}))
    lines = {text[0]: text for _, _, text in rects}
    for vertex in g.vertices:
        for slot, name in vertex.names.items():
            value, gradient = (float(f"{float(x):.4g}") for x in (vertex.values[slot], vertex.gradients[slot]))
            shown = [text.replace("−", "-").removeprefix("∂ ") for text in lines[name][1:]]
            assert [float(text) for text in shown] == [value, gradient]
    assert lines["L"][2] == "∂ 1"


def test_large_arrays_show_shape_and_root_mean_square():
    model, names, loss = mlp()
    rects, _ = picture(nn.draw(loss, names=names))
    lines = {text[0]: text for _, _, text in rects}
    weight = model.fc.weight.data
    assert lines["fc.weight"][1:3] == ["(5, 3)", f"rms {np.sqrt(np.mean(weight**2)):.3g}"]
    assert lines["linear"][1] in ("gelu", "proj") and lines["proj.bias"][1:3] == ["(3)", "[0, 0, 0]"]


def test_a_folded_module_passes_on_the_same_gradients():
    model = gpt()
    loss = model.loss(IDS, IDS)
    rects, _ = picture(nn.draw(loss, model=model, depth=1))
    whole_graph = nn.graph(loss, model=model)
    last = next(v for v in reversed(whole_graph.vertices) if v.module == "h.1")
    labels = [lines for kind, _, lines in rects if kind == "label"]
    assert sum(f"∂ rms {np.sqrt(np.mean(last.gradients[0] ** 2)):.3g}" in lines for lines in labels) == 1


def test_text_stands_out_from_what_is_behind_it():
    def luminance(colour):
        parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
        linear = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        return np.dot([0.2126, 0.7152, 0.0722], list(linear))

    root = ElementTree.fromstring(nn.draw(mlp()[2]))
    behind = {r.get("fill") for r in root.iter(f"{SVG}rect")}
    for text in {t.get("fill") for t in root.iter(f"{SVG}text")}:
        assert all((luminance(b) + 0.05) / (luminance(text) + 0.05) >= 4.5 for b in behind)


def test_text_is_escaped():
    x = nn.Tensor(1.0, requires_grad=True)
    names = {"<b>&\"x'\x00\ud800重": x}
    rects, _ = picture(nn.draw(x * 2, names=names).encode().decode())
    assert "<b>&\"x'��重" in [lines[0] for _, _, lines in rects]


def test_without_gradients():
    names, loss = shared()
    assert "∂" in nn.draw(loss) and "∂" not in nn.draw(loss, gradients=False)
    assert "∂" not in nn.draw(names["a"] * np.ones(2))


def test_files_and_notebooks(tmp_path):
    _, loss = shared()
    svg = nn.draw(loss, tmp_path / "graph.svg")
    assert (tmp_path / "graph.svg").read_text(encoding="utf-8") == svg == svg._repr_svg_()
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        nn.draw(loss, tmp_path / "none" / "graph.svg")


def test_what_has_no_graph_is_refused():
    x = nn.Tensor(3.0, requires_grad=True)
    with nn.no_grad():
        y = x * x
    for tensor in (x, y, nn.Tensor(1.0)):
        with pytest.raises(ValueError, match=r"no_grad.*requires_grad=True"):
            nn.draw(tensor)
    y = x * x
    y.backward(retain_graph=True)
    nn.draw(y)
    y.backward()
    with pytest.raises(ValueError, match="retain_graph=True"):
        nn.draw(y)
    with pytest.raises(TypeError, match="expected a tensor, got float"):
        nn.draw(3.0)
    with pytest.raises(ValueError, match="depth"):
        nn.draw(x * x, depth=0)
    with pytest.raises(TypeError, match="names: x: expected a tensor or an array, got int"):
        nn.draw(x * x, names={"x": 1})
    y = x
    for _ in range(1000):
        y = y + x
    with pytest.raises(ValueError, match=r"1,001 boxes.*depth"):
        nn.draw(y)
    model = gpt()
    model.recompute = True
    with pytest.raises(ValueError, match="recompute"):
        nn.draw(model.loss(IDS, IDS))


def test_modules_without_a_common_model_are_numbered():
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    g = nn.graph(second(first(np.ones((1, 2), np.float32))).sum())
    assert [v.name for v in g.vertices if v.kind == "parameter"] == [
        f"Linear{i}.{name}" for i in (1, 2) for name in ("weight", "bias")
    ]


def test_layers_of_a_diamond_with_a_long_edge():
    places, paths, (width, height) = place([(10, 10)] * 4, [(0, 5, 1, 5), (1, 5, 2, 5), (0, 5, 3, 2), (2, 5, 3, 8)])
    assert [y for _, y in places] == sorted(y for _, y in places) and len({y for _, y in places}) == 4
    assert len(paths[2]) == 7 and paths[2][0][1] == places[0][1] + 10 and paths[2][-1][1] == places[3][1]
    assert width >= 10 and height == places[3][1] + 10
    assert place([(10, 20)], []) == ([(0, 0)], [], (10, 20))
