"""A project with toy protocols, and engines that leave nothing behind."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parent
# Workers are other processes; they find the toys as they would a plug-in.
sys.path.insert(0, str(HERE))
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH", "")]))

from cryowidgets.engine.engine import Engine  # noqa: E402
from cryowidgets.engine.sources import Door  # noqa: E402
from cryowidgets.io import mrc  # noqa: E402
from cryowidgets.project import Project  # noqa: E402
from cryowidgets.protocols.import_movies import ImportMovies  # noqa: E402


@pytest.fixture
def folder(tmp_path):
    """Where a microscope would write."""
    folder = tmp_path / "session"
    folder.mkdir()
    return folder


@pytest.fixture
def door(folder, tmp_path):
    """A function that opens a door on the session's folder, hasty unless told otherwise."""
    doors = []

    def make(pattern="**/*.mrc", known=(), refused=(), **settings):
        settings = {"pixel_size": 1.0, "poll": 0.0, "file_timeout": "1h", **settings}
        doors.append(Door(ImportMovies(pattern=str(folder / pattern), **settings), tmp_path / "p", known, refused))
        return doors[-1]

    yield make
    for one in doors:
        one.close()


@pytest.fixture
def movies(tmp_path):
    """A folder, and a function that drops whole movies of so many pixels into it."""
    folder = tmp_path / "movies"
    folder.mkdir()

    def drop(*names: str, size: int = 10) -> None:
        for name in names:
            path = folder / f"{name}.mrc"
            path.parent.mkdir(parents=True, exist_ok=True)
            mrc.write(path, np.ones((1, 1, size), np.int8), pixel_size=1.0)
            old = time.time() - 3600
            os.utime(path, (old, old))  # long untouched: no need to wait for file_timeout

    drop.folder = folder
    return drop


@pytest.fixture
def project(tmp_path, movies):
    """A function that makes a project with the given steps: name, protocol, links and parameters."""

    def make(*steps: tuple, **import_params):
        pattern = str(movies.folder / "**" / "*.mrc")
        import_params = {"pixel_size": 1.0, "poll": "0.02s", "timeout": "0.3s", **import_params}
        made = Project.create(tmp_path / "p", template=None, movies=pattern, **import_params)
        for name, protocol, values in steps:
            made.workflow.add(f"toys:{protocol}", name=name, **values)
        return made

    return make


@pytest.fixture
def run():
    """Run an engine to the end of its stream; how it ended."""

    def go(project, executor="inline", **options):
        return Engine(project.folder, executor, **options).run()

    return go
