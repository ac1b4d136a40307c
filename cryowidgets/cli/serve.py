"""Commands that hand a session on to browsers."""

from __future__ import annotations

from pathlib import Path

import click

from cryowidgets.cli.common import PROJECT


@click.command(
    epilog="""
\b
Examples:
  cryowidgets serve s1                      two addresses: to control, and one to hand on, which only shows
  cryowidgets serve s1 --kiosk --port 8866  for the wall: it shows and cannot change anything
  sudo cryowidgets serve s1 --kiosk --user kiosk
                                            as a user who cannot change anything either

Whoever has the address to control may do what you may. Pages are served on this host's loopback only. From elsewhere,
bring them near with a tunnel, 'ssh -L 8866:127.0.0.1:8866 HOST', or behind a proxy that speaks TLS.
"""
)
@PROJECT
@click.option("--kiosk", is_flag=True, help="Only show: no controls, dark.")
@click.option("--user", metavar="NAME|NUMBER", help="As whom the page that only shows is served; asks for root.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port to listen on.  [default: a free one]")
@click.option("--token", metavar="SECRET", help="What people must know, at least 16 characters.  [default: a new one]")
@click.option("--look/--no-look", default=True, help="Beside the controls a page that only shows.  [default: look]")
@click.option("--look-port", type=click.IntRange(0, 65535), default=0, help="Its port.  [default: a free one]")
@click.option("--look-token", metavar="SECRET", help="What its viewers must know.  [default: a new one]")
@click.option("--pool", type=click.IntRange(0, 50), default=1, show_default=True, help="Pages kept ready to open.")
@click.option("--viewers", type=click.IntRange(1), default=50, show_default=True, help="Pages open at a time, at most.")
@click.option("--theme", type=click.Choice(["light", "dark"]), help="[default: light; dark for a kiosk]")
@click.option("--base-url", default="/", show_default=True, help="Where a proxy puts the page.")
@click.option("--browser/--no-browser", default=False, help="Open the page here.")
@click.pass_context
def serve(
    ctx: click.Context,
    project: Path,
    kiosk: bool,
    user: str | None,
    port: int,
    token: str | None,
    look: bool,
    look_port: int,
    look_token: str | None,
    pool: int,
    viewers: int,
    theme: str | None,
    base_url: str,
    browser: bool,
) -> None:
    """Serve the live page to browsers.

    Until interrupted; the engine of PROJECT need not run.
    """
    from cryowidgets.widgets import kiosk as pages

    more = {"theme": theme or "", "base_url": base_url, "pool": pool, "viewers": viewers}
    aside = {"look": look, "look_port": look_port, "look_token": look_token, "user": user}
    ctx.exit(pages.serve(project, port, kiosk, token, browser, **aside, **more))


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


COMMANDS = (serve, wizard)
