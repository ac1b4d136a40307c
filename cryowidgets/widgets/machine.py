"""What processes a session, as HTML and in words: engine, backlog, load, disks and workers."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping

from cryowidgets.store.queries import Columns, Session
from cryowidgets.store.samples import Mount, Worker
from cryowidgets.widgets import texts

SOON = 12 * 3600.0
"""Seconds ahead from which on a disk that fills up is a warning."""
NOW = 3 * 3600.0
"""Seconds ahead from which on it is an alarm."""
LEFT = 0.05
"""Share of a disk below which what is free is a warning, whatever comes."""
_STATES = {
    "working": ("●", "good"),
    "idle": ("○", "calm"),
    "silent": ("◐", "warn"),
    "lost": ("▲", "bad"),
    "left": ("–", "calm"),
}
_USES = {"project": "Project", "movies": "Movies", "gain": "Gain"}


def engine(session: Session, now: float) -> str:
    """Whether an engine works, where, and since when."""
    holder = session.engine
    if holder and holder.alive:
        since = texts.clock(holder.since, date=now - holder.since > 20 * 3600)[:16].rstrip(":")
        said = f"runs on {holder.host} (process {holder.pid}) since {since}, for {texts.duration(now - holder.since)}"
        return _said("good", "●", "paused: it hands out no tasks; " + said if session.paused else said)
    if holder:
        return _said("bad", "▲", f"that on {holder.host} (process {holder.pid}) died: start one again")
    if session.stream == "closed" and not session.waiting:
        return _said("calm", "■", "none runs: the session is complete")
    return _said("warn", "▲", "none runs: nothing is processed")


def backlog(waiting: int, done: float, come: float) -> str:
    """How many exposures wait, and how long it takes until none does.

    Parameters
    ----------
    waiting : int
    done, come : float
        Exposures per hour that are finished and that arrive; NaN where not known.
    """
    if not waiting:
        return _said("good", "●", "nothing waits")
    rates = f"{texts.number(done, 0)} done and {texts.number(come, 0)} new per hour"
    wait = texts.count(waiting, "exposure waits", "exposures wait")
    if not math.isfinite(done) or done <= 0:
        return _said("warn", "▲", f"{wait}; none was finished in the last minutes")
    gain = done - (come if math.isfinite(come) else 0.0)
    if gain > 0.02 * done:
        return _said("good", "●", f"{wait}; clear in {texts.duration(3600 * waiting / gain)} ({rates})")
    if waiting < 0.25 * done:  # a quarter of an hour's work: what is under way
        return _said("good", "●", f"{wait}, as many as come ({rates})")
    return _said("warn", "▲", f"{wait}, and it does not become less ({rates})")


def arrivals(found: Iterable[float], now: float, span: float = 1800.0) -> float:
    """Exposures per hour that came in the last half hour, of the times at which the newest came."""
    recent = [t for t in found if t > now - span]
    return len(recent) * 3600.0 / span


def full(when: float, now: float, zone: bool = True) -> str:
    """When a disk will be full: ``full in 7 h (Tue 04:10 UTC)``; empty where it will not be."""
    if not math.isfinite(when):
        return ""
    if when <= now + 60:
        return "full"
    ahead = when - now
    unit = 60 if ahead < 7200 else 3600 if ahead < 2 * 86400 else 86400
    day = "%a %H:%M" + (f" {texts.zone()}" if zone else "") if ahead < 6 * 86400 else "%d %b"
    return f"full in {texts.duration(unit * round(ahead / unit))} ({time.strftime(day, time.localtime(when))})"


def concern(mount: Mount, now: float) -> str:
    """good, warn or bad."""
    if mount.silent > 30:
        return "bad"
    if mount.full < now + NOW or mount.free < 0.01 * mount.total:
        return "bad"
    return "warn" if mount.full < now + SOON or mount.free < LEFT * mount.total else "good"


def size(gigabytes: float) -> str:
    """Of a disk, in GB or TB."""
    if gigabytes >= 1000:
        return texts.number(gigabytes / 1000, 1 if gigabytes < 1e5 else 0, "TB")
    return texts.number(gigabytes, 0 if gigabytes >= 10 else 1, "GB")


def mounts(disks: Iterable[Mount], now: float) -> str:
    """A card for each disk."""
    cards = [_disk(mount, now) for mount in disks]
    return "".join(cards) or "<p class='cw-nothing'>no engine has looked at the disks yet</p>"


def _disk(mount: Mount, now: float) -> str:
    kind, used = concern(mount, now), 1 - mount.free / mount.total if mount.total else math.nan
    what = " and ".join(_USES.get(use, use) for use in mount.uses)
    far = "network" if mount.network else "local"
    when = full(mount.full, now)
    if mount.silent > 30:
        when = f"has not answered for {texts.duration(mount.silent)}"
    elif kind != "good" and not when:
        when = "almost full"
    elif not when:
        when = "is not filling up"
    share = f"{100 * used:.0f}" if math.isfinite(used) else "0"
    bar = (
        f"<div class='cw-sys-bar cw-{kind}' role='meter' aria-valuemin='0' aria-valuemax='100' aria-valuenow='{share}' "
        f"aria-label='{texts.safe(what)}: used'><i style='width:{share}%'></i></div>"
    )
    rates = [
        ("reads", texts.number(mount.read, 0, "MB/s") if math.isfinite(mount.read) else "not told"),
        ("writes", texts.number(mount.write, 0, "MB/s") if math.isfinite(mount.write) else "not told"),
        ("workers get", texts.number(mount.seen, 0, "MB/s") if math.isfinite(mount.seen) else "not known"),
    ]
    told = "".join(f"<span>{name} <b>{value}</b></span>" for name, value in rates)
    mark = {"good": "●", "warn": "▲", "bad": "▲"}[kind]
    return (
        f"<section class='cw-sys-disk' data-place='{texts.safe(mount.place)}'><h4>{texts.safe(what)} "
        f"<span class='cw-soft'>{texts.safe(mount.place)} · {texts.safe(mount.device)} "
        f"({texts.safe(mount.type)}, {far})</span></h4>"
        f"{bar}<p><b>{size(mount.free)} free</b> of {size(mount.total)}"
        f"<span class='cw-{kind} cw-sys-full'>{mark} {texts.safe(when)}</span></p>"
        f"<p class='cw-soft cw-sys-rates' title='reads and writes: all that the machine does on this disk; workers "
        f"get: bytes of images over the seconds that workers waited for them'>{told}</p></section>"
    )


def workers(found: Iterable[Worker], names: Mapping[int, str], alive: bool, now: float) -> str:
    """A table with a row for each worker.

    Parameters
    ----------
    found : iterable of Worker
    names : mapping
        Exposures by id.
    alive : bool
        Whether the engine lives; where it does not, its workers are gone with it.
    now : float
        UTC s.
    """
    rows = "".join(_worker(worker, names, alive, now) for worker in found)
    if not rows:
        return "<p class='cw-nothing'>no worker has been here in the last hour</p>"
    heads = ("worker", "host", "state", "step", "exposure", "for", "tasks", "CPU", "memory")
    head = "".join(f"<th scope='col'>{name}</th>" for name in heads)
    return f"<table class='cw-sys-workers'><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def roll(found: Iterable[Worker], alive: bool) -> str:
    """How many workers are in which state, in words."""
    counts: dict[str, int] = {}
    for worker in found:
        state = worker.state if alive or worker.state == "lost" else "left"
        counts[state] = counts.get(state, 0) + 1
    said = [f"{counts[state]} {state}" for state in ("working", "idle", "silent") if state in counts]
    if "lost" in counts:
        said.append(f"<span class='cw-bad'>▲ {counts['lost']} lost in the last hour</span>")
    return " · ".join(said)


def _worker(worker: Worker, names: Mapping[int, str], alive: bool, now: float) -> str:
    state = worker.state if alive or worker.state == "lost" else "left"
    mark, kind = _STATES.get(state, ("–", "calm"))
    there = state not in ("lost", "left")
    step = worker.step if there or state == "lost" else ""
    began = worker.begun if there and step else worker.last if not there else math.nan
    ago = texts.duration(now - began) + ("" if there else " ago") if math.isfinite(began) else texts.NONE
    if state == "silent":
        ago = f"{texts.duration(now - worker.last)} no sign"
    cells = [
        (texts.safe(worker.name), ""),
        (texts.safe(worker.host), "cw-soft"),
        (f"{mark} {state}", f"cw-{kind}"),
        (texts.safe(step) or texts.NONE, ""),
        (texts.safe(names.get(worker.exposure or 0, "")) if step else "", "cw-soft"),
        (ago, ""),
        (f"{worker.done}", ""),
        (texts.number(worker.cpu, 0, "%") if there else texts.NONE, ""),
        (_memory(worker.memory) if there else texts.NONE, ""),
    ]
    body = "".join(f"<td class='{kind}'>{value}</td>" for value, kind in cells)
    return f"<tr data-state='{texts.safe(state)}'>{body}</tr>"


def load(newest: Columns) -> str:
    """The newest sample of the machine in numbers; `newest` is ``reader.system(limit=1)``."""
    if not len(newest["id"]):
        return ""
    at = {name: float(values[-1]) for name, values in newest.items()}
    shares = [("cpu", "CPU"), ("memory", "memory"), ("swap", "swap"), ("gpu", "GPU"), ("gpu_memory", "GPU memory")]
    cells = []
    for name, label in shares:
        if math.isfinite(at[name]):
            high = at[name] > (25 if name == "swap" else 95) and name in ("memory", "swap", "gpu_memory")
            cells.append(_cell(label, texts.number(at[name], 0, "%"), "warn" if high else ""))
    cells += [
        _cell("workers", _whole(at["workers"])),
        _cell("tasks under way", _whole(at["running"])),
        _cell("tasks waiting", _whole(at["queue"])),
    ]
    return "".join(cells)


def _cell(label: str, value: str, kind: str = "") -> str:
    mark = "▲ " if kind else ""
    return f"<div class='cw-sys-cell cw-{kind}' data-name='{label}'><b>{mark}{value}</b><span>{label}</span></div>"


def _whole(value: float) -> str:
    return f"{value:.0f}" if math.isfinite(value) else texts.NONE


def _memory(megabytes: float) -> str:
    if not math.isfinite(megabytes):
        return texts.NONE
    return f"{megabytes:.0f} MB" if megabytes < 1000 else f"{megabytes / 1000:.1f} GB"


def _said(kind: str, mark: str, sentence: str) -> str:
    return f"<span class='cw-{kind}'>{mark}</span> {texts.safe(sentence)}"
