"""First maps from class averages: resolution against the truth, starts that agree, and CPU time.

    python benchmarks/volumes.py [--seeds 31:34] [--cases C1 C4 D7 chain noise one particles] [--averages 50]
                                 [--views 12] [--starts 16] [--threads 2] [--map FILE --symmetry O] [--picture FILE]

Cases: C1, C4, D7, T, O, I, … make an assembly of a protein-like molecule of three domains of the simulator (helices,
so that its spectrum is that of protein); `chain` is the chain of Gaussian domains of simulated particles, whose
detail ends near 1/20 Å; `noise` has averages of nothing, `one` a single view. `--map` takes a density from a file.
Averages have SNR 2 over the whole picture and lie up to 1 px off their centres. Printed beside: the resolution of a
map made with the true orientations and no mask but a ball, which no search among orientations would be expected to
pass. `particles` are 5,000 at SNR 0.1 through the lens, shifts to 3 px, that refine the true map of C1 at 30 Å from
poses that are off by 6° about each axis and 0.7 px; no averages are made and no map is searched. Not a test.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import scipy.ndimage

from cryowidgets import cpu
from cryowidgets.io import mrc
from cryowidgets.kernels import initialparticles, initialstages, project3d
from cryowidgets.kernels.alignvolumes import align, apply
from cryowidgets.kernels.classifykinds import Lens
from cryowidgets.kernels.directions import group, turns
from cryowidgets.kernels.fsc import crossing, fsc
from cryowidgets.kernels.initialposes import Poses
from cryowidgets.kernels.initialvolume import Settings, first_map
from cryowidgets.kernels.mask3d import low_pass
from cryowidgets.sim import molecule, particles

BOX, PIXEL, SNR = 64, 5.0, 2.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="31:34")
    parser.add_argument("--cases", nargs="*", default=["C1", "C4", "D7", "chain", "noise", "one"])
    parser.add_argument("--averages", type=int, default=50)
    parser.add_argument("--views", type=int, default=12, help="0: each average of its own")
    parser.add_argument("--starts", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--map", type=Path)
    parser.add_argument("--symmetry", default="C1")
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    cpu.set_threads(options.threads)
    print("case   seed  FSC 0.5/Å  true orientations/Å  starts  agree  to/Å  halves/Å  evenness  CPU s  said")
    first, last = map(int, options.seeds.split(":"))
    for case in ["map"] if options.map else options.cases:
        for seed in range(first, last):
            one(case, seed, options)


def one(case: str, seed: int, options: argparse.Namespace) -> None:
    rng = np.random.default_rng([seed, 99])
    if case == "particles":
        return refined(seed)
    symmetry = options.symmetry if case == "map" else case if case[0] in "CDTOI" else "C1"
    density = mrc_density(options.map) if case == "map" else chain(seed) if case == "chain" else protein(symmetry, seed)
    views = 1 if case == "one" else options.views or options.averages
    seen, rotations = averages(density, views, options.averages, rng)
    if case == "noise":
        seen = rng.standard_normal(seen.shape, np.float32)
    diameter = min(1.1 * extent(density) * PIXEL, 0.9 * BOX * PIXEL)
    began = time.process_time()
    found = first_map(seen, Settings(PIXEL, diameter, symmetry, starts=options.starts, seed=seed))
    took = time.process_time() - began
    told = bound = float("nan")
    if found.volume is not None:
        onto = apply(found.volume, *align(found.volume, density, PIXEL, finest=15.0)[:3])
        told = crossing(*fsc(onto, density), threshold=0.5, pixel_size=PIXEL)
        bound = best_possible(seen, rotations, density, diameter, symmetry)
        if options.picture:
            picture(options.picture, onto, density)
    print(
        f"{case:6s} {seed:4d}  {told:9.1f}  {bound:19.1f}  {len(found.scores):6d}  {found.agreeing:5d}"
        f"  {found.agreement:4.1f}  {found.resolution:8.1f}  {found.evenness:8.2f}  {took:5.0f}  {found.reason}",
        flush=True,
    )


def refined(seed: int, count: int = 5000, snr: float = 0.1) -> None:
    """Particles beside the truth: resolution of the map, what the halves say, how far poses are off."""
    rng = np.random.default_rng([seed, 5])
    density = protein("C1", seed)
    rotations, shifts = molecule.rotations(count, rng), rng.uniform(-3, 3, (count, 2))
    mean, half = rng.uniform(10000, 25000, count), rng.uniform(0, 200, count)
    rows = (mean + half, mean - half, rng.uniform(-90, 90, count), np.zeros(count))
    lens = Lens(particles.VOLTAGE, particles.CS, particles.AMPLITUDE_CONTRAST)
    points = np.stack(np.meshgrid(np.arange(BOX // 2 + 1), np.fft.fftfreq(BOX) * BOX), axis=-1).reshape(-1, 2)
    seen = np.fft.rfft2(initialstages.shifted(project3d.project(density, rotations), -shifts))
    for first in range(0, count, 500):
        some = slice(first, first + 500)
        through = initialparticles.transfer(points, BOX * PIXEL, lens, [row[some] for row in rows])
        seen[some] *= through.reshape(-1, BOX, BOX // 2 + 1)
    seen = np.fft.irfft2(seen, s=(BOX, BOX)).astype(np.float32)
    seen *= np.sqrt(snr / seen.var(axis=(1, 2)).mean())
    seen += rng.standard_normal(seen.shape, np.float32)
    off = turns(rng.standard_normal((count, 3)) * np.radians(6)) @ rotations
    begun = Poses(off, shifts + 0.7 * rng.standard_normal((count, 2)), np.zeros(count))
    diameter = min(1.1 * extent(density) * PIXEL, 0.9 * BOX * PIXEL)
    began = time.process_time()
    settings = initialparticles.Settings(PIXEL, diameter)
    made = initialparticles.refined([(seen, lens, rows)], low_pass(density, PIXEL, 30.0), begun, settings)
    took = time.process_time() - began
    assert made is not None
    told = crossing(*fsc(made.volume, density), threshold=0.5, pixel_size=PIXEL)
    turned = np.einsum("nij,nij->n", made.poses.rotations, rotations)
    degrees = np.degrees(np.arccos(np.clip((turned - 1) / 2, -1, 1)))
    off_by = f"{np.median(degrees):.1f}° (median) and {np.abs(made.poses.shifts - shifts).mean():.2f} px"
    print(f"particles {seed}: FSC 0.5 {told:.1f} Å, halves {made.resolution:.1f} Å, off by {off_by}, CPU {took:.0f} s")


def protein(symmetry: str, seed: int) -> np.ndarray:
    """Three domains of helices, some 150 Å long, or as many smaller copies as the group has rotations."""
    operations = group(symmetry)
    order = len(operations)
    atoms = np.array(
        molecule.build(4 * (300.0 if order == 1 else max(900.0 / order, 15.0 if symmetry[0] in "TOI" else 60.0)), seed)
    )
    atoms = atoms[: len(atoms) // 4] - atoms[: len(atoms) // 4].mean(axis=0)
    if order > 1:
        reach = np.linalg.norm(atoms, axis=1).max()
        if symmetry[0] in "TOI":  # a shell of them, none on an axis
            atoms = atoms + 0.45 * reach * np.sqrt(order) * np.array([0.90, 0.20, 0.39])
        else:
            ring = reach / (2 * np.sin(np.pi / max(int(symmetry[1:]), 2)))
            atoms = atoms + [max(ring, 0.8 * reach), 0, 0.75 * reach if symmetry[0] == "D" else 0]
        atoms = np.concatenate([atoms @ operation.T for operation in operations])
    grid = np.zeros((BOX,) * 3, np.float32)
    places = np.rint(atoms[:, ::-1] / PIXEL).astype(int) + BOX // 2
    inside = ((places >= 0) & (places < BOX)).all(axis=1)
    np.add.at(grid, tuple(places[inside].T), 1.0)
    return scipy.ndimage.gaussian_filter(grid, 0.6)


def chain(seed: int) -> np.ndarray:
    return particles.simulate(1, box=BOX, pixel_size=PIXEL, seed=seed).density[0]


def mrc_density(path: Path) -> np.ndarray:
    """A map of a file in the box that all cases have, its background off, as far as it fits."""
    volume = np.asarray(mrc.read(path), np.float32)
    pixel = mrc.read_header(path).pixel_size or 1.0
    side = max(volume.shape)
    cube = np.zeros((side,) * 3, np.float32)
    corner = [(side - n) // 2 for n in volume.shape]
    cube[tuple(slice(c, c + n) for c, n in zip(corner, volume.shape, strict=True))] = volume
    cube = np.clip(cube - np.median(cube), 0, None)
    small = project3d.resized(cube, 2 * round(side * pixel / PIXEL / 2))
    out = np.zeros((BOX,) * 3, np.float32)
    n = min(len(small), BOX)
    a, b = BOX // 2 - n // 2, len(small) // 2 - n // 2
    out[a : a + n, a : a + n, a : a + n] = small[b : b + n, b : b + n, b : b + n]
    return out


def averages(density: np.ndarray, views: int, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of SNR 2 of views by chance, each turned in the plane and off its centre, and their rotations."""
    turned = molecule.rotations(views, rng)[np.arange(count) % views]
    turned = turns(np.outer(rng.uniform(0, 2 * np.pi, count), [0, 0, 1.0])) @ turned
    seen = project3d.project(density, turned)
    noise = rng.standard_normal(seen.shape, np.float32) * np.sqrt(seen.var(axis=(1, 2)).mean() / SNR)
    return initialstages.shifted(seen, rng.uniform(-1, 1, (count, 2))) + noise, turned


def best_possible(
    seen: np.ndarray, rotations: np.ndarray, density: np.ndarray, diameter: float, symmetry: str
) -> float:
    """Resolution of a map with the true orientations, its shifts as unknown as they are."""
    points, rows, columns = project3d.disc(BOX, BOX * PIXEL / 12.0)
    sums = project3d.Sums.empty(BOX, BOX * PIXEL / 12.0)
    values = project3d.spectra(seen)[:, rows, columns]
    for operation in group(symmetry):
        sums.insert(rotations @ operation, points, values)
    made = np.maximum(sums.solved(0.1) * initialstages.soft(BOX, diameter / 2 / PIXEL, 3), 0)
    return crossing(*fsc(made, density), threshold=0.5, pixel_size=PIXEL)


def extent(density: np.ndarray) -> float:
    """Diameter of the ball about the centre that holds the density, px."""
    places = np.argwhere(density > 0.05 * density.max()) - BOX // 2
    return 2 * float(np.linalg.norm(places, axis=1).max())


def picture(path: Path, found: np.ndarray, truth: np.ndarray) -> None:
    """The map above, the truth below: projections along z, y and x, and slices."""
    from cryowidgets.protocols.mosaic import write_mosaic

    rows = [
        [*(volume.sum(axis=i) for i in range(3)), *(np.take(volume, BOX // 2, axis=i) for i in range(3))]
        for volume in (found, truth)
    ]
    tiles = rows[0][:3] + rows[1][:3] + rows[0][3:] + rows[1][3:]
    write_mosaic(path, np.stack(tiles))


if __name__ == "__main__":
    main()
