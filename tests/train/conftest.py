"""One tiny dataset, and one tiny detector trained on it, for the whole session."""

import pytest
from hypothesis import settings
from train_helpers import InProcessStage, draw, parameters, write_records

from stages.train import train
from tests.fakes import light_graphs

# A machine that is busy with other things is not a failing test.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")
light_graphs.install()
graphs_go_with_their_module = light_graphs.graphs_go_with_their_module


@pytest.fixture
def stage(tmp_path, capfd):
    """Makes a stage that runs in a new folder of this test."""
    return lambda name="job": InProcessStage(str(tmp_path / name), capfd)


@pytest.fixture(scope="session")
def records_folder(tmp_path_factory):
    """Twelve pictures to train on and five to validate, two classes."""
    splits = {"train": [draw(number) for number in range(12)], "validation": [draw(number) for number in range(20, 25)]}
    return write_records(str(tmp_path_factory.mktemp("records") / "records"), splits)


@pytest.fixture(scope="session")
def trained(tmp_path_factory, records_folder):
    """A training of six steps, evaluated at step 4 and at the end."""
    stage = InProcessStage(str(tmp_path_factory.mktemp("trained")))
    return stage.run(train.main, {"records": records_folder}, parameters())
