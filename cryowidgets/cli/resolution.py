"""Measure the resolution of maps in files, as a whole and from place to place."""

from __future__ import annotations

import math
from pathlib import Path

import click

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(
    epilog="""
\b
Examples:
  cryowidgets resolution half1.mrc half2.mrc
  cryowidgets resolution half1.mrc half2.mrc --mask mask.mrc --threshold 0.5 --out results/apo
  cryowidgets resolution map.mrc                       by what stands out of the noise of its solvent

Maps of halves are taken as the reconstruction gave them, without a mask or filter. What is written begins with --out:
_resolution.mrc in Å, _mask.mrc, _resolution.jpg with coloured slices, and _resolution.npy, the histogram.
"""
)
@click.argument("half1", type=FILE)
@click.argument("half2", type=FILE, required=False)
@click.option("--mask", type=FILE, help="Where to measure, 0 to 1.  [default: found by itself]")
@click.option("--pixel-size", type=click.FloatRange(0, min_open=True), metavar="Å", help="Where the files are wrong.")
@click.option("--threshold", type=click.FloatRange(0.02, 0.9), default=0.143, show_default=True, help="Correlation.")
@click.option("--out", "-o", type=click.Path(path_type=Path), help="Begin of the names to write.  [default: HALF1]")
def resolution(
    half1: Path, half2: Path | None, mask: Path | None, pixel_size: float | None, threshold: float, out: Path | None
) -> None:
    """Resolution of a map, from place to place.

    HALF1 and HALF2 are maps of two halves of the data. Of one map alone, the noise around the particle is the measure.
    """
    from cryowidgets.io import mrc
    from cryowidgets.model import Volume
    from cryowidgets.protocols.local_resolution import LocalResolution
    from cryowidgets.protocols.out import Out

    begin = (out or half1.with_suffix("")).resolve()
    begin.parent.mkdir(parents=True, exist_ok=True)
    halves = {"half1": str(half1), "half2": str(half2)} if half2 else {}
    volume = Volume(
        path="" if half2 else str(half1), pixel_size=pixel_size or mrc.read_header(half1).pixel_size, **halves
    )
    files = Out(begin.parent, ".", begin.name)
    try:
        step = LocalResolution(threshold=threshold, mask=str(mask or ""))
        found = step.process(volume, files)
        files.commit()
    finally:
        files.discard()
    if half2 and found.mask:
        whole = _whole(half1, half2, begin.parent / found.mask, found.pixel_size, threshold)
        click.echo(
            f"whole map       {_angstroms(whole)}  (correlation {threshold:g} within the mask, corrected for it)"
        )
    if found.path:
        click.echo(f"median          {_angstroms(found.median)}")
        click.echo(f"finest tenth    {_angstroms(found.finest)} and finer")
        click.echo(f"coarsest tenth  {_angstroms(found.coarsest)} and coarser")
        click.echo(f"written         {begin.parent / found.path}, and its mask, slices and histogram beside it")
    if found.reason:
        raise click.ClickException(f"{found.reason[0].upper()}{found.reason[1:]}.")


def _whole(half1: Path, half2: Path, mask: Path, pixel_size: float, threshold: float) -> float:
    from cryowidgets.io import mrc
    from cryowidgets.kernels import fsc

    curves = fsc.corrected(*(mrc.read(path).astype("float32") for path in (half1, half2, mask)))
    return fsc.crossing(curves.frequency, curves.corrected, threshold, pixel_size)


def _angstroms(value: float) -> str:
    return f"{value:.2f} Å" if math.isfinite(value) else "none"


COMMANDS = (resolution,)
