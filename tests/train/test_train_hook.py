"""What is due after a training step."""

from types import SimpleNamespace

import numpy as np
import pytest

from stages.train import hook as hook_module
from stages.train.hook import Diverged, TrainingHook
from stages.train.training_state import TrainingState


class Steps:
    """A hook whose steps take ``seconds`` of a clock that only the test moves."""

    def __init__(self, folder, monkeypatch, steps, evaluate_every, seconds):
        self.now, self.seconds, self.saved, self.evaluated, self.told = 0.0, seconds, [], [], []
        monkeypatch.setattr(hook_module, "time", SimpleNamespace(monotonic=lambda: self.now))
        self.state = TrainingState(str(folder), steps, 2, pytest.fail)
        self.hook = TrainingHook(
            self.state, evaluate_every, self.evaluated.append, lambda step, _: self.told.append(step)
        )
        self.hook._events = SimpleNamespace(flush=lambda: None, add_summary=lambda *_: None)
        monkeypatch.setattr(self.hook, "_save", self._save)

    def _save(self, session):
        self.saved.append(self.hook._step)
        self.hook._saved = self.now

    def step(self, loss=1.0):
        self.now += self.seconds
        values = {"loss": np.float32(loss), "learning_rate": np.float32(0.1), "pictures": np.array([3, 5])}
        self.hook.after_run(SimpleNamespace(session=None), SimpleNamespace(results=values))


def test_it_saves_and_evaluates_at_the_steps_asked_for_and_at_the_end(tmp_path, monkeypatch):
    steps = Steps(tmp_path, monkeypatch, steps=7, evaluate_every=3, seconds=0.1)
    for _ in range(7):
        steps.step()
    assert steps.saved == steps.evaluated == [3, 6, 7]
    assert steps.told == []  # all that took less than a second


def test_it_saves_once_a_minute_in_between_and_says_so_once_a_second(tmp_path, monkeypatch):
    steps = Steps(tmp_path, monkeypatch, steps=100, evaluate_every=100, seconds=0.9)
    for _ in range(100):
        steps.step()
    assert steps.saved == [67, 100]  # 67 steps are the first to take more than a minute
    assert steps.evaluated == [100]
    assert steps.told == list(range(2, 101, 2))


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_ends_the_training_before_anything_is_saved(tmp_path, monkeypatch, loss):
    steps = Steps(tmp_path, monkeypatch, steps=2, evaluate_every=1, seconds=0.1)
    steps.step()
    with pytest.raises(Diverged) as caught:
        steps.step(loss)
    event = caught.value
    assert (event.step, event.learning_rate, event.pictures.tolist()) == (2, pytest.approx(0.1), [3, 5])
    assert not np.isfinite(event.loss) and steps.saved == [1]


def test_summaries_are_asked_for_every_twentieth_step(tmp_path, monkeypatch):
    steps = Steps(tmp_path, monkeypatch, steps=50, evaluate_every=50, seconds=0.1)
    steps.hook._values, steps.hook._summaries = {"loss": "loss"}, "summaries"
    asked = []
    for _ in range(40):
        asked.append("summaries" in steps.hook.before_run(None).fetches)
        steps.step()
    assert [number for number, due in enumerate(asked, 1) if due] == [20, 40]
