"""The loop of the CTF refinement, compiled for the host; `ctfrefine._Fit` has the same as arrays."""

from __future__ import annotations

import math

import numpy as np

from cryowidgets.cpu import compiled


@compiled
def waves(twice, power, cosine, sine, falls):  # type: ignore[no-untyped-def]
    """Cosine and sine of `twice`, and the exponential function of `power`, of each element; all (elements,) float64.

    By series, after quarters of a turn and a factor of 2 ** 10 have been taken off: that is arithmetic only, which a
    processor does for several elements at once, where a library is called for each. Waves are right to 1e-11, and the
    exponential function to 1e-8 of itself from -100 to 10.
    """
    for i in range(len(twice)):
        quarters = math.floor(twice[i] * (2 / math.pi) + 0.5)
        x = twice[i] - quarters * (0.5 * math.pi)
        z = x * x
        s = 1 + z * (-1 / 6 + z * (1 / 120 + z * (-1 / 5040 + z * (1 / 362880 + z * (-1 / 39916800)))))
        c = 1 + z * (-1 / 2 + z * (1 / 24 + z * (-1 / 720 + z * (1 / 40320 + z * (-1 / 3628800 + z / 479001600)))))
        s *= x
        which = quarters & 3
        a, b = (s, c) if which & 1 else (c, s)
        cosine[i] = -a if which == 1 or which == 2 else a
        sine[i] = -b if which >= 2 else b
        y = power[i] / 1024
        e = 1 + y * (1 + y * (1 / 2 + y * (1 / 6 + y * (1 / 24 + y * (1 / 120 + y * (1 / 720))))))
        for _ in range(10):
            e *= e
        falls[i] = e


@compiled
def normal(p, y, weight, rate, base, k2, cos2, sin2, seen, smooth, ends, light, deep, matrix, right, means, left):  # type: ignore[no-untyped-def]
    """Normal equations and cost of the refinement at parameters `p`; all arrays float64 but for `ends` (int64).

    Parameters
    ----------
    p : (parameters,)
        d, a, b, phase (rad), B, scale, thickness and the offsets.
    y, weight, rate, base, k2, cos2, sin2, seen : (elements,)
        Spectrum; weight; change of 2χ with defocus, and 2χ without any; where elements lie; attenuation.
    smooth : (circles, offsets)
    ends : (circles,)
        Where each circle ends.
    light : (elements,)
        As of `ctfcircles.Circles`.
    deep : bool
        Whether the specimen has a thickness.
    matrix, right : (parameters, parameters), (parameters,)
        Overwritten. Of the matrix, only the lower triangle is.
    means, left : (circles, parameters), (circles,)
        Overwritten by the means, as of `ctfcircles.Circles`, of the derivatives and of what the model leaves.

    Returns
    -------
    float
        The cost.
    """
    offsets = smooth.shape[1]
    row, total, plainly, own = np.empty(7), np.empty(7), np.empty(7), np.zeros((7, 7))
    matrix[:] = 0.0
    right[:] = 0.0
    cost = 0.0
    first = 0
    n = len(y)
    twice, power = np.empty(n), np.empty(n)
    cosines, sines, falls = np.empty(n), np.empty(n), np.empty(n)
    for i in range(n):
        twice[i] = base[i] + rate[i] * (p[0] + p[1] * cos2[i] + p[2] * sin2[i]) + 2 * p[3]
        power[i] = -0.25 * p[4] * k2[i]
    waves(twice, power, cosines, sines, falls)
    for c in range(len(ends)):
        heavy, rests, lit_weight, plain_rests, plain_weight = 0.0, 0.0, 0.0, 0.0, 0.0
        total[:] = 0.0
        plainly[:] = 0.0
        offset = 0.0
        for j in range(offsets):
            offset += p[7 + j] * smooth[c, j]
        for i in range(first, ends[c]):
            w = weight[i]
            if w == 0.0:
                continue
            plain = seen[i] * falls[i]
            cosine, sine = -cosines[i], sines[i]
            envelope = plain
            row[6] = 0.0
            if deep:
                turn = 0.5 * rate[i] * p[6]
                depth = math.sin(turn) / turn if turn > 1e-9 else 1.0
                envelope = plain * depth
                row[6] = p[5] * cosine * plain * (math.cos(turn) - depth) / max(p[6], 1e-9)
            ring = cosine * envelope
            per_phase = 2 * p[5] * sine * envelope
            row[0] = 0.5 * per_phase * rate[i]
            row[1] = row[0] * cos2[i]
            row[2] = row[0] * sin2[i]
            row[3] = per_phase
            row[4] = -0.25 * p[5] * k2[i] * ring
            row[5] = ring
            rest = y[i] - p[5] * ring - offset
            cost += w * rest * rest
            lit = w * light[i]
            heavy += lit * light[i]
            rests += lit * rest
            lit_weight += lit
            plain_weight += w
            plain_rests += w * rest
            for j in range(7):
                weighted = w * row[j]
                total[j] += lit * row[j]
                plainly[j] += weighted
                right[j] += weighted * rest
                for m in range(j + 1):
                    own[j, m] += weighted * row[m]
        first = ends[c]
        heavy = max(heavy, 1e-12)
        left[c] = rests / heavy
        for j in range(7):
            means[c, j] = total[j] / heavy
        # offsets are the same all along a circle
        for j in range(offsets):
            level = smooth[c, j]
            means[c, 7 + j] = level * lit_weight / heavy
            right[7 + j] += level * plain_rests
            for m in range(7):
                matrix[7 + j, m] += level * plainly[m]
            for m in range(j + 1):
                matrix[7 + j, 7 + m] += level * smooth[c, m] * plain_weight
    matrix[:7, :7] = own
    return cost
