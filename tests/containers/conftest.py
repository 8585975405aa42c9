"""Tests with real daemons: the one that DOCKER_HOST names, and a second one of their own behind an SSH server.

A probe stands in for the stages where a test wants a stage to misbehave; images, daemons and SSH are real.
"""

import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from nanoforge.console import Console
from nanoforge.containers import compose
from nanoforge.containers import images as daemon_images
from nanoforge.containers.connection import closing_connections, connect
from nanoforge.runners import bind_mounts
from nanoforge.runners.contract import EventSink, Limits, StageInput, StageRun
from nanoforge.runners.docker import DockerRunner
from nanoforge.stop import Stop

CLONE = Path(__file__).resolve().parents[2]

PROBE = """
import json, os, socket, subprocess, sys, time
from stages import job

def refused(path):
    try:
        with open(path, "w"):
            return ""
    except OSError as error:
        return error.strerror

def reached(address):
    try:
        socket.create_connection(address, 3).close()
        return True
    except OSError:
        return False

def look(work):
    with open("/proc/self/status") as stream:
        status = dict(line.split(":", 1) for line in stream if ":" in line)
    return {
        "uid": os.getuid(), "gid": os.getgid(),
        "capabilities": status["CapEff"].strip(), "no_new_privileges": status["NoNewPrivs"].strip(),
        "refused": {path: refused(path) for path in work.parameters["write"]},
        "networks": sorted(os.listdir("/sys/class/net")),
        "reached": reached(tuple(work.parameters["address"])),
        "environment": dict(os.environ), "cpus": work.cpus,
        "seen": sorted(os.listdir("/nanoforge/inputs")),
    }

def main(work):
    do = work.parameters["do"]
    begun = os.path.join(work.scratch, "begun")
    if do == "go on":
        before = os.path.exists(begun)
        open(begun, "w").close()
        work.progress(1, 2, "begun before" if before else "begun")
        if not before:
            time.sleep(600)
    if do == "eat":
        hoard = bytearray(os.urandom(1 << 20)) * 400
    if do == "fill":
        with open(work.out("big"), "wb") as stream:
            for _ in range(64):
                stream.write(bytes(1 << 20))
    if do == "bad input":
        raise job.BadInput("a.xml line 3 is wrong")
    if do == "missing":
        open(os.path.join(work.inputs["files"], "missing"))
    if do == "exit":
        print("last words", flush=True)
        os._exit(7)
    if do == "sleep":
        work.progress(1, 2, "asleep")
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        time.sleep(600)
    if do == "copy":
        for base, _, names in os.walk(work.inputs["files"]):
            for name in sorted(name for name in names if not name.startswith(".")):
                path = os.path.join(base, name)
                with open(path, "rb") as stream:
                    data = stream.read()
                with open(work.out(os.path.relpath(path, work.inputs["files"])), "wb") as stream:
                    stream.write(data)
    with open(work.out("look.json"), "w") as stream:
        json.dump(look(work) if do == "look" else {"do": do}, stream)
    work.metrics(images=3)
    work.warn("mind the gap")

if __name__ == "__main__":
    job.run(main)
"""


def run(*arguments, code=0, **options):
    """A command of the project, or any other one."""
    done = subprocess.run([str(word) for word in arguments], capture_output=True, text=True, timeout=1200, **options)
    assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="session", autouse=True)
def images():
    """The images that most tests need, built once."""
    run(CLONE / "run", "images", "--environments", "data,train", cwd=CLONE)


@pytest.fixture(autouse=True)
def connections():
    """A test closes what it connected, as a command does."""
    with closing_connections():
        yield


@pytest.fixture
def probe(tmp_path, monkeypatch):
    """A clone whose only stage is the probe, with the real environments; gives the folder."""
    clone = tmp_path / "clone"
    (clone / "stages").mkdir(parents=True)
    for name in ("compose.yml", ".env"):
        shutil.copy(CLONE / name, clone / name)
    shutil.copytree(CLONE / "docker", clone / "docker")
    for path in (CLONE / "stages").glob("*.py"):
        shutil.copy(path, clone / "stages")
    (clone / "stages" / "probe.py").write_text(PROBE)
    for module in (compose, bind_mounts, daemon_images):
        monkeypatch.setattr(module, "HOME", clone)
    return clone


class Stage:
    """The probe as a stage: runs it by a runner, and tells what came of it."""

    def __init__(self, runner, folder):
        self.runner = runner
        self.folder = folder
        self.progress = []
        self.warnings = []
        self.noted = lambda: None
        self.stop = Stop()

    def run_of(self, do, inputs=None, memory_mb=0, cpus=0, **parameters):
        output = self.folder / "output"
        shutil.rmtree(output, ignore_errors=True)
        return StageRun(
            stage="probe",
            module="stages.probe",
            inputs={name: StageInput(path) for name, path in (inputs or {}).items()},
            parameters={"do": do, **parameters},
            output=output,
            scratch=self.folder / "scratch",
            log=self.folder / "logs" / "probe.log",
            limits=Limits(cpus, memory_mb),
            work_id=f"{self.folder}/probe",
            owner=str(self.folder),
        )

    def run(self, do, **options):
        sink = EventSink(self._note, self.warnings.append)
        return self.runner.run(self.run_of(do, **options), sink, self.stop)

    def _note(self, *words):
        self.progress.append(words)
        self.noted()

    def has_begun(self):
        """Whether the stage itself has told how far it is, rather than a transfer."""
        return any("MiB" not in words[2] for words in self.progress)

    def looked(self):
        return json.loads((self.folder / "output" / "look.json").read_text())

    @property
    def log(self):
        return (self.folder / "logs" / "probe.log").read_text()


@pytest.fixture
def stage(probe, tmp_path):
    """The probe in containers of the daemon here."""
    daemon = connect()
    runner = DockerRunner(daemon, "data", {}, Console())
    runner.prepare()
    return Stage(runner, tmp_path)


def left_over(folder, host=None):
    """The ids of containers that a probe's runner left on a daemon."""
    environment = {**os.environ, **({"DOCKER_HOST": host} if host else {})}
    return run("docker", "ps", "-aq", "--filter", f"label=nanoforge.owner={folder}", env=environment).stdout.split()


def eventually(look, seconds=30):
    """What ``look`` gives as soon as it is true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError("waited in vain")


class SpareDaemon:
    """A second daemon, which tests may break: here by its socket, and as `nano` behind an SSH server.

    Attributes:
        elsewhere: a folder that the daemon sees as another, empty one, as a daemon on another machine would.
    """

    def __init__(self, folder):
        self.folder = folder
        # A daemon outside of UTC tells its time with an offset.
        self.bridge = {**os.environ, "BRIDGE": "nanoforge1,172.31.97.1/24", "TZ": "Asia/Seoul"}
        self.host = f"unix://{folder}/docker/docker.sock"
        self.port = _free_port()
        self.url = f"ssh://root@127.0.0.1:{self.port}{folder}/docker/docker.sock"
        self.elsewhere = folder / "elsewhere"
        self.elsewhere.mkdir()
        hide = f"mount -t tmpfs tmpfs {self.elsewhere} && echo done && exec sleep infinity"
        self.mounts = subprocess.Popen(["unshare", "--mount", "sh", "-c", hide], stdout=subprocess.PIPE)
        assert self.mounts.stdout.readline() == b"done\n"

    def start(self):
        self._script(self.folder / "docker")

    def stop(self):
        self._script("stop", self.folder / "docker")

    def close(self):
        self.mounts.kill()
        self.mounts.communicate()

    def _script(self, *words):
        """daemon.sh, where the mounts are the daemon's own: what a killed daemon leaves running stays in them."""
        inside = ["nsenter", f"--mount=/proc/{self.mounts.pid}/ns/mnt"]
        run(*inside, "sh", CLONE / "docker/standin/daemon.sh", *words, env=self.bridge)

    def kill(self):
        """As `kill -9` and a power cut of the daemon do."""
        os.kill(int((self.folder / "docker" / "pid").read_text()), 9)

    def docker(self, *words):
        return run("docker", *words, env={**os.environ, "DOCKER_HOST": self.host}).stdout

    def take(self, *names):
        """Copy images from the daemon here."""
        save = subprocess.Popen(["docker", "save", *names], stdout=subprocess.PIPE)
        load = {**os.environ, "DOCKER_HOST": self.host}
        subprocess.run(["docker", "load"], stdin=save.stdout, env=load, check=True, stdout=subprocess.DEVNULL)
        assert save.wait() == 0

    def start_ssh(self):
        """An SSH server on loopback, and an `ssh` in PATH that knows its key and nobody else's."""
        for name in ("user", "server"):
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.folder / name)
        shutil.copy(self.folder / "user.pub", self.folder / "authorized_keys")
        Path("/run/sshd").mkdir(exist_ok=True)
        settings = {
            "Port": self.port,
            "ListenAddress": "127.0.0.1",
            "HostKey": self.folder / "server",
            "AuthorizedKeysFile": self.folder / "authorized_keys",
            "PidFile": self.folder / "sshd.pid",
            "UsePAM": "no",
            "StrictModes": "no",
        }
        (self.folder / "sshd_config").write_text("".join(f"{key} {value}\n" for key, value in settings.items()))
        key = " ".join((self.folder / "server.pub").read_text().split()[:2])
        (self.folder / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {key}\n")
        (self.folder / "ssh_config").write_text(
            f"Host *\n IdentityFile {self.folder}/user\n UserKnownHostsFile {self.folder}/known_hosts\n"
        )
        ssh = self.folder / "bin" / "ssh"
        ssh.parent.mkdir()
        ssh.write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {self.folder}/ssh_config "$@"\n')
        ssh.chmod(0o755)
        os.environ["PATH"] = f"{ssh.parent}:{os.environ['PATH']}"
        run("/usr/sbin/sshd", "-f", self.folder / "sshd_config", "-E", self.folder / "sshd.log")

    def stop_ssh(self):
        os.kill(int((self.folder / "sshd.pid").read_text()), 15)

    def cut_connections(self):
        """Break every SSH connection to it, as a pulled cable does."""
        listener = int((self.folder / "sshd.pid").read_text())
        served = run("pgrep", "-P", listener).stdout.split()
        for process in served:
            os.kill(int(process), 9)


def _free_port():
    with socket.socket() as probe_socket:
        probe_socket.bind(("127.0.0.1", 0))
        return probe_socket.getsockname()[1]


@pytest.fixture(scope="session")
def spare(images, tmp_path_factory):
    daemon = SpareDaemon(tmp_path_factory.mktemp("spare"))
    daemon.start()
    daemon.start_ssh()
    daemon.take("nanoforge-data")
    yield daemon
    daemon.stop_ssh()
    daemon.stop()
    daemon.close()


@pytest.fixture
def far(spare, probe, tmp_path):
    """The probe on the spare daemon, reached by ssh."""
    daemon = connect("nano", spare.url)
    runner = DockerRunner(daemon, "data", {}, Console())
    runner.prepare()
    return Stage(runner, tmp_path)


@pytest.fixture
def files(tmp_path):
    """A folder of files as an input, with their contents."""
    contents = {"a.txt": b"a", "deep/er/b.bin": os.urandom(3 << 20), "empty": b""}
    for name, data in contents.items():
        path = tmp_path / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return SimpleNamespace(folder=tmp_path / "files", contents=contents)
