"""The tab Map: what a browser gets of a map, what is said of it, and from where particles were seen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryowidgets.errors import InputError
from cryowidgets.io import mrc
from cryowidgets.model import ResolutionMap, Volume
from cryowidgets.store.queries import Reader
from cryowidgets.store.store import Store
from cryowidgets.widgets import maps_view, orientation_map, ramp
from cryowidgets.widgets.maps_view import MapsView, agreement
from cryowidgets.widgets.page import Page
from cryowidgets.widgets.solid import SIDE, coat, shrunk, solid
from tests.mapped_session import PIXEL, add_map, seen


@pytest.fixture
def store(tmp_path):
    store = Store.create(tmp_path / "s", "grid 5")
    yield store
    store.close()


def shown(store):
    """A view that somebody looks at, refreshed once."""
    view = MapsView(Page(store.folder))
    view.map._receive({"type": "need"})
    refresh(store, view)
    return view


def refresh(store, view):
    with Reader(store.folder) as reader:
        view.page.refresh(reader)
        view.refresh(reader)


def test_a_map_goes_to_the_page_in_whole_numbers_and_back(store, wire):
    volume = add_map(store, store.folder, measured=False)
    view = shown(store)
    message, (values,) = wire.said(view.map, "map")[-1]
    sent = np.frombuffer(values, "<u2").reshape((message["n"],) * 3)
    step = (message["high"] - message["low"]) / 65535
    whole = mrc.read(store.folder / volume.path)
    np.testing.assert_allclose(message["low"] + sent * step, np.maximum(whole, message["low"]), atol=0.51 * step)
    assert message["level"] == pytest.approx(volume.level) and message["pixel"] == pytest.approx(PIXEL)
    before = len(wire.said(view.map, "map"))
    refresh(store, view)
    assert len(wire.said(view.map, "map")) == before, "the same again is not sent again"
    assert str(store.folder) not in str(message)


def test_local_resolution_of_the_same_map_colours_it(store, wire):
    add_map(store, store.folder)
    view = shown(store)
    message, (_, values) = wire.said(view.map, "map")[-1]
    (told,) = message["coats"]
    assert told["name"] == "local resolution" and told["unit"] == "Å"
    assert told["stops"][0] == ramp.STOPS[-1], "what is fine is bright"
    local = mrc.read(store.folder / "steps/volume/map_001_local.mrc")
    sent = np.frombuffer(values, np.uint8).reshape(local.shape)
    assert np.array_equal(sent == 0, local == 0)
    back = told["low"] + (sent[local > 0] - 1.0) / 254 * (told["high"] - told["low"])
    assert np.median(np.abs(back - local[local > 0])) < 0.02
    add_map(store, store.folder, measured=False)
    refresh(store, view)
    assert wire.said(view.map, "map")[-1][0]["coats"] == [], "it was measured of another map"


def test_a_resolution_map_alone_shows_the_map_that_was_measured(store, wire):
    add_map(store, store.folder)
    view = shown(store)
    view.which.choose("local")
    add_map(store, store.folder, measured=False)
    refresh(store, view)
    assert len(wire.said(view.map, "map")[-1][0]["coats"]) == 1
    assert "local resolution" in view._words.value and "<rect" in view._resolution.value
    assert "cannot be told from noise" in view._resolution.value and "Pixels of" not in view._resolution.value


def test_what_is_as_fine_as_pixels_is_said_to_be(store):
    add_map(store, store.folder)
    path = str(store.folder / "steps/volume/map_001_histogram.npy")
    said = maps_view._local(ResolutionMap(histogram=path, pixel_size=7.0, finest=14.0)).replace(
        "\N{NO-BREAK SPACE}", " "
    )
    assert "Pixels of 7.0 Å hold nothing finer than 14.0 Å" in said


def test_doubt_is_said_first(store):
    add_map(store, store.folder, measured=False, reason="starts came to <different> maps", agreeing=1, agreement=np.nan)
    words = shown(store)._words.value
    assert "▲ starts came to &lt;different&gt; maps" in words and "role='alert'" in words
    assert "None of 6 random starts came to the same map as another" in words
    assert "hand is arbitrary" in words


@pytest.mark.parametrize(
    ("starts", "agreeing", "wanted"),
    [
        (6, 6, "All 6 random starts came to the same map, alike to 18 Å."),
        (6, 5, "5 of 6 random starts came to the same map, alike to 18 Å."),
        (6, 2, "2 of 6 random starts came to the same map, alike to 18 Å. The others found something else"),
        (0, 0, "has not been tried"),
    ],
)
def test_agreement_in_words(starts, agreeing, wanted):
    assert wanted in agreement(Volume(starts=starts, agreeing=agreeing, agreement=18.4))


def test_maps_that_were_merged_are_no_starts(store, wire):
    steps = {"first": "one", "second": "two", "third": "other"}
    merged = Volume(starts=5, agreeing=4, agreement=18.4, left_out="third")
    assert agreement(merged, steps).startswith("4 of 5 maps agree, to 18 Å. That of other is left out: on them it")
    merged = Volume(starts=5, agreeing=3, left_out="second, third")
    assert agreement(merged, steps).startswith("3 of 5 maps agree. Those of two and other are left out")
    assert agreement(Volume(starts=3, agreeing=3), steps) == "All 3 maps agree."
    untold = Volume(starts=4, agreeing=4, agreement=51, reason="no better than by chance")
    assert agreement(untold, steps) == "The average is of 4 maps.", "that they agree would be said against the reason"
    store.add_step("volume", "VolumeConsensus", Volume, {}, {}, fold=True)
    name = "steps/volume/map_001.mrc"
    add_map(store, store.folder, deviation=name)
    view = shown(store)
    assert "5 of 6 maps agree" in view._words.value
    assert [coat["name"] for coat in wire.said(view.map, "map")[-1][0]["coats"]][1] == "where maps differ"
    view.which.choose("local")
    refresh(store, view)
    assert "5 of 6 maps agree" in view._words.value


def test_without_any_map_it_says_so(store, wire):
    store.ensure_table(Volume)
    store.add_step("volume", "InitialVolume", Volume, {}, {}, fold=True)
    view = shown(store)
    assert "no map yet" in view._words.value and wire.said(view.map, "none")
    add_map(store, store.folder, measured=False, path="", reason="too few classes")
    refresh(store, view)
    assert "too few classes" in view._words.value and not wire.said(view.map, "map")


def test_what_is_gone_or_broken_is_said_without_a_path(store):
    add_map(store, store.folder)
    for name in ("map_001.mrc", "map_001_orientations.npz", "map_001_histogram.npy"):
        (store.folder / "steps/volume" / name).write_bytes(b"no map")
    view = shown(store)
    for part in (view._word, view._directions, view._resolution):
        assert "cannot be read" in part.value and str(store.folder) not in part.value


def test_a_large_map_becomes_small_without_making_detail_up():
    n = 120
    x = np.arange(n) / n
    wave = np.cos(2 * np.pi * 5 * x)[None, None] * np.cos(2 * np.pi * 3 * x)[:, None, None] + 0 * x[None, :, None]
    small = shrunk(wave.astype(np.float32), SIDE)
    y = np.arange(SIDE) / SIDE
    wanted = np.cos(2 * np.pi * 5 * y)[None, None] * np.cos(2 * np.pi * 3 * y)[:, None, None] + 0 * y[None, :, None]
    np.testing.assert_allclose(small, wanted, atol=1e-5)
    assert shrunk(np.ones((400,) * 3, np.float32)[:200, :200, :200], 48).shape == (48, 48, 48)


def test_the_scale_survives_the_shrinking(tmp_path):
    whole = np.zeros((144,) * 3, np.float32)
    whole[60:84, 60:84, 60:84] = 1
    mrc.write(tmp_path / "m.mrc", whole, 1.5)
    made = solid("k", tmp_path / "m.mrc", np.nan)
    assert made.values.shape == (SIDE,) * 3 and made.pixel_size == pytest.approx(1.5 * 144 / SIDE)
    enclosed = (made.values > 32767 / (made.high - made.low)).sum() * made.pixel_size**3
    assert enclosed == pytest.approx(24**3 * 1.5**3, rel=0.15)


@pytest.mark.parametrize("shape", [(4, 4, 4), (8, 8, 16), (64, 64)])
def test_what_is_no_cube_is_refused(tmp_path, shape):
    mrc.write(tmp_path / "m.mrc", np.zeros(shape, np.float32))
    with pytest.raises(InputError, match="a cube of 8 to 512"):
        solid("k", tmp_path / "m.mrc", 1.0)


def test_a_coat_of_nothing_is_refused(tmp_path):
    mrc.write(tmp_path / "m.mrc", np.zeros((16, 16, 16), np.float32))
    with pytest.raises(InputError, match="no numbers above 0"):
        coat(tmp_path / "m.mrc", "local resolution", "Å")


def test_where_starts_differ_is_told_of_the_particle_and_not_of_the_solvent(store, wire):
    name = "steps/volume/deviation.mrc"
    add_map(store, store.folder, deviation=name)
    whole = mrc.read(store.folder / "steps/volume/map_001.mrc")
    spread = np.where(whole > 0.3 * whole.max(), 0.2, 0.1).astype(np.float32)
    spread[:4] = 50.0  # an edge of the box, far from anything
    mrc.write(store.folder / name, spread, PIXEL)
    message, buffers = wire.said(shown(store).map, "map")[-1]
    assert [coat["name"] for coat in message["coats"]] == ["local resolution", "where starts differ"]
    assert (message["coats"][1]["low"], message["coats"][1]["high"]) == pytest.approx((0.1, 0.2))
    assert not np.frombuffer(buffers[2], np.uint8).reshape(whole.shape)[:4].any()


def test_an_even_map_is_no_error(tmp_path):
    mrc.write(tmp_path / "m.mrc", np.full((16, 16, 16), 3.0, np.float32))
    made = solid("k", tmp_path / "m.mrc", np.nan)
    assert made.high > made.low and np.isfinite(made.level)


def test_the_map_of_the_sphere_keeps_areas():
    random = np.random.default_rng(5)
    z = random.uniform(-1, 1, 40000)
    x, y = orientation_map.mollweide(random.uniform(-180, 180, z.size), np.degrees(np.arccos(z)))
    assert np.all((x / 2) ** 2 + y**2 <= 1 + 1e-6)
    counts = np.histogram2d(x, y, bins=6, range=[[-1.2, 1.2], [-0.6, 0.6]])[0]
    assert counts.std() / counts.mean() < 0.06
    found = orientation_map.mollweide(np.array([0.0, 180, 0, 0]), np.array([90.0, 90, 0, 180]))
    np.testing.assert_allclose(found, [[0, -2, 0, 0], [0, 0, 1, -1]], atol=2e-3)


def test_directions_never_seen_are_rings_and_counted():
    found = orientation_map.Directions(*seen()["directions"].T, seen()["counts"])
    never = int((found.counts == 0).sum())
    assert 0 < never < 400
    assert orientation_map.drawn(found).count("cw-mp-never") == never
    assert f"seen from {400 - never} of 400 directions" in orientation_map.said(found, 0.7)


@settings(max_examples=40)
@given(st.floats(0, 1))
def test_evenness_is_put_into_words(evenness):
    found = orientation_map.Directions(np.zeros(3), np.zeros(3), np.ones(3))
    said = orientation_map.said(found, evenness)
    assert ("evenly" in said) == (evenness >= 0.8) and ("would help" in said) == (evenness < 0.5)


@pytest.mark.parametrize(
    "arrays",
    [
        {"directions": np.zeros((3, 3)), "counts": np.zeros(3)},
        {"directions": np.zeros((3, 2)), "counts": np.zeros(2)},
        {"directions": np.full((3, 2), np.nan), "counts": np.zeros(3)},
        {"counts": np.zeros(3)},
    ],
)
def test_other_directions_are_refused(tmp_path, arrays):
    np.savez(tmp_path / "o.npz", **arrays)
    with pytest.raises(InputError):
        orientation_map.read(tmp_path / "o.npz")


def test_the_ramp_grows_brighter_all_along():
    def brightness(colour):
        return sum(w * int(colour[i : i + 2], 16) for w, i in ((0.21, 1), (0.72, 3), (0.07, 5)))

    steps = [brightness(ramp.colour(place)) for place in np.linspace(0, 1, 50)]
    assert np.all(np.diff(steps) > 0)
    assert ramp.colour(0) == ramp.STOPS[0] and ramp.colour(1) == ramp.STOPS[-1]
