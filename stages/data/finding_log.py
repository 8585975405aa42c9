"""The findings of a run: counted, the first of each kind kept, and all in a file that a failed run leaves behind."""

import json
import os
import shutil
from collections import Counter
from contextlib import contextmanager
from typing import Any, Dict, Iterable, Iterator, List, Optional, Tuple
from typing import Counter as CounterOf

from stages import disk
from stages.data.findings import DataFinding, Findings
from stages.finding_kinds import DROP, FIX

FILE = "findings.jsonl"
MOST_FINDINGS = 1000  # in dataset.json; findings.jsonl has them all
DONE = {DROP: "dropped", FIX: "mended"}


class FindingLog:
    """``findings.jsonl``, in ``scratch`` until it is published. Memory does not grow with the findings.

    Attributes:
        kinds: how many of each kind.
        actions: how many of each kind and action.
        first: the first ``MOST_FINDINGS`` of all.
        examples: the first of each kind and action.
        apart: how many of each kind and action were found before ``set_apart``.
    """

    def __init__(self, scratch: str, policy: Dict[str, str]) -> None:
        """Begin a new file in the place of an earlier run's.

        Raises:
            StageFailed: the disk does not take it.
        """
        self.policy = policy
        self.kinds: CounterOf[str] = Counter()
        self.actions: CounterOf[Tuple[str, str]] = Counter()
        self.apart: CounterOf[Tuple[str, str]] = Counter()
        self.first: List[DataFinding] = []
        self.examples: Dict[Tuple[str, str], DataFinding] = {}
        self.path = os.path.join(scratch, FILE)
        with disk.writing(self.path):
            # A line is on its way to the disk as soon as it is found, whatever ends the run.
            self._stream = open(self.path, "w", encoding="utf-8", buffering=1)  # noqa: SIM115 - closed by __exit__

    def __enter__(self) -> "FindingLog":
        return self

    def __exit__(self, *_: Any) -> None:
        self._stream.close()

    @contextmanager
    def noting(self) -> Iterator[Findings]:
        """Findings to be filled inside, which are noted at the end even if one of them stops the run."""
        findings = Findings(self.policy)
        try:
            yield findings
        finally:
            self.note(findings.found)

    def note(self, findings: Iterable[DataFinding]) -> None:
        """Count findings, and write each as a line of JSON.

        Raises:
            StageFailed: the disk does not take it.
        """
        with disk.writing(self.path):
            for finding in findings:
                self.kinds[finding.kind] += 1
                self.actions[finding.kind, finding.action] += 1
                self.examples.setdefault((finding.kind, finding.action), finding)
                if len(self.first) < MOST_FINDINGS:
                    self.first.append(finding)
                self._stream.write(json.dumps(finding._asdict(), sort_keys=True) + "\n")

    def set_apart(self) -> None:
        """What was found so far is not about the pictures that the run takes, but about the whole dataset."""
        self.apart = Counter(self.actions)

    def of_taken(self, action: str) -> CounterOf[str]:
        """As ``of_action``, without what is set apart."""
        return self.of_action(action) - Counter({kind: n for (kind, done), n in self.apart.items() if done == action})

    def publish(self, path: str) -> None:
        """Move the file to ``path``.

        Raises:
            StageFailed: the disk does not take it.
        """
        with disk.writing(path):
            self._stream.close()
            shutil.move(self.path, path)

    def first_of(self, action: str) -> DataFinding:
        """The first finding that ended so; there must be one."""
        return next(finding for (_, done), finding in self.examples.items() if done == action)

    def of_action(self, action: str) -> CounterOf[str]:
        """How many findings of each kind ended so."""
        return Counter({kind: count for (kind, done), count in self.actions.items() if done == action})

    def lines(self, kinds: Optional[Iterable[str]] = None) -> List[str]:
        """For each kind and action its count and its first finding, the most frequent first; of ``kinds``, what is
        left out only."""
        chosen = [
            (count, kind, action)
            for (kind, action), count in self.actions.items()
            if kinds is None or (kind in set(kinds) and action == DROP)
        ]
        return [
            "%d %s (%s): %s" % (count, kind, DONE[action], self.examples[kind, action].sentence())
            for count, kind, action in sorted(chosen, key=lambda one: (-one[0], one[1:]))
        ]
