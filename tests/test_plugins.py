"""What other packages bring: a real one is installed and used, broken ones of every sort harm nothing else."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import ipywidgets as W
import pytest
from click.testing import CliRunner

from cryowidgets import plugins
from cryowidgets.cli import main
from cryowidgets.errors import PluginError, WorkflowError
from cryowidgets.model import Ctf, Item
from cryowidgets.project import Project
from cryowidgets.protocols import registry
from cryowidgets.sim import microscope
from cryowidgets.widgets.add_step import AddStep
from cryowidgets.widgets.dashboard import SessionView
from cryowidgets.widgets.form import ParameterForm
from cryowidgets.workflow import templates
from tests.filled import FilledSession
from tests.widgets.conftest import wire  # noqa: F401

EXAMPLE = Path(__file__).parent / "plugins" / "contrast"
OURS = {"ImportMovies", "AlignMovie", "MaxShift", "EstimateCtf", "EstimateGain", "ScoreExposure"}


def cli(line: str, code: int = 0) -> str:
    result = CliRunner().invoke(main, line.split(), catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture
def plugged(monkeypatch):
    """Put a folder of installed packages in the way of this process, for one test."""
    modules, kinds = set(sys.modules), dict(Item.kinds)

    def add(folder: Path) -> None:
        monkeypatch.syspath_prepend(folder)
        plugins.forget()

    yield add
    monkeypatch.undo()
    for name in set(sys.modules) - modules:
        if name.split(".")[0].endswith(("_contrast", "_broken", "_other")):
            del sys.modules[name]
    Item.kinds.clear()
    Item.kinds.update(kinds)
    plugins.forget()


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The example, built and installed as a person would, without any network."""
    folder = tmp_path_factory.mktemp("site")
    install = [sys.executable, "-m", "uv", "pip", "install", "--offline", "--no-index", "--no-deps", "--quiet"]
    install += ["--no-build-isolation", "--python", sys.executable, "--target", str(folder), str(EXAMPLE)]
    done = subprocess.run(install, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def package(folder: Path, name: str, lines: dict[str, dict[str, str]], code: str = "", version: str = "0.3") -> None:
    """An installed package: its module and what an installer writes down of it."""
    module = name.replace("-", "_")
    (folder / f"{module}.py").write_text(dedent(code))
    info = folder / f"{module}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    groups = (f"[{g}]\n" + "".join(f"{k} = {v}\n" for k, v in entries.items()) for g, entries in lines.items())
    (info / "entry_points.txt").write_text("\n".join(groups))


# A plug-in that works ---------------------------------------------------------------------------------------------


def test_an_installed_plug_in_is_listed_with_all_that_it_brings(plugged, site):
    plugged(site)
    found = {p["package"]: p for p in json.loads(cli("plugins --json"))["packages"]}
    ours, theirs = found["cryowidgets"], found["cryowidgets-contrast"]
    assert (theirs["version"], theirs["state"], theirs["origin"]) == ("1.2", "works", str(site))
    assert {(b["what"], b["name"], b["about"]) for b in theirs["brings"]} == {
        ("protocol", "MeasureContrast", "Micrograph → Contrast"),
        ("template", "contrast", "contrast.json"),
    }
    assert {b["name"] for b in ours["brings"]} >= OURS
    text = cli("plugins")
    assert re.search(rf"cryowidgets-contrast +1.2 +works +1 protocol, 1 template +{site}", text)
    assert re.search(r"MeasureContrast +Micrograph → Contrast +protocol +cryowidgets-contrast", text)
    assert re.search(r"^contrast +cryowidgets-contrast +Motion, and how much", cli("template"), re.M)


def test_its_parameters_are_explained_and_have_a_form(plugged, site, tmp_path, wire):  # noqa: F811
    plugged(site)
    text = cli("show protocol MeasureContrast")
    assert re.search(r"binning +4 +px +1 to 64 +Pixels that become one", text)
    form = ParameterForm(registry.get("MeasureContrast")())
    assert list(form.fields) == ["binning", "least"]
    assert form.fields["binning"].value == "4"
    session = FilledSession(tmp_path / "p")
    session.close()
    adding = AddStep(session.folder, lambda: None)
    adding.opener.value = True
    with Project(session.folder).reader() as reader:
        adding.refresh(reader)
    assert "MeasureContrast" in adding.protocol.options


def test_its_template_makes_a_project_and_its_step_runs_on_movies(plugged, site, tmp_path):
    plugged(site)
    found = {template.name: template for template in templates.find()}
    assert (found["contrast"].source, found["contrast"].fault) == ("cryowidgets-contrast", "")
    assert found["contrast"].description.startswith("Motion, and how much contrast")
    scope = microscope.run(tmp_path / "raw", movies=2, size=256, frames=4)
    movies = f"--movies {scope.pattern} --gain {scope.gain} --pixel-size {scope.optics['pixel_size']}"
    cli(f"new {tmp_path}/p --template contrast {movies} --set contrast.binning=8")
    cli(f"run {tmp_path}/p --executor inline --until-idle 0.5 --quiet")
    with Project(tmp_path / "p").reader() as reader:
        table = reader.rows("contrast")
        origin = reader.provenance("Contrast", int(table["id"][0]))
    assert len(table["contrast"]) == 2
    assert (table["contrast"] > 0).all()
    assert origin.params == {"binning": 8, "least": 0.0}
    assert origin.task.software == f"cryowidgets {plugins.our_version()}, cryowidgets-contrast 1.2"
    shown = cli(f"show item {tmp_path}/p contrast:1")
    assert "cryowidgets-contrast 1.2" in shown
    assert str(tmp_path / "raw") in shown


def test_where_it_is_not_installed_a_project_that_needs_it_says_so(tmp_path, wire):  # noqa: F811
    session = FilledSession(tmp_path / "p")
    session.store.add_step("contrast", "MeasureContrast", Ctf, {"binning": 3}, {"micrograph": "align"})
    session.close()
    widget = Project(tmp_path / "p").steps["contrast"].widget()
    assert "No protocol &#x27;MeasureContrast&#x27; is installed." in html(widget)
    assert "recorded: binning = 3" in html(widget)


# Plug-ins that do not -------------------------------------------------------------------------------------------

PROTOCOL = """
    from cryowidgets import Protocol
    from cryowidgets.model import Ctf, Item, Micrograph

    class Thing(Protocol):
        takes = Micrograph
        gives = Ctf
"""
BROKEN = {
    "missing": ("import nosuchthing", "it needs the module 'nosuchthing', which is not installed. Install what brings"),
    "raises": ("raise RuntimeError('no licence')", "importing 'raises_broken:Thing' raised RuntimeError: no licence."),
    "ends": ("raise SystemExit(3)", "it ends the program when it is imported."),
    "garbled": ("def (:", "importing 'garbled_broken:Thing' raised SyntaxError: "),
    "renamed": ("class Thin: pass", "names 'renamed_broken:Thing', but module 'renamed_broken' has no attribute"),
    "base": ("class Thing: pass", "its line names the class Thing, which is not derived from cryowidgets.Protocol."),
    "value": ("Thing = 3", "its line names an object of type int, which is not derived"),
    "gives": (PROTOCOL.replace("gives = Ctf", "gives = 'Ctf'"), "Thing.gives is 'Ctf': write the kind of item that it"),
    "takes": (
        PROTOCOL.replace("takes = Micrograph", "takes = 1"),
        "Thing.takes is 1: write a kind of item, Many(kind)",
    ),
    "kind": (PROTOCOL + "\n    class Movie(Item): pass", "kind_broken has a kind Movie, and so has cryowidgets.model"),
}


@pytest.fixture
def broken(plugged, tmp_path):
    """One of each sort, beside two that claim the same name, one that claims ours, and a list that is no list."""
    folder = tmp_path / "broken"
    folder.mkdir()
    for name, (code, _) in BROKEN.items():
        package(folder, f"{name}-broken", {plugins.PROTOCOLS: {name.title(): f"{name}_broken:Thing"}}, code)
    package(folder, "absent-broken", {plugins.PROTOCOLS: {"Absent": "absent_broken.deep:Thing"}})
    package(folder, "a-other", {plugins.PROTOCOLS: {"Twice": "a_other:Thing", "OnlyA": "a_other:Thing"}}, PROTOCOL)
    package(folder, "b-other", {plugins.PROTOCOLS: {"Twice": "b_other:Thing", "AlignMovie": "b_other:Thing"}}, PROTOCOL)
    package(folder, "t-broken", {plugins.TEMPLATES: {"t": "t_broken.none", "m": "t_broken", "r": "raises_broken"}})
    package(folder, "v-broken", {plugins.VIEWS: {"MaxShift": "missing_broken:View"}})
    package(folder, "list-broken", {plugins.PROTOCOLS: {"List": "list_broken:Thing"}})
    (folder / "list_broken-0.3.dist-info" / "entry_points.txt").write_text("[cryowidgets.protocols]\nno line at all\n")
    plugged(folder)


@pytest.mark.parametrize("name", BROKEN)
def test_each_says_what_is_wrong_and_what_to_do(broken, name):
    with pytest.raises(PluginError) as refused:
        registry.get(name.title())
    said = str(refused.value)
    assert said.startswith(f"Protocol '{name.title()}' of {name}-broken 0.3 cannot be used: ")
    assert BROKEN[name][1] in said


def test_a_name_belongs_to_us_or_to_one_plug_in(broken):
    assert registry.get("AlignMovie").__module__ == "cryowidgets.protocols.align_movie"
    with pytest.raises(PluginError) as refused:
        registry.get("Twice")
    assert "b-other brings one of the same name, and nobody can tell which is meant." in str(refused.value)
    assert registry.get("a_other:Thing") is registry.get("OnlyA")
    listed = {p["package"]: p for p in json.loads(cli("plugins --json"))["packages"]}
    said = [b["error"] for b in listed["b-other"]["brings"] if b["name"] == "AlignMovie"]
    assert "'AlignMovie' is a protocol of cryowidgets itself. Give it another name." in said[0]


def test_they_harm_nothing_else(broken, tmp_path, monkeypatch):
    assert set(registry.names()) >= OURS | {"OnlyA"}
    assert set(registry.usable()) >= OURS | {"OnlyA"}
    assert not {name.title() for name in BROKEN} & set(registry.usable())
    assert Item.kinds["Movie"].__module__ == "cryowidgets.model"
    for name in OURS:
        assert f"{name}: " in cli(f"show protocol {name}")
    assert "live" in {template.name for template in templates.find()}
    folders, faults = plugins.template_folders()
    assert folders == []
    assert len(faults) == 3
    assert any("'t_broken' is a module and no folder" in fault for fault in faults)
    listed = cli("plugins")
    for name, (_, says) in BROKEN.items():
        assert re.search(rf"^{name}-broken +0.3 +broken ", listed, re.M), name
        assert says in listed, name
    assert re.search(r"^cryowidgets +\S+ +works ", listed, re.M)
    assert "View 'MaxShift' of v-broken 0.3 cannot be used: it needs the module 'nosuchthing'" in listed
    monkeypatch.chdir(tmp_path)
    assert "p: movies" in cli("new p --movies *.mrc --pixel-size 1").replace(str(tmp_path) + "/", "")


def test_a_page_with_a_broken_step_starts_and_names_it(broken, tmp_path, wire):  # noqa: F811
    session = FilledSession(tmp_path / "p")
    session.store.add_step("thing", "Missing", Ctf, {"binning": 3}, {"micrograph": "align"})
    session.arrive(3)
    session.process(pictures=False)
    with Project(session.folder).reader() as reader:
        view = SessionView(session.folder, control=True)
        view.refresh(reader)
        for name in Project(session.folder).steps:
            widget = Project(session.folder).steps[name].widget()
            widget.refresh(reader)
            said = "Protocol &#x27;Missing&#x27; of missing-broken 0.3 cannot be used: it needs the module"
            assert (said in html(widget)) == (name == "thing")
    session.close()


def test_a_run_with_a_broken_step_does_all_others_and_gives_the_reason(broken, tmp_path):
    session = FilledSession(tmp_path / "p")
    session.store.add_step("thing", "Missing", Ctf, {}, {"micrograph": "align"})
    session.store.put("stream", "closed")
    session.close()
    Project(tmp_path / "p").run(executor="inline")
    with Project(tmp_path / "p").reader() as reader:
        steps = reader.steps()
    assert steps["thing"].state == "failed"
    assert "it needs the module 'nosuchthing'" in steps["thing"].reason
    assert {steps[name].state for name in steps if name != "thing"} == {"finished"}


def test_a_protocol_that_is_written_out_is_checked_as_well(broken):
    with pytest.raises(WorkflowError, match="'base_broken:Thing' cannot be used: its line names the class Thing"):
        registry.get("base_broken:Thing")
    with pytest.raises(WorkflowError, match="'raises_broken:Thing' cannot be imported: .*no licence"):
        registry.get("raises_broken:Thing")


def html(widget) -> str:
    own = widget.value if isinstance(widget, W.HTML) else ""
    return own + "".join(map(html, getattr(widget, "children", ())))
