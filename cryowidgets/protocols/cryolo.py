"""The step that has crYOLO pick particles."""

from __future__ import annotations

import json
from pathlib import Path

from traitlets import Float, Int, Unicode

from cryowidgets import cpu
from cryowidgets.errors import ParameterError
from cryowidgets.io.coordinates import parse_cbox
from cryowidgets.model import Micrograph, Picks
from cryowidgets.protocols import cites, picking
from cryowidgets.protocols.external import Command, Program, command
from cryowidgets.protocols.out import Out


class Cryolo(Program):
    """Pick particles with crYOLO, by its general model or one of one's own.

    Wagner et al., Commun Biol 2, 218 (2019), doi:10.1038/s42003-019-0437-z.
    """

    takes = Micrograph
    gives = Picks
    cites = (cites.CRYOLO,)
    program = "crYOLO"
    names = ("cryolo_predict.py",)
    variable = "CRYOWIDGETS_CRYOLO"

    model = Unicode("", help="File of the model, such as gmodel_phosnet_202005_N63_c17.h5; it has to be given")
    diameter = Float(150.0, min=10, max=2000, help="Diameter of the particles").tag(unit="Å")
    threshold = Float(0.3, min=0, max=1, help="Confidence from which on places are taken")
    input_size = Int(1024, min=256, max=4096, help="Longer side to which micrographs are reduced for the network").tag(
        unit="px", advanced=True
    )
    lowpass = Float(0.1, min=0, max=0.5, help="Cut-off of the low-pass filter, of the sampling; 0 for none").tag(
        advanced=True
    )
    gpu = Unicode("", help="GPUs that tasks of this step may use, such as 0,1; empty: none, it runs on cores").tag(
        group="Program", advanced=True
    )

    def process(self, micrograph: Micrograph, out: Out) -> Picks:
        if not self.model:
            raise ParameterError("Cryolo.model is empty: write the path of the model, for instance that of gmodel.h5.")
        with self.run(out, self.gpu) as run:
            run.link(picking.searched(micrograph), "micrographs/micrograph.mrc")
            (run.folder / "config.json").write_text(json.dumps(self.config(micrograph)))
            run(self.command())
            with run.parsing():
                # Boxes of all confidences; their corners count rows as the MRC file does.
                found = parse_cbox(run.text("picks/CBOX/micrograph.cbox"), "micrograph.cbox")
                found = found.kept(found.scores >= self.threshold)
            return picking.picked(found, micrograph, out, self.diameter, self.threshold, **run.made_by)

    def command(self) -> Command:
        """The command; it writes ``picks/CBOX/micrograph.cbox``."""
        words: list[object] = [
            "-c",
            "config.json",
            "-w",
            str(Path(self.model).absolute()),
            "-i",
            "micrographs",
            "-o",
            "picks",
        ]
        words += ["-t", self.threshold, "-nc", cpu.threads(), *(["-g", 0] if self.gpu else [])]
        return command(*words, "--otf" if self.lowpass else None)

    def config(self, micrograph: Micrograph) -> dict[str, dict[str, object]]:
        """What the program wants to have in its file of settings."""
        box = round(self.diameter / picking.pixel_size(micrograph))
        model: dict[str, object] = {
            "architecture": "PhosaurusNet",
            "input_size": self.input_size,
            "anchors": [box, box],
            "max_box_per_image": 700,
            "norm": "STANDARD",
        }
        if self.lowpass:
            model["filter"] = [self.lowpass, "filtered"]
        return {"model": model, "other": {"log_path": "logs"}}
