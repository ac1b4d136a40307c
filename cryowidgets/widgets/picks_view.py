"""`PicksView`: a micrograph with its picks, and two sliders that say at once what a cut would leave of them.

Scores and powers of the last micrographs are sent to a page once, each when it comes; whatever a person does with the
sliders needs no answer from here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from traitlets import Float

from cryowidgets.widgets.micrograph_view import MicrographView, as_floats
from cryowidgets.widgets.part import esm, finite
from cryowidgets.widgets.picks_data import Worth

LAYERS = ("slider.js", "picture.js", "bounds.js", "micrograph.js", "picks_layer.js")
"""What a view of picks is made of, but for the file that draws it."""


@dataclass(frozen=True)
class PicksCut:
    """What picks are kept; None where there is no limit."""

    score_min: float | None = None
    power_min: float | None = None
    power_max: float | None = None

    def say(self) -> str:
        """In words, for the person who is to apply it."""
        parts = [] if self.score_min is None else [f"score ≥ {self.score_min:g}"]
        if self.power_min is not None and self.power_max is not None:
            parts.append(f"local power {self.power_min:g} – {self.power_max:g}")
        elif self.power_min is not None or self.power_max is not None:
            sign, value = ("≤", self.power_max) if self.power_min is None else ("≥", self.power_min)
            parts.append(f"local power {sign} {value:g}")
        return ", ".join(parts) or "all picks"


class PicksView(MicrographView):
    """As a view of a micrograph, with histograms beside it whose handles cut picks.

    Parameters
    ----------
    nothing, wake, step
        As of a view of a micrograph.
    moved : callable
        Called with the `PicksCut` that a person has let go of.
    """

    _esm = esm(*LAYERS, "picks_view.js")

    size = Float(help="diameter in Å to be shown at the mouse where there are no picks yet; 0 for none").tag(sync=True)

    def __init__(
        self,
        nothing: str,
        wake: Callable[[], None],
        step: Callable[[int], None],
        moved: Callable[[PicksCut], None] = lambda cut: None,
    ) -> None:
        self._moved = moved
        self._about = ""
        self._applied = PicksCut()
        self._worth: dict[int, Worth] = {}
        super().__init__(nothing, wake, step)

    def cut(self, step: str, applied: PicksCut) -> None:
        """Say what is in force for the picks of a step: a page begins with it, and keeps what a person moves."""
        if (step, applied) == (self._about, self._applied):
            return
        self._about, self._applied = step, applied
        if self._watched:
            self._say_cut()

    def compare(self, worth: dict[int, Worth]) -> None:
        """Reckon with these micrographs, by exposure; only what is new of them is sent."""
        before, self._worth = self._worth, dict(worth)
        if not self._watched:
            return
        fresh = {id: one for id, one in worth.items() if id not in before or before[id].row != one.row}
        gone = [id for id in before if id not in worth]
        if fresh or gone:
            self._say_worth(fresh, gone, not before)

    def _say_cut(self) -> None:
        cut = self._applied
        limits = {"score_min": cut.score_min, "power_min": cut.power_min, "power_max": cut.power_max}
        self.send({"type": "cut", "step": self._about, **limits})

    def _say_worth(self, worth: dict[int, Worth], gone: list[int], all: bool) -> None:
        nothing = [np.zeros(0, np.float32)]
        columns = [[one.scores for one in worth.values()], [one.powers for one in worth.values()]]
        message = {"type": "recent", "all": all, "gone": gone, "ids": list(worth)}
        message["counts"] = [len(one.scores) for one in worth.values()]
        self.send(message, buffers=[as_floats(np.concatenate(column or nothing)) for column in columns])

    def _receive(self, message: dict) -> None:
        super()._receive(message)
        kind = message.get("type")
        if kind == "need":
            self._say_cut()
            self._say_worth(self._worth, [], True)
        elif kind == "cut" and message.get("step") == self._about:
            found = _limits(message)
            if found is not None:
                self._moved(found)


def _limits(message: dict[str, Any]) -> PicksCut | None:
    """What a page has sent, where it is a cut."""
    values = [message.get(name) for name in ("score_min", "power_min", "power_max")]
    if not all(value is None or finite(value, most=1e6) for value in values):
        return None
    score, low, high = (None if value is None else float(value) for value in values)
    if any(value is not None and value < 0 for value in (low, high)):
        return None
    return PicksCut(score, low, high) if low is None or high is None or low <= high else None
