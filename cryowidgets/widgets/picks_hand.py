"""`PicksByHand`: a view of picks for the person who controls the session, who may add, move and remove some."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from traitlets import Bool, Unicode

from cryowidgets.widgets.part import esm, finite
from cryowidgets.widgets.picks_view import LAYERS, PicksCut, PicksView

MOST = 5000
"""Picks that a person may add to, or remove from, one micrograph before saving them."""
DRAFTS = 200
"""Micrographs with unsaved picks at most."""
NEWEST = 2**53 - 1
"""Number of a word that no page takes for an old one."""

Places = list[list[float]]
"""y and x in px of a micrograph."""


@dataclass
class Draft:
    """What a person has changed on one micrograph."""

    add: Places = field(default_factory=list)
    remove: Places = field(default_factory=list)
    sent_add: Places = field(default_factory=list)
    """saved, and on its way to the picks"""
    sent_remove: Places = field(default_factory=list)
    heard: int = 0
    """number of the newest word of a page about it: what it has said since, it knows better"""

    @property
    def open(self) -> int:
        """Changes that are not saved."""
        return len(self.add) + len(self.remove)

    @property
    def empty(self) -> bool:
        return not (self.add or self.remove or self.sent_add or self.sent_remove)


class PicksByHand(PicksView):
    """As a view of picks, with tools to change them.

    What is not saved stays, for each micrograph, until it is saved or discarded: a page that is drawn again gets it,
    and one that is loaded anew, with another kernel, has it from its browser.

    Parameters
    ----------
    nothing, wake, step, moved
        As of a view of picks.
    changed : callable
        Called with the id of an exposure after a person has changed its picks.
    saved : callable
        Called with an exposure and its `Draft` where a person wants it saved.
    asked : callable
        Called where a person wants to see the picks that can be changed.
    """

    _esm = esm(*LAYERS, "picks_kept.js", "picks_hand.js")

    hand = Unicode(help="the step that takes picks by hand; empty where there is none").tag(sync=True)
    keep = Unicode(help="the session, as a name under which the browser keeps what is not saved").tag(sync=True)
    allowed = Bool(help="whether it is the one shown").tag(sync=True)

    def __init__(
        self,
        nothing: str,
        wake: Callable[[], None],
        step: Callable[[int], None],
        moved: Callable[[PicksCut], None],
        changed: Callable[[int], None],
        saved: Callable[[int, Draft], None],
        asked: Callable[[], None],
    ) -> None:
        self._changed, self._saved, self._asked = changed, saved, asked
        self.drafts: dict[int, Draft] = {}
        """By exposure."""
        super().__init__(nothing, wake, step, moved)

    def sent(self, exposure: int) -> None:
        """What was open of an exposure is on its way."""
        draft = self.drafts[exposure]
        draft.sent_add, draft.sent_remove = draft.sent_add + draft.add, draft.sent_remove + draft.remove
        draft.add, draft.remove = [], []
        self._say_drafts([exposure])

    def arrived(self, exposure: int) -> None:
        """What was on its way is among the picks now."""
        draft = self.drafts.get(exposure)
        if draft is not None:
            draft.sent_add, draft.sent_remove = [], []
            self._say_drafts([exposure])
            if draft.empty:
                del self.drafts[exposure]

    def refused(self, exposure: int) -> None:
        """What was to be sent was not taken: it is open again."""
        draft = self.drafts.get(exposure)
        if draft is not None:
            draft.add, draft.remove = draft.sent_add + draft.add, draft.sent_remove + draft.remove
            draft.sent_add, draft.sent_remove = [], []
            draft.heard = NEWEST
            self._say_drafts([exposure])

    def _say_drafts(self, exposures: list[int]) -> None:
        drafts = [(id, self.drafts[id]) for id in exposures]
        said = [
            {
                "exposure": id,
                "heard": draft.heard,
                "add": draft.add,
                "remove": draft.remove,
                "sent": {"add": draft.sent_add, "remove": draft.sent_remove},
            }
            for id, draft in drafts
        ]
        self.send({"type": "drafts", "drafts": said})

    def _receive(self, message: dict) -> None:
        super()._receive(message)
        kind, exposure = message.get("type"), message.get("exposure")
        if kind == "need":
            self._say_drafts(list(self.drafts))
        elif kind == "hand":
            self._asked()
        elif type(exposure) is not int or not 0 < exposure < 2**53:
            return
        elif kind == "draft":
            add, remove = _places(message.get("add")), _places(message.get("remove"))
            if add is None or remove is None or (exposure not in self.drafts and len(self.drafts) >= DRAFTS):
                return
            draft = self.drafts.setdefault(exposure, Draft())
            draft.add, draft.remove, draft.heard = add, remove, _number(message)
            if draft.empty:
                del self.drafts[exposure]
            self._changed(exposure)
        elif kind == "save" and exposure in self.drafts and self.drafts[exposure].open:
            self.drafts[exposure].heard = _number(message)
            self._saved(exposure, self.drafts[exposure])


def _number(message: dict) -> int:
    found = message.get("number")
    return found if type(found) is int and 0 <= found < NEWEST else 0


def _places(found: Any) -> Places | None:
    """Places that a page has sent; None where they are none."""
    if not isinstance(found, list) or len(found) > MOST:
        return None
    for place in found:
        if not (isinstance(place, list) and len(place) == 2 and all(finite(v, most=1e6) and v >= 0 for v in place)):
            return None
    return [[float(v) for v in place] for place in found]
