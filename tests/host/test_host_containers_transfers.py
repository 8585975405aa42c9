"""Stages on a daemon in memory that does not see this machine's folders: what is sent, proven and brought back."""

import hashlib
import threading

import pytest
from stage_on_daemon import Stage, copy

from nanoforge.containers import volumes
from nanoforge.containers.daemon import ConnectionLost
from nanoforge.errors import BadInput, DaemonLost, EnvironmentNotReady, Interrupted, StageFailed
from nanoforge.files.selection import Selection
from nanoforge.runners import volume_transfer
from nanoforge.stop import Stop
from tests.fakes.daemon import FakeDaemon, wait_until_stopped


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NANOFORGE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def far(tmp_path):
    return Stage(FakeDaemon(tmp_path / "daemon", "nano", shares_files=False), tmp_path)


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
    assert content.size() == 1800


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


@pytest.mark.parametrize("way", ["unlink", "deny"])
def test_a_file_that_cannot_be_read_while_it_is_sent_is_named_and_no_connection_blamed(far, monkeypatch, way):
    """The SDK would take any error of the system there for one of the connection."""
    put, path = far.daemon.put_archive, far.folder / "files" / "b.txt"

    def as_the_sdk_does(identity, folder, tar):
        try:
            put(identity, folder, tar)
        except OSError as error:
            raise ConnectionLost(str(error)) from error

    def spoil(*words):
        if path.is_file() and "inputs/files" in words[0]:
            path.unlink()
            path.mkdir() if way == "deny" else None

    monkeypatch.setattr(far.daemon, "put_archive", as_the_sdk_does)
    send = volumes._send_batch
    monkeypatch.setattr(volumes, "_send_batch", lambda *args: spoil(args[1]) or send(*args))
    reason = "Is a directory" if way == "deny" else "No such file or directory"
    with pytest.raises(StageFailed, match=rf"{path} could not be read while it was sent \({reason}\): run again"):
        far.run()


@pytest.mark.parametrize("verb", ["sending", "fetching"])
def test_ctrl_c_ends_a_transfer_with_its_next_piece_and_the_next_run_goes_on(far, monkeypatch, verb):
    ask = far.stop.ask
    monkeypatch.setattr(volume_transfer, "_code", lambda *_: [])
    far.on_progress = lambda words: ask() if words[2] == f"MiB {verb}" else None
    with pytest.raises(Interrupted, match="copy was interrupted; the same command goes on from there"):
        far.run()
    assert [words[2] for words in far.progress].count(f"MiB {verb}") == 1
    assert far.daemon.containers({}) == []
    far.on_progress, far.stop = lambda _: None, Stop()
    far.run((lambda process: pytest.fail("the stage was not to run again")) if verb == "fetching" else copy)
    assert far.files("output") == far.files("files")


@pytest.mark.parametrize("name", ["put_archive", "get_archive"])
def test_ctrl_c_ends_a_transfer_that_hangs(far, monkeypatch, name):
    closed = threading.Event()
    real = getattr(far.daemon, name)

    def hang(identity, path, *tar):
        if "inputs/files" in path or path.endswith("output/."):
            far.stop.ask()
            assert closed.wait(30), "nobody closed the connection"
            raise ConnectionLost("reset by peer")
        return real(identity, path, *tar)

    monkeypatch.setattr(volume_transfer, "GIVE_UP_S", 0.01)
    monkeypatch.setattr(far.daemon, "close", closed.set)
    monkeypatch.setattr(far.daemon, name, hang)
    with pytest.raises(Interrupted):
        far.run()


def test_ctrl_c_ends_the_comparing_of_digests(far, monkeypatch):
    monkeypatch.setattr(far.daemon, "_program_of", lambda _container: wait_until_stopped)
    monkeypatch.setattr(far.daemon, "start", stopping(far, far.daemon.start))
    with pytest.raises(Interrupted, match="comparing digests"):
        far.run()
    assert far.daemon.containers({}) == []


def stopping(stage, start):
    """Asks to end as soon as a container runs."""

    def started(identity):
        start(identity)
        threading.Thread(target=stage.stop.ask).start()

    return started


def test_an_archive_that_breaks_off_is_a_lost_connection(far, monkeypatch):
    get = far.daemon.get_archive

    def broken(identity, path):
        whole = get(identity, path)
        return iter([next(whole)[:700]]) if path.endswith("output/.") else whole

    monkeypatch.setattr(far.daemon, "get_archive", broken)
    with pytest.raises(DaemonLost, match="connection to nano was lost while fetching"):
        far.run()


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

    def other(daemon, container, folders, stop):
        found = listing(daemon, container, folders, stop)
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


@pytest.mark.parametrize("code", [1, 2])
def test_what_a_stage_had_found_when_it_failed_comes_back(far, code):
    def fail(process):
        process.write("/nanoforge/scratch/findings.jsonl", b'{"kind": "no_xml"}\n')
        process.emit(error="nothing is left")
        return code

    with pytest.raises(BadInput if code == 2 else StageFailed, match="copy: nothing is left"):
        far.run(fail)
    assert (far.folder / "scratch" / "findings.jsonl").read_bytes() == b'{"kind": "no_xml"}\n'


def test_why_a_stage_failed_is_told_where_its_findings_cannot_be_had(far, monkeypatch):
    def fail(process):
        process.emit(error="nothing is left")
        return 2

    get = far.daemon.get_archive

    def lost(identity, path):
        if path.endswith("findings.jsonl"):
            raise ConnectionLost("reset by peer")
        return get(identity, path)

    monkeypatch.setattr(far.daemon, "get_archive", lost)
    with pytest.raises(BadInput, match="nothing is left"):
        far.run(fail)
    assert not (far.folder / "scratch" / "findings.jsonl").exists()
