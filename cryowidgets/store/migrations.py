"""Projects of earlier versions: a ledger that lacks what the present model has gets it, once, by the one who writes.

What is missing is not written down step by step but found by comparison with `schema.sql` and the kinds of `model.py`,
as what is to do is: so it makes no difference by which version, or plug-in, a project was made. A new column has the
default of its field in old rows. The number of the format is raised when an older program must not write any more;
columns alone do not need that, since an older program leaves them at their defaults.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable
from contextlib import closing
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from cryowidgets.errors import ProjectError
from cryowidgets.model import Item
from cryowidgets.store import rows

SCHEMA = 2
"""Format of the ledgers that this version makes, and the newest that it knows."""


def check(db: sqlite3.Connection, file: Path) -> int:
    """The format of a ledger that this version can read.

    Raises
    ------
    ProjectError
        It was made by a newer version, or is no ledger.
    """
    found = db.execute("PRAGMA user_version").fetchone()[0]
    if found < 1:
        raise ProjectError(f"{file} has no format number: it is not the ledger of a project. Choose another folder.")
    if found > SCHEMA:
        maker = db.execute("SELECT value FROM project WHERE key = 'program'").fetchone()
        who = f"cryowidgets {maker[0]}" if maker else "a newer version of cryowidgets"
        raise ProjectError(
            f"{file} has format {found}, written by {who}; this is cryowidgets {version('cryowidgets')}, which knows "
            f"formats up to {SCHEMA}. Open it with {who if maker else 'that version'} or a later one."
        )
    return found


def upgrade(db: sqlite3.Connection, file: Path) -> str:
    """Add to a ledger what it lacks: all or nothing. Hold the project's `WriterLock`.

    A copy of the ledger as it was is left beside it, as ``project.sqlite.v1.bak``, where 1 is the format it had.

    Parameters
    ----------
    db : sqlite3.Connection
        Opened for writing, with no transaction under way.
    file : Path
        The same ledger.

    Returns
    -------
    str
        What was done, in a sentence, as it stands in the log; empty where nothing was missing.

    Raises
    ------
    ProjectError
        It is of a newer version, or cannot be changed: then it is as it was.
    """
    before = check(db, file)
    missing = _missing(db)
    if before == SCHEMA and not missing:
        return ""
    try:
        copy = _copy(db, file, before)
        db.execute("BEGIN IMMEDIATE")
        try:
            for _, statement in missing:
                db.execute(statement)
            said = _said(before, [what for what, _ in missing if what], copy.name)
            db.execute("INSERT INTO event (time, kind, text) VALUES (?, 'upgrade', ?)", (time.time(), said))
            sign(db)
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")
    except sqlite3.Error as error:
        raise ProjectError(
            f"{file} has format {before} and could not be brought to format {SCHEMA}: {error}. It is as it was; see "
            "that the disk has room for a second copy of it and try again."
        ) from None
    return said


def make(db: sqlite3.Connection) -> None:
    """Make the tables of an empty ledger."""
    db.executescript(f"BEGIN;\n{_schema()}\nCOMMIT;")  # at once: each statement for itself waits for the disk
    sign(db)


def sign(db: sqlite3.Connection) -> None:
    """Write down the format, and which version wrote it."""
    sql = "INSERT INTO project VALUES ('program', ?) ON CONFLICT DO UPDATE SET value = excluded.value"
    db.execute(sql, (version("cryowidgets"),))
    db.execute(f"PRAGMA user_version = {SCHEMA}")


_CONTENTS = {"made": "INSERT INTO made SELECT step, version, count(*) FROM task WHERE state = 'done' GROUP BY 1, 2"}
"""What a new table holds of that which was there before it."""


def _missing(db: sqlite3.Connection) -> list[tuple[str, str]]:
    """What a ledger lacks: each in words, empty for what nobody sees, and the statement that adds it."""
    found: list[tuple[str, str]] = []
    there = _objects(db)
    with closing(sqlite3.connect(":memory:")) as model:
        model.executescript(_schema())
        wanted = _objects(model)
        for (kind, name), sql in wanted.items():
            if kind != "table":
                continue
            if ("table", name) not in there:
                found.append((name, sql))
                found += [("", _CONTENTS[name])] if name in _CONTENTS else []
                continue
            present = columns(db, name)
            for _, column, type, needed, default, _ in model.execute(f'PRAGMA table_info("{name}")'):
                if column not in present:
                    value = rows.optics_default(column) if name == "optics" and default is None else default
                    rest = "" if value is None else f"{' NOT NULL' if needed else ''} DEFAULT {value}"
                    found.append((f"{name}.{column}", f'ALTER TABLE "{name}" ADD COLUMN "{column}" {type}{rest}'))
    for item in Item.kinds.values():
        if ("table", item.word()) in there:
            found += [
                (f"{item.word()}.{name}", f'ALTER TABLE {item.table()} ADD COLUMN "{name}" {declared}')
                for name, declared in lacking(db, item).items()
            ]
    for kind in ("view", "index", "trigger"):
        for (k, name), sql in wanted.items():
            if k == kind and there.get((k, name)) != sql:
                found += [("", f'DROP {kind} IF EXISTS "{name}"'), ("", sql)]
    return found


def lacking(db: sqlite3.Connection, kind: type[Item]) -> dict[str, str]:
    """Columns of a kind that its table does not have, and how each is declared."""
    present = columns(db, kind.word())
    return {name: declared for name, declared in rows.declarations(kind).items() if name not in present}


def columns(db: sqlite3.Connection, table: str) -> set[str]:
    """Names of the columns of a table; none where there is no such table."""
    return {row[1] for row in db.execute(f'PRAGMA table_info("{table}")')}


def _objects(db: sqlite3.Connection) -> dict[tuple[str, str], str]:
    """SQL of all that was made on purpose, by type and name; SQLite's own indexes have none."""
    found = db.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'")
    return {(type, name): sql for type, name, sql in found}


def _schema() -> str:
    return files("cryowidgets.store").joinpath("schema.sql").read_text()


def _copy(db: sqlite3.Connection, file: Path, before: int) -> Path:
    """A whole copy under a name that none had before, also where one died while making it."""
    names = (f"{file.name}.v{before}{f'-{n}' if n > 1 else ''}.bak" for n in range(1, 10**6))
    copy = next(file.with_name(name) for name in names if not file.with_name(name).exists())
    half = copy.with_name(f"{copy.name}.making")
    half.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(half)) as target:
            db.backup(target)
        half.rename(copy)
    except OSError as error:
        raise sqlite3.OperationalError(f"no copy can be made: {error.strerror}") from None
    finally:
        half.unlink(missing_ok=True)
    return copy


def _said(before: int, what: Iterable[str], copy: str) -> str:
    shown = ", ".join(what)
    return (
        f"the project was brought from format {before} to format {SCHEMA} of cryowidgets {version('cryowidgets')}; "
        f"{f'added {shown}; ' if shown else ''}as it was it stays in {copy}"
    )
