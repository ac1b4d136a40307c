"""The step that measures defocus."""

from __future__ import annotations

import dataclasses

import numpy as np
from traitlets import Bool, Enum, Float, Int

from cryowidgets.errors import InputError, ParameterError
from cryowidgets.io import jpeg, mrc
from cryowidgets.kernels import content, ctffit, ctfpicture
from cryowidgets.kernels.ctfresult import CtfFit, Limits
from cryowidgets.kernels.spectrum import BOX, Spectrum
from cryowidgets.model import Ctf, Micrograph
from cryowidgets.protocols import cites
from cryowidgets.protocols.base import Protocol
from cryowidgets.protocols.out import Out
from cryowidgets.protocols.spectra import read_spectrum

SURVEYED = 512
"""Side in px below which an image shows too little to tell what it shows."""
_SAME = Ctf.columns().keys() & {field.name for field in dataclasses.fields(CtfFit)} - {"curve"}
"""Columns that are called as in `CtfFit`."""


def _searched(protocol: EstimateCtf) -> bool:
    return protocol.search_phase


def _known(protocol: EstimateCtf) -> bool:
    return not protocol.search_phase


class EstimateCtf(Protocol):
    """Fit defocus, astigmatism and, if asked, phase shift to the power spectrum of a micrograph.

    The micrograph is the aligned sum without dose weighting, whose rings reach furthest. Where AlignMovie has kept the
    mean power spectrum of groups of frames, it is used as well.
    """

    takes = Micrograph
    gives = Ctf
    cites = (cites.CTFFIND4,)

    defocus_min = Float(3000.0, min=100, max=500000, help="Smallest mean defocus searched").tag(
        unit="Å", group="Defocus"
    )
    defocus_max = Float(50000.0, min=100, max=500000, help="Largest mean defocus searched").tag(
        unit="Å", group="Defocus"
    )
    astigmatism_max = Float(3000.0, min=0, max=20000, help="Largest difference of defocus U and V").tag(
        unit="Å", group="Defocus", advanced=True
    )
    search_phase = Bool(False, help="Search the phase shift of a phase plate as well").tag(group="Phase plate")
    phase_shift = Float(0.0, min=0, max=180, help="Phase shift where it is known; 0 without a phase plate").tag(
        unit="°", group="Phase plate", advanced=True, when=_known
    )
    phase_min = Float(0.0, min=0, max=180, help="Smallest phase shift searched").tag(
        unit="°", group="Phase plate", when=_searched
    )
    phase_max = Float(180.0, min=0, max=180, help="Largest phase shift searched").tag(
        unit="°", group="Phase plate", when=_searched
    )
    box = Int(
        BOX,
        min=128,
        max=2048,
        help="Side of the power spectrum; enlarged where the rings of a high defocus lie too close together",
    ).tag(unit="px", group="Spectrum")
    resolution_min = Float(30.0, min=5, max=200, help="Coarsest spacing used").tag(
        unit="Å", group="Spectrum", advanced=True
    )
    resolution_max = Float(4.0, min=1, max=50, help="Finest spacing used").tag(unit="Å", group="Spectrum")
    source = Enum(
        ["auto", "frames", "micrograph"],
        default_value="auto",
        help="What is fitted: the micrograph, the mean spectrum of groups of its frames, or both where there are both",
    ).tag(group="Spectrum", advanced=True)
    fit_tilt = Bool(False, help="Measure tilt and tilt axis of the specimen as well").tag(group="Specimen")
    fit_thickness = Bool(False, help="Measure the thickness of the specimen by the nodes of its rings").tag(
        group="Specimen"
    )

    def check(self) -> None:
        if not self.defocus_min < self.defocus_max:
            raise ParameterError(
                f"EstimateCtf.defocus_min {self.defocus_min:g} Å is not below defocus_max {self.defocus_max:g} Å."
            )
        if self.search_phase and not self.phase_min < self.phase_max:
            raise ParameterError(
                f"EstimateCtf.phase_min {self.phase_min:g}° is not below phase_max {self.phase_max:g}°: "
                "write a range, or give the known value as phase_shift and set search_phase to False."
            )
        if not self.resolution_min > self.resolution_max:
            raise ParameterError(
                f"EstimateCtf.resolution_min {self.resolution_min:g} Å is not coarser than resolution_max "
                f"{self.resolution_max:g} Å: the first is the larger number."
            )
        if self.source == "frames" and self.fit_tilt:
            raise ParameterError(
                "EstimateCtf.fit_tilt needs the micrograph, for it compares its parts: set source to 'auto' or "
                "'micrograph'."
            )
        if self.box % 2:
            raise ParameterError(f"EstimateCtf.box {self.box} is odd: write {self.box + 1}.")

    def process(self, micrograph: Micrograph, out: Out) -> Ctf:
        optics = micrograph.optics
        if optics is None:
            raise InputError(f"{micrograph.path} comes without optics: voltage and Cs are needed to fit its CTF.")
        lens = (optics.voltage, optics.cs, optics.amplitude_contrast)
        image = mrc.read(micrograph.path)
        if image.ndim != 2:
            raise InputError(f"{micrograph.path} holds {len(image)} images where a micrograph is one.")
        if image.dtype == np.float16:
            image = image.astype(np.float32)  # once, and not for each tile
        groups = self._groups(micrograph)
        fit, spectrum = self._measure(image, micrograph.pixel_size, lens, groups)
        seen = content.survey(image, micrograph.pixel_size, spectrum) if min(image.shape) >= SURVEYED else None
        if spectrum is not None:
            picture = ctfpicture.picture(spectrum, fit, *lens, limits=self.limits())
            # Half precision is plenty for a picture, and there is one for each movie.
            mrc.write(out.file("_ctf.mrc"), picture.astype(np.float16), spectrum.pixel_size)
            jpeg.write(out.file("_ctf.jpg"), picture, 0, 100)
        curve = fit.curve.shape[1] > 0
        if curve:
            np.save(out.file("_ctf.npy"), fit.curve)
        same = {name: getattr(fit, name) for name in _SAME}
        return Ctf(
            micrograph=micrograph.path,
            spectrum=out.name("_ctf.mrc") if spectrum is not None else "",
            picture=out.name("_ctf.jpg") if spectrum is not None else "",
            curve=out.name("_ctf.npy") if curve else "",
            astigmatism=fit.defocus_u - fit.defocus_v,
            content=seen.words if seen else "",
            carbon=seen.carbon if seen else np.nan,
            **same,
        )

    def _measure(
        self, image: np.ndarray, pixel_size: float, lens: tuple[float, float, float], groups: Spectrum | None
    ) -> tuple[CtfFit, Spectrum | None]:
        options = {"tilt": self.fit_tilt, "thickness": self.fit_thickness}
        if self.source == "frames" and groups is not None:
            return ctffit.fit(groups, *lens, self.limits(), thickness=self.fit_thickness), groups
        return ctffit.estimate(image, pixel_size, *lens, self.limits(), self.box, groups, **options)

    def _groups(self, micrograph: Micrograph) -> Spectrum | None:
        """The mean spectrum of groups of frames, where it is wanted and there is one."""
        if self.source == "micrograph":
            return None
        if micrograph.power_spectrum:
            return read_spectrum(micrograph.power_spectrum)
        if self.source == "frames":
            raise InputError(
                f"{micrograph.path} comes without the power spectrum of its frames: let AlignMovie keep it, or set "
                "EstimateCtf.source to 'auto'."
            )
        return None

    def limits(self) -> Limits:
        """The search range as the kernels take it."""
        phases = (self.phase_min, self.phase_max) if self.search_phase else (self.phase_shift, self.phase_shift)
        return Limits(
            defocus=(self.defocus_min, self.defocus_max),
            astigmatism=self.astigmatism_max,
            resolution=(self.resolution_min, self.resolution_max),
            phase_shift=phases,
        )
