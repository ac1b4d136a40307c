"""The figures of a session: what is drawn, in which units and colours. `figures` hands them out as live plots."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bokeh.models import (
    BoxAnnotation,
    BoxSelectTool,
    BoxZoomTool,
    CDSView,
    ColumnDataSource,
    DataRange1d,
    DatetimeTickFormatter,
    HoverTool,
    IndexFilter,
    Legend,
    LegendItem,
    Range1d,
    Scatter,
)
from bokeh.plotting import figure

from cryowidgets.widgets.colours import BLUE, GREY, MARK, ORANGE, PURPLE, RED, TEAL
from cryowidgets.widgets.live_plot import Drawing, draw

_ASTIGMATISM = ("astigmatism", "@astigmatism{0} nm at @angle{0}°")


def drift() -> Drawing:
    f, source = _against_time("Å", ["motion_total", "motion_early", "motion_late"], from_zero=True)
    total = _points(f, source, "motion_total", BLUE, 6)
    early = _points(f, source, "motion_early", ORANGE, 4)
    late = _points(f, source, "motion_late", TEAL, 4)
    _legend(f, {"total": total, "early (first 4 e/Å²)": early, "late": late})
    names = {"total": "motion_total", "early": "motion_early", "late": "motion_late"}
    _hover(f, [total], [(name, f"@{column}{{0.0}} Å") for name, column in names.items()])
    return draw(f, source, ["name"])


def defocus() -> Drawing:
    f, source = _against_time("µm", ["defocus_u", "defocus_v", "astigmatism", "angle"])
    f.segment("time", "defocus_v", "time", "defocus_u", source=source, line_color=GREY, line_width=1)
    v = _points(f, source, "defocus_v", TEAL, 5)
    u = _points(f, source, "defocus_u", BLUE, 5)
    _legend(f, {"U": u, "V": v})
    _hover(f, [u, v], [("U", "@defocus_u{0.000} µm"), ("V", "@defocus_v{0.000} µm"), _ASTIGMATISM])
    return draw(f, source, ["name"])


def astigmatism() -> Drawing:
    f, source = _against_time("nm", ["astigmatism", "angle"], from_zero=True)
    points = _points(f, source, "astigmatism", PURPLE, 5)
    _hover(f, [points], [_ASTIGMATISM])
    return draw(f, source, ["name"])


def resolution() -> Drawing:
    f, source = _against_time("Å", ["fit_resolution"])
    points = _points(f, source, "fit_resolution", ORANGE, 5)
    _hover(f, [points], [("fit to", "@fit_resolution{0.0} Å")])
    return draw(f, source, ["name"])


def series() -> Drawing:
    """One number against time: points, or bins with their least and largest value."""
    return _series([])


def series_of_drift() -> Drawing:
    """The same with two parts of the number beside it."""
    return _series(["early", "late"])


def per_micrograph() -> Drawing:
    """Picks and particles of each micrograph; a row has one of the two."""
    f, source = _against_time("", ["picks", "particles"], from_zero=True)
    picks, particles = _points(f, source, "picks", BLUE, 5), _points(f, source, "particles", ORANGE, 4)
    _legend(f, {"picks": picks, "particles cut out": particles})
    _hover(f, [picks], [("picks", "@picks")])
    _hover(f, [particles], [("particles", "@particles")])
    return draw(f, source, ["name"])


def polar() -> Drawing:
    """Astigmatism as a vector of twice its angle, so that 0° and 180° are one."""
    numbers, words = ["id", "x", "y", "ring"], ["colour", "name", "label"]
    source = ColumnDataSource({column: [] for column in [*numbers, *words]})
    f = _figure("", "", match_aspect=True)
    f.x_range.range_padding = f.y_range.range_padding = 0.12
    f.axis.visible = False
    f.grid.visible = False
    f.min_border = 4
    f.min_border_left = 4
    f.scatter([0], [0], marker="cross", size=9, line_color=GREY)
    rings = f.circle(0, 0, radius="ring", source=source, fill_color=None, line_color=GREY, line_alpha=0.5)
    labels = f.text(
        0, "ring", "label", source=source, text_font_size="10px", text_color=GREY, text_align="center", y_offset=-2
    )
    for drawn in (rings, labels):
        drawn.nonselection_glyph = drawn.selection_glyph = drawn.glyph
    points = f.scatter("x", "y", source=source, size=4, fill_color="colour", line_color=None, fill_alpha=0.7)
    points.nonselection_glyph = points.glyph
    points.selection_glyph = Scatter(x="x", y="y", size=10, fill_color="colour", line_color=RED, line_width=2)
    _marks(f, source, "x", "y")
    _hover(f, [points], [])
    f.toolbar.tools = [tool for tool in f.toolbar.tools if isinstance(tool, HoverTool)]
    return draw(f, source, words)


def quality() -> Drawing:
    parts = ["fit", "astigmatism", "ice", "carbon", "thickness", "drift", "late", "local", "alignment"]
    f, source = _against_time("", ["score", *parts])
    source.data["worst"] = []
    f.y_range = Range1d(0, 1.05)
    points = _points(f, source, "score", TEAL, 5)
    _hover(
        f, [points], [("score", "@score{0.00}"), ("least", "@worst"), *((part, f"@{part}{{0.00}}") for part in parts)]
    )
    return draw(f, source, ["name", "worst"])


def gain_ratios() -> Drawing:
    f, source = _against_time("", ["width", "peak", "movies"], name=False)
    width = _points(f, source, "width", BLUE, 6)
    peak = _points(f, source, "peak", ORANGE, 6)
    _legend(f, {"p97.5 / p2.5": width, "max / p97.5": peak})
    _hover(
        f,
        [width, peak],
        [("p97.5 / p2.5", "@width{0.000}"), ("max / p97.5", "@peak{0.000}"), ("movies", "@movies{0}")],
    )
    return draw(f, source)


def gain_deviation() -> Drawing:
    f, source = _against_time("%", ["deviation", "error", "movies"], from_zero=True, name=False)
    deviation = _points(f, source, "deviation", TEAL, 6)
    error = _points(f, source, "error", GREY, 4)
    _legend(f, {"standard deviation": deviation, "expected error": error})
    names = {"standard deviation": "deviation", "expected error": "error"}
    shown = [(name, f"@{column}{{0.00}} %") for name, column in names.items()]
    _hover(f, [deviation, error], [*shown, ("movies", "@movies{0}")])
    return draw(f, source)


def machine() -> Drawing:
    names = {"cpu": "CPU", "memory": "memory", "gpu": "GPU", "gpu_memory": "GPU memory"}
    colours = {"cpu": BLUE, "memory": TEAL, "gpu": ORANGE, "gpu_memory": PURPLE}
    f, source = _against_time("%", list(names), from_zero=True, name=False)
    f.y_range = Range1d(0, 105)
    _legend(f, {name: _line(f, source, column, colours[column]) for column, name in names.items()})
    f.xaxis.ticker.desired_num_ticks = 3
    return draw(f, source)


def disk() -> Drawing:
    f, source = _against_time("MB/s", ["disk_read", "disk_write"], from_zero=True, name=False)
    _legend(f, {"read": _line(f, source, "disk_read", BLUE), "written": _line(f, source, "disk_write", ORANGE)})
    f.xaxis.ticker.desired_num_ticks = 3
    return draw(f, source)


def tasks() -> Drawing:
    f, source = _against_time("", ["workers", "running", "queue"], from_zero=True, name=False)
    lines = {
        "waiting": _line(f, source, "queue", GREY),
        "running": _line(f, source, "running", TEAL),
        "workers": _line(f, source, "workers", BLUE, "dashed"),
    }
    f.yaxis.ticker.min_interval = 1
    _legend(f, lines)
    f.xaxis.ticker.desired_num_ticks = 3
    return draw(f, source)


def trajectory() -> Drawing:
    source = ColumnDataSource({"x": [], "y": [], "frame": []})
    f = _figure("", "", match_aspect=True)
    f.x_range.range_padding = f.y_range.range_padding = 0.35
    f.x_range.default_span = f.y_range.default_span = 1.0
    f.line("x", "y", source=source, line_color=BLUE, line_width=1.5)
    points = f.scatter("x", "y", source=source, size=5, color=BLUE)
    f.scatter([0], [0], size=13, fill_color=None, line_color=ORANGE, line_width=2)
    _hover(f, [points], [("frame", "@frame"), ("x, y", "@x{0.00}, @y{0.00} px")])
    return draw(f, source)


def spectrum_curve() -> Drawing:
    source = ColumnDataSource({"frequency": [], "observed": [], "fitted": [], "agreement": []})
    f = _figure("", "")
    f.y_range = Range1d(-0.6, 1.15)
    lines = {
        "observed": _line(f, source, "observed", GREY, x="frequency"),
        "fitted": _line(f, source, "fitted", ORANGE, x="frequency"),
        "agreement": _line(f, source, "agreement", TEAL, x="frequency"),
    }
    _legend(f, lines)
    f.add_tools(HoverTool(renderers=[lines["fitted"]], mode="vline", tooltips=[("at", "@frequency{0.000} 1/Å")]))
    return draw(f, source)


ALL: dict[str, Callable[[], Drawing]] = {
    make.__name__: make
    for make in (
        drift,
        defocus,
        astigmatism,
        resolution,
        series,
        series_of_drift,
        per_micrograph,
        polar,
        quality,
        gain_ratios,
        gain_deviation,
        machine,
        disk,
        tasks,
        trajectory,
        spectrum_curve,
    )
}


def write(file: Path) -> None:
    """All drawings as JSON, for kernels that shall stay small."""
    file.write_text(json.dumps({name: asdict(make()) for name, make in ALL.items()}))


def _series(extras: list[str]) -> Drawing:
    numbers = ["value", "low", "high", "width", *extras]
    f, source = _against_time("", numbers)
    source.data = {**source.data, "colour": []}
    f.x_range = Range1d(0, 1)
    f.min_border_left = 40
    f.yaxis.ticker.desired_num_ticks = 3
    bars = f.vbar("time", "width", "high", "low", source=source, fill_color="colour", line_color=None, fill_alpha=0.3)
    bars.nonselection_glyph = bars.selection_glyph = bars.glyph
    others = [_points(f, source, name, colour, 3) for name, colour in zip(extras, (ORANGE, TEAL), strict=False)]
    points = _points(f, source, "value", "colour", 5)
    _marks(f, source, "time", "value")
    f.y_range.renderers = [bars, *others, points]
    for name in ("below", "above"):
        f.add_layout(
            BoxAnnotation(
                name=name, visible=False, fill_color=GREY, fill_alpha=0.16, line_color=GREY, line_dash="dashed"
            )
        )
    f.toolbar.tools = [BoxSelectTool(renderers=[], persistent=False)]
    _hover(f, [points], [("", "@value{0.[00]}")])
    return draw(f, source, ["name", "colour"])


def _marks(f: figure, source: ColumnDataSource, x: str, y: str) -> Any:
    """Marks on some of the rows, none at first; `LivePlot.mark` says which."""
    marks = f.scatter(
        x,
        y,
        source=source,
        view=CDSView(filter=IndexFilter([])),
        size=7,
        fill_color=MARK,
        fill_alpha=0.35,
        line_color=MARK,
        line_width=1,
        name="marks",
    )
    marks.nonselection_glyph = marks.selection_glyph = marks.glyph
    return marks


def _figure(x_label: str, y_label: str, **keys: Any) -> figure:
    f = figure(
        sizing_mode="stretch_both",
        height=150,
        min_border_left=46,
        toolbar_location=None,
        tools=[BoxZoomTool()],
        background_fill_color=None,
        border_fill_color=None,
        outline_line_color=None,
        output_backend="canvas",
        x_axis_label=x_label or None,
        y_axis_label=y_label or None,
        lod_threshold=None,
        **keys,
    )
    f.xgrid.grid_line_color = None
    f.ygrid.grid_line_alpha = 0.6
    f.axis.axis_label_text_font_style = "normal"
    f.axis.axis_label_text_font_size = f.axis.major_label_text_font_size = "11px"
    f.axis.minor_tick_line_color = None
    f.axis.major_tick_in = 0
    f.yaxis.axis_line_color = None
    return f


def _against_time(
    unit: str, columns: list[str], from_zero: bool = False, name: bool = True
) -> tuple[figure, ColumnDataSource]:
    source = ColumnDataSource({"id": [], "time": [], **{c: [] for c in columns}, **({"name": []} if name else {})})
    f = _figure("", unit, x_axis_type="datetime")
    f.x_range = DataRange1d(default_span=600e3, range_padding=0.04)
    f.y_range = DataRange1d(default_span=1.0, **({"start": 0} if from_zero else {}))
    same = {unit: "%H:%M:%S" for unit in ("milliseconds", "seconds", "minsec", "microseconds")}
    f.xaxis.formatter = DatetimeTickFormatter(**same, minutes="%H:%M", hourmin="%H:%M", hours="%H:%M", days="%d %b")
    f.xaxis.ticker.desired_num_ticks = 5
    f.yaxis.ticker.desired_num_ticks = 4
    f.toolbar.tools = [BoxZoomTool(dimensions="width")]
    return f, source


def _points(f: figure, source: ColumnDataSource, column: str, colour: str, size: int) -> Any:
    points = f.scatter("time", column, source=source, size=size, fill_color=colour, line_color=None, fill_alpha=0.8)
    points.nonselection_glyph = points.glyph
    points.selection_glyph = Scatter(
        x="time", y=column, size=size + 6, fill_color=colour, line_color=RED, line_width=2, fill_alpha=1.0
    )
    return points


def _line(f: figure, source: ColumnDataSource, column: str, colour: str, dash: str = "solid", x: str = "time") -> Any:
    line = f.line(x, column, source=source, line_color=colour, line_width=1.5, line_dash=dash)
    line.nonselection_glyph = line.glyph
    return line


def _legend(f: figure, items: Mapping[str, Any]) -> None:
    legend = Legend(
        items=[LegendItem(label=label, renderers=[renderer]) for label, renderer in items.items()],
        orientation="horizontal",
        location="top_right",
        border_line_color=None,
        background_fill_alpha=0.0,
        label_text_font_size="11px",
        glyph_width=14,
        glyph_height=14,
        label_height=14,
        spacing=10,
        padding=0,
        margin=0,
    )
    f.add_layout(legend, "above")


def _hover(f: figure, renderers: list, tooltips: list[tuple[str, str]]) -> None:
    name = [("", "@name")] if "name" in renderers[0].data_source.data else []
    f.add_tools(HoverTool(renderers=renderers, tooltips=[*name, *tooltips], point_policy="snap_to_data"))
