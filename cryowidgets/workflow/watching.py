"""What a workflow document says of its sessions' monitors, and of who is told by them.

Monitors are named with the values that are otherwise than by default, or false where they are off. Channels are named
alone: addresses and passwords stand in a file of the site, see `monitors.channels`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cryowidgets import plugins
from cryowidgets.errors import PluginError
from cryowidgets.workflow.checks import near


def faults(monitors: Mapping[str, Any], channels: list[Any]) -> list[str]:
    """All that is wrong with them, a sentence each; what is no name of a channel is not repeated.

    Monitors are those that are installed here, and so are their parameters.
    """
    found, installed = [], plugins.installed(plugins.MONITORS)
    for name, values in monitors.items():
        if name not in installed:
            known = near(name, installed) or f"; installed: {', '.join(sorted(installed))}"
            found.append(f"no monitor {name!r} is installed{known}")
        elif values is False:
            continue
        elif not isinstance(values, dict):
            found.append(f"monitor {name!r}: write an object with its values, or false to have it off")
        else:
            try:
                wrong = plugins.load(installed[name]).faults(values)
            except PluginError as error:
                found.append(f"monitor {name!r}: {error}")
                continue
            found += [f"monitor {name!r}: {said}" for said in wrong.values()]
    for number, channel in enumerate(channels, 1):
        if not isinstance(channel, str) or not channel.strip() or "://" in channel or "@" in channel:
            found.append(
                f"channel {number} is no name of a channel: write one of the site's alerts.toml, which keeps addresses "
                "and passwords"
            )
    return found
