"""People to be told of alerts: a mail server and a webhook on this machine."""

from __future__ import annotations

import pytest

from tests.monitors.receivers import Mail, Webhook
from tests.monitors.told import Told


@pytest.fixture(scope="module")
def receivers():
    mail, webhook = Mail(), Webhook()
    yield mail, webhook
    mail.close(), webhook.close()


@pytest.fixture
def told(tmp_path, receivers):
    """A ledger of whose alerts people are told."""
    made = Told(tmp_path / "p", *receivers)
    yield made
    made.close()
