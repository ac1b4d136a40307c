"""Workflows as data: what a document holds, and how it is written down; `reading` makes it of a text.

A document is JSON. Only name, version and steps must be there::

    {
      "version": 2, "name": "monday", "description": "what it is for", "category": "live",
      "steps": [
        {"name": "movies", "protocol": "ImportMovies",
         "params": {"pattern": {"ask": "movies", "label": "Movies"},
                    "voltage": {"ask": "volt", "label": "Voltage", "default": 300}}},
        {"name": "align", "protocol": "AlignMovie", "params": {"binning": 2}, "inputs": {"movie": "movies"},
         "label": "Motion", "comment": "for people", "after": ["movies"], "hold": true}
      ],
      "inert": [{"name": "masks", "origin": "scipion:SomeProtocol", "inputs": {"movies": "movies"}}],
      "simulate": {"movies": 24, "every": 5},
      "monitors": {"ctf": {"defocus_max": 30000}, "particles": false}, "channels": ["staff"]
    }

What is asked has the type and the unit of the parameter that it fills; of a text a document may add ``"type": "file"``
or ``"folder"``, so that there must be one. The same id in several places is one question. Without a default it must be
answered.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from cryowidgets.workflow.questions import SIMULATE, Question

MONITORS, CHANNELS = "monitors", "channels"

VERSION = 2
"""Version 1 had steps with name, protocol, params and inputs alone; it is read still."""


@dataclass(frozen=True)
class StepSpec:
    """A step as a workflow document describes it: `inputs` says which step each input comes from.

    The step does not begin before those named in `after` have ended. With `hold` nothing is begun at it until a
    person releases it. `label` and `comment` are for people.
    """

    name: str
    protocol: str
    params: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    label: str = ""
    comment: str = ""
    after: tuple[str, ...] = ()
    hold: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The step as a document holds it: what is empty is left out."""
        return _lean(asdict(self), ("name", "protocol", "params", "inputs"))


@dataclass(frozen=True)
class Inert:
    """A step of another program that has no counterpart here: kept, shown and handed back, but never run.

    `origin` says what it was, for instance ``scipion:XmippProtMovieGain``; `inputs` name steps or inert steps.
    """

    name: str
    origin: str
    params: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    label: str = ""
    comment: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The step as a document holds it: what is empty is left out."""
        return _lean(asdict(self), ("name", "origin", "params", "inputs"))


@dataclass(frozen=True)
class Workflow:
    """A workflow document: its steps, those that cannot be run here, and the questions that it leaves open.

    Values that are asked for are not among the parameters of the steps. With `simulate` a project made of it has a
    simulated microscope with these settings; see `simulation.Simulation`. `monitors` and `channels` say what is watched
    in its sessions and who is told, see `watching`.
    """

    name: str
    description: str
    steps: tuple[StepSpec, ...]
    inert: tuple[Inert, ...] = ()
    questions: tuple[Question, ...] = ()
    category: str = ""
    simulate: Mapping[str, Any] | None = None
    monitors: Mapping[str, Any] = field(default_factory=dict)
    channels: tuple[str, ...] = ()

    def to_json(self) -> str:
        """The document as text; `read` makes the same workflow of it.

        An open question stands where its answer goes: ``{"ask": "id", "label": "…", "default": …}``.
        """
        content: dict[str, Any] = {"version": VERSION, "name": self.name, "description": self.description}
        if self.category:
            content["category"] = self.category
        if self.simulate is not None:
            content[SIMULATE] = dict(self.simulate)
        content["steps"] = [step.to_dict() for step in self.steps]
        if self.monitors:
            content[MONITORS] = {
                name: values if values is False else dict(values) for name, values in self.monitors.items()
            }
        if self.channels:
            content[CHANNELS] = list(self.channels)
        if self.inert:
            content["inert"] = [step.to_dict() for step in self.inert]
        parts = {part["name"]: part for part in (*content["steps"], *content.get("inert", ()))}
        for question in self.questions:
            asked = question.to_dict()
            for step, parameter in question.targets:
                if step == SIMULATE and step not in parts:
                    content[SIMULATE] = {**content.get(SIMULATE, {}), parameter: asked}
                    continue
                parts[step]["params"] = {**parts[step]["params"], parameter: asked}
        return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _lean(content: dict[str, Any], always: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name, value in content.items() if value or name in always}
