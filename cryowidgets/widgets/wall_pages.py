"""Serve the facility wall, as the page of a session is served: see `cryowidgets.widgets.kiosk`."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cryowidgets import share
from cryowidgets.errors import ProjectError
from cryowidgets.widgets import kiosk
from cryowidgets.widgets.accounts import account
from cryowidgets.widgets.kiosk import Page


def start_wall(
    roots: Sequence[Path | str] | Path | str,
    port: int = 0,
    token: str | None = None,
    *,
    title: str = "",
    user: str | None = None,
    base_url: str = "/",
    pool: int = 1,
    viewers: int = 10,
    orphan_timeout: float = 60.0,
) -> Page:
    """Begin to serve the wall of all sessions below some folders on this host's loopback; return once it answers.

    It only shows. A page that was open finds back by itself when the server is started again, on the same port and
    with the same token.

    Parameters
    ----------
    roots : sequence of paths, or a path
        Folders below which the projects of the sessions lie. They need not be there yet.
    port, token, base_url, pool, viewers, orphan_timeout
        As of `cryowidgets.widgets.start`.
    title : str
        Stands at the head of the page; by default the name of this host.
    user : str, optional
        As whom server and kernels run: one who can read the projects and cannot write to them. Sessions that this user
        may not read are shown as such.

    Raises
    ------
    ProjectError
        No folder is named, or one is a file.
    ParameterError
        The token is short, or there can be no page of such a user.
    CryowidgetsError
        The server does not start; the message has its last words.
    """
    folders = [Path(root).absolute() for root in ([roots] if isinstance(roots, (str, Path)) else roots)]
    if not folders:
        raise ProjectError("No folder is named: write 'cryowidgets wall /data/sessions'.")
    for folder in folders:
        if folder.is_file() or os.pathsep in str(folder):
            raise ProjectError(f"{folder} cannot be a folder of projects: name one below which they lie.")
    title = title or socket.gethostname()
    settings = {
        "notebook": str(share.find("voila_apps/facility.ipynb")),
        "title": title,
        "plots": False,
        "closed": True,
        "viewers": viewers,
        "port": port,
        "base_url": base_url,
        "theme": "dark",
        "pool": pool,
        "orphan_timeout": orphan_timeout,
    }
    said = {
        "CRYOWIDGETS_ROOTS": os.pathsep.join(map(str, folders)),
        "CRYOWIDGETS_TITLE": title,
        "CRYOWIDGETS_KIOSK": "1",
    }
    return kiosk._begin(settings, said, token, account(user) if user is not None else None)


def serve_wall(
    roots: Sequence[Path | str] | Path | str,
    port: int = 0,
    token: str | None = None,
    open_browser: bool = False,
    **options: Any,
) -> int:
    """Serve the wall until interrupted; see `start_wall`. Prints the address, returns the exit code."""
    with start_wall(roots, port, token, **options) as page:
        return kiosk._stay({"Wall": page}, open_browser)
