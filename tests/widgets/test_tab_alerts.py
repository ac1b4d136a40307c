"""The tab Alerts: what it shows is what the ledger has, and what it commands goes to the inbox, from a desk alone."""

from __future__ import annotations

import ipywidgets as W
import numpy as np
import pytest

from cryowidgets.engine import inbox
from cryowidgets.errors import CommandError
from cryowidgets.monitors.watch import change
from cryowidgets.store import alerts
from cryowidgets.widgets.page import Page
from cryowidgets.widgets.tab_alerts import AlertsTab
from cryowidgets.widgets.watching import picture


def everything(widget):
    yield widget
    for child in getattr(widget, "children", ()):
        yield from everything(child)


def html(widget):
    return "\n".join(w.value for w in everything(widget) if isinstance(w, W.HTML))


def sent(filled):
    return [(command.name, command.args) for command in inbox.read(filled.folder)]


@pytest.fixture
def page(filled):
    return Page(filled.folder, control=True)


@pytest.fixture
def tab(wire, page):
    return AlertsTab(page)


def test_open_alerts_stand_first_by_level_and_what_is_over_is_history(tab, filled, reader):
    tab.refresh(reader)
    assert "Nothing is wrong" in html(tab) and "No monitor has found anything wrong yet" in html(tab)
    drift = filled.alert("It <moves>.", monitor="drift")
    disk = filled.alert("The disk is full.", "alarm", monitor="system")
    tab.refresh(reader)
    assert list(tab.cards) == [disk, drift] and [card._level for card in tab._list.children] == ["alarm", "warning"]
    assert "It &lt;moves&gt;." in html(tab) and "<moves>" not in html(tab)
    assert "2 open alerts" in html(tab) and "■" in html(tab) and "▲" in html(tab)
    filled.clear("It rests.", monitor="drift")
    tab.refresh(reader)
    assert list(tab.cards) == [disk] and "It rests." in tab._history.value and "1 open alert" in html(tab)


def test_a_refresh_with_nothing_new_sends_nothing(tab, filled, reader, wire):
    filled.arrive(30)
    filled.process(pictures=False)
    filled.alert("It moves.", monitor="drift")
    tab.refresh(reader)
    tab.watching._due = 1e12
    wire.clear()
    tab.refresh(reader)
    assert len(wire) == 0


def test_who_knows_is_asked_for_and_sent(tab, filled, reader):
    alert = filled.alert("It moves.", monitor="drift")
    tab.refresh(reader)
    tab.cards[alert].know.click()
    assert sent(filled) == [] and "Write your name" in tab._said.value
    tab.name.value = "  Eva   <b>" + "x" * 500
    tab.cards[alert].know.click()
    ((name, args),) = sent(filled)
    assert (
        (name, args["alert"]) == ("acknowledge", alert) and args["by"].startswith("Eva <b>x") and len(args["by"]) == 60
    )
    alerts.acknowledge(filled.store, alert, args["by"])
    tab.refresh(reader)
    assert tab.cards[alert].know.layout.display == "none" and "Eva &lt;b&gt;" in html(tab)


def test_the_exposure_of_an_alert_is_shown(wire, filled, reader):
    filled.arrive(3)
    gone_to = []
    page = Page(filled.folder, go=gone_to.append)
    tab = AlertsTab(page)
    (alert,) = alerts.write(filled.store, [alerts.Raise("drift", "drift", "warning", "It moves.", exposure=2)])
    tab.refresh(reader)
    tab.cards[alert.id].show_it.click()
    assert (page.shown, page.held, gone_to) == (2, True, ["Exposures"])


def test_a_page_that_only_shows_has_no_buttons_and_cannot_send(wire, filled, reader):
    page = Page(filled.folder)
    tab = AlertsTab(page)
    alert = filled.alert("It moves.")
    tab.refresh(reader)
    assert tab.form is None and tab.name is None and tab.cards[alert].know is None
    inputs = (W.Text, W.Dropdown, W.Checkbox, W.Button)
    assert [w.description for w in everything(tab) if isinstance(w, inputs)] == ["Show exposure"]
    with pytest.raises(CommandError):
        page.send("acknowledge", alert=alert, by="Eva")
    assert sent(filled) == []


def test_monitors_show_their_values_against_their_limits(tab, filled, reader):
    change(filled.store, "drift", {"drift_max": 1.0})
    change(filled.store, "ice", None, False)
    filled.arrive(40)
    filled.process(pictures=False)
    tab.refresh(reader)
    shown = tab.watching.value
    assert "at most 1.0 Å" in shown and "0.30 µm to 4.00 µm" in shown and "✓ in range" in shown
    assert "! 25 of 25 out" in shown and "Switched off: ice" in shown and "<h4>ice</h4>" not in shown
    (drift,) = tab.watching._watch.watched()["drift"]
    drawn = picture(drift)
    assert drawn.count("<path") == 25 and drawn.count("<line") == 1 and "<circle" not in drawn
    rows = reader.rows("align")
    newest = rows["motion_total"][np.argsort(rows["acquired"])][-25:]
    np.testing.assert_array_equal(drift.values, newest)


def test_limits_are_changed_by_a_form_and_a_switch(tab, filled, reader):
    form = tab.form
    form.choice.value = "drift"
    tab.refresh(reader)
    assert form.apply.disabled
    form.form.fields["drift_max"].value = "far"
    assert form.form.errors["drift_max"] and form.apply.disabled
    form.form.fields["drift_max"].value = "30"
    assert not form.apply.disabled
    form.apply.click()
    form.switch.click()
    assert sent(filled) == [
        ("monitor", {"name": "drift", "values": {"drift_max": 30.0}}),
        ("monitor", {"name": "drift", "on": False}),
    ]
    change(filled.store, "drift", {"drift_max": 30.0}, False)
    tab.refresh(reader)
    assert form.apply.disabled and form.switch.description == "Switch on"
    form.default.click()
    assert form.changes() == {"drift_max": 45.0}
