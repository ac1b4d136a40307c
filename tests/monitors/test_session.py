"""From the microscope to a letter: faults of the simulator, an engine, its monitors, a mail server, a webhook."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from cryowidgets.engine import observers
from cryowidgets.engine.engine import Engine
from cryowidgets.monitors.notify import Notifier
from cryowidgets.monitors.watch import Watch
from cryowidgets.project import Project
from cryowidgets.sim.microscope import Microscope
from cryowidgets.sim.recipe import Recipe
from cryowidgets.workflow import StepSpec
from tests.monitors.receivers import Mail, Webhook, until

PHASES = [
    ("", ""),
    ("drift storm", "drift.drift"),
    ("crystalline ice", "ice.ice"),
    ("faint beam", "dose.counts"),
    ("far focus", "ctf.resolution"),
    ("", ""),
]
"""What is wrong with each movie, and the alert that it raises."""
RECIPE = Recipe(
    dose_per_frame=6.0, defocus=(10000, 12000), drift=2.0, astigmatism=200.0, b_factor=40.0, molecule=1, camera=1
)
LIMITS = {
    "drift": {"drift_max": 10},
    "ctf": {"resolution_max": 15, "astigmatism_max": 0},
    "dose": {"reference": 1},
    "pace": {"silence_max": "2s", "drop_max": 0, "level": "note"},
    "system": {"free_min": 0, "memory_max": 0, "swap_max": 0},
    "ice": {},
}


@pytest.fixture
def people():
    mail, webhook = Mail(), Webhook()
    yield mail, webhook
    mail.close()
    webhook.close()


def test_each_fault_is_told_and_its_end_too(tmp_path, people, monkeypatch):
    mail, webhook = people
    monkeypatch.setattr(observers, "EVERY", 0.1)
    file = tmp_path / "alerts.toml"
    file.write_text(
        f'[staff]\nurl = "{mail.url}"\nalways = true\n[chat]\nurl = "{webhook.url}"\nalways = true\nleast = "note"\n'
    )
    file.chmod(0o600)
    faults = {n: fault for n, (fault, _) in enumerate(PHASES, 1) if fault}
    scope = Microscope(
        tmp_path / "scope", movies=len(PHASES), every=0, size=384, frames=4, tree="flat", format="mrc",
        write_seconds=0, faults=faults, recipe=RECIPE,
    )  # fmt: skip
    scope.run()
    recorded = sorted(Path(scope.pattern).parent.glob("*.mrc"))
    watched = tmp_path / "watched"
    watched.mkdir()
    project = Project.create(
        tmp_path / "p", "grid 3", None, str(watched / "*.mrc"), gain=str(scope.gain), poll="0.1s", **scope.optics
    )
    project.add(StepSpec("align", "AlignMovie", {"local": "none"}, {"movie": "movies"}))
    project.add(StepSpec("ctf", "EstimateCtf", {"box": 256}, {"micrograph": "align"}))
    for name, values in LIMITS.items():
        project.send("monitor", name=name, values={"window": 1, "cooldown": 0, "clear": 40, **values})
    engine = Engine(project.folder, "inline", until_idle=3600, observers=[Watch(), Notifier(file)])
    running = threading.Thread(target=engine.run)
    running.start()
    try:
        with project.reader() as reader:

            def opened():
                return {f"{alert.monitor}.{alert.key}" for alert in reader.alerts()}

            def told(monitor):
                """Whether both channels know of an alert of a monitor."""
                known = "SELECT count(*) FROM notice n JOIN alert a ON a.id = n.alert WHERE a.monitor = ?"
                return reader.query(known, (monitor,))[0][0] >= 2

            def ended():
                return {f"{a.monitor}.{a.key}" for a in reader.alerts(open=False) if not a.open}

            for count, ((fault, key), path) in enumerate(zip(PHASES, recorded, strict=True), 1):
                os.replace(path.with_name(f"{path.name}.mdoc"), watched / f"{path.name}.mdoc")
                os.replace(path, watched / path.name)
                until(lambda count=count: len(reader.rows("ctf")["id"]) == count, 120)
                if fault:
                    until(lambda key=key: told(key.partition(".")[0]))
            wanted = {key for _, key in PHASES if key}
            until(lambda: wanted <= ended(), 60)
            # The machine, by a limit that no disk meets, and back; silence, and its end.
            project.send("monitor", name="system", values={"free_min": 1e9})
            until(lambda: told("system"))
            project.send("monitor", name="system", values={"free_min": 0})
            until(lambda: "pace.silence" in opened() and not any(key.startswith("system.") for key in opened()))
            project.send("monitor", name="pace", values={"silence_max": "1h"})
            until(lambda: not opened())
            wanted |= {"pace.silence"}
            both = "SELECT count(*) FROM notice WHERE channel = ? AND opened IS NOT NULL AND cleared IS NOT NULL"
            all = len(reader.alerts(open=False))
            until(lambda: reader.query(both, ("chat",)) == [(all,)])
            assert wanted <= ended()
            (levels,) = reader.query("SELECT count(*) FROM alert WHERE level <> 'note'")
            until(lambda: reader.query(both, ("staff",)) == [levels])
    finally:
        engine.end()
        running.join()
    letters = "\n".join(message.get_body().get_content() for message in mail.messages)
    posts = "\n".join(post["message"] for post in webhook.posts)
    for monitor in ("drift", "ice", "dose", "ctf", "system"):
        for text in (letters, posts):
            assert f"({monitor}), since" in text and f"OVER ({monitor})" in text, monitor
    assert "OVER (pace)" in posts
    attached = [part.get_content_type() for message in mail.messages for part in message.iter_attachments()]
    assert attached and set(attached) == {"image/jpeg"}
