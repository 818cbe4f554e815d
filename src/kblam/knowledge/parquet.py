"""Facts in Parquet files, by the optional package pyarrow (the extra `parquet`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kblam.errors import KnowledgeError
from kblam.extras import pip_install

__all__ = ["parquet_rows", "write_parquet"]


def parquet_rows(path: Path) -> Iterator[tuple[int, int, object]]:
    """Yield (number, line, fields) for each row, a row being its own line; raise KnowledgeError for another file."""
    arrow = _pyarrow(path)
    if not path.is_file():
        raise KnowledgeError(f"{path} {'is a folder' if path.is_dir() else 'does not exist'}: give a .parquet file")
    try:
        # Its own thread pool is left alone: a table of facts is small, and a busy machine has no idle cores.
        table = arrow.parquet.read_table(path, use_threads=False)
        number = 0
        for batch in table.to_batches(max_chunksize=10_000):
            for row in batch.to_pylist():
                number += 1
                yield number, number, row
    except (arrow.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise KnowledgeError(f"{path} is no Parquet file that can be read ({reason})") from error


def write_parquet(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows of entity, property, value, aliases and id; absent fields are null."""
    arrow = _pyarrow(path)
    text = arrow.string()
    fields = {"entity": text, "property": text, "value": text, "aliases": arrow.list_(text), "id": text}
    table = arrow.Table.from_pylist(list(rows), schema=arrow.schema(list(fields.items())))
    arrow.parquet.write_table(table, path)


def _pyarrow(path: Path) -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise KnowledgeError(f"{path} needs the pyarrow package: run {pip_install('parquet')}") from error
    return pyarrow
