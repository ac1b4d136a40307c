"""`Cards`: a list to choose from, in groups, each choice with its description."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass

from traitlets import List, Unicode

from cryowidgets.widgets.part import Part, esm


@dataclass(frozen=True)
class Card:
    """A choice: what it is called, what it is, where it comes from, and why it cannot be chosen where it cannot."""

    id: str
    title: str
    group: str = ""
    text: str = ""
    origin: str = ""
    fault: str = ""


class Cards(Part):
    """Choices below the names of their groups, by click or arrow key; what cannot be used is grey and says why.

    Parameters
    ----------
    chosen : callable
        Called with the id that a person chose.
    label : str
        What is chosen, for those who hear a page.
    empty : str
        What to say where there is nothing to choose.
    """

    _esm = esm("cards.js")

    cards = List().tag(sync=True)
    shown = Unicode(help="Id of the choice; empty for none").tag(sync=True)
    label = Unicode().tag(sync=True)
    empty = Unicode().tag(sync=True)

    def __init__(self, chosen: Callable[[str], None], label: str, empty: str = "nothing here yet") -> None:
        self._chosen = chosen
        super().__init__(label=label, empty=empty)

    def fill(self, cards: Iterable[Card]) -> None:
        """The choices that there are, groups in the order of their first card."""
        found = [asdict(card) for card in cards]
        if found != self.cards:
            self.cards = found

    def choose(self, id: str) -> None:
        """Choose one of the cards; one that cannot be used changes nothing."""
        if any(card["id"] == id and not card["fault"] for card in self.cards) and id != self.shown:
            self.shown = id
            self._chosen(id)

    def _receive(self, message: dict) -> None:
        if message.get("type") == "tap" and isinstance(message.get("id"), str):
            self.choose(message["id"])
