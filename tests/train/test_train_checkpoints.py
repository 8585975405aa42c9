"""Checkpoints on disk: which are whole, which one is meant, which go."""

import os

import pytest
import tensorflow as tf

from stages.job import BadInput
from stages.train import checkpoints
from stages.train.training_state import TrainingState


def save(folder, step, suffixes=(".meta", ".data-00000-of-00001", ".index")):
    """Files of the names that a checkpoint has; nothing in them."""
    os.makedirs(os.path.join(str(folder), "checkpoints"), exist_ok=True)
    for suffix in suffixes:
        open(os.path.join(str(folder), checkpoints.prefix(step) + suffix), "w").close()


@pytest.fixture
def folder(tmp_path):
    """Evaluated at steps 10 (the best) and 20; saved at step 25."""
    state = TrainingState(str(tmp_path), 60, 5, pytest.fail)
    for step, score in ((10, 0.7), (20, 0.3)):
        save(tmp_path, step)
        state.add_evaluation(step, 1.0, {"mAP": score, "mAP@0.5": score})
    save(tmp_path, 25)
    return str(tmp_path)


@pytest.mark.parametrize("which, step", [("best", 10), ("last", 25), ("20", 20)])
def test_best_last_and_steps_name_checkpoints(folder, which, step):
    assert checkpoints.choose(folder, which) == step


@pytest.mark.parametrize(
    "which, words",
    [
        ("30", "no checkpoint of step 30; there are those of 10, 20, 25"),
        ("newest", "best, last or a step, not 'newest'"),
        ("", "best, last or a step, not ''"),
    ],
)
def test_what_names_no_checkpoint_is_bad_input(folder, which, words):
    with pytest.raises(BadInput, match=words):
        checkpoints.choose(folder, which)


def test_before_the_first_evaluation_none_is_the_best(tmp_path):
    with pytest.raises(BadInput, match="no checkpoint"):
        checkpoints.choose(str(tmp_path), "last")
    save(tmp_path, 5)
    assert checkpoints.choose(str(tmp_path), "last") == 5
    with pytest.raises(BadInput, match="No checkpoint was evaluated yet"):
        checkpoints.choose(str(tmp_path), "best")


def test_a_best_one_whose_files_are_gone_is_not_chosen(folder):
    checkpoints.remove(folder, 10)
    with pytest.raises(BadInput, match="no checkpoint of step 10; there are those of 20, 25"):
        checkpoints.choose(folder, "best")


@pytest.mark.parametrize("text", ['{"best": 10', "", "[]", "{}", '{"best": "10"}', "null", "[" * 100000], ids=len)
def test_a_list_that_is_damaged_is_named(folder, text):
    with open(os.path.join(folder, "checkpoints.json"), "w") as stream:
        stream.write(text)
    with pytest.raises(BadInput, match="checkpoints.json is damaged.*run train again"):
        checkpoints.choose(folder, "best")


def test_half_a_checkpoint_is_none(tmp_path):
    save(tmp_path, 100)
    save(tmp_path, 20)
    save(tmp_path, 30, suffixes=(".meta", ".data-00000-of-00001"))  # killed before the index
    assert checkpoints.steps(str(tmp_path)) == [20, 100]


def test_the_files_of_a_checkpoint_are_not_those_of_another(tmp_path):
    folder = tmp_path / "a[b]*"  # a folder may have any name
    for step in (1, 10):
        save(folder, step)
    names = [os.path.basename(path) for path in checkpoints.files(str(folder), 1)]
    assert names == ["model.ckpt-1.data-00000-of-00001", "model.ckpt-1.index", "model.ckpt-1.meta"]
    checkpoints.remove(str(folder), 1)
    assert checkpoints.steps(str(folder)) == [10]


def test_the_index_goes_first(folder, monkeypatch):
    removed = []
    monkeypatch.setattr(checkpoints.os, "remove", lambda path: removed.append(os.path.basename(path)))
    checkpoints.remove(folder, 10)
    assert removed[0] == "model.ckpt-10.index" and len(removed) == 3


@pytest.mark.parametrize("content, told", [(b"\xff\xff\xff", "cannot be read"), (None, "cannot be read")])
def test_a_writer_that_cannot_be_told_is_bad_input(folder, content, told):
    path = os.path.join(folder, checkpoints.prefix(20) + ".meta")
    os.remove(path)
    if content is not None:
        with open(path, "wb") as stream:
            stream.write(content)
    with pytest.raises(BadInput, match=told + ".*train again with TensorFlow " + tf.VERSION):
        checkpoints.tensorflow_version(folder, 20)
