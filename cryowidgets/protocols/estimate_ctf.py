"""The step that measures defocus."""

from __future__ import annotations

import numpy as np
from traitlets import Bool, Float, Int

from cryowidgets.errors import InputError, ParameterError
from cryowidgets.io import jpeg, mrc
from cryowidgets.kernels import ctffit, ctfpicture
from cryowidgets.model import Ctf, Micrograph
from cryowidgets.protocols.base import Protocol
from cryowidgets.protocols.out import Out


def _searched(protocol: EstimateCtf) -> bool:
    return protocol.search_phase


def _known(protocol: EstimateCtf) -> bool:
    return not protocol.search_phase


class EstimateCtf(Protocol):
    """Fit defocus, astigmatism and, if asked, phase shift to the power spectrum of a micrograph.

    The micrograph is the aligned sum without dose weighting, whose rings reach furthest.
    """

    takes = Micrograph
    gives = Ctf

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
        512,
        min=128,
        max=2048,
        help="Side of the power spectrum; enlarged where the rings of a high defocus lie too close together",
    ).tag(unit="px", group="Spectrum")
    resolution_min = Float(30.0, min=5, max=200, help="Coarsest spacing used").tag(
        unit="Å", group="Spectrum", advanced=True
    )
    resolution_max = Float(4.0, min=1, max=50, help="Finest spacing used").tag(unit="Å", group="Spectrum")

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
        fit, spectrum = ctffit.estimate(image, micrograph.pixel_size, *lens, limits=self.limits(), box=self.box)
        if spectrum is not None:
            picture = ctfpicture.picture(spectrum, fit, *lens, limits=self.limits())
            # Half precision is plenty for a picture, and there is one for each movie.
            mrc.write(out.file("_ctf.mrc"), picture.astype(np.float16), spectrum.pixel_size)
            jpeg.write(out.file("_ctf.jpg"), picture, 0, 100)
        curve = fit.curve.shape[1] > 0
        if curve:
            np.save(out.file("_ctf.npy"), fit.curve)
        return Ctf(
            micrograph=micrograph.path,
            spectrum=out.name("_ctf.mrc") if spectrum is not None else "",
            picture=out.name("_ctf.jpg") if spectrum is not None else "",
            curve=out.name("_ctf.npy") if curve else "",
            defocus_u=fit.defocus_u,
            defocus_v=fit.defocus_v,
            astigmatism=fit.defocus_u - fit.defocus_v,
            angle=fit.angle,
            phase_shift=fit.phase_shift,
            defocus_error=fit.defocus_error,
            fit_resolution=fit.fit_resolution,
            score=fit.score,
            ice=fit.ice,
            reason=fit.reason,
        )

    def limits(self) -> ctffit.Limits:
        """The search range as the kernels take it."""
        phases = (self.phase_min, self.phase_max) if self.search_phase else (self.phase_shift, self.phase_shift)
        return ctffit.Limits(
            defocus=(self.defocus_min, self.defocus_max),
            astigmatism=self.astigmatism_max,
            resolution=(self.resolution_min, self.resolution_max),
            phase_shift=phases,
        )
