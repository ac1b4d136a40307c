"""The rule of all monitors: a window, a share, hysteresis, a pause; and no limit that follows what it judges."""

from __future__ import annotations

import numpy as np
import pytest
from traitlets import Float

from cryowidgets.errors import ParameterError
from cryowidgets.monitors.base import NOW, Monitor, Reading
from cryowidgets.monitors.window import Points, Reference, Window
from cryowidgets.store.alerts import Alert, Clear, Raise


class Damp(Monitor):
    """Damp air."""

    takes = ("damp",)
    most = Float(60.0, help="Most").tag(unit="%")
    present = False
    blank = False
    margin = 0.0
    alarm = np.inf

    def readings(self, news):
        yield Reading(
            "damp", "humidity", news.get("damp", Points()), high=self.most, unit="%", digits=0, blank=self.blank,
            window=NOW if self.present else None, margin=self.margin, worst_high=self.alarm,
        )  # fmt: skip


class Feed:
    """Values one after the other, a second each."""

    def __init__(self, monitor):
        self.monitor, self.time = monitor, 0.0

    def __call__(self, *values, wait=0.0):
        found = []
        self.time += wait
        for value in values:
            self.time += 1.0
            points = Points(
                np.array([int(self.time)]), np.array([self.time]), np.array([float(value)]), np.zeros(1, int), True
            )
            found += self.monitor.look({"damp": points}, now=self.time)
        return found


def alert(key, cleared=None, level="warning"):
    return Alert(1, "damp", key, level, "It is damp.", 70.0, 60.0, None, 0.0, cleared, "", None, "")


def test_an_alert_opens_at_the_share_and_ends_below_a_smaller_one():
    feed = Feed(Damp(window=10, share=50, clear=20, cooldown=0))
    assert feed(*[50] * 10) == []
    assert feed(70, 70, 70, 70) == []
    (opened,) = feed(70)
    assert isinstance(opened, Raise) and opened.level == "warning" and opened.exposure == 15
    assert opened.text == "Humidity: of the newest 10 values 5 are above 60 %; the median is 60 %."
    assert (opened.value, opened.allowed) == (60.0, 60.0)
    assert feed(70, 70, 50, 50, 50, 50, 50, 50, 50) == [], "neither again nor, with 3 of 10, over"
    (over,) = feed(50)
    assert isinstance(over, Clear)
    assert over.text == "Humidity is in range again: 2 of the newest 10 values are out of it; the median is 50 %."
    assert feed(50, 50, 50) == []


def test_the_limit_does_not_move_with_what_it_judges():
    feed = Feed(Damp(window=4, cooldown=0))
    assert len(feed(*[99] * 4)) == 1
    assert len(feed(*[50] * 4)) == 1
    (again,) = feed(*[61] * 4)
    assert isinstance(again, Raise) and again.allowed == 60.0, "a smaller violation after a larger one is said too"


def test_it_is_not_said_again_before_the_pause_is_over():
    feed = Feed(Damp(window=2, cooldown=100))
    assert [type(c) for c in feed(70, 70, 50, 50)] == [Raise, Clear]
    assert feed(70, 70, 70) == []
    assert feed(70, wait=90) == []
    assert [type(c) for c in feed(70, wait=10)] == [Raise]


def test_nothing_is_said_of_too_few_values_and_missing_ones_do_not_count():
    feed = Feed(Damp(window=10))
    assert feed(70, 70, 70, 70, np.nan, np.nan) == []
    assert len(feed(70)) == 1


def test_where_a_missing_value_is_wrong_it_counts():
    monitor = Damp(window=4)
    monitor.blank = True
    (opened,) = Feed(monitor)(50, np.nan, np.nan, 50)[:1]
    assert opened.text == "Humidity: of the newest 2 values 1 have none; the median is 50 %."


def test_a_present_value_is_judged_with_a_margin_and_becomes_an_alarm():
    monitor = Damp(cooldown=0)
    monitor.present, monitor.margin, monitor.alarm = True, 0.1, 80.0
    feed = Feed(monitor)
    (opened,) = feed(61)
    assert opened.text == "Humidity is 61 %, above 60 %." and opened.level == "warning"
    (worse,) = feed(81)
    assert (worse.level, worse.value) == ("alarm", 81.0)
    assert feed(70, 81, 59, 55) == [], "59 is allowed, and yet too near to what is not"
    (over,) = feed(54)
    assert over.text == "Humidity is 54 % again."


def test_an_alarm_does_not_wait_for_the_pause():
    monitor = Damp(cooldown=1000)
    monitor.present, monitor.alarm = True, 80.0
    feed = Feed(monitor)
    assert [type(c) for c in feed(70, 50)] == [Raise, Clear]
    assert feed(70) == []
    assert [c.level for c in feed(90)] == ["alarm"]


def test_the_newest_are_those_acquired_last_whatever_was_done_last():
    window = Window()
    of = np.array
    window.add(Points(of([1, 2, 9]), of([10.0, 20.0, 90.0]), of([1.0, 2.0, 9.0]), np.zeros(3, int)), 2)
    window.add(Points(of([3]), of([30.0]), of([3.0]), np.zeros(1, int)), 2)
    assert window.newest(2)[0].tolist() == [3.0, 9.0]
    window.add(Points(of([9]), of([90.0]), of([5.0]), np.zeros(1, int)), 2)
    assert window.newest(2)[0].tolist() == [3.0, 5.0], "what was done again takes the place of what was"
    many = np.arange(1000)
    window.add(Points(many, many * 1.0, many * 1.0, many * 0), 2)
    assert window.newest(2)[0].tolist() == [998.0, 999.0]
    assert len(window._values) <= 6


def test_an_alert_of_the_ledger_is_taken_up_and_one_that_ended_keeps_its_pause():
    monitor = Damp(window=2, cooldown=100)
    monitor.restore([alert("damp")])
    assert [type(c) for c in Feed(monitor)(50, 50)] == [Clear]
    monitor = Damp(window=2, cooldown=100)
    monitor.restore([alert("damp", cleared=1.0)])
    feed = Feed(monitor)
    assert feed(70, 70) == [] and len(feed(70, wait=99)) == 1
    monitor = Damp()
    monitor.restore([alert("smell")])
    assert monitor.look({}, now=0.0) == [Clear("", "smell", "It is no longer watched.")]


def test_a_reference_is_what_was_usual_in_each_group_at_the_beginning():
    usual = Reference()
    ids = np.arange(6)
    values = np.array([10.0, 20.0, 12.0, np.nan, 6.0, 15.0])
    groups = np.array([0, 1, 0, 0, 0, 1])
    found = usual.relative(Points(ids, ids * 1.0, values, groups), 2)
    np.testing.assert_allclose(found, [np.nan, np.nan, np.nan, np.nan, 6 / 11, np.nan])
    later = usual.relative(Points(np.array([7, 8]), np.zeros(2), np.array([35.0, 22.0]), np.array([1, 0])), 2)
    np.testing.assert_allclose(later, [2.0, 2.0])
    assert usual.usual(1) == 17.5


def test_values_that_make_no_sense_together_are_refused():
    with pytest.raises(ParameterError, match="clear 60 % is not less than share 50 %"):
        Damp(clear=60)
    with pytest.raises(ParameterError, match="Did you mean 'window'"):
        Damp(windw=3)
