"""erf and the tail of the normal distribution, branch-free as in maths.py.

Everything comes from the tail erfc(a) / 2 = exp(-a**2) M(a), a >= 0, where M is a polynomial in u = 1 / (1 + c a): the
interpolant, made in 60 digits at Chebyshev's points, of erfc(a) exp(a**2) / 2 up to a = 6 (float32) or 12. The tail
errs by less than 7e-9 or 1e-17, far out by a relative 2e-5 or 1e-10; near 0, where 1 - 2 tail cancels, erf is its
Taylor series.
"""

import math

import numpy as np

from .kernel import primitive
from .maths import by_format, decay
from .simd import horner

_M_SINGLE = tuple(
    map(
        np.float32,
        (
            *(0.01191923532, -0.02580335615, -0.05464211162, 0.1614054598, -0.04703387626),
            *(0.1367673904, 0.08971829243, 0.1149671845, 0.1127017881),
        ),
    )
)
_M_DOUBLE = (
    *(0.0008860205171291872, -0.009174857568129876, 0.04113224211380587, -0.09933365175832057, 0.1169827648003843),
    *(0.03077813427548009, -0.3667597813860053, 0.6983245916697214, -0.8009678551942754, 0.6646844674420358),
    *(-0.42497561890546254, 0.2006622222025058, -0.08277265775695691, 0.03312497905373765, 0.018290532904750696),
    *(0.04496554468648185, 0.06339332709997378, 0.08060872725872745, 0.09268445539852581, 0.09873323730849072),
    *(0.09873317583740028, 0.0),
)


@primitive
def _m_single(u):
    """The terms are added in pairs, because waiting for each other takes longer than they do."""
    m9, m8, m7, m6, m5, m4, m3, m2, m1 = _M_SINGLE
    square = u * u
    low = (m1 + m2 * u) + square * (m3 + m4 * u)
    high = (m5 + m6 * u) + square * (m7 + m8 * u)
    square *= square
    return (low + square * (high + square * m9)) * u


@primitive
def _m_double(u):
    return horner(u, _M_DOUBLE)


def _make(f, c, m, terms):
    """The tail and erf for one format; `terms` of the series of erf(a) / a are enough up to 1."""
    c, one, two = f(c), f(1), f(2)
    series = [2 / math.sqrt(math.pi) * (-1) ** k / (math.factorial(k) * (2 * k + 1)) for k in range(terms)]
    series = tuple(map(f, [*reversed(series[1:]), series[0] - 1]))

    @primitive
    def tail_of(x):
        e = decay(x * x)
        return e, e * m(one / (one + c * x))

    @primitive
    def erf(x):
        a = abs(x)
        _, t = tail_of(a)
        near, far = a + a * horner(a * a, series), one - two * t
        return math.copysign(far if a > one else near, x)

    return tail_of, erf


def tail(x):
    """exp(-x**2) and erfc(x) / 2, for x >= 0."""
    return math.exp(-x * x), math.erfc(x) / 2


def erf(x):
    """The error function, at most 2 ulp."""
    return math.erf(x)


_FORMATS = _make(np.float32, 0.4, _m_single, 11), _make(np.float64, 0.35, _m_double, 19)
for stub, single, double in zip((tail, erf), *_FORMATS, strict=True):
    by_format(stub, single, double)
