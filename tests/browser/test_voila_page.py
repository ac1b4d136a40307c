"""The page that `cryowidgets serve` serves, in a real browser: complete, alike in all tabs, closed to others."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import threading
import time
import uuid
from contextlib import suppress
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psutil
import pytest
from jupyter_server.services.kernels.connection.base import deserialize_msg_from_ws_v1, serialize_msg_to_ws_v1
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import websocket_connect

from cryowidgets.engine import inbox
from cryowidgets.errors import CryowidgetsError, ParameterError, ProjectError
from cryowidgets.store.queries import Reader
from cryowidgets.widgets.kiosk import start
from cryowidgets.widgets.viewers import PROTOCOL
from tests.browser.pages import Tab
from tests.filled import FilledSession

pytestmark = pytest.mark.browser

ORPHAN = 3.0


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    session = FilledSession(tmp_path_factory.mktemp("voila") / "session")
    session.open_engine()
    session.arrive(30)
    session.process()
    session.fail("InputError: movie ends after 31 of 40 frames")
    session.sample(20)
    yield session
    session.close()


@pytest.fixture(scope="module")
def reader(filled):
    with Reader(filled.folder) as reader:
        yield reader


@pytest.fixture(scope="module")
def kiosk(filled):
    with start(filled.folder, kiosk=True, orphan_timeout=ORPHAN) as page:
        yield page


@pytest.fixture(scope="module")
def tab(chromium):
    """Open a page in a browser of its own."""
    opened = []

    def open_tab(url):
        opened.append(Tab(chromium, url))
        return opened[-1]

    yield open_tab
    for one in opened:
        one.context.close()


@pytest.fixture(scope="module")
def wall(tab, kiosk):
    """A page of the kiosk that stays open."""
    return tab(kiosk.url).ready()


@pytest.fixture(scope="module")
def desk(tab, filled):
    """A page with controls that stays open."""
    with start(filled.folder, pool=0) as page:
        yield tab(page.url).ready()


def test_page_shows_the_ledger_in_all_tabs_and_after_a_reload(tab, wall, kiosk, filled, reader):
    other = tab(kiosk.url)
    wall.shows(reader)
    other.shows(reader)
    filled.arrive(5)
    filled.process()
    filled.sample(3)
    wall.shows(reader)
    other.shows(reader)
    other.page.reload()
    filled.arrive(1)
    filled.process()
    other.shows(reader)
    wall.shows(reader)
    assert wall.faults == other.faults == []

    # and once the tab is closed its kernel ends, because it says so
    kernel = other.kernel
    assert kernel_process(kiosk, kernel)
    other.page.close(run_before_unload=True)
    wait_until(lambda: not kernel_process(kiosk, kernel))
    assert f"Kernel shutdown: {kernel}" in kiosk.log
    assert f"kernel {kernel} has had no page" not in kiosk.log
    assert kernel_process(kiosk, wall.kernel)


def test_nothing_leaves_the_host_and_nothing_is_complained_of(wall, desk, kiosk):
    for t in (wall, desk):
        server = t.page.url
        own = (server, server.replace("http:", "ws:"), "data:", "blob:")
        assert [url for url in t.requests if not url.startswith(own)] == []
        assert t.faults == []
    assert len([url for url in wall.requests if not url.startswith(("data:", "blob:"))]) < 12  # our own front end
    with urlopen(with_token(kiosk)) as answer:
        policy, text = answer.headers["Content-Security-Policy"], answer.read().decode()
    assert "default-src 'self'" in policy and "http" not in policy
    assert re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?(?:https?:)?//[^"']*""", text) == []


def test_kiosk_has_no_control_and_control_page_has(wall, desk):
    pressable = "button, input, select, textarea, [contenteditable=true]"
    assert wall.page.locator(pressable).count() == 0
    names = desk.page.locator(".cw-bar button:visible").all_inner_texts()
    assert {"Pause", "Stop", "End engine", "Parameters"} <= set(names)


def test_the_workflow_is_behind_a_tab_and_only_who_controls_can_change_it(wall, desk, filled, reader):
    done = next(node.done for node in reader.nodes() if node.name == "ctf")
    for t, sizes in ((wall, [(1280, 800), (1920, 1080)]), (desk, [(1280, 800)])):
        t.page.click(".cw-tab-row > .cw-tabs [data-name=Workflow]")
        t.wait("document.querySelectorAll('.cw-workflow .cw-node').length === 5")
        t.wait(f"document.querySelector('.cw-node[data-name=ctf] .cw-count-done')?.dataset.count === '{done}'")
        t.page.focus(".cw-node[data-name=ctf]")
        t.page.keyboard.press("Enter")
        t.wait("document.querySelector('.cw-step-panel .cw-plot')?.dataset.rows > 0")
        assert "micrograph from maxshift" in t.page.inner_text(".cw-step-head")
        for size in sizes:
            t.page.set_viewport_size({"width": size[0], "height": size[1]})
            t.page.wait_for_timeout(300)
            page = "() => [document.scrollingElement.scrollWidth, document.scrollingElement.scrollHeight]"
            assert tuple(t.page.evaluate(page)) <= size
            plots = "() => [...document.querySelectorAll('.cw-step-panel .cw-plot')].map((e) => e.clientHeight)"
            assert min(t.page.evaluate(plots)) > 100
    assert wall.page.locator("button, input, select, textarea, [contenteditable=true]").count() == 0
    desk.page.get_by_role("button", name="Hold here").click()
    wait_until(lambda: inbox.read(filled.folder))
    (command,) = inbox.read(filled.folder)
    assert (command.name, command.args) == ("hold", {"step": "ctf"})
    inbox.remove(filled.folder, command.ref)
    for t in (wall, desk):
        t.page.click(".cw-tab-row > .cw-tabs [data-name=Overview]")
        t.wait("document.querySelector('.cw-strips').offsetParent !== null")
        assert t.faults == []


def test_a_click_on_a_point_holds_that_exposure_in_view(wall, reader):
    title = wall.page.locator(".cw-exposure .cw-title[data-exposure]")
    room = wall.page.locator(".cw-strip .cw-plot-room").first.bounding_box()
    for across in range(95, 20, -5):  # until a point is near enough
        wall.page.mouse.click(room["x"] + room["width"] * across / 100, room["y"] + room["height"] - 40)
        wall.page.wait_for_timeout(100)
        if "chosen" in title.inner_text():
            break
    chosen = int(title.get_attribute("data-exposure"))
    frames = len(reader.exposure(chosen).items["align"].shifts)
    wall.wait("[...document.querySelectorAll('.cw-overview .cw-picture img')].every((i) => i.naturalWidth > 100)")
    wall.wait(f"document.querySelector('.cw-exposure .cw-plot')?.dataset.rows === '{frames}'")
    assert wall.faults == []


ACCEPTED = "[...document.querySelectorAll('.cw-part[data-name=accepted] b')].map((e) => e.textContent)[0]"


def test_a_threshold_is_dragged_and_the_count_follows_for_this_viewer_alone(wall, desk, filled, reader):
    limit = 8.0
    total = int(wall.page.evaluate(ACCEPTED))
    histogram = wall.page.locator(".cw-strip .cw-histogram").first
    handle = histogram.locator("[data-side=high]")
    grip, room = handle.locator("path").bounding_box(), histogram.bounding_box()
    wall.page.mouse.move(grip["x"] + 3, grip["y"] + 4)
    wall.page.mouse.down()
    wall.page.mouse.move(room["x"] + 0.3 * room["width"], grip["y"] + 4, steps=5)
    assert limit < float(handle.get_attribute("aria-valuenow")) < 20
    wall.page.mouse.up()
    handle.focus()
    while float(handle.get_attribute("aria-valuenow")) > limit:
        wall.page.keyboard.press("ArrowLeft")
    bound = float(handle.get_attribute("aria-valuenow"))
    align = reader.rows("align")
    done = set(reader.rows("quality")["exposure"].tolist())
    good = [
        e for e, v in zip(align["exposure"].tolist(), align["motion_total"], strict=True) if v <= bound and e in done
    ]
    wall.wait(f"{ACCEPTED} === '{len(good)}'")
    assert desk.page.evaluate(ACCEPTED) == str(total) and inbox.read(filled.folder) == []
    field = desk.page.get_by_label("largest drift", exact=True).and_(desk.page.locator("input"))
    field.fill(str(bound))
    field.press("Enter")
    desk.wait(f"{ACCEPTED} === '{len(good)}'")
    desk.page.get_by_role("button", name="Save thresholds").click()
    wait_until(lambda: inbox.read(filled.folder))
    (command,) = inbox.read(filled.folder)
    assert command.name == "threshold"
    assert command.args["values"] == {"drift": [None, pytest.approx(bound, abs=0.06)]}
    inbox.remove(filled.folder, command.ref)
    for t in (wall, desk):
        t.page.get_by_role("button", name="undo").click()
        t.wait(f"{ACCEPTED} === '{total}'")
        assert t.faults == []


def test_a_box_marks_the_same_exposures_in_all_plots(wall):
    room = wall.page.locator(".cw-strip .cw-plot-room").nth(1).bounding_box()
    wall.page.mouse.move(room["x"] + room["width"] * 0.4, room["y"] + 8)
    wall.page.mouse.down()
    wall.page.mouse.move(room["x"] + room["width"] * 0.8, room["y"] + room["height"] - 30, steps=4)
    wall.page.mouse.up()
    marked = "[...document.querySelectorAll('.cw-strip .cw-plot')].slice(1, 4).map((e) => Number(e.dataset.marked))"
    wall.wait(f"{marked}.every((n, _, all) => n > 3 && n === all[0])")
    count = wall.page.evaluate(f"{marked}[0]")
    wall.page.get_by_text(f"{count} marked", exact=True).first.wait_for()
    wall.page.get_by_role("button", name="clear marks").click()
    wall.wait(f"{marked}.every((n) => n === 0)")
    assert wall.faults == []


@pytest.mark.parametrize("size", [(1280, 800), (1920, 1080)])
def test_page_fits_a_laptop_and_a_wall(wall, size):
    wall.page.set_viewport_size({"width": size[0], "height": size[1]})
    wall.page.wait_for_timeout(300)
    page = wall.page.evaluate("() => [document.scrollingElement.scrollWidth, document.scrollingElement.scrollHeight]")
    assert tuple(page) <= size
    boxes = wall.page.evaluate(
        """() => [...document.querySelectorAll('.cw-overview :is(.cw-plot, .cw-histogram, .cw-picture)')].map((e) => {
        const r = e.getBoundingClientRect(); return [r.left, r.top, r.right, r.bottom, r.width, r.height] })"""
    )
    assert len(boxes) == 14
    for left, top, right, bottom, width, height in boxes:
        assert left >= 0 and top >= 0 and right <= size[0] + 1 and bottom <= size[1] + 1
        assert width > 110 and height > 85


def test_a_command_reaches_the_inbox_and_its_answer_the_page(desk, filled):
    desk.page.get_by_role("button", name="Pause", exact=True).click()
    wait_until(lambda: inbox.read(filled.folder))
    (command,) = inbox.read(filled.folder)
    assert command.name == "pause"
    inbox.remove(filled.folder, command.ref)
    filled.store.put("paused", "1")
    filled.store.event("command", "paused; what is under way is finished (anna)", ref=command.ref)
    desk.wait("document.querySelector('.cw-chip')?.textContent === 'paused'")
    desk.wait("document.querySelector('.cw-bar')?.textContent.includes('what is under way is finished')")
    filled.store.put("paused", "0")


def test_the_gain_by_the_movies_is_shown_among_the_results(desk, filled):
    for movies in (20, 40):
        filled.add_up(movies)
    buttons = desk.page.get_by_role
    buttons("button", name="Results", exact=True).click()
    buttons("button", name="gain", exact=True).click()
    drawn = "[...document.querySelectorAll('.cw-drawer .cw-plot')].filter((e) => e.dataset.rows === '2').length === 2"
    desk.wait(f"{drawn} && document.querySelector('.cw-gain img')?.naturalWidth === 256")
    sizes = desk.page.evaluate(
        "() => [...document.querySelectorAll('.cw-drawer .cw-plot, .cw-gain .cw-frame')]"
        ".map((e) => Math.min(e.clientWidth, e.clientHeight))"
    )
    assert len(sizes) == 3 and min(sizes) > 90, "nothing is squeezed"
    assert desk.page.locator(".cw-drawer .cw-numbers").get_by_text("max / p97.5", exact=True).is_visible()
    buttons("button", name="Results", exact=True).click()
    desk.wait("document.querySelector('.cw-drawer').offsetParent === null")


def test_parameters_of_a_step_are_a_form(desk):
    desk.page.get_by_role("button", name="Parameters", exact=True).click()
    field = desk.page.locator(".cw-field", has_text="voltage").locator("input")
    field.fill("4000", timeout=30_000)
    field.press("Enter")
    desk.wait("document.querySelector('.cw-wrong [role=alert]')?.textContent.includes('write a float from 0 to 3000')")
    field.fill("200")
    field.press("Enter")
    desk.wait("!document.querySelector('.cw-wrong')")
    redo = "[...document.querySelectorAll('button')].find((e) => e.textContent.trim() === 'Redo everything')"
    desk.wait(f"{redo}?.disabled === false")
    more = desk.page.locator(".cw-drawer").get_by_role("button", name="Advanced").first
    for key, opened in ((" ", "true"), ("Enter", "false")):
        more.press(key)
        desk.wait(f"document.querySelector('.cw-drawer [aria-expanded]')?.ariaExpanded === '{opened}'")
    assert desk.faults == []


def test_token_is_required_and_leaves_the_address_bar(tab, kiosk):
    for path in ("", "?token=wrong"):
        t = tab(kiosk.address + path)
        assert t.page.locator("#password_input").is_visible() and "cw-root" not in t.page.content()
    t.page.fill("#password_input", "wrong")
    t.page.click("button")
    assert "not the token" in t.page.inner_text("body")
    t.page.fill("#password_input", kiosk.token)
    t.page.click("button")
    t.wait("document.querySelector('.cw-session')")
    assert "token" not in t.page.url
    assert [c["httpOnly"] for c in t.context.cookies() if c["name"].startswith("cryowidgets-")] == [True]


def test_token_in_the_address_becomes_a_cookie(wall, kiosk):
    assert wall.page.url == kiosk.address
    assert any(c["name"].startswith("cryowidgets-") for c in wall.context.cookies())


@pytest.mark.parametrize("path", ["api/kernels", "api/contents", "voila/tree", "voila/files/session.ipynb", "files/x"])
def test_with_the_token_too_there_is_nothing_but_the_page(kiosk, path):
    with pytest.raises(HTTPError) as refused:
        urlopen(with_token(kiosk, path))
    assert refused.value.code in (403, 404)
    assert "https://" not in refused.value.read().decode()
    refused.value.close()


def test_secrets_stay_secret(kiosk, wall):
    server = psutil.Process(kiosk.process.pid)
    processes = [server, *server.children(recursive=True)]
    assert len(processes) > 1
    for process in processes:
        assert kiosk.token not in " ".join(process.cmdline())
        assert kiosk.token not in "\n".join(process.environ().values())
    assert not (kiosk._folder / "settings.json").exists()
    assert os.stat(kiosk._folder).st_mode & 0o077 == 0
    assert kiosk.token not in kiosk.log
    listening = [c.laddr.ip for p in processes for c in p.net_connections("inet") if c.status == "LISTEN"]
    assert set(listening) == {"127.0.0.1"}


def test_kernels_of_viewers_stay_small(kiosk, wall):
    libraries = ("bokeh", "scipy", "pandas", "distributed", "dask", "matplotlib")
    maps = {m.path for m in kernel_process(kiosk, wall.kernel).memory_maps()}
    assert [path for path in maps if any(f"/{name}/" in path for name in libraries)] == []


def test_kernel_of_a_browser_that_vanished_ends(kiosk):
    """No word of farewell at all: the network went away, or the browser was killed."""

    async def visit():
        kernel, socket = await connect(kiosk, PROTOCOL)
        assert kernel_process(kiosk, kernel)
        stream, socket.protocol = socket.protocol.stream, None
        stream.close()
        return kernel

    kernel = in_thread(visit)
    wait_until(lambda: not kernel_process(kiosk, kernel))
    assert f"kernel {kernel} has had no page" in kiosk.log


def test_a_viewer_can_neither_run_code_nor_make_widgets(kiosk, tmp_path):
    """What a hostile client may send, past our page: the kernel answers the harmless question and nothing else."""
    proof = tmp_path / "proof"

    async def visit():
        _, socket = await connect(kiosk, PROTOCOL)
        await say(socket, "execute_request", {"code": f"open({str(proof)!r}, 'w')", "silent": False})
        state = {"_model_name": "TextModel", "_view_name": "TextView", "value": "mine"}
        for part in ("_model_module", "_view_module"):
            state |= {part: "@jupyter-widgets/controls", f"{part}_version": "2.0.0"}
        opened = {"comm_id": "mine", "target_name": "jupyter.widget", "data": {"state": state, "buffer_paths": []}}
        await say(socket, "comm_open", opened, metadata={"version": "2.1.0"})
        asked = {"comm_id": "ask", "target_name": "jupyter.widget.control", "data": {}}
        await say(socket, "comm_open", asked, metadata={"version": "1.0.0"})
        await say(socket, "comm_msg", {"comm_id": "ask", "data": {"method": "request_states"}})
        answers = []
        while not any("states" in a.get("data", {}) for a in answers):
            message = await asyncio.wait_for(socket.read_message(), 60)
            answers.append(json.loads(bytes(deserialize_msg_from_ws_v1(message)[1][3])))
        stream, socket.protocol = socket.protocol.stream, None
        stream.close()
        return answers

    answers = in_thread(visit)
    states = answers[-1]["data"]["states"]
    assert len(states) > 20 and "mine" not in states
    assert not any(a.get("comm_id") == "mine" for a in answers), "the gate let it through"
    assert not proof.exists()


def test_server_survives_a_client_of_the_old_protocol(kiosk, wall, filled, reader):
    with pytest.raises(HTTPClientError, match="400"):
        in_thread(lambda: connect(kiosk))
    filled.arrive(1)
    filled.process(pictures=False)
    wall.shows(reader)


def test_server_ends_with_its_kernels_and_leaves_nothing(filled):
    with start(filled.folder, pool=1) as page:
        server = psutil.Process(page.process.pid)
        wait_until(lambda: len(server.children()) == 1)
        kernels = server.children(recursive=True)
        folder = page._folder
    gone, alive = psutil.wait_procs(kernels, timeout=20)
    assert alive == [] and not folder.exists()
    assert page.process.returncode == 0


def test_what_cannot_be_served_is_said_at_once(tmp_path, filled, free_port):
    with pytest.raises(ProjectError, match="is not a project"):
        start(tmp_path)
    with pytest.raises(ParameterError, match="can be guessed"):
        start(filled.folder, token="secret")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port))
        taken.listen()
        with pytest.raises(CryowidgetsError, match=f"Port {free_port} .* Address already in use"):
            start(filled.folder, port=free_port)


def kernel_process(server, kernel: str) -> psutil.Process | None:
    for process in psutil.Process(server.process.pid).children():
        with suppress(psutil.NoSuchProcess):  # it may end while we look
            if process.status() != psutil.STATUS_ZOMBIE and any(kernel in word for word in process.cmdline()):
                return process
    return None


def with_token(server, path: str = "") -> Request:
    return Request(server.address + path, headers={"Authorization": f"token {server.token}"})


async def connect(server, *protocols: str):
    """Open the page and its websocket, as a client that is no browser."""
    with urlopen(with_token(server)) as answer:
        id = re.search(r'"kernelId": ?"([0-9a-f-]+)"', answer.read().decode()).group(1)
    address = server.address.replace("http:", "ws:") + f"api/kernels/{id}/channels?session_id={uuid.uuid4().hex}"
    request = HTTPRequest(address, headers={"Authorization": f"token {server.token}"})
    return id, await websocket_connect(request, subprotocols=list(protocols))


async def say(socket, kind: str, content: dict, metadata: dict | None = None) -> None:
    header = {"msg_id": uuid.uuid4().hex, "msg_type": kind, "session": "x", "username": "x", "version": "5.3"}
    header["date"] = "2026-01-01T00:00:00Z"
    message = {"header": header, "parent_header": {}, "metadata": metadata or {}, "content": content}
    packed = serialize_msg_to_ws_v1(message, "shell", lambda part: json.dumps(part).encode())
    await socket.write_message(packed, binary=True)


def in_thread(make):
    """Run a coroutine where playwright's own loop does not run."""
    result: list = []

    def run():
        try:
            result.append(asyncio.run(make()))
        except Exception as error:
            result.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(90)
    if isinstance(result[0], Exception):
        raise result[0]
    return result[0]


def wait_until(condition, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.1)
