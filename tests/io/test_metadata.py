"""What EPU and SerialEM tell, as one value; stated values of real files."""

from __future__ import annotations

import math
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cryowidgets.io import epu, serialem, sidecar
from cryowidgets.io.metadata import Metadata

IMAGE = """\ufeff<?xml version="1.0" encoding="utf-8"?>
<MicroscopeImage xmlns="http://schemas.datacontract.org/2004/07/Fei.SharedObjects"
 xmlns:i="http://www.w3.org/2001/XMLSchema-instance" xmlns:a="http://schemas.microsoft.com/2003/10/Serialization/Arrays">
<CustomData>
<a:KeyValueOfstringanyType><a:Key>BinaryResult.Detector</a:Key><a:Value>EF-CCD</a:Value></a:KeyValueOfstringanyType>
<a:KeyValueOfstringanyType><a:Key>Dose</a:Key><a:Value>4.8E+21</a:Value></a:KeyValueOfstringanyType>
<a:KeyValueOfstringanyType><a:Key>AppliedDefocus</a:Key><a:Value>-1.5E-06</a:Value></a:KeyValueOfstringanyType>
<a:KeyValueOfstringanyType><a:Key>Detectors[EF-CCD].ExposureTime</a:Key><a:Value>3.5</a:Value>
</a:KeyValueOfstringanyType>
<a:KeyValueOfstringanyType><a:Key>Detectors[EF-CCD].GainReference</a:Key><a:Value>Ref\\300kV\\x.gain</a:Value>
</a:KeyValueOfstringanyType>
</CustomData>
<SpatialScale><pixelSize><x><numericValue>1.2852E-10</numericValue></x></pixelSize></SpatialScale>
<microscopeData><acquisition><acquisitionDateTime>2024-05-06T07:08:09.1234567+02:00</acquisitionDateTime>
<camera><Binning xmlns:d="urn:d"><d:x>2</d:x><d:y>2</d:y></Binning><ExposureTime>3.4</ExposureTime><Name>BM</Name>
<ReadoutArea xmlns:d="urn:d"><d:height>2046</d:height><d:width>2880</d:width></ReadoutArea></camera></acquisition>
<gun><AccelerationVoltage>300000</AccelerationVoltage></gun>
<optics><BeamShift xmlns:d="urn:d"><d:_x>0.25</d:_x><d:_y>-0.5</d:_y></BeamShift>
<TemMagnification><NominalMagnification>105000</NominalMagnification></TemMagnification></optics>
<stage><Position><A>0.5235987755982988</A><X>1E-06</X><Y>-2E-06</Y><Z>3E-06</Z></Position></stage>
</microscopeData></MicroscopeImage>"""

FRACTIONS = """<Acquisition><Info><Detector>K3</Detector><ExpectedNumberOfFractions>40</ExpectedNumberOfFractions>
<DateTimeWithTimeZone>2024-05-06T07:08:09.5+02:00</DateTimeWithTimeZone>
<RecordedNumberOfFractions>39</RecordedNumberOfFractions><GainCorrection>Off</GainCorrection></Info>
<Fractions><Fraction><ExposureTime>0.1</ExposureTime></Fraction><Fraction><ExposureTime>0.2</ExposureTime></Fraction>
</Fractions></Acquisition>"""

MDOC = """T = SerialEM: a scope\r\nVoltage = 200\r\n\r\n[FrameSet = 0]\r\nTiltAngle = 33\r\nStagePosition = 10 -20.5\r
StageZ = 3\r\nMagnification = 33000\r\nExposureDose = 0\r\nPixelSpacing = 1.2827\r\nImageShift = 2.5 -0.25\r
Binning = 0.5\r\nTargetDefocus = -1.5\r\nSubFramePath = X:\\dir\\b.tif\r\nNumSubFrames = 12\r
FrameDosesAndNumber = 0.5 10 2 2\r\nGainReference = SuperRef.dm4\r\nDefectFile = defects.txt\r
DateTime = 06-May-24  07:08:09\r\n"""


def test_epu_tells_everything(tmp_path):
    movie = tmp_path / "FoilHole_1_Data_2_3_20200101_000000_fractions.tiff"
    (tmp_path / "FoilHole_1_Data_2_3_20200101_000000.xml").write_text(IMAGE, encoding="utf-8")
    (tmp_path / "FoilHole_1_Data_2_3_20200101_000000_Fractions.xml").write_text(FRACTIONS)
    found = sidecar.read(movie)
    assert found.acquired == datetime(2024, 5, 6, 5, 8, 9, 500000, tzinfo=UTC).timestamp()
    assert (found.frames, found.frames_asked, found.gain_corrected, found.camera) == (39, 40, False, "K3")
    assert (found.voltage, found.magnification, found.beam_shift) == (300, 105000, (0.25, -0.5))
    assert (found.exposure_time, found.gain) == (pytest.approx(0.3), "x.gain")
    assert found.total_dose == pytest.approx(48)
    assert found.frame_dose() == pytest.approx(48 / 39)
    assert found.frame_dose(40) == pytest.approx(1.2)
    assert found.defocus == pytest.approx(15000)
    assert found.stage == pytest.approx((1e4, -2e4, 3e4))
    assert found.tilt == pytest.approx(30)
    assert found.warnings == ()


def test_the_pixel_of_a_binned_preview_is_not_that_of_the_movie():
    """A session whose XML tells 1.2852 Å for a preview of 2880 px: its K3 frames have half of that."""
    found = epu.parse(IMAGE.encode(), "x")
    assert found.frame_pixel_size((4092, 5760)) == pytest.approx(0.6426)
    assert found.frame_pixel_size((11520, 8184)) == pytest.approx(0.3213)
    assert found.frame_pixel_size((2046, 2880)) == pytest.approx(1.2852)
    assert found.frame_pixel_size((1024, 1000)) == pytest.approx(1.2852), "cut out"
    assert found.frame_pixel_size() == pytest.approx(1.2852)


def test_serialem_tells_everything():
    found = serialem.parse(MDOC.encode(), "b.tif.mdoc")
    assert (found.voltage, found.frames, found.magnification, found.tilt) == (200, 12, 33000, 33)
    assert (found.dose_per_frame, found.total_dose) == (pytest.approx(0.75), pytest.approx(9))
    assert (found.beam_shift, found.stage) == ((2.5, -0.25), (1e5, -2.05e5, 3e4))
    assert (found.defocus, found.gain, found.defects) == (15000, "SuperRef.dm4", "defects.txt")
    assert found.acquired == datetime(2024, 5, 6, 7, 8, 9).timestamp()
    assert found.frame_pixel_size((11520, 8184)) == 1.2827, "binning 0.5 is super-resolution"
    assert found.frame_pixel_size((5760, 4092)) == 2 * 1.2827


def test_a_movie_finds_its_section_in_an_mdoc_of_many():
    many = MDOC + MDOC[MDOC.index("[") :].replace("b.tif", "c.tif").replace("= 1.2827", "= 2.5")
    assert serialem.parse(many.encode(), "x", "c.tif").pixel_size == 2.5
    assert serialem.parse(many.encode(), "x", "other.tif").pixel_size == 1.2827


@pytest.mark.parametrize("dose, total", [("0 46", math.nan), ("", math.nan), ("x 3", math.nan), ("1 2 3", math.nan)])
def test_a_dose_that_was_not_calibrated_is_not_told(dose, total):
    found = serialem.parse(MDOC.replace("0.5 10 2 2", dose).encode(), "x")
    assert not found.told("dose_per_frame") and not found.told("total_dose")
    assert math.isnan(found.frame_dose(12))


@pytest.mark.parametrize("cut", [0, 1, 40, 700, 1200, 1600])
def test_what_is_left_of_a_damaged_file_is_taken_and_said_to_be(cut):
    content = IMAGE.encode()[:cut]
    found = epu.parse(content, "a.xml")
    assert len(found.warnings) == 1 and "a.xml" in found.warnings[0]
    assert found.told("total_dose") == (b"4.8E+21</a:Value>" in content)
    assert found.told("pixel_size") == (b"</numericValue>" in content)


@pytest.mark.parametrize("content", [b"", b"\xff\x00 garbage", b"<a/>", b"x" * 5000, "Ä = ö".encode("latin-1")])
def test_files_of_something_else_tell_nothing_and_raise_nothing(content):
    for found in (epu.parse(content, "x"), serialem.parse(content, "x")):
        assert not any(found.told(name) for name in ("pixel_size", "voltage", "total_dose", "frames", "acquired"))
    assert serialem.parse(content, "b.mdoc").warnings


def test_an_unreadable_sidecar_is_a_sentence(tmp_path):
    (tmp_path / "a.tif.mdoc").write_text("nothing")
    (warning,) = sidecar.read(tmp_path / "a.tif").warnings
    assert "a.tif.mdoc is not a readable mdoc" in warning


def test_what_one_file_does_not_tell_another_does():
    first = Metadata(pixel_size=1.0, frames=3)
    both = first.completed(Metadata(pixel_size=2.0, side=4096, voltage=200, warnings=("w",)))
    assert (both.pixel_size, both.side, both.voltage, both.frames, both.warnings) == (1, 0, 200, 3, ("w",))


SAMPLES = Path(os.environ.get("CRYOWIDGETS_SAMPLES", "/nowhere"))
real = pytest.mark.skipif(not (SAMPLES / "epu_afis_session").is_dir(), reason="CRYOWIDGETS_SAMPLES names no folder")


@real
def test_a_real_epu_session():
    lists = sorted(SAMPLES.joinpath("epu_afis_session").rglob("*_Fractions.xml"))
    found = [sidecar.read(path.with_suffix(".mrc")) for path in lists]
    assert len(found) == 189 and not any(f.warnings for f in found)
    assert {(f.frames, f.voltage, f.magnification, f.side, f.camera) for f in found} == {
        (22, 300.0, 96000.0, 4096, "Falcon-3")
    }
    assert {round(f.frame_pixel_size((4096, 4096)), 4) for f in found} == {0.8708}
    assert all(1.33 < f.frame_dose(22) < 1.42 and f.gain_corrected for f in found)
    assert len({f.beam_shift for f in found}) == 189


@real
def test_other_real_sidecars():
    (example,) = SAMPLES.rglob("Example1.xml")
    eer = epu.parse(example.read_bytes(), "x")
    assert (eer.voltage, eer.side, eer.gain) == (200, 4096, "20231018_120449_EER_GainReference.gain")
    assert (eer.pixel_size, eer.total_dose) == (pytest.approx(0.74913, abs=1e-5), pytest.approx(42.02, abs=0.01))
    assert eer.frame_dose(1118) == pytest.approx(42.02 / 1118, rel=1e-3)
    (apollo,) = SAMPLES.rglob("*counted_frames.mrc.mdoc")
    direct = serialem.parse(apollo.read_bytes(), "x")
    assert (direct.frames, direct.told("dose_per_frame"), direct.told("total_dose")) == (46, False, False)
    assert direct.frame_pixel_size((8192, 8192)) == pytest.approx(2.48521 / 8)
    (single,) = SAMPLES.rglob("frame_set_single.mdoc")
    k3 = serialem.parse(single.read_bytes(), "x")
    assert (k3.dose_per_frame, k3.frames) == (0.63824, 12)
    assert k3.frame_pixel_size((11520, 8184)) == 1.2827
