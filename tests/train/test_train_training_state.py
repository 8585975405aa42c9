"""What a training remembers: the curve, the checkpoints it keeps, and where a killed one goes on."""

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.train import checkpoints
from stages.train.training_state import POINTS, TrainingState


def save(folder, step):
    os.makedirs(os.path.join(str(folder), "checkpoints"), exist_ok=True)
    for suffix in (".meta", ".data-00000-of-00001", ".index"):
        open(os.path.join(str(folder), checkpoints.prefix(step) + suffix), "w").close()


def evaluate(state, folder, step, score):
    save(folder, step)
    state.add_save(step)
    state.add_evaluation(step, 1.0, {"mAP": score, "mAP@0.5": score})


def test_the_last_and_the_best_are_kept(tmp_path):
    state = TrainingState(str(tmp_path), 60, keep=2)
    for step, score in ((10, 0.3), (20, 0.7), (30, 0.5), (40, 0.6), (50, 0.1)):
        evaluate(state, tmp_path, step, score)
    assert checkpoints.steps(str(tmp_path)) == [20, 40, 50]
    document = json.loads((tmp_path / "checkpoints.json").read_text())
    assert (document["best"], document["last"], document["tensorflow"]) == (20, 50, "1.12.0")
    assert [entry["step"] for entry in document["checkpoints"]] == [20, 40, 50]
    assert document["checkpoints"][0]["prefix"] == "checkpoints/model.ckpt-20"


def test_a_checkpoint_saved_between_evaluations_goes_when_the_next_is_there(tmp_path):
    state = TrainingState(str(tmp_path), 60, keep=2)
    for step in (3, 6, 100):
        save(tmp_path, step)
        state.add_save(step)
    assert checkpoints.steps(str(tmp_path)) == [100]
    assert not checkpoints.files(str(tmp_path), 6)


def test_a_killed_training_goes_on_from_its_last_checkpoint(tmp_path):
    state = TrainingState(str(tmp_path), 60, keep=2)
    for step in range(1, 11):
        state.add_step(step, 1.0 / step, 0.1)
    evaluate(state, tmp_path, 10, 0.5)
    state.add_step(11, 0.1, 0.1)  # never saved
    again = TrainingState(str(tmp_path), 60, keep=2)
    assert again.saved == 10
    assert again.is_evaluated(10) and not again.is_evaluated(11)
    assert again.last_map() == 0.5
    for step in range(11, 61):
        again.add_step(step, 1.0 / step, 0.1)
    evaluate(again, tmp_path, 60, 0.6)
    history = json.loads((tmp_path / "history.json").read_text())
    assert [point["step"] for point in history["training"]] == list(range(1, 61))
    assert [point["step"] for point in history["evaluation"]] == [10, 60]


@given(st.integers(1, 3000))
def test_the_curve_is_never_long_ends_with_the_last_step_and_holds_means(tmp_path_factory, steps):
    folder = tmp_path_factory.mktemp("state")
    state = TrainingState(str(folder), steps, keep=1)
    for step in range(1, steps + 1):
        state.add_step(step, 2.0, 0.1)
    evaluate(state, folder, steps, None)
    points = json.loads((folder / "history.json").read_text())["training"]
    assert 1 <= len(points) <= POINTS
    assert points[-1]["step"] == steps
    assert all(point["loss"] == pytest.approx(2.0) for point in points)


def test_a_loss_that_is_no_number_is_null_in_the_files(tmp_path):
    state = TrainingState(str(tmp_path), 10, keep=1)
    save(tmp_path, 10)
    state.add_evaluation(10, float("nan"), {"mAP": None, "mAP@0.5": None})
    text = (tmp_path / "history.json").read_text() + (tmp_path / "checkpoints.json").read_text()
    assert "NaN" not in text and state.last_loss() == float("inf")
