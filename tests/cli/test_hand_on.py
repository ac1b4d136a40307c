"""Commands that hand a session on: to a browser, and to RELION."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
import starfile
from click.testing import CliRunner

from cryowidgets.cli import main
from cryowidgets.project import Project
from cryowidgets.sim import microscope


def cli(*words: str, code: int = 0) -> str:
    result = CliRunner().invoke(main, list(words), catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.output


def test_serve_prints_an_address_that_works_until_interrupted(tmp_path, free_port):
    Project.create(tmp_path / "p", movies=str(tmp_path / "*.mrc"), pixel_size=1.0)
    command = [sys.executable, "-m", "cryowidgets", "serve", "p", "--kiosk", "--port", str(free_port)]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        said = server.stdout.readline()
        address = re.search(rf"http://127\.0\.0\.1:{free_port}/\S+", said)
        assert address, said
        with urllib.request.urlopen(address[0], timeout=60) as answer:
            assert answer.status == 200
        server.send_signal(signal.SIGINT)
        server.communicate(timeout=60)
    assert server.returncode == 0
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(address[0], timeout=5)


def test_serve_refuses_a_token_that_can_be_guessed(tmp_path):
    Project.create(tmp_path / "p", movies=str(tmp_path / "*.mrc"), pixel_size=1.0)
    assert "16 or more" in cli("serve", str(tmp_path / "p"), "--token", "1234", code=2)


def test_a_processed_session_is_exported(tmp_path):
    """The whole way, from counts to what RELION reads of them."""
    scope = microscope.run(tmp_path / "m", movies=2, size=512, frames=8)
    settings = {"movies": scope.pattern, "gain": str(scope.gain), **scope.optics}
    Project.create(tmp_path / "p", **settings)
    cli("run", str(tmp_path / "p"), "--executor", "inline", "--until-idle", "1", "--quiet")
    out = tmp_path / "relion"
    assert f"{out}: 2 movies, 2 corrected micrographs" in cli("export", str(tmp_path / "p"), "--relion", str(out))
    rows = starfile.read(out / "corrected_micrographs.star")["micrographs"]
    for name in rows["rlnMicrographMetadata"]:
        blocks = starfile.read(out / name)
        assert blocks["general"]["rlnMicrographMovieName"].startswith("Movies/")
        assert len(blocks["global_shift"]) == 8
    crate = tmp_path / "crate"
    said = cli("export", str(tmp_path / "p"), "--format", "rocrate", "--out", str(crate), "--thumbnails")
    assert f"{crate}: 2 movies, 2 micrographs" in said
    assert "papermill reproduce.ipynb" in said
    assert len(list((crate / "thumbnails").iterdir())) == 2
    assert (crate / "star" / "movies.star").read_text() == (out / "movies.star").read_text()
    assert "is not empty" in cli("export", str(tmp_path / "p"), "--format", "rocrate", "-o", str(crate), code=3)
    assert "has no movies to export" in cli("export", str(_empty(tmp_path)), "--relion", str(tmp_path / "no"), code=3)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "Say what to write, and where"),
        (["--format", "rocrate"], "Say what to write, and where"),
        (["--relion", "a", "--out", "b"], "leave out --format and --out"),
        (["--format", "rocrate", "--out", "a", "--copy"], "images stay out of a crate"),
        (["--relion", "a", "--thumbnails"], "--thumbnails goes with --format rocrate"),
    ],
)
def test_what_is_to_be_exported_must_be_said_once(tmp_path, options, says):
    assert says in " ".join(cli("export", str(_empty(tmp_path)), *options, code=2).split())


def _empty(tmp_path):
    return Project.create(tmp_path / "empty", movies=str(tmp_path / "*.mrc"), pixel_size=1.0).folder
