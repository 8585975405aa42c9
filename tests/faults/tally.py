"""What is tried: draws, and the cases of each."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Callable, Iterator, List, NamedTuple, Tuple

if TYPE_CHECKING:
    from world import World


class Tally:
    """The cases of a draw: how many were tried, and which did not survive, with the reason."""

    def __init__(self) -> None:
        self.tried = 0
        self.failures: List[Tuple[str, str]] = []

    @contextlib.contextmanager
    def case(self, name: str) -> Iterator[None]:
        """Inside, one fault happens and is judged; what it raises counts against it, and the draw goes on."""
        self.tried += 1
        with self.more(name):
            yield

    @contextlib.contextmanager
    def more(self, name: str) -> Iterator[None]:
        """Inside, what stands behind all cases is judged."""
        try:
            yield
        except AssertionError as error:
            self.note(name, str(error))
        except Exception as error:
            self.note(name, f"{type(error).__name__}: {error}")

    def note(self, name: str, why: str) -> None:
        self.tried = max(self.tried, 1)
        self.failures.append((name, why))


class Draw(NamedTuple):
    """Something to try, under a name by which it can be repeated."""

    kind: str
    name: str
    run: Callable[["World", Tally], None]
