"""When there is no first map, and in which words."""

from __future__ import annotations

import numpy as np

from cryowidgets.kernels.initialclimb import Averages

_FEWEST = 8  # averages
_TOLD = 0.6  # of the correlation with averages used: what those that were left out must reach
_LEAST = 0.45  # correlation of averages left out
_FLAT = 0.02  # correlation by which a map must be better than one picture
_POOR = 0.15  # evenness below which views are too few


def too_little(pictures: np.ndarray) -> str:
    """Reason where averages are few, or show nothing."""
    if len(pictures) < _FEWEST:
        return f"{len(pictures)} class averages are too few for a first map: it takes {_FEWEST} or more, of many views"
    if not np.isfinite(pictures).all() or not (pictures.std(axis=(1, 2)) > 0).all():
        return "some of the class averages are empty"
    return ""


def one_view(likeness: float, inside: float, symmetry: str) -> str:
    """Reason where one picture, turned in the plane, explains all averages as a map does: see `alike`.

    Under a cubic group one view is enough for a map, and of a round particle all look alike.
    """
    if symmetry.strip()[:1].upper() in ("T", "O", "I") or likeness < inside - _FLAT:
        return ""
    return (
        f"all class averages show one view, turned in the plane (correlation {likeness:.2f} with their mean, "
        f"{inside:.2f} with a map): nothing is told of the third dimension"
    )


def alike(averages: Averages, rounds: int = 3) -> float:
    """Mean correlation of averages with the mean of all others, each turned, shifted and mirrored to fit it best."""
    n, k = averages.count, len(averages.points)
    poses = averages.real.shape[1]
    every = (averages.real + 1j * averages.imag).reshape(n, poses, k)
    norms = np.sqrt(np.maximum(averages.powers[:, -1], 1e-30))
    plain = every[:, 0] / norms[:, None]  # psi 0, shift 0
    table = _fits(every, plain, averages.weights)[0] / norms[:, None]
    mean = plain[table.sum(axis=0).argmax()]
    likeness = 0.0
    for _ in range(rounds):
        fits, laid = _laid(every, mean, averages)
        laid /= norms[:, None]
        others = laid.sum(axis=0) - laid
        weight = averages.weights
        cross = (laid * others.conj()).real @ weight
        likeness = float(np.mean(cross / np.sqrt(np.maximum((np.abs(others) ** 2) @ weight, 1e-30))))
        mean = laid.mean(axis=0)
    return likeness


def _fits(every: np.ndarray, references: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Best product (n, m) of each average with each reference over its poses, and which pose (half turns after)."""
    n, poses, k = every.shape
    flat = every.reshape(n * poses, k)
    weighted = references * weights
    real, imag = flat.real @ weighted.real.T, flat.imag @ weighted.imag.T
    both = np.concatenate([(real + imag).reshape(n, poses, -1), (real - imag).reshape(n, poses, -1)], axis=1)
    return both.max(axis=1), both.argmax(axis=1)


def _laid(every: np.ndarray, mean: np.ndarray, averages: Averages) -> tuple[np.ndarray, np.ndarray]:
    """Averages as they fit a mean best, mirrored where that is better: products (n,), values (n, k)."""
    n, poses, _ = every.shape
    partner, conjugate = _mirror(averages.points)
    mirrored = np.where(conjugate, mean[partner].conj(), mean[partner])
    (fits, which) = _fits(every, np.stack([mean, mirrored]), averages.weights)
    hand = fits.argmax(axis=1)
    pose = which[np.arange(n), hand]
    laid = every[np.arange(n), pose % poses]
    laid = np.where((pose >= poses)[:, None], laid.conj(), laid)
    back = np.where(conjugate, laid[:, partner].conj(), laid[:, partner])
    return fits.max(axis=1), np.where((hand == 1)[:, None], back, laid)


def _mirror(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each point kx, ky the index of kx, -ky, or of its mate, whose value is the conjugate."""
    place = {(int(x), int(y)): i for i, (x, y) in enumerate(points)}
    rows = [(int(x), -int(y)) for x, y in points]
    conjugate = np.array([row not in place for row in rows])
    return np.array([place[row] if row in place else place[-row[0], -row[1]] for row in rows]), conjugate


def left_out(inside: float, outside: float) -> str:
    """Reason where averages that a map was not made of do not fit it."""
    if outside < max(_LEAST, _TOLD * inside):
        return (
            f"class averages that were left out do not fit the best map (correlation {outside:.2f}, those used "
            f"{inside:.2f}): they are noise, or not of one particle"
        )
    return ""


def disagree(agreeing: int, starts: int) -> str:
    """Reason where random starts lead to maps of their own."""
    if agreeing < max(2, round(0.1 * starts)):
        return f"{starts} random starts came to different maps: the class averages do not settle one yet"
    return ""


def uneven(evenness: float) -> str:
    """Reason not to trust a map whose views leave much unseen."""
    if evenness < _POOR:
        return f"views cover space unevenly ({evenness:.2f} of 1): the map is smeared along what was not seen"
    return ""
