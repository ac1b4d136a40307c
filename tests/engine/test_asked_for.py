"""Ordinary 2-D classification as one click: of accepted particles, after the session, though stacks were cleaned."""

from __future__ import annotations

import time

from cryowidgets.engine.engine import Engine
from cryowidgets.engine.inbox import send
from cryowidgets.project import Project
from cryowidgets.protocols.sorted import all_particles
from cryowidgets.sim import particles
from cryowidgets.store.cleaning import files


def node(project, step):
    with project.reader() as reader:
        return next(node for node in reader.nodes() if node.name == step)


def until(engine, condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        engine.tick(0.01)


def test_what_was_accepted_is_sorted_once_more_when_a_person_asks(tmp_path, movies):
    folder = tmp_path / "p"
    movies("m00000", "m00001", "m00002", size=1)
    pattern = str(movies.folder / "*.mrc")
    p = Project.create(folder, template=None, movies=pattern, pixel_size=1.0, poll="0.02s", timeout="0.1s")
    particles.write(particles.simulate(180, box=32, pixel_size=8.0, views=3, snr=0.5, seed=4), folder, per=60)
    p.workflow.add("cuttoys:CutOwn", name="cut", movie="movies")
    values = {"classes": 3, "finest": 45.0}
    p.workflow.add("ClassifyParticles", name="classes", particles="cut", first=100, batch=100, **values)
    p.workflow.add("SelectClasses", name="select", classes="classes", keep="1,2")
    p.workflow.add("ReclassifyParticles", name="again", particles="select", **values)
    e = Engine(folder, "inline")
    try:
        until(e, e.finished)
        with p.reader() as reader:
            sorted_, chosen = reader.result("classes"), reader.result("select")
        assert (sorted_.particles, sorted_.batches) == (180, 2)
        assert chosen.exposure == 0 and 0 < chosen.count <= 180
        assert (node(p, "again").hold, node(p, "again").state, node(p, "again").done) == (True, "finished", 0)
        assert node(p, "again").reason == "'release' has it done once, with all there is by then"

        stacks = [folder / f"steps/cut/m{n:05d}.mrcs" for n in range(3)]
        send(folder, "clean", what=["particles"])
        until(e, lambda: not any(stack.exists() for stack in stacks))
        send(folder, "release", step="again")
        until(e, lambda: node(p, "again").done == 1)
        assert all(stack.exists() for stack in stacks), "what it reads was made again first"
        with p.reader() as reader:
            anew, origin = reader.result("again"), reader.provenance("classes", reader.rows("again")["id"].tolist()[0])
        assert anew.particles == chosen.count
        names = [set(all_particles(one.metadata)["particles"]["rlnImageName"]) for one in (anew, chosen)]
        assert names[0] == names[1]
        assert [origin.inputs["particles"].step, origin.inputs["particles"].inputs["classes"].step] == [
            "select",
            "classes",
        ]
        until(e, e.finished)
        with p.reader() as reader:
            named = [path for _, path, _ in files(reader.query, reader.steps()["classes"])]
        assert len([path for path in named if path.endswith("_particles.star")]) == 2
        assert len([path for path in named if path.endswith("_state.npz")]) == 1
        assert all((folder / path).is_file() for path in named), "nothing is missed that was let go"
        assert node(p, "again").hold
        assert node(p, "cut").done == 3 and node(p, "classes").outdated == 0
    finally:
        e.close()
