"""The rows of a snapshot as an adapter reads them: in the arrays they are stored in, and anew only where they changed."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from kblam.attention.approximate import follow_index, index_rows
from kblam.attention.latent import LatentParts, Latents
from kblam.knowledge import Snapshot
from kblam.knowledge.rows import PIECE, FloatArray
from kblam.models.adapter import Adapter

__all__ = ["Scan", "read_rows", "reread_rows"]

Scan = Literal["exact", "int8", "ann"]
"""How rows are found: all scored as they are stored; by 8-bit codes; or among those that an index proposes."""


class _Memory:
    """An array's memory without its read-only mark: torch knows no read-only tensors, and nobody writes to these."""

    def __init__(self, array: FloatArray) -> None:
        interface = array.__array_interface__
        self.array = array  # keeps the memory alive
        self.__array_interface__ = interface | {"data": (interface["data"][0], False)}


def _tensor(array: FloatArray, device: torch.device) -> Tensor:
    """The array as a tensor, on a processor without a copy; float64, which no encoder gives, becomes float32."""
    if array.dtype == np.float64:
        array = array.astype(np.float32)
    return torch.from_numpy(np.asarray(_Memory(array))).to(device)


@torch.no_grad()
def read_rows(adapter: Adapter, snapshot: Snapshot, scan: Scan = "exact") -> Latents:
    """Prepare all rows for attention and for the question prior, with what this way of finding them needs.

    The vectors stay in the snapshot's arrays (memory-mapped ones too); made new are four numbers a row.
    """
    device = adapter.key_weight.device
    pairs = zip(snapshot.key_rows.pieces, snapshot.value_rows.pieces, strict=True)
    parts = [adapter.latents(_tensor(keys, device), _tensor(values, device)) for keys, values in pairs]
    latents = parts[0] if len(parts) == 1 else LatentParts(parts)
    latents = latents.quantised() if scan == "int8" else latents
    for part in latents.parts:
        _ = part.key_norms, part.value_norms
    return index_rows(latents) if scan == "ann" else latents


@torch.no_grad()
def reread_rows(adapter: Adapter, known: Latents, snapshot: Snapshot, touched: Collection[int]) -> Latents:
    """What read_rows gives, from what it gave for an earlier snapshot and the rows that may differ from that one's."""
    count = len(snapshot.triples)
    changed = {row // PIECE for row in touched} | {row // PIECE for row in range(len(known), count, PIECE)}
    if count > len(known):
        changed.add((count - 1) // PIECE)
    keys, values = snapshot.key_rows.split(count), snapshot.value_rows.split(count)
    parts: list[Latents] = []
    first = 0
    for place in sorted(changed):
        start, stop = place * PIECE, min((place + 1) * PIECE, count)
        if first < start:
            parts += known.block(first, start).parts
        mine = [row - start for row in touched if start <= row < stop]
        mine = sorted({*mine, *range(max(len(known), start) - start, stop - start)})
        parts.append(_reread(adapter, known.block(start, min(stop, len(known))), keys[place], values[place], mine))
        first = stop
    if first < count:
        parts += known.block(first, count).parts
    latents = parts[0] if len(parts) == 1 else LatentParts(parts) if parts else known.block(0, 0)
    return follow_index(known, latents, touched)


def _reread(adapter: Adapter, known: Latents, keys: FloatArray, values: FloatArray, rows: list[int]) -> Latents:
    """One piece of which these rows, all rows behind `known` among them, are new."""
    device = adapter.key_weight.device
    key_rows, value_rows = _tensor(keys, device), _tensor(values, device)
    fresh = adapter.latents(key_rows[rows], value_rows[rows])

    def patched(old: Tensor, new: Tensor) -> Tensor:
        numbers = new.new_empty(len(key_rows))
        numbers[: len(old)] = old
        numbers[rows] = new
        return numbers

    mean, inverse = patched(known.mean, fresh.mean), patched(known.inverse_deviation, fresh.inverse_deviation)
    latents = Latents(key_rows, value_rows, mean, inverse)
    latents = latents.quantised() if known.coarse is not None else latents
    # Where `cached_property` would look for them.
    latents.__dict__["key_norms"] = patched(known.key_norms, fresh.key_norms)
    latents.__dict__["value_norms"] = patched(known.value_norms, fresh.value_norms)
    return latents
