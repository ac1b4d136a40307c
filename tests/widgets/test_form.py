"""The form of a protocol: linked both ways, and never in doubt about why a value was refused."""

import pytest
from traitlets import Bool, Enum, Float, Int, Unicode

from cryowidgets.errors import ParameterError
from cryowidgets.model import Micrograph
from cryowidgets.protocols.base import Protocol
from cryowidgets.protocols.durations import Duration
from cryowidgets.widgets.form import ParameterForm


class Smooth(Protocol):
    """A protocol with one parameter of each sort."""

    takes = Micrograph
    gives = Micrograph

    box = Int(512, min=128, max=2048, help="Side of the box <b>").tag(unit="px", group="Fit")
    low = Float(30.0, min=0, help="Lowest resolution").tag(unit="Å", group="Fit")
    high = Float(5.0, min=0, help="Highest resolution").tag(unit="Å", group="Fit")
    method = Enum(["fast", "good"], "good", help="How").tag(group="Fit")
    phase = Bool(False, help="Fit a phase shift")
    phase_step = Float(10.0, min=1, help="Step").tag(unit="°", when=lambda p: p.phase)
    label = Unicode("", help="A text")
    limit = Float(None, allow_none=True, help="None for no limit").tag(advanced=True)
    wait = Duration("30s", help="How long").tag(unit="s", advanced=True)

    def check(self):
        if self.high > self.low:
            raise ParameterError(f"Smooth.high {self.high:g} Å is above low {self.low:g} Å: write a smaller number.")


@pytest.fixture
def form(wire):
    return ParameterForm(Smooth())


def test_fields_stand_in_the_order_of_the_class_body_with_their_values(form):
    assert list(form.fields) == list(Smooth.parameters())
    shown = {name: field.value for name, field in form.fields.items()}
    assert shown == {
        "box": "512",
        "low": "30",
        "high": "5",
        "method": "good",
        "phase": False,
        "phase_step": "10",
        "label": "",
        "limit": "",
        "wait": "30s",
    }


def test_what_a_person_enters_is_set_on_the_protocol(wire, form):
    entered = {"box": "1024", "low": "25,5", "method": "fast", "phase": True}
    entered |= {"label": "a b", "limit": "3", "wait": "1m 30s"}
    for name, value in entered.items():
        if name == "method":
            wire.set(form.fields[name], index=0)
        else:
            wire.set(form.fields[name], value=value)
    p = form.protocol
    assert (p.box, p.low, p.method, p.phase, p.label, p.limit, p.wait) == (1024, 25.5, "fast", True, "a b", 3.0, 90.0)
    wire.set(form.fields["limit"], value="")
    assert p.limit is None
    assert form.errors == {}


def test_what_is_set_on_the_protocol_stands_in_the_form(form):
    form.protocol.box = 256
    form.protocol.wait = 7200
    form.protocol.method = "fast"
    assert (form.fields["box"].value, form.fields["wait"].value, form.fields["method"].value) == ("256", "2h", "fast")


@pytest.mark.parametrize("value", ["64", "4096", "12.5", "many", ""])
def test_a_refused_value_stays_visible_with_its_reason_and_changes_nothing(wire, form, value):
    wire.set(form.fields["box"], value=value)
    assert form.protocol.box == 512
    assert form.fields["box"].value == value
    assert "Smooth.box does not take" in form.errors["box"] and "128 to 2048" in form.errors["box"]
    assert "cw-wrong" in form._rows["box"]._dom_classes
    wire.set(form.fields["box"], value="640")
    assert form.errors == {} and form.protocol.box == 640
    assert "cw-wrong" not in form._rows["box"]._dom_classes


def test_values_wrong_together_are_refused_and_mended_from_either_side(wire, form):
    wire.set(form.fields["high"], value="40")
    assert form.protocol.high == 5.0 and "above low" in form.errors["high"]
    wire.set(form.fields["low"], value="50")
    assert (form.protocol.low, form.protocol.high) == (50.0, 40.0) and form.errors == {}


def test_a_value_set_from_outside_clears_what_was_refused(wire, form):
    wire.set(form.fields["box"], value="1")
    form.protocol.box = 1024
    assert form.fields["box"].value == "1024" and form.errors == {}


def test_parameters_without_meaning_are_hidden(wire, form):
    assert form._rows["phase_step"].layout.display == "none"
    wire.set(form.fields["phase"], value=True)
    assert form._rows["phase_step"].layout.display != "none"


def test_other_peoples_words_are_escaped(form):
    assert "&lt;b&gt;" in form._notes["box"].value and "<b>" not in form._notes["box"].value


def test_advanced_parameters_are_folded_away(form):
    accordion = form.children[-2]
    assert accordion.titles == ("Advanced",) and accordion.selected_index is None
    inside = accordion.children[0].children
    assert [form._rows["limit"], form._rows["wait"]] == list(inside)


def test_changes_are_told_once_each(wire, form):
    told = []
    form.on_change(lambda: told.append(form.protocol.box))
    wire.set(form.fields["box"], value="300")
    form.protocol.box = 400
    wire.set(form.fields["box"], value="1")
    assert told == [300, 400]
