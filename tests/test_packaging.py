"""What is shipped: imports run one way and stay light, the lock is whole, no address of a machine is left behind."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

HEAVY = {"ipywidgets", "bokeh", "IPython", "anywidget", "matplotlib", "dask", "distributed", "scipy", "pandas", "voila"}

# Spelled so that this file does not match itself.
FOREIGN = {
    "the address of a package registry": r"python"
    r"hosted\.org|pypi"
    r"\.org|registry\.npm"
    r"js|debian"
    r"\.org/debian",
    "the page of a package index": r"https?://[^\s\"']*/simp" r"le\b",
    "a path of one machine": r"(?<![\w.~})])/(?:work|root|home|Users)/\w",
    "work left undone": r"\b(?:TO" r"DO|FIX" r"ME)\b",
}


@pytest.fixture(scope="module")
def pyproject(checkout) -> dict:
    return tomllib.loads((checkout / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def tracked(checkout) -> dict[str, str]:
    """Text of every file that git keeps here or would."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=checkout, check=True, capture_output=True, text=True).stdout.split("\0")
    texts = {}
    for name in filter(None, names):
        try:
            texts[name] = (checkout / name).read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError):  # pictures; removed but not yet committed
            continue
    assert "pyproject.toml" in texts
    return texts


def python(code: str, **environment: str) -> str:
    """What another interpreter, which has imported nothing of ours yet, prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **environment}, cwd="/"
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_contracts(checkout):
    """In a process of its own, as import-linter silences all loggers of the process that it runs in."""
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-cache"], cwd=checkout, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert ", 0 broken." in done.stdout


@pytest.mark.parametrize(
    "code",
    [
        "import cryowidgets",
        "import cryowidgets.cli",
        "import cryowidgets.store.queries",
        "import cryowidgets.engine.inbox",
        "import cryowidgets.protocols.registry as r; r.names()",
    ],
)
def test_what_starts_often_loads_little(code):
    loaded = python(f"{code}; import sys; print(*{{name.split('.')[0] for name in sys.modules}})")
    assert HEAVY.isdisjoint(loaded.split())


def test_the_door_itself_loads_nothing_of_ours():
    loaded = python("import cryowidgets, sys; print(*(n for n in sys.modules if n.startswith('cryowidgets')))")
    assert loaded.split() == ["cryowidgets"]


def test_a_worker_draws_nothing():
    code = "import cryowidgets.protocols.registry as r, sys; [r.get(n) for n in r.installed()]; print(*sys.modules)"
    assert {"ipywidgets", "bokeh", "IPython", "anywidget", "matplotlib"}.isdisjoint(python(code).split())


def test_every_name_of_the_door_opens():
    import cryowidgets

    for name in cryowidgets.__all__:
        assert getattr(cryowidgets, name) is not None
    assert set(cryowidgets.__all__) <= set(dir(cryowidgets))
    with pytest.raises(AttributeError, match="Projekt"):
        cryowidgets.Projekt  # noqa: B018


def test_lock_covers_what_is_required(checkout, pyproject):
    lock = (checkout / "requirements.lock").read_text()
    entries = re.split(r"\n(?=[a-z0-9])", lock)[1:]
    locked = {}
    for entry in entries:
        requirement = Requirement(entry.split("\\")[0])
        assert "--hash=sha256:" in entry, requirement.name
        (pin,) = requirement.specifier
        assert pin.operator == "=="
        locked.setdefault(canonicalize_name(requirement.name), []).append(Version(pin.version))
    project = pyproject["project"]
    wanted = (
        project["dependencies"] + project["optional-dependencies"]["test"] + pyproject["dependency-groups"]["build"]
    )
    for text in wanted + pyproject["build-system"]["requires"]:
        requirement = Requirement(text)
        versions = locked.get(canonicalize_name(requirement.name))
        assert versions, f"{requirement.name} is not in requirements.lock: run `make lock`"
        assert all(requirement.specifier.contains(v, prereleases=True) for v in versions), text


def test_lock_names_no_host(checkout):
    assert "://" not in (checkout / "requirements.lock").read_text()


@pytest.mark.parametrize("what", FOREIGN)
def test_no_tracked_file_holds(what, tracked):
    found = [
        f"{name}:{text.count(chr(10), 0, hit.start()) + 1}: {hit.group()}"
        for name, text in tracked.items()
        for hit in re.finditer(FOREIGN[what], text)
    ]
    assert not found, what


def test_notebooks_are_kept_without_output(tracked):
    notebooks = {name: json.loads(text) for name, text in tracked.items() if name.endswith(".ipynb")}
    assert notebooks
    for name, notebook in notebooks.items():
        for cell in notebook["cells"]:
            assert not cell.get("outputs"), f"{name} is kept with output: clear it"
            assert cell.get("execution_count") is None, f"{name} is kept with counts: clear it"
        assert "widgets" not in notebook["metadata"], f"{name} is kept with the state of widgets: clear it"


def test_changelog_knows_this_version(checkout, pyproject):
    assert re.search(
        rf"^## {re.escape(pyproject['project']['version'])}\b", (checkout / "CHANGELOG.md").read_text(), re.M
    )


def test_binder_installs_the_lock(checkout):
    (line,) = (checkout / "binder" / "requirements.txt").read_text().split("\n", 1)[:1]
    assert (checkout / "binder" / line.removeprefix("-r ")).resolve() == checkout / "requirements.lock"
    assert os.access(checkout / "binder" / "postBuild", os.X_OK)


def test_a_wheel_has_all_that_a_checkout_has(checkout, tmp_path):
    """Built, unpacked elsewhere and used from there, so that nothing is found beside it by chance."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=checkout, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    for source in (checkout / "cryowidgets").rglob("*"):
        if source.is_file() and source.suffix in {".py", ".sql", ".json", ".js", ".css", ".j2"}:
            assert (installed / source.relative_to(checkout)).exists(), source
    code = "from cryowidgets import share; print(*map(share.find, ('notebooks/02_batch.ipynb', 'voila_apps')))"
    found = python(code, PYTHONPATH=str(installed)).split()
    assert [Path(p).is_relative_to(installed / "cryowidgets" / "_share") for p in found] == [True, True]
