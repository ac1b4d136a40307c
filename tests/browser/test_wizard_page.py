"""The wizard in a real browser: fill in a template of the simulated microscope, start it, see movies flow."""

from __future__ import annotations

import json
from urllib.parse import unquote
from urllib.request import urlopen

import pytest

from cryowidgets.errors import ProjectError
from cryowidgets.project import Project
from cryowidgets.widgets.kiosk import start_wizard
from cryowidgets.workflow.templates import PACKAGE, SITE
from tests.browser.pages import Tab

pytestmark = pytest.mark.browser

OURS = {"movies": "4", "every": "0.5", "size": "512", "frames": "6"}
"""A session of the simulated microscope that takes seconds."""
COUNT = "Number(document.querySelector('.cw-node[data-name={}] .cw-count-{}')?.dataset.count ?? 0)"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The demo of the package with a gate as its last step: nothing here tells of CTFs, and movies are small."""
    folder = tmp_path_factory.mktemp("wizard")
    document = json.loads((PACKAGE / "demo.json").read_text())
    document["steps"] = document["steps"][:3]
    (folder / "templates" / "quick").mkdir(parents=True)
    (folder / "templates" / "quick" / "motion.json").write_text(json.dumps(document))
    (folder / "templates" / "quick" / "broken.json").write_text("{")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SITE, str(folder / "templates"))
        with start_wizard(folder, pool=0) as page:
            yield page


@pytest.fixture(scope="module")
def desk(chromium, server):
    tab = Tab(chromium, server.url)
    yield tab
    tab.context.close()


def test_the_wizard_is_filled_in_and_movies_flow(desk, server, chromium):
    page = desk.page
    desk.wait("document.querySelectorAll('.cw-card').length > 3")
    assert "cannot be used" in page.inner_text(".cw-card[data-id$='/broken'] .cw-fault")
    page.click(".cw-card[data-id$='/motion']")
    desk.wait("document.querySelectorAll('.cw-wizard-filling .cw-node').length === 3")
    volt = page.locator(".cw-field", has=page.get_by_text("Voltage", exact=True)).locator("input")
    volt.fill("30000")
    desk.wait("document.querySelector('.cw-wrong [role=alert]')?.textContent.includes('to 1500 kV')")
    assert page.get_by_role("button", name="Start", exact=True).is_disabled()
    volt.fill("200")
    desk.wait("!document.querySelector('.cw-wrong')")
    labels = {"movies": "Movies", "every": "Time from one movie to the next", "size": "Side of a frame"}
    for id, label in {**labels, "frames": "Frames of a movie"}.items():
        page.locator(".cw-field", has=page.get_by_text(label, exact=True)).locator("input").fill(OURS[id])
    desk.wait("!document.querySelector('.cw-wizard-end button').disabled")
    page.get_by_role("button", name="Start", exact=True).click()
    desk.wait("document.querySelector('.cw-go')")
    link = page.get_attribute(".cw-go", "href")
    project = Project(unquote(link.partition("project=")[2]))
    try:
        for number in (1, 4):  # they come one after the other
            desk.wait(f"{COUNT.format('movies', 'done')} >= {number}")
        desk.wait(f"{COUNT.format('maxshift', 'done')} + {COUNT.format('maxshift', 'rejected')} === 4")
        steps = project.steps
        assert steps["movies"].params["voltage"] == 200.0 and project.document().simulate["movies"] == 4
        with page.context.expect_page() as opened:
            page.click(".cw-go")
        session = opened.value
        drift = "document.querySelector('.cw-strip .cw-plot')?.dataset.rows === '4'"
        session.wait_for_function(f"() => {drift}", timeout=90_000, polling=100)
        assert session.locator(".cw-bar button:visible").count() > 3, "it is a page with controls"
    finally:
        project.send("quit")
        project.wait(60)
    assert desk.faults == []
    own = (server.address, server.address.replace("http:", "ws:"), "data:", "blob:")
    assert [url for url in desk.requests if not url.startswith(own)] == []


def test_what_the_wizard_offers_is_for_those_with_its_token(server, chromium):
    for path in ("", "session?project=/tmp"):
        tab = Tab(chromium, server.address + path)
        assert tab.page.locator("#password_input").is_visible() and "cw-root" not in tab.page.content()
        tab.context.close()
    with urlopen(server.address + "login") as answer:
        assert answer.status == 200


def test_a_folder_for_projects_must_be_there(tmp_path):
    with pytest.raises(ProjectError, match="is not a folder"):
        start_wizard(tmp_path / "nothing")
