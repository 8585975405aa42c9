"""What a training has come to so far, kept in its scratch folder so that a killed one goes on.

``history.json`` and the checkpoints that are there are all that counts; ``checkpoints.json`` is made of the two. The
curve is written before a checkpoint and the evaluation after it, and what is no longer needed goes last: whatever a
kill cuts in two, what is left is the training as it stood at some checkpoint.
"""

import json
import math
import os
from collections import deque
from contextlib import contextmanager
from typing import Any, Callable, Deque, Dict, Iterator, List, Optional, Set

import tensorflow as tf

from stages.train import checkpoints, durable

HISTORY = "history.json"
POINTS = 400  # of the loss curve, at most
RECENT = 20  # steps whose mean loss the progress shows
KEYS = {"training": {"step", "loss", "learning_rate"}, "evaluation": {"step", "loss", "mAP", "mAP@0.5"}}

History = Dict[str, List[Dict[str, Any]]]


class TrainingState:
    """The files ``history.json`` and ``checkpoints.json`` of a training (docs/architecture.md), and its checkpoints."""

    def __init__(self, folder: str, steps: int, keep: int, warn: Callable[[str], None]) -> None:
        """Go on with what ``folder`` holds of a training of ``steps``; the last ``keep`` evaluated checkpoints stay.

        ``warn`` is told what was lost, if anything was.
        """
        self.folder = folder
        self.steps = steps
        self._keep = keep
        self._stride = -(-steps // POINTS)
        self._losses: Deque[float] = deque(maxlen=max(self._stride, RECENT))
        damaged = checkpoints.recover(folder)
        there = checkpoints.steps(folder)
        self.saved = there[-1] if there else 0
        self._history = _before(self._recovered(damaged, warn), self.saved)
        if there:
            self._write_list()

    def add_step(self, step: int, loss: float, learning_rate: float) -> None:
        """Take note of a training step; the curve holds the mean of every few."""
        self._losses.append(loss)
        if step % self._stride == 0 or step == self.steps:
            self._history["training"].append(
                {"step": step, "loss": self.recent_loss(self._stride), "learning_rate": learning_rate}
            )

    def recent_loss(self, count: int = RECENT) -> float:
        """The mean of the last losses of this run, at most ``count``."""
        recent = list(self._losses)[-count:]
        return sum(recent) / max(1, len(recent))

    def late_loss(self) -> Optional[float]:
        """The mean training loss over the last tenth of the steps so far; None if no curve is left of it."""
        points = self._history["training"]
        late: List[float] = [point["loss"] for point in points if point["step"] > 0.9 * points[-1]["step"]]
        return sum(late) / len(late) if late else None

    @contextmanager
    def saving(self, step: int) -> Iterator[None]:
        """Around what saves the checkpoint of ``step``; those that nobody needs any more go afterwards."""
        self._write_history()
        yield
        checkpoints.sync(self.folder, step)
        self.saved = step
        self._remove_unneeded()

    def add_evaluation(self, step: int, loss: float, metrics: Dict[str, Any]) -> None:
        """A saved checkpoint was evaluated on the validation pictures; it stays while among the last, or the best."""
        figures = {
            "step": step,
            "loss": loss if math.isfinite(loss) else None,
            "mAP": metrics["mAP"],
            "mAP@0.5": metrics["mAP@0.5"],
        }
        self._history["evaluation"] = sorted(self._history["evaluation"] + [figures], key=_step)
        self._write_history()
        self._write_list()
        self._remove_unneeded(before=step)

    def unevaluated(self, every: int) -> List[int]:
        """The steps of the saved checkpoints that should have been evaluated, every so many steps and at the end."""
        done = set(map(_step, self._history["evaluation"]))
        due = [step for step in checkpoints.steps(self.folder) if step % every == 0 or step == self.steps]
        return [step for step in due if step not in done]

    def last_map(self) -> Optional[float]:
        """mAP of the last evaluation, if there was one."""
        return self._history["evaluation"][-1]["mAP"] if self._history["evaluation"] else None

    def last_loss(self) -> float:
        """The loss of the last evaluation, infinite if it was no number."""
        loss = self._history["evaluation"][-1]["loss"]
        return math.inf if loss is None else loss

    def best(self) -> Dict[str, Any]:
        """The best evaluated checkpoint, as in ``checkpoints.json``."""
        return _best(self._kept())

    def files(self) -> List[str]:
        """Absolute paths of what belongs to the artifact: both JSON files and the evaluated checkpoints."""
        paths = [os.path.join(self.folder, name) for name in (HISTORY, checkpoints.LIST)]
        for entry in self._kept():
            paths += checkpoints.files(self.folder, entry["step"])
        return paths

    def _kept(self) -> List[Dict[str, Any]]:
        """The entries of ``checkpoints.json``: of what was evaluated and is still there, the last ones and the best."""
        there = set(checkpoints.steps(self.folder))
        entries = [entry for entry in self._history["evaluation"] if entry["step"] in there]
        return [
            dict(entry, prefix=checkpoints.prefix(entry["step"]))
            for entry in entries
            if entry in entries[-self._keep :] or entry is _best(entries)
        ]

    def _remove_unneeded(self, before: Optional[int] = None) -> None:
        # After a lost history several checkpoints wait for their evaluation: those after ``before`` stay until then.
        needed = {self.saved, *map(_step, self._kept())}
        for old in checkpoints.steps(self.folder):
            if old not in needed and (before is None or old < before):
                checkpoints.remove(self.folder, old)

    def _write_history(self) -> None:
        durable.write_json(os.path.join(self.folder, HISTORY), self._history)

    def _write_list(self) -> None:
        kept = self._kept()
        document = {
            "tensorflow": tf.VERSION,
            "best": _best(kept)["step"] if kept else None,
            "last": kept[-1]["step"] if kept else None,
            "checkpoints": kept,
        }
        durable.write_json(os.path.join(self.folder, checkpoints.LIST), document)

    def _recovered(self, damaged: List[int], warn: Callable[[str], None]) -> History:
        """The history as the folder holds it; says what a power cut or a full disk has taken."""
        onward = "goes on from step %d" % self.saved if self.saved else "starts anew"
        if damaged:
            warn(
                "Damaged checkpoints (a power cut?) were removed from %s, those of the steps %s: the training %s."
                % (self.folder, ", ".join(map(str, damaged)), onward)
            )
        history = _read(os.path.join(self.folder, HISTORY)) if self.saved else _empty()
        if history is None:
            warn(
                "%s is missing or damaged (a power cut?): the curve up to step %d is lost, and the checkpoints that "
                "are left are evaluated again." % (os.path.join(self.folder, HISTORY), self.saved)
            )
            return _empty()
        best = _best(history["evaluation"])["step"] if history["evaluation"] else None
        if best is not None and best not in checkpoints.steps(self.folder):
            warn("The best checkpoint, that of step %d, is lost: the next best takes its place." % best)
        return history


def _step(point: Dict[str, Any]) -> int:
    step: int = point["step"]
    return step


def _best(entries: List[Dict[str, Any]]) -> Dict[str, Any]:
    return max(entries, key=lambda entry: (entry["mAP"] or 0.0, entry["step"]))


def _empty() -> History:
    return {name: [] for name in KEYS}


def _read(path: str) -> Optional[History]:
    """The history at ``path``; None where there is none that can be used."""
    try:
        with open(path, encoding="utf-8") as stream:
            history: History = json.load(stream)
        whole = all(_is_point(point, KEYS[name]) for name, points in history.items() for point in points)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    return history if whole and set(history) == set(KEYS) else None


def _is_point(point: Dict[str, Any], keys: Set[str]) -> bool:
    numbers = all(value is None or isinstance(value, (int, float)) for value in point.values())
    return set(point) == keys and numbers and isinstance(point["step"], int)


def _before(history: History, step: int) -> History:
    """The part of a history up to ``step``, where a killed training goes on."""
    return {name: [point for point in points if point["step"] <= step] for name, points in history.items()}
