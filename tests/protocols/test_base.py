"""A protocol's parameters are declared once; everything else is derived from them."""

from __future__ import annotations

import pytest
from traitlets import Bool, Enum, Float, Int, List, Unicode

from cryowidgets.errors import ParameterError, WorkflowError
from cryowidgets.model import Ctf, Item, Micrograph, Movie
from cryowidgets.protocols import registry
from cryowidgets.protocols.base import Many, Protocol
from cryowidgets.protocols.out import Out


class Base(Protocol):
    zulu = Int(1, help="comes first, being declared first")


class Example(Base):
    """Something of a movie."""

    takes = Movie
    gives = Micrograph

    box = Int(512, min=128, max=2048, help="Side of the spectrum").tag(unit="px", group="Fit")
    alpha = Float(0.5).tag(advanced=True)
    mode = Enum(["fast", "slow"], "fast")
    name = Unicode("x")
    flag = Bool(False)
    frames = List(Int())
    low = Float(1.0).tag(when=lambda protocol: protocol.flag)

    def check(self):
        if self.low > self.alpha * 100:
            raise ParameterError("Example.low is more than a hundred times alpha.")


def test_parameters_come_in_the_order_of_the_class_body_bases_first():
    assert list(Example.parameters()) == ["zulu", "box", "alpha", "mode", "name", "flag", "frames", "low"]


def test_what_a_parameter_tells():
    p = Example.parameters()["box"]
    assert (p.default, p.minimum, p.maximum, p.unit, p.group, p.advanced) == (512, 128, 2048, "px", "Fit", False)
    assert Example.parameters()["mode"].choices == ("fast", "slow")
    low = Example.parameters()["low"]
    assert [low.when(Example(flag=flag)) for flag in (False, True)] == [False, True]


def test_texts_become_values_as_a_command_line_needs():
    made = Example(box="256", alpha="0.25", mode="slow", name="7", flag="true", frames="[1, 2]")
    assert made.values() == {
        "zulu": 1, "box": 256, "alpha": 0.25, "mode": "slow", "name": "7", "flag": True, "frames": [1, 2], "low": 1.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    "values, sentence",
    [
        ({"boxx": 1}, "Example has no parameter 'boxx'. Did you mean 'box'? It has: zulu, box,"),
        ({"box": 64}, "Example.box does not take 64: write an int from 128 to 2048 px (default 512)"),
        ({"box": "wide"}, "Example.box does not take 'wide'"),
        ({"mode": "quick"}, "Example.mode does not take 'quick': write one of 'fast', 'slow'"),
        ({"low": 99.0}, "Example.low is more than"),
    ],
)
def test_wrong_values_are_refused_with_what_to_write(values, sentence):
    with pytest.raises(ParameterError) as refused:
        Example(**values)
    assert sentence in str(refused.value)


def test_inputs_follow_from_what_a_protocol_takes():
    class Join(Protocol):
        takes = {"first": Ctf, "second": Ctf}
        gives = Ctf

    class Fold(Protocol):
        takes = Many(Ctf, every=3)
        gives = Ctf

    assert Example.inputs() == {"movie": Movie}
    assert Join.inputs() == {"first": Ctf, "second": Ctf}
    assert Fold.inputs() == {"ctf": Ctf}
    assert (Fold.is_fold(), Join.is_fold()) == (True, False)


def test_our_protocols_come_through_the_same_door_as_plug_ins():
    assert {"ImportMovies", "AlignMovie", "MaxShift", "EstimateCtf"} <= set(registry.names())
    for name in registry.names():
        protocol = registry.get(name)
        assert registry.name_of(protocol) == name
        assert protocol.__doc__, name
        assert issubclass(protocol.gives, Item)
        for parameter in protocol.parameters().values():
            assert parameter.help, f"{name}.{parameter.name} has no help"


def test_a_protocol_under_development_needs_no_entry_point():
    assert registry.get("cryowidgets.protocols.import_movies:ImportMovies").__name__ == "ImportMovies"
    registry.register(Example)
    assert registry.get("Example") is Example
    del registry._local["Example"]


@pytest.mark.parametrize("name, sentence", [("AlignMovi", "Did you mean 'AlignMovie'"), ("no.such:Thing", "imported")])
def test_a_missing_protocol_is_named(name, sentence):
    with pytest.raises(WorkflowError, match=sentence):
        registry.get(name)


def test_files_have_their_names_only_after_success(tmp_path):
    out = Out(tmp_path, "steps/a", "m1")
    out.file("_x.txt").write_text("half")
    folder = tmp_path / "steps" / "a"
    assert [f.name for f in folder.iterdir() if not f.name.startswith(".")] == []
    out.commit()
    assert [f.name for f in folder.iterdir()] == ["m1_x.txt"]
    assert (tmp_path / out.name("_x.txt")).read_text() == "half"
    again = Out(tmp_path, "steps/a", "m1")
    again.file("_x.txt").write_text("other")
    again.discard()
    assert (folder / "m1_x.txt").read_text() == "half"
    assert len(list(folder.iterdir())) == 1
