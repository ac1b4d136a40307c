"""The step that has RELION sort particles into 2-D classes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from traitlets import Bool, Enum, Float, Int, Unicode

from cryowidgets import cpu
from cryowidgets.errors import InputError, ParameterError
from cryowidgets.io import mrc, star
from cryowidgets.io.movie import whole
from cryowidgets.model import NAN, Classes, Particles
from cryowidgets.protocols import cites, relion_files
from cryowidgets.protocols.base import Many
from cryowidgets.protocols.external import Command, Program, Run, command
from cryowidgets.protocols.mosaic import write_mosaic
from cryowidgets.protocols.out import Out
from cryowidgets.protocols.processes import numbers

_VDAM = (4,)  # the first with the gradient method, and the first that centres averages


class RelionClass2D(Program):
    """Sort all particles so far into classes with ``relion_refine``, anew for each further lot of micrographs.

    The gradient method (VDAM) of RELION 4 and later is fast enough for that; expectation maximisation is for the last
    word. Kimanius et al., Biochem J 478, 4169 (2021), doi:10.1042/BCJ20210708.
    """

    takes = Many(Particles, every=200)
    gives = Classes
    cites = (cites.RELION, cites.RELION_VDAM)
    program = "RELION"
    names = ("relion_refine",)
    variable = "CRYOWIDGETS_RELION_REFINE"

    classes = Int(50, min=1, max=500, help="Number of classes")
    diameter = Float(
        0.0, min=0, max=4000, help="Diameter of the mask; 0 for a tenth more than that of the particles"
    ).tag(unit="Å")
    method = Enum(["VDAM", "EM"], "VDAM", help="Gradient method of RELION 4 and later, or expectation maximisation")
    iterations = Int(0, min=0, max=1000, help="Iterations; 0 for 100 of VDAM or 25 of EM")
    tau = Float(2.0, min=0.1, max=20, help="Regularisation: how far data are believed against smoothness (T)").tag(
        advanced=True
    )
    correct_ctf = Bool(True, help="Account for the CTF").tag(advanced=True)
    center = Bool(True, help="Keep averages centred; RELION 4 and later").tag(advanced=True)
    angular_step = Float(12.0, min=0.5, max=60, help="Step of the rotations").tag(unit="°", advanced=True)
    shift_range = Float(5.0, min=0, max=100, help="Largest shift").tag(unit="px", advanced=True)
    shift_step = Float(2.0, min=0.1, max=20, help="Step of the shifts").tag(unit="px", advanced=True)
    gpu = Unicode("", help="GPUs that tasks of this step may use, such as 0,1; empty: none, it runs on cores").tag(
        group="Program", advanced=True
    )

    def process(self, items: list[Particles], last: Classes | None, out: Out) -> Classes | None:
        files = [item for item in items if item.count]
        parts = [star.read(last.metadata)] if last is not None else []
        parts += [star.read(item.metadata) for item in files]
        if not parts:
            raise InputError(f"None of {len(items)} micrographs has particles: there is nothing to be sorted.")
        known = relion_files.merged(_plain(part) for part in parts)
        diameter = self.diameter or 1.1 * max((item.diameter for item in files), default=NAN)
        with self.run(out, self.gpu) as run:
            table = relion_files.renamed(known["particles"], "rlnImageName", out.absolute)
            star.write(run.folder / "particles.star", {**known, "particles": table})
            (run.folder / "out").mkdir()  # it writes to no folder that is not there, nor to where it stands
            run(self.command(run.version, diameter))
            with run.parsing():
                end = _end(run.folder / "out", self._iterations())
                data = star.parse(run.text(f"{end}_data.star"), f"{end}_data.star")
                optics, sorted_ = relion_files.particles(data, f"{end}_data.star")
                model = parse_model(run.text(f"{end}_model.star"), f"{end}_model.star")
                averages = _averages(run, f"{end}_classes.mrcs", len(model.shares))
                _same(sorted_, table)
            sorted_ = relion_files.renamed(sorted_, "rlnImageName", out.relative)
            star.write(out.file("_classes.star"), {"optics": optics, "particles": sorted_})
            run.file(f"{end}_model.star").rename(out.file("_model.star"))
            mrc.write(out.file("_classes.mrcs"), averages, model.pixel_size)
            counts = np.bincount(np.array(sorted_["rlnClassNumber"], int), minlength=len(model.shares) + 1)[1:]
            order = np.argsort(-counts, kind="stable")
            filled = order[: max(int((counts > 0).sum()), 1)]
            write_mosaic(out.file("_classes.jpg"), averages[filled])
            finite = model.resolutions[(counts > 0) & np.isfinite(model.resolutions)]
            return Classes(
                path=out.name("_classes.mrcs"),
                metadata=out.name("_classes.star"),
                model=out.name("_model.star"),
                thumbnail=out.name("_classes.jpg"),
                count=int((counts > 0).sum()),
                particles=int(counts.sum()),
                box=averages.shape[-1],
                pixel_size=model.pixel_size,
                resolution=float(finite.min()) if len(finite) else NAN,
                largest=float(counts.max() / max(counts.sum(), 1)),
                **run.made_by,
            )

    def command(self, version: str, diameter: float) -> Command:
        """The command for a version; it writes ``out/run_itNNN_data.star``, ``_model.star``, ``_classes.mrcs``.

        Parameters
        ----------
        diameter : float
            Of the mask, Å.

        Raises
        ------
        ParameterError
            This version has no gradient method, or there is no diameter.
        """
        if not diameter > 0:
            raise ParameterError(
                "RelionClass2D.diameter is 0 and the particles have none: write that of the mask in Å."
            )
        words: list[object] = ["--i", "particles.star", "--o", "out/run"]
        words += ["--K", self.classes, "--iter", self._iterations()]
        recent = not version or numbers(version) >= _VDAM
        if self.method == "VDAM":
            if not recent:
                raise ParameterError(f"RELION {version} has no gradient method: set RelionClass2D.method to 'EM'.")
            words += ["--grad", "--class_inactivity_threshold", 0.1, "--grad_write_iter", 10]
        words += ["--tau2_fudge", self.tau, "--particle_diameter", diameter, "--flatten_solvent", "--zero_mask"]
        words += ["--center_classes"] if self.center and recent else []
        words += ["--ctf"] if self.correct_ctf else []
        words += ["--oversampling", 1, "--psi_step", self.angular_step, "--offset_range", self.shift_range]
        words += ["--offset_step", self.shift_step, "--norm", "--scale", "--pad", 2, "--pool", 30]
        words += ["--dont_combine_weights_via_disc", "--j", cpu.threads()]
        words += ["--gpu", 0] if self.gpu else []
        return command(*words)

    def _iterations(self) -> int:
        return self.iterations or (100 if self.method == "VDAM" else 25)


@dataclass(frozen=True)
class Model:
    """What is known of the classes: share of the particles and resolution (Å) of each."""

    shares: np.ndarray
    resolutions: np.ndarray
    pixel_size: float


def parse_model(text: str, what: str = "its model") -> Model:
    """Parse the model of RELION's 2-D classification.

    Raises
    ------
    InputError
        It lacks the classes or their pixel size, or shares do not add up to one.
    """
    blocks = star.parse(text, what)
    table, general = blocks.get("model_classes", {}), blocks.get("model_general", {})
    if "rlnClassDistribution" not in table or "rlnPixelSize" not in general:
        raise InputError(f"{what} has no classes, or not their pixel size.")
    shares = np.atleast_1d(np.array(table["rlnClassDistribution"], float))
    if abs(float(shares.sum()) - 1) > 0.01:
        raise InputError(f"{what}: the shares of the classes add up to {shares.sum():.3f}.")
    resolutions = np.atleast_1d(np.array(table.get("rlnEstimatedResolution", [NAN] * len(shares)), float))
    return Model(shares, np.where((resolutions > 0) & (resolutions < 900), resolutions, NAN), general["rlnPixelSize"])


_RESULT = re.compile(r"(run_it(\d+))_data\.star")


def _end(folder: Path, iterations: int) -> str:
    """Begin of the names of the last iteration's files."""
    found = {int(match[2]): match[1] for match in map(_RESULT.fullmatch, (p.name for p in folder.iterdir())) if match}
    if not found or max(found) < iterations:
        raise InputError(f"it stopped after iteration {max(found, default=0)} of {iterations}.")
    return f"out/{found[max(found)]}"


def _averages(run: Run, name: str, count: int) -> np.ndarray:
    verdict = whole(run.file(name))
    if verdict.whole is False:
        raise InputError(verdict.why)
    averages = mrc.read_stack(run.file(name))
    if len(averages) != count:
        raise InputError(f"{name} has {len(averages)} averages where the model has {count} classes.")
    return averages.astype(np.float32)


def _same(found: dict[str, list], given: dict[str, list]) -> None:
    if "rlnClassNumber" not in found:
        raise InputError("the particles have no class.")
    if sorted(found["rlnImageName"]) != sorted(given["rlnImageName"]):
        raise InputError(f"it gave back {len(found['rlnImageName'])} particles of {len(given['rlnImageName'])}.")


def _plain(blocks: relion_files.Blocks) -> relion_files.Blocks:
    """Particles without what an earlier sorting said of them, so that all begin alike."""
    optics, table = relion_files.particles(blocks, "the particles so far")
    return {"optics": optics, "particles": {name: table[name] for name in table if name not in _SORTED}}


_SORTED = {
    "rlnClassNumber",
    "rlnAnglePsi",
    "rlnOriginXAngst",
    "rlnOriginYAngst",
    "rlnNormCorrection",
    "rlnLogLikeliContribution",
    "rlnMaxValueProbDistribution",
    "rlnNrOfSignificantSamples",
    "rlnGroupNumber",
    "rlnRandomSubset",
}
