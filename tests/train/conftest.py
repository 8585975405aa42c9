"""One tiny dataset, and one tiny detector trained on it, for the whole session."""

import gc

import pytest
import tensorflow as tf
from hypothesis import settings
from train_helpers import InProcessStage, draw, parameters, write_records

from stages.train import train
from tests.fakes import short_stacks

# A machine that is busy with other things is not a failing test.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")
# A TensorFlow graph is many Python objects that stay; looking through them again and again takes a fifth of the time.
gc.set_threshold(50000, 20, 100)
short_stacks.install()


@pytest.fixture(scope="module", autouse=True)
def _graphs_go_with_their_module():
    """Graphs are circles of objects: without this they would be gigabytes before they are looked for."""
    yield
    tf.reset_default_graph()
    gc.collect()


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
