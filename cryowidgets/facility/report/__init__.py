"""The report of a session: a page that stays."""

from cryowidgets.facility.report.report import FOLDER, PAGE, PDF, Report, Written, write

__all__ = ["FOLDER", "PAGE", "PDF", "Report", "Written", "write"]
