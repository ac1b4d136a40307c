"""A table of any length in a browser that holds a few dozen rows of it."""

import pytest

from cryowidgets.widgets.live_table import Column, LiveTable, Row

pytestmark = pytest.mark.browser

VISIBLE = "[...document.querySelectorAll('#view .cw-body .cw-row')]"


@pytest.fixture
def source():
    return {"total": 30_000, "name": "row"}


@pytest.fixture
def table(comms, source):
    def fetch(first, count):
        numbers = range(first, min(first + count, source["total"]))
        state = {7: "failed"}
        return source["total"], [Row(n, state.get(n, "done"), [f"{source['name']} {n}", "<b>"], "why") for n in numbers]

    columns = [Column("name"), Column("value", "µm", "right", "80px")]
    table = LiveTable(columns, fetch, lambda: table.refresh(), "none yet")
    return table


def test_thousands_of_rows_and_only_a_few_on_the_page(stage, table, source):
    s = stage()
    s.draw(table)
    s.settle("document.getElementById('view').dataset.rows === '30000'")
    assert s.page.evaluate(f"{VISIBLE}.length") < 100
    assert s.page.inner_text("#view .cw-body .cw-row[data-id='0'] .cw-cell") == "row 0"
    s.page.evaluate("document.querySelector('#view .cw-scroll').scrollTop = 26 * 20000")
    s.settle("document.querySelector('#view .cw-row[data-id=\"20003\"]')")
    inside = s.page.evaluate(
        """() => { const r = document.querySelector('#view .cw-row[data-id="20003"]').getBoundingClientRect();
        const s = document.querySelector('#view .cw-scroll').getBoundingClientRect();
        return r.top >= s.top && r.bottom <= s.bottom }"""
    )
    assert inside, "the row is where the scroll bar says"
    s.page.evaluate("document.querySelector('#view .cw-scroll').scrollTop = 1e9")
    s.settle("document.querySelector('#view .cw-row[data-id=\"29999\"]')")
    assert s.errors == []


def test_what_changes_appears_and_where_one_has_scrolled_to_stays(stage, table, source):
    s = stage()
    s.draw(table)
    s.page.evaluate("document.querySelector('#view .cw-scroll').scrollTop = 26 * 500")
    s.settle("document.querySelector('#view .cw-row[data-id=\"505\"]')")
    source["name"], source["total"] = "line", 30_001
    table.refresh()
    s.settle("document.getElementById('view').dataset.rows === '30001'")
    assert s.page.inner_text("#view .cw-row[data-id='505'] .cw-cell") == "line 505"
    assert s.page.evaluate("document.querySelector('#view .cw-scroll').scrollTop") == 26 * 500


def test_texts_are_texts_and_rows_say_what_is_wrong(stage, table):
    s = stage()
    s.draw(table)
    s.settle("document.getElementById('view').dataset.rows === '30000'")
    row = s.page.locator("#view .cw-row[data-id='7']")
    assert row.locator(".cw-cell").nth(1).inner_text() == "<b>"
    assert "cw-is-failed" in row.get_attribute("class") and row.get_attribute("title") == "why"
    assert s.page.locator("#view .cw-head").inner_text().split("\n") == ["name", "value µm"]


def test_clicks_name_the_row_and_selection_holds_while_scrolling(stage, table):
    tapped = []
    table.on_tap(tapped.append)
    s = stage()
    s.draw(table)
    s.settle("document.querySelector('#view .cw-row[data-id=\"3\"]')")
    s.page.click("#view .cw-row[data-id='3']")
    s.settle()
    assert tapped == [3]
    table.select(3)
    s.settle("document.querySelector('#view .cw-selected')?.dataset.id === '3'")
    s.page.evaluate("document.querySelector('#view .cw-scroll').scrollTop = 26 * 900")
    s.settle("document.querySelector('#view .cw-row[data-id=\"905\"]')")
    s.page.evaluate("document.querySelector('#view .cw-scroll').scrollTop = 0")
    s.settle("document.querySelector('#view .cw-selected')?.dataset.id === '3'")


def test_an_empty_table_says_so(stage, table, source):
    source["total"] = 0
    s = stage()
    s.draw(table)
    s.settle("document.getElementById('view').dataset.rows === '0'")
    assert s.page.inner_text("#view .cw-table-empty") == "none yet"
