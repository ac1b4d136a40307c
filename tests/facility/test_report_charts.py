"""Charts of a report: that they show what they were given, by laws that hold for any values."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryowidgets.facility.report import charts
from cryowidgets.facility.report.axes import Axis, zone

SVG = "{http://www.w3.org/2000/svg}"
numbers = st.floats(-1e6, 1e6, allow_nan=False)


def drawn(svg: str) -> ET.Element:
    return ET.fromstring(str(svg))


def written(svg: str) -> list[str]:
    return [text.text or "" for text in drawn(svg).iter(f"{SVG}text")]


def bars(svg: str) -> list[tuple[float, float, float]]:
    """Left edge, width and height of the columns."""
    found = drawn(svg).iter(f"{SVG}rect")
    return [tuple(float(r.get(k, "0")) for k in ("x", "width", "height")) for r in found]


@given(low=numbers, span=st.floats(1e-6, 1e6), most=st.integers(2, 9))
def test_ticks_lie_on_the_axis_and_are_few(low, span, most):
    axis = Axis("x", low, low + span)
    places = [value for value, _ in axis.ticks(most)]
    assert len(places) <= most + 1
    assert all(low - 1e-6 * span <= place <= low + span * (1 + 1e-6) for place in places)
    assert places == sorted(places)


@given(st.lists(numbers, min_size=1, max_size=60))
def test_a_scale_holds_all_values_but_the_odd_ones(values):
    array = np.array(values)
    axis = Axis.of("x", array)
    assert axis.low < axis.high
    assert axis.low <= np.median(array) <= axis.high
    assert axis.beyond(array) <= max(2, 0.03 * array.size)


def test_one_value_far_out_does_not_press_the_others_into_a_line():
    values = np.append(np.linspace(3, 6, 500), 4000.0)
    axis = Axis.of("resolution", values, "Å", (None, 5.0))
    assert axis.high < 10 and axis.beyond(values) == 1
    assert axis.title == "resolution / Å"


def test_ticks_of_time_are_full_hours_and_days():
    start = 1_700_000_000.0
    hours = Axis.times(start, start + 6 * 3600).ticks(8)
    assert len(hours) == 6 and set(np.diff([at for at, _ in hours])) == {3600.0}
    assert all(re.fullmatch(r"\d\d:00|\d+ [A-Z][a-z]{2}", text) for _, text in hours)
    days = Axis.times(start, start + 4 * 86400).ticks(6)
    assert len(days) >= 3 and np.ptp(np.diff([at for at, _ in days])) == 0
    assert zone(start)


def test_a_line_is_interrupted_where_there_was_nothing():
    time = np.concatenate([np.arange(0, 3000, 60.0), np.arange(9000, 12000, 60.0)])
    value = np.sin(time / 500) + 2
    x, y = Axis.times(0, 12000), Axis.of("drift", value, "Å")
    svg = charts.trend("Drift", x, y, time, value - 1, value, value + 1, gap=600.0)
    lines = [path for path in drawn(svg).iter(f"{SVG}path") if path.get("stroke") == charts.BLUE]
    assert len(lines) == 2 and "in 2 pieces between gaps" in svg
    whole = charts.trend("Drift", x, y, time, value - 1, value, value + 1, gap=1e9)
    assert sum(path.get("stroke") == charts.BLUE for path in drawn(whole).iter(f"{SVG}path")) == 1
    assert "drift / Å" in written(svg)


def test_a_histogram_has_a_bar_for_each_count_and_marks_what_is_out():
    values = np.concatenate([np.full(10, 0.5), np.full(20, 1.5), np.full(5, 3.5)])
    edges = np.arange(6.0)
    counts = np.histogram(values, edges)[0]
    svg = charts.histogram("H", Axis("fit", 0, 5, "Å"), edges, counts, (None, 3.0))
    heights = [height for *_, height in bars(svg)]
    assert len(heights) == 3
    assert heights[1] == pytest.approx(2 * heights[0], abs=0.2) and heights[0] == pytest.approx(2 * heights[2], abs=0.2)
    assert [r.get("fill") for r in drawn(svg).iter(f"{SVG}rect")] == [charts.BLUE, charts.BLUE, charts.PALE]
    assert {"fit / Å", "exposures"} <= set(written(svg)) and "35 exposures" in svg


def test_a_rate_counts_by_the_length_of_a_column():
    edges = np.array([0.0, 3600.0, 7200.0, 9000.0])
    svg = charts.rate("R", Axis.times(0, 9000), edges, np.array([300, 0, 150]), "movies per hour")
    (_, _, first), (_, _, last) = bars(svg)
    assert first == pytest.approx(last, abs=0.2)


def test_a_direction_stands_at_both_its_ends_and_many_become_a_density():
    radius = Axis("astigmatism", 0, 100, "nm")
    svg = charts.polar("P", radius, np.array([50.0, np.nan]), np.array([90.0, 10.0]), 80.0)
    dots = [
        (float(c.get("cx")), float(c.get("cy"))) for c in drawn(svg).iter(f"{SVG}circle") if c.get("fill") != "none"
    ]
    assert sorted(dots) == [pytest.approx((130, 81)), pytest.approx((130, 179))]
    random = np.random.default_rng(1)
    many = charts.polar("P", radius, random.uniform(0, 90, 49_000), random.uniform(0, 180, 49_000))
    assert len(many) < 300_000 and "49000 exposures" in many


def test_parts_of_a_whole_fill_the_bar():
    svg = charts.shares("S", [("a", 30, "#000"), ("b", 0, "#111"), ("c", 10, "#222")])
    (_, first, _), (start, _, _) = bars(svg)
    assert start == pytest.approx(720, abs=0.1) and first == pytest.approx(718.5, abs=0.1)
    assert "a 30 (75.0 %), c 10 (25.0 %)" in svg


def test_whatever_a_name_holds_the_chart_is_xml():
    evil = "<script>&\"'"
    axis = Axis(evil, 0, 1, evil)
    values = np.array([0.1, 0.5])
    time = np.array([0.0, 60.0])
    for svg in (
        charts.trend(evil, Axis.times(0, 60), axis, time, values, values, values, 10),
        charts.lines(evil, Axis.times(0, 60), axis, {evil: (time, values)}, 100),
        charts.histogram(evil, axis, np.array([0.0, 0.5, 1.0]), np.array([1, 2]), of=evil),
        charts.polar(evil, axis, values, values),
        charts.shares(evil, [(evil, 1, "#000")]),
    ):
        root = drawn(svg)
        assert root.find(f"{SVG}title").text == evil and root.get("role") == "img"
        assert not re.search("<script", str(svg))
