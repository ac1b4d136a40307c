"""Programs of others, played: a script that knows the arguments of one, and writes what that one writes."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from cryowidgets import cpu
from cryowidgets.io import mrc
from cryowidgets.model import Ctf, Micrograph, Movie, Optics
from cryowidgets.protocols.out import Out

SCRIPT = """#!{python} -SE
import json, os, shutil, sys, time
here = {here!r}
with open(here + "/play.json") as file:
    play = json.load(file)
told = sys.stdin.read()
if sys.argv[1:] == play["question"] and not told:
    print(play["greeting"])
    sys.exit(play["greets_with"])
run = dict(arguments=sys.argv[1:], told=told, files=sorted(os.listdir(".")), folder=os.getcwd())
names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "CUDA_VISIBLE_DEVICES")
run["environment"] = {{name: os.environ.get(name) for name in names}}
with open(here + "/runs.jsonl", "a") as file:
    file.write(json.dumps(run) + "\\n")
for word in sys.argv[1:]:
    if word[:1] == "-" and not word[1:2].isdigit() and word not in play["flags"]:
        sys.exit("I do not know " + word)
for name in play["reads"]:
    if not os.path.exists(name):
        sys.exit("Cannot open " + name)
print(play["says"], flush=True)
if play["mode"] == "fails":
    sys.stderr.write("CUDA error: out of memory\\n")
    sys.exit(3)
if play["mode"] == "hangs":
    time.sleep(60)
if play["mode"] == "crashes":
    os.abort()
for folder, _, names in os.walk(here + "/gives"):
    to = os.path.join(".", os.path.relpath(folder, here + "/gives"))
    os.makedirs(to, exist_ok=True)
    for name in names:
        with open(os.path.join(folder, name), "rb") as file:
            data = file.read()
        if play["mode"] == "halves":
            data = data[: len(data) // 2]
        with open(os.path.join(to, name), "wb") as file:
            file.write(data)
"""


@pytest.fixture(autouse=True)
def own_locks(tmp_path, monkeypatch):
    """GPUs are shared by locks of the whole machine; tests that run at the same time have different machines."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))


class Fake:
    """A program that is played.

    Parameters
    ----------
    flags : str
        All arguments that it knows, as its documentation lists them.
    greeting : str
        What it says when asked for its version with `question`.
    """

    def __init__(self, folder: Path, name: str, flags: str, greeting: str, question=("--version",), greets_with=0):
        self.folder, self.path = folder, folder / name
        (folder / "gives").mkdir(parents=True)
        self._play = {
            "flags": flags.split(),
            "greeting": greeting,
            "question": list(question),
            "greets_with": greets_with,
            "reads": [],
            "says": "working",
            "mode": "works",
        }
        self.play()
        self.path.write_text(SCRIPT.format(python=sys.executable, here=str(folder)))
        self.path.chmod(0o755)

    def play(self, **changed) -> Fake:
        self._play.update(changed)
        (self.folder / "play.json").write_text(json.dumps(self._play))
        return self

    def gives(self, name: str, content: str | np.ndarray, pixel_size: float = 1.0) -> Fake:
        path = self.folder / "gives" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            path.write_text(content)
        else:
            mrc.write(path, content, pixel_size)
        return self

    @property
    def runs(self) -> list[dict]:
        """What each run was given."""
        path = self.folder / "runs.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def fake(tmp_path):
    """Makes programs that are played, each in a folder of its own."""
    return lambda name, *args, **kwargs: Fake(tmp_path / f"fake-{name}", name, *args, **kwargs)


@pytest.fixture(autouse=True)
def one_thread():
    """Programs are told one thread, whatever an engine of another test has set in this process."""
    before = cpu.threads()
    cpu.set_threads(1)
    yield
    cpu.set_threads(before)


@pytest.fixture
def three_threads(one_thread):
    cpu.set_threads(3)


OPTICS = Optics(pixel_size=1.5, voltage=300.0, cs=2.7, amplitude_contrast=0.1, dose_per_frame=1.25)


@pytest.fixture
def optics():
    return OPTICS


@pytest.fixture
def project(tmp_path):
    (tmp_path / "project" / "steps" / "one").mkdir(parents=True)
    return tmp_path / "project"


@pytest.fixture
def out(project):
    return Out(project, "steps/one", "m001")


@pytest.fixture
def micrograph(project):
    """A micrograph of noise, 60×80 px, in the project; its name has a space."""
    path = project / "m 001.mrc"
    mrc.write(path, np.random.default_rng(1).normal(10, 2, (60, 80)).astype(np.float32), OPTICS.pixel_size)
    return Micrograph(name="m001", path=str(path), optics=OPTICS, pixel_size=1.5, height=60, width=80)


@pytest.fixture
def ctf(micrograph):
    return Ctf(
        micrograph=micrograph.path, defocus_u=15000.0, defocus_v=14500.0, angle=30.0, score=0.2, fit_resolution=4.0
    )


@pytest.fixture
def movie(project):
    """A movie of six frames of noise and its gain."""
    rng = np.random.default_rng(2)
    mrc.write(project / "m001_movie.mrc", rng.poisson(2, (6, 60, 80)).astype(np.uint8), OPTICS.pixel_size)
    mrc.write(project / "gain.mrc", rng.normal(1, 0.02, (60, 80)).astype(np.float32))
    return Movie(
        name="m001", path=str(project / "m001_movie.mrc"), optics=OPTICS, frames=6, gain=str(project / "gain.mrc")
    )
