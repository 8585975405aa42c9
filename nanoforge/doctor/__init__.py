"""Is this machine ready, and the machines that stages are to run on? Findings, each with its remedy."""

from __future__ import annotations

import importlib
from types import ModuleType


def __getattr__(name: str) -> ModuleType:
    """The room's module of that name, imported when it is first used: no task waits for another's libraries."""
    try:
        return importlib.import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"{__name__}.{name}":
            raise
        raise AttributeError(name) from None
