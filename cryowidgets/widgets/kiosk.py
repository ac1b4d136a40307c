"""Serve the page of a session, for the person who controls it or as a kiosk that only shows; or the wizard."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import webbrowser
from pathlib import Path
from typing import Any

from cryowidgets import share
from cryowidgets.errors import CryowidgetsError, ParameterError, ProjectError
from cryowidgets.store.database import NAME

SHARE = Path(__file__).parent / "share"
HOST = "127.0.0.1"


class Page:
    """A page that is being served, by a process of its own. A context manager; `stop` ends it.

    Attributes
    ----------
    url : str
        The address, with its token. Whoever has it may see the page.
    process : subprocess.Popen
        The server.
    """

    def __init__(self, process: subprocess.Popen, folder: Path, address: str, token: str) -> None:
        self.process, self.address, self.token = process, address, token
        self._folder = folder

    @property
    def url(self) -> str:
        return f"{self.address}?token={self.token}"

    @property
    def log(self) -> str:
        """What the server had to say so far."""
        return (self._folder / "log").read_text(errors="replace")

    def wait(self) -> int:
        """Wait for the server to end; its exit code."""
        return self.process.wait()

    def stop(self) -> None:
        """End the server and the kernels of its viewers."""
        if self.process.poll() is None and self.process.stdin:
            self.process.stdin.close()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Page:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def start(
    project: Path | str,
    port: int = 0,
    kiosk: bool = False,
    token: str | None = None,
    *,
    theme: str = "",
    base_url: str = "/",
    pool: int = 1,
    orphan_timeout: float = 60.0,
) -> Page:
    """Begin to serve the page of a project on this host's loopback, and return once it answers.

    Other hosts reach it through a tunnel or a proxy, which brings encryption; the page itself is plain HTTP.

    Parameters
    ----------
    project : Path or str
        The project folder.
    port : int
        0 takes a free one.
    kiosk : bool
        Only show: no controls, and a dark theme unless told otherwise.
    token : str, optional
        What a viewer has to know; a new one is made where None. At least 16 characters.
    theme : {"", "light", "dark"}
    base_url : str
        Where a proxy puts the page, with a slash at both ends.
    pool : int
        Kernels kept ready, each about 80 MB: with one, a page opens about 2 s faster.
    orphan_timeout : float
        Seconds after which the kernel of a page that is gone ends.

    Raises
    ------
    ProjectError
        The folder is no project.
    CryowidgetsError
        The server does not start; the message has its last words.
    """
    folder = Path(project).absolute()
    if not (folder / NAME).is_file():
        raise ProjectError(f"{folder} is not a project: it has no {NAME}. Make one with 'cryowidgets new {folder} …'.")
    settings = {
        "notebook": str(share.find("voila_apps/session.ipynb")),
        "title": folder.name,
        "port": port,
        "base_url": base_url,
        "theme": theme or ("dark" if kiosk else "light"),
        "pool": pool,
        "orphan_timeout": orphan_timeout,
    }
    said = {
        "CRYOWIDGETS_PROJECT": str(folder),
        "CRYOWIDGETS_CONTROL": "" if kiosk else "1",
        "CRYOWIDGETS_KIOSK": "1" if kiosk else "",
    }
    return _begin(settings, said, token)


def start_wizard(
    folder: Path | str = ".",
    port: int = 0,
    token: str | None = None,
    *,
    theme: str = "light",
    base_url: str = "/",
    pool: int = 1,
    orphan_timeout: float = 60.0,
) -> Page:
    """Begin to serve the wizard, and beside it the pages of the sessions that it starts, with their controls.

    Whoever has the token makes projects and runs engines as this user.

    Parameters
    ----------
    folder : path
        Where projects are made unless told otherwise.
    port, token, theme, base_url, pool, orphan_timeout
        As of `start`.

    Raises
    ------
    ProjectError
        There is no such folder.
    CryowidgetsError
        The server does not start; the message has its last words.
    """
    folder = Path(folder).absolute()
    if not folder.is_dir():
        raise ProjectError(f"{folder} is not a folder: name one that projects are to be made in.")
    settings = {
        "notebook": str(share.find("voila_apps/wizard.ipynb")),
        "sessions": str(share.find("voila_apps/session.ipynb")),
        "title": "New session",
        "port": port,
        "base_url": base_url,
        "theme": theme,
        "pool": pool,
        "orphan_timeout": orphan_timeout,
    }
    said = {"CRYOWIDGETS_PROJECTS": str(folder), "CRYOWIDGETS_SESSIONS": "1", "CRYOWIDGETS_CONTROL": "1"}
    return _begin(settings, said, token)


def _begin(settings: dict[str, Any], said: dict[str, str], token: str | None) -> Page:
    """Start the server's process; `said` are environment variables for the kernels of its pages."""
    if token is not None and len(token) < 16:
        raise ParameterError(f"A token of {len(token)} characters can be guessed: give 16 or more, or none.")
    _check_port(settings["port"])
    token = token or secrets.token_urlsafe(24)
    private = Path(tempfile.mkdtemp(prefix="cryowidgets-"))  # readable for this user alone
    (private / "settings.json").write_text(json.dumps({**settings, "ip": HOST, "token": token}))
    with open(private / "log", "wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "cryowidgets.widgets.viewers", str(private)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            cwd=private,
            env=_environment(private, said),
            start_new_session=True,  # Ctrl-C reaches us alone, and we end the server in good order
        )
    return Page(process, private, _address(process, private), token)


def serve(
    project: Path | str,
    port: int = 0,
    kiosk: bool = False,
    token: str | None = None,
    open_browser: bool = False,
    **options: Any,
) -> int:
    """Serve the page of a project until interrupted; see `start` for the parameters.

    Prints the address; `open_browser` opens it as well. Returns the exit code, 0 unless the server failed.
    """
    with start(project, port, kiosk, token, **options) as page:
        return _stay(page, f"{'Kiosk' if kiosk else 'Session'} {Path(project).name}", open_browser)


def serve_wizard(
    folder: Path | str = ".", port: int = 0, token: str | None = None, open_browser: bool = False, **options: Any
) -> int:
    """Serve the wizard until interrupted; as `serve`, see `start_wizard` for the parameters."""
    with start_wizard(folder, port, token, **options) as page:
        return _stay(page, "Wizard", open_browser)


def _stay(page: Page, name: str, open_browser: bool) -> int:
    print(f"{name}: {page.url}", flush=True)
    if open_browser:
        webbrowser.open(page.url)
    old = signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        code = page.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        signal.signal(signal.SIGTERM, old)
    print(page.log[-2000:], file=sys.stderr)
    return code or 1


def _check_port(port: int) -> None:
    """At once, rather than after the seconds that the server takes to start."""
    try:
        with socket.create_server((HOST, port)):
            pass
    except OSError as error:
        raise CryowidgetsError(
            f"Port {port} of {HOST} cannot be used: {error.strerror}. Choose another, or 0 for a free one."
        ) from None


def _environment(private: Path, said: dict[str, str]) -> dict[str, str]:
    """Ours, less what a user's own Jupyter has set: a kiosk looks and behaves the same for everyone."""
    others = ("JUPYTER", "VOILA", "IPYTHON", "JPY_", "CRYOWIDGETS_KIOSK", "CRYOWIDGETS_CONTROL", "CRYOWIDGETS_SESSIONS")
    keep = {k: v for k, v in os.environ.items() if not k.startswith(others)}
    return {
        **keep,
        "JUPYTER_PATH": str(SHARE),
        "JUPYTER_CONFIG_DIR": str(private / "config"),
        "JUPYTER_DATA_DIR": str(private / "data"),
        "JUPYTER_RUNTIME_DIR": str(private / "runtime"),
        "IPYTHONDIR": str(private / "ipython"),
        "OPENBLAS_NUM_THREADS": "1",  # a viewer computes nothing, and threads cost memory
        **said,
        "CRYOWIDGETS_DRAWINGS": str(private / "drawings.json"),
    }


def _address(process: subprocess.Popen, private: Path) -> str:
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        if (private / "address").exists():
            return (private / "address").read_text()
        time.sleep(0.05)
    process.kill()
    process.communicate()
    words = (private / "log").read_text(errors="replace")
    shutil.rmtree(private, ignore_errors=True)
    raise CryowidgetsError(f"The page server did not start. Its last words:\n{words[-2000:]}")
