"""Picks as files: what goes out in any format comes in again where it was, also for pixels of another size."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner
from picktoys import GRID

from cryowidgets.cli import main
from cryowidgets.errors import ProjectError
from cryowidgets.facility import picks
from cryowidgets.io import coordinates

FILES = {"star": "{name}.star", "box": "{name}.box", "json": "{name}_info.json", "cbox": "{name}.cbox"}
FILES["topaz"] = "{name}.txt"


def cli(*words, code: int = 0) -> str:
    result = CliRunner().invoke(main, list(map(str, words)), catch_exceptions=False)
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


def test_what_goes_out_comes_in_again(project, movies, run, tmp_path):
    movies("a", "b", "c")
    p = project()
    p.workflow.add("picktoys:Stand", name="align", movie="movies")
    p.workflow.add("picktoys:Grid", name="pick", micrograph="align")
    assert run(p).finished
    with p.reader() as reader:
        rows = reader.rows("pick")
        p.send("reject", exposure=int(rows["exposure"][rows["name"].index("c")]))
    assert run(p).finished
    for format, pattern in FILES.items():
        out = tmp_path / format
        said = cli("picks", "export", p.folder, out, "--format", format, "--pixel-size", 1.0)
        assert "24 picks of 2 micrographs, by pick." in said
        assert sorted(path.name for path in out.iterdir()) == [pattern.format(name=n) for n in "ab"]
        np.testing.assert_allclose(sorted(coordinates.read(out / pattern.format(name="a")).places.tolist()), GRID * 2)
    for format, pattern in FILES.items():
        out = tmp_path / format
        cli("picks", "import", p.folder, out / pattern, "--diameter", 40, "--name", f"from_{format}", "--pixel-size", 1)
    p.send("reopen")
    assert run(p).finished
    with p.reader() as reader:
        for format in FILES:
            found = reader.rows(f"from_{format}")
            assert sorted(found["name"]) == ["a", "b"] and found["count"].tolist() == [12, 12]
            for path in found["path"]:
                back = coordinates.read(p.folder / path)
                np.testing.assert_allclose(sorted(back.places.tolist()), GRID, atol=0.01)
                assert np.isnan(back.scores).all() if format == "box" else sorted(back.scores) == list(range(12))


def test_what_cannot_be_done_is_said(project, movies, run, tmp_path):
    p = project()
    with pytest.raises(ProjectError, match="No step of .* gives picks"):
        picks.export(p.folder, tmp_path / "x")
    assert "No step of" in cli("picks", "import", p.folder, "/x/{name}.box", "--diameter", 9, code=2)
    p.workflow.add("picktoys:Stand", name="align", movie="movies")
    p.workflow.add("picktoys:Grid", name="pick", micrograph="align")
    with pytest.raises(ProjectError, match="Step 'align' gives no picks; these do: pick"):
        picks.export(p.folder, tmp_path / "x", step="align")
    with pytest.raises(ProjectError, match="no format 'xyz': write one of star, box, json, cbox, topaz"):
        picks.export(p.folder, tmp_path / "x", "xyz")
    assert "estimates no size of particles" in cli("picks", "approve", p.folder, "pick", code=2)
    assert "has no step 'nobody'" in cli("picks", "approve", p.folder, "nobody", code=2)
    p.workflow.add("picktoys:Size", name="size", micrograph="align")
    assert "no estimate was made yet" in cli("picks", "approve", p.folder, "pick", code=2)


def test_a_size_is_approved_at_the_command_line(project, movies, run):
    movies("a", "b", "c")
    p = project()
    p.workflow.add("picktoys:Stand", name="align", movie="movies")
    p.workflow.add("picktoys:Size", name="size", micrograph="align")
    p.workflow.add("PickByHand", name="hand", micrograph="align")
    assert run(p).finished
    said = cli("picks", "approve", p.folder, "hand", "--scope", "branch")
    assert "hand: 30 Å, from 24 to 36 Å. No engine runs now" in said
    assert run(p).finished
    assert p.steps["hand"].params["diameter"] == 30.0


def test_an_estimate_of_the_size_ends_by_itself(project, movies, run):
    movies("a", "b", "c", "d", "e")
    p = project()
    p.workflow.add("picktoys:Stand", name="align", movie="movies")
    p.workflow.add("EstimateSize", name="size", micrograph="align", every=1, most=3, smallest=80.0)
    assert run(p).finished
    with p.reader() as reader:
        rows, size = reader.rows("size"), reader.result("size")
    assert rows["micrographs"].tolist() == [1, 2, 3, 3, 3] and len(set(rows["state"])) == 3
    assert size.reason.endswith("a micrograph of 240 Å is too small for particles of 80 Å")
    assert "There is no size to approve: 0 of 3 micrographs tell" in cli("picks", "approve", p.folder, "align", code=2)
