"""Stages in containers, on a daemon in memory: what they see, how they end, and what is sent and brought back."""

import hashlib
import json
import os
import threading
from pathlib import Path

import pytest

from nanoforge.console import Console
from nanoforge.containers import compose, images, volumes
from nanoforge.errors import BadInput, DaemonLost, EnvironmentNotReady, Interrupted, StageFailed
from nanoforge.files.selection import Selection
from nanoforge.runners import volume_transfer
from nanoforge.runners.contract import SPEAKING_UTF8, EventSink, Limits, StageInput, StageRun
from nanoforge.runners.docker import DockerRunner
from nanoforge.stop import Stop
from tests.fakes.daemon import FACTS, FakeDaemon, wait_until_stopped

NO_LIMITS = Limits(0, 0)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NANOFORGE_CACHE", str(tmp_path / "cache"))


def copy(process):
    """A stage that copies its input `files`, and says so."""
    job = json.loads(process.read(process.command[-1]))
    source = process.path(job["inputs"]["files"])
    for path in [source] if source.is_file() else sorted(source.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            name = path.name if source.is_file() else path.relative_to(source)
            process.write(f"{job['output']}/{name}", path.read_bytes())
    process.emit(metrics={"images": 3})
    process.emit(warning=f"mind the gap in {job['inputs']['files']}")


class Stage:
    """A stage on a daemon: runs it, and tells what came of it."""

    def __init__(self, daemon, folder, environment="data"):
        self.daemon = daemon
        self.folder = folder
        self.progress, self.warnings = [], []
        self.stop = Stop()
        self.runner = DockerRunner(daemon, environment, {}, Console())
        service = self.runner.service
        daemon.add_image(service.image, images._labels(service))
        (folder / "files" / "deep").mkdir(parents=True)
        (folder / "files" / "a.txt").write_bytes(b"a" * 900)
        (folder / "files" / "b.txt").write_bytes(b"b" * 900)
        (folder / "files" / "deep" / "c.bin").write_bytes(b"\0c" * 450)

    def run(self, program=copy, inputs=None, limits=NO_LIMITS):
        self.daemon.program = program
        output = self.folder / "output"
        for path in output.glob("*") if output.is_dir() else ():
            path.rename(self.folder / f"old-{path.name}-{len(self.daemon.created)}")
        run = StageRun(
            stage="copy",
            module="stages.data.copy",
            inputs={name: StageInput(path) for name, path in (inputs or {"files": self.folder / "files"}).items()},
            parameters={"sharp": True},
            output=output,
            scratch=self.folder / "scratch",
            log=self.folder / "logs" / "copy-1.log",
            limits=limits,
            work_id="work",
            owner="owner",
        )
        sink = EventSink(lambda *words: self.progress.append(words), self.warnings.append)
        return self.runner.run(run, sink, self.stop)

    @property
    def container(self):
        """The container that the stage itself ran in."""
        return next(made for made in reversed(self.daemon.created) if "-m" in made.command)

    def files(self, name):
        folder = self.folder / name
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    @property
    def log(self):
        return (self.folder / "logs" / "copy-1.log").read_text()


@pytest.fixture
def near(tmp_path):
    return Stage(FakeDaemon(tmp_path / "daemon"), tmp_path)


@pytest.fixture
def far(tmp_path):
    return Stage(FakeDaemon(tmp_path / "daemon", "nano", shares_files=False), tmp_path)


# --- mounted folders


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
    assert made.labels == {"nanoforge.owner": "owner", "nanoforge.work": "work"}


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
        (lambda process: process.emit(error="a.xml is wrong") or 2, BadInput, "copy: a.xml is wrong Log: .*copy-1.log"),
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
        with pytest.raises(BadInput, match=f"files hold .*deep/link, a link to {goal}"):
            near.run()


@pytest.mark.skipif(os.getuid() != 0, reason="about what root alone may read")
def test_an_input_that_only_root_may_read_is_named(near):
    (near.folder / "files").chmod(0o700)
    with pytest.raises(BadInput, match=r"can be read by root only.*chmod -R a\+rX"):
        near.run()


def test_a_volume_of_compose_that_is_not_understood_is_named(near):
    service = near.runner.service
    near.runner.service = type(service)(image=service.image, volumes=["./stages:/nanoforge/code:rw"])
    near.runner._found = near.daemon.image(service.image)
    with pytest.raises(BadInput, match="volume './stages:/nanoforge/code:rw': expected FOLDER:PLACE"):
        near.run()


# --- volumes


def inputs_of(daemon):
    return sorted(name for name in daemon.volumes({}) if name.startswith("nanoforge-input-"))


def test_inputs_go_there_and_outputs_come_back(far):
    outcome = far.run()
    assert far.files("output") == far.files("files")
    assert outcome.metrics == {"images": 3} and far.warnings == [f"mind the gap in {far.folder}/files"]
    assert {"MiB sending", "MiB fetching"} <= {words[2] for words in far.progress}
    # Code and input stay for the next time; output, scratch and every container are gone.
    assert len(inputs_of(far.daemon)) == 2 == len(far.daemon.volumes({})) and far.daemon.containers({}) == []


def test_there_too_only_output_and_scratch_can_be_written_by_the_stage(far):
    far.run()
    written = {folder.target for folder in far.container.folders if not folder.read_only}
    assert written == {"/nanoforge/output", "/nanoforge/scratch"}
    assert all(folder.source.startswith("nanoforge-") for folder in far.container.folders)
    assert far.container.service.user == "1000:1000" and far.container.command[-1] == "/nanoforge/scratch/job.json"
    assert far.log.startswith("# On nano, in volumes nanoforge-")


def test_what_is_there_is_not_sent_again_and_what_is_no_longer_used_goes(far):
    far.run()
    far.progress.clear()
    far.run()
    assert "MiB sending" not in {words[2] for words in far.progress}
    before = inputs_of(far.daemon)
    (far.folder / "files" / "a.txt").write_bytes(b"other")
    far.run()
    assert far.files("output")["a.txt"] == b"other"
    assert len(inputs_of(far.daemon)) == 2 and inputs_of(far.daemon) != before


def test_only_the_selected_files_of_an_input_are_sent(far):
    content = volumes.Content(far.folder / "files", Selection((".txt",)))
    assert list(content.files()) == ["a.txt", "b.txt"]
    assert volume_transfer._size(content) == 1800


def test_a_broken_transfer_goes_on_with_the_files_that_are_missing(far, monkeypatch):
    monkeypatch.setattr(volumes, "BATCH_BYTES", 1)
    monkeypatch.setattr(volume_transfer, "_code", lambda *_: [])
    far.daemon.cut_after = 5000  # two files of one block with their heads, and a piece of the third
    with pytest.raises(DaemonLost, match="connection to nano was lost while sending to .*same command again"):
        far.run()
    sent = []
    send = volumes._send_batch
    monkeypatch.setattr(volumes, "_send_batch", lambda *args: sent.extend(args[2]) or send(*args))
    far.daemon.reconnect()
    far.run()
    assert far.files("output") == far.files("files")
    assert sent and "a.txt" not in sent


def test_a_file_that_arrives_damaged_is_named_and_sent_anew(far, monkeypatch):
    put, damage = far.daemon.put_archive, [b"a" * 900]

    def damaged(identity, folder, tar):
        data = tar if isinstance(tar, bytes) else b"".join(tar)
        put(identity, folder, data.replace(damage.pop(), b"x" * 900) if damage and damage[0] in data else data)

    monkeypatch.setattr(far.daemon, "put_archive", damaged)
    with pytest.raises(StageFailed, match="inputs/files: a.txt did not arrive as it was sent.*same command again"):
        far.run(lambda process: pytest.fail("it ran"))
    far.run()
    assert far.files("output") == far.files("files")


def test_a_file_that_shrinks_while_it_is_sent_is_named(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"x" * 100)
    blocks = volumes._TarStream({"a": path}, 1000, lambda _: None).blocks()
    next(blocks)
    path.write_bytes(b"")
    with pytest.raises(StageFailed, match="became shorter while it was sent"):
        list(blocks)


def test_a_lost_connection_goes_on_from_the_scratch_volume(far):
    def program(process):
        if (process.path("/nanoforge/scratch") / "begun").exists():
            return copy(process)
        process.write("/nanoforge/scratch/begun", b"")
        threading.Thread(target=far.daemon.cut).start()
        return wait_until_stopped(process)

    with pytest.raises(DaemonLost, match="connection to nano was lost while copy ran"):
        far.run(program)
    far.daemon.reconnect()
    far.run(program)
    assert far.files("output") == far.files("files") and far.daemon.containers({}) == []


def test_a_connection_lost_while_fetching_costs_another_fetch_and_no_other_run(far, monkeypatch):
    fetch = volumes.fetch

    def cut_and_fetch(*arguments):
        far.daemon.cut_after = 1500
        return fetch(*arguments)

    monkeypatch.setattr(volumes, "fetch", cut_and_fetch)
    with pytest.raises(DaemonLost, match="while fetching /nanoforge/output"):
        far.run()
    monkeypatch.setattr(volumes, "fetch", fetch)
    far.daemon.reconnect()
    outcome = far.run(lambda process: pytest.fail("the stage was not to run again"))
    assert far.files("output") == far.files("files") and outcome.metrics == {"images": 3}
    assert outcome.warnings == [f"mind the gap in {far.folder}/files"]


def test_what_comes_back_must_be_what_was_made_there(far, monkeypatch):
    listing = volumes.listing

    def other(daemon, container, folders):
        found = listing(daemon, container, folders)
        if "/nanoforge/output" in found:
            found["/nanoforge/output"]["a.txt"] = volumes.FarFile(900, hashlib.sha256(b"else").hexdigest())
        return found

    monkeypatch.setattr(volumes, "listing", other)
    with pytest.raises(StageFailed, match="/nanoforge/output: a.txt did not arrive as it was sent"):
        far.run()


def test_a_stage_that_fails_there_keeps_its_scratch_volume(far):
    with pytest.raises(StageFailed, match="exit code 3"):
        far.run(lambda process: 3)
    assert any(name.endswith("-scratch") for name in far.daemon.volumes({"nanoforge.owner": "owner"}))
    assert far.daemon.containers({}) == []


def test_digests_that_cannot_be_taken_are_a_sentence(far, monkeypatch):
    monkeypatch.setattr(
        far.daemon, "_program_of", lambda _container: lambda process: process.print("no python3") or 127
    )
    with pytest.raises(EnvironmentNotReady, match="digests of what was copied could not be taken: no python3"):
        far.run()


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
    with pytest.raises(EnvironmentNotReady, match="is gone or old: `./run images` builds it"):
        runner.tools()
    runner.prepare()
    assert runner.image == daemon.image("nanoforge-data").id and len(daemon.built) == 1
    assert runner.tools() == {
        "platform": "Linux x86_64", "python": "3.11.9", "numpy": "1.0", "image": runner.image, "docker-daemon": "20.10",
    }  # fmt: skip
