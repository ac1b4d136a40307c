"""The part of the table for the import of movies."""

from __future__ import annotations

import os
from typing import Any

from cryowidgets.protocols import durations
from cryowidgets.workflow.scipion_rules import (
    About,
    Counterpart,
    Rule,
    Values,
    file,
    lasting,
    neat,
    number,
    same,
    spelled,
    truth,
    whole,
)


def _movie_files() -> Rule:
    """Where the movies are: folder and pattern, of which `#` stands for a digit."""

    def read(values: Values, about: About) -> dict[str, Any]:
        folder, pattern = (str(values[name] or "").strip() for name in ("filesPath", "filesPattern"))
        if not (folder or pattern):
            return {}
        found = os.path.expanduser(os.path.join(folder, pattern)).replace("$", "").replace("#", "?")
        if not os.path.isabs(found):
            if about.folder is None:
                raise ValueError(f"{found!r} is no path from the root")
            found = str(about.folder / found)
        found = os.path.normpath(found)
        return {"pattern": os.path.join(found, "*") if os.path.isdir(found) else found}

    def write(values: Values, about: About) -> dict[str, Any]:
        folder, name = os.path.split(values["pattern"])
        return {"filesPath": folder, "filesPattern": name}

    return Rule({"filesPath": "", "filesPattern": ""}, ("pattern",), read, write)


def _pixel_size() -> Rule:
    """Pixel size: as such, or by that of a scanner or camera (µm) and the magnification."""

    def read(values: Values, about: About) -> dict[str, Any]:
        if whole(values["samplingRateMode"]) == 0:
            return {"pixel_size": number(values["samplingRate"])}
        magnification = number(values["magnification"])
        if not magnification > 0:
            raise ValueError("a magnification is needed for scannedPixelSize")
        return {"pixel_size": neat(1e4 * number(values["scannedPixelSize"]) / magnification)}

    def write(values: Values, about: About) -> dict[str, Any]:
        return {"samplingRateMode": 0, "samplingRate": values["pixel_size"]} if values["pixel_size"] else {}

    theirs = {"samplingRateMode": 0, "samplingRate": 1.0, "magnification": 50000, "scannedPixelSize": 7.0}
    return Rule(theirs, ("pixel_size",), read, write)


def _stream() -> Rule:
    """How long to wait for new movies. What is not a stream takes what is there: here it closes after a minute."""

    def read(values: Values, about: About) -> dict[str, Any]:
        if not truth(values["dataStreaming"]):
            return {"timeout": 60.0}
        return {"timeout": durations.seconds(values["timeout"])}

    def write(values: Values, about: About) -> dict[str, Any]:
        return {"dataStreaming": True, "timeout": spelled(values["timeout"])}

    return Rule({"dataStreaming": False, "timeout": "12h"}, ("timeout",), read, write)


_LENS = (
    same("voltage", "voltage", 300.0),
    same("sphericalAberration", "cs", 2.7),
    same("amplitudeContrast", "amplitude_contrast", 0.1),
)

IMPORT = Counterpart(
    ("ProtImportMovies",),
    "ImportMovies",
    rules=(
        _movie_files(),
        _pixel_size(),
        *_LENS,
        same("dosePerFrame", "dose_per_frame", None, float, 0.0),
        same("doseInitial", "pre_exposure", 0.0),
        file("gainFile", "gain"),
        _stream(),
        lasting("fileTimeout", "file_timeout", "30"),
        same("copyFiles", "copy", False),
    ),
    idle={
        "importFrom": 0,
        "haveDataBeenPhaseFlipped": False,
        "darkFile": None,
        "moviesToExclude": None,
        "blacklistSet": None,
        "blacklistDateFrom": None,
        "blacklistDateTo": None,
        "useRegexps": True,
        "blacklistFile": None,
        "inputIndividualFrames": False,
        "numberOfIndividualFrames": None,
        "stackFrames": False,
        "writeMoviesInProject": False,
        "movieSuffix": "_frames.mrcs",
        "deleteFrames": False,
    },
)
