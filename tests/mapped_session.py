"""A session that has come to a first map: the density is the simulator's, what is said of it is made up."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cryowidgets.io import mrc
from cryowidgets.model import ResolutionMap, Volume
from cryowidgets.sim.particles import simulate
from cryowidgets.store.store import Store, Todo

BOX, PIXEL = 48, 5.0


def density() -> np.ndarray:
    """(z, y, x) float32"""
    return simulate(1, box=BOX, pixel_size=PIXEL, seed=3).density[0]


def add_map(store: Store, folder: Path, measured: bool = True, **said) -> Volume:
    """A map, and where `measured` also its local resolution; `said` are columns of the `Volume`."""
    for name, kind in (("volume", Volume), ("local", ResolutionMap)):
        store.ensure_table(kind)
        if name not in store.steps() and (measured or name == "volume"):
            protocol = "InitialVolume" if name == "volume" else "LocalResolution"
            inputs = {"volume": "volume"} if name == "local" else {}
            store.add_step(name, protocol, kind, {}, inputs, fold=True)
    number = len(store.query("SELECT id FROM volume")) + 1
    home = folder / "steps/volume"
    home.mkdir(parents=True, exist_ok=True)
    whole = density()
    name = f"steps/volume/map_{number:03d}"
    mrc.write(folder / f"{name}.mrc", whole, PIXEL)
    np.savez(folder / f"{name}_orientations.npz", **seen())
    values = {
        "path": f"{name}.mrc",
        "orientations": f"{name}_orientations.npz",
        "box": BOX,
        "pixel_size": PIXEL,
        "classes": 9,
        "particles": 17989,
        "starts": 6,
        "agreeing": 5,
        "agreement": 18.4,
        "resolution": 16.2,
        "evenness": 0.74,
        "level": float(whole.max()) * 0.25,
        **said,
    }
    (task,) = store.claim("volume", [Todo(None, (number, number))])
    volume = Volume(**values)
    store.finish(task, "done", volume)
    if measured:
        _measure(store, folder, name, whole, number)
    return volume


def seen(count: int = 400) -> dict[str, np.ndarray]:
    """Directions on a spiral over the sphere, those about the poles never seen."""
    z = 1 - 2 * (np.arange(count) + 0.5) / count
    rot = np.degrees(np.arange(count) * np.pi * (3 - np.sqrt(5))) % 360
    tilt = np.degrees(np.arccos(z))
    counts = np.rint(60 * np.exp(-(((tilt - 90) / 30) ** 2)) * (1.2 + np.cos(np.radians(rot)))).astype(int)
    return {"directions": np.stack([rot, tilt], 1), "counts": counts}


def _measure(store: Store, folder: Path, name: str, whole: np.ndarray, number: int) -> None:
    z = np.arange(BOX)[:, None, None] - BOX / 2
    local = np.where(whole > 0.05 * whole.max(), 14 + 0.35 * np.abs(z) + 0 * whole, 0).astype(np.float32)
    mrc.write(folder / f"{name}_local.mrc", local, PIXEL)
    shares, edges = np.histogram(local[local > 0], 30)
    curve = np.stack([(edges[1:] + edges[:-1]) / 2, shares / shares.sum()]).astype(np.float32)
    np.save(folder / f"{name}_histogram.npy", curve)
    ends = np.percentile(local[local > 0], (10, 50, 90))
    (task,) = store.claim("local", [Todo(None, (number, number))])
    found = ResolutionMap(
        path=f"{name}_local.mrc",
        map=f"{name}.mrc",
        histogram=f"{name}_histogram.npy",
        box=BOX,
        pixel_size=PIXEL,
        finest=float(ends[0]),
        median=float(ends[1]),
        coarsest=float(ends[2]),
        level=float(whole.max()) * 0.25,
    )
    store.finish(task, "done", found)
