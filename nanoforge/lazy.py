"""Rooms whose modules are imported when they are first used: no task waits for another's libraries."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Callable


def modules_of(room: str) -> Callable[[str], ModuleType]:
    """What a package called ``room`` takes for its ``__getattr__`` (PEP 562)."""

    def module(name: str) -> ModuleType:
        try:
            return importlib.import_module(f"{room}.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"{room}.{name}":
                raise
            raise AttributeError(name) from None

    return module
