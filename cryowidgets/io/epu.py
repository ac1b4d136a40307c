"""The XML files that EPU writes beside a movie.

``…_HHMMSS.xml`` is a MicroscopeImage, the settings of the microscope and of the preview; ``…_Fractions.xml`` is the
camera's list of what it recorded. Lengths are metres, exposures electrons per m², voltages volts.
"""

from __future__ import annotations

import math
import re
from datetime import datetime
from xml.etree import ElementTree

from cryowidgets.io.metadata import Metadata
from cryowidgets.model import NAN

SHIFT_UNIT = 0.01
"""In EPU's unit of beam shift, some 25 µm: shots within a hole are twice as far apart, repeats half as far."""


def parse(content: bytes, name: str) -> Metadata:
    """Read one of EPU's XML files.

    A damaged or truncated one is read up to the damage, and `Metadata.warnings` tells of it by `name`.

    Parameters
    ----------
    content : bytes
        Of the file.
    name : str
        Of the file, for the warnings.
    """
    root, fault = _tree(content)
    if root is None:
        return Metadata(warnings=(f"{name} is not a readable XML file: {fault}.",))
    found = _fractions(root) if root.tag == "Acquisition" else _image(root)
    if not fault:
        return found
    return found.completed(Metadata(warnings=(f"{name} is damaged: {fault}; what comes before that is taken.",)))


def _image(root: ElementTree.Element) -> Metadata:
    """Of a MicroscopeImage."""
    pixel = _number(root, ".//SpatialScale/pixelSize/x/numericValue")
    told = {pair.findtext("Key"): pair.findtext("Value") or "" for pair in root.iter("KeyValueOfstringanyType")}
    detector = f"Detectors[{told.get('BinaryResult.Detector', '')}]."
    gain = next((told[key] for key in told if key and key.endswith("GainReference")), "")
    x, y = (_number(root, f".//optics/BeamShift/_{axis}") for axis in "xy")
    stage = [_number(root, f".//stage/Position/{axis}") * 1e10 for axis in "XYZ"]
    dose, defocus = _float(told.get("Dose")) * 1e-20, -_float(told.get("AppliedDefocus")) * 1e10
    exposure = _float(told.get(f"{detector}ExposureTime"))
    factor = _float(told.get("SuperResolutionFactor"))
    sides = [_number(root, f".//camera/ReadoutArea/{side}") for side in ("width", "height")]
    software = " ".join(root.findtext(f".//core/ApplicationSoftware{part}") or "" for part in ("", "Version"))
    return Metadata(
        pixel_size=pixel * 1e10 if pixel > 0 else NAN,
        side=round(max(sides)) if min(sides) > 0 else 0,
        voltage=_number(root, ".//gun/AccelerationVoltage") / 1e3,
        total_dose=dose if dose > 0 else NAN,
        acquired=_moment(root.findtext(".//acquisitionDateTime")),
        exposure_time=exposure if exposure > 0 else _number(root, ".//acquisition/camera/ExposureTime"),
        beam_shift=(x, y) if math.isfinite(x + y) else None,
        shift_unit=SHIFT_UNIT,
        stage=(stage[0], stage[1], stage[2]) if math.isfinite(sum(stage)) else None,
        tilt=math.degrees(_number(root, ".//stage/Position/A")),
        defocus=defocus,
        magnification=_number(root, ".//TemMagnification/NominalMagnification"),
        camera=told.get("DetectorCommercialName", "") or root.findtext(".//acquisition/camera/Name") or "",
        software=software.strip(),
        binning=_number(root, ".//acquisition/camera/Binning/x"),
        super_resolution=int(factor) if factor in (1, 2, 4) else 0,
        gain=re.split(r"[\\/]", gain)[-1],
    )


def _fractions(root: ElementTree.Element) -> Metadata:
    """Of a list of fractions."""
    recorded, asked = (_number(root, f".//Info/{word}NumberOfFractions") for word in ("Recorded", "Expected"))
    times = [_number(fraction, "ExposureTime") for fraction in root.iter("Fraction")]
    return Metadata(
        frames=int(recorded) if recorded >= 0 else None,
        frames_asked=int(asked) if asked >= 0 else None,
        acquired=_moment(root.findtext(".//Info/DateTimeWithTimeZone")),
        exposure_time=math.fsum(times) if times and min(times) > 0 else NAN,
        camera=root.findtext(".//Info/Detector") or "",
        gain_corrected={"On": True, "Off": False}.get(root.findtext(".//Info/GainCorrection") or ""),
    )


def _tree(content: bytes) -> tuple[ElementTree.Element | None, str]:
    """The root with all names bare of their namespaces, as far as it could be read, and what is wrong."""
    parser, root, fault = ElementTree.XMLPullParser(["start"]), None, ""
    try:
        parser.feed(content)
        parser.close()
    except (ElementTree.ParseError, ValueError, LookupError) as error:  # the latter of unknown encodings
        fault = str(error)
    try:
        for _, element in parser.read_events():
            root = element if root is None else root
    except ElementTree.ParseError as error:
        fault = fault or str(error)
    for element in root.iter() if root is not None else ():
        element.tag = element.tag.rpartition("}")[2]
    if root is None and not fault:
        fault = "it is empty"
    return root, fault


def _moment(text: str | None) -> float:
    """UTC seconds; EPU gives seven digits of a second where Python takes six."""
    try:
        return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", (text or "").strip())).timestamp()
    except (ValueError, OverflowError, OSError):
        return NAN


def _number(element: ElementTree.Element, path: str) -> float:
    return _float(element.findtext(path))


def _float(text: str | None) -> float:
    try:
        value = float(text or "nan")
    except ValueError:
        return NAN
    return value if math.isfinite(value) else NAN
