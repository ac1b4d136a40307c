"""Files through the kernel in a real browser: what is saved is the file, whole, or nothing."""

from __future__ import annotations

import pytest

from cryowidgets.widgets import download

pytestmark = pytest.mark.browser


def test_a_click_saves_the_file_and_one_written_anew_meanwhile_is_said(stage, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "PIECE", 100)
    content = bytes(range(256))
    (tmp_path / "a.csv").write_bytes(content)
    files = download.Downloads(tmp_path, {"a.csv": "Table <b>", "b.csv": "Another"}, "Nothing yet.")
    shown = stage()
    shown.draw(files)
    shown.settle("document.getElementById('view').textContent === 'Nothing yet.'")
    files.refresh()
    shown.settle("document.querySelectorAll('#view button').length === 1")
    assert shown.page.locator(".cw-download").inner_text().startswith("Table <b>")
    saved = []
    shown.page.on("download", lambda file: saved.append(file))
    shown.page.get_by_role("button", name="Download Table <b>").press("Enter")
    shown.settle("document.querySelector('#view button').disabled === true")
    shown.settle("document.querySelector('#view button').disabled === false")
    assert saved and saved[0].suggested_filename == "a.csv"
    saved[0].save_as(tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == content
    (tmp_path / "a.csv").write_bytes(content * 2)  # the page has not heard of it yet
    shown.page.get_by_role("button").click()
    shown.settle("document.querySelector('#view').textContent.includes('written anew meanwhile')")
    assert len(saved) == 1 and not shown.errors
