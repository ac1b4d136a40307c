"""The tab Alerts in a real browser: what is wrong, who knows, and limits that are changed."""

from __future__ import annotations

import pytest

from cryowidgets.engine import inbox
from cryowidgets.store import alerts
from tests.browser.pages import served
from tests.filled import FilledSession
from tests.monitors.receivers import until

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    session = FilledSession(tmp_path_factory.mktemp("alerts") / "session")
    session.open_engine()
    session.arrive(30)
    session.process(pictures=False)
    session.sample(20)
    yield session
    session.close()


@pytest.fixture(scope="module")
def desk(chromium, filled):
    with served(chromium, filled.folder) as tab:
        tab.page.set_default_timeout(90_000)
        yield tab


def sent(filled, name):
    """Arguments of the command of a name in the inbox, once it is there."""
    return until(lambda: [command.args for command in inbox.read(filled.folder) if command.name == name])[0]


def test_an_alert_is_acknowledged_and_a_limit_changed(desk, filled):
    alert = filled.alert("The gain in use is of <another> camera.", "alarm")
    page = desk.page
    page.get_by_role("tab", name="Alerts").click()
    card = page.locator(".cw-al-card")
    card.wait_for()
    assert "The gain in use is of <another> camera." in card.inner_text() and "■ alarm" in card.inner_text()
    desk.wait("document.querySelectorAll('.cw-al-row svg circle').length > 20")
    assert "Defocus" in page.locator(".cw-al-watching").inner_text()

    page.get_by_placeholder("your name").fill("Eva")
    page.get_by_placeholder("your name").press("Enter")
    page.get_by_role("button", name="I know").click()
    assert sent(filled, "acknowledge") == {"alert": alert, "by": "Eva"}
    alerts.acknowledge(filled.store, alert, "Eva")
    desk.wait("document.querySelector('.cw-al-card')?.textContent.includes('Eva knows')")
    assert not page.get_by_role("button", name="I know").is_visible()

    page.locator(".cw-al-choice select").select_option("drift")
    limit = page.locator(".cw-al-form .cw-field", has_text="drift max").locator("input")
    limit.wait_for()
    limit.fill("30")
    limit.press("Enter")
    page.locator(".cw-al-change").get_by_role("button", name="Apply").click()
    assert sent(filled, "monitor") == {"name": "drift", "values": {"drift_max": 30}}

    filled.clear("The gain in use fits the movies.")
    desk.wait("!document.querySelector('.cw-al-card')")
    assert "The gain in use fits the movies." in page.locator(".cw-al-history").inner_text()
    own = (page.url.split("?")[0].rstrip("/"), "ws://127.0.0.1", "http://127.0.0.1", "data:", "blob:")
    assert [url for url in desk.requests if not url.startswith(own)] == []
    assert desk.faults == []
