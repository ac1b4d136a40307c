"""The command line. Every command imports what it needs when it runs, so that `status` answers at once."""

from __future__ import annotations

import click

from cryowidgets.cli import (
    alerts,
    batch,
    compile,
    data,
    demo,
    export,
    library,
    look,
    picks,
    plugins,
    report,
    resolution,
    scipion,
    serve,
    session,
    sim,
    steps,
    template,
    wall,
)
from cryowidgets.cli.common import Commands

EPILOG = """
\b
Begin here:
  cryowidgets demo                                 a simulated session, live in the browser
\b
A session of your own:
  cryowidgets new lysozyme --movies '/data/s1/**/*_fractions.tiff' \\
      --gain /data/s1/gain.mrc --pixel-size 0.83 --dose-per-frame 1.1
  cryowidgets run lysozyme                         process what is there and what comes
  cryowidgets serve lysozyme                       look at it in a browser, meanwhile
  cryowidgets status lysozyme                      or here
\b
Exit codes:
  0  all is well
  1  the work is done, but some items failed
  2  wrong usage
  3  it cannot be done; one sentence says why
"""


@click.group(
    cls=Commands,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(None, "-V", "--version", package_name="cryowidgets", message="%(prog)s %(version)s")
def main() -> None:
    """Live cryo-EM processing: movies are aligned and measured while the microscope runs."""


_ORDER = """
demo template wizard new run serve wall status alerts monitor stop pause resume reopen retry reject readmit set add
link hold release restart reset report export picks import batch data clean restore archive library project scipion sim
resolution compile plugins show
"""
for _command in sorted(
    (
        *session.COMMANDS,
        *steps.COMMANDS,
        *look.COMMANDS,
        *serve.COMMANDS,
        *wall.COMMANDS,
        *alerts.COMMANDS,
        *batch.COMMANDS,
        *report.COMMANDS,
        *resolution.COMMANDS,
        *export.COMMANDS,
        *picks.COMMANDS,
        *data.COMMANDS,
        *scipion.COMMANDS,
        *demo.COMMANDS,
        *sim.COMMANDS,
        *compile.COMMANDS,
        *plugins.COMMANDS,
        *template.COMMANDS,
        *library.COMMANDS,
    ),
    key=lambda c: _ORDER.split().index(c.name),
):
    main.add_command(_command)
