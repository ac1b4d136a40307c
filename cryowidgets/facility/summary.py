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
    )


def cells(summaries: Sequence[Summary], raw: bool = False) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the table, with numbers that one of the sessions has; `raw` as files have them, not people."""
    keys = [key for key in SHOWN if any(key in s.medians for s in summaries)]
    head = ["session", "state", "movies", "done", "failed", "rejected", "accepted"]
    head += [_label(key) for key in keys]
    head += ["task time (s)" if raw else "task time"]
    rows = []
    for s in summaries:
        medians = [s.medians.get(key, float("nan")) for key in keys]
        if raw:
            texts = ["" if m != m else f"{m * METRICS[k].factor:.6g}" for k, m in zip(keys, medians, strict=True)]
        else:
            texts = [METRICS[key].text(m, unit=False) for key, m in zip(keys, medians, strict=True)]
        counts = [str(n) for n in (s.movies, s.done, s.failed, s.rejected, s.accepted)]
        cost = f"{s.seconds:.1f}" if raw else spell(s.seconds)
        rows.append([s.name, s.state, *counts, *texts, cost])
    return head, rows


def write_csv(path: Path | str, summaries: Sequence[Summary], more: dict[str, Sequence[object]] | None = None) -> None:
    """The table as CSV; `more` are columns that the caller has, by name."""
    head, rows = cells(summaries, raw=True)
    more = {"folder": [s.folder for s in summaries], **(more or {})}
    path = Path(path)
    half = path.with_name(f".{path.name}.making")
    with open(half, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*head, *more])
        writer.writerows([*row, *extra] for row, extra in zip(rows, zip(*more.values(), strict=True), strict=True))
    os.replace(half, path)


def write_html(
    path: Path | str, summaries: Sequence[Summary], title: str, more: dict[str, Sequence[object]] | None = None
) -> None:
    """The table as a page that needs nothing else; names lead to the executed notebooks beside them."""
    head, rows = cells(summaries)
    more = more or {}
    extra = list(zip(*more.values(), strict=True)) if more else [()] * len(rows)
    path = Path(path)
    lines = []
    for summary, row, last in zip(summaries, rows, extra, strict=True):
        record = summary.folder / "batch.ipynb"
        name = html.escape(row[0])
        if record.is_file():
            name = f'<a href="{html.escape(os.path.relpath(record, path.parent))}">{name}</a>'
        rest = "".join(f"<td>{html.escape(str(text))}</td>" for text in [*row[1:], *last])
        lines.append(f'<tr><th scope="row">{name}</th>{rest}</tr>')
    columns = "".join(f'<th scope="col">{html.escape(text)}</th>' for text in [*head, *more])
    said = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    page = _PAGE.format(title=html.escape(title), head=columns, rows="\n".join(lines), said=said)
    half = path.with_name(f".{path.name}.making")
    half.write_text(page, encoding="utf-8")
    os.replace(half, path)


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
body {{ font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; padding: 0 1.5rem; max-width: 90rem; }}
h1 {{ font-size: 1.35rem; margin: 0 0 .3rem; }}
p {{ margin: 0 0 1.2rem; opacity: .75; }}
div {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
th, td {{ padding: .35rem .75rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }}
thead th {{ font-weight: 600; vertical-align: bottom; white-space: normal; }}
th:first-child, td:nth-child(2), td:last-child {{ text-align: left; }}
tbody tr:nth-child(even) {{ background: var(--soft); }}
</style>
</head>
<body>
<h1>{title}</h1>
<p>Medians are of what was accepted. Task time is what all tasks took one after another. Written {said}.</p>
<div><table>
<thead><tr>{head}</tr></thead>
<tbody>
{rows}
</tbody>
</table></div>
</body>
</html>
"""
