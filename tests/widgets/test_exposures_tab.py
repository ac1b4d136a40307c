"""The tab Exposures: what is listed agrees with a plain count, orders reach the inbox, and no page is trusted."""

import ipywidgets as W
import numpy as np
import pytest

from cryowidgets.engine import inbox
from cryowidgets.io import mrc, star
from cryowidgets.model import Micrograph, Picks
from cryowidgets.store.overview import STATES
from cryowidgets.store.queries import Reader
from cryowidgets.store.todo import todo
from cryowidgets.widgets.page import Page
from cryowidgets.widgets.tab_exposures import ExposuresTab
from tests.filled import FilledSession
from tests.picked import PickedSession
from tests.widgets.test_dashboard import everything, html

EVERYTHING = dict(type="need", view="a", first=0, count=200)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory):
    filled = FilledSession(tmp_path_factory.mktemp("exposures") / "session")
    filled.arrive(60)
    filled.process(pictures=False)
    filled.failed = filled.fail("InputError: movie ends after <31> of 40 frames")
    filled.arrive(2)
    filled.store.flag([5, 9], True)
    filled.store.note([9], "thin <ice>")
    filled.store.reject([11, 12], "contamination")
    filled.store.put("thresholds", '{"drift": [null, 8.0]}')
    yield filled
    filled.close()


@pytest.fixture
def session(ledger):
    """63 exposures, which no test changes; what it orders is forgotten."""
    yield ledger
    for command in inbox.read(ledger.folder):
        inbox.remove(ledger.folder, command.ref)


@pytest.fixture
def reader(session):
    with Reader(session.folder) as reader:
        yield reader


@pytest.fixture
def small(filled):
    with Reader(filled.folder) as reader:
        yield filled, reader


@pytest.fixture
def tab(wire, session, reader):
    return made(session.folder, reader, control=True)


@pytest.fixture
def viewer(wire, session, reader):
    return made(session.folder, reader, control=False)


def made(folder, reader, control):
    page = Page(folder, control)
    tab = ExposuresTab(page)
    look(tab, reader)
    return tab


def look(tab, reader):
    tab.page.refresh(reader)
    tab.refresh(reader)


def ids(tab):
    return tab.page.overview.id[tab.list.listed].tolist()


def shown(wire, tab, reader):
    """Ids of the rows that a page of the table holds."""
    wire.clear()
    wire.hear(tab.list.table, **EVERYTHING)
    look(tab, reader)
    ((message, _),) = wire.said(tab.list.table, "rows")
    return message["rows"]


def orders(folder):
    return [(command.name, command.args) for command in inbox.read(folder)]


def test_a_click_on_a_head_sorts_and_a_second_turns_the_order(wire, tab, reader):
    drift = reader.rows("align")
    longest_first = drift["exposure"][np.argsort(-drift["motion_total"])].tolist()
    wire.hear(tab.list.table, type="sort", key="drift")
    look(tab, reader)
    assert ids(tab)[: len(longest_first)] == longest_first, "where short is good, the worst comes first"
    assert tab.list.table.order == {"key": "drift", "descending": True}
    wire.hear(tab.list.table, type="sort", key="drift")
    look(tab, reader)
    assert ids(tab)[: len(longest_first)] == longest_first[::-1]
    assert sorted(ids(tab)[len(longest_first) :]) == sorted(set(range(1, 64)) - set(longest_first)), "unknown ones last"
    for key in ("state ", "nothing", 7, None, ["drift"]):
        wire.hear(tab.list.table, type="sort", key=key)
    assert tab.list.sift.key == "drift"


def test_what_is_sifted_is_what_a_plain_count_finds(wire, tab, reader):
    states = dict(zip(reader.exposures()["id"].tolist(), reader.exposures()["state"], strict=True))
    filters = tab.list.filters
    for state in ("failed", "rejected"):
        wire.hear(filters, type="toggle", what="state", name=state)
    look(tab, reader)
    assert set(ids(tab)) == {id for id, state in states.items() if state in ("failed", "rejected")}
    counted = {c["name"]: c["n"] for c in filters.counts if c["what"] == "state"}
    assert counted == {state: list(states.values()).count(state) for state in STATES if state in states.values()}
    wire.hear(filters, type="clear")
    wire.hear(filters, type="toggle", what="mark", name="flagged")
    look(tab, reader)
    assert sorted(ids(tab)) == [5, 9]
    wire.hear(filters, type="toggle", what="mark", name="noted")
    look(tab, reader)
    assert ids(tab) == [9]
    wire.hear(filters, type="clear")
    fits = reader.rows("ctf")
    limit = float(np.median(fits["fit_resolution"]))
    wire.hear(filters, type="range", key="resolution", **{"from": None, "to": limit})
    look(tab, reader)
    assert set(ids(tab)) == set(fits["exposure"][fits["fit_resolution"] <= limit].tolist())
    assert filters.said.startswith(f"{len(ids(tab))} of 63")
    wire.hear(filters, type="range", key="resolution", **{"from": None, "to": None})
    wire.set(tab.list.search, value="THIN")
    look(tab, reader)
    assert ids(tab) == [9], "notes are searched as well as names"
    wire.set(tab.list.search, value="20033_")
    look(tab, reader)
    assert ids(tab) == [33]


def test_thresholds_of_the_session_can_be_sifted_by(wire, tab, reader):
    counts = {c["name"]: c["n"] for c in tab.list.filters.counts}
    assert counts["within"] == tab.page.overview.count({"drift": (None, 8.0)}).accepted > 5
    wire.hear(tab.list.filters, type="toggle", what="mark", name="within")
    look(tab, reader)
    assert len(ids(tab)) == counts["within"]
    wire.hear(tab.list.filters, type="toggle", what="mark", name="outside")
    look(tab, reader)
    assert len(ids(tab)) == counts["outside"] == tab.page.overview.count({"drift": (None, 8.0)}).outside > 5


def test_what_a_page_says_of_filters_is_checked(wire, tab, reader):
    filters, before = tab.list.filters, ids(tab)
    for message in (
        dict(type="toggle", what="state", name="<b>"),
        dict(type="toggle", what="mark", name="state"),
        dict(type="toggle", what=["state"], name=["done"]),
        dict(type="range", key="no such", to=1.0),
        dict(type="range", key=["drift"], to=1.0),
        {"type": "range", "key": "drift", "from": "0", "to": float("nan")},
        dict(type="open", key={}),
        dict(type=["toggle"]),
    ):
        wire.hear(filters, **message)
    look(tab, reader)
    assert ids(tab) == before and filters.opened == {} and tab.list.sift.all


def test_rows_say_what_is_wrong_and_names_are_cut_to_what_tells(wire, tab, reader, session):
    rows = {row["id"]: row for row in shown(wire, tab, reader)}
    assert len(rows) == 63
    assert "contamination" in rows[11]["hint"] and "movie ends after <31>" in rows[session.failed]["hint"]
    assert rows[11]["state"] == rows[11]["cells"][-1] == "rejected"
    assert rows[9]["cells"][0] == "⚑✎" and "thin <ice>" in rows[9]["hint"] and rows[5]["cells"][0] == "⚑"
    assert all(row["cells"][2].startswith("20") for row in rows.values()), "FoilHole_ is in every name"


def test_numbers_outside_of_the_thresholds_stand_out(wire, tab, reader):
    rows = {row["id"]: row for row in shown(wire, tab, reader)}
    head = [column["key"] for column in tab.list.table.columns]
    drift = reader.rows("align")
    beyond = set(drift["exposure"][drift["motion_total"] > 8.0].tolist())
    assert {id for id, row in rows.items() if row.get("beyond") == [head.index("drift")]} == beyond
    exposure, length = max(zip(drift["exposure"], drift["motion_total"], strict=True), key=lambda pair: pair[1])
    tab.page.choose(int(exposure))
    look(tab, reader)
    assert f"Outside of the thresholds: drift {length:.1f} Å (≤ 8.0 Å)" in html(tab.closely)


def test_marks_by_toggle_range_and_keys(wire, tab, reader):
    table, page = tab.list.table, tab.page
    order = ids(tab)
    wire.hear(table, type="tap", id=order[3])
    look(tab, reader)
    assert page.shown == order[3] and page.held and len(page.marked) == 0
    wire.hear(table, type="pick", id=order[6], how="toggle")
    assert set(page.marked) == {order[3], order[6]}, "what was clicked before belongs to it"
    wire.hear(table, type="pick", id=order[6], how="toggle")
    assert set(page.marked) == {order[3]}
    wire.hear(table, type="pick", id=order[9], how="range")
    assert set(page.marked) == set(order[6:10]), "from the one clicked last"
    assert {row["id"] for row in shown(wire, tab, reader) if row.get("marked")} == set(order[6:10])
    wire.hear(tab.list.filters, type="toggle", what="mark", name="marked")
    look(tab, reader)
    assert ids(tab) == order[6:10]
    wire.hear(tab.list.filters, type="clear")
    look(tab, reader)
    wire.hear(table, type="all")
    assert len(page.marked) == 63
    wire.hear(table, type="none")
    assert len(page.marked) == 0
    wire.hear(table, type="tap", id=order[0])
    for extend in (False, True, True):
        wire.hear(table, type="step", by=1, extend=extend)
        look(tab, reader)
    assert page.shown == order[3] and set(page.marked) == set(order[1:4])
    assert wire.said(table, "select")[-1][0]["place"] == 3, "the table scrolls along"
    wire.hear(table, type="step", by=2**31, extend=False)
    look(tab, reader)
    assert page.shown == order[-1]
    for message in (dict(type="pick", id=10**9, how="toggle"), dict(type="pick", id=order[0], how="all")):
        wire.hear(table, **message)
    for by in (2**60, "1", None, True, 1.5):
        wire.hear(table, type="step", by=by)
    assert page.shown == order[-1] and set(page.marked) == set(order[1:4])


def test_orders_about_many_are_one_command(wire, tab, reader, session):
    actions = tab.actions
    tab.page.mark([3, 4, 7])
    look(tab, reader)
    actions.reasons["ice"].click()
    actions.text.value = "a word"
    actions.note.click()
    actions.toggle_flag()
    assert orders(session.folder) == [
        ("reject", {"exposures": [3, 4, 7], "why": "ice"}),
        ("note", {"exposures": [3, 4, 7], "text": "a word"}),
        ("flag", {"exposures": [3, 4, 7], "on": True}),
    ]
    assert "waits in the inbox until an engine runs" in html(actions)


def test_orders_are_offered_where_they_make_sense(wire, tab, reader, session):
    actions = tab.actions

    def offered(*marked):
        tab.page.mark(marked)
        look(tab, reader)
        buttons = {"reject": actions._rejecting, "readmit": actions.readmit, "retry": actions.retry}
        return {name for name, button in buttons.items() if button.layout.display != "none"}

    assert offered(1, 2) == {"reject"}
    assert offered(11, 12) == {"readmit"}
    assert offered(1, 11, session.failed) == {"reject", "readmit", "retry"}
    actions.retry.click()
    assert orders(session.folder) == [("retry", {"exposure": session.failed})]
    offered(5, 9)
    assert actions.flag.description == "Unflag"


def test_nothing_is_offered_of_the_newest_which_changes_under_ones_hands(wire, tab, reader, session):
    assert not tab.page.held and tab.page.shown is not None
    shown = [part for part in (tab.actions._rejecting, tab.actions._others) if part.layout.display != "none"]
    assert shown == [] and "Click an exposure to choose it" in html(tab.actions)
    tab.actions.toggle_flag()
    tab.actions.reasons["ice"].click()
    assert orders(session.folder) == []
    tab.page.choose(tab.page.shown)
    look(tab, reader)
    tab.actions.reasons["ice"].click()
    assert orders(session.folder) == [("reject", {"exposures": [tab.page.shown], "why": "ice"})]


def test_all_of_an_exposure_is_told_to_who_has_control(tab, reader, session):
    tab.page.choose(9)
    for mode in ("Details", "Log"):
        tab.closely.modes.choose(mode)
        look(tab, reader)
    said = html(tab.closely)
    assert "thin &lt;ice&gt;" in said and "flagged" in said
    micrograph = reader.exposure(9).items["align"]
    assert f"<dd>{micrograph.motion_early:.4g} Å</dd>" in said, "numbers with their units"
    assert f"<dd>{reader.exposure(9).items['ctf'].defocus_u * 1e-4:.4g} µm</dd>" in said
    assert "made from" in said and "micrograph: micrograph:" in said and "pattern = &#x27;/data/*.tiff&#x27;" in said
    assert "/data/FoilHole_20009_Data_2.tiff (is gone)" in said, "a movie that is gone is said to be"
    assert "<td>align</td><td>1</td><td>done</td>" in said and "<td>node1</td>" in said
    tab.page.choose(session.failed)
    look(tab, reader)
    said = html(tab.closely)
    assert "movie ends after &lt;31&gt; of 40 frames" in said and "Traceback" in said


def test_a_page_that_only_shows_has_nothing_to_press_and_names_no_path(wire, viewer, reader, session):
    for exposure in (9, session.failed):
        viewer.page.choose(exposure)
        for mode in ("Details", "Log", "Pictures"):
            viewer.closely.modes.choose(mode)
            look(viewer, reader)
        said = html(viewer)
        assert "/data/" not in said and "Traceback" not in said and str(session.folder) not in said
        assert not any(str(session.folder) in str(message) for message in wire.log())
    controls = W.Button | W.Text | W.Textarea | W.ToggleButton | W.Dropdown | W.widget_int._BoundedInt
    assert not any(isinstance(widget, controls) for widget in everything(viewer))
    wire.hear(viewer.list.table, type="key", key="f")
    assert orders(session.folder) == []


def test_a_micrograph_is_shown_with_its_picks_and_read_only_where_it_is_looked_at(wire, small):
    filled, reader = small
    filled.store.add_step("pick", "Topaz", Picks, {}, {"micrograph": "maxshift"})
    filled.arrive(1)
    filled.process()
    filled.store.ensure_table(Picks)
    (task,) = filled.store.claim("pick", todo(filled.store, "pick", {"micrograph": Micrograph}, {})[0])
    file = filled.folder / "steps/pick.star"
    columns = {"rlnCoordinateX": [10.0, 1440.0], "rlnCoordinateY": [20.0, 40.0], "rlnAutopickFigureOfMerit": [1.0, 3.0]}
    star.write(file, {"": columns})
    picks = Picks(
        path="steps/pick.star", micrograph="", count=2, diameter=170.0, pixel_size=1.7, height=2046, width=2880
    )
    filled.store.finish(task, "done", picks)
    tab = made(filled.folder, reader, control=False)
    view = tab.closely.micrograph
    wire.hear(view, type="need")
    ((shot, buffers),) = wire.said(view, "shot")
    places = np.frombuffer(buffers[shot["picks"]["at"][0]], np.float32).reshape(-1, 2)
    np.testing.assert_allclose(places, [[40, 20], [80, 2880]], rtol=1e-6)  # of a micrograph twice as large
    assert (shot["picks"]["radius"], shot["picks"]["range"]) == (100.0, [1.0, 3.0])
    assert buffers[0] == (filled.folder / "steps/align/1.jpg").read_bytes()
    assert shot["tracks"]["frames"] == 40

    def ask(**other):
        wire.clear()
        asked = dict(type="fine", view="a", key=view.shot.key, box=[100, 200, 300, 400], binning=2) | other
        wire.hear(view, **asked)
        look(tab, reader)
        return wire.said(view, "fine")

    ((answer, (content,)),) = ask()
    assert content == b"" and "cannot be read" in answer["word"] and str(filled.folder) not in answer["word"]
    image = np.tile(np.random.default_rng(1).normal(0, 1, (33, 40)).astype(np.float16), (124, 144))
    mrc.write(filled.folder / "steps/align/1.mrc", image)
    ((answer, (content,)),) = ask()
    assert content[:2] == b"\xff\xd8" and answer["box"] == [100, 200, 300, 400] and not answer["word"]
    for hostile in (
        dict(key="1:2:3"),
        dict(box=[0, 0, 5000, 5]),
        dict(box=[-1, 0, 5, 5]),
        dict(box=[5, 5, 5, 9]),
        dict(box=[0, 0, 5]),
        dict(box=[0, 0, 5, "5"]),
        dict(binning=0),
        dict(binning=2.5),
        dict(binning=10**9),
        dict(view=None),
    ):
        assert ask(**hostile) == [], hostile
    assert ask(box=[0, 0, 4092, 5760], binning=1)[0][0]["word"], "too large a picture is refused, in words"

    file.unlink()
    again = made(filled.folder, reader, control=False)
    wire.hear(again.closely.micrograph, type="need")
    ((shot, _),) = wire.said(again.closely.micrograph, "shot")
    assert "picks" not in shot and "picks cannot be read" in shot["note"]


def test_pictures_that_are_gone_are_a_word(wire, small):
    filled, reader = small
    filled.arrive(3)
    filled.process()
    (filled.folder / "steps/align/3.jpg").unlink()
    (filled.folder / "steps/align/2.jpg").write_bytes(b"no picture")
    tab = made(filled.folder, reader, control=False)
    wire.hear(tab.closely.micrograph, type="need")
    ((shot, buffers),) = wire.said(tab.closely.micrograph, "shot")
    assert buffers[0] == b"" and shot["word"] == "the picture is gone"
    tab.list.kinds.choose("Micrographs")
    wire.hear(tab.list.gallery, **EVERYTHING)
    look(tab, reader)
    ((message, _),) = wire.said(tab.list.gallery, "rows")
    names = {row["id"]: row["image"] for row in message["rows"]}
    assert len(set(names.values())) == 3
    wire.hear(tab.list.gallery, type="pictures", ids=[1, 2, 3, 4, -1, "1", None, 2.0, [1]])
    look(tab, reader)
    ((answer, buffers),) = wire.said(tab.list.gallery, "pictures")
    found = dict(zip(answer["names"], buffers, strict=True))
    assert found[names[1]][:2] == b"\xff\xd8" and found[names[2]] == found[names[3]] == b""


def test_an_empty_session_fills(wire, small):
    filled, reader = small
    tab = made(filled.folder, reader, control=True)
    assert shown(wire, tab, reader) == []
    assert "Exposure" in html(tab.closely)
    filled.arrive(2)
    filled.process(pictures=False)
    assert len(shown(wire, tab, reader)) == 2 and tab.page.shown == 2


def test_what_is_new_appears_in_its_place(wire, small):
    session, reader = small
    session.arrive(3)
    session.process(pictures=False)
    tab = made(session.folder, reader, control=False)
    wire.hear(tab.list.table, type="sort", key="drift")
    for _ in range(2):
        session.arrive(4)
        session.process(pictures=False)
        look(tab, reader)
        rows = reader.rows("align")
        assert ids(tab) == rows["exposure"][np.argsort(-rows["motion_total"])].tolist()


def test_picks_of_any_step_lie_over_the_micrograph(wire, tmp_path):
    session = PickedSession(tmp_path / "picked")
    session.arrive(2)
    session.process(pictures=False)
    session.pick()
    with Reader(session.folder) as reader:
        tab = made(session.folder, reader, control=False)
        closely = tab.closely
        assert closely.overlay.names == ["pick", "corrected", "kept"] and closely.overlay.chosen == ["kept"]
        wire.hear(closely.overlay, type="tap", name="pick")
        tab.refresh(reader)
        assert closely.micrograph.shot.circles.name == "pick" and closely.micrograph.shot.circles.powers is None
    session.close()
