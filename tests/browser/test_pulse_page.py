"""A page that has silently stopped is worse than none: the pulse says so, and a kiosk comes back by itself."""

import pytest

from cryowidgets.widgets.pulse import Pulse

pytestmark = pytest.mark.browser

STATE = "document.getElementById('view').dataset.state"


@pytest.fixture
def signs():
    return []


@pytest.fixture
def pulse(comms, signs):
    pulse = Pulse(lambda: signs.append(1))
    pulse.every, pulse.patience = 0.1, 1.0
    return pulse


def test_page_shows_that_it_is_there_and_hides_what_is_well(stage, pulse, signs):
    s = stage()
    s.draw(pulse)
    s.settle(f"{STATE} === 'well'")
    assert signs and not s.page.locator(".cw-banner").is_visible()
    pulse.trouble = "The project cannot be read: gone <b>away</b>"
    s.settle(f"{STATE} === 'trouble'")
    assert s.page.inner_text(".cw-banner") == "The project cannot be read: gone <b>away</b>"
    pulse.trouble = ""
    s.settle(f"{STATE} === 'well'")
    assert s.errors == []


def test_silence_is_said_and_taken_back(stage, pulse):
    s = stage()
    s.draw(pulse)
    s.page.wait_for_function(f"{STATE} === 'silent'")
    assert s.page.inner_text(".cw-banner").startswith("No answer since")
    s.settle(f"{STATE} === 'well'")
    assert not s.page.locator(".cw-banner").is_visible()


def test_a_hidden_page_sends_no_signs(stage, pulse, signs):
    s = stage()
    s.page.evaluate("Object.defineProperty(document, 'visibilityState', { get: () => globalThis.seen ?? 'hidden' })")
    s.draw(pulse)
    s.page.wait_for_timeout(400)
    s.settle()
    assert signs == []
    s.page.evaluate("globalThis.seen = 'visible'; document.dispatchEvent(new Event('visibilitychange'))")
    s.settle()
    assert signs


def test_kiosk_fetches_the_page_anew_once_its_server_answers(stage, pulse):
    s = stage()
    s.page.evaluate("document.body.dataset.voila = 'voila'")
    s.draw(pulse)
    with s.page.expect_navigation(timeout=15_000):
        pass
    assert s.page.url.endswith("/")
