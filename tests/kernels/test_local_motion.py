"""Local motion: accuracy against known fields, honesty where there is none, and the same from any array library."""

from __future__ import annotations

import numpy as np
import pytest

from cryowidgets.kernels import flow, gain, localfield, localmotion, motion
from cryowidgets.kernels.flowtiles import Tiles
from cryowidgets.kernels.patches import Grid, Patches
from cryowidgets.kernels.xp import asnumpy
from cryowidgets.sim.recipe import Recipe, empty, hard
from tests.libraries import LIBRARIES

MOVING = {"pixel_size": 1.0, "dose_per_frame": 1.25, "local": 1.5, "defocus": (8000.0, 20000.0)}


class Prepared:
    """A simulated movie with its defects replaced, and the motion of the whole frame."""

    def __init__(self, movie) -> None:
        self.recipe, self.truth = movie.recipe, movie.movie.truth
        self.raw = movie.movie.frames.copy()
        total = self.raw.sum(axis=0, dtype=np.uint32)
        repair = gain.Repair(gain.find_defects(total, movie.movie.gain), total)
        for j, frame in enumerate(self.raw):
            repair(frame, np.random.default_rng([1, j]))
        self.gain = repair.repaired(movie.movie.gain)
        self.whole = motion.align(self.raw, self.recipe.pixel_size, self.recipe.dose_per_frame, gain=self.gain)

    def measure(self, **changes):
        recipe = self.recipe
        known = {"pixel_size": recipe.pixel_size, "dose_per_frame": recipe.dose_per_frame, "gain": self.gain}
        known |= {"blocks": [(0, self.raw)], "shape": recipe.shape, "shifts": self.whole.shifts}
        return localmotion.measure(**{**known, **changes})

    def error(self, at) -> float:
        """Root mean square along an axis over the field and the frames, the mean over time taken out; px."""
        height, width = self.recipe.shape
        y, x = np.meshgrid(np.linspace(0, height - 1, 9), np.linspace(0, width - 1, 9), indexing="ij")
        y, x = y.ravel(), x.ravel()
        truth = np.stack([self.truth.displacement(j, y, x).T for j in range(self.recipe.frames)], axis=1)
        wrong = at(y, x) - truth
        wrong -= wrong.mean(axis=1, keepdims=True)
        return float(np.sqrt(np.square(wrong).mean()))

    def error_of_whole(self) -> float:
        return self.error(lambda y, x: np.broadcast_to(self.whole.shifts, (len(y), *self.whole.shifts.shape)))


@pytest.fixture(scope="module")
def moving(corrected_movie):
    return Prepared(corrected_movie(31, **MOVING))


def test_accuracy(moving):
    """The field of a movie of 1024² px is known to 0.2 px, far better than by the whole frame alone."""
    found = moving.measure()
    assert found.ok and found.gain > 10 * localmotion.BELIEVED
    assert moving.error(found.at) < 0.2
    assert moving.error(found.at) < 0.6 * moving.error_of_whole()
    assert found.field.rms() == pytest.approx(1.5, rel=0.25)
    assert found.residual < 0.15
    assert found.tracks().shape == (25, 20, 2) and not found.tracks()[:, 0].any()
    assert np.sqrt(np.diag(found.covariance).mean()) < 0.2


def test_hard_movies_are_never_worse(corrected_movie):
    """Carbon, dirt, ripples that are no polynomial: the field must not lose against the whole frame alone."""
    changes = {f: getattr(hard(Recipe(**MOVING)), f) for f in ("carbon", "blobs", "ice_gradient", "ripples", "blur")}
    movie = Prepared(corrected_movie(604, **{**MOVING, **changes}))
    found = movie.measure()
    assert movie.error(found.at) < movie.error_of_whole()


def test_where_nothing_moves_locally_nothing_is_made_up(corrected_movie):
    movie = Prepared(corrected_movie(32, **{**MOVING, "local": 0.0}))
    found = movie.measure()
    assert movie.error(found.at) < movie.error_of_whole() + 0.03
    assert not found.ok or found.field.rms() < 0.3


def test_an_empty_field_has_no_local_motion(corrected_movie):
    recipe = empty(Recipe(**MOVING))
    movie = Prepared(corrected_movie(33, **{**MOVING, "density": recipe.density, "ice": recipe.ice}))
    assert not movie.whole.ok
    found = movie.measure(shifts=np.zeros((20, 2)))
    assert not found.ok and "held back" in found.why
    assert not found.at(np.array([5.0]), np.array([9.0])).any()


def test_optical_flow_finds_the_field_too(moving):
    """As another method with the same answer: far better than the whole frame alone."""
    known = {"blocks": [(0, moving.raw[:7]), (7, moving.raw[7:])], "gain": moving.gain, "shape": moving.recipe.shape}
    found = flow.measure(**known, shifts=moving.whole.shifts, pixel_size=1.0, dose_per_frame=1.25)
    assert found.ok and moving.error(found.at) < 0.6 * moving.error_of_whole()
    y, x = np.array([100.0, 700.0]), np.array([300.0, 900.0])
    np.testing.assert_allclose(found.field.grid(y, x)[:, [0, 1], [0, 1]].transpose(1, 0, 2), found.field.at(y, x))
    assert found.tiles().shape == (20, 32, 32, 2) and found.field.rms() == pytest.approx(1.5, rel=0.3)
    np.testing.assert_allclose(found.field.displacement.mean(axis=(1, 2)), 0, atol=1e-9)
    away = found.shifts - moving.truth.shifts
    assert np.sqrt(np.square(away - away.mean(axis=0)).mean()) < 0.15
    assert np.sqrt(np.diag(found.covariance).mean()) < 0.2


def test_flow_is_not_made_up(moving):
    """Frames of nothing but noise do not flow, and the shifts stay as they were given."""
    noise = np.random.default_rng(4).poisson(1.0, (8, 256, 320)).astype(np.uint8)
    shifts = np.linspace(0, 3, 16).reshape(8, 2)
    found = flow.measure([(0, noise)], None, (256, 320), shifts, 1.0)
    assert not found.ok and "held back" in found.why
    np.testing.assert_allclose(found.shifts, shifts - shifts[0])


def test_neighbourhoods_follow_what_tiles_say():
    """A plane is found exactly; a bend where tiles are certain; and nothing where they say nothing."""
    places = [np.linspace(-0.5, 0.5, 12), np.linspace(-1, 1, 24)]
    y, x = np.meshgrid(*places, indexing="ij")
    plane = np.stack([1 + 2 * y - x, 0.5 * x + 0 * y], axis=-1)
    sure = np.full(y.shape, 1e4)
    found, likelier = flow.neighbourhoods(plane * 1e4, sure, places, 100.0)
    np.testing.assert_allclose(found, plane, atol=1e-4)
    assert likelier == pytest.approx(0.5e4 * np.square(plane).sum(), rel=1e-3)
    bend = np.stack([x * x, np.cos(4 * x) * y], axis=-1)
    found, _ = flow.neighbourhoods(bend * 1e4, sure, places, 10.0)
    assert np.sqrt(np.square(found - bend).mean()) < 0.03
    found, likelier = flow.neighbourhoods(np.zeros_like(bend), np.zeros(y.shape), places, 10.0)
    assert not found.any() and likelier == 0


def test_tiles_say_where_they_lie(moving):
    """From where frames truly lie, half a pixel off is told as half a pixel, and its error is as large as is told."""
    recipe, truth = moving.recipe, moving.truth
    exposure = recipe.dose_per_frame, 0.0, 300.0
    tiles = Tiles([(0, moving.raw)], moving.gain, recipe.shape, moving.whole.shifts, 1, 1.0, exposure)
    y, x = np.meshgrid(*tiles.centres, indexing="ij")
    true = np.stack([np.moveaxis(truth.displacement(j, y, x), 0, -1) for j in range(recipe.frames)])
    true -= moving.whole.shifts[:, None, None]
    true -= true.mean(axis=0)
    off = np.zeros_like(true)
    off[..., 0] = np.linspace(-0.25, 0.25, recipe.frames)[:, None, None]
    tiles.compare(true, 14.0)
    at = tiles.compare(true, 8.0)
    variance = np.diag(at.pairs)[:, None, None, None] * at.strength[..., None]
    assert np.mean(at.gradient**2 / variance) == pytest.approx(1.2, abs=0.3)
    back = tiles.compare(true + off, 8.0).gradient - at.gradient
    expected = -np.einsum("ij,jyxc,yx->iyxc", at.pairs, off, at.strength)
    assert np.vdot(back, expected) / np.vdot(expected, expected) == pytest.approx(1, abs=0.2)


def test_frames_of_little_exposure_are_taken_together(moving):
    """A frame split in two by chance holds what it held: nearly the same field, and shifts for all frames."""
    rng = np.random.default_rng(5)
    half = rng.binomial(moving.raw.astype(np.uint8), 0.5).astype(np.uint8)
    split = np.stack([half, moving.raw - half], axis=1).reshape(-1, *moving.raw.shape[1:])
    shifts = np.repeat(moving.whole.shifts, 2, axis=0)
    dose = moving.recipe.dose_per_frame / 2
    assert localmotion.grouped(40, dose) == 3 and localmotion.grouped(20, 2 * dose) == 1
    found = moving.measure(blocks=[(0, split[:21]), (21, split[21:])], shifts=shifts, dose_per_frame=dose)
    assert found.ok and found.shifts.shape == (40, 2) and found.field.frames == 40
    assert moving.error(lambda y, x: found.at(y, x).reshape(len(y), 20, 2, 2).mean(axis=2)) < 0.2


def test_pieces_of_a_group_are_the_sum_of_those_of_its_frames(moving):
    grid = Grid.over((320, 384), 1.0, 5.0, (2, 2))
    raw = np.ascontiguousarray(moving.raw[:5, :320, :384])
    shifts, fading = np.zeros((5, 2)), lambda k: np.linspace(1, 0.5, 5)[:, None] * np.ones((5, len(k)))
    group = np.array([0, 0, 0, 1, 1])
    found = Patches(grid, [(0, raw[:3]), (3, raw[3:])], None, shifts, 5.0, 1.0, fading, group)
    sums = np.stack([raw[:3].sum(axis=0), raw[3:].sum(axis=0)]).astype(np.float32)
    single = Patches(grid, [(0, sums)], None, shifts[:2], 5.0, 1.0, lambda k: np.ones((2, len(k))))
    for g, (frames, a) in enumerate([(3, 1 + 0.875 + 0.75), (2, 0.625 + 0.5)]):
        np.testing.assert_allclose(found.fading[g], a / np.sqrt(frames))
        np.testing.assert_allclose(found.re[2][g], single.re[2][g] * a / frames, rtol=1e-3, atol=1e-2)


@LIBRARIES
@pytest.mark.parametrize("group", [None, np.array([0, 0, 0, 1])], ids=["single", "together"])
def test_other_libraries_give_the_same(moving, library, group):
    """Pieces, their sums and the slopes of the likelihood: numba and the array standard, to 1e-5."""
    raw, factor = moving.raw[:4, :320, :384], moving.gain[:320, :384]
    shifts = moving.whole.shifts[:4]
    grid = Grid.over(raw.shape[1:], 1.0, 5.0, (2, 2))
    pieces = []
    for place in (np.ascontiguousarray, library):
        blocks = [(0, place(raw[:3].copy())), (3, place(raw[3:].copy()))]
        fading = lambda k: np.linspace(1, 0.5, 4)[:, None] * np.ones((4, len(k)))  # noqa: E731
        found = Patches(grid, blocks, place(factor.copy()), shifts, 5.0, 1.0, fading, group)
        found.move(found.mean(shifts)[None] + np.linspace(0, 0.3, 4)[:, None, None])
        pieces.append((found.power, *found.slopes(np.ones((4, len(found.radius)))), asnumpy(found.total[1][0])))
    for host, device in zip(*pieces, strict=True):
        np.testing.assert_allclose(device, host, rtol=1e-5, atol=1e-5 * np.abs(host).max())


def test_slopes_are_the_derivative_of_the_likelihood(moving):
    grid = Grid.over((512, 512), 1.0, 6.0, (2, 2))
    blocks = [(0, np.ascontiguousarray(moving.raw[:5, :512, :512]))]
    pieces = Patches(grid, blocks, None, np.zeros((5, 2)), 6.0, 1.0, lambda k: np.ones((5, len(k))))
    weight = np.ones((4, len(pieces.radius)))
    at = np.random.default_rng(0).uniform(-1, 1, (4, 5, 2))
    pieces.move(at)
    slope, _ = pieces.slopes(weight)
    for axis in (0, 1):
        likelihood = []
        for step in (-0.01, 0.01):
            moved = at.copy()
            moved[2, 3, axis] += step
            pieces.move(moved)
            likelihood.append(pieces.slopes(weight)[1][2])
        assert (likelihood[1] - likelihood[0]) / 0.02 == pytest.approx(slope[2, 3, axis], rel=2e-3)


def test_the_polynomial_is_that_of_relion():
    """A field of its form is stored without loss, and evaluated by RELION's formula gives the displacement."""
    shape, frames = (400, 600), 12
    v, u = np.meshgrid(np.linspace(-0.5, 0.5, 11), np.linspace(-0.5, 0.5, 11), indexing="ij")

    class Quadratic(localfield.Field):
        def grid(self, y, x):
            v, u = np.meshgrid(y / (shape[0] - 1) - 0.5, x / (shape[1] - 1) - 0.5, indexing="ij")
            z = np.arange(frames)[:, None, None]
            return np.stack([2 * z * u * v - 0.1 * z**2 * v**2, 0.3 * z * u + 0.01 * z**3 * u**2], axis=-1)

    field = Quadratic(shape, np.zeros((frames, 1)), np.zeros((0, 1, 2)))
    (along_x, along_y), residual = localfield.polynomial(field)
    assert residual == pytest.approx(0, abs=1e-9)

    def relion(c, z, x, y):
        time = np.array([z, z**2, z**3])
        return sum(term * (c[3 * i : 3 * i + 3] @ time) for i, term in enumerate((1, x, x * x, y, y * y, x * y)))

    assert relion(along_x, 5, 0.2, -0.3) == pytest.approx(0.3 * 5 * 0.2 + 0.01 * 125 * 0.04)
    assert relion(along_y, 5, 0.2, -0.3) == pytest.approx(2 * 5 * 0.2 * -0.3 - 0.1 * 25 * 0.09)


@pytest.mark.parametrize("shape", [(1024, 1024), (4092, 5760), (512, 2048)])
def test_pieces_cover_the_frame(shape):
    grid = Grid.over(shape, 0.85, 5.0)
    covered = np.zeros(shape, bool)
    for y, x in grid.corners(np.zeros((1, 2)))[:, 0]:
        covered[y : y + grid.side, x : x + grid.side] = True
    assert covered.mean() > 0.97 and grid.side % grid.block == 0
