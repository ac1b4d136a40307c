"""A project whose ledger holds a session that no engine has processed: values are made up, the ledger is real."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from PIL import Image

from cryowidgets.model import Ctf, Gain, Micrograph, Movie, Optics, Quality
from cryowidgets.protocols.score_exposure import ScoreExposure
from cryowidgets.store import alerts
from cryowidgets.store.admission import admit, refuse
from cryowidgets.store.lock import WriterLock
from cryowidgets.store.samples import Samples
from cryowidgets.store.store import Store, Todo
from cryowidgets.store.todo import todo

OPTICS = Optics(pixel_size=0.85, dose_per_frame=1.25)
EVERY = 6.0
TRACEBACK = 'Traceback (most recent call last):\n  File "align_movie.py", line 80, in process\nInputError: no'


class FilledSession:
    """Writes what the engine would write; holds its lock, so that windows see a living engine."""

    def __init__(self, folder: Path, name: str = "grid 3 <apoferritin>") -> None:
        self.folder = folder
        self.store = Store.create(folder, name)
        self.store.add_step("movies", "ImportMovies", Movie, {"pattern": "/data/*.tiff", "pixel_size": 0.85}, {})
        self.store.add_step("align", "AlignMovie", Micrograph, {}, {"movie": "movies"})
        self.store.add_step("maxshift", "MaxShift", Micrograph, {}, {"micrograph": "align"})
        self.store.add_step("ctf", "EstimateCtf", Ctf, {}, {"micrograph": "maxshift"})
        self.store.add_step("quality", "ScoreExposure", Quality, {}, {"micrograph": "maxshift", "ctf": "ctf"})
        self.lock: WriterLock | None = None
        self._count = 0
        self._random = np.random.default_rng(7)
        self._start = time.time() - 3600.0

    def open_engine(self) -> None:
        self.lock = WriterLock(self.folder)
        self.store.event("engine", "the engine started")
        for step in self.store.steps():
            self.store.set_state(step, "running")

    def close_engine(self) -> None:
        if self.lock:
            self.lock.release()
            self.lock = None

    def arrive(self, count: int, warning: str = "") -> list[int]:
        """Movies come in and wait."""
        arrivals = []
        for _ in range(count):
            self._count += 1
            name = f"FoilHole_{20000 + self._count}_Data_{self._count % 7}"
            at = self._start + EVERY * self._count
            path = f"/data/{name}.tiff"
            movie = Movie(name=name, path=path, optics=OPTICS, found=at, closed=at, frames=40, warning=warning)
            arrivals.append((movie.path, at, movie))
        return admit(self.store, "movies", arrivals)

    def process(self, pictures: bool = True) -> None:
        """All that waits is done, as by the engine."""
        for task in self._claim("align", Movie, "movie"):
            self.store.finish(task, "done", self._micrograph(task.exposure, pictures), host="node1")
        for task in self._claim("maxshift", Micrograph, "micrograph"):
            micrograph = self.store.item(Micrograph, task.inputs[0])
            if micrograph.motion_total > 20:
                why = f"path of {micrograph.motion_total:.0f} Å is longer than 20 Å"
                self.store.finish(task, "rejected", error=why)
            else:
                self.store.finish(task, "done", micrograph.filed(self.folder))
        for task in self._claim("ctf", Micrograph, "micrograph"):
            self.store.finish(task, "done", self._ctf(task.exposure, pictures), host="node1")
        self.store.ensure_table(Quality)
        wanted = {"micrograph": Micrograph, "ctf": Ctf}
        for task in self.store.claim("quality", todo(self.store, "quality", wanted, {})[0]):
            micrograph, ctf = (self.store.item(kind, id) for kind, id in zip(wanted.values(), task.inputs, strict=True))
            self.store.finish(task, "done", ScoreExposure().process(micrograph, ctf, None), host="node1")

    def add_up(self, movies: int, alert: str = "") -> None:
        """The gain by the movies so far, as a fold gives it."""
        if "gain" not in self.store.steps():
            self.store.add_step("gain", "EstimateGain", Gain, {}, {"movie": "movies"}, fold=True)
        (task,) = self.store.claim("gain", [Todo(None, (movies - 19, movies))])
        y, x = np.mgrid[:182, :256]
        picture = f"steps/gain/gain_{movies:06d}_gain.jpg"
        self._jpeg(picture, 128 + 20 * np.sin(x / 4) + 15 * (y // 24 % 2) + self._random.normal(0, 12, x.shape))
        gain = Gain(
            picture=picture,
            movies=movies,
            counts=40.0 * movies,
            needed=2600.0,
            spread=0.04,
            error=1 / np.sqrt(40.0 * movies),
            defects=212,
            residual=0.31 if alert else 0.04,
            residual_error=0.02,
            deviation=0.012 + 0.3 / movies,
            width=1.05 + 2 / movies,
            peak=1.2 + 3 / movies,
            alert=alert,
        )
        self.store.finish(task, "done", gain, host="node1")

    def alert(self, text: str, level: str = "warning", monitor: str = "gain", key: str = "") -> int:
        """A monitor finds something wrong; returns the id of the alert."""
        (found,) = alerts.write(self.store, [alerts.Raise(monitor, key or monitor, level, text, 0.31, 0.2)])
        return found.id

    def clear(self, text: str = "right again", monitor: str = "gain", key: str = "") -> None:
        alerts.write(self.store, [alerts.Clear(monitor, key or monitor, text)])

    def fail(self, why: str) -> int:
        """One more movie comes, and its alignment fails."""
        (exposure,) = self.arrive(1)
        for task in self._claim("align", Movie, "movie"):
            self.store.finish(task, "failed", error=why, traceback=TRACEBACK, host="node1")
        return exposure

    def refuse(self, why: str) -> int:
        self._count += 1
        name = f"FoilHole_{20000 + self._count}_broken"
        return refuse(self.store, "movies", f"/data/{name}.tiff", name, OPTICS, self._start + EVERY * self._count, why)

    def sample(self, count: int = 1, gpu: bool = False) -> None:
        """Load of the machine."""
        for n in range(count):
            wave = np.sin(n / 9)
            Samples(self.store).add(
                {
                    "time": time.time() - 2.0 * (count - 1 - n),
                    "cpu": 60 + 25 * wave + self._random.normal(0, 4),
                    "memory": 38 + 2 * wave,
                    "disk_read": 220 + 60 * wave + self._random.normal(0, 15),
                    "disk_write": 90 + 20 * wave,
                    "disk_free": 4100.0,
                    "workers": 2,
                    "running": 2,
                    "queue": 3 + int(3 * wave),
                    "gpu": 70.0 if gpu else None,
                    "gpu_memory": 30.0 if gpu else None,
                }
            )

    def close(self) -> None:
        self.close_engine()
        self.store.close()

    def _claim(self, step, kind, input):
        self.store.ensure_table(kind)
        return self.store.claim(step, todo(self.store, step, {input: kind}, {})[0])

    def _micrograph(self, exposure: int, pictures: bool) -> Micrograph:
        r = self._random
        early, late = r.gamma(6, 0.7), r.gamma(8, 0.5)
        if exposure % 23 == 0:
            early += 30
        steps = np.exp(-np.arange(40) / 8.0)[:, None] * r.normal(0.5, 0.3, (40, 2))
        shifts = np.cumsum(steps, axis=0)
        thumbnail = local = ""
        if pictures:
            local = f"steps/align/{exposure}_local.npz"
            centres = np.stack(np.meshgrid(np.arange(4) * 1023 + 511, np.arange(6) * 960 + 480, indexing="ij"), -1)
            bent = np.sin(centres / 2000.0) * r.normal(0, 2, 2)
            (self.folder / local).parent.mkdir(parents=True, exist_ok=True)
            ways = shifts - shifts[0] + np.linspace(0, 1, 40)[:, None] ** 0.5 * bent.reshape(-1, 1, 2)
            np.savez(self.folder / local, centres=centres.reshape(-1, 2), tracks=ways)
            thumbnail = f"steps/align/{exposure}.jpg"
            field = r.normal(128, 25, (182, 256))
            for y, x in r.integers(12, 170, (40, 2)):
                field[y - 5 : y + 5, x - 5 : x + 5] -= 30
            self._jpeg(thumbnail, field)
        return Micrograph(
            path=f"steps/align/{exposure}.mrc",
            thumbnail=thumbnail,
            local_motion=local,
            pixel_size=0.85,
            height=4092,
            width=5760,
            frames=40,
            motion_total=early + late,
            motion_early=early,
            motion_late=late,
            shifts=(shifts - shifts[0]).astype(np.float32),
        )

    def _ctf(self, exposure: int, pictures: bool) -> Ctf:
        r = self._random
        defocus = 12000 + 6000 * np.sin(exposure / 9) + r.normal(0, 500)
        astigmatism = abs(r.normal(250, 90))
        fit = 3.2 + r.gamma(2, 0.35)
        picture = curve = ""
        if pictures:
            k = np.linspace(0.03, 0.45, 300)
            phase = np.pi * 0.0197 * defocus * k**2 - np.pi / 2 * 2.7e7 * 0.0197**3 * k**4
            envelope = np.exp(-30 * k**2)
            fitted = envelope * np.sin(phase) ** 2
            observed = fitted + r.normal(0, 0.03, k.size)
            agreement = np.clip(1.3 - k * fit, -0.2, 1)
            curve = f"steps/ctf/{exposure}.npy"
            (self.folder / "steps/ctf").mkdir(parents=True, exist_ok=True)
            np.save(self.folder / curve, np.stack([k, observed, fitted, agreement]).astype(np.float32))
            y, x = np.mgrid[-128:128, -128:128] / 128 * 0.45
            kk = np.hypot(y, x)
            rings = np.exp(-20 * kk**2) * np.sin(np.pi * 0.0197 * defocus * kk**2) ** 2
            picture = f"steps/ctf/{exposure}.jpg"
            self._jpeg(picture, 60 + 190 * rings + r.normal(0, 12, rings.shape) * (x < 0))
        return Ctf(
            micrograph=f"steps/align/{exposure}.mrc",
            picture=picture,
            curve=curve,
            defocus_u=defocus + astigmatism / 2,
            defocus_v=defocus - astigmatism / 2,
            astigmatism=astigmatism,
            angle=r.uniform(0, 180),
            fit_resolution=fit,
            score=0.9 - 0.05 * fit,
        )

    def _jpeg(self, name: str, field: np.ndarray) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.clip(field, 0, 255).astype(np.uint8)).save(path, quality=80)
