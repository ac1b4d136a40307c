"""The tabs of a session's page: which there are, and the one in view, whatever is wrong with any of them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ipywidgets as W

from cryowidgets import plugins
from cryowidgets.errors import PluginError
from cryowidgets.plugins import Plugin
from cryowidgets.store.database import Step
from cryowidgets.store.queries import Reader
from cryowidgets.widgets import texts
from cryowidgets.widgets.page import Page, Tab
from cryowidgets.widgets.tabs import Tabs
from cryowidgets.widgets.window import box, put, show_if

log = logging.getLogger(__name__)


@dataclass
class Offer:
    """A line of the entry point group ``cryowidgets.tabs``."""

    plugin: Plugin
    kind: type[Tab] | None
    title: str
    place: int
    fault: str = ""
    """Why it cannot be used."""

    def fits(self, steps: Mapping[str, Step]) -> bool:
        """One that is broken is shown, so that somebody sees why."""
        if self.kind is None or self.fault:
            return True
        try:
            return bool(self.kind.fits(steps))
        except Exception as error:
            log.exception("%s", self.plugin)
            self.fault = f"{plugins.capital(self.plugin)} cannot say whether it fits: {type(error).__name__}."
            return True


class TabRow(W.Box):
    """A row of names and, below, the tab that was chosen; the others are not made before somebody wants them.

    Parameters
    ----------
    page : Page
    """

    def __init__(self, page: Page) -> None:
        self._page = page
        self._offers = {offer.title: offer for offer in offers()}
        self.made: dict[str, Tab] = {}
        """Tabs by their title, as far as somebody has looked at them."""
        self._places: dict[str, W.Box] = {}
        self._words: dict[str, W.HTML] = {}
        self.names = Tabs(list(self._offers)[:1], lambda _: self._open(), "What is shown of the session")
        self._room = box([], "cw-tab-room")
        super().__init__([self.names, self._room])
        self.add_class("cw-tab-row")

    @property
    def shown(self) -> str:
        """Title of the tab in view."""
        return self.names.shown

    def go(self, title: str) -> None:
        """Show a tab; nothing happens where it is not there."""
        self.names.choose(title)

    def has(self, title: str) -> bool:
        return title in self.names.names

    def refresh(self, reader: Reader) -> None:
        """Refresh the tab in view, and which there are."""
        steps = reader.steps()
        fitting = [title for title, offer in self._offers.items() if offer.fits(steps)]
        if fitting != self.names.names:
            with self.names.hold_sync():
                self.names.names = fitting
                if self.names.shown not in fitting and fitting:
                    self.names.shown = fitting[0]
        title = self.names.shown
        if title not in self._offers:
            return
        self._refresh(self._offers[title], reader)

    def tab(self, title: str) -> Tab:
        """The tab of a title, made where nobody has looked at it yet. Raises whatever its making raises."""
        if title not in self.made:
            kind = self._offers[title].kind
            assert kind is not None
            tab = self.made[title] = kind(self._page)
            place = self._place(title)
            place.children = [*place.children, tab]
        return self.made[title]

    def _refresh(self, offer: Offer, reader: Reader) -> None:
        said = offer.fault
        self._place(offer.title)
        if not said:
            try:
                self.tab(offer.title).refresh(reader)
            except Exception as error:  # what is wrong with one tab must not touch the rest of the page
                log.exception("%s", offer.plugin)
                said = f"{plugins.capital(offer.plugin)} cannot be shown: {type(error).__name__}"
                said += f": {error}." if self._page.control else "."  # an error may name paths
        put(self._words[offer.title], _fault(said) if said else "")

    def _place(self, title: str) -> W.Box:
        if title not in self._places:
            self._words[title] = W.HTML()
            self._places[title] = box([self._words[title]], "cw-tab-place")
            self._room.children = [*self._room.children, self._places[title]]
            self._show()
        return self._places[title]

    def _open(self) -> None:
        self._show()
        self._page.wake()

    def _show(self) -> None:
        for title, place in self._places.items():
            show_if(place, title == self.names.shown)


def offers() -> list[Offer]:
    """All tabs that are installed, in the order of their places; the broken ones last."""
    made = []
    for plugin in plugins.installed(plugins.TABS).values():
        try:
            kind = plugins.load(plugin, fault)
        except PluginError as error:
            made.append(Offer(plugin, None, plugin.name, 1000, str(error)))
        else:
            made.append(Offer(plugin, kind, kind.title, kind.place))
    made.sort(key=lambda offer: (offer.place, offer.plugin.package != plugins.OURS, offer.title))
    titles: set[str] = set()
    for offer in made:
        if offer.title in titles:
            offer.title = f"{offer.title} ({offer.plugin.package})"
        titles.add(offer.title)
    return made


def fault(found: Any) -> str:
    """Why something is no tab; empty where it is one."""
    if not (isinstance(found, type) and issubclass(found, Tab)):
        return "its line names something that is not derived from cryowidgets.widgets.page.Tab."
    if not isinstance(found.title, str) or not found.title.strip():
        return f'{found.__name__} has no title: write title = "…" in the class.'
    if not isinstance(found.place, int):
        return f"the place of {found.__name__} is {found.place!r}: write a whole number, as 35."
    return ""


def _fault(sentence: str) -> str:
    return f"<p class='cw-failed cw-tab-fault' role='alert'>{texts.safe(sentence)}</p>"
