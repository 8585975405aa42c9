"""TensorRT's own words, as they stand in a build's log: what it is doing, what it complains of, how far it is.

Two forms of lines: ``[TensorRT] VERBOSE: ...`` (5.0 to 7.x) and ``[01/02/2022-10:11:12] [TRT] [V] ...`` (from 8.0 on).
"""

import re
from typing import List, NamedTuple, Optional, Set

LINE = re.compile(r"(?:\[[^\]]*\] )?\[(?:TensorRT|TRT)\]\s*(?:\[?(?P<severity>[A-Z_]+)\]?):?\s*(?P<words>.*)")
ERRORS = ("ERROR", "INTERNAL_ERROR", "E", "F")
TIMED = re.compile(r"Timing Runner: (?P<layer>.*?) \(")
PARSED = re.compile(r"parsed: (\d+) layers")
# What an assertion of a plugin says before it ends the process.
ASSERTION = re.compile(r"#?assertion.*|terminate called.*|what\(\):.*", re.IGNORECASE)
MOST_WORDS = 400


class Told(NamedTuple):
    """What a line says: an error, or the name of a layer whose tactics are timed."""

    error: str = ""
    layer: str = ""


def read(line: str) -> Optional[Told]:
    """What a line of the log tells, if anything that matters here."""
    found = LINE.match(line)
    if found and found.group("severity") in ERRORS:
        return Told(error=found.group("words").strip())
    timed = TIMED.search(line)
    if timed:
        return Told(layer=timed.group("layer"))
    if ASSERTION.match(line):
        return Told(error=line.strip())
    return None


class Progress:
    """How far a build is: layers whose tactics were timed, of those that were parsed; fused ones count as one.

    Attributes:
        errors: what TensorRT complained of, in order.
        total: layers that were parsed, 0 before that is known.
    """

    def __init__(self) -> None:
        self.errors: List[str] = []
        self.total = 0
        self._layers: Set[str] = set()

    @property
    def done(self) -> int:
        return min(len(self._layers), self.total)

    def hear(self, line: str) -> bool:
        """Whether the line tells that it goes on."""
        parsed = PARSED.search(line)
        if parsed:
            self.total = int(parsed.group(1))
        told = read(line)
        if told and told.error:
            self.errors.append(told.error)
        if told and told.layer:
            self._layers.add(told.layer)
        return bool(parsed or (told and told.layer))

    def reason(self) -> str:
        """The errors as one sentence, the last ones if they are many; empty if there were none."""
        return "; ".join(self.errors[-3:])[:MOST_WORDS]
