"""Datasets and jobs for the tests of stages/data and stages/demo."""

from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest
from data_voc import PARAMETERS, Dataset, Outcome

from stages.data import records
from stages.job import Job


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return Dataset(tmp_path / "voc")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    """Run a stage's ``main`` in this process and gather what it says."""
    events: List[Dict[str, Any]] = []
    monkeypatch.setattr("stages.job.emit", events.append)
    runs = iter(range(1000))

    def start(
        main: Callable[[Job], None], inputs: Dict[str, str], parameters: Dict[str, Any], cpus: int = 1
    ) -> Outcome:
        folder = tmp_path / ("run-%d" % next(runs))
        output, scratch = folder / "out", folder / "scratch"
        output.mkdir(parents=True)
        scratch.mkdir()
        before = len(events)
        main(
            Job(
                {
                    "stage": "test",
                    "inputs": inputs,
                    "output": str(output),
                    "scratch": str(scratch),
                    "parameters": parameters,
                    "cpus": cpus,
                }
            )
        )
        return Outcome(output, events[before:])

    return start


@pytest.fixture
def make_records(dataset: Dataset, run: Callable[..., Outcome]) -> Callable[..., Outcome]:
    """Run the stage records on the test's dataset, with parameters overridden by name."""

    def start(cpus: int = 1, **parameters: Any) -> Outcome:
        inputs = {"photos": str(dataset.photos), "annotations": str(dataset.annotations)}
        return run(records.main, inputs, dict(PARAMETERS, **parameters), cpus)

    return start
