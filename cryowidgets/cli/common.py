"""What commands share: errors as one sentence, protocols' parameters as options, talking to an engine."""

from __future__ import annotations

import difflib
import os
from functools import cached_property
from pathlib import Path
from typing import Any

import click

from cryowidgets.errors import CryowidgetsError, ParameterError

ITEMS_FAILED, USAGE, CANNOT = 1, 2, 3

PROJECT = click.argument("project", type=click.Path(exists=True, file_okay=False, path_type=Path))


class Commands(click.Group):
    """A group that lists its commands in the order in which one needs them and tells errors without a traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except CryowidgetsError as error:
            refusal = click.ClickException(str(error))
            refusal.exit_code = USAGE if isinstance(error, ParameterError) else CANNOT
            raise refusal from None


class FromProtocol(click.Command):
    """A command with an option for every parameter of a protocol, asked of the protocol when the command is used.

    A parameter named in `required` must be given; `names` renames; `paths` are made absolute, as their files lie
    where the person who types stands.
    """

    def __init__(
        self, *args: Any, protocol: str, names: dict[str, str], required: set[str], paths: set[str], **kwargs: Any
    ):
        super().__init__(*args, **kwargs)
        self._protocol, self._names, self._required, self._paths = protocol, names, required, paths

    @cached_property
    def _options(self) -> list[click.Option]:
        from traitlets import Bool

        from cryowidgets.protocols import registry

        options = []
        for parameter in registry.get(self._protocol).parameters().values():
            flag = "--" + self._names.get(parameter.name, parameter.name).replace("_", "-")
            required = parameter.name in self._required
            switch = isinstance(parameter.trait, Bool)
            help = parameter.help
            if not (required or switch or parameter.default in ("", None)):
                help += f"  [default: {spell(parameter)}]"
            options.append(
                click.Option(
                    [flag, parameter.name],
                    help=help,
                    required=required,
                    is_flag=switch,
                    metavar=None if switch else _metavar(parameter),
                    callback=_absolute if parameter.name in self._paths else None,
                    **({"default": None} if switch else {}),  # neither on nor off: as the template has it
                )
            )
        return options

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        own = super().get_params(ctx)
        return [*own[:-1], *self._options, own[-1]]  # help comes last


def _absolute(ctx: click.Context, option: click.Parameter, value: str | None) -> str | None:
    return os.path.abspath(os.path.expanduser(value)) if value else value


def _metavar(parameter: Any) -> str:
    from cryowidgets.protocols.durations import Duration

    if isinstance(parameter.trait, Duration):
        return "DURATION"
    return parameter.unit or type(parameter.trait).__name__.upper().replace("UNICODE", "TEXT")


def spell(parameter: Any) -> str:
    """The default of a parameter as one would type it."""
    from cryowidgets.protocols import durations

    if isinstance(parameter.trait, durations.Duration):
        return durations.text(parameter.default)
    if isinstance(parameter.default, float):
        return f"{parameter.default:g}"
    return "" if parameter.default is None else str(parameter.default)


def assignments(texts: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """``step.parameter=value`` by step and parameter.

    Raises
    ------
    click.UsageError
        One is written otherwise.
    """
    found: dict[str, dict[str, str]] = {}
    for text in texts:
        target, sign, value = text.partition("=")
        step, dot, parameter = target.strip().partition(".")
        if not (sign and dot and step and parameter):
            raise click.UsageError(f"{text!r} is not step.parameter=value; write for instance 'ctf.box=1024'.")
        found.setdefault(step, {})[parameter] = value.strip()
    return found


def exposure_id(reader: Any, name: str) -> int:
    """Number of the exposure of that name.

    Raises
    ------
    click.UsageError
        There is none.
    """
    known = reader.exposures()
    ids = dict(zip(known["name"], known["id"].tolist(), strict=True))
    if name not in ids:
        near = difflib.get_close_matches(name, ids, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise click.UsageError(f"{reader.folder} has no exposure {name!r}.{hint}")
    return ids[name]


def duration(ctx: click.Context, option: click.Parameter, value: str | None) -> float | None:
    """Seconds of an option such as ``2h 30m``."""
    from cryowidgets.protocols.durations import seconds

    if value is None:
        return None
    try:
        return seconds(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def tell(project: Path, command: str, said: str, **values: Any) -> None:
    """Send a command to the engine of a project, and say what comes of it."""
    from cryowidgets.engine import inbox
    from cryowidgets.store.lock import holder
    from cryowidgets.store.queries import Reader

    Reader(project).close()  # refuses a folder that is no project
    inbox.send(project, command, **values)
    engine = holder(project)
    click.echo(said if engine and engine.alive else f"{said} No engine runs now: the next one does it first.")


class Share(click.ParamType):
    """A part of the whole: ``0.02`` or ``2%``."""

    name = "share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            text = str(value).strip()
            share = float(text[:-1]) / 100 if text.endswith("%") else float(text)
        except ValueError:
            share = -1.0
        if not 0 <= share <= 1:
            self.fail(f"{value!r} is not a share: write 0.02 or 2%.", param, ctx)
        return share
