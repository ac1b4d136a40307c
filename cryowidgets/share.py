"""Find the notebooks and Voila apps that come with the package."""

from __future__ import annotations

from pathlib import Path

from cryowidgets.errors import CryowidgetsError


def find(name: str) -> Path:
    """The file or folder `name`, for instance ``notebooks/02_batch.ipynb`` or ``voila_apps``.

    A checkout keeps them beside the package, where a person looks for them; an installed wheel inside it.

    Raises
    ------
    CryowidgetsError
        There is no such file in this installation.
    """
    package = Path(__file__).resolve().parent
    for root in (package / "_share", package.parent):
        if (root / name).exists():
            return root / name
    raise CryowidgetsError(f"{name} is not part of this installation at {package}: install cryowidgets anew.")
