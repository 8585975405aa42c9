"""The training of a project as it goes on, read from its folders each time somebody asks."""

import fcntl
import json
import math
import os
import re
from typing import Any, Dict, List, Optional

from stages import files

WORK = re.compile(r"work-[0-9a-f]{20}")
HISTORY, PIPELINE, HOLDER, LOCK = "history.json", "pipeline.config", "holder.json", "lock"
STEPS = re.compile(r"num_steps:\s*(\d+)")
MOST_BYTES = 1 << 26


class Live:
    """The training under way of a build folder, or the one that has ended."""

    def __init__(self, build: str) -> None:
        self._build = build

    def told(self) -> Dict[str, Any]:
        """``running``, the last step told of, of how many, the loss curve and the evaluations."""
        work = self._work()
        running = bool(work) and self._is_held()
        folder = work or os.path.join(self._build, "train")
        history = _read(os.path.join(folder, HISTORY)) if self._build else {}
        points = [{"step": one["step"], "loss": _number(one.get("loss"))} for one in _points(history, "training")]
        evaluations = [
            {"step": one["step"], "mAP": _number(one.get("mAP")), "mAP50": _number(one.get("mAP@0.5"))}
            for one in _points(history, "evaluation")
        ]
        step = max([one["step"] for one in points + evaluations], default=None)
        steps = _steps(os.path.join(folder, PIPELINE)) if self._build else None
        return {"running": running, "step": step, "steps": steps, "points": points, "evaluations": evaluations}

    def _work(self) -> str:
        """The scratch folder of the training that was at work last and has not ended; empty where there is none."""
        store = os.path.join(self._build, "store", "train")
        try:
            names = [name for name in os.listdir(store) if WORK.fullmatch(name)] if self._build else []
        except OSError:
            return ""
        folders = [os.path.join(store, name, "scratch") for name in names]
        there = [folder for folder in folders if os.path.isdir(folder)]
        return max(there, key=lambda folder: os.stat(folder).st_mtime_ns, default="")

    def _is_held(self) -> bool:
        """Whether a command is at work that trains: it holds the project's lock, and has noted what it runs."""
        stages = _read(os.path.join(self._build, HOLDER)).get("stages")
        if not isinstance(stages, list) or "train" not in stages:
            return False
        try:
            with files.opened(os.path.join(self._build, LOCK)) as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False


def _read(path: str) -> Dict[str, Any]:
    """An object of JSON; empty where there is none that can be read."""
    try:
        found = json.loads(files.read(path, MOST_BYTES).decode("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _points(history: Dict[str, Any], name: str) -> List[Dict[str, Any]]:
    found = history.get(name)
    points = found if isinstance(found, list) else []
    return [one for one in points if isinstance(one, dict) and isinstance(one.get("step"), int)]


def _number(value: Any) -> Optional[float]:
    """What JSON for browsers can tell; a training that diverges has losses that are no numbers."""
    return value if isinstance(value, (int, float)) and math.isfinite(value) else None


def _steps(path: str) -> Optional[int]:
    try:
        found = STEPS.search(files.read(path, MOST_BYTES).decode("utf-8", "replace"))
    except OSError:
        return None
    return int(found.group(1)) if found else None
