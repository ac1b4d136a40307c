"""The frame of a session's page: tabs come by entry points, what they share is read once, a broken one is said."""

from html import unescape

import numpy as np
import pytest

from cryowidgets.engine import inbox
from cryowidgets.errors import CommandError
from cryowidgets.store.queries import Reader
from cryowidgets.widgets import session, tab_row
from cryowidgets.widgets.dashboard import SessionView
from cryowidgets.widgets.page import Page
from cryowidgets.widgets.part import Part
from tests.test_plugins import cli, package, plugged  # noqa: F401

GOOD = """
    import ipywidgets as W
    from cryowidgets.widgets.page import Tab

    class Thing(Tab):
        title = "Tilts"
        place = 15

        @classmethod
        def fits(cls, steps):
            return "ctf" in steps

        def __init__(self, page):
            self.said = W.HTML()
            super().__init__(page, [self.said])

        def refresh(self, reader):
            self.said.value = f"{len(self.page.overview)} of {self.page.folder.name}"
"""
BROKEN = {
    "missing": ("import nosuchthing", "it needs the module 'nosuchthing', which is not installed."),
    "foreign": ("class Thing: pass", "is not derived from cryowidgets.widgets.page.Tab."),
    "nameless": (GOOD.replace('"Tilts"', '""'), "Thing has no title"),
    "placeless": (GOOD.replace("15", "'left'"), "the place of Thing is 'left': write a whole number"),
    "unmade": (
        GOOD.replace('"Tilts"', '"Unmade"').replace("self.said =", "self.x = 1 / 0\n            s ="),
        "ZeroDiv",
    ),
    "fails": (
        GOOD.replace('"Tilts"', '"Fails"').replace(
            "self.said.value =", "raise OSError('/secret/<b>')\n            s ="
        ),
        "OSError",
    ),
    "unfit": (
        GOOD.replace('"Tilts"', '"Unfit"').replace('return "ctf" in', "return 1 / 0 in"),
        "cannot say whether it fits: ZeroDivisionError.",
    ),
}


@pytest.fixture
def tabs(plugged, tmp_path):  # noqa: F811
    """Install tabs as plug-ins: ``tabs(good=CODE)``."""
    folder = tmp_path / "tabs"
    folder.mkdir()

    def install(**codes):
        for name, code in codes.items():
            package(folder, f"{name}-other", {"cryowidgets.tabs": {name.title(): f"{name}_other:Thing"}}, code)
        plugged(folder)

    return install


def shown(page, title, reader):
    """All that a tab's place says once it is chosen."""
    page.refresh(reader)
    page.tabs.go(title)
    page.refresh(reader)
    return page.tabs._words[title].value


def test_a_plug_ins_tab_appears_where_the_workflow_fits_it(wire, filled, reader, tabs):
    tabs(good=GOOD)
    filled.arrive(2)
    page = SessionView(filled.folder)
    page.refresh(reader)
    names = page.tabs.names.names
    assert names[:2] == ["Overview", "Tilts"] and "Workflow" in names
    assert "Tilts" not in page.tabs.made, "it is made when somebody looks at it"
    assert shown(page, "Tilts", reader) == ""
    assert page.tabs.made["Tilts"].said.value == "2 of session"
    assert [place.layout.display for place in page.tabs._room.children] == ["none", None]
    offer = next(offer for offer in tab_row.offers() if offer.title == "Tilts")
    assert not offer.fits({})


def test_only_the_tab_in_view_is_refreshed_and_learns_all_that_it_missed(wire, filled, reader, tabs):
    tabs(good=GOOD)
    page = SessionView(filled.folder)
    shown(page, "Tilts", reader)
    page.tabs.go("Workflow")
    filled.arrive(3)
    page.refresh(reader)
    assert page.tabs.made["Tilts"].said.value == "0 of session"
    page.tabs.go("Tilts")
    page.refresh(reader)
    assert page.tabs.made["Tilts"].said.value == "3 of session"


def test_broken_tabs_are_listed_and_said_in_their_place_and_harm_nothing(wire, filled, reader, tabs, caplog):
    tabs(good=GOOD, **{name: code for name, (code, _) in BROKEN.items()})
    listed = cli("plugins")
    assert "Tilts (place 15)" in listed and "Overview (place 10)" in listed
    for name in ("missing", "foreign", "nameless", "placeless"):
        assert BROKEN[name][1] in listed
    filled.arrive(1)
    filled.process(pictures=False)
    page, control = SessionView(filled.folder), SessionView(filled.folder, control=True)
    for name, (_, said) in BROKEN.items():
        title = name.title()
        assert said in unescape(shown(page, title, reader))
        assert f"Tab &#x27;{title}&#x27; of {name}-other" in shown(page, title, reader)
    assert "secret" not in shown(page, "Fails", reader)
    assert "/secret/&lt;b&gt;" in shown(control, "Fails", reader)
    assert shown(page, "Overview", reader) == shown(page, "Tilts", reader) == ""
    assert page.pulse.trouble == ""


def test_two_tabs_of_one_title_are_told_apart(wire, filled, reader, tabs):
    tabs(a=GOOD.replace("Tilts", "Overview"))
    page = SessionView(filled.folder)
    assert [o.title for o in tab_row.offers()][:2] == ["Overview", "Overview (a-other)"]
    assert shown(page, "Overview (a-other)", reader) == ""


def test_news_is_what_each_listener_has_not_heard(filled, reader):
    page, one, other = Page(filled.folder), SessionView, Reader  # anything that can be told from others
    filled.arrive(4)
    page.refresh(reader)
    assert page.news(one).fresh and page.news(one).rows.tolist() == []
    for _ in range(3):
        filled.arrive(1)
        page.refresh(reader)
    assert page.news(one).rows.tolist() == [4, 5, 6]
    assert page.news(other).rows.tolist() == list(range(7))
    for _ in range(100):
        filled.arrive(1)
        page.refresh(reader)
    assert page.news(one).fresh, "who missed too much begins anew"
    filled.arrive(1)
    page.refresh(reader)
    assert not page.news(one).fresh


def test_an_exposure_is_held_until_it_is_chosen_again(filled, reader):
    woken = []
    page = Page(filled.folder, wake=lambda: woken.append(1))
    page.refresh(reader)
    assert (page.shown, page.held) == (None, False)
    filled.arrive(3)
    filled.process(pictures=False)
    page.refresh(reader)
    assert page.shown == 3
    page.choose(3)
    filled.arrive(1)
    filled.process(pictures=False)
    page.refresh(reader)
    assert (page.shown, page.held) == (3, True)
    page.choose(3)
    page.refresh(reader)
    assert (page.shown, page.held) == (4, False)
    page.mark([3, 1, 3])
    np.testing.assert_array_equal(page.marked, [1, 3])
    assert len(woken) == 3


def test_a_page_that_only_shows_sends_nothing(filled):
    with pytest.raises(CommandError, match="this page only shows the session"):
        Page(filled.folder).send("pause")
    assert inbox.read(filled.folder) == []
    ref = Page(filled.folder, control=True).send("pause")
    assert [(c.name, c.ref) for c in inbox.read(filled.folder)] == [("pause", ref)]


def test_alerts_stand_at_the_head_the_worst_first_and_lead_to_their_tab(wire, filled, reader):
    page = SessionView(filled.folder)
    filled.alert("drift is <high>", key="a")
    filled.alert("the disk is full", level="alarm", key="b")
    filled.alert("defocus is narrow", level="note", key="c")
    page.refresh(reader)
    assert page.alerts.total == 3
    assert [a["text"] for a in page.alerts.worst] == ["the disk is full", "drift is <high>"]
    wire.hear(page.alerts, type="tap")
    assert page.tabs.shown == "Alerts"
    filled.clear(key="b")
    page.refresh(reader)
    assert page.alerts.worst[0]["text"] == "drift is <high>"


@pytest.mark.parametrize("served", [False, True])
def test_a_page_of_our_server_links_the_style_sheet_and_in_a_notebook_every_part_brings_it(
    wire, filled, reader, monkeypatch, served
):
    monkeypatch.setattr(Part, "dressed", served)
    page = session(filled.folder)
    page.refresh(reader)
    parts = [page.pulse, page.alerts, page.tabs.names, page.tabs.tab("Overview").course.plots]
    assert {len(str(part._css)) > 10_000 for part in parts} == {not served}
