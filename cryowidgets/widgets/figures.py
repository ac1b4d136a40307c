"""The live plots of a session, each ready to be filled with rows of the ledger.

A kernel that finds them drawn already, in the file that the environment variable ``CRYOWIDGETS_DRAWINGS`` names, does
without Bokeh: 20 MB and 2 s of its start. The page server draws them once for all its viewers.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from cryowidgets.widgets import texts
from cryowidgets.widgets.colours import ORANGE, TEAL
from cryowidgets.widgets.live_plot import Drawing, LivePlot

KEEP = 2000
"""Points of a live plot: more than that, and each redraw takes a browser without a GPU 0.1 s and longer."""

WAITING = "waiting for the first movie…"
_NO_CTF = "waiting for the first CTF…"
_NO_GAIN = "waiting for the first movies…"
_NO_ENGINE = "no engine has run yet"


def drift() -> LivePlot:
    """Whole-frame drift of each movie in Å: total, early, late."""
    return LivePlot(_drawing("drift"), keep=KEEP, empty=WAITING, title="Drift")


def defocus() -> LivePlot:
    """Defocus U and V of each micrograph in µm, underfocus positive."""
    return LivePlot(_drawing("defocus"), keep=KEEP, empty=_NO_CTF, title="Defocus")


def astigmatism() -> LivePlot:
    """Astigmatism of each micrograph, U − V in nm."""
    return LivePlot(_drawing("astigmatism"), keep=KEEP, empty=_NO_CTF, title="Astigmatism")


def resolution() -> LivePlot:
    """Resolution to which the CTF fit agrees with the spectrum, Å; lower is better."""
    return LivePlot(_drawing("resolution"), keep=KEEP, empty=_NO_CTF, title="CTF fits to")


def series(title: str, empty: str, parts: bool = False) -> LivePlot:
    """A number against time, as points or bins; with `parts` early and late drift beside it."""
    drawing, key = ("series_of_drift", {"early": ORANGE, "late": TEAL}) if parts else ("series", None)
    return LivePlot(_drawing(drawing), keep=KEEP, empty=empty, title=title, key=key)


def per_micrograph() -> LivePlot:
    """Picks and particles of each micrograph against time."""
    empty = "waiting for the first picks…"
    return LivePlot(_drawing("per_micrograph"), keep=2 * KEEP, empty=empty, title="Per micrograph")


def polar() -> LivePlot:
    """Astigmatism in nm by its direction; as a vector of twice the angle, so that 0° and 180° are one."""
    return LivePlot(_drawing("polar"), keep=KEEP, empty=_NO_CTF, title="Astigmatism", note="nm, by direction")


def quality() -> LivePlot:
    """Score of each exposure, from 0 to 1; what it is made of under the mouse."""
    return LivePlot(_drawing("quality"), keep=KEEP, empty="waiting for the first score…", title="Quality")


def gain_ratios() -> LivePlot:
    """How wide the gain by the movies is spread about the gain in use: percentiles, and its largest value."""
    return LivePlot(_drawing("gain_ratios"), keep=KEEP, empty=_NO_GAIN, title="Spread")


def gain_deviation() -> LivePlot:
    """Standard deviation of the gain by the movies over the gain in use, and the error to be expected of it, %."""
    return LivePlot(_drawing("gain_deviation"), keep=KEEP, empty=_NO_GAIN, title="Standard deviation")


def machine() -> LivePlot:
    """Load of the processing machine in percent: CPU, memory, and GPUs where there are any."""
    return LivePlot(_drawing("machine"), keep=KEEP, empty=_NO_ENGINE, title="Load")


def disk() -> LivePlot:
    """What the processing machine reads and writes, MB/s."""
    return LivePlot(_drawing("disk"), keep=KEEP, empty=_NO_ENGINE, title="Disk")


def tasks() -> LivePlot:
    """Workers, tasks under way and tasks that wait."""
    return LivePlot(_drawing("tasks"), keep=KEEP, empty=_NO_ENGINE, title="Tasks")


def trajectory() -> LivePlot:
    """Path of the whole frame during one movie, in px of the movie; the first frame is ringed."""
    return LivePlot(_drawing("trajectory"), empty="no trajectory", title="Path of the frame", note="px")


def spectrum_curve() -> LivePlot:
    """Rotational average of a spectrum and the fit, against frequency in 1/Å."""
    return LivePlot(_drawing("spectrum_curve"), empty="no fit", title="Fit", note="against 1/Å")


RECENT = 50
_NOTES = {
    "score": (2, ""),
    "motion_total": (1, "Å"),
    "defocus_u": (2, "µm"),
    "astigmatism": (0, "nm"),
    "fit_resolution": (1, "Å"),
}


def note(plot: LivePlot) -> str:
    """What a plot's newest points come to, for those who cannot read an axis from across the hall."""
    column = next((name for name in _NOTES if name in plot.columns), None)
    values = plot.column(column)[-RECENT:] if column else np.zeros(0)
    values = values[np.isfinite(values)]
    if not len(values):
        return ""
    digits, unit = _NOTES[column]
    recent = f"the last {len(values)}" if len(values) == RECENT else f"all {len(values)}"
    return f"median of {recent}: {texts.number(float(np.median(values)), digits, unit)}"


def rows(plot: LivePlot, found: Mapping[str, Any], time: str = "acquired") -> dict[str, Any]:
    """Rows of the ledger as a figure's columns: id is the exposure, times are local, defocus in µm, errors in %."""
    made: dict[str, Any] = {}
    for column in plot.columns:
        if column == "time":
            made[column] = texts.plot_times(found[time])
        elif column == "id":
            made[column] = found["exposure"] if "exposure" in found else found["id"]
        elif column in ("defocus_u", "defocus_v"):
            made[column] = np.asarray(found[column]) * 1e-4
        elif column == "astigmatism" and "score" not in plot.columns:  # beside a score it is a part of it, 0 to 1
            made[column] = np.asarray(found[column]) * 0.1
        elif column in ("deviation", "error"):
            made[column] = np.asarray(found[column]) * 100
        else:
            made[column] = found[column]
    return made


@cache
def _drawing(name: str) -> Drawing:
    file = os.environ.get("CRYOWIDGETS_DRAWINGS")
    if file:
        return Drawing(**json.loads(Path(file).read_text())[name])
    from cryowidgets.widgets import drawings

    return drawings.ALL[name]()
