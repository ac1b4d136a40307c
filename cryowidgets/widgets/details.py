"""All that is known of one exposure, as HTML: its numbers, where they come from, and every attempt at its tasks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from cryowidgets.errors import ProjectError
from cryowidgets.model import Item, Optics
from cryowidgets.store.provenance import Attempt, Batch, Origin
from cryowidgets.store.queries import ExposureRow, Reader
from cryowidgets.widgets import texts

LONGEST = 300
"""Characters of a value that are shown."""


def about(reader: Reader, row: ExposureRow, control: bool) -> str:
    """Numbers of each result, and how it came to be. Parameters and files name paths: only for who has control."""
    optics = next((item.optics for item in row.items.values() if item.optics is not None), None)
    parts = [_section(row.name, "recorded " + texts.clock(row.acquired, date=True), _exposure(row, optics, control))]
    order = list(reader.steps())
    for step, item in sorted(row.items.items(), key=lambda pair: order.index(pair[0])):
        try:
            origin = reader.provenance(type(item).__name__, item.id)
        except ProjectError:  # it was made again this moment
            continue
        files = _files(reader.folder, origin) if control else []
        title = f"{step} · {origin.protocol}" + ("" if origin.standing == "valid" else f" ({origin.standing})")
        parts.append(_section(title, _made(origin), [*_values(item), *_origin(origin, control), *files]))
    return f"<div class='cw-ex-about'>{''.join(parts)}</div>"


def attempts(row: ExposureRow, tracebacks: bool) -> str:
    """Every attempt of every step at an exposure, the newest first; tracebacks only for who has control."""
    if not row.tasks:
        return "<div class='cw-nothing'>nothing has been done with it yet</div>"
    head = "".join(f"<th>{name}</th>" for name in ("begun", "step", "attempt", "state", "took", "on"))
    lines = []
    for task in reversed(row.tasks):
        took = task.finished - task.started if task.started and task.finished else None
        cells = [
            texts.clock(task.started, date=True),
            task.step,
            str(task.attempt),
            task.state,
            texts.number(took, 1, "s"),
            task.host or texts.NONE,
        ]
        marked = f" class='cw-is-{task.state}'" if task.state in ("failed", "rejected") else ""
        lines.append(f"<tr{marked}>{''.join(f'<td>{texts.safe(cell)}</td>' for cell in cells)}</tr>")
        said = f"<p>{texts.safe(task.error)}</p>" if task.error else ""
        if tracebacks and task.traceback:
            said += f"<details><summary>traceback</summary><pre>{texts.safe(task.traceback)}</pre></details>"
        if said:
            lines.append(f"<tr{marked}><td></td><td colspan='5'>{said}</td></tr>")
    return f"<table class='cw-values cw-ex-log'><tr>{head}</tr>{''.join(lines)}</table>"


def _section(title: str, line: str, values: Iterable[tuple[str, str, str]]) -> str:
    cells = "".join(
        f"<div title='{texts.safe(help)}'><dt>{texts.safe(name)}</dt><dd>{texts.safe(value)}</dd></div>"
        for name, value, help in values
    )
    return f"<section><h4>{texts.safe(title)}</h4><p class='cw-soft'>{texts.safe(line)}</p><dl>{cells}</dl></section>"


def _exposure(row: ExposureRow, optics: Optics | None, control: bool) -> list[tuple[str, str, str]]:
    found = []
    if control:
        gone = "" if Path(row.path).exists() else " (is gone)"
        found.append(("file", row.path + gone, "where the movie was found"))
    if row.rejected:
        found.append(("rejected", row.rejected, "why a person took it out"))
    if optics is not None:
        found += [("optics group", optics.name, "its name")]
        found += _fields(optics, {name: f for name, f in type(optics).__dataclass_fields__.items() if name != "name"})
    return found


def _values(item: Item) -> list[tuple[str, str, str]]:
    """Numbers and words of an item; what could not be measured is left out."""
    fields = {name: field for name, field in item.columns().items() if not field.metadata.get("file")}
    return _fields(item, fields)


def _fields(thing: Any, fields: dict[str, Any]) -> list[tuple[str, str, str]]:
    found = []
    for name, field in fields.items():
        value, unit = getattr(thing, name), field.metadata.get("unit", "")
        if name in ("closed", "found"):
            text, unit = texts.clock(value, date=True), ""
        elif isinstance(value, float):
            scale, unit = _readable(name, unit)
            text = _number(value * scale) if math.isfinite(value) else ""
        elif isinstance(value, int | str):
            text = str(value)
        else:
            continue
        if text and text != texts.NONE:
            found.append((name.replace("_", " "), f"{text} {unit}".strip()[:LONGEST], field.metadata.get("help", "")))
    return found


def _readable(name: str, unit: str) -> tuple[float, str]:
    """What to multiply a length by, and the unit that people read it in."""
    if unit == "Å" and "defocus" in name:
        return 1e-4, "µm"
    if unit == "Å" and name.startswith(("astigmatism", "thickness", "first_astig", "second_astig")):
        return 0.1, "nm"
    return 1.0, unit


def _number(value: float) -> str:
    if value == int(value) and abs(value) < 1e7:
        return f"{value:.0f}".replace("-", "−")
    return f"{value:.4g}".replace("-", "−")


def _made(origin: Origin) -> str:
    task = origin.task
    if task is None:
        return "how it was made is not recorded"
    took = f" in {task.finished - task.started:.1f} s" if task.started and task.finished else ""
    program = f", {origin.program}" if origin.program else ""
    software = task.software or "software not recorded"
    when = texts.clock(task.finished, date=True)
    return f"made {when}{took} on {task.host or 'an unnamed machine'} by {software}{program}{_tries(origin.attempts)}"


def _tries(tries: Sequence[Attempt]) -> str:
    return f"; {len(tries)} attempts" if len(tries) > 1 else ""


def _origin(origin: Origin, control: bool) -> list[tuple[str, str, str]]:
    sources = [f"{name}: {_source(source)}" for name, source in origin.inputs.items()]
    found = [("made from", ", ".join(sources), "what it was made of")] if sources else []
    values = ", ".join(f"{name} = {value!r}" for name, value in origin.params.items())
    if control and values:
        found.append((f"parameters, version {origin.version}", values, "of the step, as this result was made"))
    return found


def _source(source: Origin | Batch) -> str:
    if isinstance(source, Batch):
        return f"{source.there} of {source.step}"
    return f"{source.key} of {source.step}" + (" (replaced since)" if source.id is None else "")


def _files(folder: Path, origin: Origin) -> list[tuple[str, str, str]]:
    """Its files with their sizes; of one that is not there, that it is gone."""
    found = []
    for name, path in origin.files.items():
        try:
            size = f"{(folder / path).stat().st_size / 1e6:,.2f} MB".replace(",", "\u202f")
        except OSError:
            size = "is gone"
        found.append((name.replace("_", " "), f"{path} ({size})", "file"))
    return found
