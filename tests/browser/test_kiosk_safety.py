"""What somebody who means ill can do to a session that is shown to them: nothing.

A session is served as in a facility, by root where we are root: the page that controls is root's, that which only shows
another user's. The attacker speaks HTTP and the websocket's protocol directly, past all that a page of ours does.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from tornado.httpclient import HTTPClientError

from cryowidgets.engine import inbox
from tests.browser.served import SOMEBODY, Visitor, as_somebody, both_pages, where_all_may_run_python
from tests.filled import TRACEBACK, FilledSession

pytestmark = pytest.mark.browser

AS_ANOTHER = os.geteuid() == 0 and (
    not (words := where_all_may_run_python()) or not subprocess.run([*words, sys.executable, "-c", ""]).returncode
)
another = pytest.mark.skipif(not AS_ANOTHER, reason="a kiosk of another user takes root, and a Python that all may run")

JUNK = [
    None, True, -1, 0, 2**31, 2**63, 2**70, 1e400, float("nan"), float("-inf"), 1.5, "", "x" * 500, "../../etc/passwd",
    "\x00", "<script>alert(1)</script>", [], [[]] * 300, {}, {"a": {"b": [1]}}, "IPY_MODEL_", "IPY_MODEL_unknown",
]  # fmt: skip


@pytest.fixture(scope="module")
def session():
    """A project that all may read."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    filled = FilledSession(folder / "session")
    filled.open_engine()
    filled.arrive(12)
    filled.process()
    filled.fail("InputError: movie ends after 31 of 40 frames")
    filled.sample(5)
    (folder / "other").mkdir()
    (folder / "other" / "secret.txt").write_text("nobody's business")
    (folder / "other" / "secret.txt").chmod(0o600)
    yield filled
    filled.close()
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def served(session):
    with both_pages(session.folder) as found:
        yield found


@pytest.fixture(scope="module")
def look(served):
    """Address of the page that only shows."""
    return served[2]


@pytest.fixture(scope="module")
def processes(served):
    """The server of that page and its kernels."""

    def find() -> list[psutil.Process]:
        mine = [p for p in psutil.Process(served[0].pid).children(recursive=True) if p.is_running()]
        return [p for p in mine if not AS_ANOTHER or p.uids().real == SOMEBODY]

    return find


def visit(address, attack, **options):
    """Open the page, connect to its kernel and run the attack; what it gives."""

    async def go():
        visitor = Visitor(address, **options)
        kernel = await asyncio.to_thread(visitor.page)
        line = await visitor.connect(kernel)
        try:
            return await attack(visitor, kernel, line)
        finally:
            line.hang_up()

    return asyncio.run(go())


def pulse_of(states: dict) -> str:
    return next(id for id, found in states.items() if "patience" in found["state"])


@another
def test_server_and_kernels_are_another_users_without_any_right(processes, session):
    until = time.monotonic() + 60
    while len(found := processes()) < 2:  # a server and the kernel that it keeps ready
        assert time.monotonic() < until
        time.sleep(0.1)
    for process in found:
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{process.pid}/status").read_text().splitlines())
        assert set(process.uids()) == set(process.gids()) == {SOMEBODY}
        assert status["Groups"].strip() == "" and status["Umask"] == "0077"
        assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0 and status["NoNewPrivs"] == "1"
        environment = process.environ()
        assert "MY_PASSWORD" not in environment
        assert environment["HOME"].startswith(tempfile.gettempdir())
        assert os.stat(environment["HOME"]).st_mode & 0o077 == 0


@another
@pytest.mark.parametrize(
    "deed",
    [
        "import sqlite3; sqlite3.connect('{ledger}').execute('UPDATE project SET value = 1')",
        "import sqlite3; sqlite3.connect('{ledger}').execute('PRAGMA journal_mode = DELETE')",
        "open('{folder}/inbox/1.json', 'w')",
        "open('{folder}/steps/x', 'w')",
        "import os; os.unlink('{ledger}')",
        "open('{folder}/../other/secret.txt').read()",
        "import os; os.kill({engine}, 15)",
    ],
)
def test_that_user_changes_nothing_and_reads_no_more(session, deed):
    code = deed.format(folder=session.folder, ledger=session.folder / "project.sqlite", engine=os.getpid())
    done = as_somebody([sys.executable, "-c", code])
    assert done.returncode != 0
    assert re.search("readonly database|disk I/O error|Permission denied|not permitted", done.stderr), done.stderr


@another
def test_that_user_reads_the_ledger_whether_an_engine_lives_or_not(tmp_path_factory):
    folder = Path(tempfile.mkdtemp())
    try:
        folder.chmod(0o755)
        filled = FilledSession(folder / "s")
        filled.arrive(3)
        code = f"from cryowidgets.store.queries import Reader; print(Reader('{folder}/s').session().found)"
        alive = as_somebody([sys.executable, "-c", code])
        filled.close()
        with sqlite3.connect(folder / "s" / "project.sqlite") as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        db.close()
        left = as_somebody([sys.executable, "-c", code])
        assert (alive.stdout, left.stdout) == ("3\n", "3\n"), alive.stderr + left.stderr
    finally:
        shutil.rmtree(folder)


TREES = ["voila/files", "voila/templates", "voila/static", "voila/labextensions", "voila/api/themes", "files", "static"]
UPWARDS = [
    "../../../../../../etc/passwd", "..%2f..%2f..%2f..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "....//....//etc/passwd", "/etc/passwd", "%2fetc%2fpasswd", "..\\..\\etc\\passwd", "%00/etc/passwd",
]  # fmt: skip


@pytest.mark.parametrize("token", [True, False])
def test_no_path_leads_to_a_file_or_an_interface(look, session, token):
    visitor = Visitor(look, token)
    named = ["session.ipynb", "control.ipynb", "voila/files/session.ipynb", f"files{session.folder}/project.sqlite"]
    for what in (
        "",
        "contents",
        "kernels",
        "sessions",
        "terminals",
        "kernelspecs",
        "me",
        "status",
        "config/x",
        "shutdown",
    ):
        named += [f"api/{what}", f"voila/api/{what}"]
    named += ["terminals/1", "lab", "tree", "voila/tree", "voila/render/control.ipynb", "nbconvert/html/session.ipynb"]
    named += ["metrics", "voila/query/x", "view/x", "edit/x", "cryowidgets/static/bokeh/../../../__init__.py"]
    for path in named + [f"{tree}/{up}" for tree in TREES for up in UPWARDS] + UPWARDS:
        status, text = visitor.ask(f"/{path}")
        assert status in (302, 400, 403, 404, 405), (path, status)
        assert not re.search("root:|Traceback|cryowidgets.widgets|nbformat|SQLite format|business", text), path


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"])
def test_nothing_is_taken_from_anybody(look, method):
    visitor = Visitor(look)
    for path in ("/", "/api/contents/x", "/api/kernels", "/voila/files/x", "/voila/templates/x", "/api/sessions"):
        assert visitor.ask(path, method, b"{}")[0] in (204, 400, 403, 404, 405, 501), path


def test_requests_are_small(look):
    visitor = Visitor(look, token=False)
    large = [{"body": b"x" * 100_000}, {"body": b"x" * 5_000_000}, {"headers": {"X-Long": "x" * 200_000}}]
    for request in large:
        with suppress(ConnectionError):  # it may hang up in the midst of it
            assert visitor.ask("/login", "POST", **request)[0] in (400, 413, 431)
    assert visitor.ask("/login")[0] == 200


def test_without_a_token_there_is_the_question_for_it(look):
    visitor = Visitor(look, token=False)
    for path in ("/", "/?token=wrong", "/session?project=/", "/?template=lab&theme=x"):
        assert visitor.ask(path)[0] == 302
    owner = Visitor(look)
    kernel = owner.page()
    for way in (("POST", f"/voila/api/shutdown/{kernel}"), ("DELETE", f"/api/kernels/{kernel}")):
        assert visitor.ask(way[1], way[0], b"")[0] in (302, 403, 405)
    with pytest.raises(HTTPClientError, match="403"):
        asyncio.run(visitor.connect(kernel))
    assert owner.ask(f"/api/kernels/{kernel}")[0] == 200


def test_each_page_has_a_token_of_its_own(served):
    _, control, look = served
    tokens = [address.rpartition("=")[2] for address in (control, look)]
    assert tokens[0] != tokens[1]
    for address, token in zip((control, look), reversed(tokens), strict=True):
        crossed = Visitor(address.rpartition("=")[0] + "=" + token)
        assert crossed.ask("/")[0] == 302


def test_nobody_touches_the_kernel_of_another(look):
    """They have the token and, worse, have found the name of somebody else's kernel."""

    async def attack(owner, kernel, line):
        await line.states()
        other = Visitor(look)
        for path, method in ((f"/voila/api/shutdown/{kernel}", "POST"), (f"/api/kernels/{kernel}", "GET")):
            assert (await asyncio.to_thread(other.ask, path, method, b""))[0] == 404
        for path, method in ((f"/api/kernels/{kernel}", "DELETE"), (f"/api/kernels/{kernel}/restart", "POST")):
            assert (await asyncio.to_thread(other.ask, path, method, b""))[0] in (403, 404, 405)
        with pytest.raises(HTTPClientError, match="404"):
            await other.connect(kernel)
        owner.forget_token()  # as a browser, in which another site's page makes use of our cookie
        with pytest.raises(HTTPClientError, match="403"):
            await owner.connect(kernel, Origin="https://elsewhere.example")
        return await line.states()

    assert visit(look, attack)


def test_no_code_runs_and_no_widget_is_made(look, session, tmp_path):
    proof = tmp_path / "proof"
    tmp_path.chmod(0o777)
    code = f"open({str(proof)!r}, 'w')"

    async def attack(_, kernel, line):
        before = await line.states()
        for channel in ("shell", "control", "stdin", "iopub"):
            for kind, content in {
                "execute_request": {"code": code, "silent": False, "user_expressions": {"x": code}},
                "complete_request": {"code": code + ".", "cursor_pos": 3},
                "inspect_request": {"code": "open", "cursor_pos": 3, "detail_level": 1},
                "history_request": {"hist_access_type": "tail", "n": 10, "raw": True},
                "debug_request": {"command": "evaluate", "arguments": {"expression": code}, "seq": 1},
                "input_reply": {"value": code},
                "shutdown_request": {"restart": True},
                "create_subshell_request": {},
            }.items():
                await line.say(kind, content, channel)
        state = {"_model_name": "TextModel", "_view_name": "TextView", "value": "mine"}
        for part in ("_model_module", "_view_module"):
            state |= {part: "@jupyter-widgets/controls", f"{part}_version": "2.0.0"}
        for target in ("jupyter.widget", "ipython", "matplotlib", "../x", "", None):
            opened = {"comm_id": f"of {target}", "target_name": target, "data": {"state": state, "buffer_paths": []}}
            await line.say("comm_open", opened, metadata={"version": "2.1.0"})
        for id in before:
            await line.say("comm_close", {"comm_id": id, "data": {}})
        await line.beats(pulse_of(before))
        return before, await line.states(), line

    before, after, line = visit(look, attack)
    assert not proof.exists()
    assert before.keys() <= after.keys(), "no widget is gone"
    assert not {id for id in after if id.startswith("of ")}, "and none is theirs"
    assert line.kinds <= {"comm_open", "comm_msg", "comm_close", "status"}
    assert "Traceback" not in line.text and "execute" not in line.text


def test_no_trait_is_set_and_no_message_does_harm(look, session, processes):
    """Every trait of every widget is set to junk, and every widget is told junk."""

    async def attack(_, kernel, line):
        before = await line.states()
        pulse = pulse_of(before)
        for n, (id, found) in enumerate(before.items()):
            state = {name: JUNK[(n + i) % len(JUNK)] for i, name in enumerate(found["state"])}
            for set_to in (state, {"_esm": "alert(1)", "children": ["IPY_MODEL_nobody"], "no_such_trait": 1}):
                await line.say("comm_msg", {"comm_id": id, "data": {"method": "update", "state": set_to}})
        kinds = ["need", "tap", "select", "sort", "filter", "choose", "go", "page", "range", "cut", "bokeh", "zoom"]
        for n, id in enumerate(before):
            await line.custom(id, JUNK[n % len(JUNK)])
            junk = {name: JUNK[(n + i) % len(JUNK)] for i, name in enumerate(NAMES)}  # all of it: test_hostile.py
            await line.custom(id, {"type": kinds[n % len(kinds)], **junk})
        for method in ("update", "backbone", "", None, 7):
            await line.say("comm_msg", {"comm_id": pulse, "data": {"method": method, "state": "x"}})
        await line.say("comm_msg", {"comm_id": "nobody", "data": {"method": "custom", "content": {}}})
        await line.beats(pulse)
        after = await line.states()
        return before, after, line, pulse

    before, after, line, pulse = visit(look, attack)
    assert before.keys() <= after.keys(), "no widget is gone"
    for id, found in before.items():
        fixed = {k: v for k, v in found["state"].items() if k.startswith("_") or k in ("columns", "every")}
        assert {k: after[id]["state"][k] for k in fixed} == fixed
    assert after[pulse]["state"]["trouble"] == ""
    assert line.kinds <= {"comm_open", "comm_msg", "comm_close", "status"}
    assert "Traceback" not in line.text
    assert inbox.read(session.folder) == []
    assert max(p.memory_info().rss for p in processes()) < 400e6


NAMES = ["id", "name", "view", "first", "count", "value", "low", "high", "start", "end", "rows", "ids", "key", "path"]


def test_a_page_that_only_shows_has_no_controls_sources_or_tracebacks(look, session):
    async def attack(visitor, _, line):
        states = await line.states()
        failed = next(id for id, found in states.items() if found["state"].get("_model_name") == "HTMLModel")
        assert failed
        return states, await asyncio.to_thread(visitor.ask, "/")

    states, (_, page) = visit(look, attack)
    pressable = re.compile(
        "Button|Text(area)?Model|Password|Combobox|FileUpload|Checkbox|Slider|Dropdown|Select|Toggle"
    )
    assert [s for s in states.values() if pressable.search(s["state"]["_model_name"])] == []
    said = page + json.dumps(states)
    for hidden in (TRACEBACK.splitlines()[1].strip(), "from cryowidgets.widgets import session", "os.environ"):
        assert hidden not in said


def test_a_page_that_floods_is_closed_and_others_go_on(look):
    async def attack(_, kernel, line):
        states = await line.states()
        pulse = pulse_of(states)
        for _ in range(1500):
            await line.custom(pulse, {"type": "nothing"})
        while await line.hear() is not None:
            pass
        return line.socket.close_code, line.socket.close_reason

    assert visit(look, attack) == (1008, "too many messages")

    async def bomb(_, kernel, line):
        await line.socket.write_message((2**40).to_bytes(8, "little") + b"\xff" * 800, binary=True)
        await line.states()
        await line.socket.write_message(bytes(2_000_000), binary=True)
        while await line.hear() is not None:
            pass
        return line.socket.close_code

    began = time.monotonic()
    assert visit(look, bomb) in (1006, 1008, 1009)
    assert Visitor(look, token=False).ask("/login")[0] == 200
    assert time.monotonic() - began < 60, "it does not count to 2⁴⁰"
