"""Numbers and times as people read them."""

import math
import time

import numpy as np
import pytest

from cryowidgets.widgets import texts


def test_lengths_in_the_units_of_people():
    assert texts.micrometres(12345.0) == "1.23 µm"
    assert texts.nanometres(254.0) == "25 nm"
    assert texts.number(8.25, 1, "Å") == "8.2 Å"
    assert texts.number(math.nan, 1, "Å") == texts.number(None) == texts.NONE


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (45, "45 s"), (200, "3 min 20 s"), (7500, "2 h 5 min"), (3600, "1 h"), (4.12 * 86400, "4 d 2 h")],
)
def test_durations(seconds, text):
    assert texts.duration(seconds) == text


def test_plot_times_show_the_clock_of_this_host(monkeypatch):
    try:
        with monkeypatch.context() as m:
            m.setenv("TZ", "Asia/Kolkata")  # 5 h 30 min before UTC, all year
            time.tzset()
            shown = texts.plot_times([1_700_000_000.0, math.nan])
            assert shown[0] == 1e3 * (1_700_000_000.0 + 5.5 * 3600) and np.isnan(shown[1])
            assert texts.clock(1_700_000_000.0, date=True) == "2023-11-15 03:43:20"
    finally:
        time.tzset()


def test_names_and_errors_cannot_bring_html():
    assert texts.safe("<img src=x onerror='steal()'>") == "&lt;img src=x onerror=&#x27;steal()&#x27;&gt;"
