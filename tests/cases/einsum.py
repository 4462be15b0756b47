from math import prod

import numpy as np

from .case import EDGES, Bad, Case, Sample, normal

A, B = normal(2, 3), normal(3, 4)


def _samples():
    yield Sample([A, B], "ij,jk->ik")
    yield Sample([A, B], "ij,jk")
    yield Sample([A, normal(4, 3)], " i j , k j -> k i ")
    yield Sample([A], "ij->ji")
    yield Sample([A], "ij->")
    yield Sample([A], "ij->j")
    yield Sample([A, normal(2)], "ij,i->")
    yield Sample([normal(3), normal(4)], "i,j->ji")
    yield Sample([A, A], "ij,ij->ij")
    yield Sample([normal(2, 3, 4), normal(2, 4, 5)], "bij,bjk->bik")
    yield Sample([normal(2, 3, 2, 4), normal(2, 5, 2, 4)], "bthd,bshd->bhts")
    yield Sample([normal(2, 3, 4), normal(1, 4, 5)], "bij,bjk->bik")
    yield Sample([normal(1, 3), normal(1, 1)], "ij,ji->")
    yield Sample([normal(2, 3, 4), normal(4, 5)], "...j,jk->...k")
    yield Sample([normal(2, 1, 4), normal(3, 4)], "...j,...j->...")
    yield Sample([normal(2, 3, 4), normal(3, 1)], "b...,...")
    yield Sample([A, B, normal(4, 2)], "ij,jk,ki->")
    yield Sample([A, B, normal(4, 5), normal(5)], "ab,bc,cd,d->a")
    yield Sample([normal(0, 3), B], "ij,jk->ik")
    yield Sample([normal(2, 0), normal(0, 4)], "ij,jk->ik")
    for n in EDGES:
        yield Sample([normal(5, n, 2), normal(n, 2, 3)], "anb,nbc->ac")
    yield Sample([normal(63, 1000), normal(1000, 63)], "ij,jk->ik")


def _operations(operands, equation):
    terms = equation.partition("->")[0].split(",")
    sizes = {c: n for x, term in zip(operands, terms, strict=True) for c, n in zip(term, x.shape, strict=True)}
    return 2 * prod(sizes.values()), 4 * prod(sizes.values())


CASES = {
    "einsum": Case(
        samples=_samples,
        bad=[
            Bad(ValueError, "einsum: equation: expected 2 operands for 'ij,jk', got 1", [A], "ij,jk"),
            Bad(ValueError, "operands[1]: expected size 3 of 'j' in 'ij,jk', got shape (2, 3)", [A, A], "ij,jk"),
            Bad(ValueError, "expected letters, each once in a term, and at most one '...', got 'ii'", [A], "ii->i"),
            Bad(ValueError, "got 'i.j' in 'i.j->ij'", [A], "i.j->ij"),
            Bad(ValueError, "expected 3 axes for 'ijk' in 'ijk', got 2", [A], "ijk"),
            Bad(ValueError, "expected 1 axes for 'i' in 'i->i', got 2", [A], "i->i"),
            Bad(ValueError, "'k' is in the output of 'ij->k' and in no operand", [A], "ij->k"),
            Bad(ValueError, "expected ... in the output of '...i->i', for 1 axes", [A], "...i->i"),
            Bad(TypeError, "einsum: equation: expected text such as 'ij,jk->ik', got 3", [A], 3),
            Bad(
                TypeError,
                "einsum: operands[0]: expected float32, float64 or bfloat16, got int64",
                [np.ones(2, int)],
                "i",
            ),
        ],
        bench=lambda: [
            Sample([normal(256, 768), normal(768, 12, 64)], "nc,chd->hnd"),
            Sample([normal(4, 256, 12, 64), normal(4, 256, 12, 64)], "bthd,bshd->bhts"),
        ],
        torch=lambda torch, operands, equation: torch.einsum(equation, *operands),
        operations=_operations,
        ulps=30,  # as matmul
    ),
}
