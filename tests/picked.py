"""A session with picks: places, scores and powers are made up, the files and the ledger are real."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from cryowidgets.io import coordinates
from cryowidgets.io.coordinates import Coordinates
from cryowidgets.model import Micrograph, ParticleSize, Picks
from cryowidgets.store.store import Todo
from cryowidgets.store.todo import todo
from tests.filled import FilledSession

PIXEL, DIAMETER = 0.85, 160.0


class PickedSession(FilledSession):
    """Exposures with picks by a picker, by a step that takes corrections, and by a filter behind them."""

    def __init__(self, folder: Path, hand: bool = True, limits: bool = True) -> None:
        super().__init__(folder)
        self.store.ensure_table(Picks)
        last = "pick"
        sizes = {"smallest": 120.0, "largest": 180.0}
        self.store.add_step("pick", "PickBlobs", Picks, sizes, {"micrograph": "maxshift"})
        if hand:
            inputs = {"micrograph": "maxshift", "picks": last}
            self.store.add_step("corrected", "CorrectPicks", Picks, {"radius": 0.0}, inputs)
            last = "corrected"
        if limits:
            values = {"score_min": None, "power_min": 0.0, "power_max": 0.0}
            self.store.add_step("kept", "FilterPicks", Picks, values, {"picks": last})
        self.found: dict[int, Coordinates] = {}
        """What the picker has found, by exposure."""

    def pick(self, many: int = 40) -> list[int]:
        """What has a micrograph gets its picks, and the steps behind hand on the same; which exposures that were."""
        done = []
        for task in self.store.claim("pick", todo(self.store, "pick", {"micrograph": Micrograph}, {})[0]):
            r = np.random.default_rng(task.exposure)
            count = many + task.exposure % 7
            places = np.stack([r.uniform(100, 3990, count), r.uniform(100, 5660, count)], axis=-1).round(2)
            found = Coordinates(places, r.normal(6, 1.5, count).round(3), powers=r.gamma(8, 0.25, count).round(3))
            self.found[task.exposure] = found
            self.store.finish(task, "done", self._picks("pick", task.exposure, found), host="node1")
            done.append(task.exposure)
        for step, wanted in (
            ("corrected", {"micrograph": Micrograph, "picks": Picks}),
            ("kept", {"picks": Picks}),
        ):
            if step in self.store.steps():
                for task in self.store.claim(step, todo(self.store, step, wanted, {})[0]):
                    made = self._picks(step, task.exposure, self.found[task.exposure])
                    self.store.finish(task, "done", made, host="node1")
        return done

    def measure(self, **values: object) -> None:
        """An estimate of the size of the particles; the picker is on hold until somebody approves it."""
        if "size" not in self.store.steps():
            self.store.add_step("size", "EstimateSize", ParticleSize, {}, {"micrograph": "maxshift"}, fold=True)
        self.store.ensure_table(ParticleSize)
        (task,) = self.store.claim("size", [Todo(None, (1,))])
        (self.folder / "steps/size").mkdir(parents=True, exist_ok=True)
        x = np.linspace(60, 320, 60)
        np.save(
            self.folder / "steps/size/curve.npy", np.stack([x, np.exp(-(((x - 160) / 25) ** 2))]).astype(np.float32)
        )
        y, x = np.mgrid[-32:32, -32:32]
        self._jpeg("steps/size/mean.jpg", 128 - 60 * np.exp(-((np.hypot(x, y) / 18) ** 6)))
        size = ParticleSize(
            diameter=160.0,
            diameter_error=4.0,
            smallest=140.0,
            largest=180.0,
            micrographs=30,
            curve="steps/size/curve.npy",
            picture="steps/size/mean.jpg",
        )
        self.store.finish(task, "done", replace(size, **values), host="node1")

    def _picks(self, step: str, exposure: int, found: Coordinates) -> Picks:
        path, picture = f"steps/{step}/{exposure}_picks.star", f"steps/{step}/{exposure}_picks.jpg"
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        coordinates.write(self.folder / path, found)
        self._jpeg(picture, self._random.normal(128, 25, (91, 128)))
        return Picks(
            path=path,
            micrograph=f"steps/align/{exposure}.mrc",
            thumbnail=picture,
            count=len(found),
            diameter=DIAMETER,
            pixel_size=PIXEL,
            height=4092,
            width=5760,
        )
