"""`Filters`: which exposures are listed, by words to click and ranges of numbers.

It needs no form controls and changes nothing but the view, so a page that only shows may have it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from traitlets import Dict, Int, List, Unicode

from cryowidgets.store.metrics import METRICS, Metric
from cryowidgets.store.overview import STATES, Overview
from cryowidgets.store.thresholds import Cut
from cryowidgets.widgets import texts
from cryowidgets.widgets.part import Part, esm, finite
from cryowidgets.widgets.sift import MARKS, Sift

_HELP = {
    "marked": "by clicks with Ctrl or Shift, here or in a plot",
    "flagged": "marked by somebody, to be found again",
    "noted": "with a note",
    "within": "done, not rejected, and within the thresholds of the session",
    "outside": "a number is outside of the thresholds of the session",
}
_LABELS = {"within": "within thresholds", "outside": "outside"}
_SHORT = {"astigmatism angle": "angle", "fit resolution": "fit", "counts per frame": "counts"}
BINS = 48
FIRST = ("drift", "defocus", "astigmatism", "resolution", "ice", "quality", "picks")
"""Numbers that are offered at once; the others when asked for."""


class Filters(Part):
    """Shows and changes a `Sift`.

    Parameters
    ----------
    sift : Sift
    changed : callable
        Called after a person changed it; it is to see to it that `refresh` is called soon.
    """

    _esm = esm("slider.js", "filters.js")

    counts = List().tag(sync=True)
    numbers = List().tag(sync=True)
    opened = Dict().tag(sync=True)
    rest = Int(help="numbers that are not offered; -1 where all are").tag(sync=True)
    said = Unicode().tag(sync=True)
    text = Unicode().tag(sync=True)

    def __init__(self, sift: Sift, changed: Callable[[], None]) -> None:
        self.sift, self._changed = sift, changed
        self._key = ""
        self._more = False
        self._done: object = None
        super().__init__()

    def refresh(
        self, overview: Overview, measured: Sequence[str], cut: Cut, marked: int, listed: int, stamp: object
    ) -> None:
        """Count anew.

        Parameters
        ----------
        overview : Overview
        measured : sequence of str
            Keys of the numbers that any exposure has.
        cut : dict
            The session's thresholds.
        marked, listed : int
            How many exposures are.
        stamp : object
            Another one where overview, thresholds, sift or marks are others.
        """
        asked = (stamp, marked, listed, self._key, self._more)
        if asked == self._done:
            return
        self._done = asked
        sift = self.sift
        tally = np.bincount(overview.state, minlength=len(STATES))
        marks = {"marked": marked, "flagged": int(overview.flag.sum()), "noted": len(overview.notes)}
        if cut:
            found = overview.count(cut)
            marks |= {"within": found.accepted, "outside": found.outside}
        counts = [_count("state", s, int(n), s in sift.states) for s, n in zip(STATES, tally, strict=True)]
        counts += [_count("mark", name, n, name in sift.marks) for name, n in marks.items()]
        self._put("counts", [c for c in counts if c["n"] or c["on"]])
        known = [overview.metrics[key] for key in measured]
        offered = [m for m in known if self._more or m.key in FIRST or m.key in (*sift.ranges, self._key)]
        self._put("numbers", [_number(m, *sift.ranges.get(m.key, (None, None))) for m in offered])
        self._put("rest", len(known) - len(offered) if not self._more else -1)
        self._put("opened", self._opened(overview))
        self._put("text", sift.text)
        total = texts.count(len(overview), "exposure")
        self._put("said", total if sift.all else f"{texts.count(listed, 'of', 'of')} {total}")

    def _opened(self, overview: Overview) -> dict:
        metric = overview.metrics.get(self._key)
        if metric is None or not np.isfinite(overview.values[self._key]).any():
            return {}
        edges, counts = overview.histogram(self._key, BINS)
        low, high = self.sift.ranges.get(self._key, (None, None))
        return {
            "key": self._key,
            "label": metric.label,
            "unit": metric.unit,
            "factor": metric.factor,
            "digits": metric.digits,
            "low": float(edges[0]),
            "high": float(edges[-1]),
            "counts": counts.tolist(),
            "from": low,
            "to": high,
        }

    def _put(self, name: str, value: object) -> None:
        """Nothing is sent where nothing changed."""
        if getattr(self, name) != value:
            setattr(self, name, value)

    def _receive(self, message: dict) -> None:
        kind, key = message.get("type"), message.get("key")
        if kind == "toggle" and isinstance(message.get("name"), str):
            self._toggle(message.get("what"), message["name"])
        elif kind == "open" and isinstance(key, str) and key in METRICS:
            self._key = "" if key == self._key else key
        elif kind == "range" and isinstance(key, str) and key in METRICS:
            low, high = _bound(message.get("from")), _bound(message.get("to"))
            self.sift.ranges.pop(key, None)
            if low is not None or high is not None:
                self.sift.ranges[key] = (low, high)
        elif kind == "more":
            self._more = not self._more
        elif kind == "clear":
            self.sift.clear()
        else:
            return
        self._changed()

    def _toggle(self, what: object, name: str) -> None:
        if what == "state" and name in STATES:
            self.sift.states ^= {name}
        elif what == "mark" and name in MARKS:
            self.sift.marks ^= {name}
            both = {"within", "outside"}
            if both <= self.sift.marks:
                self.sift.marks -= both - {name}


def _count(what: str, name: str, n: int, on: bool) -> dict:
    return {"what": what, "name": name, "label": _LABELS.get(name, name), "n": n, "on": on, "help": _HELP.get(name, "")}


def _number(metric: Metric, low: float | None, high: float | None) -> dict:
    label = _SHORT.get(metric.label, metric.label)
    said = ""
    if low is not None or high is not None:
        least = "" if low is None else f"{metric.text(low, unit=False)} ≤ "
        most = "" if high is None else f" ≤ {metric.text(high, unit=False)}"
        said = f"{least}{label}{most} {metric.unit}".rstrip()
    return {"key": metric.key, "label": label, "said": said, "help": f"{metric.label}: {metric.help}"}


def _bound(value: object) -> float | None:
    return float(value) if finite(value) else None  # type: ignore[arg-type]
