"""A stage in a container: what it can and cannot do, whose its files are, and each way in which it can end."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import CLONE, Stage, eventually, left_over, run

from nanoforge.console import Console
from nanoforge.containers import compose
from nanoforge.containers.connection import connect
from nanoforge.errors import BadInput, EnvironmentNotReady, Interrupted, StageFailed
from nanoforge.runners.contract import EventSink
from nanoforge.runners.docker import DockerRunner

PLACES = [
    "/nanoforge/inputs/files/a.txt",
    "/nanoforge/inputs/files/new",
    "/nanoforge/code/stages/job.py",
    "/nanoforge/job.json",
    "/new",
    "/usr/x",
]
ADDRESS = ["172.17.0.1", 22]


def test_a_stage_can_write_its_output_and_scratch_and_nothing_else(stage, files):
    places = [*PLACES, "/nanoforge/scratch/x", "/tmp/x"]
    stage.run("look", inputs={"files": files.folder}, write=places, address=ADDRESS)
    refused = stage.looked()["refused"]
    assert {path for path, reason in refused.items() if not reason} == {"/nanoforge/scratch/x", "/tmp/x"}
    assert (files.folder / "a.txt").read_bytes() == b"a"


def test_a_stage_has_no_network_no_privileges_and_not_the_callers_environment(stage, monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "hush")
    with open_port() as address:
        stage.run("look", write=[], address=list(address))
    looked = stage.looked()
    assert looked["networks"] == ["lo"] and not looked["reached"]
    assert int(looked["capabilities"], 16) == 0 and looked["no_new_privileges"] == "1"
    assert looked["uid"] != 0
    assert "SECRET_TOKEN" not in looked["environment"]


@contextlib.contextmanager
def open_port():
    """A server on all of this machine's addresses, which a container with a network would reach at its gateway."""
    with socket.create_server(("0.0.0.0", 0)) as server:
        yield "172.17.0.1", server.getsockname()[1]


def test_what_a_stage_makes_is_the_callers(stage, files):
    outcome = stage.run("copy", inputs={"files": files.folder})
    made = {str(path.relative_to(stage.folder / "output")): path for path in (stage.folder / "output").rglob("*")}
    owners = {(path.stat().st_uid, path.stat().st_gid) for path in (*made.values(), stage.folder / "scratch")}
    assert owners == {(os.getuid(), os.getgid())}
    assert {name: made[name].read_bytes() for name in files.contents} == files.contents
    assert outcome.metrics == {"images": 3} and outcome.warnings == ["mind the gap"]
    assert left_over(stage.folder) == []


RUN_AS = """
import os
import sys
from pathlib import Path
sys.path.insert(0, str(Path(sys.argv[1]) / "tests" / "containers"))
from conftest import CLONE, Stage
from nanoforge.console import Console
from nanoforge.containers import compose, sdk  # sdk now: the other user may not read root's environment
from nanoforge.containers.connection import connect
from nanoforge.runners import bind_mounts
from nanoforge.runners.docker import DockerRunner
for module in (compose, bind_mounts):
    module.HOME = Path(sys.argv[2])
if "NANOFORGE_TEST_USER" in os.environ:
    user = int(os.environ["NANOFORGE_TEST_USER"])
    os.setgroups([int(os.environ["NANOFORGE_TEST_GROUP"])])
    os.setgid(user)
    os.setuid(user)
runner = DockerRunner(connect(), "data", {}, Console())
runner.prepare()
Stage(runner, Path(sys.argv[3])).run(sys.argv[4], write=[], address=["127.0.0.1", 1])
"""


def start_as(probe, folder, do, more=None):
    """A runner in a process of its own."""
    path = os.pathsep.join([str(CLONE), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, **(more or {}), "PYTHONPATH": path}
    command = [sys.executable, "-c", RUN_AS, str(CLONE), str(probe), str(folder), do]
    return subprocess.Popen(command, env=environment, cwd="/", text=True, stderr=subprocess.PIPE)


def test_files_of_an_unprivileged_caller_are_theirs_too(probe, tmp_path):
    """As somebody who is not root and may use the daemon's socket by its group."""
    daemon_socket = Path(os.environ["DOCKER_HOST"].replace("unix://", ""))
    folder = tmp_path / "theirs"
    folder.mkdir()
    for path in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        path.chmod(0o755)
    os.chown(folder, 4321, 4321)
    group = str(daemon_socket.stat().st_gid)
    become = {
        "NANOFORGE_CACHE": str(folder / "cache"), "NANOFORGE_TEST_USER": "4321", "NANOFORGE_TEST_GROUP": group,
    }  # fmt: skip
    process = start_as(probe, folder, "look", become)
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 0, said
    assert json.loads((folder / "output" / "look.json").read_text())["uid"] == 4321
    assert {path.stat().st_uid for path in folder.rglob("*")} == {4321}


def test_a_stage_over_its_memory_is_ended_and_explained(stage):
    with pytest.raises(StageFailed, match="more than its 64 MiB of memory"):
        stage.run("eat", memory_mb=64)
    assert left_over(stage.folder) == []


def test_a_stage_gets_the_processors_it_may_use(stage):
    stage.run("look", cpus=1, write=[], address=ADDRESS)
    looked = stage.looked()
    assert looked["cpus"] == 1 and looked["environment"]["OMP_NUM_THREADS"] == "1"


@pytest.mark.parametrize(
    ("do", "error", "words"),
    [("bad input", BadInput, "probe: a.xml line 3 is wrong"), ("exit", StageFailed, "exit code 7(.|\n)*last words")],
)
def test_each_way_to_fail_is_one_sentence_with_the_log(stage, do, error, words):
    with pytest.raises(error, match=words):
        stage.run(do)
    assert left_over(stage.folder) == []


def test_a_full_disk_is_a_sentence(stage, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    call = replace(stage.run_of("fill"), output=small)
    run("mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", small)
    try:
        with pytest.raises(StageFailed, match="probe: The disk is full"):
            stage.runner.run(call, EventSink(lambda *_: None, print), stage.stop)
    finally:
        run("umount", small)


def test_interrupting_ends_the_container_and_all_in_it(stage):
    threading.Timer(3, stage.stop.ask).start()
    with pytest.raises(Interrupted):
        stage.run("sleep")
    assert left_over(stage.folder) == []


def test_interrupting_before_it_began_starts_nothing(stage):
    stage.stop.ask()
    with pytest.raises(Interrupted):
        stage.run("sleep")
    assert left_over(stage.folder) == []


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_goes_on_running_when_the_runner_is_killed(probe, tmp_path, end):
    process = start_as(probe, tmp_path, "sleep")
    eventually(lambda: "asleep" in log_of(tmp_path), 60)
    assert len(left_over(tmp_path)) == 1
    process.send_signal(end)
    process.communicate(timeout=60)
    eventually(lambda: left_over(tmp_path) == [])


def test_while_a_stage_runs_the_user_of_that_number_gets_into_none_of_its_folders(probe, tmp_path):
    for path in (tmp_path, *list(tmp_path.parents)[:2]):
        path.chmod(0o755)
    process = start_as(probe, tmp_path / "work", "sleep")
    try:
        eventually(lambda: "asleep" in log_of(tmp_path / "work"), 60)
        assert (tmp_path / "work" / "output").stat().st_uid == 2000001000
        for folder in ("output", "scratch"):
            command = ["setpriv", "--reuid=1000", "--clear-groups", "touch", tmp_path / "work" / folder / "mine"]
            assert "Permission denied" in run(*command, code=1).stderr
    finally:
        process.terminate()
        process.communicate(timeout=60)


def log_of(folder):
    log = folder / "logs" / "probe.log"
    return log.read_text() if log.exists() else ""


def test_a_killed_stage_goes_on_from_its_scratch_folder(probe, stage, tmp_path):
    process = start_as(probe, tmp_path, "go on")
    eventually(lambda: '"begun"' in log_of(tmp_path), 60)
    process.kill()
    process.communicate(timeout=60)
    stage.run("go on")
    assert [words[2] for words in stage.progress] == ["begun before"]


def test_a_link_that_leads_out_of_an_input_is_named(stage, files, tmp_path):
    (tmp_path / "outside.txt").write_text("x")
    (files.folder / "deep" / "link.txt").symlink_to(tmp_path / "outside.txt")
    with pytest.raises(BadInput, match=r"In the files, .*link\.txt is a link to .*outside\.txt"):
        stage.run("copy", inputs={"files": files.folder})


def test_a_relative_link_inside_an_input_works_and_an_absolute_one_is_named(stage, files):
    link = files.folder / "link.txt"
    link.symlink_to("a.txt")
    stage.run("copy", inputs={"files": files.folder})
    assert (stage.folder / "output" / "link.txt").read_bytes() == b"a"
    link.unlink()
    link.symlink_to(files.folder / "a.txt")
    with pytest.raises(BadInput, match="make the link relative"):
        stage.run("copy", inputs={"files": files.folder})


def test_an_input_that_only_root_may_read_is_named(stage, files):
    files.folder.chmod(0o700)
    with pytest.raises(BadInput, match=r"User 2000001000, as whom containers run, may not read, .*: chmod -R a\+rX"):
        stage.run("copy", inputs={"files": files.folder})


def test_sentences_name_the_callers_paths(stage, files):
    with pytest.raises(StageFailed, match=f"There is no {files.folder}/missing"):
        stage.run("missing", inputs={"files": files.folder})


def test_a_base_that_cannot_be_fetched_is_a_sentence_that_says_what_helps(probe):
    service = "x" * 20
    compose_file = probe / "compose.yml"
    text = compose_file.read_text().replace("image: nanoforge-data", f"image: nanoforge-{service}")
    compose_file.write_text(text.replace("BASE_IMAGE: ${DATA_BASE}", "BASE_IMAGE: no-registry.invalid/none:1"))
    daemon = connect()
    with pytest.raises(EnvironmentNotReady, match="base image cannot be fetched.*--load FILE.*--runner local"):
        DockerRunner(daemon, "data", {}, Console()).prepare()
    daemon.close()


def test_a_service_with_what_cannot_be_honoured_is_refused(probe):
    compose_file = probe / "compose.yml"
    text = compose_file.read_text()
    compose_file.write_text(text.replace("    mem_limit: 4g\n", "    mem_limit: 4g\n    privileged: true\n"))
    with pytest.raises(BadInput, match="service data: Object contains unknown field privileged"):
        compose.service("data")


def test_the_log_begins_with_the_command_that_does_the_same_by_hand(stage, files, tmp_path):
    """Debian's docker-compose runs it, on the same compose.yml."""
    stage.run("copy", inputs={"files": files.folder})
    line = next(line for line in stage.log.splitlines() if "docker-compose" in line).lstrip("# ")
    user = int(stage.runner.service.user.split(":")[0])
    for name in ("OUT", "SCRATCH"):
        (tmp_path / name).mkdir()
        os.chown(tmp_path / name, user, user)
        line = line.replace(f" {name}:", f" {tmp_path / name}:")
    run("sh", "-c", line, cwd=CLONE)
    assert contents(tmp_path / "OUT") == contents(stage.folder / "output")


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_runner_is_used_by_several_threads(stage, tmp_path):
    """As stages that do not need each other run at the same time."""
    others = [Stage(stage.runner, tmp_path / name) for name in ("one", "two", "three")]
    threads = [threading.Thread(target=other.run, args=("exit-free",)) for other in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert [other.looked() for other in others] == [{"do": "exit-free"}] * 3
