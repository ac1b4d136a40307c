"""A table asks for what is on the screens, and for nothing else."""

import pytest

from cryowidgets.widgets.live_table import MOST, VIEWS, Column, LiveTable, Row


class Source:
    def __init__(self, total):
        self.total, self.asked = total, []

    def __call__(self, first, count):
        self.asked.append((first, count))
        return self.total, [Row(i, "done", [f"row {i}"]) for i in range(first, min(first + count, self.total))]


@pytest.fixture
def source():
    return Source(10_000)


@pytest.fixture
def woken():
    return []


@pytest.fixture
def table(wire, source, woken):
    return LiveTable([Column("name")], source, lambda: woken.append(1), "nothing yet")


def test_only_the_window_on_the_screen_is_fetched(wire, table, source, woken):
    wire.hear(table, type="need", view="a", first=5000, count=30)
    assert woken == [1] and source.asked == [], "fetching is for the ticker"
    table.refresh()
    ((message, _),) = wire.said(table, "rows")
    assert (message["view"], message["first"], message["total"], len(message["rows"])) == ("a", 5000, 10_000, 30)
    assert message["rows"][0] == {"id": 5000, "state": "done", "cells": ["row 5000"], "hint": ""}


def test_pages_for_which_nothing_changed_hear_nothing(wire, table, source):
    wire.hear(table, type="need", view="a", first=0, count=5)
    wire.hear(table, type="need", view="b", first=0, count=5)
    table.refresh()
    assert source.asked == [(0, 5)], "one fetch serves two pages with one window"
    wire.clear()
    table.refresh()
    assert wire.said(table, "rows") == []
    source.total += 1
    table.refresh()
    assert [m["view"] for m, _ in wire.said(table, "rows")] == ["a", "b"]


def test_pages_that_are_gone_are_forgotten(wire, table, source):
    for n in range(VIEWS + 5):
        wire.hear(table, type="need", view=f"v{n}", first=n, count=5)
    table.refresh()
    assert len(source.asked) == VIEWS and (VIEWS + 4, 5) in source.asked
    wire.hear(table, type="gone", view=f"v{VIEWS + 4}")
    source.asked.clear()
    table.refresh()
    assert (VIEWS + 4, 5) not in source.asked


def test_what_pages_say_is_checked(wire, table, source, woken):
    tapped = []
    table.on_tap(tapped.append)
    for first, count in ((-1, 5), (0, "5"), (0, 1e9), (None, None), (0, 2**60)):
        wire.hear(table, type="need", view="a", first=first, count=count)
    wire.hear(table, type="need", view=7, first=0, count=1)
    wire.hear(table, type="tap", id=-3)
    wire.hear(table, type="tap", id=[1])
    assert woken == [] and tapped == []
    wire.hear(table, type="need", view="a", first=0, count=10**6)
    table.refresh()
    assert source.asked == [(0, MOST)]
