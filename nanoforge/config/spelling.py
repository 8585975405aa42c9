"""The word that somebody may have meant."""

from __future__ import annotations

import difflib
from typing import Iterable


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """The end of a sentence that names the nearest of the right spellings; empty where none is near."""
    close = difflib.get_close_matches(word, list(words), n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""
