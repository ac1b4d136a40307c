"""How the specimen moves under the beam: a drift of the whole frame that dies away, and doming of the ice.

The frame settles exponentially with exposure, creeps on, and trembles from frame to frame; most of the path lies in
the first 5 e/Å², as on real microscopes. The local part is a smooth quadratic field (Zheng et al., Nat. Methods 14
(2017) 331, doi:10.1038/nmeth.4193, model the same) that grows and settles likewise; or, so that nobody's model of it
is right, a few waves across the field, each of which grows at its own pace or gives way at some moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

SUBFRAMES = 3  # positions within a frame over which its content is smeared


@dataclass(frozen=True)
class Waves:
    """Local motion that is no polynomial: the mean over the field is 0 in every frame, and all is 0 in the first.

    Attributes
    ----------
    vectors : array (waves, 2)
        Wave vectors as y, x; rad per unit of a coordinate that goes from −1 to 1 over the frame.
    amplitudes : array (frames, 2, waves), complex
        Displacement as y, x in px: the real part of ``amplitude·exp(i·vector·(y, x))``, summed.
    """

    vectors: np.ndarray
    amplitudes: np.ndarray

    def at(self, frame: int, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Displacement at normalised positions, broadcast against each other: (2, …)."""
        y, x = np.broadcast_arrays(np.asarray(y)[..., None], np.asarray(x)[..., None])
        waves = np.exp(1j * (y * self.vectors[:, 0] + x * self.vectors[:, 1])) - self._means
        return np.moveaxis((waves @ self.amplitudes[frame].T).real, -1, 0)

    def grid(self, frame: int, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """The same at all pairs of the normalised y (n,) and x (m,): (2, n, m) float32."""
        down = np.exp(1j * np.outer(y, self.vectors[:, 0])).astype(np.complex64)
        across = np.exp(1j * np.outer(self.vectors[:, 1], x)).astype(np.complex64)
        still = self.amplitudes[frame] @ self._means
        return np.stack(
            [
                ((down * a.astype(np.complex64)) @ across).real - np.float32(mean.real)
                for a, mean in zip(self.amplitudes[frame], still, strict=True)
            ]
        )

    @property
    def _means(self) -> np.ndarray:
        return np.sinc(self.vectors / np.pi).prod(axis=1)


@dataclass(frozen=True)
class Track:
    """Motion of one movie.

    Attributes
    ----------
    path : array (frames, SUBFRAMES, 2)
        Displacement as y, x in px within each frame, relative to the mean of the first frame.
    coefficients : array (2, 5)
        Local motion as y, x in px: weights of the terms x, y, x² − 1/3, xy, y² − 1/3 with x and y from −1 to 1.
    growth : array (frames,)
        Factor of the local motion in each frame, 0 in the first and about 1 in the last.
    waves : Waves, optional
        Local motion in place of `coefficients`, which are then 0.
    """

    path: np.ndarray
    coefficients: np.ndarray
    growth: np.ndarray
    waves: Waves | None = None

    @property
    def shifts(self) -> np.ndarray:
        """Mean displacement of the content of each frame relative to the first: (frames, 2) as y, x, px."""
        return self.path.mean(axis=1)

    @property
    def moves_locally(self) -> bool:
        return self.waves is not None or bool(np.any(self.coefficients))

    @property
    def reach(self) -> float:
        """No content moves farther than this, px."""
        local = 4 * np.abs(self.coefficients).max()
        if self.waves is not None:
            local = 2 * np.abs(self.waves.amplitudes).sum(axis=-1).max()
        return float(np.abs(self.path).max() + local)

    def local(self, frame: int, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Displacement in px at the normalised positions y, x (−1 to 1), whole-frame shift excluded: (2, …)."""
        if self.waves is not None:
            return self.waves.at(frame, y, x)
        terms = np.stack(np.broadcast_arrays(x, y, x * x - 1 / 3, x * y, y * y - 1 / 3))
        return self.growth[frame] * np.tensordot(self.coefficients, terms, axes=1)

    def grid(self, frame: int, shape: tuple[int, int]) -> np.ndarray:
        """`local` at every pixel of a frame of `shape`: (2, height, width) float32."""
        y, x = (np.linspace(-1, 1, n, dtype=np.float32) for n in shape)
        if self.waves is not None:
            return self.waves.grid(frame, y, x)
        c, third = (self.growth[frame] * self.coefficients).astype(np.float32), np.float32(1 / 3)
        down = [c[:, 1:2] * y + c[:, 4:5] * (y * y - third), c[:, 3:4] * y]
        across = c[:, :1] * x + c[:, 2:3] * (x * x - third)
        return down[0][:, :, None] + across[:, None, :] + down[1][:, :, None] * x


def record(track: Track) -> dict[str, list] | None:
    """The local motion as a truth file holds it, for `recorded`; None where nothing moves beside the whole frame."""
    if not track.moves_locally:
        return None
    if track.waves is None:
        kept = {"coefficients": track.coefficients, "growth": track.growth}
    else:
        amplitudes = track.waves.amplitudes
        kept = {"vectors": track.waves.vectors, "real": amplitudes.real, "imaginary": amplitudes.imag}
    return {name: np.round(values, 5).tolist() for name, values in kept.items()}


def recorded(shifts: np.ndarray, local: Mapping[str, list] | None) -> Track:
    """The motion that a truth file tells: `shifts` (frames, 2) and what `record` made of the rest."""
    path = np.asarray(shifts, float)[:, None]
    frames, local = len(path), local or {}
    still = np.zeros((2, 5))
    if "vectors" in local:
        amplitudes = np.asarray(local["real"]) + 1j * np.asarray(local["imaginary"])
        return Track(path, still, np.zeros(frames), Waves(np.asarray(local["vectors"]), amplitudes))
    return Track(path, np.asarray(local.get("coefficients", still)), np.asarray(local.get("growth", np.zeros(frames))))


def draw(
    frames: int, dose_per_frame: float, drift: float, jitter: float, local: float, rng: np.random.Generator
) -> Track:
    """Draw a movie's motion.

    Parameters
    ----------
    drift : float
        Distance between the content of the first and of the last frame without jitter, px.
    jitter : float
        Standard deviation, along each axis, of the random step from frame to frame, px.
    local : float
        Root mean square over the field of the local displacement (2-D) in the last frame, px.
    """
    t = np.arange(frames)[:, None] + (np.arange(SUBFRAMES) + 0.5) / SUBFRAMES
    first, second = rng.uniform(0, 2 * np.pi, 2)
    settle = rng.uniform(3.0, 6.0) / dose_per_frame
    course = (1 - np.exp(-t / settle))[..., None] * [np.sin(first), np.cos(first)]
    course = course + (0.15 * t / frames)[..., None] * [np.sin(second), np.cos(second)]
    walk = np.concatenate([np.zeros((1, 2)), jitter * rng.standard_normal((frames, 2)).cumsum(axis=0)])
    length = np.linalg.norm(course[-1].mean(axis=0) - course[0].mean(axis=0))
    path = course * (drift / length if frames > 1 else 0.0)
    path = path + np.stack([np.interp(t, np.arange(frames + 1), w) for w in walk.T], axis=-1)
    path -= path[0].mean(axis=0)

    grown = 1 - np.exp(-t.mean(axis=1) * dose_per_frame / 4.0)
    growth = (grown - grown[0]) / (grown[-1] - grown[0]) if frames > 1 else np.zeros(1)
    coefficients = rng.standard_normal((2, 5))
    power = np.square(coefficients).sum(axis=0) @ [1 / 3, 1 / 3, 4 / 45, 1 / 9, 4 / 45]
    return Track(path, coefficients * (local / np.sqrt(power)), growth)


def ripple(
    track: Track, dose_per_frame: float, local: float, waves: int, blur: float, rng: np.random.Generator
) -> Track:
    """Make a motion harder.

    Parameters
    ----------
    local : float
        Root mean square over the field of the local displacement (2-D) in the last frame, px.
    waves : int
        Of which the local motion is then made; 0 leaves it as it is.
    blur : float
        Factor of the motion within each frame about its mean, which stays.
    """
    middle = track.path.mean(axis=1, keepdims=True)
    track = replace(track, path=middle + blur * (track.path - middle)) if blur != 1 else track
    if not (waves and local):
        return track
    frames = len(track.path)
    dose = (np.arange(frames) + 0.5) * dose_per_frame
    length, turn = rng.uniform(0.5 * np.pi, 1.25 * np.pi, waves), rng.uniform(0, 2 * np.pi, waves)
    vectors = length[:, None] * np.column_stack([np.sin(turn), np.cos(turn)])
    settling = 1 - np.exp(-dose[:, None] / np.exp(rng.uniform(0, np.log(25), waves)))
    moment, suddenness = rng.uniform(0.1, 0.7, waves) * dose[-1], rng.uniform(0.5, 3.0, waves)
    slip = 1 / (1 + np.exp(-(dose[:, None] - moment) / suddenness))
    course = np.where(np.arange(waves) % 3 == 2, slip, settling)
    course = course - course[0]
    weights = rng.standard_normal((2, 2, waves)) / length
    amplitudes = course[:, None] * (weights[0] + 1j * weights[1])
    places = np.linspace(-1, 1, 33)
    field = Waves(vectors, amplitudes).at(frames - 1, places[:, None], places)
    scale = local / max(float(np.sqrt(np.square(field).sum(axis=0).mean())), 1e-9) if frames > 1 else 0.0
    still = np.zeros_like(track.coefficients)
    return replace(track, coefficients=still, waves=Waves(vectors, amplitudes * scale))
