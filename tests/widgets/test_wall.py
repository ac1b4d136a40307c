"""The facility wall without a browser: what it sends, how little of it, and what it never says."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from cryowidgets.errors import ProjectError
from cryowidgets.facility.glance import BINS, Glance, Series
from cryowidgets.facility.watch import Seen
from cryowidgets.store.alerts import Alert
from cryowidgets.store.metrics import METRICS
from cryowidgets.store.samples import Mount
from cryowidgets.widgets import wall as walls
from cryowidgets.widgets.wall import Wall, WallView, facility
from cryowidgets.widgets.wall_pages import start_wall
from tests.filled import FilledSession

NOW = 1_700_000_000.0
NAN = math.nan
ALERT = Alert(1, "pace", "idle", "alarm", "No new movie", 12.0, 10.0, None, NOW, None, "", None, "")
BAND = [NAN] * (BINS - 2) + [1.0, 2.0]
SERIES = Series(METRICS["drift"], NOW - 14400, NOW, BAND, BAND, BAND, 2.0)
DISK = Mount("/secret/d", "/dev/b", "xfs", False, ("project",), NOW, 8e3, 700.0, NAN, NAN, NAN, 0.0, NOW + 7200)
LIVE = Glance(
    Path("/secret/a"), "s1", "running", True, "anna", "300 kV", created=NOW, last_movie=NOW - 5, series=(SERIES,)
)
REST = replace(LIVE, folder=Path("/secret/b"), name="s2", state="finished", active=False, ended=NOW - 9, series=())


def seen(*sessions, **changes):
    found = Seen(Path("/secret/root"), time.monotonic(), {s.folder: s for s in sessions})
    return [replace(found, **changes)]


def test_only_what_is_new_is_sent(wire):
    wall = Wall("hall")
    wall.show(seen(LIVE, REST), NOW)
    assert [c["card"]["name"] for c, _ in wire.said(wall, "card")] == ["s1", "s2"]
    assert len(wire.said(wall, "curves")) == 1  # what rests has none
    wire.clear()
    wall.show(seen(LIVE, REST), NOW + 2)
    assert len(wire) == 0
    wall.show(seen(replace(LIVE, done=5), REST), NOW + 4)
    (card, _) = wire.said(wall)[0]
    assert (len(wire), card["card"]["done"]) == (1, 5)


def test_a_page_that_is_new_is_told_everything(wire):
    wall = Wall()
    wall.show(seen(LIVE, REST), NOW)
    wire.clear()
    wire.hear(wall, type="all")
    assert {c["type"] for c, _ in wire.said(wall)} >= {"card", "curves"}
    assert len(wire.said(wall, "card")) == 2


@pytest.mark.parametrize(
    "content", [{}, {"type": "tap"}, {"type": ["all"]}, {"type": "picture", "path": "/etc/passwd"}]
)
def test_what_else_a_page_says_is_nothing(wire, content):
    wall = Wall()
    wall.show(seen(LIVE), NOW)
    wire.clear()
    wire.hear(wall, **content)
    assert len(wire) == 0


def test_those_that_live_keep_their_place_and_those_at_rest_follow_by_their_end(wire):
    wall = Wall()
    younger = replace(LIVE, folder=Path("/secret/c"), created=NOW + 50)
    later = replace(REST, folder=Path("/secret/d"), ended=NOW)
    for state in ("running", "paused", "running"):
        wall.show(seen(replace(LIVE, state=state), younger, REST, later), NOW)
        assert wall.head["large"] == [walls._id(younger.folder), walls._id(LIVE.folder)]
        assert wall.head["rest"] == [walls._id(later.folder), walls._id(REST.folder)]


def test_hundreds_at_rest_are_counted_and_the_newest_named(wire):
    wall = Wall()
    many = [replace(REST, folder=Path(f"/secret/{n}"), ended=NOW - n) for n in range(300)]
    wall.show(seen(*many), NOW)
    assert wall.head["resting"] == 300
    assert len(wall.head["rest"]) == len(wire.said(wall, "card")) == walls.RESTING
    wire.clear()
    wall.show(seen(*many[:1]), NOW)
    assert wall.head["resting"] == 1
    assert len(wall._cards) == 1  # what is gone is forgotten


def test_alerts_come_the_worst_first_and_those_that_somebody_knows_of_last(wire):
    wall = Wall()
    alerts = (
        replace(ALERT, level="warning", text="w"),
        replace(ALERT, text="known", acknowledged=NOW),
        replace(ALERT, text="a"),
        replace(ALERT, level="note", text="n"),
    )
    wall.show(seen(replace(LIVE, alerts=alerts)), NOW)
    card = wire.said(wall, "card")[0][0]["card"]
    assert [(a["mark"], a["text"]) for a in card["alerts"]] == [("▲", "a"), ("△", "w"), ("○", "n")]
    assert card["more"] == 1


def test_of_the_disks_the_one_that_gives_most_concern_is_told(wire):
    wall = Wall()
    large = replace(DISK, place="/x", free=7e3, full=NAN)
    wall.show(seen(replace(LIVE, mounts=(large, DISK))), NOW)
    disk = wire.said(wall, "card")[0][0]["card"]["disk"]
    assert disk["kind"] == "bad"
    assert disk["text"].startswith("700 GB free, full in 2 h")
    wire.clear()
    wall.show(seen(replace(LIVE, mounts=(large, replace(DISK, silent=300.0)))), NOW)
    assert wire.said(wall, "card")[0][0]["card"]["disk"]["text"] == "disk silent for 5 min"


def test_bins_without_a_value_are_gaps_and_all_is_json(wire):
    wall = Wall()
    wall.show(seen(replace(LIVE, rate=NAN, latency=NAN, last_movie=NAN)), NOW)
    curve = wire.said(wall, "curves")[0][0]["curves"][0]
    assert curve["bands"][1] == [None] * (BINS - 2) + [1.0, 2.0]
    assert (curve["now"], curve["unit"], curve["hours"]) == ("2.0", "Å", 4.0)
    json.dumps([content for content, _ in wire.said(wall)], allow_nan=False)


def test_a_page_learns_no_paths(wire, tmp_path):
    wall = Wall()
    broken = replace(REST, state="unreadable", reason="ledger damaged")
    wall.show(seen(replace(LIVE, mounts=(DISK,)), broken, trouble="the folder is not there"), NOW)
    told = json.dumps([c for c, _ in wire.said(wall)]) + json.dumps(wall.head)
    assert "secret" not in told
    assert "/" not in wall.head["troubles"][0]


def test_a_folder_whose_disk_sleeps_is_said(wire):
    wall = Wall()
    wall.show(seen(LIVE, time=time.monotonic() - 600), NOW)
    assert wall.head["troubles"] == ["root: no answer for 10 min; what you see of it is as it was then"]
    assert wall.head["large"]  # and what was seen stays to be seen


def test_pictures_are_sent_once_and_only_such_as_are_pictures(wire, tmp_path):
    wall, path = Wall(), tmp_path / "m.jpg"
    path.write_bytes(b"\xff\xd8 a picture")
    session = replace(LIVE, image=str(path))
    wall.show(seen(session), NOW)
    assert wire.said(wall, "picture")[0][1] == [b"\xff\xd8 a picture"]
    wire.clear()
    wall.show(seen(session), NOW)
    assert wire.said(wall, "picture") == []
    for content in (b"root:x:0:0", b"\xff\xd8" + bytes(walls.LARGEST), b""):
        path.write_bytes(content)
        wall.show(seen(session), NOW)
    path.unlink()
    wall.show(seen(session), NOW)
    assert wire.said(wall, "picture") == []


def test_a_wall_of_real_sessions(wire, tmp_path):
    session = FilledSession(tmp_path / "site" / "s1", "grid <b>3</b>")
    session.arrive(2)
    session.process()
    view = WallView([tmp_path / "site"], "hall", every=0.01)
    try:
        until = time.monotonic() + 20
        while not wire.said(view.wall, "picture") and time.monotonic() < until:
            view.refresh()
            time.sleep(0.01)
        assert wire.said(view.wall, "card")[-1][0]["card"]["name"] == "grid <b>3</b>"
        assert wire.said(view.wall, "picture")[0][1][0][:2] == b"\xff\xd8"
        shutil.rmtree(tmp_path / "site")
        while view.wall.head["large"] and time.monotonic() < until:
            view.refresh()
            time.sleep(0.01)
        assert view.wall.head["large"] == []
    finally:
        view.close()
        session.close()


def test_folders_come_by_argument_or_by_the_environment(wire, tmp_path, monkeypatch):
    assert "No folder is named" in facility().value
    monkeypatch.setenv("CRYOWIDGETS_ROOTS", f"{tmp_path}:/nowhere")
    view = facility()
    assert [watch.root for watch in view.watches] == [tmp_path, Path("/nowhere")]
    view.close()
    named = facility(str(tmp_path))
    assert [watch.root for watch in named.watches] == [tmp_path]
    named.close()


def test_the_wall_has_nothing_to_click(wire, tmp_path):
    view = WallView([tmp_path])
    assert [type(part).__name__ for part in view.children] == ["Pulse", "Wall"]
    source = Path(walls.__file__).with_name("wall.js").read_text()
    assert "send(" not in source.replace('model.send({ type: "all" })', "")
    assert "innerHTML" not in source
    view.close()


def test_what_cannot_be_folders_of_projects_is_refused(tmp_path):
    (tmp_path / "f").write_text("")
    for wrong in ([], [tmp_path / "f"]):
        with pytest.raises(ProjectError):
            start_wall(wrong)


def test_its_kernel_is_light(tmp_path):
    code = (
        "import json, sys, time; from cryowidgets.widgets import facility; view = facility([sys.argv[1]]); "
        "[watch.round() for watch in view.watches]; view.refresh(); view.close(); "
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    session = FilledSession(tmp_path / "s")
    session.arrive(1)
    session.process(pictures=False)
    session.close()
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    heavy = {"bokeh", "dask", "distributed", "scipy", "pandas", "matplotlib", "PIL", "numba", "tornado"}
    assert set(json.loads(done.stdout)) & heavy == set()
