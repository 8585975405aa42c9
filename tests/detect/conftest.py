"""A model, and the stage run on it."""

import json

import pytest
from detect_data import write_model
from hypothesis import settings

from stages.detect.detect import main
from stages.job import Job
from stages.parameters import DetectParameters

# A machine that is busy with other things is not a failing test.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model") / "convert")


class DetectOutcome:
    """What a run left behind."""

    def __init__(self, folder, events):
        self.folder, self.events = folder, events
        self.document = json.loads((folder / "detections.json").read_text())

    def of(self, kind):
        return [event[kind] for event in self.events if kind in event]


@pytest.fixture
def detect(model, tmp_path, monkeypatch):
    """Runs the stage: ``detect(media=..., score_threshold=...)``."""

    def run(
        media=None,
        records=None,
        score_threshold=0.6,
        pictures=0,
        draw=True,
        output="output",
        max_megapixels=100,
        backend="reference",
    ):
        events = []
        monkeypatch.setattr("stages.job.emit", events.append)
        folder = tmp_path / output
        folder.mkdir()
        inputs = {"model": model, **({"media": str(media)} if media else {"records": str(records)})}
        parameters = DetectParameters(max_megapixels, score_threshold, pictures, draw, backend)
        main(
            Job(
                {
                    "stage": "detect",
                    "inputs": inputs,
                    "output": str(folder),
                    "scratch": str(tmp_path),
                    "cpus": 1,
                    "parameters": parameters._asdict(),
                }
            )
        )
        return DetectOutcome(folder, events)

    return run
