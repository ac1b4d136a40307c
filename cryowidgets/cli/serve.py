"""Commands that hand a session on: to a browser, to a notebook that records it."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from cryowidgets.cli.common import ITEMS_FAILED, PROJECT, Share, duration


@click.command(
    epilog="""
\b
Examples:
  cryowidgets serve s1                      the page with its controls, on a free port
  cryowidgets serve s1 --kiosk --port 8866  for the wall: it shows and cannot change anything

The page is served on this host's loopback only. From elsewhere, bring it near with a tunnel,
'ssh -L 8866:127.0.0.1:8866 HOST', or behind a proxy that speaks TLS.
"""
)
@PROJECT
@click.option("--kiosk", is_flag=True, help="Only show: no controls, dark.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port to listen on.  [default: a free one]")
@click.option("--token", metavar="SECRET", help="What viewers must know, at least 16 characters.  [default: a new one]")
@click.option("--theme", type=click.Choice(["light", "dark"]), help="[default: light; dark for a kiosk]")
@click.option("--base-url", default="/", show_default=True, help="Where a proxy puts the page.")
@click.option("--browser/--no-browser", default=False, help="Open the page here.")
@click.pass_context
def serve(
    ctx: click.Context,
    project: Path,
    kiosk: bool,
    port: int,
    token: str | None,
    theme: str | None,
    base_url: str,
    browser: bool,
) -> None:
    """Serve the live page to browsers.

    Until interrupted; the engine of PROJECT need not run.
    """
    from cryowidgets.widgets import kiosk as pages

    ctx.exit(pages.serve(project, port, kiosk, token, open_browser=browser, theme=theme or "", base_url=base_url))


@click.command(
    epilog="""
\b
Examples:
  cryowidgets wizard                        sessions are made in this folder
  cryowidgets wizard /data/sessions --port 8866

Whoever has the address that is printed makes projects and runs engines as you. Engines run on when the wizard ends.
"""
)
@click.argument("folder", default=".", type=click.Path(file_okay=False, exists=True, path_type=Path))
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port to listen on.  [default: a free one]")
@click.option("--token", metavar="SECRET", help="What people must know, at least 16 characters.  [default: a new one]")
@click.option(
    "--theme", type=click.Choice(["light", "dark"]), default="light", show_default=True, help="Colours of the pages."
)
@click.option("--base-url", default="/", show_default=True, help="Where a proxy puts the page.")
@click.option("--browser/--no-browser", default=False, help="Open the page here.")
@click.pass_context
def wizard(
    ctx: click.Context, folder: Path, port: int, token: str | None, theme: str, base_url: str, browser: bool
) -> None:
    """Serve the form that starts sessions.

    Choose a template, fill in its fields, start; each session has its page beside the form. Projects are made in
    FOLDER unless told otherwise.
    """
    from cryowidgets.widgets import kiosk as pages

    ctx.exit(pages.serve_wizard(folder, port, token, open_browser=browser, theme=theme, base_url=base_url))


@click.command(
    epilog="""
\b
Examples:
  cryowidgets batch s1 --until-idle 10m
  cryowidgets batch s1 --until-idle 5s --max-failed 0.02 -o report.ipynb

The exit code is 1 when more items failed than --max-failed allows, or the notebook itself failed; the notebook is
kept in any case and shows how far it came.
"""
)
@PROJECT
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="[default: PROJECT/batch.ipynb]")
@click.option("--until-idle", metavar="DURATION", callback=duration, help="End when nothing new has come for so long.")
@click.option("--workers", type=click.IntRange(1), help="Tasks at a time.  [default: as many as there are cores]")
@click.option("--executor", default="dask", show_default=True, metavar="NAME|ADDRESS", help="As for 'run'.")
@click.option(
    "--max-failed",
    type=Share(),
    default="0",
    show_default=True,
    metavar="SHARE",
    help="Failed movies that are still well: 0.02 or 2%.",
)
def batch(
    project: Path, output: Path | None, until_idle: float | None, workers: int | None, executor: str, max_failed: float
) -> None:
    """Process in a notebook that is the record.

    PROJECT is processed to the end of its stream; the notebook shows what was asked for, what came of it, with figures,
    and what failed.
    """
    import papermill
    from papermill.exceptions import PapermillExecutionError
    from traitlets.config import Config

    from cryowidgets import share

    output = output or project / "batch.ipynb"
    given = {"project": str(project.resolve()), "until_idle": until_idle, "workers": workers, "executor": executor}
    try:
        papermill.execute_notebook(
            share.find("notebooks/02_batch.ipynb"),
            output,
            parameters={**given, "max_failed": max_failed},
            progress_bar=False,
            stdout_file=sys.stdout,
            cwd=project,
            kernel_name="python3",
            config=Config({"KernelManager": {"transport": "ipc"}}),  # nobody else on the machine can listen
        )
    except PapermillExecutionError as error:
        click.echo(f"{error.ename}: {error.evalue}\nThe record: {output}", err=True)
        raise click.exceptions.Exit(ITEMS_FAILED) from None
    click.echo(f"The record: {output}")


COMMANDS = (serve, wizard, batch)
