"""The table of exposures: what it says is what the ledger has, in the units that its columns name."""

from __future__ import annotations

import csv
import math

import numpy as np
import pytest

from cryowidgets.facility import table
from cryowidgets.store.overview import Overview
from cryowidgets.store.queries import Reader
from tests.filled import FilledSession


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    session = FilledSession(tmp_path_factory.mktemp("table") / "p")
    with session.store.transaction():
        session.arrive(60)
        session.process(pictures=False)
        session.fail("=1+1 is no movie")
        session.store.reject(5, "crystalline ice")
    with Reader(session.folder) as reader:
        overview = Overview()
        overview.refresh(reader)
        yield reader, overview
    session.close()


def test_numbers_are_those_of_the_ledger_in_the_unit_of_the_name(filled):
    reader, overview = filled
    found = table.columns(reader, overview)
    assert list(found) == [field.name for field in table.fields(overview)]
    ctf = reader.rows("ctf")
    at = {id: n for n, id in enumerate(found["exposure"].tolist())}
    rows = [at[id] for id in ctf["exposure"].tolist()]
    mean = (ctf["defocus_u"] + ctf["defocus_v"]) / 2
    np.testing.assert_allclose(found["defocus_um"][rows], mean / 1e4)
    np.testing.assert_allclose(found["resolution_A"][rows], ctf["fit_resolution"])
    others = np.setdiff1d(np.arange(len(found["name"])), rows)
    assert np.isnan(found["defocus_um"][others]).all()
    assert {found["state"][n] for n in others} <= {"rejected", "failed"}


def test_reasons_and_what_is_accepted(filled):
    reader, overview = filled
    found = table.columns(reader, overview)
    row = found["exposure"].tolist().index(5)
    assert (found["state"][row], found["reason"][row], found["accepted"][row]) == ("rejected", "crystalline ice", 0)
    assert found["reason"][-1] == "=1+1 is no movie"
    gated = [n for n, why in enumerate(found["reason"]) if "is longer than 20 Å" in why]
    assert gated
    assert {found["state"][n] for n in gated} == {"rejected"}
    bounded = table.columns(reader, overview, cut={"resolution": (None, 4.0)})
    expected = (found["accepted"] == 1) & (found["resolution_A"] <= 4.0)
    np.testing.assert_array_equal(bounded["accepted"] == 1, expected)
    assert 0 < expected.sum() < (found["accepted"] == 1).sum()


def test_some_rows_are_the_same_as_in_the_whole(filled):
    reader, overview = filled
    whole = table.columns(reader, overview)
    only = overview.order("drift")[:7]
    for name, values in table.columns(reader, overview, only).items():
        np.testing.assert_array_equal(np.array(values), np.array(whole[name])[only], err_msg=name)


def test_the_file_reads_back_and_holds_no_formula(filled, tmp_path):
    reader, overview = filled
    assert table.write_csv(tmp_path / "t.csv", reader, overview) == len(overview)
    with open(tmp_path / "t.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found = table.columns(reader, overview)
    drift = [float(row["drift_A"]) if row["drift_A"] else math.nan for row in rows]
    np.testing.assert_allclose(drift, found["drift_A"], rtol=1e-6)
    assert rows[-1]["reason"] == "'=1+1 is no movie"
    assert rows[0]["acquired"].endswith("Z")
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]
