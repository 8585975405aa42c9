"""The daemon goes away in the middle of a stage: one sentence, nothing lost, and the same command goes on."""

import threading

import pytest
from conftest import Stage, eventually, left_over

from nanoforge.console import Console
from nanoforge.containers.connection import connect
from nanoforge.errors import DaemonLost, EnvironmentNotReady
from nanoforge.runners.docker import DockerRunner


@pytest.fixture
def on_spare(spare, probe, tmp_path, monkeypatch):
    """The probe on the spare daemon by its socket, as if it were the daemon here."""
    monkeypatch.setenv("DOCKER_HOST", spare.host)

    def connected():
        runner = DockerRunner(connect(), "data", {}, Console())
        runner.prepare()
        return Stage(runner, tmp_path)

    yield connected
    spare.start()


@pytest.mark.parametrize("way", ["stop", "kill"])
def test_a_daemon_that_ends_in_mid_stage_is_a_sentence_and_the_next_run_goes_on(spare, on_spare, way):
    stage = on_spare()
    ending = threading.Thread(target=lambda: (eventually(stage.has_begun, 60), getattr(spare, way)()))
    ending.start()
    with pytest.raises(DaemonLost, match="stopped answering while probe ran: start it.*run the same command again"):
        stage.run("go on")
    ending.join(60)
    with pytest.raises(EnvironmentNotReady, match="No Docker daemon answers"):
        on_spare()
    spare.start()
    again = on_spare()
    again.run("go on")
    assert [words[2] for words in again.progress] == ["begun before"]
    assert left_over(again.folder, spare.host) == []
