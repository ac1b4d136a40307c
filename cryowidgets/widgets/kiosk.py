"""Serve the page of a session, for the person who controls it or as a kiosk that only shows; or the wizard.

Each has a server of its own: a process, a token, a cookie. Those who only look are let into a process that has nothing
to give but the look: it can run as a user who has no right to write, and its token opens no other door.
"""

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
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from cryowidgets import share
from cryowidgets.errors import CryowidgetsError, ParameterError, ProjectError
from cryowidgets.store.database import NAME
from cryowidgets.widgets.accounts import Account, account, check

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

    def __init__(self, process: subprocess.Popen, folder: Path, log: IO[bytes], address: str, token: str) -> None:
        self.process, self.address, self.token = process, address, token
        self._folder, self._log = folder, log

    @property
    def url(self) -> str:
        return f"{self.address}?token={self.token}"

    @property
    def log(self) -> str:
        """What the server had to say so far."""
        return _words(self._log)

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
        self._log.close()
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
    viewers: int = 50,
    user: str | None = None,
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
        Kernels kept ready, each about 60 MB: with one, a page opens about 2 s faster. Until somebody looks they do
        nothing.
    viewers : int
        Pages at a time; who comes later is asked to wait.
    user : str, optional
        Name or number of the user as whom server and kernels run, for a kiosk: one who can read the project, and can
        write nowhere in it. Where it is another than ours, we have to be root.
    orphan_timeout : float
        Seconds after which the kernel of a page that is gone ends.

    Raises
    ------
    ProjectError
        The folder is no project, or its rights are not such that `user` can read it and not write.
    ParameterError
        The token is short, or there can be no page of such a user.
    CryowidgetsError
        The server does not start; the message has its last words.
    """
    folder = Path(project).absolute()
    if not (folder / NAME).is_file():
        raise ProjectError(f"{folder} is not a project: it has no {NAME}. Make one with 'cryowidgets new {folder} …'.")
    if user is not None and not kiosk:
        raise ParameterError("Only a kiosk runs as another user: who controls writes to the project. Add --kiosk.")
    theirs = account(user) if user is not None else None
    if theirs is not None:
        check(theirs, folder)
    settings = {
        "notebook": str(share.find(f"voila_apps/{'session' if kiosk else 'control'}.ipynb")),
        "title": folder.name,
        "plots": True,
        "closed": kiosk,
        "viewers": viewers,
        "port": port,
        "base_url": base_url,
        "theme": theme or ("dark" if kiosk else "light"),
        "pool": pool,
        "orphan_timeout": orphan_timeout,
    }
    said = {
        "CRYOWIDGETS_PROJECT": str(folder),
        "CRYOWIDGETS_KIOSK": "1" if kiosk else "",
        "CRYOWIDGETS_WARM": "1",
    }
    return _begin(settings, said, token, theirs)


def start_wizard(
    folder: Path | str = ".",
    port: int = 0,
    token: str | None = None,
    *,
    theme: str = "light",
    base_url: str = "/",
    pool: int = 1,
    viewers: int = 50,
    orphan_timeout: float = 60.0,
) -> Page:
    """Begin to serve the wizard, and beside it the pages of the sessions that it starts, with their controls.

    Whoever has the token makes projects and runs engines as this user.

    Parameters
    ----------
    folder : path
        Where projects are made unless told otherwise.
    port, token, theme, base_url, pool, viewers, orphan_timeout
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
        "sessions": str(share.find("voila_apps/control.ipynb")),
        "title": "New session",
        "plots": False,
        "closed": False,
        "viewers": viewers,
        "port": port,
        "base_url": base_url,
        "theme": theme,
        "pool": pool,
        "orphan_timeout": orphan_timeout,
    }
    said = {"CRYOWIDGETS_PROJECTS": str(folder), "CRYOWIDGETS_SESSIONS": "1"}
    return _begin(settings, said, token)


def _begin(settings: dict[str, Any], said: dict[str, str], token: str | None, user: Account | None = None) -> Page:
    """Start the server's process; `said` are environment variables for the kernels of its pages."""
    if token is not None and len(token) < 16:
        raise ParameterError(f"A token of {len(token)} characters can be guessed: give 16 or more, or none.")
    _check_port(settings["port"])
    token = token or secrets.token_urlsafe(24)
    private = Path(tempfile.mkdtemp(prefix="cryowidgets-"))  # readable for this user alone
    (private / "settings.json").write_text(json.dumps({**settings, "ip": HOST, "token": token}))
    if user is not None and not user.is_ours:
        for path in (private / "settings.json", private):
            os.chown(path, user.uid, user.gid)
    with open(private / "log", "ab") as written:
        log = open(private / "log", "rb")
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "cryowidgets.widgets.viewers", str(private)],
            stdin=subprocess.PIPE,
            stdout=written,
            stderr=written,
            cwd=private,
            env=_environment(private, said, user),
            start_new_session=True,  # Ctrl-C reaches us alone, and we end the server in good order
            **(user.process() if user is not None else {}),
        )
    return Page(process, private, log, _address(process, private, log), token)


def serve(
    project: Path | str,
    port: int = 0,
    kiosk: bool = False,
    token: str | None = None,
    open_browser: bool = False,
    look: bool = True,
    look_port: int = 0,
    look_token: str | None = None,
    user: str | None = None,
    **options: Any,
) -> int:
    """Serve the page of a project until interrupted; see `start` for the parameters.

    Prints the address; `open_browser` opens it as well. Without `kiosk` there are two: the first controls; the second,
    unless `look` is False, only shows, and may be handed on. Returns the exit code, 0 unless a server failed.
    """
    name = Path(project).name
    with ExitStack() as pages:
        if kiosk:
            page = pages.enter_context(start(project, port, True, token, user=user, **options))
            return _stay({f"Kiosk {name}": page}, open_browser)
        served = {f"Session {name}": pages.enter_context(start(project, port, False, token, **options))}
        if look:
            look_options = {**options, "theme": options.get("theme") or "light", "user": user}
            served["To look at only"] = pages.enter_context(start(project, look_port, True, look_token, **look_options))
        return _stay(served, open_browser)


def serve_wizard(
    folder: Path | str = ".", port: int = 0, token: str | None = None, open_browser: bool = False, **options: Any
) -> int:
    """Serve the wizard until interrupted; as `serve`, see `start_wizard` for the parameters."""
    with start_wizard(folder, port, token, **options) as page:
        return _stay({"Wizard": page}, open_browser)


def _stay(pages: dict[str, Page], open_browser: bool) -> int:
    """Say the addresses, by what they are for, and wait until interrupted or the end of a server."""
    for name, page in pages.items():
        print(f"{name}: {page.url}", flush=True)
    if open_browser:
        webbrowser.open(next(iter(pages.values())).url)
    old = signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        while all(page.process.poll() is None for page in pages.values()):
            time.sleep(0.2)
    except KeyboardInterrupt:
        return 0
    finally:
        signal.signal(signal.SIGTERM, old)
    ended = next(page for page in pages.values() if page.process.poll() is not None)
    print(ended.log[-2000:], file=sys.stderr)
    return ended.process.returncode or 1


def _check_port(port: int) -> None:
    """At once, rather than after the seconds that the server takes to start."""
    try:
        with socket.create_server((HOST, port)):
            pass
    except OSError as error:
        raise CryowidgetsError(
            f"Port {port} of {HOST} cannot be used: {error.strerror}. Choose another, or 0 for a free one."
        ) from None


def _environment(private: Path, said: dict[str, str], user: Account | None) -> dict[str, str]:
    """Ours, less what a user's own Jupyter has set: a kiosk looks and behaves the same for everyone."""
    others = ("JUPYTER", "VOILA", "IPYTHON", "JPY_", "CRYOWIDGETS_KIOSK", "CRYOWIDGETS_SESSIONS", "CRYOWIDGETS_WARM")
    given = user.environment(private) if user is not None else os.environ
    keep = {k: v for k, v in given.items() if not k.startswith(others)}
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
        "CRYOWIDGETS_PAGES": str(private / "pages"),
    }


def _address(process: subprocess.Popen, private: Path, log: IO[bytes]) -> str:
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        if (private / "address").exists():
            return _said_address(private / "address")
        time.sleep(0.05)
    process.kill()
    process.communicate()
    words = _words(log)
    log.close()
    shutil.rmtree(private, ignore_errors=True)
    raise CryowidgetsError(f"The page server did not start. Its last words:\n{words[-2000:]}")


def _said_address(file: Path) -> str:
    """The folder may be another user's, who is not to lead us to a file of ours."""
    with open(os.open(file, os.O_RDONLY | os.O_NOFOLLOW)) as content:
        return content.read(2000)


def _words(log: IO[bytes]) -> str:
    log.seek(0)
    return log.read().decode(errors="replace")
