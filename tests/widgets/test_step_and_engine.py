"""A step and the engine as widgets of their own."""

from importlib.metadata import EntryPoint

import ipywidgets as W
import numpy as np
import pytest

from cryowidgets import plugins
from cryowidgets.engine import inbox
from cryowidgets.project import Project
from cryowidgets.protocols import registry
from cryowidgets.store.queries import Reader
from cryowidgets.widgets import EngineWidget, ProtocolWidget, views
from cryowidgets.widgets.form import ParameterForm
from tests.sorted_session import SortedSession


def html(widget):
    own = widget.value if isinstance(widget, W.HTML) else ""
    return own + "".join(map(html, getattr(widget, "children", ())))


@pytest.fixture
def project(wire, filled):
    filled.arrive(12)
    filled.process()
    return Project(filled.folder)


def test_a_step_shows_state_counts_results_and_log(project, filled, reader):
    filled.fail("InputError: too short")
    widget = project.steps["align"].widget()
    assert isinstance(widget, ProtocolWidget)
    widget.refresh(reader)
    assert "12 done" in html(widget) and "1 failed" in html(widget)
    assert "InputError: too short" in html(widget.events)
    assert isinstance(widget.results, views.AlignMovieView)
    drift = widget.results._rows.plots[0]
    np.testing.assert_array_equal(drift.column("motion_total"), reader.rows("align")["motion_total"])
    shifts = reader.exposure(12).items["align"].shifts
    np.testing.assert_allclose(widget.results.item.trajectory.column("x"), shifts[:, 1])


def test_clicks_hold_a_result_and_let_it_go(wire, project, reader):
    widget = project.steps["ctf"].widget()
    assert isinstance(widget.results, views.EstimateCtfView)
    widget.refresh(reader)
    wire.hear(widget.results._rows.plots[0], type="tap", id=3)
    widget.refresh(reader)
    assert reader.exposure(3).name in html(widget.results)
    curve = np.load(reader.exposure(3).items["ctf"].curve)
    np.testing.assert_allclose(widget.results.item.curve.column("fitted"), curve[2])
    wire.hear(widget.results._rows.plots[1], type="tap", id=3)
    widget.refresh(reader)
    assert reader.exposure(12).name in html(widget.results)


def test_a_score_is_shown_with_its_parts_and_what_is_worst(wire, project, reader):
    widget = project.steps["quality"].widget()
    assert isinstance(widget.results, views.ScoreExposureView)
    widget.refresh(reader)
    (plot,) = widget.results._rows.plots
    rows = reader.rows("quality")
    for part in ("score", "fit", "astigmatism", "drift"):
        np.testing.assert_array_equal(plot.column(part), rows[part])
    assert plot.note == f"median of all 12: {np.median(rows['score']):.2f}"
    assert list(plot.column("worst")) == list(rows["worst"])
    quality = reader.exposure(12).items["quality"]
    shown = widget.results.item.value
    assert quality.reason in shown and shown.count("<tr") == 10
    assert f"<tr class='cw-worst' title='how far the CTF fits'><th>{quality.worst}</th>" in shown
    assert f"<td>{quality.score:.2f}</td>" in shown
    assert "<th>ice</th><td><i style='width: 0%'></i></td><td>–</td>" in shown  # it was not measured


def test_the_gain_by_the_movies_is_a_picture_with_three_figures_against_time(wire, project, filled, reader):
    for movies in (20, 40, 60):
        filled.add_up(movies)
    widget = project.steps["gain"].widget()
    assert isinstance(widget.results, views.EstimateGainView)
    widget.refresh(reader)
    ratios, deviation = widget.results.plots
    rows = reader.rows("gain")
    np.testing.assert_array_equal(ratios.column("width"), rows["width"])
    np.testing.assert_array_equal(ratios.column("peak"), rows["peak"])
    np.testing.assert_allclose(deviation.column("deviation"), rows["deviation"] * 100)
    assert "<span>p97.5 / p2.5</span><b>1.083</b>" in html(widget)
    assert "60 (0 left out)" in html(widget) and "4 ± 2 %" in html(widget)
    newest = widget.results.item.picture._image.value
    assert newest[:2] == b"\xff\xd8"
    wire.hear(ratios, type="tap", id=1)
    widget.refresh(reader)
    assert "20 (0 left out)" in html(widget) and widget.results.item.picture._image.value != newest
    filled.add_up(80, "The gain in use leaves 31% of its <pattern>.")
    wire.hear(ratios, type="tap", id=1)
    widget.refresh(reader)
    assert ratios.rows == 4 and "80 (0 left out)" in html(widget)
    assert "leaves 31% of its &lt;pattern&gt;." in html(widget)


def test_parameters_of_another_version_stand_in_the_form_as_far_as_there_are_such(project, filled):
    filled.store.set_params("ctf", {"box": 7, "defocus_max": 40000.0, "smoothing": 3}, redo=False)
    parameters = project.steps["ctf"].widget().parameters
    assert parameters.form.fields["defocus_max"].value == "40000"
    assert parameters.form.fields["box"].value == "512"
    assert parameters.changes() == {"box": 512}  # the default in place of what is refused, for a click to send


def test_protocols_without_a_view_of_their_own_get_a_table(wire, project, reader):
    widget = project.steps["maxshift"].widget()
    widget.refresh(reader)
    (table,) = widget.results.children
    wire.hear(table, type="need", view="a", first=0, count=5)
    widget.refresh(reader)
    ((message, _),) = wire.said(table, "rows")
    labels = [c["label"] for c in table.columns]
    rows = reader.rows("maxshift")
    assert message["total"] == len(rows["id"]) and labels[:2] == ["name", "acquired"]
    newest = dict(zip(labels, message["rows"][0]["cells"], strict=True))
    assert newest["name"] == rows["name"][-1]
    assert float(newest["motion total"]) == pytest.approx(rows["motion_total"][-1], rel=1e-3)


@pytest.mark.parametrize(
    ("attribute", "says"),
    [
        ("OwnView", ""),
        ("project", "derived from cryowidgets.widgets.views.ResultView"),
        ("NoView", "cannot be used: "),
        ("Fragile", "View 'MaxShift' of mine 1.2 cannot be used: ZeroDivisionError"),
    ],
)
def test_a_plug_in_brings_its_own_view_and_a_broken_one_gives_way(monkeypatch, project, reader, attribute, says):
    point = EntryPoint("MaxShift", f"{__name__}:{attribute}", plugins.VIEWS)
    plugin = plugins.Plugin(plugins.VIEWS, "MaxShift", point, "mine", "1.2")
    monkeypatch.setattr(plugins, "installed", lambda group: {"MaxShift": plugin})
    view = views.view(reader.steps()["maxshift"], lambda: None)
    view.refresh(reader)
    assert isinstance(view, OwnView) == (not says)
    if says:
        assert says in " ".join(html(view).replace("&#x27;", "'").split())
        assert isinstance(view.instead, views.TableView)


class OwnView(views.ResultView):
    def __init__(self, step, wake):
        super().__init__(step, wake, [])

    def refresh(self, reader):
        pass


class Fragile(OwnView):
    def __init__(self, step, wake):
        1 / 0  # noqa: B018


@pytest.mark.parametrize("name", registry.names())
def test_every_protocol_that_is_installed_has_a_form(wire, name):
    protocol = registry.get(name)()
    form = ParameterForm(protocol)
    assert list(form.fields) == list(protocol.parameters())
    for parameter in protocol.parameters().values():
        assert parameter.help, f"{name}.{parameter.name} says nothing about itself"
    values = protocol.values()
    for field in list(form.fields.values()):
        field.notify_change({"name": "value", "old": None, "new": field.value, "owner": field, "type": "change"})
    assert form.errors == {} and protocol.values() == values, "what a form shows is what it takes"


def test_engine_shows_its_state_and_takes_orders(project, filled, reader):
    widget = EngineWidget(project)
    filled.open_engine()
    filled.sample(5)
    widget.refresh(reader)
    assert "engine on" in html(widget) and "the engine started" in html(widget.events)
    assert widget.machine.rows == widget.tasks.rows == 5
    widget.buttons.workers.value = 3
    widget.buttons.scale.click()
    widget.buttons.pause.click()
    assert [c.name for c in inbox.read(filled.folder)] == ["scale", "pause"]
    assert "sent to the engine" in html(widget.buttons)


def test_engine_is_started_from_its_button(tmp_path, wire):
    """The real one, in the background, on a folder without movies."""
    project = Project.create(tmp_path / "p", movies=str(tmp_path / "*.mrc"), pixel_size=1.0)
    widget = EngineWidget(project)
    widget.buttons.start.click()
    widget.buttons._starting.join(60)
    try:
        with project.reader() as reader:
            widget.refresh(reader)
            assert reader.session().engine.alive
        assert "engine on" in html(widget) and widget.buttons.start.layout.display == "none"
    finally:
        widget.buttons.quit.click()
        assert widget.buttons.process.wait(60) == 0


def test_an_engine_that_does_not_start_says_why(wire, project, filled):
    filled.open_engine()
    widget = EngineWidget(project)
    widget.buttons.start.click()
    if widget.buttons._starting:
        widget.buttons._starting.join(60)
    assert "already" in html(widget.buttons)


def test_what_holds_from_the_first_batch_on_is_not_offered_for_new_items(wire, tmp_path, monkeypatch):
    session = SortedSession(tmp_path / "s")
    session.sort()
    woken = []
    monkeypatch.setattr(ProtocolWidget, "wake", lambda self: woken.append(self))
    widget = Project(session.folder).steps["classes"].widget()
    form = widget.parameters
    with Reader(session.folder) as reader:
        widget.refresh(reader)
        assert "batch after that" in form.form._notes["batch"].value
        assert "holds from the first batch on" in form.form._notes["classes"].value
        assert "holds from the first batch on" not in form.form._notes["batch"].value
        form.form.fields["batch"].value = "500"
        assert woken[-1] is widget, "what it costs is said at once"
        widget.refresh(reader)
        assert not form.buttons["new"].disabled
        form.form.fields["classes"].value = "20"
        widget.refresh(reader)
        assert form.buttons["new"].disabled and not form.buttons["branch"].disabled
        assert "classes: classes holds from the first batch on" in html(form)
        form.form.fields["classes"].value = "50"
        widget.refresh(reader)
        assert not form.buttons["new"].disabled and "from the first batch on, so" not in html(form)
    session.close()
