"""Loops of `classifysearch` on the host: one average under one picture, at poses between the points of the grid."""

from __future__ import annotations

import math

import numpy as np

from cryowidgets.cpu import compiled


@compiled
def polish(
    coupled: np.ndarray,  # (n, half, rings) complex64: pictures times lens and weight
    squared: np.ndarray,  # (n, rings) float32: squared lens times weight
    averages: np.ndarray,  # (k, fine, rings) complex64, on whole rings, finely sampled from the same first direction
    ky: np.ndarray,  # (half,) float32: phase per px of displacement on ring 1
    kx: np.ndarray,
    first: int,  # number of the first ring
    spread: float,  # px, of displacements
    item: np.ndarray,  # (m,) int64: picture
    slot: np.ndarray,  # (m,) int64: average
    psi: np.ndarray,  # (m,) float64, in and out
    shift: np.ndarray,  # (m, 2) float64, in and out
    product: np.ndarray,  # (m,) float64, out
    widest: np.ndarray,  # (3,): most that y, x and psi change in one step
    steps: int,
) -> None:
    """Gauss and Newton's method for each pair; the best of the poses on its way is kept."""
    half, rings = coupled.shape[1], coupled.shape[2]
    fine = averages.shape[1]
    per = fine / (2 * math.pi)
    prior = 1 / (spread * spread)
    for m in range(len(item)):
        n, k = item[m], slot[m]
        y, x, a = shift[m, 0], shift[m, 1], psi[m]
        best, best_y, best_x, best_a, best_product = -np.inf, y, x, a, 0.0
        for step in range(steps + 1):
            total = 0.0
            gy, gx, gp = 0.0, 0.0, 0.0
            yy, yx, yp, xx, xp, pp = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
            for j in range(half):
                # direction of the sample in the frame of the average
                place = (j * (math.pi / half) - a) * per
                place -= math.floor(place / fine) * fine
                low = int(place)
                part = np.float32(place - low)
                if low >= fine:
                    low = 0
                high = low + 1 if low + 1 < fine else 0
                wave = ky[j] * y + kx[j] * x
                re1, im1 = np.float32(math.cos(wave)), np.float32(math.sin(wave))
                wave *= first
                re, im = np.float32(math.cos(wave)), np.float32(math.sin(wave))
                sum_product, sum_wave, sum_turn = np.float32(0), np.float32(0), np.float32(0)
                sum_kk, sum_kp, sum_pp = np.float32(0), np.float32(0), np.float32(0)
                for r in range(rings):
                    before, after = averages[k, low, r], averages[k, high, r]
                    tr, ti = after.real - before.real, after.imag - before.imag
                    cr, ci = before.real + part * tr, before.imag + part * ti
                    q = coupled[n, j, r]
                    qr, qi = q.real * re - q.imag * im, q.real * im + q.imag * re
                    re, im = re * re1 - im * im1, re * im1 + im * re1
                    number = np.float32(first + r)
                    sum_product += qr * cr + qi * ci
                    sum_wave -= number * (qi * cr - qr * ci)
                    sum_turn -= qr * tr + qi * ti
                    s = squared[n, r]
                    sum_kk += s * number * number * (cr * cr + ci * ci)
                    sum_kp += s * number * (ti * cr - tr * ci)
                    sum_pp += s * (tr * tr + ti * ti)
                total += float(sum_product)
                gy += ky[j] * sum_wave
                gx += kx[j] * sum_wave
                gp += per * sum_turn
                yy += ky[j] * ky[j] * sum_kk
                yx += ky[j] * kx[j] * sum_kk
                xx += kx[j] * kx[j] * sum_kk
                yp += per * ky[j] * sum_kp
                xp += per * kx[j] * sum_kp
                pp += per * per * sum_pp
            score = total / half - 0.5 * prior * (y * y + x * x)
            if score > best:
                best, best_y, best_x, best_a, best_product = score, y, x, a, total / half
            if step == steps:
                break
            gy, gx, gp = gy / half - prior * y, gx / half - prior * x, gp / half
            yy, xx, pp = yy / half + prior, xx / half + prior, pp / half
            yx, yp, xp = yx / half, yp / half, xp / half
            tiny = 1e-6 * (yy + xx + pp) + 1e-12
            yy, xx, pp = yy + tiny, xx + tiny, pp + tiny
            u, v, w = xx * pp - xp * xp, yp * xp - yx * pp, yx * xp - yp * xx
            d, e, f = yy * pp - yp * yp, yp * yx - yy * xp, yy * xx - yx * yx
            whole = yy * u + yx * v + yp * w
            if whole <= 0:
                break
            y += min(max((u * gy + v * gx + w * gp) / whole, -widest[0]), widest[0])
            x += min(max((v * gy + d * gx + e * gp) / whole, -widest[1]), widest[1])
            a += min(max((w * gy + e * gx + f * gp) / whole, -widest[2]), widest[2])
        shift[m, 0], shift[m, 1], psi[m], product[m] = best_y, best_x, best_a, best_product
