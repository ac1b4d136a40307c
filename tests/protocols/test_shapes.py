"""Inputs and kinds of protocols that pass on what they are given."""

from __future__ import annotations

from cryowidgets.cli.plugins import takes
from cryowidgets.model import Ctf, Item, Micrograph, Movie, Particles
from cryowidgets.protocols import registry
from cryowidgets.protocols.base import Either, Protocol, Recent, Without
from cryowidgets.protocols.defocus_sampler import DefocusSampler
from cryowidgets.workflow import StepSpec, check


class Pass(Protocol):
    takes = Item
    gives = Item


class Both(Protocol):
    takes = Either(Item)
    gives = Item


class Rest(Protocol):
    takes = Without(Item)
    gives = Item


class Look(Protocol):
    takes = Recent(Micrograph, 50)
    gives = Micrograph


def test_inputs_are_named():
    assert Pass.inputs() == {"item": Item}
    assert Both.inputs() == Rest.inputs() == {"first": Item, "second": Item}
    assert Look.inputs() == {"micrograph": Micrograph}
    assert not any(cls.is_fold() or cls.waits() for cls in (Pass, Both, Rest, Look))


def test_each_is_a_protocol_that_the_registry_knows_as_whole():
    assert [registry.fault(cls) for cls in (Pass, Both, Rest, Look)] == [""] * 4
    ours = [name for name, plugin in registry.installed().items() if plugin.package == "cryowidgets"]
    assert {"JoinSets", "DoseAnalysis", "Trigger"} <= set(ours)
    assert {name: fault for name in ours if (fault := registry.fault(registry.get(name)))} == {}


def test_what_they_take_is_said_in_words():
    assert [takes(cls) for cls in (Pass, Both, Rest, Look)] == [
        "Item",
        "Item or Item",
        "Item without Item",
        "Micrograph of 50",
    ]
    assert takes(DefocusSampler) == "Ctf of 100"


def test_kinds_are_those_of_the_sources_where_any_will_do():
    assert Pass.kinds({"item": Particles}) == ({"item": Particles}, Particles)
    assert Both.kinds({"first": Ctf, "second": Ctf}) == ({"first": Ctf, "second": Ctf}, Ctf)
    assert Look.kinds({"micrograph": Movie}) == ({"micrograph": Micrograph}, Micrograph), "a link that check refuses"


def test_a_workflow_knows_what_flows_through_steps_that_pass_anything_on(monkeypatch):
    for cls in (Pass, Both, Rest):
        monkeypatch.setitem(registry._local, cls.__name__, cls)
    steps = [
        StepSpec("ctf", "EstimateCtf", {}, {"micrograph": "second"}),
        StepSpec("second", "Pass", {}, {"item": "first"}),  # written down before what it depends on
        StepSpec("first", "Pass", {}, {"item": "align"}),
        StepSpec("align", "AlignMovie", {}, {"movie": "movies"}),
        StepSpec("movies", "ImportMovies", {"pattern": "/data/*.mrc", "pixel_size": 1.0}),
        StepSpec("both", "Both", {}, {"first": "first", "second": "second"}),
    ]
    assert check(steps) == []
    wrong = StepSpec("again", "AlignMovie", {}, {"movie": "second"})
    assert check([*steps, wrong]) == ["step 'again' takes a Movie as 'movie', but 'second' gives a Micrograph"]
    mixed = StepSpec("mixed", "Both", {}, {"first": "align", "second": "ctf"})
    assert check([*steps, mixed]) == [
        "step 'mixed' joins items of one kind, but is given a Micrograph and a Ctf",
    ]
    early = StepSpec("early", "Trigger", {"closed_by": "enough"}, {"item": "align"})
    enough = StepSpec("enough", "Trigger", {"closed_by": "early"}, {"item": "align"})
    assert check([*steps, early, enough]) == []
    assert check([*steps, early]) == ["step 'early' is closed by 'enough', which is not a step"]
    by_ctf = StepSpec("early", "Trigger", {"closed_by": "ctf"}, {"item": "align"})
    assert check([*steps, by_ctf]) == [
        "step 'early' is closed by 'ctf', which is not another trigger or counter and gives no signal"
    ]
    unlinked = StepSpec("lost", "Pass", {}, {})
    said = check([*steps, unlinked])[0]
    assert said.startswith("step 'lost' lacks its input 'item', an item of any kind; steps that fit: ")
