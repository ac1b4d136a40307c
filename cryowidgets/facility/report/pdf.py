"""The report on paper: A4 with page numbers, made from the same page by WeasyPrint."""

from __future__ import annotations

import logging
from pathlib import Path

from cryowidgets.errors import ProgramError

MISSING = (
    "A PDF needs WeasyPrint and its libraries: pip install 'cryowidgets[pdf]', and on Debian or Ubuntu "
    "apt install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0 fonts-dejavu-core"
)


def check() -> None:
    """Refuse where no PDF can be made here.

    Raises
    ------
    ProgramError
        WeasyPrint or a library that it needs is missing; says what to install.
    """
    _weasyprint()


def render(page: str, folder: Path) -> bytes:
    """A page as PDF.

    Parameters
    ----------
    page : str
        HTML.
    folder : Path
        Against which the addresses of its pictures are; nothing else is read.

    Raises
    ------
    ProgramError
        WeasyPrint or a library that it needs is missing; says what to install.
    """
    weasyprint = _weasyprint()
    for name in ("weasyprint", "fontTools", "fontTools.subset"):
        logging.getLogger(name).setLevel(logging.ERROR)  # properties for screens are not known on paper
    inside = folder.resolve().as_uri() + "/"

    class OnlyOurs(weasyprint.urls.URLFetcher):
        def fetch(self, url: str, headers: object = None) -> object:
            if url.startswith(("data:", inside)) and "/.." not in url:
                return super().fetch(url, headers)
            raise ValueError(f"{url} is not part of the report")

    return weasyprint.HTML(string=page, base_url=inside, url_fetcher=OnlyOurs()).write_pdf()


def _weasyprint():
    try:
        import weasyprint
    except (ImportError, OSError) as error:
        raise ProgramError(f"{MISSING} ({error.args[0] if error.args else error}).") from None
    return weasyprint
