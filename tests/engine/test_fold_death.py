"""kill -9 in the middle of a fold: it goes on from its checkpoint, and no particle is lost or counted twice."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from cryowidgets.engine.engine import Engine
from cryowidgets.engine.inbox import send
from cryowidgets.io import mrc, star
from cryowidgets.project import Project
from cryowidgets.protocols import classfiles
from cryowidgets.protocols.sorted import all_particles
from cryowidgets.sim import particles

KILLS = 20
PER = 100
BATCHES = KILLS // 3 + 3

# Engines come from one process that has everything imported: a fork takes a moment, a new interpreter seconds.
NURSERY = """
import os, random, signal, sqlite3, sys, time
from cryowidgets.engine.engine import Engine
from cryowidgets.protocols import classify_particles
folder, kills = sys.argv[1], int(sys.argv[2])
chance = random.Random(11)

def under_way(db):
    found = db.execute("SELECT max(t.id), CAST(t.inputs AS INTEGER) FROM task t JOIN step s ON s.id = t.step "
                       "WHERE s.name = 'classes' AND t.state = 'running'").fetchone()
    return found if found[0] else (0, 0)

last = 0
for kill in range(kills + 1):
    child = os.fork()
    if child == 0:
        Engine(folder, "inline").run()
        os._exit(0)
    if kill == kills:
        break
    db = sqlite3.connect(f"file:{folder}/project.sqlite?mode=ro", uri=True)  # none is open over a fork
    while True:  # each batch is killed three times
        task, batch = under_way(db)
        if task > last and batch > kill // 3:
            break
        if os.waitpid(child, os.WNOHANG)[0]:
            sys.exit(f"all was done after {kill} kills")
        time.sleep(0.004)
    db.close()
    last = task
    time.sleep(chance.uniform(0, 0.15) if kill % 4 else 0.0)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def ready(folder: Path, movies) -> Project:
    """A session that is over but for its classes: each movie has given a stack of particles."""
    stack = particles.simulate(PER * BATCHES, box=32, pixel_size=8.0, views=4, snr=0.3, seed=2)
    names = [f"m{n:05d}" for n in range(BATCHES)]
    movies(*names, size=1)
    pattern = str(movies.folder / "*.mrc")
    p = Project.create(folder, template=None, movies=pattern, pixel_size=1.0, poll="0.02s", timeout="0.1s")
    particles.write(stack, folder, per=PER)
    p.workflow.add("cuttoys:Cut", name="cut", movie="movies")
    values = {"classes": 4, "first": PER, "batch": PER, "finest": 45.0}
    p.workflow.add("ClassifyParticles", name="classes", particles="cut", **values)
    send(folder, "hold", step="classes")
    engine = Engine(folder, "inline")
    try:
        while engine.desk.waiting("classes") == 0 or engine.store.get("stream") != "closed":
            engine.tick(0.01)
    finally:
        engine.close()
    send(folder, "release", step="classes")
    return p


def newest(project: Project):
    with project.reader() as reader:
        return reader.result("classes")


def test_twenty_kills_lose_no_particle_count_none_twice_and_change_nothing(tmp_path, movies):
    p = ready(tmp_path / "p", movies)
    shutil.copytree(p.folder, tmp_path / "calm")
    calm = Project(tmp_path / "calm")
    assert Engine(calm.folder, "inline").run().finished
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", NURSERY, str(p.folder), str(KILLS)], check=True, env=environment, timeout=600)

    with p.reader() as reader:
        tally = reader.tally()["classes"]
        assert reader.session().stream == "closed"
        assert reader.failures() == []
        batches = [tuple(map(int, i.split(","))) for (i,) in reader.query(
            "SELECT t.inputs FROM task t JOIN step s ON s.id = t.step WHERE s.name = 'classes' AND t.state = 'done' "
            "ORDER BY t.id"
        )]  # fmt: skip
    assert tally["done"] == BATCHES
    assert tally["lost"] >= KILLS // 2, "most kills came while a batch was under way"
    assert batches[0][0] == 1 and batches[-1][1] == BATCHES
    assert all(one[1] + 1 == other[0] for one, other in zip(batches, batches[1:], strict=False))

    result, same = newest(p), newest(calm)
    found = all_particles(result.metadata)["particles"]
    every = [f"{i:06d}@sim_{n:05d}_particles.mrcs" for n in range(BATCHES) for i in range(1, PER + 1)]
    assert sorted(found["rlnImageName"]) == sorted(every), "each once"
    model = classfiles.read_model(result.model)
    assert result.particles == model.particles.sum() == PER * BATCHES
    np.testing.assert_array_equal(mrc.read(result.path), mrc.read(same.path))
    for column in ("rlnClassNumber", "rlnAnglePsi", "rlnOriginXAngst", "cwIdentity"):
        calmly = all_particles(same.metadata)["particles"]
        assert found[column] == calmly[column], column
    assert star.read(result.model) == star.read(same.model)
    left = [path.name for path in (p.folder / "steps" / "classes").iterdir()]
    assert len([name for name in left if name.endswith("_state.npz")]) == 2
    assert not [name for name in left if name.startswith(".tmp")]
