"""The part of the table for steps that count, hold back, sample, join and compare."""

from __future__ import annotations

from typing import Any

from cryowidgets.protocols import durations
from cryowidgets.workflow.scipion_rules import About, Counterpart, Rule, Values, pixels, same, scaled, truth, whole

_ITEM = {"item": ("inputImages",)}


def _mode() -> Rule:
    """What passes once enough have come."""

    def read(values: Values, about: About) -> dict[str, Any]:
        if not truth(values["allImages"]):
            return {"mode": "static"}
        return {"mode": "batches" if truth(values["splitImages"]) else "growing"}

    def write(values: Values, about: About) -> dict[str, Any]:
        return {"allImages": values["mode"] != "static", "splitImages": values["mode"] == "batches"}

    return Rule({"allImages": True, "splitImages": False}, ("mode",), read, write)


def _timer() -> Rule:
    """Whether time counts besides the number, and how much of it."""

    def read(values: Values, about: About) -> dict[str, Any]:
        if not truth(values["boolTimer"]):
            return {"until": "count"}
        return {"until": "either", "hours": durations.seconds(values["timeout"]) / 3600}

    def write(values: Values, about: About) -> dict[str, Any]:
        if values["until"] == "count":
            return {"boolTimer": False}
        return {"boolTimer": True, "timeout": durations.text(max(round(values["hours"] * 3600), 1))}

    return Rule({"boolTimer": False, "timeout": "1h"}, ("until", "hours"), read, write)


def _votes() -> Rule:
    """How many pickers must have found a particle."""

    def read(values: Values, about: About) -> dict[str, Any]:
        votes = whole(values["consensus"])
        if not (votes == -1 or 1 <= votes <= len(_PICKERS)):
            raise ValueError("one picker, several or all may have to agree")
        if whole(values["mode"]) and votes != -1:
            raise ValueError("here at least so many pickers have to agree, never just so many")
        return {"votes": max(votes, 0)}

    def write(values: Values, about: About) -> dict[str, Any]:
        return {"consensus": values["votes"] or -1, "mode": 0}

    return Rule({"consensus": -1, "mode": 0}, ("votes",), read, write)


_PICKERS = ("first", "second", "third", "fourth", "fifth")


FLOW: tuple[Counterpart, ...] = (
    Counterpart(
        ("XmippProtTriggerData",),
        "Trigger",
        _ITEM,
        (same("outputSize", "count", 10000), _mode()),
        idle={"delay": 10, "checkInterval": 60, "allParticles": False},
        fixed={"triggerSignal": False, "triggerWait": False, "triggerProt": None},
    ),
    Counterpart(
        ("ProtDataCounter",),
        "DataCounter",
        _ITEM,
        (same("outputSize", "count", 10000), _timer()),
        idle={"delay": 10},
        fits=lambda values: values.get("until") != "time",
    ),
    Counterpart(
        ("ProtDataSampler",),
        "Sampler",
        _ITEM,
        (scaled("samplingProportion", "share", 100.0, 0.25), same("batchSize", "batch", 10000)),
        idle={"delay": 10},
    ),
    Counterpart(
        ("XmippProtMicDefocusSampler",),
        "DefocusSampler",
        {"ctf": ("inputCTF",)},
        (same("numImages", "count", 25), same("minImages", "among", 100)),
    ),
    Counterpart(
        ("ProtUnionSet",),
        "JoinSets",
        {"first": ("inputSets.0",), "second": ("inputSets.1",)},
        idle={"ignoreDuplicates": False, "ignoreExtraAttributes": False, "inputType": 0},
        when=lambda values: isinstance(values.get("inputSets"), list) and len(values["inputSets"]) == 2,
    ),
    Counterpart(
        ("ProtSubSet",),
        "SubsetSet",
        {"first": ("inputFullSet",), "second": ("inputSubSet",)},
        idle={"chooseAtRandom": False, "nElements": 2},
        when=lambda values: not truth(values.get("chooseAtRandom")) and str(values.get("setOperation") or 0) == "0",
        fixed={"chooseAtRandom": False, "setOperation": 0},
    ),
    Counterpart(
        ("ProtSubSet",),
        "DifferenceSet",
        {"first": ("inputFullSet",), "second": ("inputSubSet",)},
        idle={"chooseAtRandom": False, "nElements": 2},
        when=lambda values: not truth(values.get("chooseAtRandom")) and str(values.get("setOperation") or 0) == "1",
        fixed={"chooseAtRandom": False, "setOperation": 1},
    ),
    Counterpart(
        ("XmippProtMovieDoseAnalysis",),
        "DoseAnalysis",
        {"micrograph": ("inputMovies",)},
        (
            same("percentage_threshold", "max_deviation", 5.0),
            same("window", "window", 50),
            same("n_samples", "movies", 20),
            same("percentage_window", "alarm", 30.0),
        ),
        later=True,
    ),
    Counterpart(
        ("XmippProtConsensusPicking",),
        "PickConsensus",
        {name: (f"inputCoordinates.{place}",) for place, name in enumerate(_PICKERS)},
        (pixels("consensusRadius", "radius", 1.0, 10), _votes()),
        when=lambda values: (
            isinstance(values.get("inputCoordinates"), list) and 2 <= len(values["inputCoordinates"]) <= len(_PICKERS)
        ),
    ),
    Counterpart(
        ("XmippProtConsensusMovieAlignment",),
        "AlignmentConsensus",
        {"first": ("inputMovies1",), "second": ("inputMovies2",)},
        (same("minConsCorrelation", "min_correlation", 0.75), same("minRangeShift", "still", 3.0)),
        idle={"trajectoryPlot": False},
    ),
)
"""Counterparts of protocols that decide what flows."""
