"""What a training has come to so far, kept in its scratch folder so that a killed one goes on."""

import json
import math
import os
from collections import deque
from typing import Any, Deque, Dict, List, Optional

from stages.train import checkpoints

HISTORY = "history.json"
POINTS = 400  # of the loss curve, at most
RECENT = 20  # steps whose mean loss the progress shows

History = Dict[str, List[Dict[str, Any]]]


class TrainingState:
    """The files ``history.json`` and ``checkpoints.json`` of a training (docs/architecture.md), and its checkpoints."""

    def __init__(self, folder: str, steps: int, keep: int) -> None:
        """Go on with what ``folder`` holds of a training of ``steps``; the last ``keep`` evaluated checkpoints stay."""
        self.folder = folder
        self.steps = steps
        self._keep = keep
        self._stride = -(-steps // POINTS)
        self._losses: Deque[float] = deque(maxlen=max(self._stride, RECENT))
        there = checkpoints.steps(folder)
        self.saved = there[-1] if there else 0
        self._history = _before(_read(os.path.join(folder, HISTORY)), self.saved)
        self._checkpoints = checkpoints.evaluated(folder)

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

    def late_loss(self) -> float:
        """The mean training loss over the last tenth of the steps so far."""
        points = self._history["training"]
        late: List[float] = [point["loss"] for point in points if point["step"] > 0.9 * points[-1]["step"]]
        return sum(late) / len(late)

    def add_save(self, step: int) -> None:
        """A checkpoint was saved; those that nobody needs any more go."""
        needed = {entry["step"] for entry in self._checkpoints["checkpoints"]} | {step}
        for old in checkpoints.steps(self.folder):
            if old not in needed:
                checkpoints.remove(self.folder, old)
        self.saved = step
        self._write()

    def add_evaluation(self, step: int, loss: float, metrics: Dict[str, Any]) -> None:
        """A saved checkpoint was evaluated on the validation pictures; it stays while among the last, or the best."""
        figures = {
            "step": step,
            "loss": loss if math.isfinite(loss) else None,
            "mAP": metrics["mAP"],
            "mAP@0.5": metrics["mAP@0.5"],
        }
        self._history["evaluation"].append(figures)
        entries = self._checkpoints["checkpoints"] + [dict(figures, prefix=checkpoints.prefix(step))]
        best = max(entries, key=lambda entry: (entry["mAP"] or 0.0, entry["step"]))
        self._checkpoints.update(
            best=best["step"],
            last=step,
            checkpoints=[entry for entry in entries if entry in entries[-self._keep :] or entry is best],
        )
        self.add_save(step)

    def is_evaluated(self, step: int) -> bool:
        return any(point["step"] == step for point in self._history["evaluation"])

    def last_map(self) -> Optional[float]:
        """mAP of the last evaluation, if there was one."""
        return self._history["evaluation"][-1]["mAP"] if self._history["evaluation"] else None

    def last_loss(self) -> float:
        """The loss of the last evaluation, infinite if it was no number."""
        loss = self._history["evaluation"][-1]["loss"]
        return math.inf if loss is None else loss

    def entry(self, which: str) -> Dict[str, Any]:
        """The best or last evaluated checkpoint, as in ``checkpoints.json``."""
        step = self._checkpoints[which]
        return next(entry for entry in self._checkpoints["checkpoints"] if entry["step"] == step)

    def files(self) -> List[str]:
        """Absolute paths of what belongs to the artifact: both JSON files and the evaluated checkpoints."""
        paths = [os.path.join(self.folder, name) for name in (HISTORY, checkpoints.LIST)]
        for entry in self._checkpoints["checkpoints"]:
            paths += checkpoints.files(self.folder, entry["step"])
        return paths

    def _write(self) -> None:
        for name, document in ((HISTORY, self._history), (checkpoints.LIST, self._checkpoints)):
            path = os.path.join(self.folder, name)
            with open(path + ".new", "w", encoding="utf-8") as stream:
                json.dump(document, stream, indent=1, sort_keys=True)
            os.replace(path + ".new", path)


def _read(path: str) -> History:
    if not os.path.exists(path):
        return {"training": [], "evaluation": []}
    with open(path, encoding="utf-8") as stream:
        history: History = json.load(stream)
        return history


def _before(history: History, step: int) -> History:
    """The part of a history up to ``step``, where a killed training goes on."""
    return {name: [point for point in points if point["step"] <= step] for name, points in history.items()}
