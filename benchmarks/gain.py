"""Gain references: their orientation, gains from data, and defects, on cameras and scenes that nothing was tuned on.

    python benchmarks/gain.py                   all of it at 1024², about a minute
    python benchmarks/gain.py --size 4096 --sessions 8 --only orientation

Seeds begin at 7,000,000; tests use smaller ones.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter

import numpy as np
from scipy.ndimage import gaussian_filter

from cryowidgets.kernels import gain, gainfit, orientation
from cryowidgets.sim import detector

SEED = 7_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=1024, help="side of the frames, px")
    parser.add_argument("--sessions", type=int, default=50, help="simulated sessions for each line")
    parser.add_argument("--only", choices=["orientation", "data", "defects"])
    options = parser.parse_args()
    shape = (options.size, options.size)
    for name, part in (("orientation", orientations), ("data", from_data), ("defects", defects)):
        if options.only in (None, name):
            part(shape, options.sessions)


def scene(shape: tuple[int, int], rng: np.random.Generator, edge: bool = True) -> np.ndarray:
    """Light of mean 1: ice of uneven thickness, particles, and in most fields an edge of carbon."""
    y, x = (np.arange(n, dtype=np.float32) / n for n in shape)
    ice = np.cos(rng.uniform(1, 6) * y + rng.uniform(0, 6))[:, None] * np.cos(rng.uniform(1, 6) * x + rng.uniform(0, 6))
    particles = gaussian_filter(rng.standard_normal(shape, np.float32), 3, truncate=2.5)
    light = 1 + 0.2 * ice + 0.05 * particles / particles.std()
    if edge and rng.random() < 0.7:
        light[y[:, None] * rng.uniform(-1, 1) + x * rng.uniform(-1, 1) > rng.uniform(0.1, 0.6)] *= 0.7
    return light / light.mean()


def orientations(shape: tuple[int, int], sessions: int) -> None:
    print(f"\norientation, {shape[0]}², {sessions} sessions a line: right, wrong, undecided; least lead in sigmas; ms")
    cases = [(f"pixels {spread} %", spread, e) for spread in (1.5, 3.0) for e in (1, 5, 20, 100)]
    cases += [("flat gain", 0.0, 20), ("another camera", -1.0, 1), ("another camera", -1.0, 20)]
    cases += [("another camera", -1.0, 1000), ("symmetric gain", -2.0, 40), ("corrected frames", -3.0, 40)]
    for name, spread, electrons in cases:
        tally: Counter[str] = Counter()
        leads, clock = [], 0.0
        for session in range(sessions):
            rng = np.random.default_rng([SEED, session, electrons])
            camera = 1 + abs(spread if spread > 0 else 3) / 100 * rng.standard_normal(shape, np.float32)
            if spread < 0:  # columns and blocks as well, which repeat themselves when turned
                camera = detector.make(shape, 1e-4, 1e-4, SEED + session).sensitivity
            if spread == -2:
                camera[:, shape[1] // 2 :] = camera[::-1, : shape[1] // 2][:, ::-1]
            total = rng.poisson(electrons * scene(shape, rng) * camera)
            truth = orientation.ORIENTATIONS[session % 8]
            reference = np.divide(1, camera, out=np.zeros_like(camera), where=camera > 0)
            if spread == -1:
                other = detector.make(shape, 1e-4, 1e-4, SEED + 500 + session).sensitivity
                reference = np.divide(1, other, out=np.zeros_like(other), where=other > 0)
            if spread == -3:
                total = total * reference
            reference = np.ones_like(reference) if spread == 0 else filed(reference, *truth)
            divides = session % 3 == 0 and spread > 0
            begin = time.perf_counter()
            found = orientation.find(total, 1 / reference if divides else reference)
            clock += time.perf_counter() - begin
            right = (found.rotation, found.flip, found.divides) == (*truth, divides) and spread > 0
            tally["undecided" if not found.decided else "right" if right else "wrong"] += 1
            leads.append(found.lead)
        counts = "  ".join(f"{tally[key]:3d}" for key in ("right", "wrong", "undecided"))
        print(f"  {name:17} {electrons:5d} e/px   {counts}   {min(leads):6.1f}   {1000 * clock / sessions:5.0f}")


def filed(image: np.ndarray, rotation: int, flip: str) -> np.ndarray:
    """What has to be turned so to become `image`."""
    back = {90: 270, 270: 90}.get(rotation, rotation) if flip == "none" else rotation
    if flip == "none":
        return orientation.turn(image, back, "none")
    return orientation.turn(orientation.turn(image, 0, flip), {90: 270}.get(rotation, rotation), "none")


def from_data(shape: tuple[int, int], sessions: int) -> None:
    print(f"\ngain from data, {shape[0]}², movies of 40 e/px, three cameras: error times √N, worst; needed counts")
    rows: dict[int, list[tuple[float, ...]]] = {}
    for number in range(3):
        camera = detector.make(shape, 1e-4, 1e-4, SEED + number)
        sound = (camera.sensitivity > 0) & (camera.glow == 0)
        s = np.where(sound, camera.sensitivity, 0)
        truth = np.where(sound, s / gainfit.smooth(s, sound.astype(np.float32)), 1)
        rng = np.random.default_rng([SEED, number])
        total = np.zeros(shape, np.int64)
        for movie in range(1, 61):
            light = scene(shape, rng, edge=False)
            total += rng.poisson(40 * camera.sensitivity * light + 20 * camera.glow)
            if movie in (2, 5, 12, 25, 60):
                line = []
                for shrink in (False, True):
                    found = gainfit.estimate(total, shrink)
                    used = sound & (found.gain > 0)
                    guess, true = 1 / found.gain[used].astype("f8"), truth[used]
                    line.append(float(np.std(guess / guess.mean() - true / true.mean())) * found.counts**0.5)
                left, sigma = gainfit.residual(total, camera.gain)
                rows.setdefault(movie, []).append((*line, found.counts, found.needed, left, sigma))
    print("  movies      N   plain  shrunk   needed   residual of the true gain")
    for movie, lines in rows.items():
        worst = np.max(np.abs(lines), axis=0)
        plain, shrunk, counts, needed, left, sigma = worst
        print(f"  {movie:6d} {counts:6.0f}  {plain:6.3f}  {shrunk:6.3f}   {needed:6.0f}   {left:.4f} ± {sigma:.4f}")


def defects(shape: tuple[int, int], sessions: int) -> None:
    print(f"\ndefects, {shape[0]}², 10 sums a line: found of 200 pixels three times as bright; others found per pixel")
    for mean in (5, 10, 25, 60, 200):
        caught = false = 0
        for session in range(10):
            rng = np.random.default_rng([SEED, session, mean])
            rate = np.full(shape, float(mean))
            hot = rng.choice(rate.size, 200, replace=False)
            rate.flat[hot] *= 3
            found = gain.find_defects(rng.poisson(rate).astype(np.uint32)).found
            caught += int(np.isin(hot, found).sum())
            false += int(np.isin(found, hot, invert=True).sum())
        print(f"  {mean:4d} e/px   {caught / 2000:.4f}   {false / (10 * rate.size):.1e}")


if __name__ == "__main__":
    main()
