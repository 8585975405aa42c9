"""Cuts of a training's state, in environment train (Python 3.6): `ledger.py FOLDER COUNT` prints [case, reason] pairs.

A training of eight steps that evaluates every second one is cut at each call that changes a file, goes on as the stage
does, and must end with every evaluation and with the best checkpoint among those that are kept.
"""

import builtins
import json
import os
import shutil
import sys

from stages.train import checkpoints
from stages.train.training_state import TrainingState

STEPS, EVERY, KEEP = 8, 2, 1
MAPS = {2: 0.2, 4: 0.9, 6: 0.3, 8: 0.4}
CRASH = 77
HOW = ("crash", "torn", "EIO")


class Cutter:
    """Counts calls that change files and strikes at one of them."""

    def __init__(self, at, how):
        self.at, self.how, self.count = at, how, 0

    def strike(self, path):
        self.count += 1
        if self.count != self.at:
            return
        if self.how == "EIO":
            raise OSError(5, "Input/output error", path)
        if self.how == "torn" and path:
            with REAL_OPEN(path, "w") as stream:
                stream.write('{"')
        os._exit(CRASH)


REAL_OPEN = builtins.open


def armed(cutter):
    """Calls that change files go by the cutter from now on, in this process."""

    def opened(path, mode="r", *arguments, **options):
        if set(mode) & set("wax+"):
            cutter.strike(path)
        return REAL_OPEN(path, mode, *arguments, **options)

    def through(real):
        def call(*arguments, **options):
            cutter.strike(None)
            return real(*arguments, **options)

        return call

    builtins.open = opened
    for name in ("replace", "rename", "remove", "unlink", "fsync", "mkdir", "rmdir"):
        setattr(os, name, through(getattr(os, name)))


def train(folder, cutter):
    """What the stage does from where it was, without the network."""
    if cutter:
        armed(cutter)
    state = TrainingState(folder, STEPS, KEEP, lambda _warning: None)
    step = state.saved
    for saved in state.unevaluated(EVERY):
        evaluate(state, saved)
    while step < STEPS:
        step += 1
        state.add_step(step, 1.0 / step, 0.1)
        if step % EVERY == 0:
            with state.saving(step):
                save(folder, step)
            evaluate(state, step)


def save(folder, step):
    """As TensorFlow does, which no cutter sees: the index appears last."""
    for ending in ("data-00000-of-00001", "meta", "index"):
        with REAL_OPEN(os.path.join(folder, "checkpoints", "model.ckpt-%d.%s" % (step, ending)), "w") as stream:
            stream.write("of step %d" % step)


def evaluate(state, step):
    assert len(files(state.folder, step)) == 3, "the checkpoint of step %d is evaluated, and not there" % step
    state.add_evaluation(step, 1.0 / step, {"mAP": MAPS[step], "mAP@0.5": MAPS[step]})


def files(folder, step):
    start = "model.ckpt-%d." % step
    return [name for name in os.listdir(os.path.join(folder, "checkpoints")) if name.startswith(start)]


def in_fork(folder, cutter):
    """Exit code of a training in a process of its own, calls it counted, and what it raised."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        words = ""
        try:
            train(folder, cutter)
        except BaseException as error:
            words = "%s: %s" % (type(error).__name__, error)
        os.write(writing, ("%d\n%s" % (cutter.count if cutter else 0, words)).encode())
        os._exit(1 if words else 0)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        told = stream.read().decode()
    _, status = os.waitpid(pid, 0)
    count, _, words = told.partition("\n")
    return os.WEXITSTATUS(status), int(count or 0), words


def judged(folder):
    """What is wrong with a training that went on to its end, or nothing."""
    code, _, words = in_fork(folder, None)
    if code:
        return "it does not go on: %s" % words
    state = TrainingState(folder, STEPS, KEEP, lambda _warning: None)
    with open(os.path.join(folder, "history.json"), encoding="utf-8") as stream:
        seen = [point["step"] for point in json.load(stream)["evaluation"]]
    missing = [step for step in MAPS if step not in seen]
    if missing:
        return "the evaluations of steps %s are lost" % missing
    best = state.best()
    if best["step"] != 4 or best["mAP"] != MAPS[4]:
        return "the best checkpoint, of step 4, is lost: %s" % best
    gone = [path for path in state.files() if not os.path.isfile(path)]
    if gone or len(files(folder, 4)) != 3:
        return "files of checkpoints are lost: %s" % gone
    return ""


def main(base, few):
    results = []
    checkpoints._is_whole = lambda _folder, _step: True  # those of save() are words, which TensorFlow cannot read

    def fresh():
        shutil.rmtree(base, ignore_errors=True)
        os.makedirs(os.path.join(base, "checkpoints"))

    fresh()
    code, calls, words = in_fork(base, Cutter(0, "crash"))
    assert code == 0, words
    numbers = range(1, calls + 1)
    if few:
        numbers = sorted({1 + index * (calls - 1) // (4 * few) for index in range(4 * few + 1)})
    for how in HOW:
        for number in numbers:
            fresh()
            in_fork(base, Cutter(number, how))
            results.append(["training: %s at call %d of %d" % (how, number, calls), judged(base)])
    print(json.dumps(results))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
