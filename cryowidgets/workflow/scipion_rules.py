"""How a parameter of Scipion becomes one of ours, and back: the words in which the table is written.

A rule reads some of their parameters and answers with some of ours. What it cannot read it refuses with a `ValueError`
whose text finishes the sentence "left out, since …".
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from glob import glob
from pathlib import Path
from typing import Any

from cryowidgets.protocols import durations

Values = Mapping[str, Any]

AT_IMPORT = "import."
"""Before a parameter of ours: it belongs to the step that imported the movies."""


@dataclass(frozen=True)
class About:
    """What a rule may have to know besides the values.

    Attributes
    ----------
    pixel_size : float
        Of the images that the step gets, Å/px; 0 where it is not known.
    folder : path or None
        Where the file lies: relative paths count from there.
    """

    pixel_size: float = 0.0
    folder: Path | None = None


@dataclass(frozen=True)
class Rule:
    """Some parameters of a Scipion protocol, and what they are called here.

    Attributes
    ----------
    theirs : mapping
        Names of their parameters, and the value that each has where the file is silent.
    ours : tuple of str
        Names of our parameters.
    read : callable
        Their values, and what is known besides, into ours.
    write : callable
        Our values, and what is known besides, into theirs.
    """

    theirs: Mapping[str, Any]
    ours: tuple[str, ...]
    read: Callable[[Values, About], dict[str, Any]]
    write: Callable[[Values, About], dict[str, Any]]


def same(theirs: str, ours: str, default: Any, kind: Callable[[Any], Any] | None = None, empty: Any = None) -> Rule:
    """The same quantity in the same unit; `empty` is what we write where they write nothing."""
    kind = kind or (truth if isinstance(default, bool) else whole if isinstance(default, int) else number)

    def read(values: Values, about: About) -> dict[str, Any]:
        value = values[theirs]
        if value is None or value == "":
            return {} if empty is None else {ours: empty}
        return {ours: kind(value)}

    def write(values: Values, about: About) -> dict[str, Any]:
        value = values[ours]
        return {theirs: None if empty is not None and value == empty else value}

    return Rule({theirs: default}, (ours,), read, write)


def negated(theirs: str, ours: str, default: bool) -> Rule:
    """A switch that says the opposite of ours."""
    return Rule(
        {theirs: default},
        (ours,),
        lambda values, about: {ours: not truth(values[theirs])},
        lambda values, about: {theirs: not values[ours]},
    )


def scaled(theirs: str, ours: str, factor: float, default: Any, kind: Callable[[float], Any] = float) -> Rule:
    """The same quantity in another unit: ours is theirs times `factor`."""
    return Rule(
        {theirs: default},
        (ours,),
        lambda values, about: {ours: kind(neat(number(values[theirs]) * factor))},
        lambda values, about: {theirs: neat(values[ours] / factor)},
    )


def pixels(theirs: str, ours: str, factor: float, default: Any) -> Rule:
    """A length in px of theirs, which is one in Å here, `factor` times as long; it may be left open."""

    def read(values: Values, about: About) -> dict[str, Any]:
        if values[theirs] in (None, "") or number(values[theirs]) <= 0:
            return {}
        return {ours: neat(number(values[theirs]) * factor * _pixel(about, theirs))}

    def write(values: Values, about: About) -> dict[str, Any]:
        return {theirs: round(values[ours] / factor / about.pixel_size)} if about.pixel_size else {}

    return Rule({theirs: default}, (ours,), read, write)


def optional(
    theirs: str,
    ours: str,
    default: float,
    none: float = 0.0,
    factor: float = 1.0,
    kind: Callable[[Any], Any] | None = None,
) -> Rule:
    """A number that is negative where it is left open; ours is `none` then, else theirs times `factor`."""
    kind = kind or number

    def read(values: Values, about: About) -> dict[str, Any]:
        value = kind(values[theirs])
        return {ours: kind(neat(value * factor)) if value > 0 else none}

    def write(values: Values, about: About) -> dict[str, Any]:
        return {theirs: -1 if values[ours] == none else neat(values[ours] / factor)}

    return Rule({theirs: default}, (ours,), read, write)


def choice(theirs: str, ours: str, options: Sequence[Any], default: int) -> Rule:
    """One of several, which they tell by its number or a switch; None among `options` is one that we do not have."""

    switch = isinstance(default, bool)

    def read(values: Values, about: About) -> dict[str, Any]:
        index = int(truth(values[theirs])) if switch else whole(values[theirs])
        if not 0 <= index < len(options) or options[index] is None:
            raise ValueError(f"choice {index} is not known here")
        return {ours: options[index]}

    def write(values: Values, about: About) -> dict[str, Any]:
        if values[ours] not in options:
            return {}
        index = options.index(values[ours])
        return {theirs: bool(index) if switch else index}

    return Rule({theirs: default}, (ours,), read, write)


def lasting(theirs: str, ours: str, default: Any) -> Rule:
    """A time, in seconds here."""
    return Rule(
        {theirs: default},
        (ours,),
        lambda values, about: {ours: durations.seconds(values[theirs])},
        lambda values, about: {theirs: spelled(values[ours])},
    )


def defocus(low: str, high: str, defaults: tuple[float, float], micrometres: bool) -> Rule:
    """A range of defocus. Versions of the same protocol say µm or Å: below 100 it is µm.

    `micrometres` tells what the version of today takes.
    """
    factor = 1e4 if micrometres else 1.0

    def read(values: Values, about: About) -> dict[str, Any]:
        found = [number(values[name]) for name in (low, high)]
        if max(found) < 100:
            found = [neat(value * 1e4) for value in found]
        return {"defocus_min": found[0], "defocus_max": found[1]}

    def write(values: Values, about: About) -> dict[str, Any]:
        return {low: neat(values["defocus_min"] / factor), high: neat(values["defocus_max"] / factor)}

    return Rule(dict(zip((low, high), defaults, strict=True)), ("defocus_min", "defocus_max"), read, write)


def resolution(
    low: str,
    high: str,
    defaults: tuple[float, float],
    digital: bool,
    ours: tuple[str, str] = ("resolution_min", "resolution_max"),
) -> Rule:
    """A range of resolution. Versions of the same protocol say Å or digital frequency, px/Å: up to 0.5 it is that.

    `digital` tells what the version of today takes; it needs the pixel size.
    """

    def read(values: Values, about: About) -> dict[str, Any]:
        found = {}
        for name, to in zip((low, high), ours, strict=True):
            value = number(values[name])
            if not value > 0:
                raise ValueError(f"{name} {value:g} is not a resolution")
            found[to] = neat(_pixel(about, name) / value) if value <= 0.5 else value
        return found

    def write(values: Values, about: About) -> dict[str, Any]:
        if digital and not about.pixel_size:
            return {}
        return {
            name: neat(about.pixel_size / values[to]) if digital else values[to]
            for name, to in zip((low, high), ours, strict=True)
        }

    return Rule(dict(zip((low, high), defaults, strict=True)), ours, read, write)


def limit(switch: str, theirs: str, ours: str, defaults: tuple[bool, float], off: float, factor: float = 1.0) -> Rule:
    """A limit with a switch of its own; ours is theirs times `factor`, and off at the value `off`."""

    def read(values: Values, about: About) -> dict[str, Any]:
        return {ours: neat(number(values[theirs]) * factor) if truth(values[switch]) else off}

    def write(values: Values, about: About) -> dict[str, Any]:
        on = values[ours] != off
        return {switch: on, **({theirs: neat(values[ours] / factor)} if on else {})}

    return Rule({switch: defaults[0], theirs: defaults[1]}, (ours,), read, write)


def phases(switch: str, low: str, high: str) -> Rule:
    """Whether the phase shift is searched, and in which range; degrees."""

    def read(values: Values, about: About) -> dict[str, Any]:
        if not truth(values[switch]):
            return {"search_phase": False}
        return {"search_phase": True, "phase_min": number(values[low]), "phase_max": number(values[high])}

    def write(values: Values, about: About) -> dict[str, Any]:
        return {switch: values["search_phase"], low: values["phase_min"], high: values["phase_max"]}

    return Rule({switch: False, low: 0.0, high: 180.0}, ("search_phase", "phase_min", "phase_max"), read, write)


def constant(**values: Any) -> Rule:
    """Parameters of ours that theirs always means."""
    return Rule({}, tuple(values), lambda _, about: dict(values), lambda _, about: {})


def frames(first: str = "alignFrame0", last: str = "alignFrameN") -> Rule:
    """The frames used, counted from 1; old files count the first as 0."""

    def read(values: Values, about: About) -> dict[str, Any]:
        return {"first_frame": max(whole(values[first]), 1), "last_frame": max(whole(values[last]), 0)}

    def write(values: Values, about: About) -> dict[str, Any]:
        return {first: values["first_frame"], last: values["last_frame"]}

    return Rule({first: 1, last: 0}, ("first_frame", "last_frame"), read, write)


def patches(x: str, y: str, default: int) -> Rule:
    """Parts that local motion is measured from; theirs are a grid, ours are counted along the longer side."""

    def read(values: Values, about: About) -> dict[str, Any]:
        most = max(whole(values[x]), whole(values[y]))
        return {"local": "none"} if most <= 1 else {"local": "field", "patches": most}

    def write(values: Values, about: About) -> dict[str, Any]:
        count = 1 if values["local"] == "none" else values["patches"] or default
        return {x: count, y: count}

    return Rule({x: default, y: default}, ("local", "patches"), read, write)


def turned(default: int = 0) -> Rule:
    """How the gain reference lies. Their aligners are told; here the import is, and finds it out where nothing is said.

    Numbers are those of MotionCor2 and RELION: times 90°, and none, upside down, left to right.
    """
    rotation, flip = AT_IMPORT + "gain_rotation", AT_IMPORT + "gain_flip"
    flips = ("none", "up-down", "left-right")

    def read(values: Values, about: About) -> dict[str, Any]:
        quarter, mirror = whole(values["gainRot"]), whole(values["gainFlip"])
        if not (0 <= quarter <= 3 and 0 <= mirror <= 2):
            raise ValueError(f"gainRot {quarter} and gainFlip {mirror} are not known here")
        return {rotation: 90 * quarter, flip: flips[mirror]} if quarter or mirror else {}

    def write(values: Values, about: About) -> dict[str, Any]:
        if values.get(rotation, "auto") == "auto":
            return {"gainRot": 0, "gainFlip": 0}
        return {"gainRot": values[rotation] // 90, "gainFlip": flips.index(values.get(flip, "none"))}

    return Rule({"gainRot": default, "gainFlip": default}, (rotation, flip), read, write)


def file(theirs: str, ours: str) -> Rule:
    """A file, or a pattern of which the first match is meant; it must be there."""

    def read(values: Values, about: About) -> dict[str, Any]:
        path = os.path.expanduser(str(values[theirs] or "").strip())
        if not path:
            return {}
        if not os.path.isabs(path) and about.folder is not None:
            path = str(about.folder / path)
        try:
            matches = sorted(glob(path))
        except (OSError, re.error, ValueError):
            matches = []
        if not (matches and os.path.isabs(path) and os.path.isfile(matches[0])):
            raise ValueError(f"there is no file {path!r} here")
        return {ours: matches[0]}

    return Rule({theirs: None}, (ours,), read, lambda values, about: {theirs: values.get(ours) or None})


def number(value: Any) -> float:
    """A finite number, also where it is written as text."""
    if isinstance(value, bool | list | dict) or value is None:
        raise ValueError(f"{value!r} is not a number")
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{value!r} is not a number") from None
    if not math.isfinite(found):
        raise ValueError(f"{value!r} is not a number")
    return found


def whole(value: Any) -> int:
    """A whole number, also where it is written as text or with a point; of nothing, 0."""
    if value is None or value == "":
        return 0
    found = number(int(value) if isinstance(value, bool) else value)
    if found != int(found):
        raise ValueError(f"{value!r} is not a whole number")
    return int(found)


def truth(value: Any) -> bool:
    """Yes or no: a boolean, or "true" and "1" in any case; all else that they write means no."""
    if isinstance(value, str):
        return value.strip().lower() in ("true", "1")
    return bool(value)


def words(value: Any) -> str:
    """A text."""
    if isinstance(value, list | dict):
        raise ValueError(f"{value!r} is not a text")
    return str(value)


def _pixel(about: About, name: str) -> float:
    if not about.pixel_size:
        raise ValueError(f"{name} needs the pixel size, which the file does not tell")
    return about.pixel_size


def spelled(duration: float) -> str:
    """A duration as they read it: whole seconds."""
    return durations.text(max(round(duration), 1))


def neat(value: float) -> float:
    """Without the last digits that a change of unit leaves."""
    return float(f"{value:.12g}")


@dataclass(frozen=True)
class Counterpart:
    """A protocol of Scipion that one of ours stands for.

    Attributes
    ----------
    theirs : tuple of str
        Names of their classes, the one that we write first.
    ours : str
        Name of our protocol; where it is not installed the next counterpart is tried.
    inputs : mapping
        Names of our inputs, each with the pointers that may hold its source. A number after a dot is the place in a
        list.
    rules : tuple of Rule
    idle : mapping
        Parameters that have no counterpart, with their defaults: only another value is worth a word.
    when : callable, optional
        Told their values, whether this counterpart is meant.
    fits : callable, optional
        Told our values, whether theirs can hold them.
    asked : mapping
        Pointers that count only where their values say so.
    fixed : mapping
        What else to write of theirs.
    program : bool
        Whether ours runs the same outside program; where that is missing another counterpart is preferred.
    later : bool
        Whether theirs judges movies before they are aligned, and ours their micrographs.
    word : str
        What is different here, a sentence.
    """

    theirs: tuple[str, ...]
    ours: str
    inputs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    idle: Mapping[str, Any] = field(default_factory=dict)
    when: Callable[[Values], bool] | None = None
    fits: Callable[[Values], bool] | None = None
    asked: Mapping[str, Callable[[Values], bool]] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    program: bool = False
    later: bool = False
    word: str = ""
