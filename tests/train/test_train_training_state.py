"""What a training remembers: the curve, the checkpoints it keeps, and where a killed one goes on."""

import contextlib
import json
import os
import shutil

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorflow.python.training import saver
from train_checkpoints import SmallModel

from stages.train import checkpoints
from stages.train.training_state import POINTS, TrainingState

SCORES = [0.3, 0.7, 0.5, 0.6, 0.1, None]


@pytest.fixture(scope="session")
def model():
    return SmallModel()


def state_of(folder, steps=60, keep=2, warn=pytest.fail):
    return TrainingState(str(folder), steps, keep, warn)


def save(state, model, step):
    with state.saving(step):
        model.save(state.folder, step)


def evaluate(state, step, score):
    assert step in checkpoints.steps(state.folder)
    state.add_evaluation(step, 1.0, {"mAP": score, "mAP@0.5": score})


def train(folder, model, warn=pytest.fail, every=5, often=10, steps=60, keep=2, kill=None):
    """A training saved at each ``every``th step and evaluated at each ``often``th, from where the folder has it on.

    It is killed after the step ``kill``.
    """
    state = state_of(folder, steps, keep, warn)
    for step in state.unevaluated(often):
        evaluate(state, step, SCORES[step // often - 1])
    newest = tf.train.latest_checkpoint(os.path.join(state.folder, "checkpoints"))
    assert (checkpoints.prefix(state.saved) if state.saved else None) == (
        newest and os.path.relpath(newest, state.folder)  # TensorFlow goes on from the same one
    )
    for step in range(state.saved + 1, steps + 1):
        state.add_step(step, 1.0 / step, 0.1)
        if step % every == 0:
            save(state, model, step)
        if step % often == 0:
            evaluate(state, step, SCORES[step // often - 1])
        if step == kill:
            return


def documents(folder):
    """What belongs to the artifact: its two documents, and the names of its checkpoints' files."""
    found = [json.loads((folder / name).read_text()) for name in ("history.json", "checkpoints.json")]
    return found + [sorted(os.path.relpath(path, str(folder)) for path in state_of(folder).files())]


@pytest.fixture(scope="session")
def uncut(tmp_path_factory, model):
    folder = tmp_path_factory.mktemp("uncut")
    train(folder, model)
    return documents(folder)


def test_the_last_and_the_best_are_kept(tmp_path, model):
    train(tmp_path, model)
    assert checkpoints.steps(str(tmp_path)) == [20, 50, 60]
    document = json.loads((tmp_path / "checkpoints.json").read_text())
    assert (document["best"], document["last"], document["tensorflow"]) == (20, 60, "1.12.0")
    assert [entry["step"] for entry in document["checkpoints"]] == [20, 50, 60]
    assert document["checkpoints"][0] == {
        "step": 20,
        "loss": 1.0,
        "mAP": 0.7,
        "mAP@0.5": 0.7,
        "prefix": "checkpoints/model.ckpt-20",
    }


def test_a_checkpoint_saved_between_evaluations_goes_when_the_next_is_there(tmp_path, model):
    state = state_of(tmp_path)
    for step in (3, 6, 100):
        save(state, model, step)
    assert checkpoints.steps(str(tmp_path)) == [100]
    assert not checkpoints.files(str(tmp_path), 6)


def test_a_killed_training_goes_on_from_its_last_checkpoint(tmp_path, model):
    state = state_of(tmp_path)
    for step in range(1, 11):
        state.add_step(step, 1.0 / step, 0.1)
    save(state, model, 10)
    evaluate(state, 10, 0.5)
    state.add_step(11, 0.1, 0.1)  # never saved
    again = state_of(tmp_path)
    assert again.saved == 10
    assert again.unevaluated(10) == []
    assert again.last_map() == 0.5
    for step in range(11, 61):
        again.add_step(step, 1.0 / step, 0.1)
    save(again, model, 60)
    evaluate(again, 60, 0.6)
    history = json.loads((tmp_path / "history.json").read_text())
    assert [point["step"] for point in history["training"]] == list(range(1, 61))
    assert [point["step"] for point in history["evaluation"]] == [10, 60]


@settings(max_examples=20)
@given(steps=st.integers(1, 3000))
def test_the_curve_is_never_long_ends_with_the_last_step_and_holds_means(tmp_path_factory, model, steps):
    folder = tmp_path_factory.mktemp("state")
    state = state_of(folder, steps, keep=1)
    for step in range(1, steps + 1):
        state.add_step(step, 2.0, 0.1)
    save(state, model, steps)
    points = json.loads((folder / "history.json").read_text())["training"]
    assert 1 <= len(points) <= POINTS
    assert points[-1]["step"] == steps
    assert all(point["loss"] == pytest.approx(2.0) for point in points)


def test_a_loss_that_is_no_number_is_null_in_the_files(tmp_path, model):
    state = state_of(tmp_path, 10, keep=1)
    save(state, model, 10)
    state.add_evaluation(10, float("nan"), {"mAP": None, "mAP@0.5": None})
    text = (tmp_path / "history.json").read_text() + (tmp_path / "checkpoints.json").read_text()
    assert "NaN" not in text and state.last_loss() == float("inf")


class Cut(BaseException):
    """A kill: nothing catches it."""


class Disk:
    """What a training does to the disk, call by call, counted from 1; cuts it off before one of them."""

    def __init__(self, patch, at):
        self._at, self.calls, self._synced = at, 0, set()
        patch.setattr(os, "fsync", self._counting(self._sync))
        patch.setattr(os, "replace", self._counting(os.replace, self._move))
        patch.setattr(os, "remove", self._counting(os.remove, self._synced.discard))
        patch.setattr(SmallModel, "save", self._counting(SmallModel.save))
        patch.setattr(tf.train.Saver, "save", self._counting(tf.train.Saver.save))
        management = saver.checkpoint_management  # writes the file that names the newest checkpoint
        update = management.update_checkpoint_state_internal
        patch.setattr(management, "update_checkpoint_state_internal", self._counting(update))

    def _counting(self, function, note=lambda *_: None):
        def counted(*arguments, **options):
            self.calls += 1
            if self.calls == self._at:
                raise Cut
            note(*arguments)
            return function(*arguments, **options)

        return counted

    def _sync(self, descriptor):
        self._synced.add(os.readlink("/proc/self/fd/%d" % descriptor))

    def _move(self, source, target):
        if source in self._synced:
            self._synced.discard(source)
            self._synced.add(target)

    def cut_power(self, folder):
        """Empty every file whose bytes were not brought to the disk."""
        for parent, _, names in os.walk(folder):
            for path in (os.path.join(parent, name) for name in names):
                if path not in self._synced:
                    os.truncate(path, 0)


@pytest.mark.parametrize("power", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_cut_at_every_write_it_ends_as_if_uncut(tmp_path, model, power):
    folder = tmp_path.resolve() / "training"
    wanted, calls, at = None, 1, 0
    while at <= calls:
        folder.mkdir()
        told = []
        with pytest.MonkeyPatch.context() as patch:
            disk = Disk(patch, at)
            with contextlib.suppress(Cut):
                train(folder, model, every=1, often=1, steps=3, keep=1)
        if at:
            if power:
                disk.cut_power(str(folder))
            train(folder, model, told.append, every=1, often=1, steps=3, keep=1)
            assert documents(folder) == wanted, at
            # What was just being saved may be lost; nothing that was finished is, least of all the best.
            assert all("Damaged checkpoints" in sentence for sentence in told) and len(told) <= power, (at, told)
        else:
            wanted, calls = documents(folder), disk.calls
            assert [entry["step"] for entry in wanted[1]["checkpoints"]] == [2, 3] and calls > 40
        shutil.rmtree(str(folder))
        at += 1


@pytest.mark.parametrize(
    "text", ["", '{"training": [', "[]", "{}", '{"training": 5, "evaluation": []}', "\0" * 99, "NaN"], ids=len
)
def test_a_history_that_is_damaged_costs_the_curve_and_says_so(tmp_path, model, uncut, text):
    train(tmp_path, model, kill=45)
    (tmp_path / "history.json").write_text(text)
    told = []
    train(tmp_path, model, told.append)
    history, listed, files = documents(tmp_path)
    assert [point["step"] for point in history["training"]] == list(range(46, 61))
    assert [point["step"] for point in history["evaluation"]] == [20, 30, 40, 50, 60]
    assert (listed, files) == (uncut[1], uncut[2])
    assert len(told) == 1 and "history.json is missing or damaged" in told[0] and "up to step 45 is lost" in told[0]


@pytest.mark.parametrize("text", ["", "{", "[]", None])
def test_a_list_that_is_damaged_is_made_again(tmp_path, model, uncut, text):
    train(tmp_path, model, kill=45)
    if text is None:
        os.remove(str(tmp_path / "checkpoints.json"))
    else:
        (tmp_path / "checkpoints.json").write_text(text)
    train(tmp_path, model)
    assert documents(tmp_path) == uncut


def damaged_file(step, suffix):
    def damage(folder):
        with open(str(folder / (checkpoints.prefix(step) + suffix)), "r+b") as stream:
            stream.truncate(0)

    return damage


def flipped_byte(folder):
    with open(str(folder / (checkpoints.prefix(45) + ".data-00000-of-00001")), "r+b") as stream:
        stream.seek(20)
        stream.write(b"\xff")


@pytest.mark.parametrize(
    "damage",
    [damaged_file(45, ".index"), damaged_file(45, ".data-00000-of-00001"), damaged_file(45, ".meta"), flipped_byte],
)
def test_from_a_damaged_checkpoint_it_goes_back_to_the_one_before(tmp_path, model, uncut, damage):
    train(tmp_path, model, kill=45)
    damage(tmp_path)
    told = []
    train(tmp_path, model, told.append)
    assert documents(tmp_path) == uncut
    assert len(told) == 1 and "those of the steps 45: the training goes on from step 40" in told[0]


def test_the_best_is_never_lost_in_silence(tmp_path, model):
    train(tmp_path, model, kill=45)
    damaged_file(20, ".index")(tmp_path)
    told = []
    train(tmp_path, model, told.append)
    assert json.loads((tmp_path / "checkpoints.json").read_text())["best"] == 40
    assert "that of step 20, is lost" in told[1]


def test_where_no_checkpoint_is_whole_it_starts_anew_and_says_so(tmp_path, model, uncut):
    train(tmp_path, model, kill=15)
    for step in (10, 15):
        damaged_file(step, ".index")(tmp_path)
    told = []
    train(tmp_path, model, told.append)
    assert documents(tmp_path) == uncut
    assert len(told) == 1 and "those of the steps 10, 15: the training starts anew" in told[0]
