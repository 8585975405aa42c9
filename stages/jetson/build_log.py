"""TensorRT's own words, as they stand in a build's log: what it is doing, what it complains of, how far it is.

Two forms of lines: ``[TensorRT] VERBOSE: ...`` (5.0 to 7.x) and ``[01/02/2022-10:11:12] [TRT] [V] ...`` (from 8.0 on).
Before any layer is timed, each pass of the optimizer says how many layers are left (``After concat removal: 66
layers``): without constants that nothing reads, and fused ones count as one. Then each is timed, with one line for each
kind of kernel: ``--------------- Timing Runner: NAME (CudaConvolution)``, in 5.x ``--------------- Timing NAME(14)``.
"""

import re
from typing import List, NamedTuple, Optional, Set

LINE = re.compile(r"(?:\[[^\]]*\] )?\[(?:TensorRT|TRT)\]\s*(?:\[?(?P<severity>[A-Z_]+)\]?):?\s*(?P<words>.*)")
ERRORS = ("ERROR", "INTERNAL_ERROR", "E", "F")
TIMED = re.compile(r"-{5,} Timing (?:Runner: )?(?P<layer>\S.*?) ?\((?P<kind>\w+)(?:\[\w+\])?\)\s*$")
LEFT = re.compile(r"(?:Original|After [\w -]+?): (?P<layers>\d+) layers")
# Between two layers where their formats differ, and of no layer; not to be foreseen.
REFORMAT = re.compile(r"<reformat>|Optimizer Reformat|Reformatting CopyNode")
# What an assertion of a plugin says before it ends the process.
ASSERTION = re.compile(r"#?assertion.*|terminate called.*|what\(\):.*", re.IGNORECASE)
# FlattenConcat_TRT came into TensorRT while programs still brought their own; the first one counts.
HARMLESS = re.compile(r"Could not register plugin creator")
MOST_WORDS = 400
# From then on the build's own pace tells more than what is usual.
OWN_PACE_SECONDS, OWN_PACE_SHARE = 15, 0.1


class Told(NamedTuple):
    """What a line says: an error, the name of a layer whose kernels are timed, or how many layers are left."""

    error: str = ""
    layer: str = ""
    left: int = 0


def read(line: str) -> Optional[Told]:
    """What a line of the log tells, if anything that matters here."""
    found = LINE.match(line)
    if found and found.group("severity") in ERRORS:
        words = found.group("words").strip()
        return None if HARMLESS.search(words) else Told(error=words)
    timed = TIMED.search(line)
    if timed:
        reformat = REFORMAT.match(timed.group("layer")) or timed.group("kind") == "Reformat"
        return None if reformat else Told(layer=timed.group("layer"))
    left = LEFT.search(line)
    if left:
        return Told(left=int(left.group("layers")))
    return Told(error=line.strip()) if ASSERTION.match(line) else None


class Progress:
    """How far a build is: layers that were timed, of those that the optimizer left.

    Attributes:
        errors: what TensorRT complained of, in order.
        total: layers to be timed, 0 before that is known.
    """

    def __init__(self) -> None:
        self.errors: List[str] = []
        self.total = 0
        self._layers: Set[str] = set()

    @property
    def done(self) -> int:
        """At most ``total``; what is left then is to write the engine."""
        return min(len(self._layers), self.total)

    def hear(self, line: str) -> bool:
        """Whether the line tells that it goes on."""
        told = read(line)
        if told is None:
            return False
        if told.error:
            self.errors.append(told.error)
            return False
        if told.left and not self._layers:  # later passes count what the optimizer has put in
            self.total = told.left
        if told.layer:
            self._layers.add(told.layer)
            self.total = max(self.total, len(self._layers))
        return True

    def seconds_left(self, elapsed: float, usual: float) -> float:
        """How long it will go on, as far as it can be told.

        Args:
            elapsed: seconds since it began.
            usual: what such a build takes, which counts until this one's own pace can be seen.
        """
        if elapsed >= OWN_PACE_SECONDS and self.done >= OWN_PACE_SHARE * self.total > 0:
            return elapsed * (self.total - self.done) / self.done
        return max(usual - elapsed, 0.0)

    def reason(self) -> str:
        """The errors as one sentence, the last ones if they are many; empty if there were none."""
        return "; ".join(self.errors[-3:])[:MOST_WORDS]
