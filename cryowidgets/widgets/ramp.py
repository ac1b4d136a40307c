"""Colours for a number: one ramp that is as dark or bright as the number, so that hue alone never tells."""

from __future__ import annotations

import numpy as np

STOPS = ("#482878", "#3e4989", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725")
"""From dark to bright: viridis without its darkest tenth, which dark pages swallow (S. van der Walt, N. Smith; CC0)."""


def colour(place: float) -> str:
    """The colour at a place from 0 to 1, as CSS writes it."""
    at = float(np.clip(np.nan_to_num(place), 0, 1)) * (len(STOPS) - 1)
    first = min(int(at), len(STOPS) - 2)
    a, b = (np.array([int(stop[i : i + 2], 16) for i in (1, 3, 5)]) for stop in STOPS[first : first + 2])
    red, green, blue = np.rint(a + (at - first) * (b - a)).astype(int)
    return f"#{red:02x}{green:02x}{blue:02x}"


def gradient(towards: str = "to right", turned: bool = False) -> str:
    """The whole ramp as CSS; `turned` begins with the bright end."""
    return f"linear-gradient({towards}, {', '.join(STOPS[::-1] if turned else STOPS)})"
