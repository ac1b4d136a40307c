"""What may begin, over arrivals, claims and restarts in any order: each once, and never more or less than told."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from cryowidgets.engine.valve import Valve
from cryowidgets.model import Movie, Optics
from cryowidgets.protocols.trigger import Trigger
from cryowidgets.store.admission import admit
from cryowidgets.store.store import Store
from cryowidgets.store.todo import todo

events = st.lists(st.one_of(st.integers(1, 4), st.sampled_from(["claim", "lose", "restart"])), max_size=25)


class Session:
    """A ledger with a trigger, and what an engine would know of it."""

    def __init__(self, folder, trigger):
        self.store = Store.create(folder / "p")
        self.store.add_step("movies", "ImportMovies", Movie, {}, {})
        self.store.add_step("hold", "Trigger", Movie, trigger.values(), {"item": "movies"})
        self.trigger, self.arrived = trigger, 0
        self.released: set[int] = set()
        self.claimed: list[int] = []
        self.restart()

    def restart(self):
        self.store.abandon()
        self.valve = Valve(self.store, self.store.steps()["hold"], self.trigger, Movie)
        self.cursors: dict[str, int] = {}
        self.free: list = []

    def arrive(self, count):
        optics = Optics(pixel_size=1.0)
        names = [f"m{self.arrived + n}" for n in range(count)]
        found = [(f"/data/{n}.mrc", 1.0, Movie(name=n, path=n, optics=optics, found=1.0)) for n in names]
        admit(self.store, "movies", found)
        self.arrived += count

    def tick(self, last=False):
        found, self.cursors = todo(self.store, "hold", {"item": Movie}, self.cursors)
        free = self.valve.let(found, last)
        self.free += free
        self.released |= {item.exposure for item in free}

    def claim(self, finish=True):
        """Begin with the newest, as the desk does."""
        for item in self.free[-2:]:
            (task,) = self.store.claim("hold", [item])
            if finish:
                self.store.finish(task, "done", self.store.item(Movie, item.inputs[0]))
                self.claimed.append(item.exposure)
        del self.free[-2:]

    def expected(self, last=False):
        count = self.trigger.count
        if self.trigger.mode == "static":
            return count if self.arrived >= count else self.arrived * last
        if last:
            return self.arrived
        if self.trigger.mode == "growing":
            return self.arrived * (self.arrived >= count)
        return self.arrived // count * count


@settings(max_examples=25)
@given(events, st.sampled_from(["growing", "static", "batches"]), st.integers(1, 6))
def test_so_many_as_told_begin_each_once_whatever_happens(history, mode, count):
    with tempfile.TemporaryDirectory() as folder:
        session = Session(Path(folder), Trigger(mode=mode, count=count))
        try:
            for event in history:
                if event == "claim":
                    session.claim()
                elif event == "lose":  # claimed, and the engine dies
                    session.claim(finish=False)
                    session.restart()
                elif event == "restart":
                    session.restart()
                else:
                    session.arrive(event)
                session.tick()
                assert len(session.released) == session.expected()
                assert session.valve.full == (mode == "static" and session.arrived >= count)
            session.tick(last=True)
            assert len(session.released) == session.expected(last=True)
            while session.free:
                session.claim()
            assert sorted(session.claimed) == sorted(session.released)
        finally:
            session.store.close()
