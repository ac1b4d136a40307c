"""The command that hangs all sessions of a facility on the wall."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(
    epilog="""
\b
Examples:
  cryowidgets wall /data/sessions
  cryowidgets wall /data/krios1 /data/krios2 --title 'Cryo-EM' --port 8870 --token "$(cat wall.token)"
  sudo cryowidgets wall /data/sessions --user kiosk

With a port and a token of your own a display finds back by itself when the server was away. The page is served on
this host's loopback only: bring it near with a tunnel, or behind a proxy that speaks TLS.
"""
)
@click.argument("roots", metavar="ROOT...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--title", default="", help="Stands at the head.  [default: name of this host]")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port to listen on.  [default: a free one]")
@click.option("--token", metavar="SECRET", help="What viewers must know, at least 16 characters.  [default: a new one]")
@click.option("--user", metavar="NAME|NUMBER", help="As whom the page is served; asks for root.")
@click.option("--base-url", default="/", show_default=True, help="Where a proxy puts the page.")
@click.option("--browser/--no-browser", default=False, help="Open the page here.")
@click.pass_context
def wall(
    ctx: click.Context,
    roots: tuple[Path, ...],
    title: str,
    port: int,
    token: str | None,
    user: str | None,
    base_url: str,
    browser: bool,
) -> None:
    """Show all sessions of a facility on one page.

    Every session whose project lies below a ROOT: those that live in large, those at rest in turn; alerts, disks, the
    newest images. To be read from across the hall; it controls nothing.
    """
    from cryowidgets.widgets import wall_pages

    ctx.exit(wall_pages.serve_wall(roots, port, token, browser, title=title, user=user, base_url=base_url))


COMMANDS = (wall,)
