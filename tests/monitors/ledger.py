"""A real ledger with exposures whose numbers are known."""

from __future__ import annotations

from pathlib import Path

from cryowidgets.model import Ctf, Gain, Micrograph, Movie, Optics, Picks
from cryowidgets.monitors import registry
from cryowidgets.monitors.watch import Watch, change
from cryowidgets.store import alerts
from cryowidgets.store.admission import admit
from cryowidgets.store.queries import Reader
from cryowidgets.store.samples import Samples
from cryowidgets.store.store import Store, Todo

START = 1_800_000_000.0
EVERY = 6.0


class Ledger:
    """Writes what an engine would write, and has the monitors look as an engine has them."""

    def __init__(self, folder: Path) -> None:
        self.store = Store.create(folder, "grid 3")
        with self.store.transaction():
            self._add_steps()
        self.reader, self.samples = Reader(folder), Samples(self.store)
        self.count, self.now = 0, START
        self.found: list = []
        self.watch = Watch()

    def _add_steps(self) -> None:
        self.store.add_step("movies", "ImportMovies", Movie, {}, {})
        self.store.add_step("align", "AlignMovie", Micrograph, {}, {"movie": "movies"})
        self.store.add_step("dose", "DoseAnalysis", Micrograph, {}, {"micrograph": "align"})
        self.store.add_step("ctf", "EstimateCtf", Ctf, {}, {"micrograph": "align"})
        self.store.add_step("pick", "Topaz", Picks, {}, {"micrograph": "align"})
        self.store.add_step("gain", "EstimateGain", Gain, {}, {"movie": "movies"}, fold=True)
        for kind in (Micrograph, Ctf, Picks, Gain):
            self.store.ensure_table(kind)

    def only(self, name: str, **values) -> None:
        """Have one monitor on alone."""
        with self.store.transaction():
            for other in registry.installed():
                change(self.store, other, None, other == name)
            change(self.store, name, {"cooldown": 0, **values})

    def expose(
        self, count: int = 1, optics: Optics | None = None, every: float = EVERY, thumbnail: str = "", **numbers
    ):
        """So many exposures with the same numbers: columns of Micrograph, Ctf and Picks by name."""
        of = {Ctf: {k: v for k, v in numbers.items() if k in Ctf.columns()}, Picks: {}}
        if "picks" in numbers:
            of[Picks] = {"count": numbers.pop("picks")}
        rest = {k: v for k, v in numbers.items() if k not in of[Ctf]}
        optics = optics or Optics(pixel_size=0.85)
        arrivals = []
        for _ in range(count):
            self.count += 1
            self.now += every
            name = f"m{self.count:05d}"
            movie = Movie(name=name, path=f"/data/{name}.tiff", optics=optics, found=self.now, closed=self.now)
            arrivals.append((movie.path, self.now, movie))
        ids = admit(self.store, "movies", arrivals)
        size = {"path": "a.mrc", "pixel_size": 0.85, "height": 8, "width": 8, "thumbnail": thumbnail}
        with self.store.transaction():
            for id in ids:
                self._finish("align", id, Micrograph(**size, **{k: v for k, v in rest.items() if k != "dose_alert"}))
                if "dose_alert" in rest:
                    self._finish("dose", id, Micrograph(**size, **rest))
                if of[Ctf]:
                    self._finish("ctf", id, Ctf(micrograph="a.mrc", **of[Ctf]))
                if of[Picks]:
                    self._finish("pick", id, Picks(path="a.star", micrograph="a.mrc", **of[Picks]))
        return ids

    def gain(self, residual: float, error: float = 0.01, alert: str = "") -> None:
        (task,) = self.store.claim("gain", [Todo(None, (1, max(self.count, 1)))])
        self.store.finish(task, "done", Gain(residual=residual, residual_error=error, alert=alert))

    def sample(self, count: int = 1, **numbers: float) -> None:
        for _ in range(count):
            self.now += 2.0
            self.samples.add({"time": self.now, **numbers})

    def look(self, wait: float = 0.0) -> list[str]:
        """One look of the monitors; what is written of it, as ``level monitor.key`` or ``over monitor.key``."""
        self.now += wait
        self.found = alerts.write(self.store, self.watch.look(self.reader, self.now), self.now)
        return [f"{a.level if a.open else 'over'} {a.monitor}.{a.key}" for a in self.found]

    def close(self) -> None:
        self.reader.close()
        self.store.close()

    def _finish(self, step: str, exposure: int, item) -> None:
        (task,) = self.store.claim(step, [Todo(exposure, (exposure,))])
        self.store.finish(task, "done", item)
