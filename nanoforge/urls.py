"""URLs as they may be shown, logged and kept: without what lets anyone in."""

from __future__ import annotations

import re

_USER = re.compile(r"(https?://)[^\s/?#@'\"]*@", re.IGNORECASE)
_QUERY = re.compile(r"(https?://[^\s?#'\"<>]*\?)[^\s#'\"<>]*", re.IGNORECASE)


def without_secrets(text: str) -> str:
    """The text with user, password and query of every http URL in it as ``***``."""
    return _QUERY.sub(r"\1***", _USER.sub(r"\1***@", text))
