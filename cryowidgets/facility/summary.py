"""Sessions side by side in one table: how many movies, what became of them, how good they are, what they cost."""

from __future__ import annotations

import csv
import html
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cryowidgets.facility.placing import whole
from cryowidgets.store.metrics import METRICS
from cryowidgets.store.nodes import spell
from cryowidgets.store.overview import Overview
from cryowidgets.store.queries import Reader

SHOWN = ("drift", "early", "defocus", "astigmatism", "resolution", "ice", "quality", "picks", "particles")
"""Numbers whose medians are told, where the workflow measures them."""


@dataclass(frozen=True)
class Summary:
    """One session in figures."""

    name: str
    folder: Path
    state: str
    """finished, waiting (something is still to do), or running"""
    movies: int
    done: int
    failed: int
    """movies of which at least one task failed for good"""
    rejected: int
    accepted: int
    """done, not rejected, within the thresholds of the session"""
    seconds: float
    """that its tasks took, one after another"""
    medians: dict[str, float] = field(default_factory=dict)
    """of what was accepted, in the ledger's units; by metric"""
    params: dict[str, str] = field(default_factory=dict)
    """parameters of all steps but the import, by ``step.name``"""


def summarize(reader: Reader) -> Summary:
    """The figures of a session."""
    overview = Overview()
    overview.refresh(reader)
    good = overview.accepted(reader.thresholds())
    medians = {}
    for key in SHOWN:
        if key in overview.metrics:
            values = overview.values[key][good]
            values = values[np.isfinite(values)]
            medians[key] = float(np.median(values)) if len(values) else float("nan")
    head = reader.session()
    alive = head.engine is not None and head.engine.alive
    ended = head.stream == "closed" and all(s.state in ("finished", "failed") for s in reader.steps().values())
    seconds = reader.query("SELECT total(finished - started) FROM task WHERE started IS NOT NULL")[0][0]
    return Summary(
        name=head.name,
        folder=reader.folder,
        state="running" if alive else "finished" if ended else "waiting",
        movies=head.found,
        done=head.done,
        failed=len({failure.name for failure in reader.failures()}),
        rejected=head.rejected,
        accepted=int(np.count_nonzero(good)),
        seconds=seconds,
        medians=medians,
        params={
            f"{step.name}.{name}": _spelled(value)
            for step in reader.steps().values()
            if step.inputs
            for name, value in step.params.items()
        },
    )


def cells(summaries: Sequence[Summary], raw: bool = False) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the table, with numbers that one of the sessions has; `raw` as files have them, not people.

    Parameters that are not the same in all sessions stand behind the names.
    """
    keys, varied = _keys(summaries), _varied(summaries)
    head = ["session", *varied, "state", "movies", "done", "failed", "rejected", "accepted", *map(_label, keys)]
    head.append("task time (s)" if raw else "task time")
    rows = []
    for s in summaries:
        medians = [s.medians.get(key, float("nan")) for key in keys]
        if raw:
            texts = ["" if m != m else f"{m * METRICS[k].factor:.6g}" for k, m in zip(keys, medians, strict=True)]
        else:
            texts = [METRICS[key].text(m, unit=False) for key, m in zip(keys, medians, strict=True)]
        counts = [str(n) for n in (s.movies, s.done, s.failed, s.rejected, s.accepted)]
        values = [s.params.get(name, "") for name in varied]
        rows.append([s.name, *values, s.state, *counts, *texts, f"{s.seconds:.1f}" if raw else spell(s.seconds)])
    return head, rows


def write_csv(path: Path | str, summaries: Sequence[Summary], more: dict[str, Sequence[object]] | None = None) -> None:
    """The table as CSV; `more` are columns that the caller has, by name."""
    head, rows = cells(summaries, raw=True)
    more = {"folder": [s.folder for s in summaries], **(more or {})}
    with whole(Path(path)) as half, open(half, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*head, *more])
        writer.writerows([*row, *extra] for row, extra in zip(rows, zip(*more.values(), strict=True), strict=True))


def write_html(
    path: Path | str,
    summaries: Sequence[Summary],
    title: str,
    more: dict[str, Sequence[object]] | None = None,
    notes: Sequence[str] | None = None,
) -> None:
    """The table as a page that needs nothing else; names lead to the executed notebooks beside them.

    Of medians, the best is bold where they differ. `notes` are sentences on what went wrong, empty where nothing did.
    """
    head, rows = cells(summaries)
    more, path = dict(more or {}), Path(path)
    if "outcome" in more:  # says more than the state, and stands in its place
        at = head.index("state")
        head[at] = "outcome"
        for row, word in zip(rows, more.pop("outcome"), strict=True):
            row[at] = str(word)
    extra = list(zip(*more.values(), strict=True)) if more else [()] * len(rows)
    best = _best(summaries, head)
    lines = []
    for number, (summary, row, last) in enumerate(zip(summaries, rows, extra, strict=True)):
        record = summary.folder / "batch.ipynb"
        name = html.escape(row[0])
        if record.is_file():
            name = f'<a href="{html.escape(os.path.relpath(record, path.parent))}">{name}</a>'
        texts = [html.escape(str(text)) for text in [*row[1:], *last]]
        texts = [f"<b>{text}</b>" if (number, n) in best else text for n, text in enumerate(texts, 1)]
        lines.append(f'<tr><th scope="row">{name}</th>{"".join(f"<td>{text}</td>" for text in texts)}</tr>')
        if notes and notes[number]:
            said = f'<td colspan="{len(texts) + 1}">\u26a0 {html.escape(notes[number])}</td>'
            lines.append(f'<tr class="note">{said}</tr>')
    columns = "".join(f'<th scope="col">{_breaking(text)}</th>' for text in [*head, *more])
    said = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    page = _PAGE.format(title=html.escape(title), head=columns, rows="\n".join(lines), said=said)
    with whole(path) as half:
        half.write_text(page, encoding="utf-8")


def _breaking(name: str) -> str:
    """A name that may be broken where its words end, so that columns stay narrow."""
    return html.escape(name).replace(".", ".<wbr>").replace("_", "_<wbr>")


def _keys(summaries: Sequence[Summary]) -> list[str]:
    return [key for key in SHOWN if any(key in s.medians for s in summaries)]


def _varied(summaries: Sequence[Summary]) -> list[str]:
    """Parameters of which two sessions have other values; of sessions with other steps there is no telling."""
    if len({tuple(s.params) for s in summaries}) > 1:
        return []
    return [name for name in summaries[0].params if len({s.params[name] for s in summaries}) > 1]


def _best(summaries: Sequence[Summary], head: Sequence[str]) -> set[tuple[int, int]]:
    """Row and column of the best medians, as people read them."""
    found = set()
    for key in _keys(summaries):
        metric = METRICS[key]
        texts = [metric.text(s.medians.get(key, float("nan")), unit=False) for s in summaries]
        values = [s.medians.get(key, float("nan")) for s in summaries]
        known = [(v, t) for v, t in zip(values, texts, strict=True) if v == v]
        if metric.better and len({t for _, t in known}) > 1:
            winner = (min if metric.better == "low" else max)(known)[1]
            found |= {(n, head.index(_label(key))) for n, text in enumerate(texts) if text == winner}
    return found


def _spelled(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _label(key: str) -> str:
    metric = METRICS[key]
    return f"{metric.label} ({metric.unit})" if metric.unit else metric.label


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --line: #8886; --soft: #8881; }}
body {{ font: 13.5px/1.45 system-ui, sans-serif; margin: 2rem auto; padding: 0 1rem; max-width: 100rem; }}
h1 {{ font-size: 1.35rem; margin: 0 0 .3rem; }}
p {{ margin: 0 0 1.2rem; opacity: .75; }}
div {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
th, td {{ padding: .35rem .4rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }}
thead th {{ font-weight: 600; vertical-align: bottom; white-space: normal; }}
th:first-child, .note td {{ text-align: left; position: sticky; left: 0; background: Canvas; }}
tbody tr:hover td {{ background: var(--soft); }}
.note td {{ white-space: normal; border-left: 4px solid #d55e00; }}
</style>
</head>
<body>
<h1>{title}</h1>
<p>Medians are of what was accepted; the best is bold. Task time is what all tasks took one after another.
Written {said}.</p>
<div><table>
<thead><tr>{head}</tr></thead>
<tbody>
{rows}
</tbody>
</table></div>
</body>
</html>
"""
