"""Cross-entropy: a team of threads has a row; one pass finds its loss, a second one writes the gradient.

In the first pass a thread's sums are relative to the largest score that it has seen, as in softmax.py. The gradient may
be written over the logits. What "mean" divides by is found on the GPU too, so that no array is read by the host; a
target that is no id makes its row NaN.
"""

import math
from functools import lru_cache
from typing import Any, NamedTuple

from numba import cuda
from numba.cuda import int64

from ..signature import ONE
from .block import block_sum, larger
from .elementwise import mul
from .ids import checked
from .kernel import accumulator, kernel, primitive
from .maths import exp, expm1, log1p
from .pointwise import contiguous
from .ptx import VECTOR, load, store
from .runtime import empty
from .softmax import base_of, exponentials
from .teams import (
    THREADS,
    WARP,
    begin,
    constant,
    grid,
    is_aligned,
    joins,
    minus,
    number,
    plus,
    read,
    row_of,
    steps,
    sum_of,
    times,
    top_of,
    within,
    write,
)

_SHORT = 1024  # columns of a row that a warp takes
_MANY = 1024  # threads of the one block that adds what rows have found


class Options(NamedTuple):
    """What a row's loss depends on beside logits and targets."""

    class_weight: Any
    ignore_index: int
    label_smoothing: float
    z_loss: float
    softcap: float | None


class Scale(NamedTuple):
    """What gradients are multiplied by: a number, divided by one on the GPU if there is one, times one of each row."""

    factor: float = 1.0
    divisor: Any = None
    of_rows: Any = None


def cross_entropy(
    logits,
    targets,
    weight=None,
    ignore_index=-100,
    reduction="mean",
    label_smoothing=0.0,
    z_loss=0.0,
    softcap=None,
    save=False,
):
    options = Options(weight, ignore_index, label_smoothing, z_loss, softcap)
    targets = prepared("cross_entropy: targets", targets, logits.shape[1], ignore_index)
    scale = mean_scale(targets, options, logits.dtype) if reduction == "mean" else Scale()
    losses = empty(len(targets), accumulator(logits.dtype))
    dlogits = empty(logits.shape, logits.dtype) if save else None
    cross_entropy_rows(losses, dlogits, contiguous(logits), targets, options, scale)
    return reduced(losses, reduction, scale), dlogits


def cross_entropy_backward(dloss, dlogits):
    return dlogits if dloss is ONE else mul(dlogits, contiguous(dloss).reshape(-1, 1))


def prepared(name: str, targets: Any, classes: int, ignore_index: int) -> Any:
    """Targets as the kernels take them: int64 ids, or probabilities."""
    return contiguous(targets) if targets.ndim == 2 else checked(name, targets, classes, ignore_index)[0]


def mean_scale(targets: Any, options: Options, dtype: Any) -> Scale:
    """1 over what "mean" divides by."""
    if targets.ndim == 2:
        return Scale(1 / max(1, len(targets)))
    weight = None if options.class_weight is None else contiguous(options.class_weight)
    divisor = empty(1, accumulator(dtype))
    if weight is None:
        _count_kernel(1, divisor, targets, len(targets), options.ignore_index, is_aligned(0, targets))
    else:
        sizes = len(targets), len(weight), options.ignore_index, is_aligned(0, targets)
        _weight_kernel(1, divisor, weight, targets, *sizes)
    return Scale(1.0, divisor)


def reduced(losses: Any, reduction: str, scale: Scale) -> Any:
    """The loss that is returned, of those of the rows."""
    if reduction == "none":
        return losses
    loss = empty((), losses.dtype)
    _reduce_kernel(1, loss, losses, scale.divisor, len(losses), scale.factor, scale.divisor is not None)
    return loss


def cross_entropy_rows(losses: Any, dlogits: Any, logits: Any, targets: Any, options: Options, scale: Scale) -> None:
    """losses = each row's loss, dlogits = its gradient times the scale, both 0 for ignored rows.

    targets are from `prepared`; dlogits may be `logits` itself, uint16 of bfloat16, or None where none is wanted.
    """
    rows, columns = logits.shape
    if not rows:
        return
    class_weight, ignore_index, smoothing, z_loss, softcap = options
    class_weight = None if class_weight is None else contiguous(class_weight)
    is_soft = targets.ndim == 2
    ids, probabilities = (None, targets) if is_soft else (targets, None)
    team = WARP if columns <= _SHORT else THREADS
    traits = is_soft, is_soft or smoothing > 0, class_weight is not None, softcap is not None
    rounds = dlogits is not None and dlogits.dtype != logits.dtype
    numbers = 1 - smoothing, smoothing / max(1, columns), z_loss, softcap or 0.0, scale.factor
    aligned = is_aligned(columns, dlogits, logits, probabilities, class_weight)
    given = dlogits is not None, scale.divisor is not None, scale.of_rows is not None
    _rows_kernel(team, traits, rounds)(
        grid(rows, team),
        logits,
        losses,
        dlogits,
        ids,
        probabilities,
        class_weight,
        scale.divisor,
        scale.of_rows,
        rows,
        columns,
        ignore_index,
        *numbers,
        aligned,
        *given,
    )


@primitive
def _tanh(x):
    """tanh x, and its slope 1 − tanh² x = 4s (1 − s), s = 1 / (1 + exp 2|x|), in which nothing cancels."""
    one, two, most = type(x)(1), type(x)(2), type(x)(80)  # exp(most) is finite
    z = two * abs(x)
    more = expm1(most if z > most else z)
    s = one / (two + more)
    return math.copysign(more * s, x), type(x)(0) if z > most else type(x)(4) * s * (one - s)


@primitive
def _capped(x, cap):
    return cap * _tanh(x / cap)[0]


@primitive
def _slope(x, cap):
    return _tanh(x / cap)[1]


@primitive
def _but(v, j, column, x):
    """Four numbers from column j on, with x in another one's place."""
    return (
        x if j == column else v[0],
        x if j + 1 == column else v[1],
        x if j + 2 == column else v[2],
        x if j + 3 == column else v[3],
    )


@primitive
def _weighed(score, mass):
    """mass · score; 0 where mass is 0 and score -inf."""
    return mass if mass == type(mass)(0) else mass * score


@lru_cache(None)
def _rows_kernel(team, traits, rounds):
    """The kernel of all options, of which it has what `traits` says: probabilities, mass in all classes, class weights,
    softcap.

    A class has the mass m = class_weight · (sharp · probability + even), and a target `own` on top. A sum without the
    target's exponential is kept, because 1 − p of a target is that sum's share, and would be lost in 1 − p.
    """
    is_soft, is_spread, is_weighted, is_capped = traits
    total_of, largest_of = joins(team)
    gradient = "u2*" if rounds else "T*"
    words = ["probabilities", "spread", "weighted", "capped"]
    name = "-".join(["rows", str(team), *(w for w, is_there in zip(words, traits, strict=True) if is_there)])

    @primitive
    def scores(logits, at, j, columns, aligned, cap):
        lowest = number(logits, -math.inf)
        v = read(logits, at, j, columns, aligned, lowest)
        if is_capped:
            v = _capped(v[0], cap), _capped(v[1], cap), _capped(v[2], cap), _capped(v[3], cap)
            v = within(v, j, columns, lowest)
        return v

    @primitive
    def masses(probabilities, class_weight, at, j, columns, aligned, sharp, even):
        m = constant(even)
        if is_soft:
            q = read(probabilities, at, j, columns, aligned, type(even)(0))
            m = plus(m, times(q, constant(sharp)))
        if is_weighted:
            m = times(m, read(class_weight, 0, j, columns, aligned, type(even)(0)))
        return within(m, j, columns, type(even)(0))

    @kernel(
        f"T* A* {gradient} <- i8* T* T* A* T* i8 i8 i8 A A A A A ? ? ? ?",
        threads=THREADS,
        name=name + "-rounded" * rounds,
    )
    def rows_kernel(
        logits,
        losses,
        dlogits,
        ids,
        probabilities,
        class_weight,
        divisor,
        of_rows,
        rows,
        columns,
        ignore_index,
        sharp,
        even,
        z_loss,
        cap,
        factor,
        aligned,
        has_gradient,
        has_divisor,
        has_factors,
    ):
        row = row_of(team)
        if row >= rows:
            return
        at = row * columns
        zero, one, lowest = number(logits, 0), number(logits, 1), number(logits, -math.inf)
        target, own, r, score = int64(-1), zero, one, lowest
        if not is_soft:
            target = load(ids, row)
            is_ignored = target == ignore_index
            if is_ignored or target < 0 or target >= columns:
                filler = zero if is_ignored else number(logits, math.nan)
                store(losses, row, filler)
                if has_gradient:
                    for k in range(steps(columns, team, 0)):
                        write(dlogits, at, begin(team, k), columns, aligned, constant(filler))
                return
            if is_weighted:
                r = load(class_weight, target)
            own = r * sharp
            score = load(logits, at + target)
            if is_capped:
                score = _capped(score, cap)
        top, others, mass, dot = lowest, zero, zero, zero
        for k in range(steps(columns, team, 0)):
            j = begin(team, k)
            v = scores(logits, at, j, columns, aligned, cap)
            new = larger(top, top_of(v))
            base = base_of(new)
            d = minus(v, constant(base))
            e = exponentials(d)
            others = others * exp(top - base) + sum_of(e if is_soft else _but(e, j, target, zero))
            if is_spread:
                m = masses(probabilities, class_weight, at, j, columns, aligned, sharp, even)
                dot += mass * (base_of(top) - base)
                dot += sum_of((_weighed(d[0], m[0]), _weighed(d[1], m[1]), _weighed(d[2], m[2]), _weighed(d[3], m[3])))
                mass += sum_of(m)
            top = new
        highest = largest_of(top)
        others = total_of(others * exp(top - highest))
        if is_spread:
            dot = total_of(dot + mass * (base_of(top) - highest))
            mass = total_of(mass)
        total = others if is_soft else others + exp(score - highest)
        rest = log1p(others if score == highest else total - one)
        lse = highest + rest
        loss = z_loss * r * lse * lse
        if own != zero:
            loss += own * (rest - (score - highest))
        if is_spread:
            loss += mass * rest - dot
        if begin(team, 0) == 0:
            store(losses, row, loss)
        if not has_gradient:
            return
        if has_divisor:
            factor /= load(divisor, 0)
        if has_factors:
            factor *= load(of_rows, row)
        cuda.syncwarp()  # all have read the target's logit before it is written over
        more = mass + z_loss * r * lse * number(logits, 2)
        inverse = one / total
        share = (own + more) * inverse
        for k in range(steps(columns, team, 0)):
            j = begin(team, k)
            v = scores(logits, at, j, columns, aligned, cap)
            e = exponentials(minus(v, constant(highest)))
            g = times(e, constant(share))
            if not is_soft:
                g = _but(g, j, target, (more * exp(score - highest) - own * others) * inverse)
            if is_spread:
                g = minus(g, masses(probabilities, class_weight, at, j, columns, aligned, sharp, even))
            if is_capped:
                x = read(logits, at, j, columns, aligned, zero)
                g = times(g, (_slope(x[0], cap), _slope(x[1], cap), _slope(x[2], cap), _slope(x[3], cap)))
            write(dlogits, at, j, columns, aligned, times(g, constant(factor)))

    return rows_kernel


@primitive
def _all_threads(k):
    """The first of four elements of this thread in round k of the only block."""
    return int64(VECTOR) * (int64(k) * int64(_MANY) + int64(cuda.threadIdx.x))


@primitive
def _rounds(count):
    return (count + VECTOR * _MANY - 1) // (VECTOR * _MANY)


@kernel("T* <- i8* i8 i8 ?", threads=_MANY)
def _count_kernel(divisor, ids, rows, ignore_index, aligned):
    """divisor = how many ids are not ignored, but 1 if none."""
    zero, one = number(divisor, 0), number(divisor, 1)
    count = zero
    for k in range(_rounds(rows)):
        for i in read(ids, 0, _all_threads(k), rows, aligned, ignore_index):
            count += zero if i == ignore_index else one
    count = block_sum(count)
    if cuda.threadIdx.x == 0:
        store(divisor, 0, one if count == zero else count)


@kernel("A* <- T* i8* i8 i8 i8 ?", threads=_MANY)
def _weight_kernel(divisor, weight, ids, rows, classes, ignore_index, aligned):
    """divisor = the weight of the ids that are not ignored, but 1 if it is 0."""
    zero, one = number(divisor, 0), number(divisor, 1)
    total = zero
    for k in range(_rounds(rows)):
        for i in read(ids, 0, _all_threads(k), rows, aligned, ignore_index):
            if i != ignore_index and i >= 0 and i < classes:
                total += load(weight, i)
    total = block_sum(total)
    if cuda.threadIdx.x == 0:
        store(divisor, 0, one if total == zero else total)


@kernel("T* <- T* T* i8 T ?", threads=_MANY)
def _reduce_kernel(loss, losses, divisor, rows, factor, has_divisor):
    """The sum of the rows' losses, times the scale."""
    zero = number(losses, 0)
    total = zero
    for k in range(_rounds(rows)):
        total += sum_of(read(losses, 0, _all_threads(k), rows, True, zero))
    total = block_sum(total) * factor
    if has_divisor:
        total /= load(divisor, 0)
    if cuda.threadIdx.x == 0:
        store(loss, 0, total)
