"""What acquisition software leaves beside a movie, as far as programs read it."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path

from cryowidgets.sim.movie import Recipe


def fractions_xml(movie: Path, acquired: float, recipe: Recipe, frames: int) -> None:
    """Write ``…_Fractions.xml`` as EPU does; `frames` of those of the recipe were recorded."""
    moment = datetime.fromtimestamp(acquired).astimezone().isoformat(timespec="milliseconds")
    height, width = recipe.shape
    fractions = "".join(
        f"        <Fraction>\n            <Index>{i}</Index>\n            <NumberOfFrames>1</NumberOfFrames>\n"
        "            <SampleType>DoseFraction</SampleType>\n        </Fraction>\n"
        for i in range(frames)
    )
    text = f"""<?xml version="1.0" encoding="utf-8"?>
<Acquisition>
    <Info>
        <Detector>Simulated</Detector>
        <DateTimeWithTimeZone>{moment}</DateTimeWithTimeZone>
        <ExpectedNumberOfFractions>{recipe.frames}</ExpectedNumberOfFractions>
        <RecordedNumberOfFractions>{frames}</RecordedNumberOfFractions>
        <Format>Unsigned 8 bits</Format>
        <RegionOfInterest>
            <Width>{width}</Width>
            <Height>{height}</Height>
        </RegionOfInterest>
        <GainCorrection>Off</GainCorrection>
        <ElectronCounting>On</ElectronCounting>
    </Info>
    <Fractions>
{fractions}    </Fractions>
</Acquisition>
"""
    bare = movie.name.rsplit("_", 1)[0]
    movie.with_name(f"{bare}_Fractions.xml").write_text(text, encoding="utf-8")


def mdoc(movie: Path, acquired: float, recipe: Recipe, frames: int) -> None:
    """Write ``<movie>.mdoc`` as SerialEM does: lines end in CR LF, the time is local and has no zone."""
    moment = time.strftime("%d-%b-%y  %H:%M:%S", time.localtime(acquired))
    lines = [
        f"T = SerialEM: simulated {moment}",
        f"Voltage = {recipe.voltage:g}",
        "",
        "[FrameSet = 0]",
        f"ExposureDose = {frames * recipe.dose_per_frame:g}",
        f"PixelSpacing = {recipe.pixel_size:g}",
        f"SubFramePath = D:\\frames\\{movie.name}",
        f"NumSubFrames = {frames}",
        f"FrameDosesAndNumber = {recipe.dose_per_frame:g} {frames}",
        f"DateTime = {moment}",
        "",
    ]
    movie.with_name(f"{movie.name}.mdoc").write_bytes("\r\n".join(lines).encode())
