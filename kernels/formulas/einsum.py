"""Einstein's summation: operands are multiplied from left to right, as stacks of matrices where a letter is summed."""

from math import prod

import numpy as np

from ..device import cast
from ..ops.einsum import gradients, parse, squeezed
from .copies import assign
from .elementwise import mul
from .matmul import matmul
from .pointwise import empty
from .reduce import sum as reduce_sum


def einsum(operands, equation):
    terms, out, sizes = parse(equation, [x.shape for x in operands])
    dtype = np.result_type(*(x.dtype for x in operands))
    pieces = [squeezed(term, cast(x, dtype)) for term, x in zip(terms, operands, strict=True)]
    kept = [letter for letter in out if sizes[letter] != 1]
    found = _contract(pieces, kept).reshape([sizes[letter] for letter in out])
    if len(operands) > 1:
        return found
    out = empty(found.shape, dtype)  # not a view of the operand
    assign(out, found)
    return out


def einsum_backward(dout, operands, equation):
    operands = [cast(x, dout.dtype) for x in operands]
    return gradients(dout, operands, equation, _contract)


def _contract(pieces, out):
    """The sum of products of (letters, array), equal letters of equal sizes, over what is not in `out`."""
    (term, x), *rest = pieces
    while rest:
        (other, y), *rest = rest
        kept = {*out, *(letter for later, _ in rest for letter in later)}
        term, x = _multiply(*_summed(term, x, {*kept, *other}), *_summed(other, y, {*kept, *term}), kept)
    term, x = _summed(term, x, out)
    return x.transpose([term.index(letter) for letter in out])


def _multiply(a_term, a, b_term, b, kept):
    """The product of two arrays, over letters that both have and that are not kept."""
    batch = [letter for letter in a_term if letter in b_term and letter in kept]
    inner = [letter for letter in a_term if letter in b_term and letter not in kept]
    left = [letter for letter in a_term if letter not in b_term]
    right = [letter for letter in b_term if letter not in a_term]
    if inner:
        x = matmul(_grouped(a_term, a, batch, left, inner), _grouped(b_term, b, batch, inner, right))
    else:
        x = mul(_grouped(a_term, a, batch, left, []), _grouped(b_term, b, batch, [], right))
    sizes = dict(zip([*a_term, *b_term], [*a.shape, *b.shape], strict=True))
    term = [*batch, *left, *right]
    return term, x.reshape([sizes[letter] for letter in term])


def _grouped(term, x, *groups):
    """x with an axis for each group of its letters."""
    sizes = dict(zip(term, x.shape, strict=True))
    order = [term.index(letter) for group in groups for letter in group]
    return x.transpose(order).reshape([prod(sizes[letter] for letter in group) for group in groups])


def _summed(term, x, kept):
    """Without the letters that are not kept, summed."""
    dims = tuple(k for k, letter in enumerate(term) if letter not in kept)
    if dims:
        x = reduce_sum(x, dims, False)
    return [letter for letter in term if letter in kept], x
