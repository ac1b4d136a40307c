"""Our CTF beside the published method of CTFFIND, on the same simulated micrographs.

    python benchmarks/ctf_peer.py [--sizes 1024 2048 4096] [--movies 3] [--seed 51000]

The peer is written down here from the paper (Rohou & Grigorieff, J. Struct. Biol. 192 (2015) 216,
doi:10.1016/j.jsb.2015.08.008), plainly: it is the method, not the program, whose speed and later refinements it lacks.
An amplitude spectrum of 512 px, averaged over tiles that overlap by half, less a smooth background, is correlated with
the modulus of the transfer function between 30 and 5 Å: along the radius exhaustively, then in two dimensions by
descent from several directions of astigmatism. The movies are easy ones: 24 frames of 1 e/Å², 1 Å/px, 300 kV, hardly
any envelope, nothing moves.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from scipy import ndimage, optimize

from cryowidgets.kernels import ctf, ctffit
from cryowidgets.kernels.spectrum import average, power_spectrum
from cryowidgets.sim.movie import stream
from cryowidgets.sim.recipe import Recipe

LENS = (300.0, 2.7, 0.1)
BOX, COARSE, FINE = 512, 30.0, 5.0
DEFOCUS = np.arange(3000.0, 40000.0, 50.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1024, 2048, 4096], help="sides of the movies, px")
    parser.add_argument("--movies", type=int, default=3, help="movies of each size")
    parser.add_argument("--seed", type=int, default=51000, help="seed of the first movie")
    options = parser.parse_args()
    for size in options.sizes:
        rows = [compare(size, options.seed + i) for i in range(options.movies)]
        for name in rows[0]:
            errors = np.array([row[name] for row in rows])
            u, v, angle = np.sqrt(np.mean(errors[:, :3] ** 2, axis=0))
            worst = np.abs(errors[:, :3]).max(axis=0)
            print(
                f"{size:5d} {name:22s} rms U {u:.1f} Å, V {v:.1f} Å, angle {angle:.2f}° | worst {worst[0]:.1f}, "
                f"{worst[1]:.1f} Å, {worst[2]:.2f}° | {np.median(errors[:, 3]):.2f} CPU s",
                flush=True,
            )


def compare(size: int, seed: int) -> dict[str, tuple[float, float, float, float]]:
    """Errors of U, V (Å) and angle (degrees), and CPU seconds, of each way."""
    recipe = Recipe(
        shape=(size, size),
        pixel_size=1.0,
        frames=24,
        dose_per_frame=1.0,
        defocus=(10000.0, 25000.0),
        astigmatism=(300.0, 1000.0),
        b_factor=20.0,
        density=1200.0,
        ice=500.0,
        drift=0.0,
        jitter=0.0,
        hot=0.0,
        dead=0.0,
    )
    truth, frames = stream(recipe, seed)
    gain, total, group, spectra = recipe.detector.gain, 0.0, 0.0, []
    for j, frame in enumerate(frames):
        total = total + frame.astype(np.float32)
        group = group + frame.astype(np.float32)
        if j % 4 == 3:
            spectra.append(power_spectrum(group * gain, 1.0))
            group = 0.0
    image, groups = (total * gain).astype(np.float32), average(spectra)

    def ours(groups):
        fit = ctffit.estimate(image, 1.0, *LENS, groups=groups)[0]
        return fit.defocus_u, fit.defocus_v, fit.angle

    ways = {
        "ours": lambda: ours(None),
        "ours, with groups": lambda: ours(groups),
        "published method": lambda: peer(image),
    }
    out = {}
    for name, way in ways.items():
        start = time.process_time()
        u, v, angle = way()
        seconds = time.process_time() - start
        out[name] = (u - truth.defocus_u, v - truth.defocus_v, (angle - truth.angle + 90) % 180 - 90, seconds)
    return out


def peer(image: np.ndarray, pixel: float = 1.0) -> tuple[float, float, float]:
    """U, V (Å) and angle (degrees) by the published method."""
    tile = int(BOX * 1.4 / pixel)  # of which the frequencies are kept that 512 px of 1.4 Å would have
    steps = [np.unique(np.linspace(0, n - tile, int(2 * n / tile)).astype(int)) for n in image.shape]
    power = np.mean([np.abs(np.fft.rfft2(part(image, y, x, tile))) ** 2 for y in steps[0] for x in steps[1]], axis=0)
    rows = np.r_[0 : BOX // 2, tile - BOX // 2 : tile]
    amplitude = np.sqrt(power)[rows, : BOX // 2 + 1]
    k2, cos2, sin2 = ctf.polar((BOX, BOX), tile * pixel / BOX)
    k = np.sqrt(k2)
    whole = np.concatenate([amplitude, amplitude[:, -2:0:-1][np.r_[0, BOX - 1 : 0 : -1]]], axis=1)
    whole[0] = whole[1]
    whole[:, 0] = whole[:, 1]
    box = int(tile * pixel / COARSE * 2) | 1  # as wide as the coarsest ring that is used
    amplitude = (whole - ndimage.uniform_filter(whole, box, mode="wrap"))[:, : BOX // 2 + 1]
    use = (k > 1 / COARSE) & (k < 1 / FINE)
    use[:, 0] = use[0] = False
    y, k2, cos2, sin2 = amplitude[use], k2[use], cos2[use], sin2[use]
    y = (y - y.mean()) / np.linalg.norm(y - y.mean())

    ring = np.rint(k[use] * tile * pixel).astype(int)
    count = np.bincount(ring)[ring.min() :]
    profile = np.bincount(ring, y)[ring.min() :] / np.maximum(count, 1)
    radius = (np.arange(ring.min(), ring.max() + 1) / (tile * pixel)) ** 2
    models = np.abs(np.sin(ctf.chi(radius, DEFOCUS[:, None], *LENS)))
    models -= (models @ count)[:, None] / count.sum()
    start = DEFOCUS[np.argmax((models @ (count * profile)) / np.sqrt(models**2 @ count))]

    def poor(p: np.ndarray) -> float:
        model = np.abs(np.sin(ctf.chi(k2, p[0] + p[1] * cos2 + p[2] * sin2, *LENS)))
        model -= model.mean()
        return -float(y @ model) / float(np.linalg.norm(model))

    first = [np.array([start, 0.0, 0.0])]
    first += [np.array([start, 200 * np.cos(t), 200 * np.sin(t)]) for t in np.arange(4) * np.pi / 2]
    simplex = [np.vstack([p, p + np.diag([100.0, 100.0, 100.0])]) for p in first]
    ends = [optimize.minimize(poor, s[0], method="Nelder-Mead", options={"initial_simplex": s}) for s in simplex]
    return ctf.from_terms(*min(ends, key=lambda end: end.fun).x)


def part(image: np.ndarray, y: int, x: int, tile: int) -> np.ndarray:
    cut = image[y : y + tile, x : x + tile]
    return cut - cut.mean()


if __name__ == "__main__":
    main()
