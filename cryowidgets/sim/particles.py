"""Pictures of particles with known answers: view, orientation, shift, conformation and defocus of each.

The molecule is a chain of Gaussian domains, whose projections have a closed form, so that pictures are exact at any
orientation and shift. They look as extraction leaves them: protein bright, background of mean 0 and deviation 1, the
lens applied and not undone.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import fft

from cryowidgets.errors import ParameterError
from cryowidgets.io import mrc, star
from cryowidgets.kernels import ctf
from cryowidgets.kernels.extract import background
from cryowidgets.sim.molecule import rotations

VOLTAGE, CS, AMPLITUDE_CONTRAST = 300.0, 2.7, 0.1

DIRT = ("ice", "film", "bead", "aggregate", "broken")
"""What may lie where a particle was picked: a lump of ice, the edge of a film, a bead of metal, two or three molecules
that stick together, a part of one; molecules in free orientations."""

_DOMAINS, _RADIUS, _WIDTH = 14, 65.0, (8.0, 13.0)  # of a chain; Å: how far it reaches, deviations of a domain
_HINGE = 40.0  # degrees that a lobe turns from one conformation to the next
_B = 100.0  # Å², of the envelope
_APART = (0.5, 0.9)  # of molecules that stick together, in diameters
_TOGETHER = 256  # particles made at once


@dataclass(frozen=True)
class Stack:
    """Particles and all that is true of them.

    Attributes
    ----------
    pictures : (n, box, box) float32
    pixel_size : float
        Å/px.
    diameter : float
        Of the molecule at its longest, Å.
    defocus_u, defocus_v, angle, phase_shift : (n,)
        Å, Å, degrees, degrees.
    voltage, cs, amplitude_contrast : float
        kV, mm, fraction.
    view : (n,) int
        Which of the views it is, -1 for junk; all 0 where orientations are free.
    conformation : (n,) int
        -1 for junk.
    shows : (n,) str
        "particle", "nothing", or one of `DIRT`.
    rotations : (n, 3, 3)
        From x, y, z of the molecule to x, y, z of the picture, which is the projection along z; rotation in the plane
        included.
    shifts : (n, 2)
        y, x in px: where the molecule's centre lies, from pixel ``box // 2``.
    density : (conformations, box, box, box) float32
        Axes z, y, x; the centre is at ``box // 2``. Its projections have the scale of the signal in the pictures.
    """

    pictures: np.ndarray
    pixel_size: float
    diameter: float
    defocus_u: np.ndarray
    defocus_v: np.ndarray
    angle: np.ndarray
    phase_shift: np.ndarray
    voltage: float
    cs: float
    amplitude_contrast: float
    view: np.ndarray
    conformation: np.ndarray
    shows: np.ndarray
    rotations: np.ndarray
    shifts: np.ndarray
    density: np.ndarray


def simulate(
    count: int,
    *,
    box: int = 64,
    pixel_size: float = 5.0,
    views: int | None = 12,
    snr: float = 0.1,
    junk: float = 0.0,
    dirt: float = 0.0,
    kinds: Sequence[str] = DIRT[:2],
    conformations: int = 1,
    symmetry: str = "C1",
    shift: float = 3.0,
    defocus: tuple[float, float] = (10000.0, 25000.0),
    phase_shift: float = 0.0,
    seed: int = 0,
) -> Stack:
    """Make particles.

    Parameters
    ----------
    count : int
    box : int
        Side of the pictures, even, px.
    pixel_size : float
        Å/px. The molecule is some 150 Å long whatever the pixels.
    views : int, optional
        From how many directions the molecule is seen, each turned at random in the plane; None: from everywhere.
    snr : float
        Variance of the signal over the whole picture, over that of the noise, in the mean of all particles.
    junk, dirt : float
        Share of pictures that show nothing but noise, and of those with something else in place of a particle.
    kinds : sequence of str
        Of `DIRT`: what that something is, each as often as the others.
    conformations : int
        In how many shapes it comes, a lobe turned by 40° from one to the next.
    symmetry : str
        C1, C2, …, D2, D3, …, about z.
    shift : float
        Most px that a particle is off its centre, in y and in x.
    defocus : (float, float)
        Range of the mean defocus, Å; astigmatism is up to 400 Å.
    phase_shift : float
        Of a phase plate, degrees.
    seed : int
        The same molecule and the same pictures for the same seed.

    Raises
    ------
    ParameterError
        A point group or a kind of dirt that is not known.
    """
    if not kinds or set(kinds) - set(DIRT):
        raise ParameterError(f"simulate.kinds {list(kinds)} is not known: write one or more of {', '.join(DIRT)}.")
    rng = np.random.default_rng([seed, 0x706172])
    shapes, mass, width = _molecules(conformations, symmetry, rng)
    turned = rotations(count if views is None else views, rng)
    view = np.zeros(count, np.int64) if views is None else rng.integers(0, views, count)
    if views is not None:
        turned = _in_plane(rng.uniform(0, 2 * np.pi, count)) @ turned[view]
    conformation = rng.integers(0, conformations, count)
    shifts = rng.uniform(-shift, shift, (count, 2))
    mean, half = rng.uniform(*defocus, count), rng.uniform(0, 200.0, count)
    angle = rng.uniform(-90, 90, count)
    lot = rng.uniform(size=count)
    empty, dirty = lot < junk, (lot >= junk) & (lot < junk + dirt)
    shows = np.where(empty, "nothing", np.where(dirty, "dirt", "particle")).astype("U9")
    reach = np.linalg.norm(shapes, axis=2) + 1.5 * width
    diameter = float(2 * reach.max())
    lenses = (mean + half, mean - half, angle, np.full(count, float(phase_shift)))

    pictures = np.empty((count, box, box), np.float32)
    for first in range(0, count, _TOGETHER):
        some = slice(first, min(first + _TOGETHER, count))
        points = np.einsum("nij,ngj->ngi", turned[some], shapes[conformation[some]])[..., :2]
        points += shifts[some, None, ::-1] * pixel_size
        seen = _projections(points, mass, width, box, pixel_size)
        for i in np.flatnonzero(dirty[some]).tolist():
            kind = kinds[int(len(kinds) * rng.uniform())]
            shows[first + i] = kind
            if kind in DIRT[:3]:
                seen[i] = _dirt(kind, box, pixel_size, float(np.sum(mass)), rng)
            else:
                points, which = _misshapen(kind, shapes[0], diameter, rng)
                seen[i] = _projections(points[None, :, :2], mass[which], width[which], box, pixel_size)[0]
        for i, half_plane in enumerate(seen):
            half_plane *= _lens(box, pixel_size, *(x[first + i] for x in lenses))
        pictures[some] = fft.irfft2(seen, s=(box, box))
    pictures[empty] = 0
    good = ~(empty | dirty)
    signal = pictures[good].var(axis=(1, 2)).mean() if good.any() else 1.0
    scale = np.sqrt(snr / signal)
    pictures *= np.float32(scale)
    pictures += rng.standard_normal(pictures.shape, dtype=np.float32)
    outside = background(box, 0.375 * box)
    pictures -= pictures[:, outside].mean(axis=1)[:, None, None]
    view[~good], conformation[~good] = -1, -1
    return Stack(
        pictures=pictures, pixel_size=pixel_size, diameter=diameter,
        defocus_u=lenses[0], defocus_v=lenses[1], angle=angle, phase_shift=lenses[3],
        voltage=VOLTAGE, cs=CS, amplitude_contrast=AMPLITUDE_CONTRAST,
        view=view, conformation=conformation, shows=shows, rotations=turned, shifts=shifts,
        density=np.stack([_density(shape, mass, width, box, pixel_size) for shape in shapes]) * np.float32(scale),
    )  # fmt: skip


def write(stack: Stack, folder: str | os.PathLike, per: int = 100) -> list[tuple[Path, Path]]:
    """Write particles as extraction does: a stack and a RELION star file for each micrograph of `per` particles.

    Returns
    -------
    list of (path, path)
        The .mrcs and the .star; the star file names its pictures relative to `folder`.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    count, box = stack.pictures.shape[:2]
    written = []
    for number, first in enumerate(range(0, int(count), per)):
        some = slice(first, min(first + per, int(count)))
        size, name = some.stop - first, f"sim_{number:05d}"
        mrc.write(folder / f"{name}_particles.mrcs", stack.pictures[some], stack.pixel_size)
        side = np.arange(size)
        particles = {
            "rlnCoordinateX": 200.0 + 150.0 * (side % 20),
            "rlnCoordinateY": 200.0 + 150.0 * (side // 20),
            "rlnImageName": [f"{i:06d}@{name}_particles.mrcs" for i in range(1, size + 1)],
            "rlnMicrographName": [f"{name}.mrc"] * size,
            "rlnOpticsGroup": [1] * size,
            "rlnDefocusU": stack.defocus_u[some],
            "rlnDefocusV": stack.defocus_v[some],
            "rlnDefocusAngle": stack.angle[some],
            "rlnPhaseShift": stack.phase_shift[some],
            "rlnCtfFigureOfMerit": [0.1] * size,
            "rlnCtfMaxResolution": [6.0] * size,
            "rlnCtfBfactor": [0.0] * size,
            "rlnCtfScalefactor": [1.0] * size,
            "rlnClassNumber": [0] * size,
        }
        optics = {
            "rlnOpticsGroup": [1],
            "rlnOpticsGroupName": ["opticsGroup1"],
            "rlnVoltage": [stack.voltage],
            "rlnSphericalAberration": [stack.cs],
            "rlnAmplitudeContrast": [stack.amplitude_contrast],
            "rlnMicrographOriginalPixelSize": [stack.pixel_size],
            "rlnImagePixelSize": [stack.pixel_size],
            "rlnImageSize": [box],
            "rlnImageDimensionality": [2],
            "rlnCtfDataAreCtfPremultiplied": [0],
        }
        star.write(folder / f"{name}_particles.star", {"optics": optics, "particles": particles})
        written.append((folder / f"{name}_particles.mrcs", folder / f"{name}_particles.star"))
    return written


def _molecules(conformations: int, symmetry: str, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Domains of each shape (conformations, domains, 3; x, y, z in Å), their masses and deviations (domains,)."""
    group = _group(symmetry)
    chain = np.cumsum(rng.standard_normal((_DOMAINS, 3)), axis=0)
    chain -= chain.mean(axis=0)
    chain *= _RADIUS / np.abs(chain).max()
    mass, width = rng.uniform(0.5, 1.5, _DOMAINS), rng.uniform(*_WIDTH, _DOMAINS)
    mass *= width
    axis = rng.standard_normal(3)
    if len(group) > 1:  # to one side of the axis, and smaller, so that the whole has about the size of one chain
        chain = 0.6 * chain + [0.6 * _RADIUS, 0, 0.25 * _RADIUS if symmetry.upper()[0] == "D" else 0]
    shapes = []
    joint = 2 * _DOMAINS // 3
    for c in range(conformations):
        shape = chain.copy()
        shape[joint:] = (shape[joint:] - chain[joint]) @ _turn(axis, np.deg2rad(_HINGE * c)).T + chain[joint]
        shape = np.concatenate([shape @ g.T for g in group])
        shapes.append(shape)
    mass, width = (np.tile(x, len(group)) for x in (mass, width))
    everything = np.stack(shapes)
    return everything - np.average(everything[0], axis=0, weights=mass), mass, width


def _group(symmetry: str) -> np.ndarray:
    """Rotations of the point group: (order, 3, 3)."""
    found = re.fullmatch(r"([CD])([1-9]\d?)", symmetry.strip().upper())
    if not found:
        raise ParameterError(f"simulate.symmetry {symmetry!r} is not known: write C1, C2, … or D2, D3, ….")
    n = int(found[2])
    about_z = np.stack([_turn(np.array([0.0, 0, 1]), 2 * np.pi * i / n) for i in range(n)])
    return about_z if found[1] == "C" else np.concatenate([about_z, about_z @ np.diag([1.0, -1, -1])])


def _turn(axis: np.ndarray, angle: float) -> np.ndarray:
    """Rotation by `angle` rad about `axis` (Rodrigues)."""
    x, y, z = axis / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def _in_plane(psi: np.ndarray) -> np.ndarray:
    out = np.zeros((len(psi), 3, 3))
    out[:, 0, 0] = out[:, 1, 1] = np.cos(psi)
    out[:, 1, 0], out[:, 0, 1] = np.sin(psi), -np.sin(psi)
    out[:, 2, 2] = 1
    return out


def _waves(place: np.ndarray, width: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Transform of Gaussians along one axis: (…, domains, frequencies)."""
    return np.exp(-2 * np.pi**2 * (width[:, None] * k) ** 2 - 2j * np.pi * place[..., None] * k).astype(np.complex64)


def _projections(points: np.ndarray, mass: np.ndarray, width: np.ndarray, box: int, pixel: float) -> np.ndarray:
    """Half planes of the pictures, (n, box, box // 2 + 1) complex64; `points` (n, domains, 2) are x and y in Å."""
    centred = points + box // 2 * pixel
    along = _waves(centred[..., 1], width, np.fft.fftfreq(box, pixel))
    across = _waves(centred[..., 0], width, np.fft.rfftfreq(box, pixel))
    return np.swapaxes(along * mass.astype(np.float32)[:, None], 1, 2) @ across


def _density(shape: np.ndarray, mass: np.ndarray, width: np.ndarray, box: int, pixel: float) -> np.ndarray:
    place = (np.arange(box) - box // 2) * pixel
    x, y, z = (
        np.exp(-0.5 * ((place - shape[:, i, None]) / width[:, None]) ** 2)
        * (pixel / np.sqrt(2 * np.pi) / width)[:, None]
        for i in range(3)
    )
    return np.einsum("gz,gy,gx->zyx", z * mass[:, None], y, x, optimize=True).astype(np.float32)


def _dirt(kind: str, box: int, pixel: float, mass: float, rng: np.random.Generator) -> np.ndarray:
    """Half plane of a lump of ice, of the edge of a film, or of a bead."""
    y, x = (np.mgrid[:box, :box] - box // 2) * pixel
    dense = 1.0
    if kind != "film":
        place = rng.uniform(-40, 40, 2)
        radius, dense = (rng.uniform(40, 120), 1.0) if kind == "ice" else (rng.uniform(25, 50), 3.0)
        thick = np.sqrt(np.clip(1 - ((y - place[0]) ** 2 + (x - place[1]) ** 2) / radius**2, 0, None))
    else:
        angle, off = rng.uniform(0, 2 * np.pi), rng.uniform(-60, 60)
        thick = 1 / (1 + np.exp(-(np.cos(angle) * x + np.sin(angle) * y - off) / (0.7 * pixel)))
    picture = dense * thick * rng.uniform(1.0, 3.0) * mass * pixel**2 / (np.pi * _RADIUS**2)
    return fft.rfft2(picture).astype(np.complex64)


def _misshapen(
    kind: str, shape: np.ndarray, diameter: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Places (n, 3; x, y, z in Å) of an aggregate's domains, or of those that a broken molecule has kept, and which
    domain each is."""
    count = len(shape)
    if kind == "broken":
        cut = 2 * count // 3
        which = np.arange(cut) if rng.uniform() < 0.5 else np.arange(cut, count)
        return (shape[which] - shape[which].mean(axis=0)) @ rotations(1, rng)[0].T, which
    several = 2 if rng.uniform() < 0.5 else 3
    angle, apart = rng.uniform(0, 2 * np.pi), rng.uniform(*_APART, several) * diameter
    placed = []
    for i in range(several):  # the first in the middle, others to both sides of it, about
        off = 0.0 if i == 0 else apart[i]
        towards = angle + np.pi * (i == 2) + rng.uniform(-0.5, 0.5)
        placed.append(shape @ rotations(1, rng)[0].T + off * np.array([np.cos(towards), np.sin(towards), 0.0]))
    return np.concatenate(placed), np.tile(np.arange(count), several)


def _lens(box: int, pixel: float, u: float, v: float, angle: float, phase_shift: float) -> np.ndarray:
    """What the lens does to bright protein: +sin χ, and an envelope."""
    k2, _, _ = ctf.polar((box, box), pixel)
    function = ctf.ctf_2d((box, box), pixel, u, v, angle, VOLTAGE, CS, AMPLITUDE_CONTRAST, phase_shift)
    return (-function * np.exp(-_B / 4 * k2)).astype(np.float32)
