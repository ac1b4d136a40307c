"""See a whole session at once: a simulated microscope, the engine, the page, and how near the results are."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import webbrowser
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cryowidgets.cli.common import ITEMS_FAILED
from cryowidgets.cli.sim import parse_faults, session_options
from cryowidgets.errors import CryowidgetsError

if TYPE_CHECKING:
    from cryowidgets.project import Project
    from cryowidgets.sim.microscope import Microscope

LOCAL = "0.8:2"
"""How far parts of the specimen move beside the whole, px."""

PARTICLES = {"diameter": "170", "classes": "6", "first": "200", "batch": "150"}
"""What the simulated molecule measures in Å, and classes that a demo of some hundred particles can fill."""

PATIENCE = 600.0
"""Seconds that the engine of a demo has after the last movie."""
INTERRUPTED = 130


@click.command(
    epilog="""
\b
Examples:
  cryowidgets demo
  cryowidgets demo --movies 100 --every 3 --keep
  cryowidgets demo --fault 4=truncated --fault 8=burst

The address that is printed opens in any browser of this machine; one is opened where there is a screen.
"""
)
@click.argument("folder", required=False, type=click.Path(file_okay=False, path_type=Path))
@session_options
@click.option("--workers", type=click.IntRange(1), help="Tasks at a time.  [default: as many as there are cores]")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port of the page.  [default: a free one]")
@click.option("--browser/--no-browser", default=None, help="Open the page.  [default: where there is a screen]")
@click.option("--keep", is_flag=True, help="Serve the page on after the end, until Ctrl-C.")
def demo(
    folder: Path | None,
    faults: tuple[str, ...],
    workers: int | None,
    port: int,
    browser: bool | None,
    keep: bool,
    **settings: Any,
) -> None:
    """See a whole session at work.

    A simulated microscope records movies, they are processed as they arrive, and a page shows it live. At the end the
    results are compared with what is true. FOLDER keeps the session; without it, it goes to a temporary one.
    """
    from cryowidgets.cli.progress import Progress

    folder = (folder or Path(tempfile.mkdtemp(prefix="cryowidgets-demo-"))).absolute()
    project, microscope, recorder = _begin(folder, faults, settings)
    with ExitStack() as cleanup:
        try:
            engine = project.run(background=True, workers=workers)
            cleanup.callback(_end, engine)
            camera = subprocess.Popen(recorder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            cleanup.callback(_end, camera)
            page = _serve(project, port, browser, cleanup)
            click.echo(f"The session is in {folder}.\n")
            with Progress(project.folder):
                while camera.poll() is None and engine.poll() is None:
                    time.sleep(0.2)
                if engine.poll() is None:
                    project.send("stop")
                    engine.wait(PATIENCE)
        except KeyboardInterrupt:
            click.echo("\nInterrupted.")
            if project.running():
                project.send("quit")
                project.wait(PATIENCE)
            _report(project, microscope)
            raise click.exceptions.Exit(INTERRUPTED) from None
        missing = _report(project, microscope)
        if page and keep:
            click.echo(f"\nThe page stays until Ctrl-C: {page.url}")
            with suppress(KeyboardInterrupt):
                page.wait()
    if missing or camera.returncode or engine.returncode not in (0, ITEMS_FAILED):
        raise click.exceptions.Exit(ITEMS_FAILED)


def _begin(folder: Path, faults: tuple[str, ...], settings: dict[str, Any]) -> tuple[Project, Microscope, list[str]]:
    """The project, the microscope that will be, and the command that runs it."""
    from cryowidgets.project import Project
    from cryowidgets.sim.microscope import Microscope

    raw = folder / "microscope"
    microscope = Microscope(raw, faults=parse_faults(faults), **settings)
    project = Project.create(
        folder / "session",
        name="demo",
        template="live_to_2d",
        answers=PARTICLES,
        movies=microscope.pattern,
        gain=str(microscope.gain),
        file_timeout="10s",
        **microscope.optics,
    )
    height, width = settings["size"]
    command = [sys.executable, "-m", "cryowidgets", "sim", str(raw), "--size", f"{height}x{width}"]
    command += ["--recipe", f"local={LOCAL}"]
    for name in ("movies", "every", "frames", "seed"):
        command += [f"--{name}", str(settings[name])]
    for fault in faults:
        command += ["--fault", fault]
    return project, microscope, command


def _serve(project: Project, port: int, browser: bool | None, cleanup: ExitStack) -> Any:
    """The page, or None where it cannot be served: the session goes on without."""
    from cryowidgets.widgets import kiosk

    try:
        page = cleanup.enter_context(kiosk.start(project.folder, port))
    except CryowidgetsError as error:
        click.echo(f"There will be no page: {error}", err=True)
        return None
    click.echo(f"The page: {page.url}")
    screen = sys.platform == "darwin" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    if screen if browser is None else browser:
        webbrowser.open(page.url)
    return page


def _report(project: Project, microscope: Microscope) -> int:
    """Print what came of it and how near it is to the truth; the number of good movies that are missing."""
    from cryowidgets.cli.words import summary
    from cryowidgets.model import Classes
    from cryowidgets.spelling import thousands

    with project.reader() as reader:
        click.echo("\n" + summary(reader))
        classes = reader.result("classes")
    if isinstance(classes, Classes):
        said = classes.reason or f"{classes.good} of them show particles"
        click.echo(f"{thousands(classes.particles)} particles were sorted into {classes.count} classes: {said}.")
    if not microscope.truth.exists():
        return 0
    score = project.compare(microscope.truth)
    click.echo("\n" + score.text())
    return len(score.missing)


def _end(process: subprocess.Popen) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


COMMANDS = (demo,)
