"""Joins with inputs that need not be linked: they wait for what is linked, and for nothing else."""

from __future__ import annotations

import pytest
from traitlets import Float

from cryowidgets.engine.engine import Engine
from cryowidgets.engine.inbox import send
from cryowidgets.errors import WorkflowError
from cryowidgets.model import Ctf, Micrograph, Picks
from cryowidgets.protocols import registry
from cryowidgets.protocols.base import Maybe, Protocol


class Loose(Protocol):
    """Everything may be missing."""

    takes = {"first": Maybe(Micrograph), "second": Maybe(Picks)}
    gives = Picks
    radius = Float(1.0)


def session(project, movies):
    movies("a", "b")
    p = project()
    p.workflow.add("picktoys:Stand", name="align", movie="movies")
    for name, shift in (("one", 0.0), ("two", 1.0), ("three", 30.0)):
        p.workflow.add("picktoys:Grid", name=name, micrograph="align", shift=shift)
    return p


def counts(p, step):
    with p.reader() as reader:
        rows = reader.rows(step)
    return dict(zip(rows["name"], rows["count"].tolist(), strict=True))


def test_a_join_takes_as_many_pickers_as_are_linked(project, movies, run):
    p = session(project, movies)
    links = {"micrograph": "align", "first": "one", "second": "two"}
    p.workflow.add("PickConsensus", name="of_two", **links, radius=10.0)
    p.workflow.add("PickConsensus", name="of_three", **links, third="three", radius=10.0)
    p.workflow.add("PickConsensus", name="most", **links, third="three", votes=2, radius=10.0)
    p.workflow.add("PickConsensus", name="with_gap", **links, fifth="three", votes=1, radius=10.0)
    assert run(p).finished
    assert counts(p, "of_two") == counts(p, "most") == {"a": 12, "b": 12}
    assert counts(p, "of_three") == {"a": 0, "b": 0}
    with p.reader() as reader:
        assert counts(p, "with_gap") == {name: 12 + n for name, n in counts(p, "three").items()}
        origin = reader.provenance("Picks", int(reader.rows("of_three")["id"][0]))
    assert {name: source.step for name, source in origin.inputs.items()} == {**links, "third": "three"}


def test_an_input_that_was_open_can_be_linked_later(project, movies):
    p = session(project, movies)
    p.workflow.add("PickConsensus", name="agreed", micrograph="align", first="one", second="two", votes=2, radius=60.0)
    engine = Engine(p.folder, "inline")
    try:
        for _ in range(200):
            engine.tick(0.01)
            if len(counts(p, "agreed")) == 2:
                break
        assert counts(p, "agreed") == {"a": 12, "b": 12}
        send(p.folder, "link", step="agreed", input="fourth", source="align")
        ref = send(p.folder, "link", step="agreed", input="third", source="three")
        send(p.folder, "set", step="agreed", values={"votes": 3, "radius": 61.0}, scope="branch")
        for _ in range(20):
            engine.tick(0.01)
        with p.reader() as reader:
            assert reader.answer(ref).kind == "command"
            (refused,) = [e.text for e in reader.events() if e.kind == "command.refused"]
            assert set(reader.steps()["agreed"].inputs) == {"micrograph", "first", "second", "third"}
        assert "takes a Picks as 'fourth', but 'align' gives a Micrograph" in refused
        # the third lies 42 px from the others: of their picks some have one of its own within reach, and others none
        assert 0 < counts(p, "agreed")["a"] < 12
    finally:
        engine.close()


def test_what_must_be_linked_is_asked_for(project, movies):
    p = session(project, movies)
    with pytest.raises(WorkflowError, match="lacks its input 'second', a Picks") as caught:
        p.workflow.add("PickConsensus", name="x", micrograph="align", first="one")
    assert "third" not in str(caught.value)
    with pytest.raises(WorkflowError, match="takes a Picks as 'third', but 'align' gives a Micrograph"):
        p.workflow.add("PickConsensus", name="x", micrograph="align", first="one", second="two", third="align")


def test_a_join_without_any_input_that_must_be_linked_is_no_protocol():
    assert "names no input that must be linked" in registry.fault(Loose)
    assert Loose.inputs() == {"first": Micrograph, "second": Picks} and Loose.needed() == []
    assert Loose.kinds({"second": Picks})[0] == {"second": Picks}
    assert registry.get("PickConsensus").needed() == ["first", "second", "micrograph"]
    assert Ctf not in registry.get("PickConsensus").inputs().values()
