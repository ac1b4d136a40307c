"""A viewer is small: what its kernel imports, and what a server that only adds a route imports."""

import json
import subprocess
import sys

import pytest

from cryowidgets.widgets import drawings

VIEWER = """
import json, sys
from cryowidgets.store.queries import Reader
from cryowidgets.widgets import session
page = session({folder!r})
with Reader({folder!r}) as reader:
    page.refresh(reader)
print(json.dumps(sorted(sys.modules)))
"""


def modules(code, **environment):
    import os

    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    return {name.split(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


def test_a_viewer_imports_no_heavy_library(filled, tmp_path):
    filled.arrive(3)
    filled.process()
    drawings.write(tmp_path / "drawings.json")
    found = modules(VIEWER.format(folder=str(filled.folder)), CRYOWIDGETS_DRAWINGS=str(tmp_path / "drawings.json"))
    heavy = {"bokeh", "dask", "distributed", "scipy", "pandas", "matplotlib", "tifffile", "mrcfile", "PIL"}
    assert found & heavy == set()


@pytest.mark.parametrize("module", ["cryowidgets.widgets", "cryowidgets.widgets.server", "cryowidgets.widgets.kiosk"])
def test_servers_import_no_drawing_library(module):
    found = modules(f"import json, sys, {module}; print(json.dumps(sorted(sys.modules)))")
    assert found & {"ipywidgets", "anywidget", "bokeh", "IPython", "numpy", "voila", "dask"} == set()
