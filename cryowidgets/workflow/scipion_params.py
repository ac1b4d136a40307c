"""Parameters of a protocol of Scipion become those of a step, with a sentence for whatever does not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryowidgets.errors import CryowidgetsError
from cryowidgets.protocols import durations, registry
from cryowidgets.protocols.base import Parameter, Protocol
from cryowidgets.protocols.durations import Duration
from cryowidgets.workflow.scipion_entries import HOLDS, OURS, Entry
from cryowidgets.workflow.scipion_rules import AT_IMPORT, About, Counterpart, Rule, truth
from cryowidgets.workflow.scipion_table import SILENT


@dataclass(frozen=True)
class Taken:
    """Parameters of a step, those that its import is to take, and what is to be said: kind and sentence."""

    params: dict[str, Any]
    imports: dict[str, Any]
    said: list[tuple[str, str]]


def parameters(entry: Entry, counterpart: Counterpart, protocol: type[Protocol], about: About, told: Any) -> Taken:
    """Our parameters of an entry; `told` is what our own export says of it."""
    told = told if isinstance(told, Mapping) and told.get("protocol") == counterpart.ours else None
    params: dict[str, Any] = dict(_told(told))
    dropped: list[str] = []
    silent: list[str] = []
    imports: dict[str, Any] = {}
    known = protocol.parameters()
    for rule in counterpart.rules:
        there = [key for key in rule.theirs if key in entry.values]
        pointing = [key for key in there if key in entry.pointers]
        dropped += [f"{key} (it is {entry.values[key]}, known only when that has run)" for key in pointing]
        values = {**rule.theirs, **{key: entry.values[key] for key in there}}
        if pointing or told and _unchanged(rule, values, params, known, about):
            continue
        try:
            found = rule.read(values, about)
        except (ValueError, TypeError, OverflowError) as error:
            dropped += [f"{key} {short(values[key])} ({error})" for key in there[:1]]
            continue
        for key, value in found.items():
            if key.startswith(AT_IMPORT):
                imports[key.removeprefix(AT_IMPORT)] = value
            elif key not in known:
                dropped += [f"{theirs} {short(values[theirs])}" for theirs in there[:1]]
            elif there or not rule.theirs:
                params[key] = value
            elif value != known[key].default:
                params[key] = value
                silent.append(_said(key, value, known))
    params, refused = accepted(protocol, params)
    dropped += refused
    dropped += _unknown(entry, counterpart)
    mine = [_said(key, value, known) for key, value in params.items() if value != known[key].default]
    words = f"{entry.kind} → {counterpart.ours}{' with ' if mine else ''}{', '.join(mine)}."
    if counterpart.word:
        words += f" {counterpart.word}."
    said = [("converted", words)]
    if counterpart.program and (why := missing(counterpart.ours)):
        said.append(("program", why))
    if silent:
        said.append(("default", f"The file is silent; as in Scipion: {', '.join(silent)}."))
    if dropped:
        said.append(("dropped", f"Left out: {'; '.join(dropped)}."))
    return Taken(params, imports, said)


def missing(protocol: str) -> str:
    """Why the program that a protocol runs cannot be run on this machine; empty where it can."""
    try:
        registry.get(protocol)().find()
    except CryowidgetsError as error:
        return str(error)
    return ""


def _told(told: Any) -> Mapping[str, Any]:
    params = told.get("params") if isinstance(told, Mapping) else None
    return params if isinstance(params, Mapping) else {}


def _unchanged(
    rule: Rule, values: Mapping[str, Any], params: Mapping[str, Any], known: Mapping[str, Parameter], about: About
) -> bool:
    """Whether the file says what our own export said: then our values stand, which may say more."""
    ours = {**{name: p.default for name, p in known.items()}, **params}
    try:
        written = rule.write(ours, about)
    except (KeyError, ValueError, TypeError, OverflowError):
        return False
    return all(values.get(key) == value for key, value in written.items())


def accepted(protocol: type[Protocol], params: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Those values that the protocol takes, together; and of the others what is wrong."""
    faults = protocol.faults(params)
    refused = [f"{name} {short(params[name])} ({said.rstrip('.')})" for name, said in faults.items() if name]
    good = {name: value for name, value in params.items() if name not in faults}
    if not (faults and protocol.faults(good)):
        return good, refused
    together: dict[str, Any] = {}  # each is good by itself: those stay that go with the ones before
    for name, value in good.items():
        said = protocol.faults({**together, name: value}).get("")
        if said:
            refused.append(f"{name} {short(value)} ({said.rstrip('.')})")
        else:
            together[name] = value
    return together, refused


def _unknown(entry: Entry, counterpart: Counterpart) -> list[str]:
    """Parameters without a counterpart that are not at their default."""
    read = {key for rule in counterpart.rules for key in rule.theirs}
    read |= (
        {key.partition(".")[0] for names in counterpart.inputs.values() for key in names}
        | set(counterpart.fixed)
        | SILENT
    )
    found = []
    for key, value in entry.values.items():
        if key in read or key in counterpart.fixed or key.startswith(("object.", "_")) or key in (HOLDS, OURS):
            continue
        if key in counterpart.idle:
            if not _alike(value, counterpart.idle[key]):
                found.append(f"{key} {short(value)}")
        elif value not in (None, "", False, [], {}) and key != "calculateConsensus":
            found.append(f"{key} {short(value)}")
    return found


def _alike(value: Any, default: Any) -> bool:
    if value in (None, "") and default in (None, "", False, 0):
        return True
    if isinstance(default, bool):
        return truth(value) == default
    if isinstance(default, int | float):
        try:
            return float(value) == default
        except (TypeError, ValueError, OverflowError):
            return False
    return value == default


def _said(name: str, value: Any, known: Mapping[str, Parameter]) -> str:
    """A parameter as one reads it aloud."""
    parameter = known[name]
    if isinstance(parameter.trait, Duration):
        return f"{name} {durations.text(value)}"
    return f"{name} {short(value)}{' ' if parameter.unit else ''}{parameter.unit}"


def short(value: Any) -> str:
    """A value in a sentence."""
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 60 else text[:57] + "…"
