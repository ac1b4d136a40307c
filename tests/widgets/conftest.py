"""Widgets without kernel and browser: what would go over the wire is recorded."""

from __future__ import annotations

import comm
import pytest
from comm.base_comm import BaseComm

from cryowidgets.store.queries import Reader
from cryowidgets.widgets import ticker
from tests.filled import FilledSession


class RecordingComm(BaseComm):
    """Keeps what a kernel would send."""

    sent: list = []

    def publish_msg(self, msg_type, data=None, metadata=None, buffers=None, **keys):
        RecordingComm.sent.append((self.comm_id, msg_type, data or {}, buffers or []))


class Wire:
    """Both directions: `said(widget)` are the messages to its pages, `hear(widget, …)` is a message from one."""

    def said(self, widget, kind=None):
        found = []
        for id, message, data, buffers in RecordingComm.sent:
            if id == widget.comm.comm_id and message == "comm_msg" and data.get("method") == "custom":
                if kind is None or data["content"]["type"] == kind:
                    found.append((data["content"], buffers))
        return found

    def hear(self, widget, **content):
        widget.comm.handle_msg({"content": {"data": {"method": "custom", "content": content}}, "buffers": []})

    def set(self, widget, **state):
        """A page sets traits, as a person's input does."""
        widget.comm.handle_msg({"content": {"data": {"method": "update", "state": state}}, "buffers": []})

    @staticmethod
    def log():
        return RecordingComm.sent

    def clear(self):
        RecordingComm.sent.clear()

    def __len__(self):
        return len(RecordingComm.sent)


@pytest.fixture
def wire(monkeypatch):
    RecordingComm.sent.clear()
    monkeypatch.setattr(comm, "create_comm", lambda *args, **keys: RecordingComm(*args, **keys))
    monkeypatch.setattr(ticker, "_tickers", {})
    return Wire()


@pytest.fixture
def filled(tmp_path):
    session = FilledSession(tmp_path / "session")
    yield session
    session.close()


@pytest.fixture
def reader(filled):
    with Reader(filled.folder) as reader:
        yield reader
