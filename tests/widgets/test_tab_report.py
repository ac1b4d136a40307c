"""The tab Report: its numbers, the files that a page may have and no others, and what it has written."""

from __future__ import annotations

import sqlite3
import time

import pytest

from cryowidgets.facility import report
from cryowidgets.store import thresholds
from cryowidgets.store.queries import Reader
from cryowidgets.widgets import download
from cryowidgets.widgets.page import Page
from cryowidgets.widgets.tab_report import FILES, ReportTab
from tests.filled import FilledSession


@pytest.fixture
def filled(tmp_path):
    session = FilledSession(tmp_path / "s1")
    session.arrive(12)
    session.process(pictures=False)
    yield session
    session.close()


@pytest.fixture
def sent(monkeypatch):
    """What downloads send to their pages."""
    messages: list[tuple] = []
    monkeypatch.setattr(download.Downloads, "send", lambda _, content, buffers=(): messages.append((content, buffers)))
    return messages


def shown(folder, reader, control=False) -> ReportTab:
    page = Page(folder, control)
    tab = ReportTab(page)
    page.refresh(reader)
    assert page.overview is not None
    tab.refresh(reader)
    return tab


def test_its_numbers_are_those_of_the_ledger(filled):
    filled.store.put(thresholds.KEY, thresholds.dumps({"resolution": (None, 4.0)}))
    with sqlite3.connect(f"file:{filled.folder}/project.sqlite?mode=ro", uri=True) as db:
        (good,) = db.execute("SELECT count(*) FROM ctf WHERE fit_resolution <= 4").fetchone()
    with Reader(filled.folder) as reader:
        tab = shown(filled.folder, reader)
        assert f"{good} movies of 12 movies" in tab.numbers.value and "fit resolution ≤ 4.0 Å" in tab.numbers.value
        assert tab.jobs is None and tab.downloads.files == []


def test_a_page_gets_the_files_of_the_list_in_pieces_and_nothing_else(filled, sent, monkeypatch):
    monkeypatch.setattr(download, "PIECE", 1000)
    written = report.write(filled.folder, inside=True)
    (written.folder / "secret.txt").write_text("no")
    with Reader(filled.folder) as reader:
        downloads = shown(filled.folder, reader).downloads
    assert [file["name"] for file in downloads.files] == ["index.html", "exposures.csv"]
    page, table = downloads.files
    got = b""
    for at in range(0, table["size"], 1000):
        ask = {"type": "piece", "view": "v", "name": "exposures.csv", "at": at, "version": table["version"]}
        downloads._receive(ask)
        content, buffers = sent[-1]
        assert content == {"type": "piece", "view": "v", "name": "exposures.csv", "at": at}
        got += buffers[0]
    assert got == (written.folder / "exposures.csv").read_bytes()
    sent.clear()
    for bad in (
        {"name": "secret.txt"},
        {"name": "../project.sqlite"},
        {"name": ["exposures.csv"]},
        {"at": -1},
        {"at": 10**15},
        {"at": "0"},
        {"view": None},
        {"type": "file"},
    ):
        downloads._receive({**ask, **bad})
    assert sent == []
    downloads._receive({**ask, "at": 0, "version": "1-1"})
    assert sent == [({"type": "gone", "view": "v", "name": "exposures.csv"}, ())]


def test_a_click_has_the_report_written_in_the_background(filled):
    with Reader(filled.folder) as reader:
        tab = shown(filled.folder, reader, control=True)
        assert list(tab.jobs.buttons)[:3] == ["Write report", "Report and PDF", "Accepted to RELION"]
        tab.jobs.buttons["Write report"].click()
        assert all(button.disabled for button in tab.jobs.buttons.values())
        tab.jobs.buttons["Accepted to RELION"].click()  # one at a time
        until = time.monotonic() + 60
        while tab.jobs._process is not None and time.monotonic() < until:
            time.sleep(0.05)
        tab.refresh(reader)
        assert "Write report: done at" in tab.jobs.said.value, tab.jobs.said.value
        assert [file["label"] for file in tab.downloads.files] == [FILES["index.html"], FILES["exposures.csv"]]
        assert not any(button.disabled for button in tab.jobs.buttons.values())
        assert not (filled.folder / "reports" / "relion").exists()


def test_what_fails_is_said(filled):
    with Reader(filled.folder) as reader:
        tab = shown(filled.folder, reader, control=True)
        tab.jobs.begin("Write report", ["report", str(filled.folder / "<nowhere>")])
        process = tab.jobs._process
        process.wait(60)
        until = time.monotonic() + 20
        while tab.jobs._process is not None and time.monotonic() < until:
            time.sleep(0.02)
        tab.refresh(reader)
    assert "failed at" in tab.jobs.said.value and "&lt;nowhere&gt;" in tab.jobs.said.value
