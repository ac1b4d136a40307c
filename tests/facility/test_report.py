"""The report of a session: what it says against the ledger, and that it holds against whatever it is given."""

from __future__ import annotations

import csv
import html
import os
import re
import signal
import sqlite3
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from cryowidgets.cli import main
from cryowidgets.errors import InputError, ParameterError, ProgramError
from cryowidgets.facility import report
from cryowidgets.facility.report import session as told
from cryowidgets.facility.report.beside import Beside
from cryowidgets.facility.report.publish import publish
from cryowidgets.model import Classes, Particles, ResolutionMap, Volume
from cryowidgets.store import alerts, thresholds
from cryowidgets.store.queries import Reader
from cryowidgets.store.samples import Samples
from cryowidgets.store.store import Todo
from tests.filled import FilledSession

EVIL = "<script>alert(1)</script>\"'&{{ 7 * 7 }}"
CUT = {"resolution": (None, 5.0), "astigmatism": (50.0, 400.0)}


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """A running session with some of everything."""
    filled = FilledSession(tmp_path_factory.mktemp("report") / "s1", name=f"grid 3 {EVIL}")
    filled.store.put("comment", f"apoferritin {EVIL}")
    filled.arrive(22)
    filled.process()
    filled.fail(f"/data/raw/m.tiff {EVIL} is truncated: 46 of 50 frames.")
    filled.fail(f"/data/raw/n.tiff {EVIL} is truncated: 12 of 50 frames.")
    filled.refuse("it is not a movie")
    filled.sample(40, gpu=True)
    disk = {"place": "/", "device": "a", "type": "xfs", "network": 0, "uses": "project,movies", "time": time.time()}
    numbers = {"total": 8000.0, "free": 1200.0, "read": 1.0, "write": 2.0, "seen": None, "silent": 0.0}
    Samples(filled.store).add(mounts=[{**disk, **numbers}])
    alerts.write(filled.store, [alerts.Raise("ctf", "a", "warning", f"The focus {EVIL} of /data/raw/m.tiff is off.")])
    classify(filled)
    filled.arrive(3)
    filled.store.put(thresholds.KEY, thresholds.dumps(CUT))
    with filled.store.transaction() as db:
        db.execute("UPDATE exposure SET rejected = ? WHERE id IN (5, 6)", (f"ice {EVIL}",))
        db.execute("UPDATE exposure SET note = ?, flag = 1 WHERE id = 7", (f"look {EVIL}",))
    filled.open_engine()
    yield filled
    filled.close()


def classify(filled: FilledSession) -> None:
    """Classes of particles, as a fold gives them."""
    filled.store.add_step("classes", "RelionClass2D", Classes, {"classes": 20}, {"particles": "align"}, fold=True)
    filled.store.ensure_table(Classes)
    (task,) = filled.store.claim("classes", [Todo(None, (1, 20))])
    filled._jpeg("steps/classes/averages.jpg", np.full((64, 640), 90.0))
    numbers = {"count": 20, "particles": 4812, "box": 64, "pixel_size": 3.4, "resolution": 7.8, "largest": 0.14}
    made = Classes(path="c.mrcs", thumbnail="steps/classes/averages.jpg", **numbers)
    filled.store.finish(task, "done", replace(made, program="RELION", program_version="5.0.1"), host="node1")
    picture = "steps/classes/averages.jpg"
    chosen = Particles(path="", count=3100, screened=1712, box=64, pixel_size=3.4, thumbnail=picture)
    volume = Volume(reason=f"The starts do not agree {EVIL}.", classes=9, particles=3100, starts=6, agreeing=1)
    maps = ResolutionMap(median=8.2, finest=6.9, coarsest=11.0, thumbnail=picture)
    for name, protocol, item in (
        ("select", "SelectClasses", chosen), ("map", "InitialVolume", volume), ("local", "LocalResolution", maps)
    ):  # fmt: skip
        filled.store.add_step(name, protocol, type(item), {}, {"classes": "classes"}, fold=True)
        filled.store.ensure_table(type(item))
        (task,) = filled.store.claim(name, [Todo(None, (1, 1))])
        filled.store.finish(task, "done", item)


@pytest.fixture(scope="module")
def written(session):
    return report.write(session.folder)


@pytest.fixture(scope="module")
def page(written):
    return written.page.read_text()


def said(page: str) -> str:
    """What a reader sees of a page."""
    return " ".join(html.unescape(re.sub(r"<(style|svg).*?</\1>|<[^>]*>", " ", page, flags=re.S)).split())


def test_it_says_what_a_count_of_the_tables_says(session, page):
    with sqlite3.connect(f"file:{session.folder}/project.sqlite?mode=ro", uri=True) as db:
        (last,) = db.execute("SELECT max(id) FROM step WHERE fold = 0").fetchone()
        gone = "SELECT exposure FROM task WHERE state = 'rejected'"
        gone = f"({gone} UNION SELECT id FROM exposure WHERE rejected IS NOT NULL)"
        found = db.execute("SELECT count(*) FROM exposure").fetchone()[0]
        rejected = db.execute(f"SELECT count(*) FROM {gone}").fetchone()[0]
        failed = db.execute(
            f"SELECT count(DISTINCT exposure) FROM task WHERE state = 'failed' AND exposure NOT IN {gone}"
        )
        failed = failed.fetchone()[0]
        done = f"SELECT exposure FROM task WHERE step = {last} AND state = 'done' AND exposure NOT IN {gone}"
        within = "fit_resolution <= 5 AND astigmatism BETWEEN 50 AND 400"
        accepted = db.execute(f"SELECT count(*) FROM ctf WHERE exposure IN ({done}) AND {within}").fetchone()[0]
        finished = db.execute(f"SELECT count(*) FROM ({done})").fetchone()[0]
        drifts = [v for (v,) in db.execute("SELECT motion_total FROM micrograph WHERE step = 2")]
    text = said(page)
    assert f"{found} movies {accepted} accepted" in text
    assert f"{accepted} accepted {100 * accepted / found:.1f} %" in text
    assert f"{finished - accepted} left out by thresholds" in text
    assert f"{rejected} rejected by hand or by a gate" in text
    assert f"{failed} failed" in text and f"{found - finished - rejected - failed} waiting or running" in text
    five = np.percentile(drifts, [0, 5, 50, 95, 100])
    assert f"drift / Å {len(drifts)} " + " ".join(f"{v:.1f}" for v in five) in text
    assert f"all together {accepted}" in text
    assert "2 failed align m.tiff" in text or "2 failed align n.tiff" in text  # one reason, told by the newest
    assert "1 open alert" in text and f"warning The focus {EVIL} of m.tiff is off. ctf, since" in text
    assert "project, movies xfs 8 TB 1.2 TB" in text
    assert "classes 20 classes of 4812 particles, the largest has 14 %, finest resolution 7.8 Å" in text
    assert "select 3100 particles of the chosen classes, 1712 of others" in text
    assert f"1 of 6 starts agree. The starts do not agree {EVIL}." in text
    assert "local resolution: median 8.2 Å, 6.9 to 11.0 Å" in text
    assert "RELION 5.0.1 classes" in text and "doi:10.1042/BCJ20210708" in text
    assert "/data/raw" not in page  # folders of the host are nobody's business


def test_the_table_has_every_exposure_and_number(session, written):
    with open(written.folder / "exposures.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    with sqlite3.connect(f"file:{session.folder}/project.sqlite?mode=ro", uri=True) as db:
        names = [name for (name,) in db.execute("SELECT name FROM exposure ORDER BY id")]
        fits = dict(db.execute("SELECT exposure, fit_resolution FROM ctf"))
    assert [row["name"] for row in rows] == names
    assert {int(r["exposure"]): float(r["resolution_A"]) for r in rows if r["resolution_A"]} == pytest.approx(fits)
    assert rows[6]["note"] == f"look {EVIL}" and rows[6]["flag"] == "1"
    assert rows[4]["reason"] == f"ice {EVIL}" and rows[4]["state"] == "rejected"


def test_whatever_people_wrote_is_text(page):
    assert "<script" not in page and "49" not in re.findall(r"apoferritin .{60}", page)[0]
    assert html.escape(EVIL, quote=False).split("{{")[0].replace('"', "&#34;").replace("'", "&#39;") in page
    assert "default-src 'none'" in page


def test_nothing_comes_from_outside_and_pictures_lie_beside(written, page):
    sources = re.findall(r"<(?:img|script|link|iframe)[^>]*(?:src|href)=\"([^\"]*)\"", page)
    pictures = [source for source in sources if not source.startswith("data:")]
    assert pictures and all((written.folder / source).is_file() for source in pictures)
    assert {file.name for file in (written.folder / "images").iterdir()} == {Path(source).name for source in pictures}
    assert "url(" not in page and "@import" not in page


def test_with_pictures_inside_it_is_one_file(session, tmp_path):
    page = report.write(session.folder, tmp_path / "one", inside=True).page.read_text()
    assert 'src="data:image/jpeg;base64,' in page and "images/" not in page
    assert not (tmp_path / "one" / "images").exists()


def test_written_again_it_says_the_same_as_written_anew(tmp_path):
    filled = FilledSession(tmp_path / "s2")
    filled.arrive(8)
    filled.process()
    made = report.Report(filled.folder, tmp_path / "again")
    with Reader(filled.folder) as reader:
        first = made.write(reader)
        before = {file.name: file.stat().st_mtime_ns for file in (first.folder / "images").iterdir()}
        filled.arrive(5)
        filled.process()
        filled.fail("no memory")
        filled.store.put(thresholds.KEY, thresholds.dumps({"drift": (None, 12.0)}))
        with filled.store.transaction() as db:
            db.execute("UPDATE exposure SET rejected = 'carbon' WHERE id = 3")
        filled.store.event("rejected", "by hand", exposure=3)
        second = made.write(reader)
    anew = report.write(filled.folder, tmp_path / "anew")
    assert second.exposures == 14 and not second.final
    # The time of writing, and the sizes of files, which are not looked at each time.
    other = re.compile(r"written \d{4}-\d\d-\d\d \d\d:\d\d|The newest movie was.*?old|<h3>Room used.*?</table>", re.S)
    assert other.sub("", second.page.read_text()) == other.sub("", anew.page.read_text())
    assert (second.folder / "exposures.csv").read_bytes() == (anew.folder / "exposures.csv").read_bytes()
    after = {file.name: file.stat().st_mtime_ns for file in (second.folder / "images").iterdir()}
    assert after.keys() == {file.name for file in (anew.folder / "images").iterdir()}
    assert all(after[name] == before[name] for name in after.keys() & before.keys())  # copied once
    assert not list(second.folder.rglob(".*"))
    filled.close()


def test_the_page_loads_itself_again_until_all_is_done(tmp_path):
    filled = FilledSession(tmp_path / "s3")
    filled.arrive(4)
    filled.process(pictures=False)
    with Reader(filled.folder) as reader:
        assert (
            'http-equiv="refresh" content="300"'
            in report.Report(filled.folder, every=300).write(reader).page.read_text()
        )
    filled.store.put("stream", "closed")
    said = CliRunner().invoke(main, ["report", str(filled.folder), "--every", "5m", "--out", str(tmp_path / "out")])
    assert said.exit_code == 0 and "4 movies, with exposures.csv; the session is closed" in said.output, said.output
    page = (tmp_path / "out" / "index.html").read_text()
    assert 'http-equiv="refresh"' not in page and "report final" in page
    filled.close()


def test_a_session_without_movies_has_a_report(tmp_path):
    filled = FilledSession(tmp_path / "s4")
    page = report.write(filled.folder).page.read_text()
    assert "0</b><span>movies" in page and "No alert is open." in page
    filled.close()


def test_a_template_of_the_site_fills_blocks(session, tmp_path):
    (tmp_path / "logo.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "report.html").write_text(
        '{% extends "default/report.html" %}{% block foot %}Facility X <img src="{{ asset("logo.png") }}">'
        "{{ session.found }} movies{% endblock %}"
    )
    written = report.write(session.folder, tmp_path / "out", template=tmp_path)
    page = written.page.read_text()
    assert not written.notes and "Facility X" in page and "<h2>Acquisition</h2>" in page
    (logo,) = re.findall(r'src="(images/site-logo[^"]*)"', page)
    assert (written.folder / logo).read_bytes() == (tmp_path / "logo.png").read_bytes()


@pytest.mark.parametrize(
    "text, fault",
    [
        ("<p>\n{% if name %}\n<p>\n", "report.html, line 3: Unexpected end of template"),
        ("one\ntwo\n{{ nmae }}\n", "report.html, line 3: 'nmae' is undefined"),
        ("one\n{{ session.found / 0 }}\n", "report.html, line 2: division by zero"),
        ('{% extends "missing.html" %}', "missing.html is not there."),
        ('{{ asset("../secret.png") }}', "report.html, line 1: there is no picture"),
    ],
)
def test_a_broken_template_is_said_with_its_line_and_ours_is_used(session, tmp_path, monkeypatch, text, fault):
    (tmp_path / "report.html").write_text(text)
    monkeypatch.setenv("CRYOWIDGETS_REPORT", str(tmp_path))
    written = report.write(session.folder, tmp_path / "out")
    (note,) = written.notes
    assert fault in note
    page = written.page.read_text()
    assert "<h2>Acquisition</h2>" in page and html.escape(fault).replace("&#x27;", "&#39;") in page


def test_a_template_that_is_not_there_is_refused(session, tmp_path):
    with pytest.raises(InputError, match="report.html in it"):
        report.write(session.folder, tmp_path / "out", template=tmp_path / "no")
    assert not (tmp_path / "out").exists()


def test_it_is_handed_to_a_program_without_a_shell(session, tmp_path):
    line = f"{sys.executable} -c \"import sys; open(sys.argv[1] + '/seen', 'w').write(repr(sys.argv[2:]))\""
    written = report.write(session.folder, tmp_path / "out", publish=line + " {folder} '; echo $HOME'")
    assert not written.notes
    assert (tmp_path / "out" / "seen").read_text() == repr(["; echo $HOME"])


@pytest.mark.parametrize(
    "line, patience, said",
    [
        ("false {folder}", 9, "false ended with status 1."),
        ("sh -c 'echo no route to host; exit 7' {folder}", 9, "sh ended with status 7: no route to host"),
        ("no-such-program {folder}", 9, "no-such-program does not start: No such file or directory."),
        ("sh -c 'sleep 60 & sleep 60' {folder}", 0.2, "sh was ended after 0.2 s."),
    ],
)
def test_a_program_that_fails_is_said(tmp_path, line, patience, said):
    assert publish(line, tmp_path, patience) == f"The report was not published: {said}"


@pytest.mark.parametrize("line", ["", "rsync -a", "rsync 'a {folder}", "{folder}"])
def test_a_line_that_cannot_publish_is_refused_before_anything_is_written(session, tmp_path, line):
    with pytest.raises(ParameterError, match="publish"):
        report.Report(session.folder, tmp_path / "out", publish=line or " ")
    assert not (tmp_path / "out").exists()


def test_without_what_an_extra_brings_it_says_what_to_install(session, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ProgramError, match=r"cryowidgets\[pdf\].*apt install libpango-1.0-0"):
        report.write(session.folder, tmp_path, pdf=True)
    with pytest.raises(ProgramError, match=r"cryowidgets\[parquet\]"):
        report.write(session.folder, tmp_path, parquet=True)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_to_is_named(session, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written to .*/file/out: Not a directory"):
        report.write(session.folder, tmp_path / "file" / "out")


def test_parquet_has_types_units_and_meanings(session, tmp_path):
    from pyarrow import parquet

    report.write(session.folder, tmp_path, parquet=True)
    table = parquet.read_table(tmp_path / "exposures.parquet")
    field = table.schema.field("defocus_um")
    assert field.metadata == {b"unit": "µm".encode(), b"description": b"mean of U and V, underfocus"}
    assert str(table.schema.field("acquired").type) == "timestamp[ms, tz=UTC]"
    with Reader(session.folder) as reader:
        known = reader.exposures()
        ctfs = reader.rows("ctf")
    assert table["name"].to_pylist() == known["name"]
    got = dict(zip(table["exposure"].to_pylist(), table["defocus_um"].to_pylist(), strict=True))
    wanted = (ctfs["defocus_u"] + ctfs["defocus_v"]) / 2e4
    assert [got[id] for id in ctfs["exposure"].tolist()] == pytest.approx(wanted.tolist())
    assert sum(value is None for value in got.values()) == len(known["id"]) - len(ctfs["id"])


def test_on_paper_it_has_two_to_six_pages_and_no_heading_ends_one(session, tmp_path):
    import pypdfium2

    written = report.write(session.folder, tmp_path, pdf=True)
    headings = set(map(said, re.findall(r"<h[234]>.*?</h[234]>", written.page.read_text())))
    document = pypdfium2.PdfDocument(tmp_path / "report.pdf")
    pages = [page.get_textpage().get_text_bounded() for page in document]
    assert 2 <= len(pages) <= 6
    for number, text in enumerate(pages, 1):
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        assert f"page {number} of {len(pages)}" in text
        body = [line for line in lines if not re.match(r"page \d+ of \d+|grid 3 ", line)]
        assert body and body[-1] not in headings
    assert document[0].get_size() == pytest.approx((595.3, 841.9), abs=1)
    document.close()


def test_pauses_are_intervals_much_longer_than_usual():
    times = np.concatenate([np.arange(0, 600, 6.0), 7200 + np.arange(0, 600, 6.0), [20000.0]])
    found = told.pauses(times[::-1])
    assert found.limit == 300 and found.spans == [(7794.0, 12206.0), (594.0, 6606.0)]
    assert found.total == 18812.0
    assert told.pauses(np.array([5.0])).spans == []


def test_a_report_that_is_ended_ends_well(session, tmp_path):
    """As by a service that is stopped: between two writes."""
    page = tmp_path / "out" / "index.html"

    over = threading.Event()

    def end() -> None:
        while not page.exists() and not over.wait(0.01):
            pass
        if not over.is_set():
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=end).start()
    said = CliRunner().invoke(main, ["report", str(session.folder), "--every", "1h", "--out", str(tmp_path / "out")])
    over.set()
    assert said.exit_code == 0 and "28 movies" in said.output, said.output


def test_an_engine_has_it_written_and_a_last_time_when_it_ends(tmp_path):
    filled = FilledSession(tmp_path / "s5")
    filled.arrive(3)
    filled.process(pictures=False)
    beside = Beside(filled.folder, 3600.0)
    page = filled.folder / "reports" / "index.html"
    with Reader(filled.folder) as reader:
        assert beside.look(reader) == [] and beside.look(reader) == []
        until = time.monotonic() + 60
        while not page.exists() and time.monotonic() < until:
            time.sleep(0.05)
        assert "session goes on" in page.read_text()
        filled.store.put("stream", "closed")
        assert beside.close(reader) == []
    assert "report final" in page.read_text()
    filled.close()


def test_an_engine_whose_report_cannot_be_written_says_so_once(session):
    beside = Beside(session.folder, 3600.0, ["--template", "/nowhere"])
    with Reader(session.folder) as reader:
        beside.look(reader)
        beside._process.wait(60)
        (said,) = beside.look(reader)
        assert "is not written any more: The folder /nowhere" in said.text
        assert beside.look(reader) == [] and beside.close(reader) == []
