"""Einstein's summation over any number of operands."""

from collections.abc import Callable, Sequence
from string import ascii_letters
from typing import Any

import numpy as np

from ..dispatch import op
from ..signature import Floats

Term = Sequence[str]
Contract = Callable[[list[tuple[Term, np.ndarray]], Term], np.ndarray]


def _check(operands: list[np.ndarray], equation: str) -> None:
    parse(equation, [x.shape for x in operands])


@op("*P -> R...", backward="einsum_backward", check=_check)
def einsum(operands: list[Floats], equation: str) -> Floats:
    """The sum of products of the operands' elements over every letter that the output does not have.

    "bij,bjk->bik": out_bik = Σ_j x_bij y_bjk;  the gradient of each operand is the einsum of dout and the others

    Args:
        operands: float32, float64 or bfloat16.
        equation: for each operand a letter for each axis, with commas between; after "->" those of the output, else
            the letters that occur once, sorted. `...` stands for axes that broadcast. Axes of size 1 broadcast.

    Raises: ValueError for an equation that is malformed, does not fit the shapes, or has a letter twice in one operand
        (a diagonal).
    Numerics: operands are multiplied from left to right, by `matmul` where a letter is summed.
    Source: Einstein, Die Grundlage der allgemeinen Relativitätstheorie (1916), section 5; NumPy's einsum.

    >>> einsum([np.eye(2), np.array([[1.0, 2.0], [3.0, 4.0]])], "ij,kj->ik").tolist()
    [[1.0, 3.0], [2.0, 4.0]]
    """
    terms, out, _ = parse(equation, [x.shape for x in operands])
    return np.array(_numpy(list(zip(terms, operands, strict=True)), out))


@op("R..., *P -> *P", backward_of="einsum", outputs="doperands")
def einsum_backward(dout: Floats, operands: list[Floats], equation: str) -> list[Floats]:
    """The gradients of `einsum`: of each the einsum of dout and the others, repeated along axes that it alone has."""
    return gradients(dout, operands, equation, _numpy)


def _numpy(pieces: list[tuple[Term, np.ndarray]], out: Term) -> np.ndarray:
    equation = f"{','.join(''.join(term) for term, _ in pieces)}->{''.join(out)}"
    return np.einsum(equation, *(x for _, x in pieces))


def gradients(dout: np.ndarray, operands: list[np.ndarray], equation: str, contract: Contract) -> list[np.ndarray]:
    """The gradient of each operand, by a function that sums products of (letters, array) down to some letters."""
    terms, out, _ = parse(equation, [x.shape for x in operands])
    pieces = list(zip(terms, operands, strict=True))
    found = []
    for k, (term, x) in enumerate(pieces):
        others = [squeezed(*piece) for piece in [(out, dout), *pieces[:k], *pieces[k + 1 :]]]
        present = {letter for other, _ in others for letter in other}
        kept = [letter for letter, n in zip(term, x.shape, strict=True) if n != 1 and letter in present]
        dx = contract(others, kept)
        dx = dx.reshape([n if letter in kept else 1 for letter, n in zip(term, x.shape, strict=True)])
        found.append(np.broadcast_to(dx, x.shape))
    return found


def squeezed(term: Term, x: np.ndarray) -> tuple[Term, np.ndarray]:
    """A term and its array without axes of size 1, which broadcast."""
    return [letter for letter, n in zip(term, x.shape, strict=True) if n != 1], np.squeeze(x)


def parse(equation: Any, shapes: list[tuple[int, ...]]) -> tuple[list[Term], Term, dict[str, int]]:
    """(letters of each operand, letters of the output, size of each letter), with letters of their own for `...`.

    Raises ValueError where the equation is malformed or does not fit the shapes.
    """
    if not isinstance(equation, str):
        raise TypeError(f"einsum: equation: expected text such as 'ij,jk->ik', got {equation!r}")
    left, arrow, right = equation.replace(" ", "").partition("->")
    parts = left.split(",")
    if len(parts) != len(shapes):
        raise ValueError(f"einsum: equation: expected {len(parts)} operands for {equation!r}, got {len(shapes)}")
    spare = [letter for letter in ascii_letters[::-1] if letter not in equation]
    terms: list[Term] = [_letters(part, len(shape), spare, equation) for part, shape in zip(parts, shapes, strict=True)]
    hidden = max((term for term in ([t for t in term if t in spare] for term in terms)), key=len)
    every = [letter for term in terms for letter in term]
    if arrow:
        axes = len(right.replace("...", "")) + len(hidden) * ("..." in right)
        output: Term = _letters(right, axes, spare, equation)
    else:
        output = [*hidden, *sorted(t for t in every if t not in hidden and every.count(t) == 1)]
    for letter in output:
        if letter not in every:
            raise ValueError(f"einsum: equation: {letter!r} is in the output of {equation!r} and in no operand")
    if missing := [letter for letter in hidden if letter not in output]:
        raise ValueError(f"einsum: equation: expected ... in the output of {equation!r}, for {len(missing)} axes")
    sizes: dict[str, int] = {}
    for k, (term, shape) in enumerate(zip(terms, shapes, strict=True)):
        for letter, n in zip(term, shape, strict=True):
            known = sizes.get(letter, 1)
            if n != known and n != 1 and known != 1:
                raise ValueError(
                    f"einsum: operands[{k}]: expected size {known} of {letter!r} in {equation!r}, got shape {shape}"
                )
            sizes[letter] = known if n == 1 else n
    return terms, output, sizes


def _letters(part: str, ndim: int, spare: list[str], equation: str) -> list[str]:
    """A part of an equation as one letter for each axis; `...` becomes the last of `spare` that it needs."""
    named = part.replace("...", "", 1)
    if not (named.isascii() and (named.isalpha() or not named)) or len(set(named)) < len(named):
        raise ValueError(
            f"einsum: equation: expected letters, each once in a term, and at most one '...', got {part!r} "
            f"in {equation!r}"
        )
    hidden = ndim - len(named)
    if hidden < 0 or (hidden and named == part):
        raise ValueError(f"einsum: equation: expected {len(named)} axes for {part!r} in {equation!r}, got {ndim}")
    before, dots, after = part.partition("...")
    return [*before, *(reversed(spare[:hidden]) if dots else ()), *after]
