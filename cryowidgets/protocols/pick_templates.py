"""The step that picks particles by templates."""

from __future__ import annotations

import math

from traitlets import Bool, Enum, Float, Unicode

from cryowidgets.errors import InputError
from cryowidgets.io import mrc
from cryowidgets.io.coordinates import Coordinates
from cryowidgets.kernels import templates as kernel
from cryowidgets.model import Ctf, Micrograph, Picks
from cryowidgets.protocols import cites, picking, references
from cryowidgets.protocols.base import Maybe, Protocol
from cryowidgets.protocols.out import Out


def _given(protocol: PickTemplates) -> bool:
    return bool(protocol.templates)


def _round(protocol: PickTemplates) -> bool:
    return not protocol.templates


class PickTemplates(Protocol):
    """Pick particles by templates, or by spheres where there are none: a matched filter.

    Templates may be a stack, or the classes of a step that sorts particles: then each micrograph is searched with the
    newest of them, and with spheres until there are some. Where the CTF is linked, templates are changed by it as the
    micrograph was. Scores are in standard deviations of the noise; nothing is picked on carbon film and dirt.
    """

    takes = {"micrograph": Micrograph, "ctf": Maybe(Ctf)}
    gives = Picks
    cites = (cites.MATCHED_FILTER, cites.LOCAL_CORRELATION)

    diameter = Float(150.0, min=10, max=3000, help="Diameter of the particles, in their longest direction").tag(
        unit="Å"
    )
    templates = Unicode(
        "",
        help="MRC stack of templates, star file of classes, or folder of a step that sorts particles, such as "
        "steps/classify; empty for spheres",
    ).tag(group="Templates")
    template_pixel_size = Float(
        0.0, min=0, max=100, help="Pixel size of a stack of templates; 0 for that of the micrograph"
    ).tag(unit="Å/px", group="Templates", when=_given)
    white_templates = Bool(True, help="Particles are bright in the templates, as in class averages").tag(
        group="Templates", when=_given
    )
    angular_step = Float(0.0, min=0, max=180, help="Step of the rotations tried; 0 goes by the diameter").tag(
        unit="°", group="Templates", advanced=True, when=_given
    )
    hollow = Float(0.0, min=0, max=0.95, help="Part of the spheres' diameter that is empty, as of a capsid").tag(
        group="Templates", when=_round
    )
    threshold = Float(0.0, min=0, max=200, help="Least score, in standard deviations of the noise; 0 to have it chosen")
    distance = Float(0.0, min=0, max=3000, help="Least distance of two particles; 0 for 0.6 of the diameter").tag(
        unit="Å", advanced=True
    )
    contrast = Enum(["dark", "bright"], "dark", help="How particles stand out; bright in stain").tag(advanced=True)
    masked = Bool(True, help="Look for nothing on carbon film and dirt").tag(advanced=True)

    def process(self, micrograph: Micrograph, out: Out, ctf: Ctf | None = None) -> Picks:
        image, size = mrc.read(picking.searched(micrograph)), picking.pixel_size(micrograph)
        if min(image.shape) * size < 2 * self.diameter:
            raise InputError(
                f"{picking.searched(micrograph)} is {min(image.shape) * size:.0f} Å wide, too little for particles of "
                f"{self.diameter:g} Å: see whether its pixel size, {size:g} Å, is right."
            )
        given = references.templates(self.templates, out) if self.templates else None
        stack, pixel = given if given else (None, 0.0)
        if stack is not None and not self.white_templates:
            stack = -stack
        try:
            found = kernel.find(
                image,
                size,
                self.diameter,
                stack,
                pixel or self.template_pixel_size,
                self._lens(micrograph, ctf),
                self.angular_step,
                threshold=self.threshold or None,
                apart=self.distance,
                bright=self.contrast == "bright",
                masked=self.masked,
                hollow=self.hollow,
            )
        except ValueError as error:
            raise InputError(
                f"{self.templates or picking.searched(micrograph)} cannot be searched with: {error}."
            ) from error
        threshold = found.threshold if math.isfinite(found.threshold) else math.nan
        return picking.picked(Coordinates(found.places, found.scores), micrograph, out, self.diameter, threshold)

    def _lens(self, micrograph: Micrograph, ctf: Ctf | None) -> kernel.Lens | None:
        """The lens, where it is known; a micrograph whose CTF was not fitted is searched with the templates as is."""
        optics = micrograph.optics
        if ctf is None or optics is None or not math.isfinite(ctf.defocus_u + ctf.defocus_v):
            return None
        angle, shift = (value if math.isfinite(value) else 0.0 for value in (ctf.angle, ctf.phase_shift))
        return kernel.Lens(
            ctf.defocus_u, ctf.defocus_v, angle, optics.voltage, optics.cs, optics.amplitude_contrast, shift
        )
