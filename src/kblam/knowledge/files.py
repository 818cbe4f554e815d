"""Files of facts: JSON (an object, an array, JSON lines) and CSV, read with every bad row named, and written."""

from __future__ import annotations

import csv
import io
import json
import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kblam.errors import KnowledgeError
from kblam.knowledge.aside import replace_file
from kblam.knowledge.parquet import parquet_rows, write_parquet
from kblam.knowledge.triples import Triple, checked_text

__all__ = [
    "FACT_SUFFIXES",
    "TEXT_SUFFIXES",
    "Rejection",
    "json_row",
    "read_rows",
    "read_text",
    "read_triples",
    "read_what_is_usable",
    "rows_that_stay",
    "triples_from_json",
    "usable_rows",
    "write_triples",
]

TEXT_SUFFIXES = (".json", ".jsonl", ".csv")
FACT_SUFFIXES = (*TEXT_SUFFIXES, ".parquet")
"""Files of facts without vectors."""

_NAMED_PROBLEMS = 5
LONGEST_HEADER = 10_000
"""Characters in which the names of the columns are looked for, to tell what stands between them."""
_COLUMNS = (("entity", "description"), ("entity", "property", "value"), ("name", "description_type", "description"))
_SPACE = re.compile(r"[ \t\r\n]*")
_log = logging.getLogger("kblam")

# (row number, line it starts on, what the file says there or the error that stands in for it)
Row = tuple[int, int, object]


@dataclass(frozen=True)
class Rejection:
    """A row that cannot be used, and why."""

    row: int
    line: int
    reason: str

    def __str__(self) -> str:
        return f"row {self.row} on line {self.line} ({self.reason})"


def read_triples(path: str | Path) -> list[Triple]:
    """Return the facts of a .json, .jsonl, .csv or .parquet file, in order.

    Rows are {"entity", "description"}, {"entity", "property", "value"} or {"name", "description_type",
    "description"}, each with an optional "id" and "aliases" (a list; "a|b" in CSV); other fields are ignored. Of
    several rows with one entity and property the last wins; when their values differ the logger "kblam" warns once.
    Raises KnowledgeError that names the file and all bad rows.
    """
    triples = read_rows(path)
    return [triples[row] for row in rows_that_stay(triples, str(path))]


def read_rows(path: str | Path) -> list[Triple]:
    """Return every row of the file, also those that a later row contradicts."""
    path = Path(path)
    triples, rejected = read_what_is_usable(path)
    _refuse(rejected, path)
    return triples


def read_what_is_usable(path: str | Path) -> tuple[list[Triple], list[Rejection]]:
    """Return every row of the file that is a fact, and why the others are not.

    Raises KnowledgeError for a file that is not made of rows at all.
    """
    path = Path(path)
    if path.suffix.lower() not in FACT_SUFFIXES:
        raise KnowledgeError(f"{path} is not a file of facts: give a {', '.join(TEXT_SUFFIXES[:-1])} or .csv file")
    rows: Iterable[Row]
    if path.suffix.lower() == ".parquet":
        rows = parquet_rows(path)
    else:
        text = read_text(path)
        rows = _csv_rows(text, path) if path.suffix.lower() == ".csv" else _json_rows(text, path)
    return usable_rows(rows, lists=path.suffix.lower() != ".csv")


def triples_from_json(text: str, path: Path) -> list[Triple]:
    """Return the facts of a JSON text; `path` is what errors call it."""
    triples, rejected = usable_rows(_json_rows(text, path), lists=True)
    _refuse(rejected, path)
    return triples


def _refuse(rejected: Sequence[Rejection], path: Path) -> None:
    if rejected:
        count = "1 row" if len(rejected) == 1 else f"{len(rejected):,} rows"
        named = ", ".join(str(rejection) for rejection in rejected[:_NAMED_PROBLEMS])
        more = f" and {len(rejected) - _NAMED_PROBLEMS:,} more" if len(rejected) > _NAMED_PROBLEMS else ""
        raise KnowledgeError(f"{path} has {count} that cannot be used: {named}{more}")


def rows_that_stay(triples: Sequence[Triple], where: str) -> list[int]:
    """Return the positions of the rows that count: of several with one identity the last, in the place of the first.

    Warns once, through the logger "kblam", when such rows have different values.
    """
    last: dict[tuple[str, str], int] = {}
    contradicted: dict[tuple[str, str], int] = {}
    for row, triple in enumerate(triples):
        earlier = last.get(triple.identity)
        if earlier is not None and triples[earlier].value != triple.value:
            contradicted.setdefault(triple.identity, earlier)
        last[triple.identity] = row
    if contradicted:
        (entity, attribute), first = next(iter(contradicted.items()))
        rows = f"rows {first + 1} and {last[entity, attribute] + 1}"
        others = len(contradicted) - 1
        more = f", and {others:,} {'fact' if others == 1 else 'facts'} more" if others else ""
        _log.warning(
            f"{where} gives the {attribute} of {entity} with different values ({rows}{more}): the last one counts"
        )
    return list(last.values())


def write_triples(path: str | Path, triples: Iterable[Triple]) -> None:
    """Write facts as a .json array, .jsonl lines or .csv, by the path's ending, whole or not at all."""
    path = Path(path)
    rows = [json_row(triple) for triple in triples]
    suffix = path.suffix.lower()
    if suffix == ".json":
        text = "[\n" + ",\n".join(_dump(row) for row in rows) + "\n]\n" if rows else "[]\n"
    elif suffix == ".jsonl":
        text = "".join(_dump(row) + "\n" for row in rows)
    elif suffix == ".csv":
        text = _csv_text(rows, path)
    elif suffix == ".parquet":
        with replace_file(path) as aside:
            write_parquet(aside, rows)
        return
    else:
        raise KnowledgeError(f"{path} cannot hold facts as text: give a name that ends in {', '.join(TEXT_SUFFIXES)}")
    with replace_file(path) as aside:
        aside.write_text(text, encoding="utf-8", newline="")


def json_row(triple: Triple) -> dict[str, Any]:
    """Return the fact as the row that read_triples reads back."""
    row: dict[str, Any] = {"entity": triple.entity, "property": triple.property, "value": triple.value}
    if triple.aliases:
        row["aliases"] = list(triple.aliases)
    if triple.id is not None:
        row["id"] = triple.id
    return row


def _dump(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False)


def _csv_text(rows: list[dict[str, Any]], path: Path) -> str:
    for row in rows:
        divided = next((alias for alias in row.get("aliases", ()) if "|" in alias), None)
        if divided is not None:
            raise KnowledgeError(
                f"{path} cannot hold the alias {divided!r}, for | divides aliases in CSV: write .jsonl"
            )
    optional = [field for field in ("id", "aliases") if any(field in row for row in rows)]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, ["entity", "property", "value", *optional], restval="")
    writer.writeheader()
    writer.writerows({**row, "aliases": "|".join(row["aliases"])} if "aliases" in row else row for row in rows)
    return text.getvalue()


def read_text(path: Path, wanted: str = "a .json, .jsonl or .csv file") -> str:
    """Return the text of a file; raise KnowledgeError when it is missing, not UTF-8, or empty."""
    if path.is_dir():
        raise KnowledgeError(f"{path} is a folder: give {wanted}")
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise KnowledgeError(f"{path} does not exist: give {wanted} of facts") from None
    except OSError as error:
        raise KnowledgeError(f"{path} cannot be read: {error.strerror or error}") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise KnowledgeError(
            f"{path} is not UTF-8 (byte 0x{data[error.start]:02x} on line {line}): save it as UTF-8"
        ) from None
    if not text.strip():
        raise KnowledgeError(f"{path} is empty: give at least one fact")
    return text


def usable_rows(rows: Iterable[Row], lists: bool) -> tuple[list[Triple], list[Rejection]]:
    """Return the rows that are facts, and why the others are not; lists: whether aliases are lists or `a|b`."""
    triples, rejected = [], []
    for number, line, row in rows:
        try:
            triples.append(_triple(row, lists))
        except KnowledgeError as error:
            rejected.append(Rejection(number, line, str(error)))
    return triples, rejected


def _triple(row: object, lists: bool) -> Triple:
    if isinstance(row, KnowledgeError):
        raise row
    if not isinstance(row, dict):
        raise KnowledgeError("it is not an object with fields")
    entity, attribute, value = _fields(row)
    return Triple(
        checked_text(row.get(entity), entity),
        "description" if attribute is None else checked_text(row.get(attribute), attribute),
        checked_text(row.get(value), value),
        aliases=_aliases(row.get("aliases"), lists),
        id=_id(row.get("id")),
    )


def _fields(row: dict[str, object]) -> tuple[str, str | None, str]:
    """Return the fields that hold entity, property (None: it is "description") and value in a row of this shape."""
    if "name" in row and "entity" not in row:
        return "name", "description_type", "description"
    if "property" in row or "value" in row:
        return "entity", "property", "value"
    return "entity", None, "description"


def _aliases(aliases: object, lists: bool) -> tuple[str, ...]:
    if aliases is None:
        return ()
    if lists:
        if not isinstance(aliases, list):
            raise KnowledgeError("aliases is not a list of texts")
        return tuple(checked_text(alias, "an alias") for alias in aliases)
    return tuple(alias for alias in str(aliases).split("|") if alias.strip())


def _id(value: object) -> str | None:
    if value is None or value == "":
        return None
    # In Parquet identifiers are often numbers; nothing is lost by writing them as text.
    return checked_text(str(value) if type(value) is int else value, "id")


def _json_rows(text: str, path: Path) -> Iterator[Row]:
    """Yield the rows of JSON values that follow each other; an array stands for its elements."""
    line, counted = 1, 0
    try:
        for number, (position, value) in enumerate(_json_values(text), 1):
            line += text.count("\n", counted, position)
            counted = position
            yield number, line, value
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise KnowledgeError(f"{path} is not valid JSON at {where}: {error.msg[:1].lower() + error.msg[1:]}") from None
    except RecursionError:
        raise KnowledgeError(f"{path} is not usable JSON after line {line}: brackets are nested too deep") from None


def _json_values(text: str) -> Iterator[tuple[int, object]]:
    """Yield (position, value) for each value at the top and each element of an array there; numbers as they are written."""
    decode = json.JSONDecoder(parse_int=str, parse_float=str).raw_decode
    position = _skip(text, 0)
    while position < len(text):
        if text[position] != "[":
            value, end = decode(text, position)
            yield position, value
            position = _skip(text, end)
            continue
        position = _skip(text, position + 1)
        closed = text[position : position + 1] == "]"
        while not closed:
            value, end = decode(text, position)
            yield position, value
            position = _skip(text, end)
            closed = text[position : position + 1] == "]"
            if not closed and text[position : position + 1] != ",":
                raise json.JSONDecodeError("Expecting ',' or ']'", text, position)
            if not closed:
                position = _skip(text, position + 1)
        position = _skip(text, position + 1)


def _skip(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _csv_rows(text: str, path: Path) -> Iterator[Row]:
    """Yield each row as a dictionary; rows without any text are skipped."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=_delimiter(text))
    number, line = 0, 1
    try:
        header = _header(reader)
        _check_header(header, path)
        line = reader.line_num + 1
        for cells in reader:
            if any(cell.strip() for cell in cells):
                number += 1
                yield number, line, _csv_row(header, cells)
            line = reader.line_num + 1
    except csv.Error as error:
        raise KnowledgeError(f"{path} is not valid CSV in the row that starts on line {line}: {error}") from None


def _delimiter(text: str) -> str:
    """What stands between the cells: a comma, unless a semicolon or a tab makes columns of facts of the first line."""
    for delimiter in ",;\t":
        reader = csv.reader(io.StringIO(text[:LONGEST_HEADER], newline=""), delimiter=delimiter)
        try:
            if _holds_facts(_header(reader)):
                return delimiter
        except csv.Error:
            continue
    return ","


def _header(reader: Iterator[list[str]]) -> list[str]:
    """The names of the columns; those that hold facts in lower case."""
    names = [name.strip() for name in next(cells for cells in reader if cells)]
    known = {column for columns in _COLUMNS for column in columns} | {"id", "aliases"}
    return [name.lower() if name.lower() in known and name.lower() not in names else name for name in names]


def _holds_facts(header: list[str]) -> bool:
    return any(set(names) <= set(header) for names in _COLUMNS)


def _csv_row(header: list[str], cells: list[str]) -> object:
    if len(cells) > len(header):
        return KnowledgeError(f"it has {len(cells)} cells, the header has {len(header)}")
    return dict(zip(header, cells, strict=False))


def _check_header(header: list[str], path: Path) -> None:
    twice = next((name for row, name in enumerate(header) if name and name in header[:row]), None)
    if twice is not None:
        raise KnowledgeError(f"{path} names the column {twice!r} twice in its header on line 1")
    if not _holds_facts(header):
        raise KnowledgeError(
            f"{path} starts with {','.join(header)[:200]!r}: "
            "its first line must name the columns entity,description or entity,property,value, "
            "with commas, semicolons or tabs between them"
        )
