"""The ticker runs while somebody looks, asks before it reads, and survives what breaks."""

import asyncio
import os
import time

import pytest

from cryowidgets.widgets import ticker as module
from cryowidgets.widgets.ticker import ticker
from cryowidgets.widgets.window import Window


class Counting(Window):
    def __init__(self, folder, fails=False):
        self.refreshed, self.readers, self.fails = 0, [], fails
        super().__init__(folder, [], "counting")

    def refresh(self, reader):
        self.refreshed += 1
        self.readers.append(reader)
        if self.fails:
            raise RuntimeError("no such colour")


def here(wire, view):
    wire.hear(view.pulse, type="here")


async def until(condition):
    """Let the event loop turn until something holds, for 20 s at most."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.01)


def test_one_ticker_for_each_project(wire, tmp_path):
    assert ticker(tmp_path) is ticker(str(tmp_path)) is not ticker(tmp_path / "other")


def test_nothing_runs_before_a_page_has_spoken(wire, filled):
    view = Counting(filled.folder)
    t = ticker(filled.folder)
    t.tick()
    assert t._task is None and view.refreshed == 0


def test_refreshes_when_something_was_written_and_not_else(wire, filled, monkeypatch):
    monkeypatch.setattr(module, "SLOW", 1e9)
    view = Counting(filled.folder)
    t = ticker(filled.folder)
    t.period = 0.02

    async def main():
        here(wire, view)
        await asyncio.sleep(0.3)
        first = view.refreshed
        filled.arrive(3)
        await until(lambda: view.refreshed == 2)
        await asyncio.sleep(0.2)
        return first

    assert asyncio.run(main()) == 1, "once, for the new page; then nothing was written"
    assert view.refreshed == 2
    assert wire.said(view.pulse, "beat"), "a page that says it is there is answered"


def test_refreshes_now_and_then_though_nothing_was_written(wire, filled, monkeypatch):
    monkeypatch.setattr(module, "SLOW", 0.1)
    view = Counting(filled.folder)
    ticker(filled.folder).period = 0.02

    async def main():
        here(wire, view)
        await until(lambda: view.refreshed >= 3)

    asyncio.run(main())


def test_stops_when_nobody_looks_and_begins_again(wire, filled, monkeypatch):
    monkeypatch.setattr(module, "AWAY", 0.2)
    view, other = Counting(filled.folder), Counting(filled.folder)
    t = ticker(filled.folder)
    t.period = 0.02

    async def main():
        here(wire, view)
        await until(lambda: t._task.done())
        filled.arrive(1)
        await asyncio.sleep(0.1)
        before = view.refreshed
        here(wire, view)
        await until(lambda: view.refreshed > before)

    asyncio.run(main())
    assert other.refreshed == 0, "a view without a page costs nothing"


def test_one_broken_view_stops_neither_the_others_nor_itself(wire, filled, caplog):
    broken, well = Counting(filled.folder, fails=True), Counting(filled.folder)
    ticker(filled.folder).period = 0.02

    async def main():
        here(wire, broken)
        here(wire, well)
        await until(lambda: broken.refreshed and well.refreshed)
        filled.arrive(1)
        await until(lambda: broken.refreshed >= 2 and well.refreshed >= 2)
        assert "RuntimeError: no such colour" in broken.pulse.trouble
        assert well.pulse.trouble == ""
        broken.fails = False
        filled.arrive(1)
        await until(lambda: broken.pulse.trouble == "")

    asyncio.run(main())
    assert "a view cannot be refreshed" in caplog.text


def test_a_project_that_disappears_and_comes_back_is_read_anew(wire, filled, monkeypatch):
    view = Counting(filled.folder)
    t = ticker(filled.folder)
    t.period = 0.02
    file = filled.folder / "project.sqlite"

    async def main():
        here(wire, view)
        await until(lambda: view.refreshed)
        filled.store.query("PRAGMA wal_checkpoint(TRUNCATE)")
        os.rename(file, file.with_suffix(".away"))
        await until(lambda: "not a project" in view.pulse.trouble)
        os.rename(file.with_suffix(".away"), file)
        here(wire, view)
        await until(lambda: view.pulse.trouble == "")

    asyncio.run(main())
    assert view.readers[0] is not view.readers[-1]


def test_a_click_from_another_thread_is_taken_to_the_loop(wire, filled, monkeypatch):
    view = Counting(filled.folder)
    ticker(filled.folder).period = 10.0

    async def main():
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(module, "kernel_loop", lambda: loop)
        here(wire, view)
        await until(lambda: view.refreshed == 1)
        await asyncio.to_thread(view.wake)
        await until(lambda: view.refreshed == 2)

    asyncio.run(main())


def test_a_closed_view_is_let_go(wire, filled):
    view = Counting(filled.folder)
    t = ticker(filled.folder)
    view.close()
    assert t._views == {}


def test_a_page_that_is_looked_at_already_is_not_refreshed_for_saying_so(wire, filled, monkeypatch):
    monkeypatch.setattr(module, "SLOW", 1e9)
    view = Counting(filled.folder)
    ticker(filled.folder).period = 0.02

    async def main():
        for _ in range(5):
            here(wire, view)
            await asyncio.sleep(0.1)
        assert view.refreshed == 1
        view.wake()
        await until(lambda: view.refreshed == 2)

    asyncio.run(main())
    assert len(wire.said(view.pulse, "beat")) == 5, "each is answered"


@pytest.mark.parametrize(("pages", "share", "longest"), [("", 0.005, 4.0), ("2", 0.005, 4.0), ("20", 0.0015, 12.0)])
def test_a_kernel_takes_its_share_of_a_core_and_no_more(pages, share, longest, tmp_path, monkeypatch):
    (tmp_path / "pages").write_text(pages)
    monkeypatch.setenv("CRYOWIDGETS_PAGES", str(tmp_path / "pages"))
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    one = module.Ticker(tmp_path)
    assert one._rest(module.BURST * share / module.SHARE) == 0, "what comes once is shown at once"
    spent = waited = 0.0
    for _ in range(1000):  # as much each time as a page of a long session takes
        rest = max(module.PERIOD, one._rest(0.01))
        spent, waited = spent + 0.01, waited + rest
        assert rest <= longest
        now[0] += rest
    assert spent / waited == pytest.approx(share, rel=0.1)
    one._rest(10.0)
    assert one._rest(0.0) < longest + 0.1, "a page is never far behind"
