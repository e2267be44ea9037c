"""Exponentials, logarithms and hyperbolic functions out of plain arithmetic, written against the operations `m` of `simd`.

Doubles are good to about 2e-16 relative (tanh 4e-16), floats to 3e-7. Numbers that are not finite
behave as in libm; an exponential below the smallest normal number becomes 0.

Reduction: exp x = 2^n exp r with |r| <= ln2 / 2; log x = k ln2 + log m with m in [sqrt(1/2), sqrt(2)) and log m = 2 artanh(f / (2 + f)),
f = m - 1.
Polynomials interpolate at Chebyshev nodes; the rational tanh of floats minimises the largest relative error on |x| <= 8.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

INF, NAN = float("inf"), float("nan")
LOG2E, LN2 = 1.4426950408889634, 0.6931471805599453

EXP_DOUBLE = (
    *(2.510038549551032e-08, 2.7620088445409746e-07, 2.7557268459997064e-06, 2.4801521295954376e-05, 1.9841269863053618e-04),
    *(1.3888888917213717e-03, 8.333333333330062e-03, 4.166666666662413e-02, 1.6666666666666669e-01, 5.000000000000001e-01),
)
EXP_SINGLE = (0.0013926184037700295, 0.008363178931176662, 0.041666556149721146, 0.16666576266288757, 0.5)
LOG_DOUBLE = (
    *(
        0.1461916613488797,
        0.1533150161114533,
        0.18182895750119193,
        0.22222211043776857,
        0.2857142862653362,
        0.3999999999989827,
        0.666666666666667,
    ),
)
LOG_SINGLE = (0.23332762718200684, 0.28550735116004944, 0.4000012278556824, 0.6666666865348816)
TANH_ABOVE = (
    *(-1.1618584241403218e-13, 6.383388956310299e-11, -2.234704155057443e-08, 1.1649722182482947e-05, 3.1500293407589197e-03),
    0.13124936819076538,
)
TANH_BELOW = (0.00026139593683183193, 0.024677623063325882, 0.4645826816558838, 1.0)
ERF_DOUBLE = (
    *(
        9.175644002177498e-09,
        -1.5060570810667498e-07,
        1.628281593597918e-06,
        -1.4909991105841154e-05,
        0.0001205443939769876,
    ),
    *(
        -0.000854829373557984,
        0.0052239768370635,
        -0.026866170533176165,
        0.11283791670103809,
        -0.3761263890315646,
    ),
    *(1.1283791670955106,),
)
ERF_SINGLE = (
    *(
        7.875874871388078e-05,
        -0.000801686430349946,
        0.005189087241888046,
        -0.02685421146452427,
        0.11283594369888306,
    ),
    *(
        -0.3761262595653534,
        1.1283791065216064,
    ),
)
ERFC_DOUBLE = (
    *(
        1.6324398322542574e-06,
        -4.181403528850513e-05,
        -5.9937717793264705e-06,
        0.00015350495321707198,
        0.00020682687952840582,
    ),
    *(
        -0.0004547321555020298,
        -0.0014568264590208168,
        0.0012713683582095427,
        0.008722653197975426,
        -0.008034016158999208,
    ),
    *(
        -0.05422000095127603,
        0.16405128005047653,
        -0.16603039761580868,
        -0.09276382658582398,
        1.27697838155253,
    ),
)
ERFC_SINGLE = (
    *(
        -0.0016025499207898974,
        0.0011955249356105924,
        0.00876291561871767,
        -0.008031505160033703,
        -0.054223060607910156,
    ),
    *(
        0.1640513688325882,
        -0.16603031754493713,
        -0.09276382625102997,
        1.2769783735275269,
    ),
)
LN2_DOUBLE = (0.693147180369123816490, 1.90821492927058770002e-10)
LN2_SINGLE = (0.693147182464599609375, -1.90465421e-09)
"""ln 2 as a short number, whose products with exponents are exact or nearly so, and a rest."""


def _polynomial(m: Any, x: Any, coefficients: Sequence[float]) -> Any:
    """Horner's rule, highest power first."""
    out = coefficients[0]
    for c in coefficients[1:]:
        out = m.fma(out, x, c)
    return out


def _reduced(m: Any, x: Any, low: float) -> tuple[Any, Any]:
    """exp r - 1 and the number whose low bits hold n, for x clamped to [low, overflow]."""
    high = 88.8 if m.single else 709.79
    y = m.choose(high, x, high, m.choose(x, low, low, x))
    magic = 1.5 * 2.0 ** (23 if m.single else 52)
    t = m.fma(y, LOG2E, magic)
    n = m.sub(t, magic)
    first, rest = LN2_SINGLE if m.single else LN2_DOUBLE
    r = m.fma(n, -rest, m.fma(n, -first, y))
    return m.fma(m.mul(r, r), _polynomial(m, r, EXP_SINGLE if m.single else EXP_DOUBLE), r), t


def exp(m: Any, x: Any) -> Any:
    """e^x."""
    low = -87.33 if m.single else -708.39
    p, t = _reduced(m, x, low)
    return m.choose(x, low, 0.0, m.mul(m.scaled(m.add(p, 1.0), t), 2.0))


def expm1(m: Any, x: Any) -> Any:
    """e^x - 1, accurate near 0."""
    p, t = _reduced(m, x, -60.0)
    s = m.scaled(1.0, t)
    return m.mul(m.fma(s, p, m.sub(s, 0.5)), 2.0)


def log(m: Any, x: Any) -> Any:
    """Natural logarithm."""
    small, zero, lift = (1.1754943508222875e-38, 1e-45, 25.0) if m.single else (2.2250738585072014e-308, 5e-324, 54.0)
    y = m.choose(x, small, m.mul(x, 2.0**lift), x)
    k = m.add(m.exponent(y), m.choose(x, small, -lift, 0.0))
    f = m.sub(m.mantissa(y), 1.0)
    s = m.div(f, m.add(f, 2.0))
    z = m.mul(s, s)
    h = m.mul(m.mul(f, f), 0.5)
    first, rest = LN2_SINGLE if m.single else LN2_DOUBLE
    series = m.fma(z, _polynomial(m, z, LOG_SINGLE if m.single else LOG_DOUBLE), h)
    value = m.fma(k, first, m.sub(f, m.sub(h, m.fma(k, rest, m.mul(s, series)))))
    return m.choose(0.0, x, m.choose(x, INF, value, x), m.choose(m.magnitude(x), zero, -INF, NAN))


def tanh(m: Any, x: Any) -> Any:
    """Hyperbolic tangent."""
    if m.single:
        y = m.choose(8.0, x, 8.0, m.choose(x, -8.0, -8.0, x))
        z = m.mul(y, y)
        return m.div(m.fma(m.mul(_polynomial(m, z, TANH_ABOVE), z), y, y), _polynomial(m, z, TANH_BELOW))
    a = m.magnitude(x)
    e = expm1(m, m.mul(m.choose(22.0, a, 22.0, a), -2.0))
    return m.copysign(m.div(e, m.add(e, 2.0)), x)


def minimum(m: Any, a: Any, b: Any) -> Any:
    """The smaller one; `a` where it is not a number."""
    return m.choose(b, a, b, a)


def maximum(m: Any, a: Any, b: Any) -> Any:
    """The larger one; `a` where it is not a number."""
    return m.choose(a, b, b, a)


def log10(m: Any, x: Any) -> Any:
    """Decimal logarithm."""
    return m.mul(log(m, x), 0.4342944819032518)


def log1p(m: Any, x: Any) -> Any:
    """log(1 + x), accurate near 0: the rounding error of 1 + x is put back to first order."""
    u = m.add(x, 1.0)
    lost = m.div(m.sub(x, m.sub(u, 1.0)), u)
    return m.add(log(m, u), m.choose(m.magnitude(lost), INF, lost, 0.0))


def sigmoid(m: Any, x: Any) -> Any:
    """1 / (1 + e^-x)."""
    return m.div(1.0, m.add(exp(m, m.mul(x, -1.0)), 1.0))


def softplus(m: Any, x: Any) -> Any:
    """log(1 + e^x)."""
    return m.add(maximum(m, x, 0.0), log1p(m, exp(m, m.mul(m.magnitude(x), -1.0))))


def asinh(m: Any, x: Any) -> Any:
    """Inverse hyperbolic sine: log1p(a + a^2 / (1 + sqrt(1 + a^2))), or log(2 a) where a = abs(x) is large."""
    a = m.magnitude(x)
    c = m.choose(1e9, a, 0.0, a)
    near = m.add(c, m.div(m.mul(c, c), m.add(m.sqrt(m.fma(c, c, 1.0)), 1.0)))
    value = log1p(m, m.choose(1e9, a, m.sub(a, 1.0), near))
    return m.copysign(m.add(value, m.choose(1e9, a, LN2, 0.0)), x)


def erf(m: Any, x: Any) -> Any:
    """The error function: x P(x^2) up to 1, above it 1 - e^(-a^2) Q(t) / (1 + 2 a) with t = (a - 2) / (a + 2)."""
    a = m.choose(6.2, m.magnitude(x), 6.2, m.magnitude(x))
    z = m.mul(a, a)
    near = m.mul(a, _polynomial(m, z, ERF_SINGLE if m.single else ERF_DOUBLE))
    tail = _polynomial(m, m.div(m.sub(a, 2.0), m.add(a, 2.0)), ERFC_SINGLE if m.single else ERFC_DOUBLE)
    far = m.sub(1.0, m.div(m.mul(exp(m, m.mul(z, -1.0)), tail), m.fma(a, 2.0, 1.0)))
    return m.copysign(m.choose(a, 1.0, near, far), x)


def less(m: Any, a: Any, b: Any) -> Any:
    """1 where a < b, else 0."""
    return m.choose(a, b, 1.0, 0.0)


def same(m: Any, a: Any, b: Any) -> Any:
    """1 where a = b, else 0."""
    return m.equal(a, b, 1.0, 0.0)


def most(m: Any, a: Any, b: Any) -> Any:
    """1 where a <= b, else 0."""
    return m.choose(a, b, 1.0, same(m, a, b))


def power(m: Any, x: Any, p: Any) -> Any:
    """x^p of a positive x for any p."""
    return exp(m, m.mul(log(m, x), p))
