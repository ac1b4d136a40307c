"""Picking by templates and by texture, as steps: where templates come from, and what becomes of picks."""

from __future__ import annotations

import math
import os

import numpy as np
import pytest

from cryowidgets.errors import InputError, ParameterError
from cryowidgets.io import coordinates, mrc, star
from cryowidgets.kernels.pickconsensus import pairs
from cryowidgets.model import Ctf, Micrograph
from cryowidgets.protocols.out import Out
from cryowidgets.protocols.pick_templates import PickTemplates
from cryowidgets.protocols.pick_texture import PickTexture
from cryowidgets.protocols.references import templates
from tests.exposures import PLAIN, projections, seen, to_be_found


@pytest.fixture(scope="module")
def micrograph(tmp_path_factory):
    image, truth, diameter = seen("plain")
    path = tmp_path_factory.mktemp("seen") / "m.mrc"
    mrc.write(path, image.astype(np.float32), PLAIN.pixel_size)
    height, width = image.shape
    made = Micrograph(
        name="m", path=str(path), pixel_size=PLAIN.pixel_size, height=height, width=width, optics=PLAIN.optics
    )
    ctf = Ctf(micrograph=str(path), defocus_u=truth.defocus_u, defocus_v=truth.defocus_v, angle=truth.angle)
    return made, ctf, truth, diameter


def classes(folder, name, stack, shares, good, pixel_size=5.0):
    """Files of classes as a step that sorts particles leaves them behind."""
    mrc.write(folder / f"{name}_classes.mrcs", stack.astype(np.float32), pixel_size)
    count = len(stack)
    table = {
        "rlnReferenceImage": [f"{i:06d}@steps/classify/{name}_classes.mrcs" for i in range(1, count + 1)],
        "rlnClassDistribution": shares,
        "rlnSelected": good,
        "cwIdentity": list(range(1, count + 1)),
        "cwParticles": [int(100 * share) for share in shares],
    }
    star.write(folder / f"{name}_model.star", {"model_general": {"rlnPixelSize": pixel_size}, "model_classes": table})


def test_templates_are_found_wherever_they_lie(tmp_path):
    out = Out(tmp_path, "steps/pick", "m")
    folder = tmp_path / "steps" / "classify"
    folder.mkdir(parents=True)
    assert templates("steps/classify", out) is None
    stack = np.arange(4.0)[:, None, None] + np.eye(8)
    classes(folder, "batch1", stack, [0.1, 0.4, 0.2, 0.3], [0, 0, 0, 0])
    found, size = templates("steps/classify", out)
    np.testing.assert_allclose(found, stack[[1, 3, 2, 0]])
    assert size == 5.0
    classes(folder, "batch2", stack + 10, [0.1, 0.4, 0.5, 0.0], [1, 0, 1, 1])
    os.utime(folder / "batch1_model.star", (1, 1))
    np.testing.assert_allclose(templates("steps/classify", out)[0], stack[[2, 0]] + 10)
    np.testing.assert_allclose(templates(str(folder / "batch1_model.star"), out)[0], stack[[1, 3, 2, 0]])
    mrc.write(tmp_path / "one.mrc", stack[0].astype(np.float32), 1.0)
    found, size = templates("one.mrc", out)
    assert found.shape == (1, 8, 8) and size == 0
    mrc.write(tmp_path / "many.mrcs", np.ones((90, 4, 4), np.float32), 1.0)
    assert len(templates("many.mrcs", out)[0]) == 40
    with pytest.raises(InputError, match="does not exist: write the path"):
        templates("steps/nowhere", out)
    (folder / "batch2_classes.mrcs").unlink()
    with pytest.raises(InputError, match="do not exist"):
        templates("steps/classify", out)


def test_classes_of_a_step_are_searched_for(micrograph, tmp_path):
    item, ctf, truth, diameter = micrograph
    folder = tmp_path / "steps" / "classify"
    folder.mkdir(parents=True)
    near, wanted = 0.4 * diameter / PLAIN.pixel_size, to_be_found(truth, diameter)
    found = {}
    for name in ("spheres", "classes"):
        out = Out(tmp_path, "steps/pick", name)
        made = PickTemplates(diameter=diameter, templates="steps/classify").process(item, out, ctf)
        out.commit()
        found[name] = coordinates.read(tmp_path / made.path)
        assert made.count == len(found[name]) and made.diameter == pytest.approx(diameter)
        assert found[name].scores.min() >= made.threshold - 1e-3
        assert len(pairs(found[name].places, wanted, near)) >= 0.9 * len(wanted)
        stack = projections(5)
        classes(folder, "batch1", stack, [1 / len(stack)] * len(stack), [1] * len(stack))
    assert np.median(found["classes"].scores) > 1.2 * np.median(found["spheres"].scores)


def test_a_micrograph_without_a_fit_is_searched_without_the_lens(micrograph, tmp_path):
    item, ctf, truth, diameter = micrograph
    lost = Ctf(micrograph=item.path, defocus_u=math.nan, defocus_v=math.nan, angle=math.nan)
    with_none = PickTemplates(diameter=diameter).process(item, Out(tmp_path, "a", "m"))
    with_lost = PickTemplates(diameter=diameter).process(item, Out(tmp_path, "b", "m"), lost)
    assert with_none.count == with_lost.count > 0.7 * len(truth.positions)
    assert with_none.score == with_lost.score


def test_texture_needs_a_diameter_only(micrograph, tmp_path):
    item, _, truth, diameter = micrograph
    out = Out(tmp_path, "steps/pick", "m")
    made = PickTexture(diameter=1.1 * diameter).process(item, out)
    out.commit()
    found = coordinates.read(tmp_path / made.path)
    near, wanted = 0.4 * diameter / PLAIN.pixel_size, to_be_found(truth, diameter)
    assert len(pairs(found.places, wanted, near)) >= 0.85 * len(wanted)
    assert made.count == len(found) and (tmp_path / made.thumbnail).stat().st_size > 1000


def test_what_cannot_be_is_said(micrograph, tmp_path):
    item, *_ = micrograph
    for protocol in (PickTemplates, PickTexture):
        with pytest.raises(InputError, match="too little"):
            protocol(diameter=900.0).process(item, Out(tmp_path, "x", "m"))
        with pytest.raises(ParameterError, match="diameter"):
            protocol(diameter=1.0)
    mrc.write(tmp_path / "none.mrc", np.zeros((3, 20, 20), np.float32), 1.0)
    with pytest.raises(InputError, match="nothing in the templates"):
        PickTemplates(templates="none.mrc").process(item, Out(tmp_path, "x", "m"))
