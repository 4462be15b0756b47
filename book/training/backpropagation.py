"""Backpropagation: the tape of a small network, every edge of it checked."""

import numpy as np

from ... import nn
from ...nn import functional as F
from ...nn.graph import Edge, Graph
from ..section import Page, section

STEP = 1e-6


class Network(nn.Module):
    """Two inputs, two hidden units, one output."""

    def __init__(self) -> None:
        self.hidden = nn.Linear(2, 2)
        self.out = nn.Linear(2, 1)

    def forward(self, x: nn.Tensor) -> nn.Tensor:
        return self.out(self.hidden(x).tanh())


def by_difference(graph: Graph, edge: Edge, at: tuple[int, ...]) -> float:
    """How fast the loss changes with one number on an edge: what is computed after it, once with a little more and once
    with a little less."""
    losses = []
    for h in (STEP, -STEP):
        value = np.array(edge.value)
        value[at] += h
        losses.append(float(graph.run({edge: value})))
    return (losses[0] - losses[1]) / (2 * STEP)


def largest_error(graph: Graph, edge: Edge) -> float:
    """Over the numbers on an edge."""
    return max(abs(edge.gradient[at] - by_difference(graph, edge, at)) for at in np.ndindex(edge.value.shape))


def arriving(graph: Graph, name: str) -> np.ndarray:
    """The gradient of a parameter."""
    return next(vertex.gradients[0] for vertex in graph.vertices if vertex.name == name)


@section
def backpropagation(page: Page) -> None:
    """Backpropagation: the tape of a small network, every edge of it checked."""
    model = Network().to("float64")
    x = nn.Tensor(np.array([0.5, -1.0]))
    loss = F.mse_loss(model(x), np.array([1.0]))
    names = {"x": x, "loss": loss}
    page.drawing("tape", nn.draw(loss, model=model, names=names))

    graph = nn.graph(loss, model=model, names=names)
    edges = [edge for edge in graph.edges if edge.flows]
    errors = {edge: largest_error(graph, edge) for edge in page.progress(edges, "edges")}
    numbers = sum(edge.value.size for edge in edges)
    page.tell(edges=len(edges), numbers=numbers, worst=max(errors.values()), parameters=model.num_parameters())
    page.table(
        "edges",
        ["from", "to", "numbers", "largest gradient", "error"],
        [
            [e.source.name, e.target.name, e.value.size, f"{np.abs(e.gradient).max():.4f}", f"{error:.0e}"]
            for e, error in errors.items()
        ],
    )
    page.claim("on every edge the gradient is the finite difference, to 1e-8", max(errors.values()) < 1e-8)

    loss.backward()
    same = [np.array_equal(p.grad, arriving(graph, name)) for name, p in model.named_parameters()]
    page.claim("what arrives at the parameters is what `backward` leaves in `grad`, bit for bit", all(same))
