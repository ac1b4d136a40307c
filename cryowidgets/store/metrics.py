"""Numbers by which exposures are judged: where each stands in the ledger, and how people read it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """One number of an exposure.

    Attributes
    ----------
    key : str
        By which programs name it.
    label : str
        By which people do, in the middle of a line.
    unit : str
        That people read it in; empty where it has none.
    factor : float
        A value for people is that of the ledger times this.
    kind : str
        Kind of item that has it.
    column : str
        Of that kind's table; an expression in SQL over its columns.
    which : {"first", "last"}
        Whose value counts where several steps make this kind: the first step's, as gates behind it hand on the same,
        or that of the last step which has one for the exposure, as it knows better.
    digits : int
        Decimals that people care for.
    better : {"low", "high", ""}
        Which values are good ones, where that can be said.
    help : str
        What it is, in words.
    """

    key: str
    label: str
    unit: str
    factor: float
    kind: str
    column: str
    which: str
    digits: int
    better: str
    help: str

    def text(self, value: float, unit: bool = True) -> str:
        """A value of the ledger for people; a dash where there is none."""
        if value != value:
            return "–"
        shown = f"{value * self.factor:.{self.digits}f}".replace("-", "−")
        return f"{shown} {self.unit}" if unit and self.unit else shown


def _first(key: str, label: str, unit: str, column: str, digits: int, better: str, help: str) -> Metric:
    return Metric(key, label, unit, 1.0, "Micrograph", column, "first", digits, better, help)


def _ctf(
    key: str, label: str, unit: str, column: str, digits: int, better: str, help: str, factor: float = 1.0
) -> Metric:
    return Metric(key, label, unit, factor, "Ctf", column, "last", digits, better, help)


_ALL = (
    _first("drift", "drift", "Å", "motion_total", 1, "low", "length of the path of the whole frame"),
    _first("early", "early drift", "Å", "motion_early", 1, "low", "the part of the path in the first 4 e/Å²"),
    _first("late", "late drift", "Å", "motion_late", 1, "low", "the part of the path after the first 4 e/Å²"),
    _first("step", "longest step", "Å", "motion_worst", 1, "low", "longest step between two frames"),
    _first("local", "local motion", "Å", "motion_local", 2, "low", "how far parts moved beside the whole frame, rms"),
    _first("dose", "dose per frame", "e/Å²", "measured_dose", 2, "", "electrons counted in a frame"),
    _first("counts", "counts per frame", "e/px", "counts", 2, "", "mean counts of a raw frame"),
    _ctf("defocus", "defocus", "µm", "0.5 * (defocus_u + defocus_v)", 2, "", "mean of U and V, underfocus", 1e-4),
    _ctf("astigmatism", "astigmatism", "nm", "astigmatism", 0, "low", "defocus U − V", 0.1),
    _ctf("angle", "astigmatism angle", "°", "angle", 0, "", "direction of U from x towards y"),
    _ctf("phase_shift", "phase shift", "°", "phase_shift", 0, "", "additional phase shift, as of a phase plate"),
    _ctf("resolution", "fit resolution", "Å", "fit_resolution", 1, "low", "where the fit of the CTF stops to agree"),
    _ctf("ice", "ice ring", "", "ice", 2, "low", "density of the ice ring, as RELION's rlnCtfIceRingDensity"),
    _ctf("carbon", "carbon", "%", "carbon", 0, "low", "share of the image that carbon film covers", 100.0),
    _ctf("thickness", "thickness", "nm", "thickness", 0, "low", "thickness of the specimen, where asked for", 0.1),
    _ctf("ctf_score", "CTF score", "", "score", 2, "high", "correlation of spectrum and fit"),
    Metric("quality", "quality", "", 1.0, "Quality", "score", "last", 2, "high", "all parts of the score together"),
    Metric("picks", "picks", "", 1.0, "Picks", "count", "last", 0, "", "particles found in the micrograph"),
    Metric("particles", "particles", "", 1.0, "Particles", "count", "last", 0, "", "particles cut out"),
    Metric("latency", "latency", "s", 1.0, "", "", "last", 0, "low", "from the end of the file to its last result"),
)
METRICS: dict[str, Metric] = {metric.key: metric for metric in _ALL}
"""All of them, in the order in which people ask; `latency` is a difference of times of two kinds."""
