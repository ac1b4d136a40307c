"""A document's text: every fault is told at once, with its place, and no text whatever raises anything else."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryowidgets import workflow
from cryowidgets.errors import WorkflowError
from cryowidgets.workflow import StepSpec, checks, templates
from cryowidgets.workflow.reading import parse

MOVIES = {"name": "movies", "protocol": "ImportMovies"}


def faults(*steps, **rest):
    return parse(json.dumps({"version": 2, "name": "w", "steps": steps, **rest}))[1]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"", "line 1, column 1: it is not JSON"),
        (b'{\n  "version": 2,\n  "name" "w"\n}', "line 3, column 10: it is not JSON: Expecting ':' delimiter"),
        (b"[]", "a workflow document is an object in braces with steps, but this is a list"),
        (b"3", "but this is a number, 3"),
        (b"\xff\xfe{", "it is not text in UTF-8: byte 0 is not"),
        (b"[" * 100_000, "its brackets are nested too deep"),
        (b'{"version": ' + b"9" * 5000 + b"}", "it holds a number that cannot be read"),
        (b'{"version": NaN}', "NaN is no value: write a number"),
        (b'{"name": "\\ud800"}', "it holds half of a character"),
        (b'{"version": 2, "version": 1, "name": "w", "steps": []}', "an object has 'version' more than once"),
    ],
)
def test_what_is_no_document_is_told_with_its_place(text, sentence):
    read, told = parse(text)
    assert read is None
    assert any(sentence in fault for fault in told), told


def test_a_document_may_begin_with_the_mark_of_its_encoding():
    assert parse(b'\xef\xbb\xbf{"version": 2, "name": "w", "steps": []}')[1] == []


@pytest.mark.parametrize(
    ("content", "sentences"),
    [
        ({}, ["the document has no version; this program reads versions 1 to 2", "lacks its 'name'", "its 'steps'"]),
        ({"version": 3, "name": "w", "steps": []}, ["the document has version 3"]),
        ({"version": True, "name": 1, "steps": {}}, ["has version true", "'name' is a number, 1; write a text"]),
        ({"version": 2, "nam": "w", "steps": []}, ["the document has no field 'nam'; did you mean 'name'?"]),
        ({"version": 2, "name": "w", "steps": [], "zzz": 0}, ["has no field 'zzz'; it may have version, name,"]),
    ],
)
def test_faults_of_the_head(content, sentences):
    told = parse(json.dumps(content))[1]
    for sentence in sentences:
        assert any(sentence in fault for fault in told), told


def test_all_faults_of_the_steps_are_told_at_once():
    told = faults(
        MOVIES,
        {"name": "align", "protocl": "AlignMovie", "inputs": {"movie": "movies"}},
        {"name": "first", "protocol": "AlignMovie", "params": {"binnin": 2, "patches": "x", "max_shift": -1}},
        {"name": "second", "protocol": "MaxShift", "inputs": {"micrograph": 3}, "hold": "yes", "after": ["frist", 1]},
        {"name": "third", "protocol": "EstimateCtff", "params": []},
        {"name": "gate", "protocol": "MaxShift", "inputs": {"micrograph": "frist"}},
        {"protocol": "MaxShift"},
        "ctf",
        {"name": "odd name", "protocol": "ImportMovies"},
        {"name": "x" * 300, "protocol": "ImportMovies"},
        {"name": "fourth", "protocol": ""},
        inert=[{"name": "gain", "origin": "scipion:X", "inputs": {"movies": "movis"}}],
    )
    for sentence in (
        "step 'align' has no field 'protocl'; did you mean 'protocol'?",
        "step 'align' lacks its 'protocol'",
        "step 'first': AlignMovie has no parameter 'binnin'. Did you mean 'binning'?",
        "step 'first': AlignMovie.patches does not take 'x'",
        "step 'first': AlignMovie.max_shift does not take -1",
        "step 'first' lacks its input 'movie', a Movie; steps that fit: movies",
        "step 'second' takes 'micrograph' from a number, 3: write the name of a step",
        "step 'second': 'hold' is a text, 'yes'; write true or false",
        "step 'second': 'after' is a list of names of steps",
        "step 'second' waits for 'frist', which is not a step; did you mean 'first'?",
        "step 'third': 'params' is a list; write an object in braces",
        "step 'third': No protocol 'EstimateCtff' is installed. Did you mean 'EstimateCtf'?",
        "step 'gate' takes 'micrograph' from 'frist', which is not a step; did you mean 'first'?",
        "step 7 lacks its 'name'",
        "step 8 is a text, 'ctf': write an object in braces",
        "step 'odd name': a name is made of letters",
        "a name has at most 100 letters",
        "step 'fourth' has an empty 'protocol'",
        "inert step 'gain' takes 'movies' from 'movis', which is not a step; did you mean 'movies'?",
    ):
        assert any(sentence in fault for fault in told), (sentence, told)


def test_circles_are_told_once_each_with_their_way():
    def gate(name, source, *after):
        return StepSpec(name, "MaxShift", {}, {"micrograph": source}, after=after)

    def circles(*steps):
        return [fault for fault in checks.check(steps) if "itself" in fault]

    first, align = StepSpec("movies", "ImportMovies"), StepSpec("align", "AlignMovie", {}, {"movie": "movies"})
    assert circles(first, align, gate("a", "c"), gate("b", "a"), gate("c", "b")) == [
        "step 'a' depends on itself: a ← c ← b ← a"
    ]
    assert circles(first, align, gate("a", "align", "b"), gate("b", "a")) == ["step 'a' depends on itself: a ← b ← a"]
    assert circles(first, align, gate("a", "a"), gate("b", "a"), gate("c", "c", "c")) == [
        "step 'a' depends on itself: a ← a",
        "step 'c' depends on itself: c ← c",
        "step 'c' depends on itself: c ← c",
    ]
    chain = [gate("s0", "align")] + [gate(f"s{i}", f"s{i - 1}") for i in range(1, 3000)]
    assert circles(first, align, *chain) == []
    with pytest.raises(WorkflowError, match="in a circle: a, b"):
        workflow.ordered([first, align, gate("a", "b"), gate("b", "a")])


def test_nothing_that_runs_depends_on_what_cannot_run():
    told = faults(
        MOVIES,
        {"name": "align", "protocol": "AlignMovie", "inputs": {"movie": "gain"}, "after": ["gain"]},
        inert=[{"name": "gain", "origin": "scipion:XmippProtMovieGain", "inputs": {"movies": "movies"}}],
    )
    assert told == [
        "step 'align' takes 'movie' from 'gain', which cannot be run here (scipion:XmippProtMovieGain): "
        "link it to another step, or move it to the inert ones",
        "step 'align' waits for 'gain', which cannot be run here and so never ends",
    ]


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"ask": 3}, "parameter 'voltage': 'ask' is a number, 3; write a text in quotes"),
        ({"ask": "a=b"}, "asks for 'a=b': write letters, digits, _, . and - alone"),
        ({"ask": "v", "lable": "V"}, "has no field 'lable'; did you mean 'label'?"),
        ({"ask": "v", "default": [1]}, "'default' is a list; write a text, a number, true or false"),
        ({"ask": "v", "default": "high"}, "question 'v', default: v does not take 'high': write a number in kV"),
        ({"ask": "v", "default": -5}, "question 'v', default: ImportMovies.voltage does not take -5.0"),
        ({"ask": "v", "type": "number"}, "there is no type 'number'; write one of string, boolean"),
        ({"ask": "v", "choices": [1]}, "'choices' is a list of texts"),
    ],
)
def test_faults_of_questions(asked, sentence):
    told = faults({**MOVIES, "params": {"voltage": asked}})
    assert any(sentence in fault for fault in told), told


def test_a_question_for_what_no_step_has_is_a_fault():
    assert faults({**MOVIES, "params": {"volts": {"ask": "v"}}}) == [
        "step 'movies' has no parameter 'volts' to ask for; did you mean 'voltage'?"
    ]
    told = faults(
        MOVIES,
        {"name": "again", "protocol": "ImportMovies", "params": {"cs": {"ask": "v", "label": "Cs", "default": 1}}},
        {"name": "more", "protocol": "ImportMovies", "params": {"cs": {"ask": "v", "label": "CS", "default": 2}}},
    )
    assert told == [
        "step 'more', parameter 'cs' asks for 'v' with another label ('CS') than before ('Cs'): write it once",
        "step 'more', parameter 'cs' asks for 'v' with another default ('2') than before ('1'): write it once",
    ]
    assert faults({**MOVIES, "name": "simulate"}, simulate={}) == [
        "a step beside a simulated microscope cannot be called 'simulate'"
    ]
    assert faults(simulate={}) == ["a microscope is simulated, but no step imports movies (ImportMovies)"]
    assert faults(MOVIES, simulate={"movies": 0, "volts": {"ask": "v"}}) == [
        "simulate has no parameter 'volts' to ask for; did you mean 'voltage'?",
        "simulate: Simulation.movies does not take 0: write an int from 1 to 100000 (default 24).",
    ]


WORDS = st.sampled_from(
    "version name description category simulate steps inert protocol params inputs label comment after hold origin ask "
    "default type help unit choices movies align ImportMovies AlignMovie MaxShift movie micrograph voltage pattern "
    "gain size timeout binning mode 12h /data/*.tiff os:path :".split()
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | WORDS
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.text(max_size=3), inner, max_size=5)
)
STEPS = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from(["movies", "align", "gate"]) | JSON},
        optional={
            "protocol": st.sampled_from(["ImportMovies", "AlignMovie", "MaxShift", "EstimateCtf"]) | JSON,
            "params": st.dictionaries(WORDS, JSON | st.dictionaries(st.just("ask"), WORDS), max_size=4) | JSON,
            "inputs": st.dictionaries(WORDS, WORDS, max_size=3) | JSON,
            "after": st.lists(WORDS, max_size=3) | JSON,
            "hold": JSON,
        },
    )
    | JSON,
    max_size=4,
)
DOCUMENTS = st.fixed_dictionaries(
    {"version": st.just(2) | JSON, "name": st.just("w") | JSON, "steps": STEPS},
    optional={"inert": STEPS, "simulate": st.dictionaries(WORDS, JSON, max_size=3) | JSON, "category": JSON},
)


@settings(max_examples=80, deadline=None)
@given(DOCUMENTS | JSON)
def test_no_document_raises_and_a_good_one_comes_back_as_it_was(content):
    read, told = parse(json.dumps(content))
    assert all(isinstance(fault, str) and fault for fault in told)
    if not told:
        again, none = parse(read.to_json())
        assert (again, none) == (read, [])


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 400), st.booleans())
def test_no_broken_text_raises(junk, place, end):
    text = (templates.PACKAGE / "live.json").read_bytes()
    broken = text[:place] + junk + (b"" if end else text[place + len(junk) :])
    read, told = parse(broken)
    assert told or read is not None
