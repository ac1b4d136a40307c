"""Words that say what a gain reference is and how it lies: apart from its reader, so that forms stay light."""

from __future__ import annotations

ENDINGS = (".mrc", ".mrcs", ".tif", ".tiff", ".gain", ".dm4", ".dm3")

OPERATIONS = ("auto", "multiply", "divide")

ROTATIONS = (0, 90, 180, 270)
"""Degrees clockwise as seen with the first row on top: RELION's and MotionCor2's 0 to 3 times 90."""

FLIPS = ("none", "up-down", "left-right")
"""Done after the rotation: RELION's and MotionCor2's 0, 1 and 2."""
