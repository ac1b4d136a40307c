"""Workflows of Scipion come in with all their steps, and go out again."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryowidgets.errors import WorkflowError
from cryowidgets.workflow import Inert, StepSpec, Workflow, scipion
from cryowidgets.workflow.checks import check
from cryowidgets.workflow.scipion_rules import AT_IMPORT, About, number, truth, whole
from cryowidgets.workflow.scipion_table import TABLE

TEMPLATES = Path(os.environ.get("CRYOWIDGETS_SCIPION", "/nowhere"))


@pytest.fixture(scope="module", autouse=True)
def no_programs():
    """What is installed on this machine has no say."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", "/nowhere")
        for name in list(os.environ):
            if name.startswith("CRYOWIDGETS_") and name != "CRYOWIDGETS_SCIPION":
                patch.delenv(name)
        yield


def protocol(kind: str, id: object, label: str = "", **values: object) -> dict:
    return {"object.className": kind, "object.id": id, "object.label": label, "object.comment": "", **values}


def session(*more: dict, **values: object) -> list[dict]:
    """Import, alignment and CTF as a recent Scipion writes them, and what comes after."""
    importing = {"filesPath": "/data/s1", "filesPattern": "GridSquare_*/*_fractions.tiff", "samplingRate": 0.83}
    return [
        protocol("ProtImportMovies", "2", "Import movies", dataStreaming=True, timeout="1d 2h", **importing, **values),
        protocol("ProtMotionCorr", "57", "motioncor3", inputMovies="2.outputMovies", binFactor=2.0, gainRot=1),
        protocol("XmippProtCTFMicrographs", "110", "ctf", inputMicrographs="57.outputMicrographs"),
        *more,
    ]


def load(content: list) -> scipion.Imported:
    return scipion.load(json.dumps(content))


def said(imported: scipion.Imported, step: str, kind: str = "") -> str:
    return " ".join(note.sentence for note in imported.notes if note.step == step and kind in ("", note.kind))


def test_steps_parameters_units_and_links_come_over():
    imported = load(session(dosePerFrame=1.1, doseInitial=None, fileTimeout="45", magnification="105000"))
    movies, align, ctf = imported.workflow.steps
    assert (movies.name, movies.label, movies.protocol) == ("import_movies", "Import movies", "ImportMovies")
    assert movies.params["pattern"] == "/data/s1/GridSquare_*/*_fractions.tiff"
    assert movies.params["timeout"] == 26 * 3600 and movies.params["file_timeout"] == 45
    assert movies.params["dose_per_frame"] == 1.1 and movies.params["gain_rotation"] == 90
    assert (align.protocol, align.inputs) == ("AlignMovie", {"movie": "import_movies"})
    assert align.params["binning"] == 2
    assert (ctf.protocol, ctf.inputs) == ("EstimateCtf", {"micrograph": "motioncor3"})
    # digital frequencies 0.05 and 0.35 of pixels of 1.66 Å, and defocus in µm
    assert ctf.params["resolution_min"] == pytest.approx(33.2)
    assert ctf.params["resolution_max"] == pytest.approx(1.66 / 0.35)
    assert (ctf.params["defocus_min"], ctf.params["defocus_max"]) == (2500, 40000)
    assert "resolution_min 33.2 Å" in said(imported, "ctf", "default")
    assert "gain_rotation 90 is now a parameter of import_movies" in said(imported, "motioncor3")
    assert check(imported.workflow.steps) == []


@pytest.mark.parametrize(
    ("low", "high", "found"),
    [(0.25, 4.0, (2500, 40000)), (5000.0, 50000.0, (5000, 50000)), ("0.5", "4", (5000, 40000))],
)
def test_defocus_is_in_micrometres_or_angstroms(low, high, found):
    ctf = protocol(
        "CistemProtCTFFind", 3, "c", inputMicrographs="57.outputMicrographs", minDefocus=low, maxDefocus=high
    )
    params = load(session(ctf)).workflow.steps[3].params
    assert (params["defocus_min"], params["defocus_max"]) == found


def test_what_scipion_alone_has_is_kept_with_its_links_and_so_is_what_depends_on_it():
    denoise = protocol(
        "XmippProtPreprocessMicrographs", "200", "filter", inputMicrographs="57.outputMicrographs", doLog=True
    )
    ctf = protocol("CistemProtCTFFind", "210", "second", inputMicrographs="200.outputMicrographs")
    monitor = protocol("ProtMonitorSummary", "300", "summary", inputProtocols=["2", "57", "210"], doMail=True)
    imported = load(session(denoise, ctf, monitor))
    assert [part.name for part in imported.workflow.inert] == ["filter", "second", "summary"]
    kept, second, summary = imported.workflow.inert
    assert kept.origin == "scipion:XmippProtPreprocessMicrographs"
    assert kept.inputs == {"inputMicrographs": "motioncor3"} and kept.params["doLog"] is True
    assert second.inputs == {"inputMicrographs": "filter"}
    assert list(summary.inputs.values()) == ["import_movies", "motioncor3", "second"]
    assert "comes from filter, which is not run" in said(imported, "second", "inert")
    assert "the page, the report" in said(imported, "summary", "inert")
    assert check(imported.workflow.steps, imported.workflow.inert) == []


def test_what_is_left_out_is_said_and_defaults_are_not():
    align = protocol(
        "ProtMotionCorr", "60", "m", inputMovies="2.outputMovies", tol=0.5, patchOverlap=0, doMagCor="False", mystery=7
    )
    imported = load(session(align, moviesToExclude="2.outputMovies", blacklistFile="/data/bad.txt"))
    assert "moviesToExclude 2.outputMovies" in said(imported, "import_movies", "dropped")
    assert said(imported, "m", "dropped") == "Left out: tol 0.5; mystery 7."
    assert "blacklistFile /data/bad.txt" in said(imported, "import_movies", "dropped")
    assert said(load(session()), "motioncor3", "dropped") == ""


def test_links_that_dangle_are_named_and_nothing_is_lost():
    """Old markers, ids as numbers, ids given twice, a protocol that is not there, circles, parts that are none."""
    content = [
        protocol("ProtImportMovies", 2, "movies", filesPath="/d", filesPattern="*.mrcs"),
        protocol("ProtMotionCorr", 3, "align", inputMovies="2.__attribute__outputMovies"),
        protocol("ProtCTFFind", 4, "one", inputMicrographs="3.outputMicrographs.__itemid__5"),
        protocol("ProtCTFFind", 4, "two", inputMicrographs="99.outputMicrographs"),
        protocol("ProtCTFFind", 5, "ring", inputMicrographs="6.outputMicrographs"),
        protocol("XmippProtMovieMaxShift", 6, "ring", inputMovies="5.outputMovies"),
        "not a protocol",
        {"object.id": "7", "x": 1},
    ]
    imported = load(content)
    assert [step.name for step in imported.workflow.steps] == ["movies", "align", "one"]
    assert [part.name for part in imported.workflow.inert] == ["two", "ring", "ring_2", "step"]
    assert "99" in said(imported, "two", "link") and "id 4 of one" in said(imported, "two", "link")
    assert "depends on itself" in said(imported, "ring", "inert")
    assert "Part 7 of the list is no protocol" in said(imported, "")
    assert check(imported.workflow.steps, imported.workflow.inert) == []


def test_numbers_that_another_step_finds_are_named():
    """Scipion lets a number be the output of a step."""
    ctf = protocol("CistemProtCTFFind", 8, "c", inputMicrographs="57.outputMicrographs", windowSize="1500.boxsize")
    imported = load(session(ctf))
    assert "windowSize (it is 1500.boxsize, known only when that has run)" in said(imported, "c", "dropped")
    assert "windowSize → 1500" in said(imported, "c", "link")


def test_a_step_takes_from_the_nearest_that_gives_what_it_needs():
    """The gain step of Scipion passes movies on; ours gives a gain."""
    gain = protocol("XmippProtMovieGain", 5, "gain", inputMovies="2.outputMovies")
    align = protocol("XmippProtFlexAlign", 6, "flex", inputMovies="5.outputMovies", doLocalAlignment=False)
    gate = protocol("XmippProtMovieMaxShift", 7, "gate", inputMovies="6.outputMovies", rejType=2, maxMovieShift=30)
    rest = protocol("CistemProtCTFFind", 8, "bad", inputMicrographs="7.outputMicrographsDiscarded")
    imported = load(session(gain, align, gate, rest))
    steps = {step.name: step for step in imported.workflow.steps}
    assert steps["flex"].inputs == {"movie": "import_movies"} and steps["flex"].params["local"] == "none"
    assert "gain gives a Gain" in said(imported, "flex", "link")
    assert steps["gate"].inputs == {"micrograph": "flex"} and steps["gate"].params["mode"] == "and"
    assert "what gate rejects" in said(imported, "bad", "inert")


def test_a_ctf_consensus_is_a_filter_or_compares_two():
    second = protocol("CistemProtCTFFind", 8, "cistem", inputMicrographs="57.outputMicrographs")
    one = protocol("XmippProtCTFConsensus", 9, "one", inputCTF="110.outputCTF", useDefocus=False, astigmatismPer=0.05)
    two = {"calculateConsensus": True, "inputCTF2": "8.outputCTF", "minConsResol": 8, "averageDefocus": "True"}
    both = protocol("XmippProtCTFConsensus", 10, "both", inputCTF="110.outputCTF", useResolution=False, **two)
    steps = {step.name: step for step in load(session(second, one, both)).workflow.steps}
    assert steps["one"].protocol == "FilterCtf" and steps["one"].inputs == {"ctf": "ctf"}
    assert steps["one"].params["defocus_max"] == 0 and steps["one"].params["astigmatism_percent"] == 5
    assert steps["both"].protocol == "CtfConsensus" and steps["both"].inputs == {"first": "ctf", "second": "cistem"}
    assert steps["both"].params["consensus_max"] == 8 and steps["both"].params["keep"] == "average"
    assert steps["both"].params["resolution_max"] == 0 and steps["both"].params["version"] == "linear"


def test_gates_of_a_facility_keep_back_what_they_keep_back_there():
    """Movies are judged by their dose before they are aligned there, by their micrographs here; a CTF consensus passes
    micrographs on there, which a step of its own does here; a trigger names what it closes, here that names it."""
    content = session(
        protocol("XmippProtMovieDoseAnalysis", 20, "dose", inputMovies="2.outputMovies", percentage_threshold=4),
        protocol("XmippProtMovieGain", 25, "gain", inputMovies="20.outputMovies"),
        protocol("XmippProtFlexAlign", 30, "flex", inputMovies="25.outputMovies"),
        protocol("XmippProtMovieMaxShift", 35, "gate", inputMovies="30.outputMovies"),
        protocol("CistemProtCTFFind", 40, "one", inputMicrographs="35.outputMicrographs"),
        protocol("XmippProtCTFConsensus", 45, "good", inputCTF="40.outputCTF"),
        protocol("CistemProtCTFFind", 50, "again", inputMicrographs="45.outputMicrographs"),
        protocol(
            "XmippProtTriggerData", 60, "first", inputImages="45.outputMicrographs", outputSize=100, allImages=False
        ),
        protocol("XmippProtTriggerData", 61, "stop", inputImages="45.outputCTF", triggerSignal=True, triggerProt="60"),
    )
    imported = load(content)
    assert imported.workflow.inert == () and check(imported.workflow.steps) == []
    steps = {step.name: step for step in imported.workflow.steps}
    assert steps["flex"].inputs == steps["gain"].inputs == {"movie": "import_movies"}
    assert steps["dose"].inputs == {"micrograph": "flex"} and steps["dose"].params["max_deviation"] == 4
    assert steps["gate"].inputs == {"micrograph": "dose"}
    assert steps["good_micrographs"].protocol == "SubsetSet"
    assert steps["good_micrographs"].inputs == {"first": "gate", "second": "good"}
    assert steps["again"].inputs == {"micrograph": "good_micrographs"}
    assert steps["first"].inputs == {"item": "good_micrographs"} and steps["stop"].inputs == {"item": "good"}
    assert steps["first"].params == {"count": 100, "mode": "static", "closed_by": "stop"}
    again = scipion.load(scipion.dump(imported.workflow)).workflow
    assert again.steps == imported.workflow.steps
    sent = next(part for part in json.loads(scipion.dump(imported.workflow)) if part["object.label"] == "stop")
    assert sent["triggerSignal"] is True and sent["triggerProt"] != sent["object.id"]


def test_a_signal_goes_from_one_trigger_to_another():
    """What sends one and is no trigger, or is gone from a file that was ours, closes nothing."""
    first = protocol("XmippProtTriggerData", 60, "first", inputImages="57.outputMicrographs")
    other = protocol("ProtDataSampler", 61, "other", inputImages="57.x", triggerSignal=True, triggerProt="60")
    imported = load(session(first, other))
    assert imported.workflow.steps[3].params == {} and "the signal" in said(imported, "other", "dropped")
    second = protocol("XmippProtTriggerData", 61, "second", inputImages="57.x", triggerSignal=True, triggerProt="60")
    content = json.loads(scipion.dump(load(session(first, second)).workflow))
    assert content[3]["cryowidgets"]["params"]["closed_by"] == "second"
    imported = load(content[:-1])
    assert imported.workflow.steps[3].params == {} and "closed_by second" in said(imported, "first", "dropped")
    assert check(imported.workflow.steps) == []


def test_the_same_program_is_used_where_it_is(monkeypatch, tmp_path):
    (tmp_path / "MotionCor3").write_text("#!/bin/sh\n")
    (tmp_path / "MotionCor3").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    align = load(session()).workflow.steps[1]
    assert align.protocol == "MotionCor" and align.inputs == {"movie": "import_movies"}
    assert align.params["binning"] == 2 and "gain_rotation" not in align.params  # the import turns the gain
    content = json.loads(scipion.dump(load(session()).workflow))
    assert (content[1]["patchX"], content[1]["gainRot"], content[1]["binFactor"]) == (5, 1, 2)
    monkeypatch.setenv("PATH", "/nowhere")
    assert load(content).workflow.steps[1] == align  # our own export says which it was


def test_programs_find_their_links_and_one_that_is_missing_is_named():
    """A picker of RELION wants the CTF, an extraction the micrographs: Scipion does not write either of them down."""
    content = session(
        protocol(
            "SphireProtCRYOLOPicking",
            50,
            "cryolo",
            inputMicrographs="57.outputMicrographs",
            boxSize=100,
            conservPickVar=0.2,
        ),
        protocol("ProtRelionAutopickLoG", 51, "log", inputMicrographs="57.outputMicrographs", minDiameter=120),
        protocol(
            "XmippProtExtractParticles",
            60,
            "cut",
            inputCoordinates="50.outputCoordinates",
            boxSize=255.0 + 1,
            micsSource=0,
            inputMicrographs="51.x",
        ),
        protocol("ProtRelionClassify2D", 70, "classes", inputParticles="60.outputParticles", maskDiameterA=-1),
        protocol(
            "XmippProtConsensusPicking",
            75,
            "two",
            inputCoordinates=["50.outputCoordinates", "51.outputCoordinates"],
            consensus=1,
        ),
        protocol("XmippProtConsensusPicking", 76, "three", inputCoordinates=["50.x", "51.x", "75.x"], consensus=2),
        protocol("XmippProtConsensusPicking", 77, "just", inputCoordinates=["50.x", "51.x"], consensus=1, mode=1),
        protocol("XmippProtConsensusPicking", 78, "six", inputCoordinates=["50.x", "51.x"] * 3),
        protocol("ProtRelion2Autopick", 80, "by template", inputMicrographs="57.outputMicrographs"),
    )
    imported = load(content)
    steps = {step.name: step for step in imported.workflow.steps}
    assert steps["cryolo"].params["diameter"] == 166  # 100 px of 1.66 Å
    assert steps["log"].inputs == {"micrograph": "motioncor3", "ctf": "ctf"}
    assert steps["cut"].inputs == {"picks": "cryolo", "micrograph": "motioncor3", "ctf": "ctf"}
    assert steps["cut"].params["box"] == 256
    assert steps["classes"].inputs == {"particles": "cut"}
    assert steps["two"].inputs == {"first": "cryolo", "second": "log", "micrograph": "motioncor3"}
    assert steps["two"].params == {"radius": 16.6, "votes": 1}
    assert steps["three"].inputs == {"first": "cryolo", "second": "log", "third": "two", "micrograph": "motioncor3"}
    assert steps["three"].params["votes"] == 2 and steps["three"].params["radius"] == 16.6
    assert "never just so many" in said(imported, "just", "dropped")
    assert said(imported, "two", "dropped") == ""
    assert "compares two to five pickers" in said(imported, "six", "inert")
    assert "give RelionAutopick a stack" in said(imported, "by_template", "inert")
    assert check(imported.workflow.steps, imported.workflow.inert) == []
    for name, protocol_ in (("cryolo", "Cryolo"), ("log", "RelionAutopick")):
        assert f"set {protocol_}.executable" in said(imported, name, "program")


def test_waiting_and_holding_come_over_unless_they_could_never_end():
    content = session(protocol("EmanProtBoxing", 9, "boxing", inputMicrographs="57.outputMicrographs"))
    content[1] |= {"_prerequisites": "110"}
    content[2] |= {"_prerequisites": "2, 9 77", "forceSchedule": True}
    imported = load(content)
    movies, align, ctf = imported.workflow.steps
    assert align.after == () and ctf.after == ("import_movies",) and ctf.hold and not align.hold
    assert "which depends on this step" in said(imported, "motioncor3")
    assert "boxing, which is not run" in said(imported, "ctf") and "77, which is not in the file" in said(
        imported, "ctf"
    )


def test_relative_paths_count_from_the_file_and_a_gain_must_be_there(tmp_path):
    (tmp_path / "gain_2.mrc").touch()
    file = tmp_path / "w.json"
    file.write_text(
        json.dumps([protocol("ProtImportMovies", 1, "m", filesPath="raw", filesPattern="m##.eer", gainFile="gain_*")])
    )
    (step,) = scipion.load(file).workflow.steps
    assert step.params["pattern"] == str(tmp_path / "raw" / "m??.eer") and step.params["gain"] == str(
        tmp_path / "gain_2.mrc"
    )
    file.write_text(json.dumps([protocol("ProtImportMovies", 1, "m", gainFile="none.mrc", voltage="-3")]))
    imported = scipion.load(file)
    assert "there is no file" in said(imported, "m", "dropped") and "voltage -3" in said(imported, "m", "dropped")
    assert "gain" not in imported.workflow.steps[0].params


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "line 1: this is not JSON"),
        ("[]", "no protocol"),
        ("{}", "list in \\[ \\]"),
        ("[1, 2]", "no protocol"),
        ('[\n{"object.className": "ProtImportMovies",\n"object.id": }]', "line 3: this is not JSON"),
        ("[" * 100_000, "nested too deeply"),
        ('["' + "9" * 10, "not JSON"),
        ("[" + "9" * 5000 + "]", "cannot be read as JSON"),
    ],
)
def test_what_is_no_workflow_is_refused_in_a_sentence(text, sentence, tmp_path):
    with pytest.raises(WorkflowError, match=sentence):
        scipion.load(text)
    file = tmp_path / "broken.json"
    file.write_text(text)
    with pytest.raises(WorkflowError, match="broken"):
        scipion.load(file)


def test_files_that_cannot_be_read_are_named(tmp_path):
    (tmp_path / "latin.json").write_bytes(b'[{"object.className": "\xe9"}]')
    for name, why in [("none.json", "No such file"), ("latin.json", "not UTF-8"), (".", "directory"), ("a\0b", "null")]:
        with pytest.raises(WorkflowError, match=why):
            scipion.load(tmp_path / name)


def test_text_before_the_list_describes_it():
    text = "Facility [2025] at 100 %\nsecond line\n" + json.dumps(session(), indent=2)
    assert scipion.load(text).workflow.description == "Facility [2025] at 100 % second line"


# The same examples in every run.
repeatable = settings(derandomize=True, deadline=None, max_examples=30)
NAMES = st.sampled_from(["align", "ctf", "Movies2", "gate", "x_1"])
NUMBERS = st.integers(0, 5000)


@st.composite
def workflows(draw) -> Workflow:
    """Workflows of steps with counterparts, with parameters that differ from the defaults."""
    steps = [StepSpec("movies", "ImportMovies", {"pattern": "/d/*.tiff", "pixel_size": draw(st.integers(5, 30)) / 10})]
    params = {
        "binning": draw(st.sampled_from([1.0, 1.5, 2.0])),
        "patches": draw(st.integers(2, 20)),
        "repair_defects": False,
    }
    steps.append(StepSpec(draw(NAMES), "AlignMovie", params, {"movie": "movies"}, draw(st.text(max_size=20)).strip()))
    align = steps[1].name
    limits = {
        "defocus_min": 100.0 + draw(NUMBERS),
        "defocus_max": 6000.0 + draw(NUMBERS),
        "fit_tilt": draw(st.booleans()),
    }
    for name in ("c1", "c2"):
        steps.append(StepSpec(name, "EstimateCtf", limits, {"micrograph": align}, hold=draw(st.booleans())))
    ranges = {"defocus_max": draw(st.sampled_from([0.0, 30000.0])), "resolution_max": float(draw(st.integers(0, 20)))}
    if draw(st.booleans()):
        steps.append(StepSpec("both", "CtfConsensus", ranges, {"first": "c2", "second": "c1"}, after=("c1", align)))
    else:
        steps.append(StepSpec("both", "FilterCtf", ranges, {"ctf": "c2"}, comment="text"))
    inert = [
        Inert("box", "scipion:EmanProtBoxing", {"n": draw(NUMBERS), "in": ".outputMicrographs"}, {"in": align}, "box")
    ]
    return Workflow("scipion", "", tuple(steps), tuple(inert))


@given(workflows())
@repeatable
def test_a_round_trip_keeps_steps_parameters_and_links(workflow):
    text = scipion.dump(workflow)
    again = scipion.load(text).workflow
    assert again.steps == workflow.steps
    assert [(p.name, p.origin, p.inputs) for p in again.inert] == [(p.name, p.origin, p.inputs) for p in workflow.inert]
    assert scipion.dump(again) == text


@given(workflows())
@repeatable
def test_scipion_itself_hands_back_what_it_can_hold(workflow):
    """It drops what only we understand: then parameters of the table and links are still the same."""
    content = json.loads(scipion.dump(workflow))
    for part in content:
        part.pop("cryowidgets", None)
    again = {step.name: step for step in load(content).workflow.steps}
    assert len(again) == len(workflow.steps)
    names = dict(zip([step.name for step in workflow.steps], again, strict=True))
    for step in workflow.steps:
        back = again[names[step.name]]
        assert back.inputs == {name: names[source] for name, source in step.inputs.items()}
        assert back.after == tuple(names[name] for name in step.after) and back.hold == step.hold
        known = {name for c in TABLE if c.ours == step.protocol for rule in c.rules for name in rule.ours}
        for name in known & set(step.params):
            value = step.params[name]
            assert back.params[name] == (value if isinstance(value, str) else pytest.approx(value, rel=1e-9)), name


def test_steps_that_scipion_lacks_are_named():
    steps = (
        StepSpec("movies", "ImportMovies", {"pattern": "/d/*.mrc"}),
        StepSpec("align", "AlignMovie", {}, {"movie": "movies"}),
        StepSpec("ctf", "EstimateCtf", {}, {"micrograph": "align"}),
        StepSpec("quality", "ScoreExposure", {}, {"micrograph": "align", "ctf": "ctf"}),
    )
    workflow = Workflow(
        "w", "", steps, (Inert("job", "relion:Extract"), Inert("mon", "scipion:ProtMonitorCTF", {}, {"x": "quality"}))
    )
    assert list(scipion.lacking(workflow)) == ["quality", "job"]
    content = json.loads(scipion.dump(workflow))
    assert [part["object.className"] for part in content][:2] == ["ProtImportMovies", "ProtMotionCorr"]
    assert content[2]["inputMicrographs"] == f"{content[1]['object.id']}.outputMicrographs"
    assert content[-1]["x"] is None


@pytest.mark.parametrize("place", range(len(TABLE)), ids=[f"{c.theirs[0]}-{c.ours}" for c in TABLE])
def test_every_rule_of_the_table_reads_what_it_writes(place):
    """From their defaults to ours, back and over again: the second reading finds what the first did."""
    counterpart, about = TABLE[place], About(1.2, Path("/data"))
    for rule in counterpart.rules:
        first = rule.read(rule.theirs, about)
        if not set(first) >= {name for name in rule.ours if not name.startswith(AT_IMPORT)}:
            continue
        written = rule.write(first, about)
        assert set(written) <= set(rule.theirs)
        assert rule.read({**rule.theirs, **written}, about) == pytest.approx(first)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.from_regex(r"\d{1,3}(\.\w+)*", fullmatch=True),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
KINDS = sorted({kind for c in TABLE for kind in c.theirs} | {"Unheard", ""})
FIELDS = sorted(
    {key for c in TABLE for rule in c.rules for key in rule.theirs}
    | {k for c in TABLE for ks in c.inputs.values() for k in ks}
)
POINTERS = st.builds(
    "{}.{}".format, st.integers(0, 6), st.sampled_from(["outputMovies", "outputMicrographs", "outputCTF"])
)
PROTOCOLS = st.builds(
    lambda kind, id, label, values, heads: {
        "object.className": kind,
        "object.id": id,
        "object.label": label,
        **values,
        **heads,
    },
    st.sampled_from(KINDS) | VALUES,
    st.integers(0, 6) | VALUES,
    VALUES,
    st.dictionaries(st.sampled_from(FIELDS), POINTERS | VALUES, max_size=8),
    st.dictionaries(
        st.sampled_from(["_prerequisites", "forceSchedule", "_useQueue", "cryowidgets"]), VALUES, max_size=2
    ),
)


@given(st.lists(PROTOCOLS | VALUES, max_size=8))
@settings(repeatable, max_examples=60)
def test_whatever_is_in_the_list_no_protocol_is_lost_and_nothing_crashes(content):
    try:
        imported = load(content)
    except WorkflowError:
        assert not any(isinstance(part, dict) for part in content)
        return
    workflow = imported.workflow
    assert len(workflow.steps) + len(workflow.inert) == sum(isinstance(part, dict) for part in content)
    assert check(workflow.steps, workflow.inert) == []
    text = scipion.dump(workflow)
    text.encode()
    again = scipion.load(text).workflow
    assert len(again.steps) == len(workflow.steps) and len(again.inert) == len(workflow.inert)
    workflow.to_json().encode()


@given(st.integers(0, 1500), st.text(max_size=3), st.integers(0, 3))
@settings(repeatable, max_examples=150)
def test_broken_text_is_refused_or_read_but_never_crashes(at, letters, cut):
    text = json.dumps(session(), indent=1)
    try:
        imported = scipion.load(text[:at] + letters + text[at + cut :])
    except WorkflowError:
        return
    assert imported.workflow.steps or imported.workflow.inert


def test_numbers_as_scipion_writes_them():
    assert [number(v) for v in (1, "2.5", "1e3")] == [1, 2.5, 1000]
    assert [whole(v) for v in (None, "", "3", 4.0, True)] == [0, 0, 3, 4, 1]
    assert [truth(v) for v in (True, "True", "1", 1, "false", "0", None, "yes")] == [True] * 4 + [False] * 4
    for wrong in ("x", None, [], "nan", float("inf"), True):
        with pytest.raises(ValueError):
            number(wrong)


@pytest.mark.skipif(not TEMPLATES.is_dir(), reason="CRYOWIDGETS_SCIPION names no folder of exported workflows")
def test_real_files_come_in_whole(monkeypatch, tmp_path):
    (tmp_path / "relion13_tutorial/betagal/Micrographs").mkdir(parents=True)
    monkeypatch.setenv("SCIPION_TESTS", str(tmp_path))
    for file in sorted([*TEMPLATES.glob("*.json"), *TEMPLATES.glob("*.json.template")]):
        imported = scipion.load(file)
        count = file.read_text().count('"object.className"')
        assert len(imported.workflow.steps) + len(imported.workflow.inert) == count, file
        assert check(imported.workflow.steps, imported.workflow.inert) == [], file
        again = scipion.load(scipion.dump(imported.workflow)).workflow
        assert (again.steps, again.inert) == (imported.workflow.steps, imported.workflow.inert), file
