"""All exposures by columns: the same as the tables say, however often and after whatever it was refreshed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryowidgets.errors import ParameterError
from cryowidgets.model import Ctf, Micrograph, Movie
from cryowidgets.protocols.within_thresholds import WithinThresholds, values
from cryowidgets.store import changes, thresholds
from cryowidgets.store.metrics import METRICS
from cryowidgets.store.overview import STATES, Overview
from cryowidgets.store.queries import Reader
from tests.filled import FilledSession


@pytest.fixture
def session(tmp_path):
    made = FilledSession(tmp_path / "s")
    yield made
    made.close()


def same(overview: Overview, reader: Reader) -> None:
    """What is held equals what the ledger says to who asks it for everything."""
    table = reader.exposures()
    assert overview.id.tolist() == table["id"].tolist()
    assert overview.names == table["name"]
    assert [STATES[code] for code in overview.state] == table["state"]
    anew = Overview()
    anew.refresh(reader)
    assert overview.metrics == anew.metrics
    for key, column in overview.values.items():
        np.testing.assert_array_equal(column, anew.values[key], err_msg=key)
    np.testing.assert_array_equal(overview.flag, anew.flag)
    assert overview.notes == anew.notes
    for by in ("square", "hole", "optics"):
        np.testing.assert_array_equal(overview.groups(by)[0], anew.groups(by)[0])


def test_it_keeps_up_with_whatever_happens(session):
    store = session.store
    overview = Overview()
    with Reader(session.folder) as reader:
        overview.refresh(reader)
        assert len(overview) == 0 and overview.count({}).accepted == 0
        session.arrive(30)
        change = overview.refresh(reader)
        assert not change.fresh or len(overview) == 30
        same(overview, reader)
        session.process(pictures=False)
        overview.refresh(reader)
        same(overview, reader)
        assert set(overview.state) >= {STATES.index("done"), STATES.index("rejected")}

        session.arrive(2)
        store.reject([3, 4], "carbon")
        store.flag([5], True)
        store.note(6, "look again")
        change = overview.refresh(reader)
        assert not change.fresh and {2, 3, 4, 5, 30, 31} <= set(change.rows) and len(change.rows) < 12
        same(overview, reader)
        assert overview.flag[4] and overview.notes == {5: "look again"}
        store.reject([3], None)
        store.flag([5], False)
        store.note(6, "")
        overview.refresh(reader)
        same(overview, reader)
        assert not overview.flag.any() and not overview.notes

        failed = session.fail("no space left")
        overview.refresh(reader)
        same(overview, reader)
        assert STATES[overview.state[overview.row(failed)]] == "failed"
        assert store.retry() == 3  # those that had come before it failed with it
        overview.refresh(reader)
        same(overview, reader)
        task = next(t for t in session._claim("align", Movie, "movie") if t.exposure == failed)
        overview.refresh(reader)
        assert STATES[overview.state[overview.row(failed)]] == "running"
        session.store.finish(task, "done", session._micrograph(failed, False))
        overview.refresh(reader)
        same(overview, reader)

        changes.restart(store, "ctf")  # all is to be made again
        assert overview.refresh(reader).fresh
        same(overview, reader)
        session.process(pictures=False)
        overview.refresh(reader)
        same(overview, reader)
        changes.reset(store, "ctf")
        overview.refresh(reader)
        same(overview, reader)
        assert np.isnan(overview.values["defocus"]).all()


def test_another_reader_is_a_project_that_may_be_another(session):
    session.arrive(3)
    overview = Overview()
    for _ in range(2):
        with Reader(session.folder) as reader:
            assert overview.refresh(reader).fresh
            assert len(overview) == 3


def test_values_are_those_of_the_items(session):
    session.arrive(9)
    session.process(pictures=False)
    overview = Overview()
    with Reader(session.folder) as reader:
        overview.refresh(reader)
        assert overview.steps == {
            "Movie": "movies", "Micrograph": "align", "Ctf": "ctf", "Quality": "quality"
        }  # fmt: skip
        for id in overview.id.tolist():
            items = reader.exposure(id).items
            if "ctf" not in items:
                continue
            for key, value in values(items["align"], items["ctf"]).items():
                np.testing.assert_equal(overview.values[key][overview.row(id)], value, err_msg=key)
            time = reader.rows("quality", exposures=[id])["time"][0]
            assert overview.values["latency"][overview.row(id)] == pytest.approx(time - items["movies"].closed)
    with pytest.raises(ParameterError, match="no exposure 99"):
        overview.row(99)


def test_gate_and_page_know_the_same_numbers():
    shared = {key for key, metric in METRICS.items() if metric.kind in ("Micrograph", "Ctf") and key != "angle"}
    assert {name.rsplit("_", 1)[0] for name in WithinThresholds.parameters()} == shared
    for metric in METRICS.values():
        if metric.better == "low" and metric.key in shared:
            assert f"{metric.key}_max" in WithinThresholds.parameters()
    found, unknown = WithinThresholds.limits({"drift": (0.0, 20.0), "resolution": (3.0, None), "quality": (0.5, None)})
    assert {k: v for k, v in found.items() if v} == {"drift_max": 20.0}
    assert unknown == ["resolution", "quality"]


def test_gate_rejects_what_is_outside_or_unknown():
    micrograph = Micrograph(path="m.mrc", pixel_size=1.0, height=8, width=8, motion_total=30.0)
    ctf = Ctf(micrograph="m.mrc", defocus_u=12000.0, defocus_v=11000.0, astigmatism=1000.0)
    assert WithinThresholds(drift_max=30).process(micrograph, ctf, None) is micrograph
    assert WithinThresholds(defocus_min=11500, defocus_max=11500).process(micrograph, ctf, None) is micrograph
    said = WithinThresholds(drift_max=20, resolution_max=4).process(micrograph, ctf, None)
    assert said.why == "Outside the thresholds: drift is 30, at most 20; resolution is not known, at most 4."
    assert [(r.rule, r.limit) for r in said.reasons] == [("drift", 20.0), ("resolution", 4.0)]
    with pytest.raises(ParameterError, match="nothing could pass"):
        WithinThresholds(defocus_min=3e4, defocus_max=1e4)


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    session = FilledSession(tmp_path_factory.mktemp("held") / "s")
    session.arrive(80)
    session.process(pictures=False)
    session.arrive(5)
    session.store.reject([7, 8], "by hand")
    overview = Overview()
    with Reader(session.folder) as reader:
        overview.refresh(reader)
        yield overview, reader
    session.close()


bounds = st.tuples(st.none() | st.floats(0, 40), st.none() | st.floats(0, 40)).filter(
    lambda b: None in b or b[0] <= b[1]
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(["drift", "early", "late", "resolution", "quality"]), bounds))
def test_counts_equal_a_recount(held, cut):
    overview, _ = held
    tally = dict.fromkeys(("accepted", "outside", "unknown", "rejected"), 0)
    for row in range(len(overview)):
        state = STATES[overview.state[row]]
        numbers = [
            (overview.values[k][row], low, high) for k, (low, high) in cut.items() if (low, high) != (None, None)
        ]
        out = any((low is not None and v < low) or (high is not None and v > high) for v, low, high in numbers)
        known = all(v == v for v, _, _ in numbers) if numbers else True
        if state == "rejected":
            tally["rejected"] += 1
        elif out:
            tally["outside"] += 1
        else:
            tally["accepted" if state == "done" and known else "unknown"] += 1
    checked = thresholds.cut(cut)
    assert vars(overview.count(checked)) == tally
    assert overview.accepted(checked).sum() == tally["accepted"]


def test_bins_keep_gaps_and_lose_nothing(held):
    overview, _ = held
    bins = overview.bins("drift", 200)
    known = np.isfinite(overview.values["drift"])
    assert bins.n.sum() == known.sum()
    assert (bins.n == 0).any() and np.isnan(bins.mean[bins.n == 0]).all()
    assert np.nanmin(bins.low) == overview.values["drift"][known].min()
    assert np.nanmax(bins.high) == overview.values["drift"][known].max()
    np.testing.assert_allclose(np.nansum(bins.mean * bins.n), overview.values["drift"][known].sum())
    part = overview.bins("drift", 10, overview.acquired[20], overview.acquired[40])
    inside = known & (overview.acquired >= overview.acquired[20]) & (overview.acquired <= overview.acquired[40])
    assert part.n.sum() == inside.sum()
    edges, counts = overview.histogram("drift")
    assert counts.sum() == known.sum() and (np.diff(edges) > 0).all()


def test_order_puts_the_unknown_last(held):
    overview, _ = held
    for descending in (True, False):
        rows = overview.order("resolution", descending)
        found = overview.values["resolution"][rows]
        known = found[np.isfinite(found)]
        assert sorted(rows.tolist()) == list(range(len(overview)))
        assert np.isnan(found[len(known) :]).all()
        assert (np.diff(known) <= 0).all() if descending else (np.diff(known) >= 0).all()
    assert [overview.names[r] for r in overview.order("name", False)] == sorted(overview.names)
    assert overview.order("acquired")[0] == len(overview) - 1
    some = overview.accepted({"drift": (None, 10.0)})
    assert set(overview.order("drift", where=some)) == set(np.flatnonzero(some))


def test_groups_are_by_name_and_place(tmp_path):
    from cryowidgets.store.admission import admit
    from tests.filled import OPTICS

    session = FilledSession(tmp_path / "s")
    movies = []
    for n, (square, hole) in enumerate([(1, 10), (1, 11), (2, 12)]):
        name, path = f"FoilHole_{hole}_Data_{n}", f"/data/Images-Disc1/GridSquare_{square}/Data/{hole}_{n}.tiff"
        movies.append((path, 100.0 + n, Movie(name=name, path=path, optics=OPTICS, found=1.0, closed=1.0)))
    movies.append(("/other.mrc", 104.0, Movie(name="other", path="/other.mrc", optics=OPTICS, found=1.0, closed=1.0)))
    admit(session.store, "movies", movies)
    overview = Overview()
    with Reader(session.folder) as reader:
        overview.refresh(reader)
    assert overview.groupings == ("square", "hole")
    codes, labels = overview.groups("square")
    assert [labels[c] if c >= 0 else "" for c in codes] == ["1", "1", "2", ""]
    session.close()


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"drifft": [0, 1]}, "drifft"),
        ({"drift": [2, 1]}, "above the largest"),
        ({"drift": 3}, "least and the largest"),
        ({"drift": ["1", None]}, "not a number"),
        (["drift"], "written as"),
    ],
)
def test_wrong_thresholds_are_refused(values, word):
    with pytest.raises(ParameterError, match=word):
        thresholds.cut(values)


def test_thresholds_in_words():
    cut = thresholds.cut(
        {"resolution": [None, 4.0], "defocus": [5000, 30000], "quality": [0.5, None], "ice": [None, None]}
    )
    assert thresholds.say(cut) == "0.50 µm ≤ defocus ≤ 3.00 µm, fit resolution ≤ 4.0 Å, quality ≥ 0.50"
    assert thresholds.loads(thresholds.dumps(cut)) == cut
    assert thresholds.say({}) == "no thresholds"


def test_the_head_of_the_page_counts_as_the_overview_does(session):
    session.arrive(30)
    session.process(pictures=False)
    session.arrive(3)
    with Reader(session.folder) as reader:
        found = reader.exposures()
        gated = int(found["id"][found["state"].index("rejected")])
        session.store.reject([2, gated, 32], "by hand")
        head, overview = reader.session(), Overview()
        overview.refresh(reader)
        counts = overview.count({})
        assert (head.done, head.rejected) == (counts.accepted, counts.rejected)
        assert (head.found, head.waiting) == (33, counts.unknown) == (33, 2)
