"""STAR files as RELION (3.1 and later) writes and reads them."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cryowidgets.errors import InputError

Block = Mapping[str, Any]

_END = " \n"  # behind a block, as RELION leaves it


def write(path: str | os.PathLike, blocks: Mapping[str, Block]) -> None:
    """Write blocks in the given order.

    Parameters
    ----------
    blocks : dict
        Name of each block without ``data_``, and its columns without the leading underscore. Where the values are
        lists or arrays, all of one length, the block is a table; where they are single values, a list of fields.
    """
    text = "".join(_block(path, name, block) for name, block in blocks.items())
    Path(path).write_text(text, encoding="utf-8")


def extend(path: str | os.PathLike, before: str | os.PathLike, table: Block) -> None:
    """Write a file that is like another, with more rows in its last table; the other is copied and not parsed.

    Parameters
    ----------
    before : path
        A file that `write` has written.
    table : dict
        The rows, in the columns of that table.

    Raises
    ------
    InputError
        The other file ends otherwise.
    """
    shutil.copyfile(before, path)
    with open(path, "r+b") as file:
        file.seek(-len(_END), os.SEEK_END)
        if file.read() != _END.encode():
            raise InputError(f"{before} does not end as a table that was written here: rows cannot be added to it.")
        file.seek(-len(_END), os.SEEK_END)
        file.write("".join([*map(row, zip(*table.values(), strict=True)), _END]).encode())


def read(path: str | os.PathLike) -> dict[str, dict[str, Any]]:
    """Read all blocks.

    Returns
    -------
    dict
        As `write` takes it: a table's columns are lists, fields are single values; numbers are int or float.

    Raises
    ------
    InputError
        The file is missing or is not a STAR file; names the line.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}.") from error
    return parse(text, path)


def parse(text: str, path: str | os.PathLike = "the star file") -> dict[str, dict[str, Any]]:
    """Parse the text of a file; `path` is what errors call it. See `read`."""
    lines = text.splitlines()
    blocks: dict[str, dict[str, Any]] = {}
    block: dict[str, Any] | None = None
    looping = header = False
    for number, line in enumerate(lines, 1):
        words = _words(line)
        if not words:
            looping = looping and header  # a blank line ends a table, not its header
            continue
        # Within a table of several columns, a first value may begin like a block or a column.
        row = looping and 1 < len(words) == len(block or ())
        bare = not row and _is_bare(words[0])
        if bare and words[0].startswith("data_"):
            block = blocks.setdefault(words[0][5:], {})
            looping = header = False
        elif block is None:
            raise InputError(f"{path} is not a STAR file: line {number} comes before any data_ block.")
        elif bare and words[0] == "loop_":
            looping = header = True
        elif bare and words[0].startswith("_") and (header or not looping):
            name = words[0][1:]
            if looping:
                block[name] = []
            elif len(words) != 2:
                raise InputError(f"{path}, line {number}: {words[0]} takes one value.")
            else:
                block[name] = _value(words[1])
        elif looping:
            header = False
            if len(words) != len(block):
                raise InputError(f"{path}, line {number}: {len(words)} values for {len(block)} columns.")
            for column, word in zip(block.values(), words, strict=True):
                column.append(_value(word))
        else:
            raise InputError(f"{path}, line {number}: {words[0]!r} is neither a field nor in a table.")
    if not blocks:
        raise InputError(f"{path} is not a STAR file: it has no data_ block.")
    return blocks


def _block(path: str | os.PathLike, name: str, block: Block) -> str:
    top = f"\n# version 30001\n\ndata_{name}\n\n"
    tabular = [_is_column(value) for value in block.values()]
    if any(tabular) and not all(tabular):
        raise ValueError(f"block {name} of {path} mixes columns and single values")
    if not any(tabular):
        width = max((len(column) for column in block), default=0) + 2
        return top + "".join(f"_{column:<{width}} {_text(value)}\n" for column, value in block.items()) + _END
    lengths = {column: len(values) for column, values in block.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"the columns of block {name} of {path} differ in length: {lengths}")
    return "".join([head(name, block), *map(row, zip(*block.values(), strict=True)), _END])


def head(name: str, columns: Iterable[str]) -> str:
    """The text above the rows of a table; a table that is written in parts ends with a line that holds a space."""
    names = "".join(f"_{column} #{i} \n" for i, column in enumerate(columns, 1))
    return f"\n# version 30001\n\ndata_{name}\n\nloop_ \n{names}"


def row(values: Sequence[Any]) -> str:
    """A line of a table."""
    return "  ".join(f"{_text(value):>12}" for value in values) + " \n"


def _is_column(value: Any) -> bool:
    return isinstance(value, np.ndarray) or (isinstance(value, Sequence) and not isinstance(value, str | bytes))


def _text(value: Any) -> str:
    """A value as RELION prints it: six decimals, more for small numbers, and the exponent form beyond."""
    if isinstance(value, bool | np.bool_):
        return str(int(value))
    if isinstance(value, float | np.floating):
        size = abs(value)
        if size == 0 or 1 <= size < 1e7 or not np.isfinite(size):
            return f"{value:.6f}"
        return f"{value:.9f}" if 1e-3 <= size < 1 else f"{value:.8e}"
    text = str(value)
    if "\n" in text:
        raise ValueError(f"a STAR value cannot span lines: {text!r}")
    looks_like_number = _INTEGER.fullmatch(text) or _FLOAT.fullmatch(text)
    if isinstance(value, str) and looks_like_number:
        return f'"{text}"'
    if text and not re.search(r"[\s#\"']", text) and text[0] not in "_$[];" and text not in ("loop_", "stop_"):
        return text if not text.startswith("data_") else f'"{text}"'
    quote = "'" if '"' in text else '"'
    if quote in text:
        raise ValueError(f"a STAR value cannot hold both kinds of quotation marks: {text!r}")
    return f"{quote}{text}{quote}"


_WORD = re.compile(r""""([^"]*)"(?=\s|$)|'([^']*)'(?=\s|$)|(\S+)""")


def _words(line: str) -> list[Any]:
    """Words of a line up to a comment; quoted ones are marked as such."""
    if not line.strip():
        return []
    if '"' not in line and "'" not in line and "#" not in line:
        return line.split()
    words: list[Any] = []
    for found in _WORD.finditer(line):
        if found[3] is None:
            words.append(_Quoted(found[1] if found[1] is not None else found[2]))
        elif found[3].startswith("#"):
            break
        else:
            words.append(found[3])
    return words


class _Quoted(str):
    """A word between quotation marks: text, even where it looks like a number."""


def _is_bare(word: str) -> bool:
    return not isinstance(word, _Quoted)


_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_FLOAT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf)", re.ASCII)


def _value(word: str) -> int | float | str:
    if _is_bare(word):
        if _INTEGER.fullmatch(word):
            return int(word)
        if _FLOAT.fullmatch(word):
            return float(word)
    return str(word)
