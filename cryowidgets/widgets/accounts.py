"""As whom a kiosk runs: a user who can read the project, and can change nothing."""

from __future__ import annotations

import grp
import os
import pwd
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryowidgets.errors import ParameterError, ProjectError
from cryowidgets.store.database import NAME


@dataclass(frozen=True)
class Account:
    """A user of this machine, with the groups that give rights to read."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...] = ()

    @property
    def is_ours(self) -> bool:
        """Whether this process runs as this user already."""
        return os.geteuid() == self.uid

    def process(self) -> dict[str, Any]:
        """What `subprocess.Popen` is to be told, so that a process is this user's, and its files too."""
        theirs = {} if self.is_ours else {"user": self.uid, "group": self.gid, "extra_groups": list(self.groups)}
        return {**theirs, "umask": 0o077}

    def environment(self, home: Path) -> dict[str, str]:
        """Nothing of whoever starts the process but where programs are and how times and letters are written."""
        keep = {k: v for k, v in os.environ.items() if k in _KEPT or k.startswith("LC_")}
        return {**keep, "HOME": str(home), "TMPDIR": str(home), "USER": self.name, "LOGNAME": self.name}


_KEPT = ("PATH", "LANG", "TZ", "LD_LIBRARY_PATH")


def account(name: str) -> Account:
    """The user of a name, or of a number, which need not have a name.

    Raises
    ------
    ParameterError
        There is no such user, it is root, or it is another than ours and we are not root.
    """
    try:
        found = pwd.getpwuid(int(name)) if name.isdecimal() else pwd.getpwnam(name)
    except KeyError:
        if not name.isdecimal():
            raise ParameterError(f"There is no user {name!r} on this machine: make one, or give a number.") from None
        user = Account(name, int(name), int(name))
    else:
        groups = tuple(g.gr_gid for g in grp.getgrall() if found.pw_name in g.gr_mem)
        user = Account(found.pw_name, found.pw_uid, found.pw_gid, groups)
    if user.uid == 0:
        raise ParameterError("Root may change every project. Give the kiosk a user of its own, as --user nobody.")
    if os.geteuid() != 0 and not user.is_ours:
        raise ParameterError(
            f"Only root can start pages as {user.name}: write 'sudo cryowidgets serve … --user {user.name}', "
            f"or begin as that user, 'sudo -u {user.name} cryowidgets serve …'."
        )
    return user


def check(user: Account, project: Path) -> None:
    """See to it that a user can read a project, and can write nowhere in it.

    Raises
    ------
    ParameterError
        The user cannot run this Python.
    ProjectError
        It cannot read the project, or may change it.
    """
    try:
        asked = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _ASK, str(Path(__file__).parent), str(project), NAME],
            capture_output=True,
            text=True,
            cwd="/",
            env=user.environment(Path("/")),
            **user.process(),
        )
    except PermissionError:
        asked = None
    if asked is None or asked.returncode:
        raise ParameterError(
            f"{user.name} cannot run {sys.executable}: install cryowidgets where all may read and run it, "
            "not in a home that only you may enter."
        )
    for line in asked.stdout.splitlines():
        what, path = line.split(" ", 1)
        if what == "package":
            raise ParameterError(f"{user.name} cannot read {path}: install cryowidgets where all may read it.")
        if what == "read":
            raise ProjectError(
                f"{user.name} cannot read {path}. Let it: 'chmod -R go+rX {project}', and give the folders above "
                "the right to be entered."
            )
        raise ProjectError(
            f"{user.name} may write to {path}, and a kiosk must not. Take the right away, as 'chmod -R go-w "
            f"{project}' does, or choose a user who owns nothing there."
        )


_ASK = """
import os, sys
package, project, name = sys.argv[1:]
if not os.access(package, os.R_OK | os.X_OK):
    print("package", package)
ledger = os.path.join(project, name)
for path in (project, ledger, ledger + "-wal", ledger + "-shm"):
    right = os.R_OK | os.X_OK if path == project else os.R_OK
    if not os.access(path, right) and (path in (project, ledger) or os.path.exists(path)):
        print("read", path)
inner = [os.path.join(project, folder) for folder in ("inbox", "steps")]
for path in (project, ledger, ledger + "-wal", ledger + "-shm", *inner):
    if os.path.exists(path) and os.access(path, os.W_OK):
        print("write", path)
"""
