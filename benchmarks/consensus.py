"""Consensus of pickers whose errors are independent: F1 of each, and of what so many of them have found.

    python benchmarks/consensus.py [--seeds 91:94] [--pickers 3] [--particles 2500]

Each picker finds a particle with the probability `--recall`, is off by 5 px, and adds false picks anywhere until its
precision is `--precision`; particles are 60 px apart. Not a test: nothing fails here.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from cryowidgets.kernels.pickconsensus import agree, pairs

APART, OFF, NEAR, RADIUS = 60.0, 5.0, 20.0, 24.0  # px


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="91:94")
    parser.add_argument("--pickers", type=int, default=3)
    parser.add_argument("--particles", type=int, default=2500)
    parser.add_argument("--recall", type=float, default=0.8)
    parser.add_argument("--precision", type=float, default=0.8)
    options = parser.parse_args()
    votes = range(1, options.pickers + 1)
    print("seed  best alone  " + "  ".join(f"{k} votes" for k in votes) + "  best cut of the score  off/px  CPU s")
    for seed in range(*map(int, options.seeds.split(":"))):
        truth, places, scores = field(seed, options)
        alone = max(f1(found, truth) for found in places)
        began = time.process_time()
        made = agree(places, RADIUS, scores)
        spent = time.process_time() - began
        cuts = [f1(made.places[made.votes >= k], truth) for k in votes]
        best = max(f1(made.places[made.scores >= cut], truth) for cut in np.arange(0.05, 1, 0.05))
        paired = pairs(made.places, truth, NEAR)
        off = np.sqrt(np.mean(np.square(made.places[paired[:, 0]] - truth[paired[:, 1]]).sum(axis=1)))
        said = "  ".join(f"{cut:7.3f}" for cut in cuts)
        print(f"{seed:4d}  {alone:10.3f}  {said}  {best:21.3f}  {off:6.2f}  {spent:5.2f}")


def field(seed: int, options: argparse.Namespace) -> tuple[np.ndarray, list[np.ndarray], list[np.ndarray]]:
    """Particles, and the places and scores of each picker; scores of the right ones are 1.5 deviations higher."""
    rng = np.random.default_rng(seed)
    side = round(np.sqrt(options.particles))
    y, x = np.mgrid[:side, :side] * APART + APART / 2
    truth = np.stack([y.ravel(), x.ravel()], axis=-1) + rng.uniform(-APART / 4, APART / 4, (y.size, 2))
    places, scores = [], []
    for _ in range(options.pickers):
        hits = truth[rng.random(len(truth)) < options.recall]
        false = rng.uniform(0, side * APART, (round(len(hits) * (1 / options.precision - 1)), 2))
        places.append(np.concatenate([hits + rng.normal(0, OFF, hits.shape), false]))
        scores.append(rng.normal(size=len(places[-1])) + 1.5 * (np.arange(len(places[-1])) < len(hits)))
    return truth, places, scores


def f1(found: np.ndarray, truth: np.ndarray) -> float:
    return 2 * len(pairs(found, truth, NEAR)) / max(len(found) + len(truth), 1)


if __name__ == "__main__":
    main()
