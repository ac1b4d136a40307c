"""Simulate a microscope that fills a folder."""

from __future__ import annotations

import dataclasses
import signal
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from cryowidgets.sim.microscope import Microscope


class Size(click.ParamType):
    """Side of a frame: ``1024``, or ``4092x5760`` for y and x."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        sides = str(value).lower().replace("×", "x").split("x")
        if not (len(sides) <= 2 and all(side.isdigit() for side in sides)):
            self.fail(f"{value!r} is not a size: write 1024, or 4092x5760 for y and x.", param, ctx)
        return int(sides[0]), int(sides[-1])


def session_options(command: Any) -> Any:
    """Options that `sim` and `demo` have in common."""
    for option in reversed(
        (
            click.option("--movies", type=click.IntRange(1), default=24, show_default=True, help="How many."),
            click.option(
                "--every", type=float, default=5.0, show_default=True, metavar="S", help="Seconds from one to the next."
            ),
            click.option(
                "--size", type=Size(), default="1024", show_default=True, help="Frame in px: 4096, 4092x5760."
            ),
            click.option("--frames", type=click.IntRange(1), default=20, show_default=True, help="Frames of a movie."),
            click.option("--seed", type=int, default=1, show_default=True, help="Another seed, another session."),
            click.option(
                "--fault",
                "faults",
                multiple=True,
                metavar="N[-M]=FAULT",
                help="What goes wrong with movie N, or with N to M, as often as needed: truncated, zero-byte, "
                "unreadable, corrupt, fewer frames, vanishes, pause, burst, rsync, same name, far focus, astigmatic, "
                "drift storm, faint beam, crystalline ice, empty hole, other camera.",
            ),
        )
    ):
        command = option(command)
    return command


@click.command(
    epilog="""
\b
Examples:
  cryowidgets sim /tmp/session --movies 100 --every 6
  cryowidgets sim /tmp/k3 --size 4092x5760 --frames 40 --every 0
  cryowidgets sim /tmp/bad --movies 10 --fault 3=truncated --fault '5=fewer frames'
  cryowidgets sim /tmp/worse --movies 200 --fault '80-120=drift storm' --fault '150-180=far focus'
  cryowidgets sim /tmp/dirty --preset hard --recipe tilt=20:40
  cryowidgets sim /tmp/far --recipe defocus=20000:40000 --recipe drift=5

Movies come in folders as of EPU, or flat as of SerialEM, with the gain reference in gain.mrc. What is true about them
is in truth.json. 'cryowidgets new PROJECT --movies' takes the pattern that is printed.
"""
)
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@session_options
@click.option(
    "--format", type=click.Choice(["tiff", "mrc", "eer"]), default="tiff", show_default=True, help="Of the files."
)
@click.option("--tree", type=click.Choice(["epu", "flat"]), default="epu", show_default=True, help="Folders and names.")
@click.option("--write-seconds", type=float, default=2.0, show_default=True, help="How long a file takes to grow.")
@click.option("--pause-seconds", type=float, default=30.0, show_default=True, help="How long a pause lasts.")
@click.option(
    "--preset",
    type=click.Choice(["usual", "hard", "empty"]),
    default="usual",
    show_default=True,
    help="hard: carbon, dirt, uneven ice, rippling motion. empty: nothing but electrons.",
)
@click.option(
    "--recipe",
    "ranges",
    multiple=True,
    metavar="NAME=VALUE[:HIGH]",
    help="What is in the movies, a value or a range: defocus, astigmatism (Å), drift, local (px), tilt, …",
)
def sim(out: Path, preset: str, ranges: tuple[str, ...], faults: tuple[str, ...], seed: int, **settings: Any) -> None:
    """Simulate a microscope that fills a folder.

    Movies with known answers appear in OUT at the pace of a real session; the files grow while they are written.
    """
    from cryowidgets.sim.microscope import Microscope

    microscope = Microscope(
        out, recipe=_recipe(ranges, seed, preset), faults=parse_faults(faults), seed=seed, **settings
    )
    optics = " ".join(f"--{name.replace('_', '-')} {value:g}" for name, value in microscope.optics.items())
    click.echo(f"cryowidgets new PROJECT --movies '{microscope.pattern}' --gain {microscope.gain} {optics}")
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with ThreadPoolExecutor(1) as pool:
            recording = pool.submit(microscope.run, stop)
            _watch(microscope, recording)
            done = recording.result()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    click.echo(f"{done} movies in {microscope.out}; what is true about them: {microscope.truth}")


def _watch(microscope: Microscope, recording: Future) -> None:
    """Show how many movies there are until all are."""
    from tqdm import tqdm

    with tqdm(total=microscope.movies, unit="movie", disable=not sys.stderr.isatty(), dynamic_ncols=True) as bar:
        over = False
        while not over:
            over = bool(wait([recording], 0.5).done)  # one more look at the very end
            if microscope.truth.exists():
                bar.n = microscope.truth.read_text().count('"number":')
                bar.refresh()


def parse_faults(texts: tuple[str, ...]) -> dict[int, str]:
    """``3=truncated`` by the number of the movie, ``40-80=drift storm`` by those of all of them."""
    found: dict[int, str] = {}
    for text in texts:
        numbers, sign, fault = text.partition("=")
        ends = [end.strip() for end in numbers.split("-")]
        if not (sign and len(ends) <= 2 and all(end.isdigit() for end in ends)):
            said = "write number=fault, for instance '3=truncated' or '40-80=drift storm'"
            raise click.UsageError(f"{text!r} is not a fault: {said}.")
        found.update(dict.fromkeys(range(int(ends[0]), int(ends[-1]) + 1), fault.strip()))
    return found


def _recipe(ranges: tuple[str, ...], seed: int, preset: str) -> Any:
    """The recipe of that name with other values: ``drift=5``, ``defocus=7000:30000``."""
    from cryowidgets.sim.recipe import Recipe, empty, hard

    known = {f.name: f for f in dataclasses.fields(Recipe)}
    values: dict[str, Any] = {"molecule": seed, "camera": seed}
    for text in ranges:
        name, sign, value = (part.strip() for part in text.partition("="))
        if not sign or name not in known or name in ("shape", "frames"):
            choice = ", ".join(n for n in known if n not in ("shape", "frames"))
            raise click.UsageError(f"{text!r}: write name=value or name=low:high with one of {choice}.")
        try:
            numbers = tuple(map(float, value.split(":")))
        except ValueError:
            numbers = ()
        ranged = "Range" in str(known[name].type)
        if not 1 <= len(numbers) <= 1 + ranged:
            raise click.UsageError(f"{text!r}: {name} takes a number{' or a range low:high' if ranged else ''}.")
        one = int(numbers[0]) if known[name].type == "int" else numbers[0]
        values[name] = numbers if len(numbers) == 2 else one
    begin = {"usual": Recipe, "hard": hard, "empty": empty}[preset]()
    return dataclasses.replace(begin, **values)


COMMANDS = (sim,)
