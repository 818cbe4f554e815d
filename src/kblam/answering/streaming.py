"""Text as it is made."""

from __future__ import annotations

from collections.abc import Callable

from transformers import PreTrainedTokenizerBase, TextStreamer

__all__ = ["Streamer"]


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
