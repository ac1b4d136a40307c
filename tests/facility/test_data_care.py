"""Room: what is counted is what is there, what may go is what goes, and an archive is what was packed."""

from __future__ import annotations

import json
import os
import tarfile

import pytest
from click.testing import CliRunner

from cryowidgets.cli import main
from cryowidgets.errors import EngineRunning, InputError, ParameterError, ProjectError
from cryowidgets.facility import archive, cleaning, sizes
from cryowidgets.store.lock import WriterLock
from cryowidgets.store.queries import Reader
from tests.facility.test_relion import fill


@pytest.fixture
def project(tmp_path):
    """Seven movies, six micrographs of which five are dose weighted; one rejected, one gated."""
    session = fill(tmp_path)
    for step in session.store.steps():
        session.store.set_state(step, "finished")
    session.store.close()
    for movie in session.raw.glob("*.tiff"):
        movie.write_bytes(b"0" * 1000)
    return session.store.folder


def cli(*words: object, code: int = 0) -> str:
    result = CliRunner().invoke(main, list(map(str, words)))
    assert result.exit_code == code, result.output
    return result.output


def on_disk(folder) -> int:
    return sum(os.lstat(os.path.join(top, name)).st_size for top, _, names in os.walk(folder) for name in names)


def test_every_byte_is_counted_once_and_under_its_name(project):
    (project / "steps/align/m1_old.mrc").write_bytes(b"1" * 500)
    (project / "steps/align/m1.log").write_bytes(b"2" * 70)
    (project / "steps/align/.tmp-1").mkdir()
    (project / "steps/align/.tmp-1/half.mrc").write_bytes(b"3" * 30)
    (project / "batch.ipynb").write_bytes(b"4" * 20)
    with Reader(project):  # while somebody looks, SQLite has files beside the ledger
        before = on_disk(project)
        found = sizes.sizes(project)
    assert found.inside == before
    assert found.categories["micrographs"] == (6, 6 * (1024 + 48 * 64 * 4))
    assert found.categories["weighted"][0] == 5
    assert found.categories["orphaned"] == (1, 500)
    assert found.categories["logs"] == (1, 70)
    assert found.categories["half-written"] == (1, 30)
    assert found.categories["reports"] == (1, 20)
    assert found.categories["raw"][0] == 7
    assert found.steps["ctf"].keys() == {"spectra"}
    assert "maxshift" not in found.steps, "a gate writes nothing"


def test_what_was_counted_is_kept_until_something_changes(project, monkeypatch):
    first = sizes.sizes(project)
    listed = []
    walk = sizes._walk
    monkeypatch.setattr(
        sizes, "_walk", lambda folder, without=frozenset(): listed.append(folder) or walk(folder, without)
    )
    again = sizes.sizes(project)
    assert again.steps == first.steps
    assert [f for f in map(str, listed) if "/steps/align" in f] == []
    (project / "steps/align/new.mrc").write_bytes(b"1")
    assert sizes.sizes(project).categories["orphaned"] == (1, 1)


def test_a_dry_run_says_what_goes_and_nothing_else_goes(project):
    offered = cleaning.offer(project, ["micrographs", "weighted"], "rejected")
    assert offered.exposures == 2
    before = on_disk(project)
    assert "Nothing was taken away" in cli("clean", project, "--rejected", "--what", "micrographs,weighted")
    assert "of rejected" in cli("clean", project)
    assert abs(on_disk(project) - before) < 50_000, "but for the ledger's own files"
    assert sizes.sizes(project).categories["micrographs"][0] == 6
    assert "4 files of" in cli("clean", project, "--rejected", "--what", "micrographs,weighted", "--yes")
    after = sizes.sizes(project)
    assert after.categories["micrographs"][0] == 4
    assert after.cleaned == (4, offered.bytes)
    assert cleaning.offer(project, ["micrographs", "weighted"], "rejected").categories == {}


def test_orphans_go_only_while_nobody_writes(project):
    orphan, log = project / "steps/align/m1_old.mrc", project / "steps/align/m1.log"
    orphan.write_bytes(b"1" * 500)
    log.write_bytes(b"2")
    lock = WriterLock(project)
    with pytest.raises(EngineRunning, match="cannot be told while it writes"):
        cleaning.clean(project, [], orphaned=True)
    lock.release()
    assert "1 file of 500 B" in cli("clean", project, "--orphaned", "--yes")
    assert not orphan.exists()
    assert log.exists()


def test_raw_movies_need_a_second_word(project):
    with Reader(project) as reader:
        path = reader.query("SELECT path FROM exposure WHERE rejected IS NOT NULL")[0][0]
    assert "say --word" in cli("clean", project, "--raw-of-rejected", "--yes", code=2)
    assert "not 'yes'" in cli("clean", project, "--raw-of-rejected", "--word", "yes", "--yes", code=2)
    assert os.path.exists(path)
    assert "Would go: 1 kB, of 1 exposures" in cli("clean", project, "--raw-of-rejected")
    assert "1 file of 1 kB" in cli("clean", project, "--raw-of-rejected", "--word", "project", "--yes")
    assert not os.path.exists(path)
    assert sizes.sizes(project).categories["raw"][0] == 6


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--yes"], "Say what goes"),
        (["--what", "micrograph"], "'micrograph' cannot be cleaned: write some of micrographs"),
        (["--outside"], "has no thresholds saved"),
    ],
)
def test_words_that_say_nothing_are_refused(project, words, says):
    assert says in cli("clean", project, *words, code=2)


def test_thresholds_say_what_lies_outside(project):
    cut = json.dumps({"drift": [None, 11.0]})
    with Reader(project) as reader:
        drift = dict(zip(reader.rows("align")["name"], reader.rows("align")["motion_total"].tolist(), strict=True))
    from cryowidgets.store.store import Store

    store = Store(project)
    store.put("thresholds", cut)
    store.close()
    offered = cleaning.offer(project, ["weighted"], "outside")
    outside = {name for name, value in drift.items() if value > 11.0} & {"m1", "m2", "no_rings"}
    assert outside
    assert offered.exposures == len(outside | {"thrown_out", "gated"})


def test_an_archive_is_whole_or_says_what_is_not(project, tmp_path):
    out = tmp_path / "a.tar"
    made = archive.archive(project, out, micrographs=True)
    with tarfile.open(out) as tar:
        names = tar.getnames()
    assert sum(name.endswith("_dw.mrc") for name in names) == 5
    assert "project/steps/align/other.mrc" in names, "which is not dose weighted"
    assert "project/steps/align/m1.mrc" not in names
    assert "project/star/micrographs_ctf.star" in names
    assert archive.check(out) == made.files
    content = bytearray(out.read_bytes())
    content[content.index(b"data_optics")] ^= 1
    out.write_bytes(content)
    with pytest.raises(InputError, match="is not what was archived"):
        archive.check(out)
    out.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError):
        archive.check(out)
    with pytest.raises(ProjectError, match="is there already"):
        archive.archive(project, out)
    with pytest.raises(ProjectError, match="no ending that is known"):
        archive.archive(project, tmp_path / "a.zip")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_the_command_line_tells_sizes_and_archives(project, tmp_path):
    told = json.loads(cli("data", project, "--json"))
    assert told["categories"]["micrographs"][0] == 6
    assert "micrographs" in cli("data", project)
    said = cli("archive", project, tmp_path / "a.tar.gz")
    assert "read back and compared" in said
    assert "Left out: 16 files" in said


def test_nothing_that_cannot_be_cleaned_is_offered(project):
    with pytest.raises(ParameterError, match="cannot be cleaned"):
        cleaning.offer(project, ["raw"])
    with pytest.raises(ParameterError, match="whose files go"):
        cleaning.offer(project, ["weighted"], "mine")


def test_an_exposure_says_which_of_its_files_were_cleaned(project):
    cleaning.clean(project, ["weighted"])
    lines = cli("show", "exposure", project, "m1").splitlines()
    told = {line.split()[0]: line for line in lines if "/steps/align/m1" in line}
    assert told["dose_weighted"].endswith("(cleaned)")
    assert not told["path"].endswith("(cleaned)")
