"""A daemon that does not see this machine's files, behind ssh as a Nano is: what is sent, proven and brought back."""

import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
from conftest import CLONE, Stage, eventually, left_over, run

from nanoforge.console import Console
from nanoforge.containers import compose, volumes
from nanoforge.containers.connection import connect
from nanoforge.errors import BadInput, DaemonLost, EnvironmentNotReady, Interrupted, StageFailed
from nanoforge.runners.docker import DockerRunner
from nanoforge.stop import Stop


def volumes_of(spare):
    return sorted(spare.docker("volume", "ls", "-q", "--filter", "label=nanoforge=1").split())


@pytest.fixture(autouse=True)
def nothing_left(spare):
    """Every test begins with a daemon without volumes; other tests use it too."""
    for container in spare.docker("ps", "-aq", "--filter", "label=nanoforge=1").split():
        spare.docker("rm", "-f", container)
    for volume in volumes_of(spare):
        spare.docker("volume", "rm", volume)
    yield


def made(stage, files):
    return {name: (stage.folder / "output" / name).read_bytes() for name in files.contents}


def test_inputs_go_there_and_outputs_come_back(far, files, spare):
    outcome = far.run("copy", inputs={"files": files.folder, "one": files.folder / "a.txt"})
    assert made(far, files) == files.contents
    assert outcome.metrics == {"images": 3} and outcome.warnings == ["mind the gap"]
    assert {path.stat().st_uid for path in (far.folder / "output").rglob("*")} == {os.getuid()}
    assert {"MiB sending", "MiB fetching"} <= {words[2] for words in far.progress}
    assert left_over(far.folder, spare.host) == []
    # Code and inputs stay for the next time, what belonged to this work does not.
    assert len(volumes_of(spare)) == 3 and all(name.startswith("nanoforge-input-") for name in volumes_of(spare))


def test_a_socket_here_whose_daemon_has_other_folders_is_not_taken_for_local(
    spare, probe, tmp_path, files, monkeypatch
):
    """As with a socket that `ssh -L` brings here, and with a daemon in a virtual machine."""
    monkeypatch.setenv("DOCKER_HOST", spare.host)
    assert connect().shares_files
    monkeypatch.setenv("NANOFORGE_CACHE", str(spare.elsewhere))
    daemon = connect()
    assert not daemon.shares_files
    stage = Stage(DockerRunner(daemon, "data", {}, Console()), tmp_path)
    stage.runner.prepare()
    stage.run("copy", inputs={"files": files.folder})
    assert made(stage, files) == files.contents and "MiB sending" in {words[2] for words in stage.progress}
    daemon.close()


def test_ctrl_c_while_sending_ends_at_once_and_leaves_no_container(far, files, spare, monkeypatch):
    (files.folder / "big").write_bytes(os.urandom(64 << 20))
    far.noted = far.stop.ask
    with pytest.raises(Interrupted, match="probe was interrupted"):
        far.run("copy", inputs={"files": files.folder})
    assert far.progress[-1][2] == "MiB sending" and far.progress[-1][0] < 32
    assert left_over(far.folder, spare.host) == []
    again = reconnected(far, spare)
    again.noted, again.stop = lambda: None, Stop()
    again.run("copy", inputs={"files": files.folder})
    assert made(again, files) == files.contents


def test_a_file_that_vanishes_while_it_is_sent_is_named(far, files, monkeypatch):
    send = volumes._send_batch

    def late(carrier, target, batch, *rest):
        if "inputs/files" in target:
            (files.folder / "a.txt").unlink()
        return send(carrier, target, batch, *rest)

    monkeypatch.setattr(volumes, "_send_batch", late)
    with pytest.raises(StageFailed, match=r"a.txt could not be read while it was sent \(No such file or directory\)"):
        far.run("copy", inputs={"files": files.folder})


def test_a_stage_there_is_as_confined_as_here(far, files):
    places = ["/nanoforge/inputs/files/a.txt", "/nanoforge/inputs/files/new", "/nanoforge/code/stages/job.py", "/new"]
    far.run("look", inputs={"files": files.folder}, write=places, address=["127.0.0.1", 1])
    looked = far.looked()
    assert all(looked["refused"].values())
    assert looked["networks"] == ["lo"] and looked["uid"] != 0 and int(looked["capabilities"], 16) == 0


def test_a_caller_of_another_user_id_can_work_there_too(spare, probe, tmp_path, files, monkeypatch):
    monkeypatch.setattr(compose, "_caller", lambda: {"NANOFORGE_UID": "4321", "NANOFORGE_GID": "4321"})
    far = reconnected(Stage(None, tmp_path), spare)
    far.run("copy", inputs={"files": files.folder})
    assert made(far, files) == files.contents


def test_the_connection_ends_with_its_command(spare, probe):
    """Also after `kill -9`: ssh must not stay behind."""
    connecting = f"from nanoforge.containers.connection import connect; connect('nano', '{spare.url}')"
    program = f"import os; {connecting}; os.kill(os.getpid(), 9)"
    path = os.pathsep.join([str(CLONE), os.environ.get("PYTHONPATH", "")])
    before = connections(spare)
    run(sys.executable, "-c", program, code=-9, env={**os.environ, "PYTHONPATH": path})
    eventually(lambda: connections(spare) <= before)
    left = set(Path(tempfile.gettempdir()).glob("nanoforge-tunnel-*"))
    assert left, "a killed command cannot tidy up"
    connect("nano", spare.url)
    assert not any(folder.exists() for folder in left)


def connections(spare):
    found = subprocess.run(["pgrep", "-f", f"ssh -F {spare.folder}/ssh_config"], capture_output=True, text=True)
    return set(found.stdout.split())


def test_what_is_there_is_not_sent_again(far, files, spare):
    far.run("copy", inputs={"files": files.folder})
    far.progress.clear()
    far.run("copy", inputs={"files": files.folder})
    assert "MiB sending" not in {words[2] for words in far.progress}
    (files.folder / "a.txt").write_bytes(b"other")
    far.run("copy", inputs={"files": files.folder})
    assert (far.folder / "output" / "a.txt").read_bytes() == b"other"
    assert len(volumes_of(spare)) == 2, "the input that is no longer used was to be removed"


def test_a_broken_transfer_goes_on_with_the_files_that_are_missing(far, files, monkeypatch):
    monkeypatch.setattr(volumes, "BATCH_BYTES", 1)
    send, sent = volumes._send_batch, []

    def send_and_break(carrier, target, batch, *rest):
        if len(sent) == 3:
            raise DaemonLost("the cable")
        sent.extend(batch)
        return send(carrier, target, batch, *rest)

    monkeypatch.setattr(volumes, "_send_batch", send_and_break)
    with pytest.raises(DaemonLost):
        far.run("copy", inputs={"files": files.folder})
    before = list(sent)
    monkeypatch.setattr(volumes, "_send_batch", lambda *args: sent.extend(args[2]) or send(*args))
    far.run("copy", inputs={"files": files.folder})
    assert made(far, files) == files.contents
    assert set(sent[len(before) :]).isdisjoint(before) and len(before) == 3


def test_a_file_that_arrives_damaged_is_named_and_sent_anew(far, files, monkeypatch):
    send = volumes._send_batch

    def send_and_lie(*args):
        return {name: volumes.FarFile(file.size, "0" * 64) for name, file in send(*args).items()}

    monkeypatch.setattr(volumes, "_send_batch", send_and_lie)
    with pytest.raises(StageFailed, match="did not arrive as it was sent"):
        far.run("copy", inputs={"files": files.folder})
    monkeypatch.setattr(volumes, "_send_batch", send)
    far.run("copy", inputs={"files": files.folder})
    assert made(far, files) == files.contents


def test_a_lost_connection_ends_the_stage_there_and_the_next_run_goes_on(far, spare):
    threading.Thread(target=lambda: (eventually(far.has_begun, 60), spare.cut_connections())).start()
    with pytest.raises(DaemonLost, match="connection to nano was lost while probe ran.*run the same command again"):
        far.run("go on")
    # What was never started, only gave access to volumes, waits for the next run to sweep it away.
    eventually(lambda: spare.docker("ps", "-q", "--filter", "label=nanoforge=1").split() == [])
    far.progress.clear()
    again = reconnected(far, spare)
    again.run("go on")
    assert [words[2] for words in again.progress if "MiB" not in words[2]] == ["begun before"]
    assert left_over(far.folder, spare.host) == []


def reconnected(far, spare):
    """The same stage after the connection was lost: a new command, which connects anew."""
    far.runner = DockerRunner(connect("nano", spare.url), "data", {}, Console())
    return far


def test_a_connection_lost_while_fetching_costs_another_fetch_and_no_other_run(far, files, spare, monkeypatch):
    fetch = volumes.fetch

    def cut_and_fetch(*args):
        spare.cut_connections()
        time.sleep(0.5)
        return fetch(*args)

    monkeypatch.setattr(volumes, "fetch", cut_and_fetch)
    with pytest.raises(DaemonLost):
        far.run("copy", inputs={"files": files.folder})
    monkeypatch.setattr(volumes, "fetch", fetch)
    again = reconnected(far, spare)
    outcome = again.run("copy", inputs={"files": files.folder})
    assert made(again, files) == files.contents and outcome.metrics == {"images": 3}
    assert "job.json" not in again.log, "the stage was not to run again"


def test_interrupting_ends_the_container_there(far, spare):
    threading.Timer(4, far.stop.ask).start()
    with pytest.raises(Interrupted):
        far.run("sleep")
    assert left_over(far.folder, spare.host) == []


@pytest.mark.parametrize(
    ("url", "error", "words"),
    [
        ("ssh://root@127.0.0.1:1", EnvironmentNotReady, "no SSH server runs there"),
        ("ssh://root@no-such-host.invalid", EnvironmentNotReady, "the name is not known"),
        ("ssh://", BadInput, "expected ssh://user@host"),
        ("ssh://-oProxyCommand=touch@x", BadInput, "expected ssh://user@host"),
    ],
)
def test_a_host_that_cannot_be_reached_is_a_sentence(url, error, words):
    with pytest.raises(error, match=words):
        connect("nano", url)


def test_a_stranger_at_the_hosts_address_is_refused(spare, tmp_path):
    """Its key is another than the one that is known: ssh's own check stands, and no option takes it away."""
    known = spare.folder / "known_hosts"
    kept = known.read_text()
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other")
    known.write_text(f"[127.0.0.1]:{spare.port} {' '.join((tmp_path / 'other.pub').read_text().split()[:2])}\n")
    try:
        with pytest.raises(EnvironmentNotReady, match="Host key verification failed"):
            connect("nano", spare.url)
    finally:
        known.write_text(kept)


def test_a_user_without_a_key_is_told_how_to_get_one(spare):
    keys = spare.folder / "authorized_keys"
    kept = keys.read_text()
    keys.write_text("")
    try:
        with pytest.raises(EnvironmentNotReady, match="ssh-copy-id"):
            connect("nano", spare.url)
    finally:
        keys.write_text(kept)
