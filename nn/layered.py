"""Boxes in layers, each below all that lead to it, with few crossings.

Long edges pass through points in the layers between, which take part as narrow boxes do; those that leave a box at the
same place share them as far as they can.

Source: Sugiyama, Tagawa, Toda: Methods for Visual Understanding of Hierarchical System Structures (1981); Ayer et al.:
An Empirical Distribution Function for Sampling with Incomplete Information (1955), for the pooling.
"""

from itertools import accumulate

__all__ = ["place"]

_APART, _BELOW = 18.0, 34.0  # least distances of two boxes side by side, and of two layers
_SWEEPS = 12

Point = tuple[float, float]


class _Layout:
    """Vertices: boxes, then the points of long edges. Segments lead from one layer to the next."""

    def __init__(self, sizes: list[Point], edges: list[tuple[int, float, int, float]]):
        self.widths = [width for width, _ in sizes]
        self.rank = [0] * len(sizes)  # first from below, so that a leaf stands right above who reads it
        for source, _, target, _ in sorted(edges, reverse=True):
            self.rank[source] = max(self.rank[source], self.rank[target] + 1)
        top = max(self.rank)
        self.rank = [top - rank for rank in self.rank]
        self.above: list[list[tuple[int, float, float, float]]] = [[] for _ in sizes]  # vertex, both offsets, weight
        self.below: list[list[tuple[int, float, float, float]]] = [[] for _ in sizes]
        self.trunks: dict[tuple[int, float, int], int] = {}  # point by box, place and layer
        self.chains = [self._chain(*edge) for edge in edges]  # by target: what leads to a source is there before
        longest = sorted(zip(self.chains, edges, strict=True), key=lambda pair: len(pair[0]))
        self.chain_of = {v: (chain, out, into) for chain, (_, out, _, into) in longest for v in chain[1:-1]}
        self.layers: list[list[int]] = [[] for _ in range(top + 1)]
        self._enter()
        self._order()
        self.x = [0.0] * len(self.widths)
        self._spread_all()

    def _chain(self, source: int, out: float, target: int, into: float) -> list[int]:
        chain, leaf = [source], not self.above[source]  # a leaf stands aside, so that ops stand in a row
        for rank in range(self.rank[source] + 1, self.rank[target]):
            point = self.trunks.setdefault((source, out, rank), len(self.widths))
            if point == len(self.widths):
                self.widths.append(0.0)
                self.rank.append(rank)
                self.above.append([])
                self.below.append([])
                self._join(chain[-1], out, point, 0.0, leaf)
            chain.append(point)
        self._join(chain[-1], out, target, into, leaf)
        chain.append(target)
        return chain

    def _join(self, a: int, out: float, b: int, into: float, leaf: bool) -> None:
        start = out if self.widths[a] else 0.0
        weight = 0.1 if leaf and self.widths[a] else 1.0
        self.below[a].append((b, start, into, weight))
        self.above[b].append((a, into, start, weight))

    def _enter(self) -> None:
        """A first order: depth first from the last box, what leads to its left side first."""
        waiting, seen = [*range(len(self.widths))][::-1], set()
        waiting.append(self.chains[-1][-1] if self.chains else 0)
        while waiting:
            v = waiting.pop()
            if v not in seen:
                seen.add(v)
                self.layers[self.rank[v]].append(v)
                waiting += [a for a, own, _, _ in sorted(self.above[v], key=lambda end: -end[1])]

    def _order(self) -> None:
        """Barycentres, downwards and upwards in turn; the order with the fewest crossings stays."""
        best, fewest = [list(layer) for layer in self.layers], self._crossings()
        for sweep in range(_SWEEPS):
            ends, layers = (self.above, self.layers[1:]) if sweep % 2 == 0 else (self.below, self.layers[-2::-1])
            place = self._places()
            for layer in layers:
                centre = {
                    v: self._mean([place[u] + self._part(u, o) for u, _, o, _ in ends[v]], place[v]) for v in layer
                }
                layer.sort(key=centre.__getitem__)
                place.update((v, i) for i, v in enumerate(layer))
            crossings = self._crossings()
            if crossings < fewest:
                best, fewest = [list(layer) for layer in self.layers], crossings
        self.layers = best

    def _places(self) -> dict[int, int]:
        return {v: i for layer in self.layers for i, v in enumerate(layer)}

    def _part(self, v: int, offset: float) -> float:
        return offset / self.widths[v] if self.widths[v] else 0.5

    @staticmethod
    def _mean(values: list[float], other: float) -> float:
        return sum(values) / len(values) if values else other

    def _crossings(self) -> int:
        place, count = self._places(), 0
        for layer in self.layers[:-1]:
            ends = sorted(
                (place[a] + self._part(a, out), place[b] + self._part(b, into))
                for a in layer
                for b, out, into, _ in self.below[a]
            )
            count += sum(a[0] < b[0] and a[1] > b[1] for i, a in enumerate(ends) for b in ends[i + 1 :])
        return count

    def _spread_all(self) -> None:
        """Each box under what leads to it and above where it leads, as nearly as the boxes beside it let it."""
        for layer in self.layers:
            self._spread(layer, [()] * len(layer))
        for sweep in range(_SWEEPS):
            down = sweep % 2 == 0
            for layer in self.layers if down else self.layers[::-1]:
                self._spread(layer, [self.above[v] if down else self.below[v] for v in layer])
        for sweep in range(_SWEEPS):
            for layer in self.layers if sweep % 2 else self.layers[::-1]:
                self._spread(layer, [self.above[v] + self.below[v] for v in layer])
        left = min(self.x)
        self.x = [x - left for x in self.x]

    def _middle(self, chain: list[int], out: float, into: float) -> float:
        """Where a long edge would stand upright, drawn a little to its ends."""
        ends, between = self.x[chain[0]] + out + self.x[chain[-1]] + into, [self.x[v] for v in chain[1:-1]]
        return (max(between) + min(between) + 0.1 * ends) / 2.2

    def _spread(self, layer: list[int], ends: list) -> None:
        """The places nearest to those wanted, in the least squares, that keep boxes apart: pooled if they collide."""
        starts = [0.0, *accumulate(self.widths[v] + _APART for v in layer[:-1])]
        pools: list[tuple[float, float, int]] = []  # place, weight, how many
        for v, start, others in zip(layer, starts, ends, strict=True):
            weight = sum(w for *_, w in others) or 0.01
            wanted = sum((self.x[u] + o - own) * w for u, own, o, w in others) / weight if others else self.x[v]
            if v in self.chain_of and others:  # as upright as the whole of its edge lets it be
                wanted, weight = self._middle(*self.chain_of[v]), 16.0
            pools.append((wanted - start, weight, 1))
            while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
                (a, wa, na), (b, wb, nb) = pools[-2:]
                pools[-2:] = [((a * wa + b * wb) / (wa + wb), wa + wb, na + nb)]
        places = [place for place, _, count in pools for _ in range(count)]
        for v, start, place in zip(layer, starts, places, strict=True):
            self.x[v] = place + start


def place(
    sizes: list[Point], edges: list[tuple[int, float, int, float]]
) -> tuple[list[Point], list[list[Point]], Point]:
    """Where boxes and edges go.

    Args:
        sizes: width and height of each box; all that lead to one stand before it.
        edges: (box, how far from its left side the edge leaves it below, other box, how far from its left side the
            edge meets it above).

    Returns:
        (left, top) of each box; the points of each edge, curved from the first to the second, upright to the third,
        curved to the fourth and so on; (width, height) of all.
    """
    layout = _Layout(sizes, edges)
    heights = [max((sizes[v][1] for v in layer if v < len(sizes)), default=0.0) for layer in layout.layers]
    tops = [0.0, *accumulate(height + _BELOW for height in heights)]
    places = [(layout.x[v], tops[r := layout.rank[v]] + heights[r] - size[1]) for v, size in enumerate(sizes)]
    paths = []
    for chain, (source, out, target, into) in zip(layout.chains, edges, strict=True):
        path = []
        for v in chain:
            x = layout.x[v] + (out if v == source else into if v == target else 0.0)
            row = layout.rank[v]
            path += [(x, tops[row]), (x, tops[row] + heights[row])]
        paths.append([*path[1:-1], (path[-1][0], places[target][1])])
    width = max(x + size[0] for (x, _), size in zip(places, sizes, strict=True))
    return places, paths, (max(width, *layout.x), tops[-1] - _BELOW)
