"""Where an item comes from, for people and for programs."""

from __future__ import annotations

import dataclasses
import json
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cryowidgets.cli.common import PROJECT, exposure_id

if TYPE_CHECKING:
    from cryowidgets.store.provenance import Attempt, Batch, Origin
    from cryowidgets.store.queries import Reader

WIDTH = 110


@click.command(
    epilog="""
\b
Examples:
  cryowidgets show item s1 FoilHole_28_Data_3       all that was made of this movie
  cryowidgets show item s1 ctf:12                   one result, back to its movie
  cryowidgets show item s1 gain:3 --json            for programs
"""
)
@PROJECT
@click.argument("item", metavar="NAME|KIND:ID")
@click.option("--json", "as_json", is_flag=True, help="For programs: one JSON object.")
def item(project: Path, item: str, as_json: bool) -> None:
    """Where an item of PROJECT comes from.

    Step, parameters and their version, software, machine, times and attempts of it and of all that it was made of,
    back to the movie file. NAME is a movie's, KIND:ID one result, such as micrograph:7.
    """
    from cryowidgets.store.queries import Reader

    with Reader(project) as reader:
        found = _found(reader, item)
        if as_json:
            click.echo(json.dumps({"items": [_plain(origin) for origin in found]}, indent=2, ensure_ascii=False))
        else:
            click.echo("\n\n".join(_paragraph(origin) for origin in _unfolded(found)))


def _found(reader: Reader, wanted: str) -> list[Origin]:
    """The item that was named; of a movie, each result that nothing else was made of."""
    kind, colon, row = wanted.partition(":")
    if colon and row.isdigit():
        return [reader.provenance(kind, int(row))]
    items = reader.exposure(exposure_id(reader, wanted)).items
    order = list(reader.steps())
    rows = [(type(i).__name__, i.id) for _, i in sorted(items.items(), key=lambda pair: -order.index(pair[0]))]
    found: list[Origin] = []
    seen: set[str] = set()
    for kind, id in rows:
        if f"{kind.lower()}:{id}" not in seen:
            found.append(reader.provenance(kind, id))
            seen |= {origin.key for origin in _unfolded(found[-1:])}
    if not found:
        raise click.UsageError(f"Nothing was made of {wanted} yet; 'cryowidgets show exposure' says why.")
    return found


def _unfolded(origins: list[Origin]) -> Iterator[Origin]:
    """Each once, what something was made of after it."""
    from cryowidgets.store.provenance import Batch

    seen: set[tuple[str, int | None, float]] = set()
    front = list(origins)
    while front:
        origin = front.pop(0)
        mark = (origin.step, origin.id, origin.attempts[-1].submitted if origin.attempts else 0.0)
        if mark in seen:
            continue
        seen.add(mark)
        yield origin
        for source in origin.inputs.values():
            nearest = source.newest if isinstance(source, Batch) else source
            if nearest is not None:
                front.append(nearest)


def _paragraph(origin: Origin) -> str:
    task = origin.task
    software = (task.software if task else None) or "not recorded: an earlier version of cryowidgets"
    lines = [
        f"{origin.key}  {origin.name}".rstrip() + ("" if origin.standing == "valid" else f"  ({origin.standing})"),
        _line("step", f"{origin.step}, {origin.protocol}, version {origin.version} of its parameters"),
        _line("values", ", ".join(f"{k} = {v!r}" for k, v in origin.params.items()) or "none"),
        _line("software", software + (f"; program: {origin.program}" if origin.program else "")),
    ]
    if task:
        lines += [_line("where", f"{task.host or 'not recorded'}{f', process {task.pid}' if task.pid else ''}")]
        lines += [_line("when", _times(task))]
    lines += [_line(f"attempt {a.attempt}", f"{a.state}{f': {a.error}' if a.error else ''}") for a in _notable(origin)]
    lines += [_line(name, path) for name, path in origin.files.items()]
    lines += [_line("from", f"{name}: {_source(source)}") for name, source in origin.inputs.items()]
    if origin.follows is not None:
        lines.append(_line("follows", f"{origin.kind.lower()}:{origin.follows}, the result before"))
    return "\n".join(lines)


def _source(source: Origin | Batch) -> str:
    from cryowidgets.store.provenance import Batch

    if not isinstance(source, Batch):
        return f"{source.key} of {source.step}" + (" (replaced since)" if source.id is None else "")
    kind = source.kind.lower()
    text = f"{kind}:{source.first} to {kind}:{source.last} of {source.step}, {source.there} of them there"
    return text + (f"; below the newest, {source.newest.key}" if source.newest else "")


def _notable(origin: Origin) -> list[Attempt]:
    """Attempts where there is something to be said."""
    return [a for a in origin.attempts if len(origin.attempts) > 1 or a.error]


def _times(task: Attempt) -> str:
    def clock(when: float | None) -> str:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(when)) if when else "not recorded"

    took = f", {task.finished - task.started:.1f} s" if task.started and task.finished else ""
    return f"claimed {clock(task.submitted)}, begun {clock(task.started)}, done {clock(task.finished)}{took}"


def _line(head: str, text: str) -> str:
    return textwrap.fill(
        text, WIDTH, initial_indent=f"  {head:<14} ", subsequent_indent=" " * 17, break_long_words=False
    )


def _plain(origin: Origin) -> dict[str, Any]:
    return dataclasses.asdict(origin)
