"""2-D classification on simulated particles: purity, NMI, junk, new views, CPU time and memory.

    python benchmarks/classes.py [--seeds 101:104] [--cases easy,faint,…] [--threads 2]

Cases: easy (SNR 0.1, N 4,000, K 24), faint (SNR 0.04, N 10,000, K 24), junk (20 % nothing, 10 % ice and film), dirt
(10 % nothing, 20 % ice, film, beads, aggregates and broken molecules), rare (one view of 1,000, eleven of some 70, and
junk), order (the stream turned round), late (a view that comes after half of the stream), shapes (two conformations of
three views), fine (box 128, 2.5 Å/px), again (ordinary classification beside the stream), speed (K 50), memory (50,000
particles). Views are 12 random directions. Each line tells what was there when a picture arrived, and what the final
averages say of all of them. Not a test: nothing fails here.
"""

from __future__ import annotations

import argparse
import resource
import time
from dataclasses import fields, replace

import numpy as np

from cryowidgets import cpu
from cryowidgets.kernels.classify import Assigned, Lens, Settings, Sorting, again, static
from cryowidgets.sim.particles import DIRT, Stack, simulate

FIRST, BATCH = 2000, 500  # particles that it begins with, and that come together


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="101:104")
    parser.add_argument("--cases", default="easy,faint,junk,dirt,rare,order,late,shapes,fine,again,speed,memory")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    cpu.set_threads(options.threads)
    first, last = map(int, options.seeds.split(":"))
    for case in options.cases.split(","):
        for seed in range(first, last):
            CASES[case](seed)


def easy(seed: int) -> None:
    streamed("easy", simulate(4000, snr=0.1, seed=seed), seed, truth=True)


def faint(seed: int) -> None:
    streamed("faint", simulate(10000, snr=0.04, seed=seed), seed, truth=True)


def junk(seed: int) -> None:
    sifted("junk", simulate(4000, snr=0.1, junk=0.2, dirt=0.1, seed=seed), seed)


def dirt(seed: int) -> None:
    sifted("dirt", simulate(4000, snr=0.1, junk=0.1, dirt=0.2, kinds=DIRT, seed=seed), seed)


def rare(seed: int) -> None:
    whole = simulate(12000, snr=0.1, junk=0.05, dirt=0.03, seed=seed)
    seldom = np.random.default_rng(seed).uniform(size=12000) > 0.07
    sifted("rare", chosen(whole, np.flatnonzero((whole.view <= 0) | ~seldom)), seed)


def sifted(case: str, stack: Stack, seed: int) -> None:
    """Which of the junk is in classes that are told to be bad, and which of the particles."""
    sorting, found = streamed(case, stack, seed)
    table = sorting.report()
    bad = stack.view < 0
    flagged = ~table.good[found.klass]
    part = np.array([bad[found.klass == k].mean() if (found.klass == k).any() else np.nan for k in range(24)])
    known = np.isfinite(part)
    kinds = ", ".join(f"{kind} {flagged[stack.shows == kind].mean():.3f}" for kind in np.unique(stack.shows))
    asked = (stack.shows == "nothing") | ~bad
    lost = max(flagged[stack.view == view].mean() for view in np.unique(stack.view[~bad]))
    print(
        f"  flagged: of all junk {flagged[bad].mean():.3f}, {kinds}, of the view that lost most {lost:.3f}; AUC of "
        f"classes {auc(table.score[known], part[known] < 0.5):.3f}, of pictures' own scores against nothing "
        f"{auc(found.score[asked], ~bad[asked]):.3f}",
        flush=True,
    )


def order(seed: int) -> None:
    stack = simulate(4000, snr=0.1, seed=seed)
    values = []
    for way in (np.arange(4000), np.arange(4000)[::-1]):
        _, found = streamed("order", stack, seed, way)
        values.append(nmi(found.klass, stack.view[way]))
    print(f"  NMI differs by {abs(values[0] - values[1]):.3f}", flush=True)


def late(seed: int) -> None:
    stack = simulate(4000, snr=0.1, seed=seed)
    new = stack.view == np.bincount(stack.view).argmax()
    rest, kept = np.flatnonzero(~new), np.flatnonzero(new)
    before = rest[: len(rest) // 2]
    after = np.random.default_rng(seed).permutation(np.concatenate([rest[len(rest) // 2 :], kept]))
    sorting = begun(stack, before[:1500], seed)
    when = None
    for number, index in enumerate(pieces(before[1500:], 200) + [None] + pieces(after, 200)):
        if index is None:
            start = number
            continue
        sorting.add(*some(stack, index))
        if number > 0 and index[0] in after:
            found = sorting.assign(*some(stack, kept))
            home = np.bincount(found.klass).argmax()
            everything = sorting.assign(*some(stack, before[:400])).klass
            alone = np.mean(everything == home) < 0.02
            if when is None and alone and np.mean(found.klass == home) > 0.3:
                when = number - start
    found = sorting.assign(*some(stack, kept))
    print(
        f"late   {seed}: own class after {when} batches of 200; {np.bincount(found.klass).max()} of {len(kept)} in it"
    )


def shapes(seed: int) -> None:
    stack = simulate(6000, snr=0.1, views=3, conformations=2, seed=seed)
    both = np.where(stack.view < 0, -1, 2 * stack.view + stack.conformation)
    _, found = streamed("shapes", stack, seed, classes=12)
    print(f"  purity by view and conformation {purity(found.klass, both):.3f}", flush=True)


def fine(seed: int) -> None:
    streamed("fine", simulate(4000, box=128, pixel_size=2.5, snr=0.025, shift=6.0, seed=seed), seed)


def whole(seed: int) -> None:
    stack = simulate(4000, snr=0.1, seed=seed)
    _, online = streamed("again", stack, seed)
    began = time.process_time()
    told = settings(stack, seed, 24)
    _, parts = again(told, lambda: (some(stack, index) for index in pieces(np.arange(4000), BATCH)))
    found = Assigned.together(parts)
    pairs = [f"{f(found.klass, stack.view):.3f} ({f(online.klass, stack.view):.3f} streamed)" for f in (purity, nmi)]
    print(f"  ordinary: purity {pairs[0]}, NMI {pairs[1]}, CPU {time.process_time() - began:.0f} s", flush=True)


def speed(seed: int) -> None:
    streamed("speed", simulate(4000, snr=0.1, views=None, seed=seed), seed, classes=50)


def memory(seed: int) -> None:
    stack = simulate(5000, snr=0.1, seed=seed)
    sorting = begun(stack, np.arange(FIRST), seed)
    sizes = []
    for index in pieces(np.arange(FIRST, 50000) % 5000, BATCH):
        sorting.add(*some(stack, index))
        sizes.append((sum(x.nbytes for x in sorting.arrays().values()), held()))
    tenth = sizes[(5000 - FIRST) // BATCH - 1], sizes[-1]
    for count, (kept, process) in zip((5000, 50000), tenth, strict=True):
        print(
            f"memory {seed}: after {count:6,d} particles {kept / 1e6:.2f} MB of state, process {process:.0f} MB",
            flush=True,
        )


CASES = {
    "easy": easy, "faint": faint, "junk": junk, "dirt": dirt, "rare": rare, "order": order, "late": late,
    "shapes": shapes, "fine": fine, "again": whole, "speed": speed, "memory": memory,
}  # fmt: skip


def streamed(
    case: str, stack: Stack, seed: int, way: np.ndarray | None = None, classes: int = 24, truth: bool = False
) -> tuple[Sorting, Assigned]:
    """Begin with the first, stream the others, and sort all by the final averages."""
    way = np.arange(len(stack.pictures)) if way is None else way
    began, clock = time.process_time(), time.perf_counter()
    sorting = begun(stack, way[:FIRST], seed, classes)
    start, wait = time.process_time() - began, time.perf_counter() - clock
    arrived = [sorting.assign(*some(stack, way[:FIRST]))]
    began = time.process_time()
    for index in pieces(way[FIRST:], BATCH):
        arrived.append(sorting.add(*some(stack, index)))
    each = 1e3 * (time.process_time() - began) / max(len(way) - FIRST, 1)
    found = Assigned.together([sorting.assign(*some(stack, index)) for index in pieces(way, BATCH)])
    view, first = stack.view[way], Assigned.together(arrived)
    good = view >= 0
    used = np.mean(np.bincount(found.klass, minlength=classes) > 0.005 * len(way))
    print(
        f"{case:6s} {seed}: arriving purity {purity(first.klass[good], view[good]):.3f} NMI "
        f"{nmi(first.klass[good], view[good]):.3f}; final {purity(found.klass[good], view[good]):.3f} "
        f"{nmi(found.klass[good], view[good]):.3f}; used {used:.2f}; begin {start:.0f} CPU s ({wait:.0f} s), "
        f"then {each:.1f} CPU s per 1,000",
        flush=True,
    )
    if truth:
        known = static(true_averages(stack), stack.pixel_size, settings(stack, seed, 12))
        klass = known.assign(*some(stack, way[:2000])).klass
        print(f"  with the true averages given: purity {np.mean(klass == view[:2000]):.3f}", flush=True)
    return sorting, found


def chosen(stack: Stack, index: np.ndarray) -> Stack:
    """Some of the particles."""
    count = len(stack.pictures)
    each = {f.name: getattr(stack, f.name) for f in fields(stack) if f.name != "density"}
    return replace(stack, **{k: v[index] for k, v in each.items() if np.ndim(v) and len(v) == count})


def true_averages(stack: Stack) -> np.ndarray:
    from scipy.ndimage import affine_transform

    density, swap = stack.density[0], np.eye(3)[::-1]
    centre = np.full(3, len(density) // 2)
    out = []
    for view in range(stack.view.max() + 1):
        matrix = swap @ stack.rotations[np.flatnonzero(stack.view == view)[0]].T @ swap
        out.append(affine_transform(density, matrix, centre - matrix @ centre, order=3).sum(axis=0))
    return np.array(out, np.float32)


def settings(stack: Stack, seed: int, classes: int) -> Settings:
    box = stack.pictures.shape[1]
    return Settings(diameter=stack.diameter, box=box, pixel_size=stack.pixel_size, classes=classes, seed=seed)


def begun(stack: Stack, index: np.ndarray, seed: int, classes: int = 24) -> Sorting:
    return Sorting.begin(settings(stack, seed, classes), *some(stack, index))


def some(stack: Stack, index: np.ndarray) -> tuple[np.ndarray, Lens, list[np.ndarray]]:
    rows = [x[index] for x in (stack.defocus_u, stack.defocus_v, stack.angle, stack.phase_shift)]
    return stack.pictures[index], Lens(stack.voltage, stack.cs, stack.amplitude_contrast), rows


def pieces(index: np.ndarray, size: int) -> list[np.ndarray]:
    return [index[first : first + size] for first in range(0, len(index), size)]


def purity(klass: np.ndarray, truth: np.ndarray) -> float:
    return float(together(klass, truth).max(axis=1).sum() / len(truth))


def nmi(klass: np.ndarray, truth: np.ndarray) -> float:
    """Mutual information over the mean of the entropies."""
    table = together(klass, truth) / len(truth)
    a, b, both = entropy(table.sum(axis=1)), entropy(table.sum(axis=0)), entropy(table.ravel())
    return float(2 * (a + b - both) / max(a + b, 1e-12))


def together(klass: np.ndarray, truth: np.ndarray) -> np.ndarray:
    table = np.zeros((klass.max() + 1, truth.max() + 1))
    np.add.at(table, (klass, truth), 1)
    return table


def entropy(part: np.ndarray) -> float:
    part = part[part > 0]
    return float(-(part * np.log(part)).sum())


def auc(score: np.ndarray, good: np.ndarray) -> float:
    """How often a good one has a higher score than a bad one."""
    above = (score[good][:, None] > score[~good]) + 0.5 * (score[good][:, None] == score[~good])
    return float(above.mean())


def held() -> float:
    """MB that this process held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
