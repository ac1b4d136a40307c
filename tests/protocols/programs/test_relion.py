"""RELION's programs: flags by version, star files that they read, and results as items of a project."""

import dataclasses
import math

import numpy as np
import pytest

from cryowidgets.errors import InputError, ParameterError, ProgramError
from cryowidgets.io import mrc, star
from cryowidgets.io.coordinates import Coordinates, read, write
from cryowidgets.model import Ctf, Particles, Picks
from cryowidgets.protocols.out import Out
from cryowidgets.protocols.relion_autopick import RelionAutopick
from cryowidgets.protocols.relion_class2d import RelionClass2D, parse_model
from cryowidgets.protocols.relion_extract import RelionExtract
from cryowidgets.protocols.relion_files import merged
from cryowidgets.protocols.relion_motioncorr import RelionMotioncorr, parse

VERSION = "RELION version: 5.0.1-commit-d476e6 \nPrecision: BASE=double, CUDA-ACC=single"
MOTION = """--i --o --use_own --j --first_frame_sum --last_frame_sum --bin_factor --bfactor --group_frames --patch_x
--patch_y --dose_per_frame --preexposure --gainref --gain_rot --gain_flip --eer_grouping --eer_upsampling
--dose_weighting --save_noDW --even_odd_split"""
PICK = """--i --odir --pickname --shrink --lowpass --LoG --LoG_diam_min --LoG_diam_max --LoG_adjust_threshold
--LoG_upper_threshold --ref --ang --threshold --min_distance --max_stddev_noise --particle_diameter --angpix_ref
--invert --ctf --gpu"""
EXTRACT = """--i --coord_list --coord_dir --coord_suffix --part_star --part_dir --extract --extract_size --scale --norm
--bg_radius --white_dust --black_dust --invert_contrast --float16"""
CLASSIFY = """--i --o --K --iter --grad --class_inactivity_threshold --grad_write_iter --tau2_fudge --particle_diameter
--flatten_solvent --zero_mask --center_classes --ctf --oversampling --psi_step --offset_range --offset_step --norm
--scale --pad --pool --dont_combine_weights_via_disc --j --gpu"""


def noise(*shape, seed=7):
    return np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)


def written(tmp_path, blocks):
    star.write(tmp_path / "made.star", blocks)
    return (tmp_path / "made.star").read_text()


# motion


@pytest.fixture
def motioncorr(fake, tmp_path):
    made = fake("relion_run_motioncorr", MOTION, VERSION).play(reads=["movies.star", "Movies/movie.mrc"])
    made.gives("out/Movies/movie.mrc", noise(60, 80)).gives("out/Movies/movie_noDW.mrc", noise(60, 80, seed=8))
    table = {
        "rlnMicrographFrameNumber": [1, 2, 3, 4, 5, 6],
        "rlnMicrographShiftX": [-9999.0, 0.0, -1.0, -2.5, -3.0, -3.5],
        "rlnMicrographShiftY": [-9999.0, 0.0, 0.5, 1.0, 1.5, 1.0],
    }
    return made.gives(
        "out/Movies/movie.star", written(tmp_path, {"general": {"rlnImageSizeX": 80}, "global_shift": table})
    )


def test_motion_flags(movie, three_threads):
    said = " ".join(RelionMotioncorr().command(movie, "5.0.1", movie.gain).arguments)
    assert said == (
        "--i movies.star --o out/ --use_own --j 3 --first_frame_sum 1 --last_frame_sum -1 --bin_factor 1 --bfactor 150 "
        "--group_frames 1 --patch_x 5 --patch_y 5 --dose_per_frame 1.25 --preexposure 0 "
        f"--gainref {movie.gain} --gain_rot 0 --gain_flip 0 --dose_weighting --save_noDW"
    )
    eer = dataclasses.replace(movie, path="/m/a.eer", optics=dataclasses.replace(movie.optics, dose_per_frame=0.04))
    assert "--eer_grouping 25 --eer_upsampling 2" in " ".join(
        RelionMotioncorr(eer_upsampling=2).command(eer, "4.0.1").arguments
    )
    assert "--even_odd_split" in RelionMotioncorr(halves=True).command(movie, "5.0.1").arguments
    with pytest.raises(ParameterError, match="^RELION 4.0.1 writes no sums of halves"):
        RelionMotioncorr(halves=True).command(movie, "4.0.1")


def test_an_aligned_movie(motioncorr, movie, out, project):
    micrograph = RelionMotioncorr(executable=str(motioncorr.path), first_frame=2).process(movie, out)
    out.commit()
    assert (micrograph.program, micrograph.program_version) == ("RELION", "5.0.1-commit-d476e6")
    assert micrograph.shifts.tolist() == [[0, 0], [-0.5, 1], [-1, 2.5], [-1.5, 3], [-1, 3.5]]
    assert np.array_equal(mrc.read(project / micrograph.path), noise(60, 80, seed=8))
    assert np.array_equal(mrc.read(project / micrograph.dose_weighted), noise(60, 80))
    shown = star.read(project / micrograph.metadata)["global_shift"]
    assert shown["rlnMicrographShiftX"] == [-9999, 0, -1, -2.5, -3, -3.5]  # what RELION said, again


def test_shifts_with_a_hole_are_refused():
    table = "data_global_shift\n\nloop_\n_rlnMicrographFrameNumber\n_rlnMicrographShiftX\n_rlnMicrographShiftY\n"
    assert parse(table + "3 0 0\n4 1 2\n")[1] == 3
    for rows in ("", "1 0 0\n3 1 2\n", "1 -9999 -9999\n"):
        with pytest.raises(InputError, match="its star file lacks the shifts of some frames"):
            parse(table + rows)
    with pytest.raises(InputError, match="has no shifts of the whole frame"):
        parse("data_general\n\n_rlnImageSizeX 3\n")


# picks


@pytest.fixture
def autopick(fake, tmp_path):
    found = Coordinates(np.array([[10.0, 20.0], [30.0, 40.0]]), np.array([0.5, 1.5]))
    write(tmp_path / "found.star", found)
    made = fake("relion_autopick", PICK, VERSION).play(reads=["micrographs.star", "micrograph.mrc"])
    return made.gives("out/micrograph_autopick.star", (tmp_path / "found.star").read_text())


def test_pick_flags():
    said = " ".join(RelionAutopick(diameter_min=100, diameter_max=150).command().arguments)
    assert said == (
        "--i micrographs.star --odir out/ --pickname autopick --shrink 0 --lowpass 20 --LoG --LoG_diam_min 100 "
        "--LoG_diam_max 150 --LoG_adjust_threshold 0 --LoG_upper_threshold 999"
    )
    templates = RelionAutopick(method="templates", templates="/t.mrcs", template_pixel_size=3.5, gpu="1")
    said = " ".join(templates.command().arguments)
    assert said.endswith(
        "--ref templates.mrcs --ang 5 --threshold 0.05 --min_distance 100 --max_stddev_noise 1.1 "
        "--particle_diameter 180 --angpix_ref 3.5 --invert --ctf --gpu 0"
    )
    with pytest.raises(ParameterError, match="RelionAutopick.templates is empty"):
        RelionAutopick(method="templates")
    with pytest.raises(ParameterError, match="is not below diameter_max"):
        RelionAutopick(diameter_min=200)


def test_blobs_become_picks(autopick, micrograph, ctf, out, project):
    picks = RelionAutopick(executable=str(autopick.path)).process(micrograph, ctf, out)
    out.commit()
    assert picks.count == 2 and picks.diameter == 180 and math.isnan(picks.threshold)
    assert read(project / picks.path).places.tolist() == [[30, 40], [10, 20]]


@pytest.mark.parametrize("mode", ["works", "crashes"])
def test_none_found_is_an_item_without_picks(autopick, micrograph, ctf, out, project, mode):
    """RELION 3.1 crashes then, when all is done; its file is empty."""
    (autopick.folder / "gives" / "out" / "micrograph_autopick.star").write_text("")
    autopick.play(mode=mode, says=" Total number of particles from 1 micrographs is 0")
    picks = RelionAutopick(executable=str(autopick.path)).process(micrograph, ctf, out)
    out.commit()
    assert picks.count == 0 and len(read(project / picks.path)) == 0
    autopick.play(says=" Total number of particles from 1 micrographs is 20")
    with pytest.raises(ProgramError, match="left empty|was ended by SIGABRT"):
        RelionAutopick(executable=str(autopick.path)).process(micrograph, ctf, Out(project, "steps/one", "m002"))


def test_templates_need_a_ctf(autopick, micrograph, out, tmp_path):
    mrc.write(tmp_path / "t.mrc", noise(16, 16))
    templates = RelionAutopick(executable=str(autopick.path), method="templates", templates=str(tmp_path / "t.mrc"))
    none = Ctf(micrograph=micrograph.path, reason="There are no rings.")
    with pytest.raises(InputError, match="has no defocus: There are no rings."):
        templates.process(micrograph, none, out)


@pytest.mark.parametrize(
    "mode, sentence",
    [
        ("fails", "RELION ended with error 3."),
        ("hangs", "RELION took longer than 0.6 s and was ended."),
        ("halves", "RELION wrote only a part of out/micrograph_autopick.star"),
    ],
)
def test_what_goes_wrong_is_said(autopick, micrograph, ctf, out, mode, sentence):
    autopick.play(mode=mode)
    with pytest.raises(ProgramError) as caught:
        RelionAutopick(executable=str(autopick.path), timeout=0.01).process(micrograph, ctf, out)
    assert str(caught.value).startswith(sentence)


# particles


def particles_star(stack, count, side=16, pixel=3.0, group="opticsGroup1"):
    optics = {
        "rlnOpticsGroupName": [group],
        "rlnOpticsGroup": [1],
        "rlnImagePixelSize": [pixel],
        "rlnImageSize": [side],
    }
    table = {
        "rlnCoordinateX": [float(10 * i) for i in range(1, count + 1)],
        "rlnCoordinateY": [5.0] * count,
        "rlnImageName": [f"{i:06d}@{stack}" for i in range(1, count + 1)],
        "rlnMicrographName": ["micrograph.mrc"] * count,
        "rlnOpticsGroup": [1] * count,
    }
    return {"optics": optics, "particles": table}


@pytest.fixture
def picks(project, micrograph):
    write(project / "picks.star", Coordinates(np.array([[10.0, 20.0], [30.0, 40.0], [5, 5]]), np.ones(3)))
    return Picks(path=str(project / "picks.star"), micrograph=micrograph.path, count=3, diameter=30.0, pixel_size=1.5)


@pytest.fixture
def extract(fake, tmp_path):
    made = fake("relion_preprocess", EXTRACT, VERSION)
    made.play(reads=["micrographs.star", "micrograph.mrc", "coordinates.star", "micrograph_picks.star"])
    made.gives("out/particles.star", written(tmp_path, particles_star("out/micrograph.mrcs", 3)))
    return made.gives("out/micrograph.mrcs", noise(3, 16, 16))


def test_extract_flags(micrograph, picks):
    said = " ".join(RelionExtract(scale=16).command(micrograph, picks, "5.0.1").arguments)
    assert said == (
        "--i micrographs.star --coord_list coordinates.star --part_star out/particles.star --part_dir out/ --extract "
        "--extract_size 30 --scale 16 --norm --bg_radius 5 --white_dust -1 --black_dust -1 --invert_contrast"
    )
    old = " ".join(RelionExtract(box=32).command(micrograph, picks, "3.1.4").arguments)
    assert "--coord_dir ./ --coord_suffix _picks.star" in old and "--extract_size 32 --norm --bg_radius 10 " in old
    assert "--float16" in RelionExtract(half_precision=True).command(micrograph, picks, "4.0").arguments
    with pytest.raises(ParameterError, match="RELION 3.1.4 writes no float16"):
        RelionExtract(half_precision=True).command(micrograph, picks, "3.1.4")
    with pytest.raises(ParameterError, match="is odd"):
        RelionExtract(box=33)


def test_particles_are_named_by_the_project(extract, micrograph, ctf, picks, out, project):
    particles = RelionExtract(executable=str(extract.path), scale=16).process(micrograph, ctf, picks, out)
    out.commit()
    assert (particles.count, particles.box) == (3, 16) and particles.pixel_size == pytest.approx(1.5 * 30 / 16)
    assert (particles.diameter, particles.program) == (30.0, "RELION")
    table = star.read(project / particles.metadata)["particles"]
    assert table["rlnImageName"] == [f"00000{i}@steps/one/m001_particles.mrcs" for i in (1, 2, 3)]
    assert set(table["rlnMicrographName"]) == {"m 001.mrc"}
    assert np.array_equal(mrc.read(project / particles.path), noise(3, 16, 16))
    assert (project / particles.thumbnail).exists()


def test_the_star_files_say_what_relion_needs(extract, micrograph, ctf, picks, out, monkeypatch):
    kept = {}
    call = RelionExtract.command

    def spy(self, *args):
        for file in out._hidden.glob("*/*.star"):
            kept[file.name] = star.read(file)
        return call(self, *args)

    monkeypatch.setattr(RelionExtract, "command", spy)
    RelionExtract(executable=str(extract.path), scale=16).process(micrograph, ctf, picks, out)
    row = {name: values[0] for name, values in kept["micrographs.star"]["micrographs"].items()}
    assert row["rlnDefocusU"] == 15000 and row["rlnDefocusAngle"] == 30 and row["rlnMicrographName"] == "micrograph.mrc"
    assert kept["micrographs.star"]["optics"]["rlnMicrographPixelSize"] == [1.5]
    assert kept["coordinates.star"]["coordinate_files"]["rlnMicrographCoordinates"] == ["micrograph_picks.star"]


def test_a_stack_that_is_not_whole_is_refused(extract, micrograph, ctf, picks, out):
    extract.gives("out/micrograph.mrcs", noise(2, 16, 16))
    with pytest.raises(
        ProgramError, match="particles.star names 3 pictures of 16×16 px where micrograph.mrcs has 2 of"
    ):
        RelionExtract(executable=str(extract.path), scale=16).process(micrograph, ctf, picks, out)


def test_no_picks_are_no_particles_and_no_run(extract, micrograph, ctf, picks, out):
    none = dataclasses.replace(picks, count=0)
    particles = RelionExtract(executable=str(extract.path)).process(micrograph, ctf, none, out)
    assert particles.count == 0 and particles.path == "" and extract.runs == []


# classes


def model_star(classes):
    table = {
        "rlnReferenceImage": [f"{i:06d}@run_it002_classes.mrcs" for i in range(1, classes + 1)],
        "rlnClassDistribution": [1 / classes] * classes,
        "rlnEstimatedResolution": [8.5, 999.0, 12.0, 7.0][:classes],
    }
    return {"model_general": {"rlnPixelSize": 3.0, "rlnNrClasses": classes}, "model_classes": table}


@pytest.fixture
def items(project):
    made = []
    for name, count in (("a", 3), ("b", 2), ("none", 0)):
        stack = f"steps/extract/{name}.mrcs"
        path = project / "steps" / f"{name}.star"
        if count:
            star.write(path, particles_star(stack, count))
        made.append(
            Particles(path=str(project / stack), metadata=str(path), count=count, box=16, pixel_size=3.0, diameter=30.0)
        )
    return made


def classified(fake, tmp_path, project, stacks, classes, name="relion_refine"):
    """What RELION gives back: the same particles in another order, with their classes."""
    blocks = merged(particles_star(f"{project}/steps/extract/{stack}.mrcs", n) for stack, n in stacks)
    table = {key: values[::-1] for key, values in blocks["particles"].items()} | {"rlnClassNumber": classes}
    made = fake(name, CLASSIFY, VERSION).play(reads=["particles.star", "out"])
    made.gives("out/run_it002_data.star", written(tmp_path, {**blocks, "particles": table}))
    made.gives("out/run_it002_model.star", written(tmp_path, model_star(4)))
    return made.gives("out/run_it002_classes.mrcs", noise(4, 16, 16), 3.0)


def test_class_flags(three_threads):
    said = " ".join(RelionClass2D(classes=20).command("5.0.1", 180.0).arguments)
    assert said == (
        "--i particles.star --o out/run --K 20 --iter 100 --grad --class_inactivity_threshold 0.1 --grad_write_iter 10 "
        "--tau2_fudge 2 --particle_diameter 180 --flatten_solvent --zero_mask --center_classes --ctf --oversampling 1 "
        "--psi_step 12 --offset_range 5 --offset_step 2 --norm --scale --pad 2 --pool 30 "
        "--dont_combine_weights_via_disc --j 3"
    )
    em = RelionClass2D(method="EM", gpu="0").command("3.1.4", 180.0).arguments
    assert (
        "--grad" not in em
        and "--center_classes" not in em
        and em[-2:] == ("--gpu", "0")
        and em[em.index("--iter") + 1] == "25"
    )
    with pytest.raises(ParameterError, match="RELION 3.1.4 has no gradient method: set RelionClass2D.method to 'EM'"):
        RelionClass2D().command("3.1.4", 180.0)
    with pytest.raises(ParameterError, match="write that of the mask in Å"):
        RelionClass2D().command("5.0", math.nan)


def test_particles_become_classes_and_later_ones_join(fake, tmp_path, project, items, out):
    program = classified(fake, tmp_path, project, [("a", 3), ("b", 2)], [1, 1, 4, 1, 2])
    protocol = RelionClass2D(executable=str(program.path), classes=4, iterations=2)
    classes = protocol.process(items, None, out)
    out.commit()
    assert (classes.count, classes.particles, classes.box) == (3, 5, 16)
    assert classes.largest == 0.6 and classes.resolution == 7.0 and classes.pixel_size == 3.0
    assert program.runs[0]["arguments"][program.runs[0]["arguments"].index("--particle_diameter") + 1] == "33"
    table = star.read(project / classes.metadata)["particles"]
    assert table["rlnImageName"][0] == "000002@steps/extract/b.mrcs" and table["rlnClassNumber"] == [1, 1, 4, 1, 2]
    assert mrc.read(project / classes.path).shape == (4, 16, 16) and (project / classes.thumbnail).exists()

    last = classes.located(project)
    star.write(project / "steps" / "c.star", particles_star("steps/extract/c.mrcs", 1))
    more = dataclasses.replace(items[0], metadata=str(project / "steps" / "c.star"), count=1)
    program = classified(fake, tmp_path, project, [("b", 2), ("a", 3), ("c", 1)], [1, 1, 4, 1, 2, 3], "again")
    protocol = RelionClass2D(executable=str(program.path), classes=4, iterations=2)
    assert protocol.process([more], last, Out(project, "steps/one", "m002")).particles == 6


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"iterations": 5}, "it stopped after iteration 2 of 5."),
        ({"stacks": [("a", 3), ("b", 1)]}, "it gave back 4 particles of 5."),
    ],
)
def test_an_end_too_soon_is_said(fake, tmp_path, project, items, out, change, sentence):
    stacks = change.get("stacks", [("a", 3), ("b", 2)])
    program = classified(fake, tmp_path, project, stacks, [1] * sum(n for _, n in stacks))
    with pytest.raises(ProgramError, match=sentence):
        RelionClass2D(executable=str(program.path), iterations=change.get("iterations", 2)).process(items, None, out)


def test_no_particles_at_all_is_said(items, out):
    with pytest.raises(InputError, match="None of 1 micrographs has particles"):
        RelionClass2D().process(items[2:], None, out)


def test_models(tmp_path):
    model = parse_model(written(tmp_path, model_star(4)))
    assert model.shares.tolist() == [0.25] * 4 and math.isnan(model.resolutions[1]) and model.pixel_size == 3.0
    broken = model_star(4)
    broken["model_classes"]["rlnClassDistribution"][0] = 0.9
    with pytest.raises(InputError, match="add up to 1.650"):
        parse_model(written(tmp_path, broken))


def test_optics_groups_are_told_apart_by_what_they_say():
    first, second = particles_star("a.mrcs", 2), particles_star("b.mrcs", 1)
    both = merged([first, second])
    assert both["optics"]["rlnOpticsGroup"] == [1] and both["particles"]["rlnOpticsGroup"] == [1, 1, 1]
    second["optics"]["rlnVoltage"] = [200.0]
    both = merged([first, second])
    assert both["optics"]["rlnOpticsGroup"] == [1, 2] and both["particles"]["rlnOpticsGroup"] == [1, 1, 2]
    assert both["optics"]["rlnOpticsGroupName"] == ["opticsGroup1", "opticsGroup1/2"]
    with pytest.raises(InputError, match="16 px of 3.0 Å and 32 px of 3.0 Å cannot be sorted together"):
        merged([first, particles_star("c.mrcs", 1, side=32)])
