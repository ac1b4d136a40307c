"""`LivePlot`: a Bokeh figure that grows while people look at it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from traitlets import Dict, List, Unicode

from cryowidgets.widgets.part import Part, esm, finite
from cryowidgets.widgets.server import BOKEH_FILES, BOKEH_VERSION

if TYPE_CHECKING:
    from bokeh.models import ColumnDataSource, Plot


@dataclass(frozen=True)
class Drawing:
    """A Bokeh figure without its rows, as text: a kernel that has it needs no Bokeh of its own."""

    figure: str
    source: str
    numbers: list[str]
    texts: list[str]


def draw(figure: Plot, source: ColumnDataSource, texts: Sequence[str] = ()) -> Drawing:
    """Turn a figure into text; its rows are taken out of it."""
    from bokeh.embed import json_item

    columns = list(source.data)
    source.name = source.name or "rows"
    source.data = {name: [] for name in columns}
    figure.subscribed_events = {*figure.subscribed_events, "tap", "doubletap", "selectiongeometry"}
    return Drawing(json.dumps(json_item(figure)), source.name, [c for c in columns if c not in texts], list(texts))


class LivePlot(Part):
    """A Bokeh figure whose rows Python may add to, in any number of browser tabs at once.

    The stock Jupyter wrapper of Bokeh keeps the rows in the widget's state and lets the browser answer each change:
    what is streamed before a page connects is lost, and rows come back doubled. Here rows go one way only, as binary
    messages, and a page asks for those that it lacks. A page shows their number in ``data-rows``.

    Parameters
    ----------
    figure : bokeh.models.Plot or Drawing
        All its live glyphs take their columns from `source`.
    source : bokeh.models.ColumnDataSource
        Its columns are what `stream` and `replace` take; what it holds already are the first rows. A column ``id``
        makes rows clickable. A `Drawing` has its own.
    texts : sequence of str
        Columns that hold texts; all others hold numbers (float64).
    keep : int, optional
        How many of the newest rows to hold; all where None.
    empty : str
        What to say while there are no rows.
    title : str
        What stands above the figure.

    Examples
    --------
    >>> from bokeh.models import ColumnDataSource
    >>> from bokeh.plotting import figure
    >>> source = ColumnDataSource({"id": [], "x": [], "y": []})
    >>> f = figure(height=200)
    >>> _ = f.scatter("x", "y", source=source)
    >>> plot = LivePlot(f, source, keep=1000)
    >>> plot.stream({"id": [1, 2], "x": [0.0, 1.0], "y": [3.0, 2.0]})
    >>> plot.rows
    2
    """

    _esm = esm("live_plot.js")
    _fixed = (*Part._fixed, "_figure", "_source", "_bokeh", "_numbers", "_texts")

    title = Unicode().tag(sync=True)
    note = Unicode(help="What stands beside the title").tag(sync=True)
    key = Dict(help="Colour of each thing drawn, by name, where that stands beside the title").tag(sync=True)
    empty = Unicode().tag(sync=True)
    _figure = Unicode().tag(sync=True)
    _source = Unicode().tag(sync=True)
    _bokeh = Unicode().tag(sync=True)
    _numbers = List().tag(sync=True)
    _texts = List().tag(sync=True)

    def __init__(
        self,
        figure: Plot | Drawing,
        source: ColumnDataSource | None = None,
        texts: Sequence[str] = (),
        keep: int | None = None,
        empty: str = "",
        title: str = "",
        note: str = "",
        key: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        start: dict[str, Sequence] = {}
        if not isinstance(figure, Drawing):
            if source is None:
                raise TypeError("LivePlot(figure, source): the source of its live rows is missing")
            start = {name: list(values) for name, values in source.data.items()}
            figure = draw(figure, source, texts)
        names = [*figure.numbers, *figure.texts]
        self._keep = keep
        self._epoch = 0
        self._first = 0  # number of the oldest row held, counted over the whole epoch
        self._tap: list[Callable[[int], None]] = []
        self._range: list[Callable[[float, float, float, float], None]] = []
        self._reset: list[Callable[[], None]] = []
        self._selected: int | None = None
        self._said: dict[str, dict] = {}  # what a page that comes later has to be told as well, by its type
        self._asked = False  # by a page; before that there is nobody to send anything to
        self._columns: dict[str, Any] = _columns({name: start.get(name, []) for name in names}, figure.texts)
        super().__init__(
            empty=empty,
            title=title,
            note=note,
            key=dict(key or {}),
            _figure=figure.figure,
            _source=figure.source,
            _bokeh=BOKEH_VERSION,
            _numbers=figure.numbers,
            _texts=figure.texts,
            **kwargs,
        )

    @property
    def columns(self) -> list[str]:
        """Names of the columns: what `stream` and `replace` take."""
        return list(self._columns)

    @property
    def rows(self) -> int:
        """Number of rows held."""
        return len(next(iter(self._columns.values())))

    def column(self, name: str) -> Any:
        """The values held of a column: an array, or a list of texts."""
        return self._columns[name]

    def stream(self, rows: Mapping[str, Sequence]) -> None:
        """Add rows at the end; one sequence for each column, all of one length."""
        new = _columns({name: rows[name] for name in self._columns}, self._texts)
        count = len(next(iter(new.values())))
        if not count:
            return
        before = self._first + self.rows
        for name, values in new.items():
            old = self._columns[name]
            joined = old + values if isinstance(old, list) else np.concatenate([old, values])
            self._columns[name] = joined[-self._keep :] if self._keep else joined
        self._first = before + count - self.rows
        self._send_rows(max(before, self._first))

    def replace(self, rows: Mapping[str, Sequence]) -> None:
        """Show these rows in place of all that were."""
        new = _columns({name: rows[name] for name in self._columns}, self._texts)
        self._columns = {name: values[-self._keep :] if self._keep else values for name, values in new.items()}
        self._epoch += 1
        self._first = 0
        self._send_rows(0)

    def select(self, id: int | None) -> None:
        """Mark the row with this id, in all pages; none where None."""
        self._selected = id
        if self._asked:
            self.send({"type": "select", "id": id})

    def mark(self, ids: Sequence[int]) -> None:
        """Ring the rows with these ids, in all pages, in place of those that were. Needs a renderer named ``marks``."""
        self._say({"type": "mark", "ids": [int(id) for id in ids]})

    def view(self, start: float, end: float) -> None:
        """Show this range of x, in all pages, instead of what the rows span."""
        self._say({"type": "view", "start": float(start), "end": float(end)})

    def limits(self, low: float | None, high: float | None) -> None:
        """Shade what lies below and above; None where that side is open. Needs boxes named ``below`` and ``above``."""
        self._say({"type": "limits", "low": low, "high": high})

    def on_range(self, call: Callable[[float, float, float, float], None]) -> None:
        """Call with x from, x to, y from, y to of a box that a person drew."""
        self._range.append(call)

    def on_reset(self, call: Callable[[], None]) -> None:
        """Call where a person clicked twice."""
        self._reset.append(call)

    def on_tap(self, call: Callable[[int], None]) -> None:
        """Call with the id of the row nearest to where a person clicked."""
        self._tap.append(call)

    def _receive(self, message: dict) -> None:
        """A page asks; anything unknown is left unanswered."""
        kind = message.get("type")
        if kind == "need":
            self._asked = True
            self._send_rows(self._first)
            self.send({"type": "select", "id": self._selected})
            for message in self._said.values():
                self.send(message)
        elif kind == "bokeh":
            self.send({"type": "bokeh"}, [(BOKEH_FILES / "bokeh.min.js").read_bytes()])
        elif kind == "tap" and type(message.get("id")) is int and 0 <= message["id"] < 2**53:
            for call in self._tap:
                call(message["id"])
        elif kind == "range" and all(finite(message.get(name)) for name in ("x0", "x1", "y0", "y1")):
            for draw in self._range:
                draw(message["x0"], message["x1"], message["y0"], message["y1"])
        elif kind == "reset":
            for reset in self._reset:
                reset()

    def _say(self, message: dict) -> None:
        """Tell all pages, also those that are still to come; nothing is sent where nothing changed."""
        if self._said.get(message["type"]) != message:
            self._said[message["type"]] = message
            if self._asked:
                self.send(message)

    def _send_rows(self, first: int) -> None:
        if not self._asked:
            return
        skip = first - self._first
        columns = {name: values[skip:] for name, values in self._columns.items()}
        message = {
            "type": "rows",
            "epoch": self._epoch,
            "first": first,
            "count": self.rows - skip,
            "all": skip == 0,
            "keep": self._keep,
            "texts": {name: columns[name] for name in self._texts},
        }
        self.send(message, [columns[name].tobytes() for name in self._numbers])


def _columns(rows: Mapping[str, Sequence], texts: Sequence[str]) -> dict[str, Any]:
    columns = {n: list(map(str, v)) if n in texts else np.asarray(v, dtype=np.float64) for n, v in rows.items()}
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"columns of one table have one length, not {lengths}")
    return columns
