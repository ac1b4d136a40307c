"""The page of a session: what it shows agrees with the ledger, and what it may do depends on who looks."""

import json

import ipywidgets as W
import numpy as np
import pytest

from cryowidgets.engine import inbox
from cryowidgets.widgets import session
from cryowidgets.widgets.dashboard import SessionView


def everything(widget):
    """A widget and all inside it."""
    yield widget
    for child in getattr(widget, "children", ()):
        yield from everything(child)


def html(widget):
    return "\n".join(w.value for w in everything(widget) if isinstance(w, W.HTML))


def figure_of(page, name):
    """A number of the header."""
    head = page._header.value
    return head.split(f"data-name='{name}'>")[1].split("<b>")[1].split("</b>")[0]


def overview(page):
    return page.tabs.tab("Overview")


@pytest.fixture
def page(wire, filled):
    return SessionView(filled.folder)


@pytest.fixture
def control(wire, filled):
    return SessionView(filled.folder, control=True)


def test_an_open_alert_stands_at_the_top_of_the_page_and_counts_stay_those_of_movies(page, filled, reader):
    filled.arrive(25)
    filled.process(pictures=False)
    filled.add_up(20)
    filled.alert("The gain in use is of <another> camera.")
    page.refresh(reader)
    assert page.alerts.worst == [{"level": "warning", "text": "The gain in use is of <another> camera."}]
    done = reader.tally()["quality"]["done"]
    assert (figure_of(page, "done"), done > 1) == (str(done), True)
    assert set(reader.exposures()["state"]) == {"done", "rejected"}
    filled.clear()
    page.refresh(reader)
    assert page.alerts.total == 0 and page.alerts.worst == []


def test_what_a_sidecar_and_the_settings_disagree_about_is_said_of_the_exposure(page, filled, reader):
    filled.arrive(1, "The pixel size of <x.xml> is 0.83 Å and you say 0.85 Å.")
    filled.process(pictures=False)
    page.refresh(reader)
    assert html(page).count("The pixel size of &lt;x.xml&gt; is 0.83 Å and you say 0.85 Å.") == 1
    filled.arrive(1)
    filled.process(pictures=False)
    page.refresh(reader)
    assert "you say 0.85" not in html(page)


def test_results_of_every_step_are_behind_a_button_of_the_page(control, filled, reader):
    filled.arrive(3)
    filled.process()
    filled.add_up(20)
    controls = control._controls
    control.refresh(reader)
    assert controls.results == {}  # nothing is made of what nobody opened
    controls.openers["Results"].value = True
    control.refresh(reader)
    for name in reader.steps():
        controls.result_choice.value = name
        control.refresh(reader)
    assert [type(view).__name__ for view in controls.results.values()] == [
        "TableView", "AlignMovieView", "TableView", "EstimateCtfView", "ScoreExposureView", "EstimateGainView",
    ]  # fmt: skip
    assert "max / p97.5" in html(controls)


def test_empty_project_says_what_it_waits_for(page, reader):
    page.refresh(reader)
    assert [strip.plot.rows for strip in overview(page).course.strips.values()] == [0] * 5
    assert "no engine is running" in page._header.value and "stream open" in page._header.value
    assert figure_of(page, "found") == "0" and figure_of(page, "movies per hour") == "–"
    assert "no micrograph yet" in html(page)


def test_header_counts_and_names_what_lives(page, filled, reader):
    filled.open_engine()
    filled.arrive(40)
    filled.process(pictures=False)
    filled.fail("a <b>bad</b> file")
    filled.refuse("no bytes")
    filled.arrive(3)
    page.refresh(reader)
    state = reader.session()
    assert (state.found, state.failed, state.waiting) == (45, 2, 3)
    for name, value in dict(found=45, done=state.done, rejected=state.rejected, failed=2, waiting=3).items():
        assert figure_of(page, name) == str(value)
    assert "engine on" in page._header.value
    filled.close_engine()
    page.refresh(reader)
    assert "no engine is running" in page._header.value


def test_names_and_errors_cannot_bring_html(page, filled, reader):
    exposure = filled.fail("<script>alert(1)</script> & <img src=x>")
    page.choose(exposure)
    page.refresh(reader)
    shown = html(page)
    assert "grid 3 &lt;apoferritin&gt;" in shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert "<script" not in shown and "<img src=x" not in shown


def test_newest_exposure_is_shown_until_one_is_chosen(page, filled, reader):
    filled.arrive(10)
    filled.process()
    page.refresh(reader)
    assert page.page.shown == 10 and "newest" in overview(page).exposure._head.value
    page.choose(4)
    filled.arrive(3)
    filled.process()
    page.refresh(reader)
    row = reader.exposure(4)
    assert page.page.shown == 4 and "chosen" in overview(page).exposure._head.value
    assert row.name in overview(page).exposure._head.value
    shifts = row.items["align"].shifts
    np.testing.assert_allclose(overview(page).exposure.micrograph.trajectory.column("x"), shifts[:, 1])
    np.testing.assert_allclose(overview(page).exposure.micrograph.trajectory.column("y"), shifts[:, 0])
    curve = np.load(row.items["ctf"].curve)
    np.testing.assert_allclose(overview(page).exposure.ctf.curve.column("observed"), curve[1])
    assert f"<b>{row.items['quality'].score:.2f}</b>" in overview(page).exposure._numbers.value
    picture = overview(page).exposure.micrograph.picture._image.value
    assert bytes(picture) == (filled.folder / "steps/align/4.jpg").read_bytes()
    page.choose(4)
    page.refresh(reader)
    assert page.page.shown == 13


def test_an_exposure_that_a_page_makes_up_shows_nothing_and_breaks_nothing(wire, page, filled, reader):
    filled.arrive(2)
    page.refresh(reader)
    wire.hear(overview(page).course.strips["drift"].plot, type="tap", id=10**9)
    page.choose(10**9)
    page.refresh(reader)
    assert (page.page.shown, page.page.held) == (2, False)
    assert "newest" in overview(page).exposure._head.value


def test_failed_exposure_says_why_and_tells_paths_only_to_who_controls(page, control, filled, reader):
    exposure = filled.fail("InputError: movie ends after 31 of 40 frames")
    for view in (page, control):
        view.choose(exposure)
        view.refresh(reader)
        assert "movie ends after 31 of 40 frames" in html(view)
    assert "Traceback" in html(control) and "Traceback" not in html(page)


def test_pictures_that_are_gone_are_named(page, filled, reader):
    filled.arrive(1)
    filled.process()
    (filled.folder / "steps/align/1.jpg").unlink()
    (filled.folder / "steps/ctf/1.npy").write_bytes(b"not an array")
    page.refresh(reader)
    assert "1.jpg: No such file or directory" in html(page)
    assert overview(page).exposure.ctf.curve.rows == 0


CONTROLS = (W.Button, W.ToggleButton, W.ToggleButtons, W.Text, W.BoundedIntText, W.Dropdown, W.Checkbox, W.Accordion)


def test_kiosk_has_nothing_to_press(page, filled, reader):
    filled.fail("no")
    page.refresh(reader)
    assert [w for w in everything(page) if isinstance(w, CONTROLS)] == []


def test_nothing_that_a_kiosk_hears_reaches_the_project(wire, page, filled, reader):
    filled.arrive(3)
    filled.process(pictures=False)
    for widget in everything(page):
        if widget.comm is None:
            continue
        for state in ({"value": "/etc/passwd"}, {"_shown": "/etc/passwd"}, {"layout": "IPY_MODEL_x"}):
            try:
                wire.set(widget, **state)
            except Exception:  # a kernel reports it to the page and goes on
                pass
        wire.hear(widget, type="reject", exposure=1)
        wire.hear(widget, type="custom", command="quit")
    page.refresh(reader)
    assert list((filled.folder / "inbox").iterdir()) == []


def test_buttons_send_commands_and_only_those_that_make_sense(control, filled, reader):
    buttons = control._controls.engine

    def visible():
        return {w.description for w in everything(buttons) if isinstance(w, W.Button) and w.layout.display != "none"}

    control.refresh(reader)
    assert visible() == {"Start engine"}
    filled.open_engine()
    filled.fail("no")
    control.refresh(reader)
    assert visible() == {"Pause", "Stop", "Retry failed", "End engine", "workers"}
    filled.store.put("paused", "1")
    filled.store.put("stream", "closed")
    control.refresh(reader)
    assert visible() == {"Resume", "Reopen", "Retry failed", "End engine", "workers"}
    for button in (buttons.pause, buttons.resume, buttons.stop, buttons.reopen, buttons.retry, buttons.quit):
        button.click()
    buttons.workers.value = 5
    buttons.scale.click()
    sent = inbox.read(filled.folder)
    assert [c.name for c in sent] == ["pause", "resume", "stop", "reopen", "retry", "quit", "scale"]
    assert sent[-1].args == {"workers": 5}


def test_answers_of_the_engine_are_shown(control, filled, reader):
    filled.open_engine()
    filled.store.event("command.refused", "scale: Cannot scale to 0 workers (anna)")
    control.refresh(reader)
    assert "Cannot scale to 0 workers" in html(control._controls.engine)
    assert "cw-failed" in html(control._controls.engine)


def test_an_exposure_can_be_rejected_readmitted_and_retried(control, filled, reader):
    filled.arrive(2)
    filled.process(pictures=False)
    failed = filled.fail("no")
    parts = overview(control).exposure._controls

    def visible():
        return {w.description for w in parts.children if isinstance(w, W.Button) and w.layout.display != "none"}

    control.choose(1)
    control.refresh(reader)
    assert visible() == {"Reject"}
    parts._why.value = "ice"
    parts._reject.click()
    filled.store.reject(1, "ice")
    control.refresh(reader)
    assert visible() == {"Readmit"} and "Rejected by hand: ice" in html(overview(control).exposure)
    parts._readmit.click()
    control.choose(failed)
    control.refresh(reader)
    assert visible() == {"Reject", "Retry"}
    parts._retry.click()
    sent = [(c.name, c.args) for c in inbox.read(filled.folder)]
    assert sent == [
        ("reject", {"exposure": 1, "why": "ice"}),
        ("readmit", {"exposure": 1}),
        ("retry", {"exposure": failed}),
    ]


def test_parameters_are_sent_for_new_movies_or_for_all(control, filled, reader):
    controls = control._controls
    controls.openers["Parameters"].value = True
    control.refresh(reader)
    assert list(controls.choice.options) == ["movies", "align", "maxshift", "ctf", "quality"]
    form = controls.forms["movies"]
    assert all(button.disabled for button in form.buttons.values())
    form.form.fields["voltage"].value = "200"
    form.form.fields["cs"].value = "a lot"
    assert form.changes() == {"voltage": 200.0}
    for scope in ("new", "branch", "all"):
        form.buttons[scope].click()
    sent = inbox.read(filled.folder)
    assert [c.args for c in sent] == [
        {"step": "movies", "values": {"voltage": 200.0}, "scope": scope} for scope in ("new", "branch", "all")
    ]
    params = filled.store.steps()["movies"].params
    filled.store.set_params("movies", {**params, "voltage": 200.0}, redo=False)
    control.refresh(reader)
    assert form.changes() == {} and form.buttons["new"].disabled


def test_other_peoples_changes_appear_in_the_form_and_mine_stay(control, filled, reader):
    controls = control._controls
    controls.openers["Parameters"].value = True
    control.refresh(reader)
    form = controls.forms["movies"]
    form.form.fields["cs"].value = "1.4"
    params = filled.store.steps()["movies"].params
    filled.store.set_params("movies", {**params, "voltage": 120.0}, redo=False)
    control.refresh(reader)
    assert form.form.fields["voltage"].value == "120"
    assert form.changes() == {"cs": 1.4}


def test_what_is_folded_away_costs_nothing(control, filled, reader):
    control.refresh(reader)
    assert control._controls.forms == {} and control._controls._steps.value == ""


def test_a_project_that_is_none_is_a_sentence_and_no_traceback(wire, tmp_path, monkeypatch):
    assert "is not a project" in session(tmp_path).value
    monkeypatch.delenv("CRYOWIDGETS_PROJECT", raising=False)
    assert "No project is named" in session().value


def test_the_project_may_be_named_by_the_environment(wire, filled, monkeypatch):
    monkeypatch.setenv("CRYOWIDGETS_PROJECT", str(filled.folder))
    assert session("").folder == filled.folder


def test_notebook_is_a_cell_of_parameters_and_one_call(checkout):
    cells = json.loads((checkout / "voila_apps/session.ipynb").read_text())["cells"]
    assert len(cells) == 2 and cells[0]["metadata"]["tags"] == ["parameters"]
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in cells)
