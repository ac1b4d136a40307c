"""What a session was, as metadata: microscope, acquisition, and what came of the processing.

Names, nesting and quantities with units are those of OSCEM, the schemas of the Open Standards Community for Electron
Microscopy (https://github.com/osc-em/OSCEM_Schemas, single-particle data), as far as it has them; `software` and
`counts` are ours. What a session cannot know, such as the sample, is left out. `processing.schema.json` beside this
file says which fields there are and of what type; what is made here is checked against it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from cryowidgets.errors import ProjectError
from cryowidgets.facility.accepted import Accepted, rows
from cryowidgets.model import Classes, Ctf, Micrograph, Movie, Optics, Particles, Picks
from cryowidgets.plugins import OURS, our_version
from cryowidgets.store.queries import Reader
from cryowidgets.store.record import Record


def schema() -> dict[str, Any]:
    """The JSON schema of what `describe` makes."""
    return json.loads(files("cryowidgets.facility").joinpath("processing.schema.json").read_text("utf-8"))


def describe(reader: Reader) -> dict[str, Any]:
    """The metadata of a session; results are those that were accepted.

    Raises
    ------
    ProjectError
        There are no movies yet, or a value does not fit the schema, which is then named.
    """
    kinds = (Movie, Micrograph, Ctf, Picks, Particles)
    accepted = Accepted(reader, thresholds=False)
    found = {kind: list(accepted.of(kind).values()) for kind in kinds}
    if not found[Movie]:
        raise ProjectError(f"{reader.folder} has no movies to describe yet.")
    record = reader.record()
    optics = reader.optics()
    groups = list(dict.fromkeys(optics[movie["exposure"]] for movie in found[Movie]))
    made = {
        "instrument": _instrument(groups),
        "acquisition": _acquisition(groups, found[Movie], found[Micrograph], reader.session().found),
        "processing": {
            "movies": _movies(groups, found[Movie], found[Micrograph], reader),
            "micrographs": {"number_micrographs": len(found[Micrograph])},
            **_ctfs(groups, found[Ctf]),
            **_coordinates(found[Picks], found[Particles]),
            **_classes(reader),
        },
        "software": _software(record),
        "counts": _counts(reader),
    }
    _check(made)
    return made


def _instrument(groups: list[Optics]) -> dict[str, Any]:
    return {
        "acceleration_voltage": _quantity(groups[0].voltage, "kV"),
        "cs": _quantity(groups[0].cs, "mm"),
    }


def _acquisition(groups: list[Optics], movies: list[dict], micrographs: list[dict], recorded: int) -> dict[str, Any]:
    frames = [m["frames"] for m in movies if m["frames"]] or [m["frames"] for m in micrographs if m["frames"]]
    typical = round(fmean(frames)) if frames else 0
    dose = groups[0].dose_per_frame * typical
    targets = [m["target_defocus"] / 1e4 for m in movies if math.isfinite(m["target_defocus"])]
    found: dict[str, Any] = {
        "date_time": datetime.fromtimestamp(min(m["acquired"] for m in movies), UTC).isoformat(timespec="seconds"),
        "pixel_size": _quantity(groups[0].pixel_size, "Å"),
        "images_generated": recorded,
    }
    if dose > 0:
        found["dose_per_movie"] = _quantity(dose, "1/Å^2")
    if typical:
        found["frames_per_movie"] = typical
    if targets:
        found["nominal_defocus"] = {"minimal": _quantity(min(targets), "um"), "maximal": _quantity(max(targets), "um")}
    if len(groups) > 1:
        found["beamtiltgroups"] = len(groups)
    if micrographs and len({(m["height"], m["width"]) for m in micrographs}) == 1:
        found["image_size"] = {"height": micrographs[0]["height"], "width": micrographs[0]["width"]}
    return found


def _movies(groups: list[Optics], movies: list[dict], micrographs: list[dict], reader: Reader) -> dict[str, Any]:
    found: dict[str, Any] = {"initial_dose": _quantity(groups[0].pre_exposure, "e/Å^2")}
    if groups[0].dose_per_frame > 0:
        found["dose_per_image"] = _quantity(groups[0].dose_per_frame, "e/Å^2")
    steps = reader.steps()
    gains = dict.fromkeys(str(step.params["gain"]) for step in steps.values() if step.params.get("gain"))
    if gains and any(m["gain"] for m in movies):
        found["gain_image"] = ", ".join(Path(gain).name for gain in gains)
    aligning = [s for s in steps.values() if s.gives == Micrograph.__name__]
    descriptors = []
    if micrographs and aligning:
        params = aligning[0].params
        descriptors.append(
            {
                "descriptor_name": "Movie alignment",
                "description": {
                    "method": aligning[0].protocol,
                    **({"binning_factor": float(params["binning"])} if "binning" in params else {}),
                    "frames_aligned": {"frame0": 1, "frameN": max(m["frames"] for m in micrographs)},
                    **_span("shift", [m["motion_total"] for m in micrographs], "Å", ("avg", "max")),
                },
            }
        )
    tally = reader.tally()
    for gate in aligning[1:]:
        limits = {k: v for k, v in gate.params.items() if isinstance(v, (int, float)) and not isinstance(v, bool)}
        discarded = tally.get(gate.name, {}).get("rejected", 0)
        descriptors.append(
            {
                "descriptor_name": f"{gate.name}: {gate.protocol}",
                "description": {"discarded_movies": discarded, "limits": limits},
            }
        )
    if descriptors:
        found["descriptors"] = descriptors
    return found


def _ctfs(groups: list[Optics], ctfs: list[dict]) -> dict[str, Any]:
    fitted = [c for c in ctfs if math.isfinite(c["defocus_u"])]
    if not fitted:
        return {}
    found: dict[str, Any] = {
        "amplitude_contrast": groups[0].amplitude_contrast,
        "defocus": _span("defocus", [(c["defocus_u"] + c["defocus_v"]) / 2 for c in fitted], "Å"),
        "resolution": _span("resolution", [c["fit_resolution"] for c in fitted], "Å"),
        "astigmatism": _span("astigmatism", [c["astigmatism"] for c in fitted], "Å"),
        "number_ctfs": len(fitted),
    }
    return {"ctfs": {key: value for key, value in found.items() if value != {}}}


def _coordinates(picks: list[dict], particles: list[dict]) -> dict[str, Any]:
    counted = particles or picks
    if not counted:
        return {}
    total = sum(row["count"] for row in counted)
    return {"coordinates": {"number_particles": total, "particles_per_micrograph": round(total / len(counted), 2)}}


def _classes(reader: Reader) -> dict[str, Any]:
    steps = [s.name for s in reader.steps().values() if s.gives == Classes.__name__]
    newest = rows(reader.rows(steps[-1], limit=1)) if steps else []
    return {"classes2D": {"number_classes": newest[0]["count"]}} if newest else {}


def _software(record: Record) -> list[dict[str, Any]]:
    """Each program and version once, with the steps that it did."""
    steps: dict[tuple[str, str], list[str]] = {(OURS, our_version()): []}
    for step in record.steps.values():
        texts = [part for text in step.software for part in text.split(", ") if part]
        for text in [*texts, *step.programs]:
            name, _, version = text.rpartition(" ")
            steps.setdefault((name or version, version if name else ""), []).append(step.name)
    return [{"name": n, "version": v, "steps": list(dict.fromkeys(done))} for (n, v), done in steps.items()]


def _counts(reader: Reader) -> dict[str, Any]:
    session = reader.session()
    return {
        "movies_found": session.found,
        "movies_done": session.done,
        "movies_failed": session.failed,
        "movies_rejected": session.rejected,
    }


def _span(name: str, values: Iterable[float], unit: str, of: tuple[str, ...] = ("min", "max", "avg")) -> dict[str, Any]:
    """``output_min_defocus`` and the like of what could be measured."""
    known = [float(v) for v in values if math.isfinite(v)]
    if not known:
        return {}
    numbers = {"min": min(known), "max": max(known), "avg": float(np.mean(known))}
    return {f"output_{which}_{name}": _quantity(numbers[which], unit) for which in of}


def _quantity(value: float, unit: str) -> dict[str, Any]:
    return {"value": float(f"{value:.6g}"), "unit": unit}


def _check(made: Mapping[str, Any]) -> None:
    import jsonschema

    faults = sorted(jsonschema.Draft202012Validator(schema()).iter_errors(made), key=lambda e: list(map(str, e.path)))
    if faults:
        where = "/".join(map(str, faults[0].path))
        raise ProjectError(f"The metadata of the session do not fit their schema at {where}: {faults[0].message}.")
