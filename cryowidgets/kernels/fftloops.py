"""Loops of the Fourier transforms on the host, made for several rows or columns at once.

A library of transforms takes one row after another, and uses a part of what a processor does at once. Here as many as
`lanes` has go abreast through Stockham's algorithm, of factors 2 to 5, 8 and, more slowly, any prime. Sixteen real rows
are eight complex ones. Planes hold real and imaginary parts apart.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cryowidgets.cpu import compiled
from cryowidgets.kernels.lanes import EVEN, ODD, Lanes, Memory, Place, Total, emitted, repeated, transposed

ROWS, COLUMNS = 16, 16
"""Real rows, and columns, that are transformed together."""

_TOGETHER = [0, 8, 1, 9, 2, 10, 3, 11], [4, 12, 5, 13, 6, 14, 7, 15]


class _Complex:
    """Eight complex numbers."""

    __slots__ = ("im", "re")

    def __init__(self, re: Lanes, im: Lanes) -> None:
        self.re, self.im = re, im

    def __add__(self, other: _Complex) -> _Complex:
        return _Complex(self.re + other.re, self.im + other.im)

    def __sub__(self, other: _Complex) -> _Complex:
        return _Complex(self.re - other.re, self.im - other.im)

    def __mul__(self, other: _Complex | float) -> _Complex:
        if isinstance(other, _Complex):
            return _Complex(self.re * other.re - self.im * other.im, self.re * other.im + self.im * other.re)
        return _Complex(self.re * other, self.im * other)


def _quarters(a: _Complex, b: _Complex) -> tuple[_Complex, _Complex]:
    """a − ib and a + ib."""
    return _Complex(a.re + b.im, a.im - b.re), _Complex(a.re - b.im, a.im + b.re)


def _of2(x: list[_Complex]) -> list[_Complex]:
    return [x[0] + x[1], x[0] - x[1]]


def _of3(x: list[_Complex]) -> list[_Complex]:
    both = x[1] + x[2]
    second, third = _quarters(x[0] + both * -0.5, (x[1] - x[2]) * math.sqrt(0.75))
    return [x[0] + both, second, third]


def _of4(x: list[_Complex]) -> list[_Complex]:
    even, odd = x[0] + x[2], x[1] + x[3]
    second, fourth = _quarters(x[0] - x[2], x[1] - x[3])
    return [even + odd, second, even - odd, fourth]


def _of5(x: list[_Complex]) -> list[_Complex]:
    c, s = [[f(2 * math.pi * i / 5) for i in (1, 2)] for f in (math.cos, math.sin)]
    near, far = x[1] + x[4], x[2] + x[3]
    a, b = x[1] - x[4], x[2] - x[3]
    second, fifth = _quarters(x[0] + near * c[0] + far * c[1], a * s[0] + b * s[1])
    third, fourth = _quarters(x[0] + near * c[1] + far * c[0], a * s[1] - b * s[0])
    return [x[0] + near + far, second, third, fourth, fifth]


def _of8(x: list[_Complex]) -> list[_Complex]:
    half = math.sqrt(0.5)
    even, odd = _of4(x[0::2]), _of4(x[1::2])
    one = _Complex((odd[1].re + odd[1].im) * half, (odd[1].im - odd[1].re) * half)
    three = _Complex((odd[3].im - odd[3].re) * half, (odd[3].re + odd[3].im) * -half)
    third, seventh = _quarters(even[2], odd[2])
    first, second, fourth = (even[0], odd[0]), (even[1], one), (even[3], three)
    low, high = [[f(*pair) for pair in (first, second, fourth)] for f in (_Complex.__add__, _Complex.__sub__)]
    return [low[0], low[1], third, low[2], high[0], high[1], seventh, high[2]]


def _butterfly(radix: int, turned: bool) -> Any:
    """Transform of `radix` elements for eight rows; all results but the first are multiplied with factors."""
    of = {2: _of2, 3: _of3, 4: _of4, 5: _of5, 8: _of8}[radix]

    def butterfly(
        xr: Memory, xi: Memory, x_at: Place, x_step: Place, yr: Memory, yi: Memory, y_at: Place, y_step: Place,
        wr: Memory, wi: Memory, w_at: Place,
    ) -> None:  # fmt: skip
        y = of([_Complex(xr.load(x_at + x_step * k), xi.load(x_at + x_step * k)) for k in range(radix)])
        for k, value in enumerate(y):
            if turned and k:
                value = value * _Complex(wr.constant(w_at + (k - 1)), wi.constant(w_at + (k - 1)))
            yr.store(y_at + y_step * k, value.re)
            yi.store(y_at + y_step * k, value.im)

    return emitted(butterfly)


_two, _three, _four, _five, _eight = (_butterfly(radix, True) for radix in (2, 3, 4, 5, 8))
_last_two, _last_three, _last_four, _last_five, _last_eight = (_butterfly(radix, False) for radix in (2, 3, 4, 5, 8))


@emitted
def _turn(rows: Memory, at: Place, step: Place, re: Memory, im: Memory, to: Place) -> None:
    """Sixteen elements of sixteen rows, so that those of a place lie together; a line of the cache is read at once."""
    for target, first in ((re, 0), (im, 8)):
        for part in (0, 8):
            lines = [rows.load(at + step * (first + i) + part) for i in range(8)]
            for j, lanes in enumerate(transposed(lines)):
                target.store(to + 8 * (part + j), lanes)


@emitted
def _turn_back(re: Memory, im: Memory, at: Place, rows: Memory, to: Place, step: Place, factor: Lanes) -> None:
    for source, first in ((re, 0), (im, 8)):
        for part in (0, 8):
            for j, lanes in enumerate(transposed([source.load(at + 8 * (part + i)) for i in range(8)])):
                rows.store(to + step * (first + j) + part, lanes * factor)


@emitted
def _part(zr: Memory, zi: Memory, at: Place, mirror: Place, re: Memory, im: Memory, to: Place, step: Place) -> None:
    """Sixteen elements of the transforms of sixteen real rows, from those of eight complex ones."""
    kinds = (
        (0, re, lambda z, m: z.re + m.re),
        (0, im, lambda z, m: z.im - m.im),
        (8, re, lambda z, m: z.im + m.im),
        (8, im, lambda z, m: m.re - z.re),
    )
    for first, target, of in kinds:
        for part in (0, 8):
            places = [8 * (part + j) for j in range(8)]
            z = [_Complex(zr.load(at + place), zi.load(at + place)) for place in places]
            m = [_Complex(zr.load(mirror + -place), zi.load(mirror + -place)) for place in places]
            values = [of(*pair) * 0.5 for pair in zip(z, m, strict=True)]
            for j, lanes in enumerate(transposed(values)):
                target.store(to + step * (first + j) + part, lanes)


@emitted
def _join(half: Memory, at: Place, step: Place, zr: Memory, zi: Memory, to: Place, mirror: Place) -> None:
    """The reverse of `_part`, from complex numbers in pairs."""
    parts = []
    for first in (0, 8):
        pairs = [(half.load(at + step * (first + i)), half.load(at + step * (first + i) + 8)) for i in range(8)]
        parts += [transposed([a.mixed(b, order) for a, b in pairs]) for order in (EVEN, ODD)]
    for j, (xr, xi, yr, yi) in enumerate(zip(*parts, strict=True)):
        zr.store(to + 8 * j, xr - yi)
        zi.store(to + 8 * j, xi + yr)
        zr.store(mirror + -8 * j, xr + yi)
        zi.store(mirror + -8 * j, yr - xi)


@emitted
def _pairs(re: Memory, im: Memory, at: Place, half: Memory, to: Place) -> None:
    """Eight complex numbers in pairs."""
    a, b = re.load(at), im.load(at)
    half.store(to, a.mixed(b, _TOGETHER[0]))
    half.store(to + 8, a.mixed(b, _TOGETHER[1]))


@emitted
def _unpaired(half: Memory, at: Place, re: Memory, im: Memory, to: Place) -> None:
    a, b = half.load(at), half.load(at + 8)
    re.store(to, a.mixed(b, EVEN))
    im.store(to, a.mixed(b, ODD))


@emitted
def _fold(
    xr: Memory, xi: Memory, at: Place, step: Place, half: Place, r: Place, parts: Memory,
    yr: Memory, yi: Memory, to: Place,
) -> None:  # fmt: skip
    """Sums and differences of elements j and r − j, four times eight numbers for each; the sum of all goes to y."""
    total_r, total_i = Total(xr.load(at)), Total(xi.load(at))
    with repeated(half) as i:
        low, high = at + step * (i + 1), at + step * (r + (i + 1) * -1)
        one, two = _Complex(xr.load(low), xi.load(low)), _Complex(xr.load(high), xi.load(high))
        both, apart = one + two, one - two
        for number, lanes in enumerate((both.re, both.im, apart.re, apart.im)):
            parts.store(i * 32 + 8 * number, lanes)
        total_r.add(both.re)
        total_i.add(both.im)
    yr.store(to, total_r.value)
    yi.store(to, total_i.value)


@emitted
def _wave(
    xr: Memory, xi: Memory, at: Place, half: Place, parts: Memory, cosine: Memory, sine: Memory, k: Place,
    yr: Memory, yi: Memory, near: Place, far: Place, wr: Memory, wi: Memory, near_w: Place, far_w: Place,
) -> None:  # fmt: skip
    """Results k and r − k, from what `_fold` made, times their factors."""
    even = Total(xr.load(at)), Total(xi.load(at))
    zero = xr.load(at) * 0.0
    odd = Total(zero), Total(zero)
    with repeated(half) as i:
        c, s = cosine.constant(k + i), sine.constant(k + i)
        for number, total in enumerate((*even, *odd)):
            total.add(parts.load(i * 32 + 8 * number) * (c if number < 2 else s))
    pair = _quarters(_Complex(even[0].value, even[1].value), _Complex(odd[0].value, odd[1].value))
    for value, to, w in zip(pair, (near, far), (near_w, far_w), strict=True):
        value = value * _Complex(wr.constant(w), wi.constant(w))
        yr.store(to, value.re)
        yi.store(to, value.im)


@compiled
def _prime(xr, xi, x_at, x_step, yr, yi, m, s, r, wr, wi, w, cosine, sine, turn):  # type: ignore[no-untyped-def]
    """A pass of any odd factor r, by its definition; the elements j and r − j go together."""
    half = r // 2
    parts = np.empty(32 * half, np.float32)
    for p in range(m):
        for q in range(0, s, 8):
            at, to = x_at + p * x_step + q, r * s * p + q
            _fold(xr, xi, at, m * x_step, half, r, parts, yr, yi, to)
            for k in range(1, half + 1):
                row, near_w = turn + (k - 1) * half, w + p * (r - 1) + k - 1
                near, far, far_w = to + k * s, to + (r - k) * s, w + p * (r - 1) + r - k - 1
                _wave(xr, xi, at, half, parts, cosine, sine, row, yr, yi, near, far, wr, wi, near_w, far_w)


@compiled
def _pass(xr, xi, x_at, x_step, yr, yi, m, s, r, wr, wi, w):  # type: ignore[no-untyped-def]
    """One of Stockham's passes: elements x_at + p·x_step + q, p < r·m and q < s, to all of y."""
    if m == 1:
        for q in range(0, s, 8):
            if r == 8:
                _last_eight(xr, xi, x_at + q, x_step, yr, yi, q, s, wr, wi, w)
            elif r == 4:
                _last_four(xr, xi, x_at + q, x_step, yr, yi, q, s, wr, wi, w)
            elif r == 5:
                _last_five(xr, xi, x_at + q, x_step, yr, yi, q, s, wr, wi, w)
            elif r == 3:
                _last_three(xr, xi, x_at + q, x_step, yr, yi, q, s, wr, wi, w)
            else:
                _last_two(xr, xi, x_at + q, x_step, yr, yi, q, s, wr, wi, w)
        return
    far = m * x_step
    for p in range(m):
        at, to = x_at + p * x_step, r * s * p
        if r == 8:
            for q in range(0, s, 8):
                _eight(xr, xi, at + q, far, yr, yi, to + q, s, wr, wi, w + 7 * p)
        elif r == 4:
            for q in range(0, s, 8):
                _four(xr, xi, at + q, far, yr, yi, to + q, s, wr, wi, w + 3 * p)
        elif r == 5:
            for q in range(0, s, 8):
                _five(xr, xi, at + q, far, yr, yi, to + q, s, wr, wi, w + 4 * p)
        elif r == 3:
            for q in range(0, s, 8):
                _three(xr, xi, at + q, far, yr, yi, to + q, s, wr, wi, w + 2 * p)
        else:
            for q in range(0, s, 8):
                _two(xr, xi, at + q, far, yr, yi, to + q, s, wr, wi, w + p)


@compiled
def _transform(xr, xi, x_at, x_step, s, ar, ai, br, bi, radices, wr, wi, cosines, sines):  # type: ignore[no-untyped-def]
    """Forward transforms of s sequences abreast, which lie x_step apart, by way of the buffers a and b; whether the
    result is in b. Where x is b, it is used up. With real and imaginary parts exchanged, they are inverse ones."""
    left = 1
    for r in radices:
        left *= r
    w, turn, from_x = 0, 0, True
    in_b = True  # where the next pass reads
    for r in radices:
        left //= r
        odd = r > 5 and r != 8
        sr, si = (xr, xi) if from_x else ((br, bi) if in_b else (ar, ai))
        at, step = (x_at, x_step) if from_x else (0, s)
        tr, ti = (ar, ai) if in_b else (br, bi)
        if odd:
            _prime(sr, si, at, step, tr, ti, left, s, r, wr, wi, w, cosines, sines, turn)
            turn += (r // 2) ** 2
        else:
            _pass(sr, si, at, step, tr, ti, left, s, r, wr, wi, w)
        w += left * (r - 1)
        s *= r
        in_b = not in_b
        from_x = False
    return in_b


@compiled
def rows(image, half, re, im, columns, factor, back, first, end, radices, wr, wi, cosines, sines):  # type: ignore[no-untyped-def]
    """Transforms of the groups `first` to `end` − 1 of sixteen rows of an image (y, x) float32.

    The first `columns` elements go to the planes `re` and `im`: (y, 16) float32 for one group of sixteen columns after
    another. Or `back` to the image, times `factor`, from pairs of numbers `half`, (y, 2 · columns) float32.
    """
    height, width = image.shape
    ar, ai = np.empty(8 * width + 8, np.float32), np.empty(8 * width + 8, np.float32)
    br, bi = np.empty(8 * width + 8, np.float32), np.empty(8 * width + 8, np.float32)
    from_r, from_i, to_r, to_i = (bi, br, ai, ar) if back else (br, bi, ar, ai)
    for g in range(first, end):
        y = min(ROWS * g, height - ROWS)
        if back:
            for k in range(0, columns - 7, 8):
                _join(half, 2 * (y * columns + k), 2 * columns, br, bi, 8 * k, 8 * (width - k))
            for k in range(columns - columns % 8, columns):
                for i in range(8):
                    a, b = half[y + i, 2 * k], half[y + i, 2 * k + 1]
                    c, d = half[y + 8 + i, 2 * k], half[y + 8 + i, 2 * k + 1]
                    br[8 * k + i], bi[8 * k + i] = a - d, b + c
                    br[8 * (width - k) + i], bi[8 * (width - k) + i] = a + d, c - b
            for i in range(8):  # what stands for itself is real
                br[i], bi[i] = half[y + i, 0], half[y + 8 + i, 0]
                if width % 2 == 0:
                    br[4 * width + i], bi[4 * width + i] = half[y + i, width], half[y + 8 + i, width]
        else:
            for x in range(0, width - 15, 16):
                _turn(image, y * width + x, width, br, bi, 8 * x)
            for x in range(width - width % 16, width):
                for i in range(8):
                    br[8 * x + i], bi[8 * x + i] = image[y + i, x], image[y + 8 + i, x]
        in_b = _transform(from_r, from_i, 0, 8, 8, to_r, to_i, from_r, from_i, radices, wr, wi, cosines, sines)
        zr, zi = (br, bi) if in_b else (ar, ai)
        if back:
            for x in range(0, width - 15, 16):
                _turn_back(zr, zi, 8 * x, image, y * width + x, width, factor)
            for x in range(width - width % 16, width):
                for i in range(8):
                    image[y + i, x], image[y + 8 + i, x] = zr[8 * x + i] * factor, zi[8 * x + i] * factor
        else:
            for i in range(8):
                zr[8 * width + i], zi[8 * width + i] = zr[i], zi[i]
            for k in range(0, columns, 16):
                _part(zr, zi, 8 * k, 8 * (width - k), re, im, k * height + COLUMNS * y, COLUMNS)


@compiled
def columns(re, im, height, half, out, low, back, first, end, radices, wr, wi, cosines, sines):  # type: ignore[no-untyped-def]
    """Transforms of the groups `first` to `end` − 1 of sixteen columns of planes, as `rows` made them.

    `out`, (rows, 2 · columns) float32, takes pairs of numbers: those of the first `low` rows, and the last of the rest.
    Or `back` from such pairs `half` of all rows, which may be `out`.
    """
    kept, width = out.shape[0], out.shape[1] // 2
    ar, ai = np.empty(COLUMNS * height, np.float32), np.empty(COLUMNS * height, np.float32)
    br, bi = np.zeros(COLUMNS * height, np.float32), np.zeros(COLUMNS * height, np.float32)
    to_r, to_i, other_r, other_i = (ai, ar, bi, br) if back else (ar, ai, br, bi)
    for g in range(first, end):
        x = COLUMNS * g
        whole = x + COLUMNS <= width
        from_r, from_i, at = (bi, br, 0) if back else (re, im, x * height)
        if back:
            for k in range(height):
                if whole:
                    _unpaired(half, 2 * (k * width + x), br, bi, COLUMNS * k)
                    _unpaired(half, 2 * (k * width + x) + 16, br, bi, COLUMNS * k + 8)
                else:
                    for j in range(width - x):
                        br[COLUMNS * k + j], bi[COLUMNS * k + j] = half[k, 2 * (x + j)], half[k, 2 * (x + j) + 1]
        in_b = _transform(
            from_r, from_i, at, COLUMNS, COLUMNS, to_r, to_i, other_r, other_i, radices, wr, wi, cosines, sines
        )
        zr, zi = (br, bi) if in_b else (ar, ai)
        for i in range(kept):
            k = i if i < low else height - kept + i
            if whole:
                _pairs(zr, zi, COLUMNS * k, out, 2 * (i * width + x))
                _pairs(zr, zi, COLUMNS * k + 8, out, 2 * (i * width + x) + 16)
            else:
                for j in range(width - x):
                    out[i, 2 * (x + j)], out[i, 2 * (x + j) + 1] = zr[COLUMNS * k + j], zi[COLUMNS * k + j]
