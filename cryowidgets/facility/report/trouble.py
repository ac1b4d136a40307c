"""What went wrong: alerts, and why movies were rejected or failed, counted by reason."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from cryowidgets.facility.report import said
from cryowidgets.store.queries import Reader

CLEARED = 20
"""Alerts that are over which are listed, the newest."""
REASONS = 25
_FOLDERS = re.compile(r"(?<![\w.])/(?:[^\s/:,;'\"]+/)+")
_FILES = re.compile(r"[^\s'\"/]+\.[a-z][a-z0-9]{1,5}\b", re.I)
_NUMBERS = re.compile(r"\d+(?:[.,]\d+)*")


def alerts(reader: Reader) -> dict[str, Any]:
    """Open alerts, the worst first, and those that are over, the newest first; then warnings of the engine."""
    open_ = reader.alerts()
    over = [alert for alert in reader.alerts(open=False, limit=CLEARED + len(open_)) if not alert.open][:CLEARED]
    return {
        "open": [_alert(alert) for alert in open_],
        "over": [_alert(alert) for alert in over],
        "warnings": [public(text) for text in reader.warnings(10)],
    }


def reasons(reader: Reader) -> list[dict[str, str]]:
    """Why movies were rejected or failed: kind, where, reason, how many; the most frequent first.

    Sentences that differ by names of files and by numbers alone are one reason, told by the newest of them. Where a
    gate names rules, those are counted; a movie may break several.
    """
    found: list[tuple[int, str, str, str]] = []
    by_hand = reader.query("SELECT rejected, count(*) FROM exposure WHERE rejected IS NOT NULL GROUP BY 1")
    found += [(n, "rejected", "by hand", why) for why, n in by_hand]
    choosing = reader.choosing()
    for step in reader.steps().values():
        rules = reader.reasons(step.name)
        found += [(n, "rejected" if step.id not in choosing else "passed over", step.name, f"rule: {rule}")
                  for rule, n in rules.items()]  # fmt: skip
        wanted = "failed" if rules else "rejected', 'failed"
        counted: Counter[tuple[str, str]] = Counter()
        newest: dict[tuple[str, str], str] = {}
        sql = (  # said twice: SQLite then knows that the index of troubles has all of them
            f"SELECT t.state, coalesce(t.error, ''), coalesce(e.name, '') FROM task t LEFT JOIN exposure e "
            f"ON e.id = t.exposure WHERE t.step = ? AND t.state IN ('{wanted}') "
            "AND t.state IN ('running', 'failed', 'rejected') ORDER BY t.id"
        )
        for state, why, name in reader.query(sql, (step.id,)):
            key = state, _alike(why, name)
            counted[key] += 1
            newest[key] = why
        found += [(n, state, step.name, newest[state, why]) for (state, why), n in counted.items()]
    found.sort(key=lambda row: -row[0])
    return [
        {"n": said.thousands(n), "kind": kind, "where": where, "why": public(why) or said.NONE}
        for n, kind, where, why in found[:REASONS]
    ]


def public(text: str) -> str:
    """A sentence without the folders of this host, which are nobody's business on a page that is passed on."""
    return _FOLDERS.sub("", text)


def _alike(why: str, name: str) -> str:
    without = _FILES.sub("…", public(why.replace(name, "…") if name else why))
    return _NUMBERS.sub("#", without)


def _alert(alert: Any) -> dict[str, str]:
    return {
        "level": alert.level,
        "monitor": alert.monitor,
        "text": public(alert.text),
        "opened": said.when(alert.opened),
        "cleared": said.when(alert.cleared) if alert.cleared else "",
        "cleared_text": public(alert.cleared_text),
        "acknowledged": f"{said.when(alert.acknowledged)}, {alert.acknowledged_by}" if alert.acknowledged else "",
    }
