"""What may pass between a page and its kernel: the little that a page needs."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jupyter_server.services.kernels.connection.base import deserialize_msg_from_ws_v1, serialize_msg_to_ws_v1

from cryowidgets.widgets import gate
from cryowidgets.widgets.gate import Flood, Gate, split

WIDGET = {"comm_id": "w", "data": {}}


def message(kind: str, content: object = None, channel: str = "shell", buffers: tuple[bytes, ...] = ()) -> bytes:
    parts = [{"msg_type": kind}, {}, {}, {} if content is None else content]
    return serialize_msg_to_ws_v1([*(json.dumps(p).encode() for p in parts), *buffers], channel)


def says(method: str) -> dict:
    return {"comm_id": "w", "data": {"method": method, "state": {"value": 1}, "content": {}}}


@pytest.mark.parametrize(
    ("kind", "content", "channel", "closed", "free"),
    [
        ("comm_msg", says("custom"), "shell", True, True),
        ("comm_msg", says("request_state"), "shell", True, True),
        ("comm_msg", says("request_states"), "shell", True, True),
        ("comm_msg", says("update"), "shell", False, True),
        ("comm_msg", says("custom"), "stdin", False, False),
        ("comm_msg", {"comm_id": "w", "data": "update"}, "shell", False, False),
        ("comm_msg", None, "shell", False, False),
        ("comm_open", {"comm_id": "a", "target_name": gate.CONTROL}, "shell", True, True),
        ("comm_open", {"comm_id": "a", "target_name": "jupyter.widget"}, "shell", False, False),
        ("comm_open", {"comm_id": ["a"], "target_name": gate.CONTROL}, "shell", False, False),
        ("comm_close", {"comm_id": "w"}, "shell", False, True),
        ("kernel_info_request", {}, "shell", True, True),
        ("kernel_info_request", {}, "control", True, True),
        ("comm_info_request", {}, "shell", True, True),
        ("execute_request", {"code": "1"}, "shell", False, False),
        ("execute_request", {"code": "1"}, "control", False, False),
        ("debug_request", {}, "control", False, False),
        ("shutdown_request", {}, "control", False, False),
        ("interrupt_request", {}, "control", False, False),
        ("input_reply", {"value": "x"}, "stdin", False, False),
        ("complete_request", {"code": "open("}, "shell", False, False),
        ("inspect_request", {"code": "open"}, "shell", False, False),
        ("history_request", {}, "shell", False, False),
    ],
)
def test_what_a_page_may_say(kind, content, channel, closed, free):
    assert Gate(closed=True).lets_in(message(kind, content, channel)) is closed
    assert Gate(closed=False).lets_in(message(kind, content, channel)) is free


def test_a_page_closes_its_own_comm_and_no_widget():
    door = Gate(closed=True)
    assert door.lets_in(message("comm_open", {"comm_id": "mine", "target_name": gate.CONTROL}))
    assert door.lets_in(message("comm_close", {"comm_id": "mine"}))
    assert not door.lets_in(message("comm_close", {"comm_id": "w"}))


@pytest.mark.parametrize("kind", ["stream", "error", "execute_input", "execute_result", "display_data", "debug_event"])
def test_what_a_kernel_prints_stays_with_the_server(kind):
    assert not Gate(closed=True).lets_out(message(kind, {"text": "Traceback"}))
    assert Gate(closed=True).lets_out(message("comm_msg", says("update"), buffers=(b"x",) * 500))


@given(st.binary(max_size=400))
def test_rubbish_is_dropped(rubbish):
    assert not Gate(closed=True).lets_in(rubbish)


@given(st.lists(st.binary(max_size=20), min_size=4, max_size=12))
def test_a_message_falls_into_the_parts_that_it_was_made_of(parts):
    packed = serialize_msg_to_ws_v1(parts, "shell")
    channel, found = deserialize_msg_from_ws_v1(packed)
    assert [bytes(p) for p in split(packed)] == [channel.encode(), *found] == [b"shell", *parts]


@pytest.mark.parametrize("count", [0, 1, 2**16, 2**40, 2**64 - 1])
def test_a_message_is_not_believed_how_many_parts_it_has(count):
    packed = message("comm_msg", says("custom"))
    assert split(count.to_bytes(8, "little") + packed[8:]) is None


def test_texts_are_dropped():
    assert not Gate(closed=False).lets_in('{"header": {"msg_type": "comm_msg"}}')


def test_a_flood_ends_a_page(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(gate.time, "monotonic", lambda: now[0])
    door = Gate(closed=True)
    for _ in range(1000):
        assert door.lets_in(message("comm_msg", says("custom")))
    with pytest.raises(Flood, match="too many messages"):
        door.lets_in(message("comm_msg", says("custom")))
    now[0] += 1  # and who waits may speak again
    assert door.lets_in(message("comm_msg", says("custom")))
    with pytest.raises(Flood, match="bytes"):
        door.lets_in(message("comm_msg", says("custom"), buffers=(bytes(door.largest),)))
    with pytest.raises(Flood, match="more asked for"):
        for _ in range(200):
            door.lets_out(message("comm_msg", WIDGET, buffers=(bytes(1_000_000),)))
    with pytest.raises(Flood, match="too many comms"):
        for n in range(gate.OPENED + 1):
            now[0] += 1
            door.lets_in(message("comm_open", {"comm_id": str(n), "target_name": gate.CONTROL}))
