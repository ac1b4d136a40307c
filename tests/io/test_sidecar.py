"""When was a movie recorded: by the file beside it, else by its name."""

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cryowidgets.io.sidecar import acquired, expected_frames


@pytest.fixture(autouse=True)
def _a_zone(monkeypatch):
    """A zone far from UTC and with summer time, whatever the machine has."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def _utc(*when):
    return datetime(*when, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("name", "when"),
    [
        ("FoilHole_1_Data_2_3_20200206_172047_Fractions.mrc", (2020, 2, 6, 22, 20, 47)),
        ("FoilHole_1_Data_2_3_1_20200706_172047_fractions.tiff", (2020, 7, 6, 21, 20, 47)),
        ("FoilHole_20200101_000000_Data_2_20200706_172047_EER.eer", (2020, 7, 6, 21, 20, 47)),
        ("grid_0012_20200706_172047.tif", (2020, 7, 6, 21, 20, 47)),
        ("FoilHole_12345678_876543_20201306_172047.mrc", None),  # no such month
        ("movie_0001.tif", None),
        ("14sep05c_c_00003gr_00014sq_00004hl_00005es.frames.tif", None),
    ],
)
def test_by_name(tmp_path, name, when):
    assert acquired(tmp_path / name) == (when and _utc(*when))


def test_serialem_names_lack_the_year(tmp_path):
    path = tmp_path / "s_01013_33.0_Oct08_07.46.46.tif"
    path.write_bytes(b"")
    os.utime(path, (_utc(2021, 10, 8, 11, 47), _utc(2021, 10, 8, 11, 47)))
    assert acquired(path) == _utc(2021, 10, 8, 11, 46, 46)
    path = path.rename(tmp_path / "s_1_Dec 31_23.59.50.tif")
    os.utime(path, (_utc(2022, 1, 1, 5, 0, 30), _utc(2022, 1, 1, 5, 0, 30)))
    assert acquired(path) == _utc(2022, 1, 1, 4, 59, 50)
    path = path.rename(tmp_path / "s_1_Feb29_10.00.00.tif")
    assert acquired(path) == _utc(2020, 2, 29, 15)
    assert acquired(path.with_name("s_1_Foo29_10.00.00.tif")) is None


def test_the_sidecar_comes_first_and_tells_its_zone(tmp_path):
    path = tmp_path / "FoilHole_1_Data_2_3_20200206_172047_Fractions.mrc"
    (tmp_path / "FoilHole_1_Data_2_3_20200206_172047.xml").write_text(
        "\ufeff<x><acquisitionDateTime>2020-02-06T17:20:48.0109534+01:00</acquisitionDateTime></x>", encoding="utf-8"
    )
    assert acquired(path) == pytest.approx(_utc(2020, 2, 6, 16, 20, 48) + 0.010953, abs=1e-5)
    (tmp_path / "FoilHole_1_Data_2_3_20200206_172047.xml").write_bytes(b"\xff\x00garbage")
    assert acquired(path) == _utc(2020, 2, 6, 22, 20, 47)


@pytest.mark.parametrize("date", ["06-Dec-20  03:35:22", "06-Dec-2020  03:35:22"])
def test_mdoc(tmp_path, date):
    (tmp_path / "a.tif.mdoc").write_bytes(
        f"T = x\r\n\r\n[FrameSet = 0]\r\nNumSubFrames = 46\r\nDateTime = {date}\r\n".encode()
    )
    assert acquired(tmp_path / "a.tif") == _utc(2020, 12, 6, 8, 35, 22)
    assert expected_frames(tmp_path / "a.tif") == 46
    assert expected_frames(tmp_path / "b.tif") is None


SAMPLES = Path(os.environ.get("CRYOWIDGETS_SAMPLES", "/nowhere"))


@pytest.mark.skipif(not (SAMPLES / "epu_afis_session").is_dir(), reason="CRYOWIDGETS_SAMPLES names no folder")
def test_a_real_session(monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    sidecars = sorted(SAMPLES.joinpath("epu_afis_session").rglob("*_Fractions.xml"))
    assert len(sidecars) == 189
    for sidecar in sidecars:
        movie = sidecar.with_suffix(".mrc")
        nameless = acquired(Path("/nowhere") / movie.name)
        assert abs(acquired(movie) - nameless) < 60
        assert expected_frames(movie) == 22
    frames = next(SAMPLES.rglob("*_counted_frames.mrc.mdoc"))
    assert expected_frames(str(frames)[:-5]) == 46
