"""Dynamic templates of Scipion: the values that it finds where it works, and a sentence where it crashes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryowidgets.errors import WorkflowError
from cryowidgets.workflow import scipion, templates
from cryowidgets.workflow.scipion_template import parse

TEMPLATES = Path(os.environ.get("CRYOWIDGETS_SCIPION", "/nowhere"))


def text(*lines: str, before: str = "A session.\n") -> str:
    """A template with an import whose parameters are these lines of JSON."""
    head = '"object.className": "ProtImportMovies", "object.id": "2", "object.label": "movies"'
    return before + "[\n{\n" + ",\n".join([head, *lines]) + "\n}\n]\n"


def value(template: str, name: str, **answers: str) -> object:
    """What a parameter is once the fields are filled."""
    found = parse(template, "t")
    assert found.check(answers) == {}
    return json.loads(found.filled(answers))[0][name]


def refusal(template: str, **answers: str) -> str:
    """Why a template cannot be filled."""
    with pytest.raises(WorkflowError) as refused:
        parse(template, "t").fill(answers)
    return str(refused.value)


VOLT = '"voltage": ~Voltage|300|4|volt~'

WORKS = {
    "field in quotes": ('"voltage": "~Voltage|300|4|volt~"', "voltage", {}, "300"),
    "field without quotes": (VOLT, "voltage", {}, 300),
    "field that is set": (VOLT, "voltage", {"volt": "200"}, 200),
    "no cmdId: it is called by its label": ('"voltage": ~The Voltage|300|4~', "voltage", {"the_voltage": "120"}, 120),
    "two percent signs": ('"filesPattern": "100%%.mrc"', "filesPattern", {}, "100%.mrc"),
    "two percent signs in a default": ('"filesPattern": "~P|1%%.mrc|0|p~"', "filesPattern", {}, "1%.mrc"),
    "variable in the body": ('"filesPath": "%(CRYO_X)s/raw"', "filesPath", {}, "/data/x y/raw"),
    "variable in a default": ('"filesPattern": "~P|%(CRYO_X)s|0|p~"', "filesPattern", {}, "/data/x y"),
    "variable without quotes": ('"voltage": %(CRYO_KV)s', "voltage", {}, 300),
    "boolean in any case": ('"copyFiles": ~Copy|false|1|c~', "copyFiles", {"c": "True"}, True),
    "boolean as a number": ('"copyFiles": "~Copy|0|1|c~"', "copyFiles", {"c": "1"}, "1"),
    "integer": ('"magnification": ~Mag|105000|3|m~', "magnification", {}, 105000),
    "path that exists": ('"filesPath": "~Folder|/|2|f~"', "filesPath", {"f": "/tmp"}, "/tmp"),
    "folder that exists": ('"filesPath": "~Folder|/|6|f~"', "filesPath", {}, "/"),
    # beyond what Scipion takes
    "a negative number": ('"doseInitial": ~Dose|0|3|d~', "doseInitial", {"d": "-3"}, -3),
    "a number with zeros before it": ('"magnification": ~Mag|1|3|m~', "magnification", {"m": "007"}, 7),
    "an equals sign": ('"filesPattern": "~P|*|0|p~"', "filesPattern", {"p": "a=b=c"}, "a=b=c"),
    "a quote": ('"filesPattern": "~P|*|0|p~"', "filesPattern", {"p": 'a"b'}, 'a"b'),
    "a backslash": ('"filesPattern": "~P|*|0|p~"', "filesPattern", {"p": r"a\nb"}, r"a\nb"),
    "~ and | in a value": ('"filesPattern": "~P|*|0|p~"', "filesPattern", {"p": "~/a|b%"}, "~/a|b%"),
    "~ and | in a variable": ('"filesPattern": "~P|%(CRYO_T)s|0|p~"', "filesPattern", {}, '~a|"b'),
    "~ in a variable of the body": ('"filesPath": "%(CRYO_T)s"', "filesPath", {}, '~a|"b'),
    "a text without quotes": ('"filesPattern": ~P|*.mrc|0|p~', "filesPattern", {}, "*.mrc"),
    "a file": ('"gainFile": "~Gain|/|5|g~"', "gainFile", {"g": __file__}, __file__),
    "a variable that is not set, in a default that is not used": (
        '"filesPath": "~Folder|%(CRYO_NOT)s/x|2|f~"',
        "filesPath",
        {"f": "/tmp"},
        "/tmp",
    ),
}

REFUSED = {
    "missing type": ('"voltage": ~Voltage|300~', {}, "line 5: the field ~Voltage|300~ lacks its type"),
    "label alone": ('"voltage": ~Voltage~', {}, "line 5: the field ~Voltage~ lacks its default and type"),
    "no label": ('"voltage": ~|300|4|v~', {}, "line 5: the field ~|300|4|v~ has no label"),
    "unknown type": ('"voltage": ~Voltage|300|7|v~', {}, "has the type '7'; write one of 0 string, 1 boolean"),
    "type in words": ('"voltage": ~Voltage|300|float|v~', {}, "has the type 'float'"),
    "label given twice": (f'{VOLT},\n"cs": ~Voltage|2|4|cs~', {}, "line 6: the label 'Voltage' stands in line 5"),
    "bare % in the body": ('"filesPattern": "100%.mrc"', {}, "line 5: a bare %: write %% for it"),
    "bare % in a default": ('"filesPattern": "~P|1%|0|p~"', {}, "line 5: the field ~P|1%|0|p~ has a bare %"),
    "variable that is not set": ('"filesPath": "%(CRYO_NOT)s"', {}, "line 5: the environment variable CRYO_NOT is not"),
    "variable of a default that is not set": (
        '"filesPath": "~Folder|%(CRYO_NOT)s/x|2|f~"',
        {},
        "f: Folder (line 5): the environment variable CRYO_NOT is not set: set it, or f=…",
    ),
    "variable that is no JSON": ('"voltage": %(CRYO_X)s', {}, 'outside of quotes: write "%(CRYO_X)s"'),
    "~ in a path": ('"filesPath": "~/raw"', {}, "line 5: a ~ begins a field that does not end"),
    "~ twice in paths": ('"filesPath": "~/a",\n"gainFile": "~/b"', {}, "lacks its default and type"),
    "| in a default": ('"filesPattern": "~P|a|b|0|p~"', {}, "has 5 parts, and may have four"),
    "yes for a boolean": ('"copyFiles": ~Copy|false|1|c~', {"c": "yes"}, "c: Copy does not take 'yes': write true or"),
    "text for a number": (VOLT, {"volt": "high"}, "volt: Voltage does not take 'high': write a number"),
    "point in an integer": ('"magnification": ~Mag|1|3|m~', {"m": "1.5"}, "m: Mag does not take '1.5'"),
    "number without end": (VOLT, {"volt": "nan"}, "Voltage does not take 'nan'"),
    "path that is not there": ('"filesPath": "~Folder|/|2|f~"', {"f": "/not/there"}, "'/not/there' does not exist"),
    "file that is not there": ('"gainFile": "~Gain|/|5|g~"', {"g": "/not/there"}, "'/not/there' does not exist"),
    "default that is no number": ('"voltage": ~Voltage|high|4|v~', {}, "v: Voltage does not take 'high'"),
    "default path that is not there": ('"filesPath": "~Folder|/not/there|2|f~"', {}, "f: Folder '/not/there' does not"),
    "unknown cmdId": (VOLT, {"vlt": "300"}, "vlt: There is no question 'vlt'; did you mean 'volt'?"),
    "text that is no JSON": ('"voltage": 300,,', {}, "line 5: this is not JSON"),
}


@pytest.fixture(autouse=True)
def variables(monkeypatch):
    monkeypatch.setenv("CRYO_X", "/data/x y")
    monkeypatch.setenv("CRYO_KV", "300")
    monkeypatch.setenv("CRYO_T", '~a|"b')
    monkeypatch.delenv("CRYO_NOT", raising=False)


@pytest.mark.parametrize("case", WORKS)
def test_values_are_those_of_scipion(case):
    line, name, answers, wanted = WORKS[case]
    assert value(text(line), name, **answers) == wanted


@pytest.mark.parametrize("case", REFUSED)
def test_what_makes_scipion_crash_is_said(case):
    line, answers, sentence = REFUSED[case]
    assert sentence in refusal(text(line), **answers)


def test_one_cmd_id_fills_several_fields_and_each_keeps_its_own_default():
    lines = ['"voltage": ~A|300|4|x~', '"amplitudeContrast": ~B|0.1|4|x~']
    found = parse(text(*lines), "t")
    assert [(q.id, q.label) for q in found.questions] == [("x", "A, B")]
    assert [json.loads(found.filled({}))[0][k] for k in ("voltage", "amplitudeContrast")] == [300, 0.1]
    assert [json.loads(found.filled({"x": "5"}))[0][k] for k in ("voltage", "amplitudeContrast")] == [5, 5]
    mixed = parse(text('"voltage": ~A|300|4|x~', '"magnification": ~B|1|3|x~'), "t")
    assert "B does not take '1.5'" in mixed.check({"x": "1.5"})["x"]


@pytest.mark.parametrize(
    ("before", "description"),
    [
        ("", "Not provided"),
        ("One line.\nand another\n", "One line. and another"),
        ("With [brackets], 100 %, ~tildes~ and %(NOTHING)s\n", "With [brackets], 100 %, ~tildes~ and %(NOTHING)s"),
        ("[1] is a note\n", "[1] is a note"),
    ],
)
def test_what_stands_before_the_list_describes_it(before, description):
    found = parse(text(VOLT, before=before), "t")
    assert found.description == description
    assert found.fill({}).steps[0].params["voltage"] == 300


def test_the_list_may_stand_on_one_line_and_have_no_fields():
    line = '[{"object.className": "ProtImportMovies", "object.id": "2", "voltage": 200}]'
    found = parse(line, "t")
    assert (found.description, found.questions) == ("Not provided", ())
    assert found.fill({}).steps[0].params["voltage"] == 200
    assert parse("Text\n" + line, "t").description == "Text"


def test_a_file_is_a_template_like_ours(tmp_path):
    file = tmp_path / "monday.json.template"
    file.write_text(text(VOLT, '"filesPath": "~Folder|%(CRYO_NOT)s|6|folder~"'))
    (found,) = templates.find([("site", tmp_path)])
    assert (found.name, found.source, found.description) == ("monday", "site", "A session.")
    assert [(q.id, q.label, q.default, q.type) for q in found.questions] == [
        ("volt", "Voltage", "300", "decimal"),
        ("folder", "Folder", None, "folder"),
    ]
    assert list(found.check({})) == ["folder"]
    step = found.fill({"folder": str(tmp_path), "volt": "200"}).steps[0]
    assert (step.params["voltage"], step.params["pattern"]) == (200, str(tmp_path / "*"))
    (tmp_path / "broken.json.template").write_text(text('"voltage": ~Voltage~'))
    broken = next(t for t in templates.find([("site", tmp_path)]) if t.name == "broken")
    assert "broken.json.template cannot be used:\n- line 5: the field ~Voltage~" in broken.fault


def test_open_fields_are_taken_at_their_defaults_where_nobody_answers():
    imported = scipion.load(text(VOLT))
    assert imported.workflow.steps[0].params["voltage"] == 300
    assert imported.notes[0].sentence == "The open field 'Voltage' (volt) is at its default '300'."
    with pytest.raises(WorkflowError, match="volt: Voltage does not take 'x'"):
        scipion.load(text('"voltage": ~Voltage|x|4|volt~'))


@given(st.text(max_size=12), st.booleans())
@settings(derandomize=True, deadline=None, max_examples=60)
def test_whatever_a_text_holds_it_arrives(answer, quoted):
    answer = answer.encode("utf-8", "replace").decode()
    line = '"filesPattern": "~P|*|0|p~"' if quoted else '"filesPattern": ~P|*|0|p~'
    assert value(text(line), "filesPattern", p=answer) == answer


@given(st.text(alphabet='~|%"\\[]{}(),:0123 \nsx', max_size=30))
@settings(derandomize=True, deadline=None, max_examples=120)
def test_whatever_a_template_holds_it_is_read_or_refused(letters):
    try:
        found = parse(text(f'"voltage": {letters}'), "t")
    except WorkflowError as error:
        assert str(error).startswith("t")
        return
    found.check({})


@pytest.mark.skipif(not TEMPLATES.is_dir(), reason="CRYOWIDGETS_SCIPION names no folder of templates")
def test_a_real_template_is_filled(tmp_path):
    found = templates.get(TEMPLATES / "demo.json.template")
    assert [q.id for q in found.questions] == ["moviespath", "volt", "sa", "ac", "sr", "dose", "moviestep", "box"]
    assert "SCIPION_TESTS is not set" in found.check({"volt": "300"})["moviespath"]
    workflow = found.fill({"moviespath": str(tmp_path), "volt": "200", "dose": "1.1"})
    assert workflow.steps[0].params["voltage"] == 200 and workflow.steps[0].params["dose_per_frame"] == 1.1
    assert len(workflow.steps) + len(workflow.inert) == 7
