"""The detections of a project on its records: of every checkpoint that was evaluated, of previews and of detect."""

import hashlib
import json
import os
import re
import sqlite3
import threading
from typing import Any, Dict, List, NamedTuple, Optional

from stages import files
from stages.view import detections
from stages.view.index import RUN, SUFFIX, Index

STAGES = ("evaluate", "detect", "preview")
ARTIFACT = re.compile(r"[0-9a-f]{20}")
RECORD, EVALUATION = "record.json", "evaluation.json"


class Run(NamedTuple):
    """Detections on the first source; ``quality`` is their mAP, None where it was not measured."""

    id: str
    title: str
    threshold: float
    quality: Optional[float]
    folder: str
    started: str


class Runs:
    """Finds the runs of a build folder anew each time it is asked, and matches each with the truth once."""

    def __init__(self, build: str, records: str, index: Index, cache: str) -> None:
        """``records``: the artifact that is the index's first source."""
        self._store = os.path.join(build, "store") if build else ""
        self._records, self._index, self._cache = records, index, cache
        self._lock = threading.Lock()
        self._failed: Dict[str, str] = {}

    def ready(self) -> List[Run]:
        """The runs that can be shown, the newest first; what is new is made ready meanwhile."""
        if not self._store or self._index.progress:
            return []
        found = self._found()
        waiting = [run for run in found if not os.path.isfile(self.path(run)) and run.folder not in self._failed]
        if waiting and self._lock.acquire(blocking=False):
            threading.Thread(target=self._store_all, args=(waiting,), name="runs", daemon=True).start()
        return [run for run in found if os.path.isfile(self.path(run))]

    def warnings(self) -> List[str]:
        """Sentences on runs that cannot be shown."""
        return list(self._failed.values())

    def path(self, run: Run) -> str:
        """Where the matched detections of a run are kept."""
        stat = os.stat(os.path.join(run.folder, detections.FILE))
        told = json.dumps([self._index.stamp, run.id, stat.st_size, stat.st_mtime_ns])
        return os.path.join(self._cache, RUN + hashlib.sha256(told.encode()).hexdigest()[:32] + SUFFIX)

    def _store_all(self, waiting: List[Run]) -> None:
        try:
            for run in waiting:
                try:
                    with self._index.open() as connection:
                        detections.store(connection, 0, run.folder, self.path(run))
                except (OSError, ValueError, RecursionError, sqlite3.Error) as error:
                    self._failed[run.folder] = "The detections of the %s cannot be shown: %s." % (run.title, error)
        finally:
            self._lock.release()

    def _found(self) -> List[Run]:
        records = _record(self._records).get("artifact_digest")
        found = [
            run
            for stage in STAGES
            for name in _names(os.path.join(self._store, stage))
            for run in [_run(stage, os.path.join(self._store, stage, name), records)]
            if run
        ]
        return sorted(found, key=lambda run: (run.id.split("-")[0] != STAGES[0], _later(run.started)))


def _later(moment: str) -> List[int]:
    """Sorts ISO times so that later ones come first."""
    return [-ord(letter) for letter in moment]


def _names(folder: str) -> List[str]:
    try:
        return [name for name in sorted(os.listdir(folder)) if ARTIFACT.fullmatch(name)]
    except OSError:
        return []


def _run(stage: str, folder: str, records: Optional[str]) -> Optional[Run]:
    """The run that an artifact holds, if it is one on these records."""
    record = _record(folder)
    if not records or record.get("recipe", {}).get("inputs", {}).get("records") != records:
        return None
    if not os.path.isfile(os.path.join(folder, detections.FILE)):
        return None
    metrics, parameters = record.get("metrics", {}), record["recipe"].get("parameters", {})
    step, asked = metrics.get("step"), parameters.get("checkpoint")
    words = {"evaluate": "evaluation", "preview": "preview"}.get(
        stage, "detect with the %s backend" % parameters.get("backend")
    )
    title = words + (" of step %s" % step if step is not None else "")
    title += " (%s)" % asked if asked in ("best", "last") else ""
    title += " on test" if parameters.get("split") == "test" else ""
    threshold = parameters.get("score_threshold", 0.05)
    return Run(
        "%s-%s" % (stage, os.path.basename(folder)[:8]), title, threshold, metrics.get("mAP"), folder, record["started"]
    )


def _record(folder: str) -> Dict[str, Any]:
    """The record of an artifact; empty where there is none that can be read."""
    try:
        found = json.loads(files.read(os.path.join(folder, RECORD)).decode("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
