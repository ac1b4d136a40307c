"""Monitors and channels of a workflow document become those of a project, and the other way round."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cryowidgets.errors import InputError, WorkflowError
from cryowidgets.monitors import channels, settings
from cryowidgets.workflow import Workflow, watching
from cryowidgets.workflow.document import CHANNELS, MONITORS


def kept(document: Workflow) -> dict[str, str]:
    """What a project made of a document keeps of it, by setting.

    Raises
    ------
    WorkflowError
        There is no such monitor, it does not take its values, or a channel is an address.
    """
    faults = watching.faults(document.monitors, list(document.channels))
    if faults:
        raise WorkflowError("\n".join(faults))
    text = ""
    for name, values in document.monitors.items():
        text = settings.changed(text, name, values or {}, on=values is not False)
    found = {settings.KEY: text, settings.CHANNELS: json.dumps(list(document.channels)) if document.channels else ""}
    return {key: value for key, value in found.items() if value}


def said(project: Mapping[str, str]) -> dict[str, Any]:
    """What the settings of a project are in a document, as arguments of `Workflow`."""
    known = settings.loads(project.get(settings.KEY, ""))
    return {
        MONITORS: {name: dict(one.values) if one.on else False for name, one in known.items()},
        CHANNELS: tuple(settings.channels(project.get(settings.CHANNELS, ""))),
    }


def unheard(document: Workflow) -> str:
    """Why some channels of a document would tell nobody, of whoever runs this; empty where all are there."""
    if not document.channels:
        return ""
    try:
        there = channels.load()
    except InputError as error:
        return f"Alerts were to go to {', '.join(document.channels)}: {error}"
    absent = [name for name in document.channels if name not in there]
    if not absent:
        return ""
    return (
        f"Alerts were to go to {', '.join(absent)}, and {channels.place()} has no such channel. It has: "
        f"{', '.join(there) or 'none'}. Write it there, or name others with 'cryowidgets alerts channels'."
    )
