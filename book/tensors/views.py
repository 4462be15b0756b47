"""Views and copies: which operations move numbers, and which only read the same ones in another order."""

from collections.abc import Callable
from itertools import product

import numpy as np

import octavo

from ... import nn
from ...nn import functional as F
from ..section import Page, section

SIDE = 1024
VIEWS: dict[str, Callable[[nn.Tensor], nn.Tensor]] = {
    "x.reshape(512, 2048)": lambda x: x.reshape(512, 2048),
    "x.permute(1, 0)": lambda x: x.permute(1, 0),
    "x[:, ::2]": lambda x: x[:, ::2],
    "x.flip(1)": lambda x: x.flip(1),
    "x[0].expand(4096, -1)": lambda x: x[0].expand(4096, -1),
}
COPIES: dict[str, Callable[[nn.Tensor], nn.Tensor]] = {
    "x.permute(1, 0).reshape(-1)": lambda x: x.permute(1, 0).reshape(-1),
    "x[[0, 2, 5]]": lambda x: x[[0, 2, 5]],
    "x.roll(1, 0)": lambda x: x.roll(1, 0),
    "F.cat([x, x])": lambda x: F.cat([x, x]),
    "x + 0": lambda x: x + 0,
}
DRAWN: dict[str, Callable[[nn.Tensor], nn.Tensor]] = {
    "x": lambda x: x,
    "x.permute(1, 0)": lambda x: x.permute(1, 0),
    "x[:, ::2]": lambda x: x[:, ::2],
    "x.flip(1)": lambda x: x.flip(1),
    "x.reshape(2, 6)": lambda x: x.reshape(2, 6),
    "x[1].expand(3, -1)": lambda x: x[1].expand(3, -1),
}


def steps(x: nn.Tensor) -> tuple[int, ...]:
    """The strides of a tensor, in elements."""
    return tuple(stride // x.dtype.itemsize for stride in x.data.strides)


def places(x: nn.Tensor, start: int = 0) -> np.ndarray:
    """Where each element lies in memory, counted from the first number: start + Σ index · stride."""
    found = np.empty(x.shape, int)
    for index in product(*map(range, x.shape)):
        found[index] = start + sum(i * step for i, step in zip(index, steps(x), strict=True))
    return found


def allocated(make: Callable[[], nn.Tensor]) -> tuple[nn.Tensor, int]:
    """What `make` returns, and how many bytes more are in use with it than without."""
    before = octavo.memory().current
    made = make()
    return made, octavo.memory().current - before


@section
def views(page: Page) -> None:
    """Views and copies: which operations move numbers, and which only read the same ones in another order."""
    x, size = allocated(lambda: nn.Tensor(np.arange(SIDE * SIDE, dtype=np.float32).reshape(SIDE, SIDE)) * 1)
    rows, right = [], True
    for name, make in {**VIEWS, **COPIES}.items():
        made, fresh = allocated(lambda make=make: make(x))  # type: ignore[misc]
        shared = np.shares_memory(x.data, made.data)
        rows.append([f"`{name}`", made.shape, steps(made), "yes" if shared else "no", f"{fresh:,}"])
        right = right and (shared and fresh == 0 if name in VIEWS else not shared and fresh >= made.data.nbytes)
    page.claim(
        "the upper half share the memory of x and allocate nothing, the lower half have memory of their own", right
    )
    page.table("made", ["expression", "shape", "strides", "shares memory", "new bytes"], rows)
    page.tell(side=SIDE, size=size, strides=steps(x))

    one = nn.Tensor([1.0])
    vast, fresh = allocated(lambda: one.expand(1 << 15, 1 << 15))
    page.tell(vast=vast.data.nbytes, vast_shape=vast.shape)
    page.claim("one number expanded to a square of 4 GiB takes no memory", fresh == 0 and vast.data.nbytes == 1 << 32)

    y = x.permute(1, 0)
    y.copy_(y.numpy() + 1)
    page.claim("what is written through a view is seen in x", x[0, 1].item() == 2 and x.version == y.version == 1)

    row = x[0]
    del x, y, made
    kept = octavo.memory().current
    del row
    page.tell(kept=kept - octavo.memory().current, row=SIDE * 4)
    page.claim("one row kept alive keeps the whole tensor", kept - octavo.memory().current == size)

    w = nn.Tensor([1.0, 2.0, 3.0], requires_grad=True)
    w.expand(5, -1).sum().backward()
    page.claim("the gradient of an expanded tensor is summed over its copies", np.array_equal(w.grad, [5, 5, 5]))

    x = nn.Tensor(np.arange(12, dtype=np.float32).reshape(3, 4))
    with page.figure("places", 7, 6.8) as figure:
        for axes, (name, make) in zip(figure.subplots(3, 2).flat, DRAWN.items(), strict=True):
            made = make(x)
            cells = places(made, int(made[0, 0].item()))
            if not np.array_equal(made.numpy(), cells):
                raise ValueError(f"{name}: the numbers are not where strides say")
            axes.imshow(cells, vmin=-2, vmax=13, alpha=0.75)
            for (i, j), place in np.ndenumerate(cells):
                axes.text(j, i, place, ha="center", va="center", fontsize=13)
            axes.set_title(f"{name}: strides {steps(made)}")
            axes.set(xticks=[], yticks=[])
            axes.grid(False)
            axes.spines[:].set_visible(False)
