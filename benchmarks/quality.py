"""What the score says of good movies, and of movies with one thing wrong that is known.

    python benchmarks/quality.py [--movies 3] [--seed 7000] [--size 1024]

Movie files go through AlignMovie, EstimateCtf and ScoreExposure as in a session, without the gate of MaxShift. For each
sort of trouble: the scores, and how often the part that is said to be worst is one that the trouble should show in.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from collections.abc import Iterable
from pathlib import Path

from cryowidgets.io import mrc, tiff
from cryowidgets.model import Movie, Quality
from cryowidgets.protocols.align_movie import AlignMovie
from cryowidgets.protocols.estimate_ctf import EstimateCtf
from cryowidgets.protocols.out import Out
from cryowidgets.protocols.score_exposure import ScoreExposure
from cryowidgets.sim.movie import Recipe, simulate
from cryowidgets.sim.recipe import empty, hard

TROUBLES: dict[str, tuple[dict, set[str]]] = {
    "nothing": ({}, set()),
    "poor envelope": ({"b_factor": (400.0, 700.0)}, {"fit"}),
    "astigmatism": ({"astigmatism": (2500.0, 2900.0)}, {"astigmatism"}),
    "drift": ({"drift": (70.0, 110.0)}, {"drift", "late"}),
    "trembling": ({"jitter": 3.0}, {"drift", "late"}),
    "carbon": ({"carbon": (0.75, 0.9)}, {"carbon"}),
    "thick ice": ({"thickness": (3500.0, 4500.0)}, {"fit", "thickness", "alignment"}),
}
"""Changes of the recipe, and the parts of the score that should name them."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--movies", type=int, default=3)
    parser.add_argument("--seed", type=int, default=7000)
    parser.add_argument("--size", type=int, default=1024)
    options = parser.parse_args()
    usual = Recipe(shape=(options.size, options.size))
    sorts = {name: (dataclasses.replace(usual, **changes), parts) for name, (changes, parts) in TROUBLES.items()}
    sorts["empty"] = empty(usual), {"fit"}
    sorts["hard preset"] = hard(usual), set()
    print(f"{'trouble':<15} named  scores and worst parts")
    for name, (recipe, parts) in sorts.items():
        found = list(scores(recipe, range(options.seed, options.seed + options.movies)))
        named = f"{sum(q.worst in parts for q in found)}/{len(found)}" if parts else "-"
        print(f"{name:<15} {named:>5}  " + ", ".join(f"{q.score:.2f} {q.worst}" for q in found), flush=True)


def scores(recipe: Recipe, seeds: Iterable[int]) -> Iterable[Quality]:
    """Simulate, process and score."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for seed in seeds:
            made = simulate(recipe, seed)
            tiff.write(folder / "movie.tiff", made.frames)
            mrc.write(folder / "gain.mrc", made.gain, recipe.pixel_size)
            files = {"path": str(folder / "movie.tiff"), "gain": str(folder / "gain.mrc")}
            item = Movie(name=f"movie{seed}", frames=recipe.frames, optics=recipe.optics, **files)
            for step in (AlignMovie(), EstimateCtf()):
                out = Out(folder, "step", item.name)
                result = step.process(item, out)
                out.commit()
                if isinstance(step, AlignMovie):
                    item = micrograph = dataclasses.replace(
                        result.located(folder), name=item.name, optics=recipe.optics
                    )
            yield ScoreExposure().process(micrograph, result, None)


if __name__ == "__main__":
    main()
