"""Text as it is made."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor
from transformers import PreTrainedTokenizerBase, TextStreamer
from transformers.generation.streamers import BaseStreamer

__all__ = ["BatchStreamer", "Streamer"]


class Streamer(TextStreamer):
    """Hands pieces of text to a function instead of printing them."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, on_text: Callable[[str], None]) -> None:
        super().__init__(tokenizer, skip_prompt=True, skip_special_tokens=True)
        self._on_text = on_text
        self._begun = False

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        """Called by generate with each finished piece."""
        text = text if self._begun else text.lstrip()
        if text:
            self._begun = True
            self._on_text(text.replace("\n ", "\n"))


class BatchStreamer(BaseStreamer):
    """Gives each row of a batch its own streamer, or none."""

    def __init__(self, rows: Sequence[Streamer | None]) -> None:
        self._rows = rows

    def put(self, value: Tensor) -> None:
        """Called by generate with the prompts, (B, T), and then with each row's next token, (B,)."""
        for row, streamer in enumerate(self._rows):
            if streamer is not None:
                streamer.put(value[row : row + 1])  # type: ignore[no-untyped-call]

    def end(self) -> None:
        """Called by generate when all rows have ended."""
        for streamer in self._rows:
            if streamer is not None:
                streamer.end()  # type: ignore[no-untyped-call]
