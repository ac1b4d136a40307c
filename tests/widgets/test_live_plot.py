"""What a LivePlot sends, and what it makes of what pages say."""

import json

import numpy as np
import pytest
from bokeh.models import ColumnDataSource
from bokeh.plotting import figure

from cryowidgets.widgets.live_plot import LivePlot
from cryowidgets.widgets.server import BOKEH_FILES, BOKEH_VERSION


@pytest.fixture
def plot(wire):
    source = ColumnDataSource({"id": [], "x": [], "name": []})
    f = figure(height=200)
    f.scatter("x", "id", source=source)
    plot = LivePlot(f, source, texts=["name"], keep=10)
    wire.hear(plot, type="need")
    wire.clear()
    return plot


def test_nothing_is_sent_before_a_page_has_asked(wire):
    source = ColumnDataSource({"id": []})
    plot = LivePlot(figure(), source)
    wire.clear()
    plot.stream({"id": [1, 2]})
    plot.select(1)
    assert len(wire) == 0
    wire.hear(plot, type="need")
    assert [m["count"] for m, _ in wire.said(plot, "rows")] == [2]
    assert [m["id"] for m, _ in wire.said(plot, "select")] == [1]


def test_a_page_that_took_long_to_load_is_told_what_changed_meanwhile(wire, plot):
    plot.note = "median 3 Å"
    wire.clear()
    wire.hear(plot, type="new")
    (message,) = [data for _, _, data, _ in type(wire).log()]
    assert message["state"]["note"] == "median 3 Å" and "layout" in message["state"]
    assert not {"_esm", "_css", "_figure"} & set(message["state"]), "what cannot change need not be sent again"


def rows(first, count):
    ids = list(range(first, first + count))
    return {"id": ids, "x": [i / 2 for i in ids], "name": [f"m{i}" for i in ids]}


def numbers(buffers):
    return [np.frombuffer(b).tolist() for b in buffers]


def test_rows_travel_as_binary_and_only_once(wire, plot):
    plot.stream(rows(0, 3))
    plot.stream(rows(3, 2))
    (first, a), (second, b) = wire.said(plot, "rows")
    assert (first["first"], first["count"], first["all"]) == (0, 3, True)
    assert (second["first"], second["count"], second["all"]) == (3, 2, False)
    assert numbers(b) == [[3, 4], [1.5, 2.0]]
    assert second["texts"] == {"name": ["m3", "m4"]}


def test_a_page_that_asks_gets_all_that_is_held(wire, plot):
    plot.stream(rows(0, 25))
    wire.clear()
    wire.hear(plot, type="need")
    ((message, buffers),) = wire.said(plot, "rows")
    assert (message["first"], message["count"], message["all"]) == (15, 10, True)
    assert numbers(buffers)[0] == list(range(15, 25))
    assert plot.rows == 10


def test_no_rows_no_message(wire, plot):
    plot.stream(rows(0, 0))
    assert wire.said(plot) == []


def test_figure_holds_no_rows_and_the_first_rows_are_kept(wire):
    source = ColumnDataSource({"id": [1, 2], "x": [0.1234567, 0.2]})
    f = figure()
    f.scatter("x", "id", source=source)
    plot = LivePlot(f, source)
    assert plot.rows == 2
    assert "0.1234567" not in plot._figure
    assert json.loads(plot._figure)["version"] == BOKEH_VERSION


def test_nothing_that_a_page_says_becomes_state(wire, plot):
    tapped = []
    plot.on_tap(tapped.append)
    plot.stream(rows(0, 3))
    wire.clear()
    hostile = [
        {"type": "tap", "id": "../../etc/passwd"},
        {"type": "tap", "id": 1.5},
        {"type": "tap"},
        {"type": "rows", "rows": rows(9, 9)},
        {"type": None},
        {},
    ]
    for message in hostile:
        wire.hear(plot, **message)
    assert tapped == [] and plot.rows == 3 and len(wire) == 0
    wire.hear(plot, type="tap", id=2)
    assert tapped == [2]


def test_kernel_hands_out_bokeh_itself(wire, plot):
    wire.hear(plot, type="bokeh")
    ((_, buffers),) = wire.said(plot, "bokeh")
    assert bytes(buffers[0]) == (BOKEH_FILES / "bokeh.min.js").read_bytes()


def test_columns_of_different_length_are_refused(wire, plot):
    with pytest.raises(ValueError, match="one length"):
        plot.stream({"id": [1, 2], "x": [1.0], "name": ["a", "b"]})
    assert plot.rows == 0


def test_replaced_rows_are_a_new_epoch(wire, plot):
    plot.stream(rows(0, 3))
    plot.replace(rows(0, 3))
    (old, _), (new, _) = wire.said(plot, "rows")
    assert new["epoch"] == old["epoch"] + 1 and new["all"]
