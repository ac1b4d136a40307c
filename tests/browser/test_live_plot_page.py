"""LivePlot in a real Chromium: rows arrive once, all, and everywhere."""

import pytest
from bokeh.models import ColumnDataSource
from bokeh.plotting import figure

from cryowidgets.widgets.live_plot import LivePlot

pytestmark = pytest.mark.browser

DATA = """(view) => Object.fromEntries(Object.entries(
  Bokeh.documents[view].get_model_by_name("rows").data).map(([k, v]) => [k, Array.from(v)]))"""
SELECTED = "(view) => Array.from(Bokeh.documents[view].get_model_by_name('rows').selected.indices)"


@pytest.fixture
def plot(comms):
    source = ColumnDataSource({"id": [], "x": [], "y": [], "name": []})
    f = figure(sizing_mode="stretch_both", toolbar_location=None, tools="", x_range=(0, 100), y_range=(0, 10))
    f.scatter("x", "y", source=source, size=8)
    return LivePlot(f, source, texts=["name"], keep=50, empty="waiting for the first row…")


def rows(first, count):
    ids = list(range(first, first + count))
    return {"id": ids, "x": ids, "y": [i % 7 for i in ids], "name": [f"movie {i}" for i in ids]}


def has(count, name="view"):
    return f"document.getElementById('{name}').dataset.rows === '{count}'"


def test_rows_reach_page_that_comes_late(stage, plot):
    plot.stream(rows(0, 20))
    s = stage()
    s.draw(plot)
    s.settle(has(20))
    plot.stream(rows(20, 5))
    s.settle(has(25))
    shown = s.page.evaluate(DATA, 0)
    assert shown["id"] == list(range(25))
    assert shown["name"] == [f"movie {i}" for i in range(25)]
    assert plot.rows == 25, "nothing of what the page does comes back as rows"
    assert s.errors == []


def test_window_rolls_alike_in_python_and_in_all_views(stage, plot):
    s = stage()
    s.draw(plot, "one")
    plot.stream(rows(0, 40))
    s.settle(has(40, "one"))
    s.draw(plot, "two")
    for first in (40, 47):
        plot.stream(rows(first, 7))
    s.settle(has(50, "one") + " && " + has(50, "two"))
    for view in (0, 1):
        assert s.page.evaluate(DATA, view)["id"] == list(range(4, 54))
    plot.stream(rows(54, 500))
    s.settle()
    assert s.page.evaluate(DATA, 0) == s.page.evaluate(DATA, 1)
    assert s.page.evaluate(DATA, 0)["id"] == list(range(504, 554))


def test_lost_message_is_noticed_and_made_good(stage, plot, comms):
    s = stage()
    s.draw(plot)
    plot.stream(rows(0, 3))
    s.settle(has(3))
    plot.stream(rows(3, 3))
    comms.clear()  # the connection was down
    plot.stream(rows(6, 3))
    s.settle(has(9))
    assert s.page.evaluate(DATA, 0)["id"] == list(range(9))


def test_replace_begins_anew_even_for_the_same_number_of_rows(stage, plot):
    s = stage()
    s.draw(plot)
    plot.stream(rows(0, 5))
    s.settle(has(5))
    plot.replace(rows(10, 5))
    s.settle()
    assert s.page.evaluate(DATA, 0)["id"] == list(range(10, 15))
    plot.replace(rows(0, 0))
    s.settle(has(0))
    assert s.page.inner_text("#view .cw-plot-empty") == "waiting for the first row…"


def test_click_near_a_point_names_its_row(stage, plot):
    s = stage()
    s.draw(plot)
    tapped = []
    plot.on_tap(tapped.append)
    plot.stream({"id": [7, 8], "x": [20, 80], "y": [5, 5], "name": ["a", "b"]})
    s.settle(has(2))
    box = s.page.evaluate(
        """() => { const v = Bokeh.index.roots[0]; const at = v.el.getBoundingClientRect();
        return [at.left + v.frame.x_scale.compute(80), at.top + v.frame.y_scale.compute(5)]; }"""
    )
    s.page.mouse.click(box[0] + 9, box[1] + 9)
    s.page.wait_for_timeout(600)
    s.settle()
    assert tapped == [8]
    s.page.mouse.click(box[0] - 150, box[1] - 60)
    s.page.wait_for_timeout(600)
    s.settle()
    assert tapped == [8], "far from all points a click means none"


def test_selection_holds_while_rows_come_and_go(stage, plot):
    s = stage()
    s.draw(plot)
    plot.stream(rows(0, 50))
    plot.select(30)
    s.settle(has(50))
    assert s.page.evaluate(SELECTED, 0) == [30]
    plot.stream(rows(50, 10))
    s.settle()
    assert s.page.evaluate(SELECTED, 0) == [20], "the same row, at another place"
    s.draw(plot, "late")
    s.settle(has(50, "late"))
    assert s.page.evaluate(SELECTED, 1) == [20]
    plot.select(None)
    s.settle()
    assert s.page.evaluate(SELECTED, 0) == s.page.evaluate(SELECTED, 1) == []


def test_bokeh_comes_from_the_server_or_through_the_kernel_and_never_from_elsewhere(stage, plot, bare_server):
    plot.stream(rows(0, 3))
    near, far = stage(), stage("/foreign")
    near.draw(plot)
    near.settle(has(3))
    file = f"{bare_server}/cryowidgets/static/bokeh/bokeh.min.js?v={plot._bokeh}"
    assert [u for u in near.requests if "bokeh" in u] == [file]
    far.draw(plot)
    far.settle(has(3))
    for url in near.requests + far.requests:
        assert url.startswith((bare_server, "blob:", "data:")), url


def test_route_refuses_other_files_and_other_versions(bare_server):
    from urllib.error import HTTPError
    from urllib.request import urlopen

    for path in ("bokeh-gl.min.js", "../../../LICENSE.txt", "bokeh.min.js?v=0.1"):
        with pytest.raises(HTTPError, match="404") as refused:
            urlopen(f"{bare_server}/cryowidgets/static/bokeh/{path}")
        refused.value.close()


def test_plot_stretches_and_takes_the_colours_of_the_page(stage, plot):
    s = stage(viewport={"width": 800, "height": 600})
    s.draw(plot, style="width:90vw;height:40vh")
    plot.stream(rows(0, 3))
    s.settle(has(3))
    width = "document.querySelector('#view .cw-plot-figure').firstElementChild.getBoundingClientRect().width"
    assert s.page.evaluate(width) == pytest.approx(720, abs=2)
    s.page.set_viewport_size({"width": 1600, "height": 900})
    s.settle(f"{width} > 1430")
    s.page.evaluate("document.body.style.setProperty('--cw-soft', 'rgb(1, 2, 3)'); document.body.classList.add('dark')")
    s.settle("Bokeh.documents[0].roots()[0].below[0].major_label_text_color === 'rgb(1, 2, 3)'")


def test_closed_view_leaves_nothing_behind(stage, plot):
    s = stage()
    s.draw(plot, "one")
    s.draw(plot, "two")
    plot.stream(rows(0, 3))
    s.settle(has(3, "one"))
    s.page.evaluate("drop('one')")
    plot.stream(rows(3, 3))
    s.settle(has(6, "two"))
    assert s.page.evaluate("Bokeh.documents.length") == 1
    assert s.errors == []
