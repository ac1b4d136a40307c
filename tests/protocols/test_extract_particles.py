"""Cutting out, as a step: the stack holds what lies at the places, and RELION's columns say where it came from."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import starfile

from cryowidgets.errors import InputError, ParameterError
from cryowidgets.io import coordinates, mrc
from cryowidgets.io.coordinates import Coordinates
from cryowidgets.model import Ctf, Micrograph, Optics, Picks
from cryowidgets.protocols.extract_particles import ExtractParticles
from cryowidgets.protocols.out import Out

PIXEL = 2.0
PLACES = np.array([[60.0, 70.4], [100.2, 150.0], [2.0, 100.0], [140.0, 40.0]])
COLUMNS = """rlnCoordinateX rlnCoordinateY rlnImageName rlnMicrographName rlnOpticsGroup rlnCtfMaxResolution
rlnCtfFigureOfMerit rlnDefocusU rlnDefocusV rlnDefocusAngle rlnCtfBfactor rlnCtfScalefactor rlnPhaseShift
rlnAutopickFigureOfMerit rlnClassNumber""".split()
OPTICS = """rlnOpticsGroupName rlnOpticsGroup rlnMicrographOriginalPixelSize rlnVoltage rlnSphericalAberration
rlnAmplitudeContrast rlnImagePixelSize rlnImageSize rlnImageDimensionality rlnCtfDataAreCtfPremultiplied""".split()


@pytest.fixture
def items(tmp_path):
    rng = np.random.default_rng(0)
    image = rng.normal(100, 5, (200, 240)).astype(np.float32)
    y, x = np.mgrid[:200, :240]
    for a, b in PLACES:
        image -= 30 * np.exp(-((y - a) ** 2 + (x - b) ** 2) / 18.0).astype(np.float32)
    mrc.write(tmp_path / "m.mrc", image, PIXEL)
    coordinates.write(tmp_path / "p.star", Coordinates(PLACES, np.array([4.0, 3.0, 2.0, 1.0])))
    optics = Optics(pixel_size=PIXEL)
    micrograph = Micrograph(
        name="m", path=str(tmp_path / "m.mrc"), pixel_size=PIXEL, height=200, width=240, optics=optics
    )
    ctf = Ctf(micrograph="m.mrc", defocus_u=12000.0, defocus_v=11500.0, angle=20.0, score=0.3, fit_resolution=4.5)
    picks = Picks(path=str(tmp_path / "p.star"), micrograph="m.mrc", count=len(PLACES), diameter=40.0, pixel_size=PIXEL)
    return micrograph, ctf, picks


def extracted(tmp_path, items, **values):
    out = Out(tmp_path, "steps/extract", "m")
    made = ExtractParticles(**values).process(*items, out)
    out.commit()
    return made


def test_pictures_are_those_of_the_places_and_the_columns_are_relions(tmp_path, items):
    made = extracted(tmp_path, items)
    # One and a half diameters are 30 px; one box reaches 13 of 30 rows beyond the edge.
    assert (made.count, made.box, made.pixel_size, made.diameter) == (3, 30, PIXEL, pytest.approx(45.0))
    stack = mrc.read(tmp_path / made.path)
    assert stack.shape == (3, 30, 30)
    assert all(np.unravel_index(p.argmax(), p.shape) == pytest.approx((15, 15), abs=2) for p in stack)
    tables = starfile.read(tmp_path / made.metadata)
    assert sorted(tables["optics"]) == sorted(OPTICS)
    assert sorted(tables["particles"]) == sorted(COLUMNS)
    particles = tables["particles"]
    np.testing.assert_allclose(particles[["rlnCoordinateY", "rlnCoordinateX"]], PLACES[[0, 1, 3]], atol=1e-4)
    assert particles["rlnImageName"][2] == "000003@steps/extract/m_particles.mrcs"
    assert particles["rlnMicrographName"][0] == "m.mrc"
    assert particles["rlnAutopickFigureOfMerit"].tolist() == [4.0, 3.0, 1.0]
    assert (tmp_path / made.thumbnail).stat().st_size > 500


def test_a_box_beyond_the_edge_may_be_allowed(tmp_path, items):
    assert extracted(tmp_path, items, inside=0.5).count == 4


def test_scaled_pictures_have_larger_pixels(tmp_path, items):
    made = extracted(tmp_path, items, box=40, scale=20)
    assert (made.box, made.pixel_size) == (20, 4.0)
    optics = starfile.read(tmp_path / made.metadata)["optics"]
    assert optics["rlnImagePixelSize"].tolist() == [4.0] and optics["rlnImageSize"].tolist() == [20]
    assert mrc.read_header(tmp_path / made.path).pixel_size == pytest.approx(4.0)


def test_contrast_precision_and_phases(tmp_path, items):
    plain, dark = (mrc.read(tmp_path / extracted(tmp_path, items, invert=i).path) for i in (True, False))
    np.testing.assert_array_equal(plain, -dark)
    half = mrc.read(tmp_path / extracted(tmp_path, items, half_precision=True).path)
    np.testing.assert_allclose(half, plain, atol=0.01)
    made = extracted(tmp_path, items, phase_flip=True)
    assert starfile.read(tmp_path / made.metadata)["optics"]["rlnCtfDataArePhaseFlipped"].tolist() == [1]
    assert np.abs(mrc.read(tmp_path / made.path) - plain).max() > 0.1


def test_no_picks_are_no_particles(tmp_path, items):
    micrograph, ctf, picks = items
    made = extracted(tmp_path, (micrograph, ctf, dataclasses.replace(picks, count=0)))
    assert (made.count, made.path, made.box) == (0, "", 30)


def test_what_is_wrong_is_said(tmp_path, items):
    micrograph, ctf, picks = items
    with pytest.raises(ParameterError, match="box 31 is odd"):
        ExtractParticles(box=31)
    with pytest.raises(ParameterError, match="pictures would grow"):
        ExtractParticles(box=30, scale=40)
    with pytest.raises(ParameterError, match="picks have no diameter"):
        extracted(tmp_path, (micrograph, ctf, dataclasses.replace(picks, diameter=math.nan)))
    with pytest.raises(InputError, match="has no defocus"):
        extracted(tmp_path, (micrograph, Ctf(micrograph="m.mrc", reason="no rings"), picks))
