"""The tab Picks: what is sent is what the files hold, orders reach the inbox, drafts outlive what comes in."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from cryowidgets.engine import inbox
from cryowidgets.io import coordinates, corrections
from cryowidgets.model import Particles, Picks
from cryowidgets.store.changes import hold
from cryowidgets.store.queries import Reader
from cryowidgets.store.store import Todo
from cryowidgets.store.todo import todo
from cryowidgets.widgets import picks_data
from cryowidgets.widgets.page import Page
from cryowidgets.widgets.particle_size import curve
from cryowidgets.widgets.picks_data import Picked
from cryowidgets.widgets.picks_hand import PicksByHand
from cryowidgets.widgets.tab_picks import PicksTab
from tests.picked import PickedSession
from tests.widgets.conftest import RecordingComm
from tests.widgets.test_dashboard import everything, html
from tests.widgets.test_hostile import JUNK, NAMES, WORDS, kinds, parts


@pytest.fixture
def session(tmp_path):
    made = PickedSession(tmp_path / "session")
    made.arrive(8)
    made.process(pictures=False)
    made.pick()
    yield made
    made.close()


@pytest.fixture
def reader(session):
    with Reader(session.folder) as reader:
        yield reader


class Shown:
    """The tab on a page, refreshed as a session's page does it."""

    def __init__(self, session, reader, control=False):
        self.page, self.reader = Page(session.folder, control), reader
        self.tab = PicksTab(self.page)
        self.sheet = self.tab.sheet
        self.refresh()

    def refresh(self):
        self.page.refresh(self.reader)
        self.tab.refresh(self.reader)


@pytest.fixture
def shown(wire, session, reader):
    return Shown(session, reader, control=True)


@pytest.fixture
def looked(wire, session, reader):
    return Shown(session, reader)


def commands(session):
    return [(command.name, command.args) for command in inbox.read(session.folder)]


def numbers(buffer):
    return np.frombuffer(bytes(buffer), np.float32)


def test_what_is_sent_is_what_the_files_hold(wire, session, looked):
    wire.hear(looked.sheet.view, type="need")
    (content, buffers) = wire.said(looked.sheet.view, "shot")[-1]
    newest = max(session.found)
    found = session.found[newest]
    assert content["exposure"] == newest and content["picks"]["name"] == "corrected"
    assert content["picks"]["radius"] == pytest.approx(160 / 0.85 / 2)
    places, scores, powers, by_hand = (numbers(buffers[i]) for i in content["picks"]["at"])
    assert np.allclose(places.reshape(-1, 2), found.places) and np.allclose(scores, found.scores)
    assert np.allclose(powers, found.powers) and not by_hand.any()
    (content, buffers) = wire.said(looked.sheet.view, "recent")[-1]
    assert content["ids"] and set(content["ids"]) == set(session.found)
    assert np.allclose(numbers(buffers[0]), np.concatenate([session.found[id].scores for id in content["ids"]]))
    assert np.allclose(numbers(buffers[1]), np.concatenate([session.found[id].powers for id in content["ids"]]))


def test_a_new_micrograph_costs_one_file_and_only_it_is_sent(wire, session, looked, monkeypatch):
    wire.hear(looked.sheet.view, type="need")
    read, real = [], coordinates.read
    monkeypatch.setattr(coordinates, "read", lambda path, *rest: read.append(str(path)) or real(path, *rest))
    wire.clear()
    looked.refresh()
    assert read == [] and wire.said(looked.sheet.view) == []
    session.arrive(1)
    session.process(pictures=False)
    (new,) = session.pick()
    looked.refresh()
    assert {path.rpartition("/")[2] for path in read} == {f"{new}_picks.star"}
    (content, _) = wire.said(looked.sheet.view, "recent")[-1]
    assert content["ids"] == [new] and content["gone"] == [] and not content["all"]
    assert wire.said(looked.sheet.view, "shot")[-1][0]["exposure"] == new


def test_only_the_last_are_looked_at_one_by_one_and_few_at_a_time(session, reader, monkeypatch):
    monkeypatch.setattr(picks_data, "RECENT", 5)
    monkeypatch.setattr(picks_data, "AT_ONCE", 2)
    picked = Picked("pick")
    newest = sorted(session.found)[-5:]
    assert picked.refresh(reader) and set(picked.worth) == set(newest[-2:]) and not picked.whole
    while not picked.whole:
        assert picked.refresh(reader)
    assert sorted(picked.worth) == newest and not picked.refresh(reader)
    assert [picked.beside(newest[0], 1), picked.beside(newest[-1], 1), picked.beside(None, 1)] == [
        newest[1],
        None,
        newest[-1],
    ]
    session.arrive(1)
    session.process(pictures=False)
    session.pick()
    assert picked.refresh(reader) and newest[0] not in picked.worth and len(picked.worth) == 5


def test_picks_without_a_file_are_counted_and_no_more(session, reader, looked):
    (session.folder / f"steps/corrected/{max(session.found)}_picks.star").unlink()
    again = Shown(session, reader)
    assert "cannot be read" in again.sheet.view.shot.note
    assert len(again.sheet._picked.worth[max(session.found)].scores) == 0
    assert again.sheet._strip_rows(0, 99)[0] == len(session.found)


def test_a_page_that_only_shows_has_no_control_and_orders_nothing(wire, session, looked):
    found = list(everything(looked.tab))
    assert not [w for w in found if type(w).__name__ in ("Button", "Text", "Dropdown", "FloatText", "Checkbox")]
    assert not any(isinstance(w, PicksByHand) for w in found)
    view = looked.sheet.view
    wire.hear(view, type="need")
    for kind in ("save", "draft", "hand", "discard"):
        wire.hear(view, type=kind, exposure=1, add=[[1, 1]], remove=[])
    wire.hear(view, type="cut", step="corrected", score_min=5.0, power_min=None, power_max=None)
    looked.refresh()
    assert commands(session) == []


def test_sliders_are_handed_to_the_filter_for_new_ones_or_for_all(wire, session, shown):
    view, orders = shown.sheet.view, shown.sheet.orders
    wire.hear(view, type="need")
    assert orders._buttons.layout.display == "none" and "all picks" in html(orders)
    wire.hear(view, type="cut", step="corrected", score_min=5.5, power_min=None, power_max=3.0)
    shown.refresh()
    assert orders._buttons.layout.display is None and "score ≥ 5.5, local power ≤ 3" in html(orders)
    orders.buttons["new"].click()
    orders.buttons["branch"].click()
    values = {"score_min": 5.5, "power_min": 0.0, "power_max": 3.0}
    wanted = [("set", {"step": "kept", "values": values, "scope": scope}) for scope in ("new", "branch")]
    assert commands(session) == wanted
    session.store.set_params("kept", values, scope="new")
    shown.refresh()
    assert orders._buttons.layout.display == "none"
    content = wire.said(view, "cut")[-1][0]
    assert {name: content[name] for name in ("score_min", "power_min", "power_max")} == {**values, "power_min": None}


def test_a_cut_from_a_page_is_not_trusted(wire, session, shown):
    view, orders = shown.sheet.view, shown.sheet.orders
    for bad in (
        {"score_min": "5"},
        {"score_min": 1e9},
        {"power_min": -1.0},
        {"power_min": 3.0, "power_max": 2.0},
        {"power_max": True},
        {"step": "pick"},
    ):
        good = {"step": "corrected", "score_min": 5.0, "power_min": None, "power_max": None}
        wire.hear(view, type="cut", **{**good, **bad})
        assert orders._moved is None
    wire.hear(view, type="cut", **good)
    assert orders._moved is not None


def test_another_step_may_be_shown_and_the_filter_alone_is_not_the_first(wire, session, shown):
    assert shown.sheet.steps.names == ["pick", "corrected", "kept"] and shown.sheet.steps.chosen == ["corrected"]
    wire.hear(shown.sheet.steps, type="tap", name="pick")
    shown.refresh()
    assert shown.sheet.view.shot.circles.name == "pick" and not shown.sheet.view.allowed
    wire.hear(shown.sheet.view, type="hand")
    shown.refresh()
    assert shown.sheet.view.shot.circles.name == "corrected" and shown.sheet.view.allowed


def test_what_a_person_changes_holds_the_micrograph_and_is_saved_as_a_command(wire, session, shown):
    view, by_hand = shown.sheet.view, shown.sheet.by_hand
    newest = max(session.found)
    gone = session.found[newest].places[0].tolist()
    wire.hear(view, type="draft", exposure=newest, add=[[100.0, 200.5]], remove=[gone])
    shown.refresh()
    assert shown.page.held and by_hand.unsaved.names[0].endswith("(2)")
    session.arrive(1)
    session.process(pictures=False)
    session.pick()
    shown.refresh()
    assert view.shot.exposure == newest
    wire.hear(shown.sheet.strip, type="tap", id=max(session.found))
    shown.refresh()
    assert view.shot.exposure == max(session.found) and by_hand.unsaved.names
    wire.clear()
    wire.hear(view, type="need")  # a page that is drawn again gets them
    assert wire.said(view, "drafts")[-1][0]["drafts"][0]["add"] == [[100.0, 200.5]]
    wire.hear(by_hand.unsaved, type="tap", name=by_hand.unsaved.names[0])
    shown.refresh()
    assert view.shot.exposure == newest
    wire.hear(view, type="save", exposure=newest)
    shown.refresh()
    assert commands(session) == [
        ("pick", {"step": "corrected", "exposure": newest, "add": [[100.0, 200.5]], "remove": [gone]})
    ]
    assert by_hand.unsaved.names == []
    said = wire.said(view, "drafts")[-1][0]["drafts"][0]
    assert said["add"] == [] and said["sent"] == {"add": [[100.0, 200.5]], "remove": [gone]}


def test_what_a_person_has_added_is_told_apart_and_may_be_forgotten(wire, session, looked, shown):
    newest = max(session.found)
    name = session.store.query("SELECT name FROM exposure WHERE id = ?", (newest,))[0][0]
    place = session.found[newest].places[3]
    file = corrections.path(session.folder, "corrected", name)
    corrections.write(file, corrections.Corrections(place[None] * 2, np.zeros((0, 2)), 0.85 / 2))  # of finer pixels
    session.store.event("command", "corrected: 1 added")
    for one in (looked, shown):
        one.sheet.view.show(None)
        one.refresh()
        assert np.flatnonzero(one.sheet.view.shot.circles.by_hand).tolist() == [3]
    assert "1 added, 0 removed on this micrograph" in html(shown.sheet.by_hand)
    shown.sheet.by_hand.forget.click()
    assert commands(session) == [("unpick", {"step": "corrected", "exposure": newest})]
    file.write_text("{")
    shown.refresh()
    assert "nothing was corrected" in html(shown.sheet.by_hand)


def answer(session, kind, text):
    """The engine takes the newest command out of the inbox, and answers."""
    command = inbox.read(session.folder)[-1]
    inbox.remove(session.folder, command.ref)
    session.store.event(kind, text, ref=command.ref)


def test_what_is_refused_is_open_again_and_what_is_done_is_forgotten(wire, session, shown):
    view, newest = shown.sheet.view, max(session.found)
    wire.hear(view, type="draft", exposure=newest, add=[[1.0, 2.0]], remove=[])
    wire.hear(view, type="save", exposure=newest)
    answer(session, "command.refused", "corrected: there is no micrograph")
    shown.refresh()
    assert view.drafts[newest].add == [[1.0, 2.0]] and "no micrograph" in html(shown.sheet.by_hand)
    wire.hear(view, type="save", exposure=newest)
    answer(session, "command", "corrected: 1 added")
    shown.refresh()
    assert view.drafts[newest].open == 0 and view.drafts[newest].sent_add == [[1.0, 2.0]]
    step, made = session.store.steps()["corrected"], session._picks("corrected", newest, session.found[newest])
    with session.store.transaction() as db:
        (task,) = db.execute("SELECT task FROM picks WHERE exposure = ? AND step = ?", (newest, step.id)).fetchone()
        session.store.replace_result(step, newest, made, task, 1)
    shown.refresh()
    assert newest not in view.drafts


def test_what_a_page_says_while_it_waits_for_an_answer_counts(wire, session, shown):
    view, newest = shown.sheet.view, max(session.found)
    wire.hear(view, type="draft", exposure=newest, number=1, add=[[1.0, 2.0]], remove=[])
    wire.hear(view, type="save", exposure=newest, number=2)
    wire.hear(view, type="draft", exposure=newest, number=3, add=[[5.0, 6.0]], remove=[])
    said = wire.said(view, "drafts")[-1][0]["drafts"][0]
    assert said["heard"] == 2 and said["add"] == [] and said["sent"]["add"] == [[1.0, 2.0]]
    assert view.drafts[newest].add == [[5.0, 6.0]] and view.drafts[newest].sent_add == [[1.0, 2.0]]
    wire.hear(shown.sheet.steps, type="tap", name="pick")
    shown.refresh()
    wire.clear()
    wire.hear(view, type="save", exposure=newest, number=4)  # of a step that takes none: the page gets it back
    said = wire.said(view, "drafts")[-1][0]["drafts"][0]
    assert said["add"] == [[1.0, 2.0], [5.0, 6.0]] and said["heard"] > 4
    assert len(commands(session)) == 1
    wire.hear(view, type="draft", exposure=newest, number=5, add=[], remove=[])
    assert newest not in view.drafts


def test_drafts_from_a_page_are_not_trusted(wire, session, shown):
    view = shown.sheet.view
    for bad in (
        {"add": "x"},
        {"add": [[1.0]]},
        {"add": [[1.0, "2"]]},
        {"remove": [[-1.0, 2.0]]},
        {"remove": [[1.0, 1e9]]},
        {"add": [[1.0, 1.0]] * 5001},
        {"exposure": "1"},
        {"exposure": True},
        {"exposure": -3},
    ):
        wire.hear(view, **{"type": "draft", "exposure": 1, "add": [[1.0, 1.0]], "remove": [], **bad})
        assert view.drafts == {}
    wire.hear(view, type="save", exposure=1)
    for id in range(1, 400):
        wire.hear(view, type="draft", exposure=id, add=[[1.0, 1.0]], remove=[])
    assert len(view.drafts) == 200
    assert commands(session) == []


def test_nothing_that_a_page_says_does_harm(wire, session, looked, monkeypatch):
    monkeypatch.setattr(RecordingComm, "publish_msg", lambda *args, **keys: None)
    for part in dict.fromkeys(parts(looked.tab)):
        for kind, (n, junk) in itertools.product([*kinds(part), None, []], enumerate([*JUNK, *WORDS])):
            part._hear(None, {"type": kind, **dict.fromkeys(NAMES, junk)}, [])
            mixed = {name: [*JUNK, *WORDS][(n + 5 * i) % (len(JUNK) + len(WORDS))] for i, name in enumerate(NAMES)}
            part._hear(None, {"type": kind, **mixed}, [])
        looked.refresh()
    assert {"cut", "fine", "step"} <= set(kinds(looked.sheet.view)) and commands(session) == []


def test_without_a_step_for_it_nothing_is_picked_by_hand_and_nothing_is_cut(wire, tmp_path):
    session = PickedSession(tmp_path / "s", hand=False, limits=False)
    session.arrive(2)
    session.process(pictures=False)
    session.pick()
    with Reader(session.folder) as reader:
        shown = Shown(session, reader, control=True)
        assert not shown.sheet.view.hand and not shown.sheet.view.allowed
        assert shown.sheet.by_hand.layout.display == "none" and "FilterPicks" in html(shown.sheet.orders)
        wire.hear(shown.sheet.view, type="draft", exposure=1, add=[[1.0, 1.0]], remove=[])
        wire.hear(shown.sheet.view, type="save", exposure=1)
    assert commands(session) == []
    session.close()


def test_a_size_is_approved_and_who_waits_for_it_is_said(wire, session, reader, shown, looked):
    assert shown.sheet.size.layout.display == "none"
    session.measure()
    hold(session.store, "pick")
    for one in (shown, looked):
        one.refresh()
        said = html(one.sheet.size)
        assert "160 ± 4 Å" in said and "<b>pick</b> waits for this size to be approved" in said
        assert said.count("<polyline") == 1 and one.sheet.size.picture._image.value
    (button,) = shown.sheet.size._buttons.children
    assert button.description == "Use 160 Å (140–180)"
    button.click()
    assert commands(session) == [("approve_size", {"step": "size", "picker": "pick", "scope": "new"})]
    session.measure(diameter=float("nan"), reason="no particle stands out")
    shown.refresh()
    assert "no particle stands out" in html(shown.sheet.size) and shown.sheet.size._buttons.children == ()
    assert "waits for a size to be told" in html(shown.sheet.size)


def test_a_curve_that_cannot_be_read_is_none(session, reader):
    session.measure()
    size = reader.result("size")
    assert "polyline" in curve(size)
    for values in (np.zeros((3, 5)), np.full((2, 6), np.nan), np.zeros(0)):
        np.save(session.folder / "steps/size/curve.npy", values)
        assert curve(size) == ""
    (session.folder / "steps/size/curve.npy").write_bytes(b"no array")
    assert curve(size) == ""


def test_counts_against_time_are_those_of_the_ledger(session, looked):
    course = looked.sheet.course
    assert course.rows == len(session.found)
    assert sorted(course.column("picks").tolist()) == sorted(len(found) for found in session.found.values())
    assert sum(looked.sheet.counts.counts) == len(session.found)
    session.arrive(1)
    session.process(pictures=False)
    session.pick()
    looked.refresh()
    assert course.rows == len(session.found) and course._epoch == 1  # streamed, not drawn anew


def test_keys_step_through_micrographs_with_picks(wire, session, looked):
    ids = sorted(session.found)
    wire.hear(looked.sheet.view, type="step", by=-1)
    looked.refresh()
    assert looked.page.held and looked.sheet.view.shot.exposure == ids[-2]
    for by in (1, 1):
        wire.hear(looked.sheet.view, type="step", by=by)
        looked.refresh()
    assert not looked.page.held and looked.sheet.view.shot.exposure == ids[-1]


def test_what_was_cut_out_is_counted_beside_though_classes_were_chosen_since(wire, session, reader):
    """A choice of classes gives particles too, which belong to no micrograph."""
    stack = Particles(path="p.mrcs", count=30, box=64, pixel_size=4.0)
    store = session.store
    store.add_step("extract", "ExtractParticles", Particles, {}, {"picks": "kept"})
    store.ensure_table(Particles)
    for task in store.claim("extract", todo(store, "extract", {"picks": Picks}, {})[0]):
        store.finish(task, "done", stack)
    store.add_step("chosen", "SelectClasses", Particles, {}, {"classes": "extract"}, fold=True)
    (task,) = store.claim("chosen", [Todo(None, (1, 1))])
    store.finish(task, "done", replace(stack, count=200))
    particles = Shown(session, reader).sheet.course.column("particles")
    assert sorted(particles[np.isfinite(particles)].tolist()) == [30.0] * len(session.found)
