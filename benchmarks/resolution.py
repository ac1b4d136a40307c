"""Local resolution beside the truth, and consensus of maps and of sortings.

Error in each half of a phantom, order under blur, CPU time; how often a wrong map is found among good ones, and what
the error map of a consensus knows of its true error; how often a sorting by lot is found, and what the others become.

    python benchmarks/resolution.py [--seeds 41:44] [--box 128] [--only phantom blur time wrong error sortings]
                                    [--ways halves single]
                                    [--trials 50] [--levels 0.5 1] [--kinds noise phases molecule]

Not a test: nothing fails here.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from cryowidgets.kernels import alignvolumes, classconsensus, localresolution, mask3d, monogenic, volumeconsensus
from cryowidgets.kernels.volumeconsensus import Pose
from cryowidgets.sim import halfmaps, particles

PIXEL = 1.3
BOX = 32
WINDOW = 3  # wavelengths of the coarser side: so far from the plane is a window
WAYS = ["halves", "single"]
KINDS = ["noise", "phases", "molecule"]
FIRST = 6000  # seed of the trials with a wrong map; none was looked at before the setting was made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="41:44")
    parser.add_argument("--box", type=int, default=128)
    parser.add_argument("--only", nargs="*", default=["phantom", "blur", "time", "wrong", "error", "sortings"])
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--levels", nargs="*", type=float, default=[0.5, 1.0])
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=KINDS)
    parser.add_argument("--ways", nargs="*", choices=WAYS, default=WAYS)
    options = parser.parse_args()
    WAYS[:] = options.ways
    seeds = range(*map(int, options.seeds.split(":")))
    if "phantom" in options.only:
        phantom(options.box, seeds)
    if "blur" in options.only:
        blur(options.box // 2, seeds)
    if "time" in options.only:
        for box in (128, 256):
            duration(box, seeds[0])
    if "wrong" in options.only:
        wrong(options.trials, options.levels, options.kinds)
    if "error" in options.only:
        for seed in seeds:
            error(seed)
    if "sortings" in options.only:
        sortings(options.trials)


def measure(way: str, made: halfmaps.HalfMaps, mask: np.ndarray) -> np.ndarray:
    if way == "halves":
        return localresolution.by_halves(made.half1, made.half2, mask, made.pixel_size).values
    return monogenic.by_noise((made.half1 + made.half2) / 2, mask, made.pixel_size).values


def phantom(box: int, seeds: range) -> None:
    print("way     end      signal  seed   4 Å: median error  bias   8 Å: median error  bias   CPU s")
    worst: dict[tuple[str, str], np.ndarray] = {}
    for way in WAYS:
        for sharp in (False, True):
            for contrast in (5.0, 20.0):
                for seed in seeds:
                    made = halfmaps.simulate((box,) * 3, PIXEL, sharp=sharp, contrast=contrast, seed=seed)
                    began = time.process_time()
                    values = measure(way, made, made.mask.astype(np.float32))
                    spent = time.process_time() - began
                    far = WINDOW * made.truth / PIXEL
                    row = []
                    for side in (made.distance < -far, made.distance > far):
                        error = (values - made.truth)[made.mask & side]
                        row += [np.median(np.abs(error)), np.median(error)]
                    end = "sharp" if sharp else "gentle"
                    print(f"{way:7} {end:8} {contrast:6g}  {seed:4}   {row[0]:17.2f} {row[1]:+5.2f}", end="")
                    print(f"   {row[2]:17.2f} {row[3]:+5.2f}   {spent:5.1f}", flush=True)
                    worst[way, end] = np.maximum(worst.get((way, end), 0), np.abs(row))
    for (way, end), row in worst.items():
        print(f"worst: {way:7} {end:8} 4 Å {row[0]:.2f} {row[1]:.2f}   8 Å {row[2]:.2f} {row[3]:.2f}")


def blur(box: int, seeds: range) -> None:
    print("median over the particle, Å, for a true 4, 5, 6, 7, 8, 10, 12 Å")
    for way in WAYS:
        for seed in seeds:
            found = []
            for true in (4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0):
                made = halfmaps.simulate((box,) * 3, PIXEL, (true, true), fill=0.65, seed=seed)
                found.append(np.median(measure(way, made, made.mask.astype(np.float32))[made.mask]))
            order = "rising" if found == sorted(found) else "NOT RISING"
            print(f"{way:7} {seed}  " + "  ".join(f"{x:5.2f}" for x in found) + f"  {order}", flush=True)


def duration(box: int, seed: int) -> None:
    made = halfmaps.simulate((box,) * 3, PIXEL, seed=seed, fill=0.6)
    began = time.process_time()
    mask = mask3d.automask((made.half1 + made.half2) / 2, PIXEL).values
    print(f"{box}³: mask {time.process_time() - began:.1f} CPU s, {np.mean(mask > 0.5):.0%} of the box", end="")
    for way in WAYS:
        began = time.process_time()
        measure(way, made, mask)
        print(f", {way} {time.process_time() - began:.1f} CPU s", end="", flush=True)
    print()


def several(
    seed: int, good: int, bad: int, level: float, kind: str = "molecule", uneven: bool = False
) -> tuple[list, np.ndarray, np.ndarray]:
    """Maps of a molecule with noise, turned, shifted and mirrored by lot, and wrong ones; which these are; the truth.

    A wrong map is one of another molecule, or random: nothing but noise, or the phases of a good one by lot.
    """
    rng = np.random.default_rng(seed)
    own = particles.simulate(1, box=BOX, pixel_size=320 / BOX, seed=1000 + seed).density[0]
    maps = []
    axes = np.meshgrid(*(np.arange(BOX) - BOX // 2,) * 3, indexing="ij", sparse=True)
    place = rng.uniform(-0.15 * BOX, 0.15 * BOX, 3)
    hot = np.exp(-sum((a - p) ** 2 for a, p in zip(axes, place, strict=True)) / (0.2 * BOX) ** 2)
    for i in range(good + bad):
        shown = own
        if i >= good and kind == "molecule":
            shown = particles.simulate(1, box=BOX, pixel_size=320 / BOX, seed=9000 + seed + i).density[0]
        noise = gaussian_filter(rng.standard_normal(shown.shape), 0.7)
        noise *= level * shown.std() / noise.std() * (0.3 + 3 * hot if uneven else 1)
        turn = Rotation.random(random_state=int(rng.integers(2**31))).as_matrix()
        pose = Pose(turn, rng.uniform(-1.5, 1.5, 3), bool(rng.random() < 0.5))
        made = (shown + noise).astype(np.float32)
        if i >= good and kind == "noise":
            made = rng.standard_normal(made.shape).astype(np.float32)
        elif i >= good and kind == "phases":
            lots = np.fft.rfftn(rng.standard_normal(made.shape))
            made = np.fft.irfftn(np.abs(np.fft.rfftn(made)) * lots / np.abs(lots), made.shape, axes=(0, 1, 2)).astype(
                np.float32
            )
        maps.append(pose.apply(made) if i else made)
    order = rng.permutation(good + bad)
    return [maps[i] for i in order], order >= good, own


def wrong(trials: int, levels: list[float], kinds: list[str]) -> None:
    """One wrong map among three good ones, on seeds from `FIRST` on."""
    print("wrong map  noise  trials  left out  and no good one  said that it cannot be told   CPU s each")
    for kind in kinds:
        for level in levels:
            counts, spent = np.zeros(3, int), time.process_time()
            for seed in range(FIRST, FIRST + trials):
                maps, bad, _ = several(seed, 3, 1, level, kind)
                made = volumeconsensus.consensus(maps, [320 / BOX] * 4)
                out = ~made.kept
                counts += [out[bad].all(), (out == bad).all(), "told" in made.reason or "chance" in made.reason]
            each = (time.process_time() - spent) / trials
            print(
                f"{kind:9}  {level:5g}  {trials:6}  {counts[0]:8}  {counts[1]:15}  {counts[2]:27}   {each:10.1f}",
                flush=True,
            )


def sortings(trials: int) -> None:
    """Three sortings of 2000 particles into 8 classes, a share of the particles in any class, and one by lot."""
    print(
        "share wrong  trials  only it left out  classes  particles  ARI: consensus, best, mean  NMI: the same     CPU s"
    )
    truth = np.repeat(np.arange(8), [520, 400, 300, 250, 200, 150, 100, 80])
    for share in (0.3, 0.5):
        right, found, spent = 0, [], time.process_time()
        for seed in range(FIRST, FIRST + trials):
            rng = np.random.default_rng(seed)
            given = [np.where(rng.random(len(truth)) < share, rng.integers(0, 8, len(truth)), truth) for _ in range(3)]
            place = int(rng.integers(4))
            made = classconsensus.consensus([*given[:place], rng.permutation(truth), *given[place:]], least=10)
            right += bool((made.kept == (np.arange(4) != place)).all())
            rows = made.labels >= 0
            row = [made.count, rows.mean()]
            for alike in (classconsensus.adjusted_rand, classconsensus.mutual_information):
                each = [alike(one, truth) for one in given]
                row += [alike(made.labels[rows], truth[rows]), max(each), float(np.mean(each))]
            found.append(row)
        count, kept, *rest = np.mean(found, axis=0)
        one, two = (", ".join(f"{x:.2f}" for x in rest[i : i + 3]) for i in (0, 3))
        each = (time.process_time() - spent) / trials
        print(
            f"{share:11}  {trials:6}  {right:16}  {count:7.1f}  {kept:9.0%}  {one:>25}  {two:>16}   {each:.2f}",
            flush=True,
        )


def error(seed: int) -> None:
    maps, _, own = several(seed, 4, 0, 1.0, uneven=True)
    made = volumeconsensus.consensus(maps, [320 / BOX] * 4)
    rotation, shift, mirrored, _ = alignvolumes.align(own, made.volume)
    truth = Pose(rotation, shift, mirrored).apply(own)
    true = np.sqrt(gaussian_filter(np.square(made.volume - truth), 1.5))
    print(f"seed {seed}: the error map correlates with the true error to", end="")
    print(f" {np.corrcoef(true.ravel(), made.deviation.ravel())[0, 1]:.2f}", flush=True)


if __name__ == "__main__":
    main()
