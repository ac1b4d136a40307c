"""How it was done: steps with the parameters that were set, software with versions, and what to cite."""

from __future__ import annotations

from typing import Any

from cryowidgets.errors import CryowidgetsError
from cryowidgets.facility.report import said
from cryowidgets.plugins import OURS, our_version
from cryowidgets.protocols import registry
from cryowidgets.protocols.base import Parameter, Protocol
from cryowidgets.store.database import Step
from cryowidgets.store.queries import Reader


def steps(reader: Reader) -> list[dict[str, Any]]:
    """Each step: protocol, what became of its tasks, and the parameters that are not as by default."""
    tally = reader.tally()
    found = []
    for step in reader.steps().values():
        done = tally.get(step.name, {})
        found.append(
            {
                "name": step.label or step.name,
                "protocol": step.protocol,
                "state": step.state,
                "done": said.thousands(done.get("done", 0)),
                "rejected": said.thousands(done.get("rejected", 0)),
                "failed": said.thousands(done.get("failed", 0)),
                "params": _changed(step),
                "versions": step.version,
            }
        )
    return found


def citations(reader: Reader) -> list[dict[str, Any]]:
    """What to cite for the steps that have done anything: text, DOI, steps; in the order of the workflow."""
    tally = reader.tally()
    found: dict[str, list[str]] = {}
    for step in reader.steps().values():
        protocol = _protocol(step.protocol)
        if protocol is not None and tally.get(step.name, {}).get("done"):
            for text in protocol.cites:
                found.setdefault(text, []).append(step.name)
    made = []
    for text, names in found.items():
        words, _, doi = text.partition(" doi:")
        made.append({"text": words, "doi": doi, "steps": ", ".join(names)})
    return made


class Software:
    """Programs and versions that made the results, kept up with the ledger at a cost in proportion to what is new."""

    def __init__(self) -> None:
        self._since: dict[int, int] = {}
        self._found: dict[str, dict[str, None]] = {}

    def table(self, reader: Reader) -> list[tuple[str, str]]:
        """Each program with its version, and the steps that it did."""
        there = reader.tables()
        recorded = "software" in {row[1] for row in reader.query("PRAGMA table_info(task)")}
        for step in reader.steps().values():
            table = step.gives.lower()
            if table not in there:
                continue
            outside = "program" in {row[1] for row in reader.query(f'PRAGMA table_info("{table}")')}
            program = "trim(r.program || ' ' || r.program_version)" if outside else "''"
            software = "coalesce(t.software, '')" if recorded else "''"
            since = self._since.get(step.id, 0)
            sql = (
                f'SELECT {software}, {program}, max(r.id) FROM "{table}" r JOIN task t ON t.id = r.task '
                "WHERE r.step = ? AND r.id > ? GROUP BY 1, 2"
            )
            for ours, theirs, newest in reader.query(sql, (step.id, since)):
                self._since[step.id] = max(self._since.get(step.id, 0), newest)
                for text in (*ours.split(", "), theirs):
                    if text:
                        self._found.setdefault(text, {})[step.name] = None
        self._found.setdefault(f"{OURS} {our_version()}", {})
        return [(text, ", ".join(names) or "this report") for text, names in sorted(self._found.items())]


def _changed(step: Step) -> list[tuple[str, str]]:
    """Parameters of a step that differ from the defaults; all of one whose protocol is not here."""
    protocol = _protocol(step.protocol)
    known = protocol.parameters() if protocol is not None else {}
    return [
        (name, _spelled(value, known.get(name)))
        for name, value in step.params.items()
        if value not in ("", None) and (name not in known or value != known[name].default)
    ]


def _spelled(value: Any, parameter: Parameter | None) -> str:
    if isinstance(value, str) and value.startswith("/"):
        return value.rpartition("/")[2]  # folders of a host are nobody's business on a page that is passed on
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return f"{text} {parameter.unit}" if parameter is not None and parameter.unit else text


def _protocol(name: str) -> type[Protocol] | None:
    try:
        return registry.get(name)
    except CryowidgetsError:
        return None  # of a plug-in that is not here
