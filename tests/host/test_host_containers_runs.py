"""Stages in containers, on a daemon in memory that sees this machine's folders: what they see, and how they end."""

import json
import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from stage_on_daemon import Stage

from nanoforge.console import Console
from nanoforge.containers import compose, images
from nanoforge.containers.container import labels_of
from nanoforge.errors import BadInput, DaemonLost, EnvironmentNotReady, Interrupted, StageFailed
from nanoforge.runners import bind_mounts
from nanoforge.runners.contract import SPEAKING_UTF8, Limits
from nanoforge.runners.docker import DockerRunner
from tests.fakes.daemon import FACTS, FakeDaemon, wait_until_stopped


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NANOFORGE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def near(tmp_path):
    return Stage(FakeDaemon(tmp_path / "daemon"), tmp_path)


def test_only_output_and_scratch_can_be_written(near):
    near.run()
    folders = {folder.target: folder for folder in near.container.folders}
    assert {target for target, folder in folders.items() if not folder.read_only} == {
        "/nanoforge/output",
        "/nanoforge/scratch",
    }
    assert folders["/nanoforge/inputs/files"].source == str(near.folder / "files")
    assert folders["/nanoforge/code/stages"].source == str(Path(compose.__file__).parents[2] / "stages")
    assert folders["/nanoforge/output"].source == str(near.folder / "output")


def test_a_single_file_is_mounted_under_its_own_name(near):
    near.run(inputs={"files": near.folder / "files" / "a.txt"})
    assert "/nanoforge/inputs/files/a.txt" in {folder.target for folder in near.container.folders}
    assert near.files("output") == {"a.txt": b"a" * 900}


def test_the_job_names_places_in_the_container_and_stays_beside_the_log(near):
    near.run(limits=Limits(1, 0))
    job = json.loads((near.folder / "logs" / "copy-1.json").read_text())
    assert job == {
        "stage": "copy",
        "inputs": {"files": "/nanoforge/inputs/files"},
        "output": "/nanoforge/output",
        "scratch": "/nanoforge/scratch",
        "parameters": {"sharp": True},
        "cpus": 1,
    }
    assert near.container.command[-3:] == ["-m", "stages.data.copy", "/nanoforge/job.json"]


def test_what_a_stage_makes_and_says_comes_back_with_the_users_own_paths(near):
    outcome = near.run()
    assert near.files("output") == near.files("files")
    assert outcome.metrics == {"images": 3}
    assert outcome.warnings == [f"mind the gap in {near.folder}/files"] == near.warnings
    assert {path.stat().st_uid for path in (near.folder / "output").rglob("*")} == {os.getuid()}


def test_a_stage_gets_the_environments_confinement_and_its_own_limits(near):
    near.run(limits=Limits(1, 300))
    made = near.container
    assert made.service == compose.service("data") and made.service.network_mode == "none"
    assert (made.memory_limit, made.cpus) == (300 << 20, 1)
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    assert made.environment == {**SPEAKING_UTF8, **threads, "NANOFORGE_PARENT_PIPE": "1"}
    assert made.labels == {**labels_of("owner"), "nanoforge.work": "work"}


def test_without_limits_a_stage_gets_all_processors_and_the_services_memory(near):
    near.run(limits=Limits(16, 0))
    assert (near.container.cpus, near.container.memory_limit) == (0, 4 << 30)
    assert near.container.environment["OMP_NUM_THREADS"] == "2"
    assert (near.runner.reserves, near.runner.capacity, near.runner.machine) == (4 << 30, 8 << 30, "here")


def test_the_log_begins_with_the_command_that_does_the_same_by_hand(near):
    near.run()
    line = near.log.splitlines()[1]
    assert f"-v {near.folder}/files:/nanoforge/inputs/files:ro" in line and "-v OUT:/nanoforge/output" in line
    assert line.endswith("data python3 -W ignore::FutureWarning -m stages.data.copy /nanoforge/job.json")
    assert "job.json:ro" in line and "stages:ro" not in line, "docker-compose mounts the code by itself"


@pytest.mark.parametrize(
    ("program", "error", "words"),
    [
        (lambda process: process.allocate(500 << 20), StageFailed, "more than its 300 MiB of memory"),
        (lambda process: 7 if process.print("last words") is None else 0, StageFailed, r"exit code 7(.|\n)*last words"),
        (lambda process: 137, StageFailed, "was killed; most often"),
        (
            lambda process: process.emit(error="a.xml is wrong") or 2,
            BadInput,
            "copy: a.xml is wrong. Log: .*copy-1.log",
        ),
    ],
)
def test_each_way_to_end_is_a_sentence_and_leaves_nothing(near, program, error, words):
    with pytest.raises(error, match=words):
        near.run(program, limits=Limits(0, 300))
    assert near.daemon.containers({}) == []


def test_interrupting_ends_the_container(near):
    def program(process):
        threading.Timer(0.05, near.stop.ask).start()
        return wait_until_stopped(process)

    with pytest.raises(Interrupted):
        near.run(program)
    assert near.daemon.containers({}) == []


def test_interrupting_before_it_began_starts_nothing(near):
    near.stop.ask()
    with pytest.raises(Interrupted):
        near.run(lambda process: pytest.fail("it ran"))
    assert near.daemon.containers({}) == []


def test_a_daemon_that_goes_away_is_a_sentence_and_the_next_run_sweeps_what_it_left(near):
    def program(process):
        threading.Thread(target=near.daemon.cut).start()
        return wait_until_stopped(process)

    with pytest.raises(DaemonLost, match="Docker daemon stopped answering while copy ran: start it.*same command"):
        near.run(program)
    near.daemon.reconnect()
    left = near.daemon.create(near.container)
    near.run()
    with pytest.raises(EnvironmentNotReady):
        near.daemon.start(left)
    assert near.daemon.containers({}) == [] and near.files("output") == near.files("files")


def test_links_that_lead_out_of_an_input_are_named(near):
    link = near.folder / "files" / "deep" / "link"
    link.symlink_to("../a.txt")
    (near.folder / "files" / "nowhere").symlink_to("/nowhere")  # nothing counts behind it, here or there
    (near.folder / "files" / ".hidden").symlink_to("/etc/hosts")
    (near.folder / "elsewhere").mkdir()
    near.run()
    for goal in (near.folder / "files" / "a.txt", Path("../../elsewhere")):
        link.unlink()
        link.symlink_to(goal)
        with pytest.raises(BadInput, match=f"In the files, .*deep/link is a link to {goal}"):
            near.run()


@pytest.mark.skipif(os.getuid() != 0, reason="about what root alone may read")
def test_an_input_that_only_root_may_read_is_named(near):
    (near.folder / "files").chmod(0o700)
    with pytest.raises(BadInput, match=r"User 2000001000, as whom containers run, may not read, .*: chmod -R a\+rX"):
        near.run()


@pytest.mark.skipif(os.getuid() != 0, reason="others are readers only where the caller is root")
@pytest.mark.parametrize("name", ["files/deep", "files/deep/c.bin"])
def test_the_first_thing_that_the_container_may_not_read_is_named_however_deep(near, name):
    (near.folder / name).chmod(0o600)
    with pytest.raises(BadInput, match=f"may not read, in the files, {near.folder}/{name}: chmod"):
        near.run()
    hidden = (near.folder / name).rename((near.folder / name).with_name(".hidden"))
    near.run()
    assert hidden.exists(), "what does not count may be as it is"


@pytest.mark.skipif(os.getuid() != 0, reason="others are readers only where the caller is root")
def test_the_code_of_a_clone_that_only_root_may_read_is_named(near, tmp_path, monkeypatch):
    shutil.copytree(bind_mounts.HOME / "stages", tmp_path / "clone" / "stages")
    (tmp_path / "clone" / "stages" / "data" / "annotation" / "voc.py").chmod(0o600)
    monkeypatch.setattr(bind_mounts, "HOME", tmp_path / "clone")
    with pytest.raises(BadInput, match=r"in the code of the stages, .*data/annotation/voc.py: chmod -R a\+rX"):
        near.run()


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
def test_while_a_stage_runs_nobody_else_gets_into_its_folders(near, tmp_path):
    """The container's user is somebody on this machine."""
    for folder in (tmp_path, *list(tmp_path.parents)[:3]):
        folder.chmod(0o755)
    said = []

    def program(process):
        assert process.path("/nanoforge/output").stat().st_uid == 2000001000, "what the container's user may write"
        for folder in ("output", "scratch"):
            command = ["setpriv", "--reuid=1000", "--clear-groups", "touch", str(tmp_path / "work" / folder / "mine")]
            said.append(subprocess.run(command, capture_output=True, text=True).stderr)

    near.work = tmp_path / "work"
    near.run(program)
    assert len(said) == 2 and all("Permission denied" in words for words in said), said
    assert (tmp_path / "work").stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
def test_what_is_given_away_is_never_what_a_link_leads_to(tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").touch()
    given = tmp_path / "given"
    (given / "deep").mkdir(parents=True)
    for link, goal in (("folder", "outside"), ("deep/file", "outside/file")):
        (given / link).symlink_to(tmp_path / goal)
    bind_mounts.give([given], (1000, 1000))
    assert {path.lstat().st_uid for path in (given, *given.rglob("*"))} == {1000}
    assert {path.stat().st_uid for path in (tmp_path / "outside", tmp_path / "outside" / "file")} == {0}


def test_a_path_with_a_colon_is_mounted_and_said_to_be_nothing_for_docker_compose(near):
    odd = (near.folder / "files").rename(near.folder / "od:d")
    near.run(inputs={"files": odd})
    assert near.files("output") == near.files("od:d")
    assert near.log.startswith(f"# By hand: not by docker-compose, which cannot mount {odd}")


@pytest.mark.parametrize("text", ["/a:b/c:/in:ro", "/a:b:/in:ro"])
def test_a_folder_that_compose_declares_may_hold_a_colon(text):
    assert bind_mounts._declared(text) == (text.rpartition(":/in")[0], "/in", True)


def test_a_volume_of_compose_that_is_not_understood_is_named(near):
    service = near.runner.service
    near.runner.service = type(service)(image=service.image, volumes=["./stages:/nanoforge/code:rw"])
    near.runner._found = near.daemon.image(service.image)
    with pytest.raises(BadInput, match="volume './stages:/nanoforge/code:rw': expected FOLDER:PLACE"):
        near.run()


# --- the runner


def test_a_daemon_that_maps_user_ids_is_refused(near):
    near.daemon.told = type(FACTS)(**{**vars(FACTS), "security": ("name=rootless",)})
    with pytest.raises(EnvironmentNotReady, match="maps user ids .rootless., so files"):
        near.runner.prepare()


def test_an_image_for_another_processor_is_warned_of_once(tmp_path, capsys):
    daemon = FakeDaemon(tmp_path / "daemon")
    runner = DockerRunner(daemon, "data", {}, Console())
    daemon.add_image("nanoforge-data", images._labels(runner.service), "arm64")
    runner.prepare()
    runner.prepare()
    assert capsys.readouterr().err.count("it is emulated, many times slower") == 1


def test_an_image_that_is_missing_is_built_when_the_runner_is_prepared(tmp_path):
    daemon = FakeDaemon(tmp_path / "daemon")
    runner = DockerRunner(daemon, "data", {}, Console())
    assert runner.image == ""
    with pytest.raises(EnvironmentNotReady, match="is gone or old: `./run images --environments data` builds it"):
        runner.tools()
    runner.prepare()
    assert runner.image == daemon.image("nanoforge-data").id and len(daemon.built) == 1
    assert runner.tools() == {
        "platform": "Linux x86_64", "python": "3.11.9", "numpy": "1.0", "image": runner.image, "docker-daemon": "20.10",
    }  # fmt: skip
