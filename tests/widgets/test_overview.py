"""The tab Overview: plots agree with the ledger, thresholds with a recount, and a page's words change nothing else."""

import re
import time
from html.parser import HTMLParser

import ipywidgets as W
import numpy as np
import pytest

from cryowidgets.engine import inbox
from cryowidgets.model import Micrograph, Movie
from cryowidgets.store import thresholds
from cryowidgets.store.overview import Overview
from cryowidgets.store.store import Store
from cryowidgets.widgets import course, look, recent, tab_overview, texts
from cryowidgets.widgets.choice import Choice
from cryowidgets.widgets.dashboard import SessionView
from cryowidgets.widgets.histogram import Histogram
from cryowidgets.widgets.look import Look
from cryowidgets.widgets.strip import Strip


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """Nothing is put off: what is drawn is as new as the ledger."""
    monkeypatch.setattr(course, "SLOWLY", -1.0)
    monkeypatch.setattr(tab_overview, "SLOWLY", -1.0)


@pytest.fixture
def page(wire, filled):
    return SessionView(filled.folder)


@pytest.fixture
def control(wire, filled):
    return SessionView(filled.folder, control=True)


def tab(page):
    return page.tabs.tab("Overview")


def plot(page, key):
    return tab(page).course.strips[key].plot


def arrived(filled, count):
    filled.arrive(count)
    filled.process(pictures=False)


class Texts(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.found = []
        self.feed(html)

    def handle_data(self, data):
        self.found.append(data)


def counted(page):
    """The four numbers that the bar of thresholds says."""
    words = "".join(Texts(tab(page).bar._words.value).found).replace("\u202f", "")
    return [int(number) for number in re.findall(r"(\d+) (?:accepted|outside|unknown|rejected)", words)]


# Course -----------------------------------------------------------------------------------------------------------


def test_points_are_the_rows_of_the_ledger_in_the_units_of_people(page, filled, reader):
    for count in (30, 1, 12):
        arrived(filled, count)
        page.refresh(reader)
        align, ctf = reader.rows("align"), reader.rows("ctf")
        drift, defocus = plot(page, "drift"), plot(page, "defocus")
        np.testing.assert_array_equal(drift.column("id"), align["exposure"])
        np.testing.assert_array_equal(drift.column("value"), align["motion_total"])
        np.testing.assert_array_equal(drift.column("early"), align["motion_early"])
        np.testing.assert_array_equal(drift.column("late"), align["motion_late"])
        np.testing.assert_array_equal(drift.column("time"), texts.plot_times(align["acquired"]))
        np.testing.assert_allclose(defocus.column("value"), (ctf["defocus_u"] + ctf["defocus_v"]) / 2e4)
        np.testing.assert_allclose(plot(page, "astigmatism").column("value"), ctf["astigmatism"] / 10)
        assert np.isnan(drift.column("low")).all(), "a point is no bin"


def test_only_what_is_new_is_sent_and_where_nothing_is_nothing(wire, page, filled, reader):
    arrived(filled, 50)
    page.refresh(reader)
    wire.hear(plot(page, "drift"), type="need")
    arrived(filled, 1)
    wire.clear()
    page.refresh(reader)
    assert [m["count"] for m, _ in wire.said(plot(page, "drift"), "rows")] == [1]
    wire.clear()
    page.refresh(reader)
    assert len(wire) == 0


def test_results_made_again_replace_the_old(page, filled, reader):
    arrived(filled, 20)
    page.refresh(reader)
    before = plot(page, "drift").column("value").copy()
    filled.store.set_params("align", {"x": 2}, redo=True)
    filled.process(pictures=False)
    page.refresh(reader)
    drift = plot(page, "drift")
    assert drift.rows == 20 == len(set(drift.column("id"))) and not np.array_equal(drift.column("value"), before)


def test_a_long_stretch_is_drawn_in_bins_and_pauses_stay_empty(page, filled, reader, monkeypatch):
    monkeypatch.setattr(look, "KEEP", 30)
    monkeypatch.setattr(look, "BINS", 10)
    arrived(filled, 20)
    filled._start += 240.0  # 40 movies long
    arrived(filled, 40)
    page.refresh(reader)
    tab(page).course.stretch.choose("session")
    page.refresh(reader)
    align, drift = reader.rows("align"), plot(page, "drift")
    edges = np.linspace(align["acquired"].min(), align["acquired"].max(), 11)
    bin = np.clip(np.digitize(align["acquired"], edges) - 1, 0, 9)
    there = sorted(set(bin.tolist()))
    assert len(there) == drift.rows < 10, "the pause has no bin"
    for row, number in enumerate(there):
        values = align["motion_total"][bin == number]
        told = [drift.column(name)[row] for name in ("low", "value", "high")]
        np.testing.assert_allclose(told, [values.min(), values.mean(), values.max()])
        assert drift.column("id")[row] in align["exposure"][bin == number]
    ids = align["exposure"][bin == there[1]][:1]
    page.page.mark(ids)
    page.refresh(reader)
    assert drift._said["mark"]["ids"] == [drift.column("id")[1]], "the bin of a marked exposure is marked"


def test_the_last_hour_the_session_or_what_is_zoomed_to(page, filled, reader):
    filled._start = time.time() - 6 * 500
    arrived(filled, 3)
    filled._start += 7200
    arrived(filled, 5)
    page.refresh(reader)
    assert tab(page).course.stretch.chosen == ["last hour"] and plot(page, "drift").rows == 5
    tab(page).course.stretch.choose("session")
    page.refresh(reader)
    drift = plot(page, "drift")
    assert drift.rows == 8 and drift._said["view"]["start"] < drift.column("time")[0]
    tab(page).course.drag.choose("zoom")
    at = drift.column("time")
    drift._receive({"type": "range", "x0": float(at[0] - 2e3), "x1": float(at[2] + 1e3), "y0": 0, "y1": 1})
    page.refresh(reader)
    assert {strip.plot.rows for strip in tab(page).course.strips.values() if isinstance(strip, Strip)} == {3}
    drift._receive({"type": "reset"})
    page.refresh(reader)
    assert drift.rows == 8


def test_a_session_that_is_over_is_shown_whole(page, filled, reader):
    filled._start -= 5 * 3600
    arrived(filled, 4)
    page.refresh(reader)
    assert tab(page).course.stretch.chosen == ["session"]


def test_a_box_marks_the_same_exposures_everywhere_and_a_page_cannot_make_any_up(wire, page, filled, reader):
    arrived(filled, 40)
    page.refresh(reader)
    drift, align = plot(page, "drift"), reader.rows("align")
    at = drift.column("time")
    for bad in ("x", None, float("nan"), float("inf"), [1], True):
        wire.hear(drift, type="range", x0=bad, x1=at[20], y0=0, y1=50)
    wire.hear(drift, type="range", x0=-1e300, x1=1e300, y0=0, y1=50)
    assert len(page.page.marked) == 0
    wire.hear(drift, type="range", x0=float(at[5]), x1=float(at[20]), y0=-1.0, y1=9.0)
    parts = [align[name][5:21] for name in ("motion_total", "motion_early", "motion_late")]
    wanted = align["exposure"][5:21][np.any([(part >= -1) & (part <= 9) for part in parts], axis=0)]
    np.testing.assert_array_equal(page.page.marked, wanted)
    page.refresh(reader)
    ctfs = set(reader.rows("ctf")["exposure"].tolist())
    assert drift._said["mark"]["ids"] == wanted.tolist()
    assert plot(page, "defocus")._said["mark"]["ids"] == [id for id in wanted.tolist() if id in ctfs]
    assert tab(page).course.marks.label == f"{len(wanted)} marked"
    assert f"{len(wanted)} marked" in tab(page)._summary.value
    wire.hear(tab(page).course.marks, type="tap", name="show in Exposures")
    assert page.tabs.shown == "Exposures"
    page.tabs.go("Overview")
    wire.hear(tab(page).course.marks, type="tap", name="clear marks")
    page.refresh(reader)
    assert drift._said["mark"]["ids"] == [] and tab(page).course.marks.names == []


def test_a_click_holds_an_exposure_in_all_plots(wire, page, filled, reader):
    arrived(filled, 5)
    page.refresh(reader)
    for key in ("drift", "defocus"):
        wire.hear(plot(page, key), type="need")
    wire.hear(plot(page, "defocus"), type="tap", id=2)
    page.refresh(reader)
    assert (page.page.shown, page.page.held) == (2, True)
    assert [wire.said(plot(page, key), "select")[-1][0]["id"] for key in ("drift", "defocus")] == [2, 2]
    wire.hear(plot(page, "pace"), type="tap", id=-1)
    assert page.page.shown == 2, "a bar without a movie is nothing to choose"


def test_plots_follow_from_the_workflow_and_stay_as_a_person_chose(page, filled, reader):
    page.refresh(reader)
    chosen = tab(page).course
    assert chosen.plots.chosen == ["drift", "defocus", "astig.", "fit", "movies/h"]
    arrived(filled, 5)
    page.refresh(reader)
    assert "quality" in chosen.plots.names and "thickness" not in chosen.plots.names
    chosen.plots.choose("quality")
    chosen.plots.choose("drift")
    page.refresh(reader)
    assert chosen.chosen == ["defocus", "astigmatism", "resolution", "pace", "quality"]
    assert plot(page, "quality").rows == len(reader.rows("quality")["id"])
    arrived(filled, 3)
    page.refresh(reader)
    assert chosen.children[-1].plot.rows == len(reader.rows("quality")["id"])


def test_a_workflow_without_ctf_has_no_plot_of_it(wire, tmp_path):
    store = Store.create(tmp_path / "p", "motion only")
    store.add_step("movies", "ImportMovies", Movie, {}, {})
    store.add_step("align", "AlignMovie", Micrograph, {}, {"movie": "movies"})
    page = SessionView(tmp_path / "p")
    from cryowidgets.store.queries import Reader

    with Reader(tmp_path / "p") as reader:
        page.refresh(reader)
    assert tab(page).course.chosen == ["drift", "pace"]
    assert tab(page).polar.plot.layout.display == "none"
    store.close()


def test_groups_have_colours_a_legend_and_are_marked_by_it(page, filled, reader):
    arrived(filled, 12)
    page.refresh(reader)
    drawn = tab(page).course
    assert drawn.by.names == ["one colour", "hole"]
    drawn.by.choose("hole")
    page.refresh(reader)
    colours = plot(page, "drift").column("colour")
    newest = list(drawn.legend.names)
    assert len(newest) == len(look.GROUPS) and newest[0] == "20012"
    assert colours[-1] == drawn.legend.colours["20012"] and colours[0] == look.GREY
    drawn.legend.choose("20010")
    assert page.page.marked.tolist() == [10]


def test_pace_counts_every_movie_and_names_the_pauses(filled, reader):
    overview = Overview()
    filled.arrive(200)
    filled._start += 1800
    filled.arrive(100)
    overview.refresh(reader)
    first, last = float(overview.acquired.min()), float(overview.acquired.max())
    found = look.pace(Look(overview, first, last), "red")
    movies = [int(name.split()[0]) for name in found["name"]]
    assert sum(movies) == 300 and 0 in movies
    (pause,) = look.pauses(Look(overview, first, last))
    assert pause[1] == pytest.approx(1806.0)
    busy = found["value"][-1]
    assert busy == pytest.approx(600, rel=0.02)


# Thresholds -------------------------------------------------------------------------------------------------------


def test_a_handle_moves_and_the_count_is_that_of_a_recount(wire, page, filled, reader):
    arrived(filled, 60)
    filled.arrive(4)
    page.refresh(reader)
    drift, fit = (tab(page).course.strips[key].histogram for key in ("drift", "resolution"))
    wire.hear(drift, type="move", low=None, high=8.0, done=False)
    wire.hear(fit, type="move", low=3.3, high=4.5, done=True)
    assert page.page.cut == {"drift": (None, 8.0), "resolution": (3.3, 4.5)}
    align, ctf = reader.rows("align"), reader.rows("ctf")
    good = set(align["exposure"][align["motion_total"] <= 8].tolist())
    fits = (ctf["fit_resolution"] >= 3.3) & (ctf["fit_resolution"] <= 4.5)
    accepted = len(good & set(ctf["exposure"][fits].tolist()))
    told = counted(page)
    assert told[0] == accepted and sum(told) == 64 and told[2] == 4
    page.refresh(reader)
    assert plot(page, "drift")._said["limits"] == {"type": "limits", "low": None, "high": 8.0}
    outside = int((align["motion_total"] > 8).sum())
    assert drift.note == f"{outside} outside"
    assert wire.said(drift, "heard") and not wire.said(drift, "move")


def test_what_is_no_bound_moves_nothing(wire, page, filled, reader):
    arrived(filled, 5)
    page.refresh(reader)
    drift = tab(page).course.strips["drift"].histogram
    for low, high in [("1", 2), (float("nan"), 2), (3, 1), (True, 2), ([1], 2), (1e300, None), ({}, None)]:
        wire.hear(drift, type="move", low=low, high=high, done=True)
    wire.hear(drift, type="move")
    assert page.page.cut == {}
    wire.set(drift, low=5.0)
    page.refresh(reader)
    assert page.page.cut == {} and drift.low is None
    assert inbox.read(filled.folder) == []


def test_a_viewer_moves_thresholds_for_himself_alone(wire, page, filled, reader):
    arrived(filled, 10)
    page.refresh(reader)
    bar = tab(page).bar
    wire.hear(tab(page).course.strips["defocus"].histogram, type="move", low=0.5, high=1.5, done=True)
    page.refresh(reader)
    assert page.page.cut == {"defocus": (5000.0, 15000.0)}
    assert "only you see this" in bar._said.value and bar._undo.names == ["undo", "remove all"]
    assert [w for w in bar.children if isinstance(w, W.Box)] == [], "nothing to press that changes the project"
    bar._undo.choose("undo")
    page.refresh(reader)
    assert page.page.cut == {} and tab(page).course.strips["defocus"].histogram.low is None
    assert inbox.read(filled.folder) == []


def test_who_controls_saves_them_and_has_the_particle_branch_go_by_them(wire, control, filled, reader):
    arrived(filled, 10)
    control.refresh(reader)
    bar = tab(control).bar
    assert bar.save.layout.display == bar.apply.layout.display == "none"
    wire.hear(tab(control).course.strips["drift"].histogram, type="move", low=None, high=12, done=True)
    filled.store.add_step("gate", "WithinThresholds", Micrograph, {}, {"micrograph": "align", "ctf": "ctf"})
    control.refresh(reader)
    assert bar.save.layout.display is None and bar.apply.layout.display is None
    bar.save.click()
    bar.apply.click()
    control.refresh(reader)
    assert "waits for the engine" in bar._said.value
    sent = inbox.read(filled.folder)
    assert [c.args for c in sent] == [
        {"values": {"drift": [None, 12.0]}},
        {"values": {"drift": [None, 12.0]}, "gate": True},
    ]
    filled.store.event("command.refused", "no <such> step", ref=sent[-1].ref)
    control.refresh(reader)
    assert "no &lt;such&gt; step" in bar._said.value and "cw-failed" in bar._said.value
    filled.store.put(thresholds.KEY, thresholds.dumps({"drift": (None, 12.0)}))
    control.refresh(reader)
    assert bar.save.layout.display == "none", "what is saved need not be saved"


def test_thresholds_that_somebody_saves_appear_unless_mine_are_moved(page, filled, reader):
    arrived(filled, 10)
    page.refresh(reader)
    filled.store.put(thresholds.KEY, thresholds.dumps({"drift": (None, 9.0)}))
    page.refresh(reader)
    assert page.page.cut == {"drift": (None, 9.0)} and tab(page).course.strips["drift"].histogram.high == 9.0
    tab(page)._moved("drift", None, 7.0, True)
    filled.store.put(thresholds.KEY, thresholds.dumps({"drift": (None, 5.0)}))
    page.refresh(reader)
    assert page.page.cut == {"drift": (None, 7.0)} and page.page.saved == {"drift": (None, 5.0)}


# The last against the session -------------------------------------------------------------------------------------


def test_the_last_fifty_are_compared_in_words(filled, reader):
    overview = Overview()
    arrived(filled, 70)
    filled._micrograph, usual = worse(filled._micrograph), filled._micrograph
    arrived(filled, 50)
    filled._micrograph = usual
    overview.refresh(reader)
    lines = {line.label: line for line in recent.compare(overview, ["drift", "resolution"], {}, np.array([1, 2, 3]))}
    align = reader.rows("align")["motion_total"]
    assert lines["drift"].last == f"{np.median(align[-50:]):.1f} Å"
    assert lines["drift"].session == f"{np.median(align):.1f} Å"
    assert lines["drift"].marked == f"{np.median(align[:3]):.1f} Å"
    assert (lines["drift"].way, lines["drift"].verdict) == ("higher", "worse")
    assert (lines["fit resolution"].way, lines["fit resolution"].verdict) == ("steady", "")
    told = recent.table(list(lines.values()), 3)
    assert "▲</i> worse" in told and "=</i> steady" in told and "3 marked" in told


def worse(make):
    from dataclasses import replace

    def micrograph(exposure, pictures):
        found = make(exposure, pictures)
        return replace(found, motion_total=found.motion_total + 10)

    return micrograph


# Small parts ------------------------------------------------------------------------------------------------------


def test_a_choice_takes_only_its_own_names(wire):
    heard = []
    one = Choice(["a", "b"], heard.append, "One")
    many = Choice(["a", "b"], heard.append, "Many", kind="many", chosen=["b"])
    press = Choice(["a"], heard.append, "", kind="press")
    for part in (one, many, press):
        for name in ("c", 3, None, ["a"]):
            wire.hear(part, type="tap", name=name)
    assert heard == []
    for part, name in ((one, "b"), (one, "b"), (many, "a"), (many, "b"), (press, "a"), (press, "a")):
        wire.hear(part, type="tap", name=name)
    assert (one.chosen, many.chosen, press.chosen) == (["b"], ["a"], [])
    assert heard == ["b", "a", "b", "a", "a"]


def test_a_histogram_sends_nothing_where_nothing_changed(wire):
    part = Histogram("drift", "Å", 1, lambda *move: None)
    part.show(np.linspace(0, 1, 4), np.array([1, 2, 3]))
    part.bound(None, 0.5)
    wire.clear()
    part.show(np.linspace(0, 1, 4), np.array([1, 2, 3]))
    part.bound(None, 0.5)
    assert len(wire) == 0


def test_times_of_a_plot_and_back():
    for at in (1.7e9, 1.75e9 + 1234.5):
        assert texts.from_plot(float(texts.plot_times([at])[0])) == pytest.approx(at)
