"""The SDK's side of the daemon: what goes over the wire, what its errors become, and when it is imported."""

import ast
import hashlib
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import requests
from invoke.tasks import Task
from requests.adapters import BaseAdapter

import tasks
from nanoforge.cli import command
from nanoforge.command_line import BUILD
from nanoforge.containers import compose, connection
from nanoforge.containers.connection import connect
from nanoforge.containers.daemon import (
    ConnectionLost,
    Container,
    ContainerExit,
    DaemonRefused,
    Folder,
    ImageBuild,
    speaking,
)
from nanoforge.containers.sdk import SdkDaemon
from nanoforge.errors import BadInput, DaemonLost, EnvironmentNotReady

CLONE = Path(__file__).resolve().parents[2]
INFO = {
    "ServerVersion": "20",
    "NCPU": 4,
    "MemTotal": 8,
    "Runtimes": {"runc": {}},
    "SystemTime": "2026-01-01T00:00:00.5Z",
}


class Wire(BaseAdapter):
    """Answers in place of a daemon: path -> status and JSON, or an error; keeps what was asked."""

    def __init__(self):
        super().__init__()
        self.asked = []
        self.answers = {}

    def send(self, request, **_options):
        path = request.path_url.partition("?")[0].partition("/v1.41")[2]
        self.asked.append((request.method, request.path_url.partition("/v1.41")[2], request.body))
        answer = self.answers.get(path, (404, {"message": "No such image"}))
        if isinstance(answer, Exception):
            raise answer
        response = requests.Response()
        response.status_code, body = answer
        response._content = body if isinstance(body, bytes) else json.dumps(body).encode()
        response.headers["Content-Type"] = "application/json"
        response.request, response.url = request, request.url
        return response

    def close(self):
        pass


@pytest.fixture
def wire():
    return Wire()


@pytest.fixture
def daemon(wire):
    daemon = SdkDaemon("Docker daemon", "http://daemon:1", {"version": "1.41"})
    daemon._api.mount("http://", wire)
    return daemon


def created(daemon, wire, container):
    wire.answers["/containers/create"] = (201, {"Id": "abc"})
    assert daemon.create(container) == "abc"
    return json.loads(wire.asked[-1][2])


def test_every_confinement_of_a_service_reaches_the_daemon(daemon, wire):
    folders = [Folder("/home/me/photos", "/in"), Folder("volume", "/out", read_only=False)]
    asked = Container(compose.service("data"), "sha256:1", ["a", "b"], folders, {"A": "1"}, {"x": "y"}, 300 << 20, 2)
    body = created(daemon, wire, asked)
    host = body["HostConfig"]
    assert host["NetworkMode"] == "none" and host["ReadonlyRootfs"] and host["Init"] and host["AutoRemove"]
    assert host["CapDrop"] == ["ALL"] and host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["PidsLimit"] == 2048 and list(host["Tmpfs"]) == ["/tmp"]
    assert host["Memory"] == host["MemorySwap"] == 300 << 20 and host["NanoCpus"] == 2 * 10**9
    assert host["LogConfig"]["Type"] == "none" and not host.get("Privileged")
    mounts = [(mount["Type"], mount["Source"], mount["Target"], mount["ReadOnly"]) for mount in host["Mounts"]]
    assert mounts == [("bind", "/home/me/photos", "/in", True), ("volume", "volume", "/out", False)]
    assert body["User"] == compose.service("data").user and body["WorkingDir"] == compose.service("data").working_dir
    assert body["Cmd"] == ["a", "b"] and body["Env"] == ["A=1"] and body["Labels"] == {"nanoforge": "1", "x": "y"}
    assert body["OpenStdin"] and body["StdinOnce"] and body["Healthcheck"]["Test"] == ["NONE"]


def test_a_gpu_a_runtime_and_ports_are_asked_for_where_a_service_has_them(daemon, wire):
    host = created(daemon, wire, Container(compose.service("train-gpu"), "i", []))["HostConfig"]
    assert [(each["Driver"], each["Capabilities"]) for each in host["DeviceRequests"]] == [("nvidia", [["gpu"]])]
    assert host["Memory"] == 16 << 30
    body = created(daemon, wire, Container(compose.service("view"), "i", []))
    assert body["HostConfig"]["PortBindings"] == {"8000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8000"}]}
    assert list(body["ExposedPorts"]) == ["8000/tcp"]
    jetson = compose.service("jetson", {"JETSON_RUNTIME": "nvidia"})
    assert created(daemon, wire, Container(jetson, "i", []))["HostConfig"]["Runtime"] == "nvidia"


@pytest.mark.parametrize("oom", [False, True])
def test_the_exit_code_is_waited_for_and_the_kernels_part_is_asked(daemon, wire, monkeypatch, oom):
    monkeypatch.setattr(daemon._api, "attach_socket", lambda *_: None)
    wire.answers["/containers/abc/wait"] = (200, {"StatusCode": 137})
    wire.answers["/info"] = (200, INFO)
    attachment = daemon.attach("abc")
    assert wire.asked[-1][:2] == ("POST", "/containers/abc/wait?condition=removed"), "before it is started"
    monkeypatch.setattr(daemon._api, "events", lambda **asked: seen.append(asked) or iter([{}] if oom else []))
    seen = []
    assert attachment.exit() == ContainerExit(137, oom)
    # Up to the daemon's own clock, whatever this machine's says.
    assert seen[0]["until"] == "1767225600.500000000" and seen[0]["filters"] == {"container": "abc", "event": "oom"}


def test_an_end_that_is_cut_off_is_a_lost_connection(daemon, wire, monkeypatch):
    monkeypatch.setattr(daemon._api, "attach_socket", lambda *_: None)
    wire.answers["/containers/abc/wait"] = (200, b"")
    with pytest.raises(ConnectionLost):
        daemon.attach("abc").exit()


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (requests.ConnectionError("Connection aborted."), ConnectionLost),
        (requests.Timeout("read timed out"), ConnectionLost),
        (requests.exceptions.ChunkedEncodingError("IncompleteRead"), ConnectionLost),
        (ConnectionResetError(104, "reset"), ConnectionLost),
        ((500, {"message": "no space left on device"}), DaemonRefused),
        ((409, {"message": "conflict"}), DaemonRefused),
    ],
)
def test_the_sdks_errors_become_two_kinds(daemon, wire, error, kind):
    wire.answers["/info"] = error
    with pytest.raises(kind):
        daemon.facts()


def test_a_full_disk_of_this_machine_stays_what_it_is(daemon, wire):
    wire.answers["/info"] = OSError(28, "No space left on device", "/tmp/x")
    with pytest.raises(OSError, match="No space left"):
        daemon.facts()


def test_what_the_daemon_says_becomes_a_sentence_with_the_remedy(daemon, wire):
    wire.answers["/info"] = (500, {"message": "write /x:\nno space left on device"})
    with pytest.raises(EnvironmentNotReady, match="Docker daemon failed while looking: its disk is full: free some"):
        with speaking(daemon, "looking"):
            daemon.facts()
    wire.answers["/info"] = requests.ConnectionError("gone")
    with pytest.raises(DaemonLost, match="Docker daemon stopped answering while looking: start it again"):
        with speaking(daemon, "looking"):
            daemon.facts()
    daemon.behind_ssh, daemon.name = True, "nano"
    with pytest.raises(DaemonLost, match="The connection to nano was lost while looking"):
        with speaking(daemon, "looking"):
            daemon.facts()


def test_what_is_not_there_is_not_an_error(daemon):
    assert daemon.image("none") is None and not daemon.has_volume("none") and daemon.remove_volume("none")
    assert daemon.get_archive("abc", "/none") is None and daemon.registry_digest("none") is None


def test_a_volume_in_use_is_told_from_a_daemon_that_refuses(daemon, wire):
    wire.answers["/volumes/used"] = (409, {"message": "volume is in use"})
    wire.answers["/volumes/bad"] = (500, {"message": "broken"})
    assert daemon.remove_volume("used") is False
    with pytest.raises(DaemonRefused, match="broken"):
        daemon.remove_volume("bad")


def test_a_build_asks_for_what_compose_declares(daemon, monkeypatch, tmp_path):
    """And what it sends can be read by the image's user, whatever the clone's umask was."""
    asked, modes = {}, {}

    def build(**options):
        asked.update(options)
        with tarfile.open(fileobj=options["fileobj"]) as context:
            modes.update({entry.name: entry.mode for entry in context})
        return iter([{"stream": "Step 1/1 : FROM x\n"}, {"errorDetail": {"message": "no"}, "error": "no"}])

    monkeypatch.setattr(daemon._api, "build", build)
    (tmp_path / "d").mkdir()
    for name, mode in (("d/Dockerfile", 0o600), ("d/run", 0o700), ("health.py", 0o666)):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(mode)
    (tmp_path / "d").chmod(0o700)
    lines = list(
        daemon.build(ImageBuild("tag", tmp_path, "d/Dockerfile", "gpu", "linux/arm64", {"A": "1"}, {"l": "2"}))
    )
    assert [(line.text, line.failed) for line in lines] == [("Step 1/1 : FROM x\n", False), ("no", True)]
    assert modes == {".": 0o755, "./d": 0o755, "./d/Dockerfile": 0o644, "./d/run": 0o755, "./health.py": 0o644}
    assert (asked["target"], asked["platform"], asked["buildargs"], asked["labels"]) == (
        "gpu", "linux/arm64", {"A": "1"}, {"l": "2"},
    )  # fmt: skip


def test_nothing_else_imports_the_sdk():
    users = {
        path.relative_to(CLONE).as_posix()
        for path in (CLONE / "nanoforge").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for name in _imported(node)
        if name.split(".")[0] == "docker"
    }
    assert users == {"nanoforge/containers/sdk.py"}


def _imported(node):
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else []


# --- connecting


@pytest.fixture
def no_docker(tmp_path, monkeypatch):
    """A machine on which nothing says where a daemon is."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "config"))
    monkeypatch.setattr(connection, "USUAL_ADDRESS", f"unix://{tmp_path}/docker.sock")


def test_a_socket_that_is_not_there_is_a_sentence(no_docker, monkeypatch, tmp_path):
    with pytest.raises(EnvironmentNotReady, match=f"No Docker daemon answers at unix://{tmp_path}/docker.sock: start"):
        connect()
    assert connection.answers() is None
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/other.sock")
    with pytest.raises(EnvironmentNotReady, match="other.sock"):
        connect()


def test_something_that_does_not_answer_is_a_sentence(no_docker, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/file")
    with pytest.raises(EnvironmentNotReady, match="No Docker daemon answers at"):
        connect()


def context(tmp_path, name, address):
    """Docker's own tools keep a context so; see `docker context create`."""
    folder = tmp_path / "config" / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest()
    folder.mkdir(parents=True)
    meta = {"Name": name, "Metadata": {}, "Endpoints": {"docker": {"Host": address, "SkipTLSVerify": False}}}
    (folder / "meta.json").write_text(json.dumps(meta))


def chosen(tmp_path, name):
    (tmp_path / "config").mkdir(exist_ok=True)
    (tmp_path / "config" / "config.json").write_text(json.dumps({"currentContext": name}))


def test_the_context_of_dockers_own_tools_counts(no_docker, monkeypatch, tmp_path):
    context(tmp_path, "other", "tcp://127.0.0.1:1")
    context(tmp_path, "third", "tcp://127.0.0.1:2")
    chosen(tmp_path, "other")
    with pytest.raises(
        EnvironmentNotReady, match=r"answers at tcp://127.0.0.1:1, which currentContext .*\(other\) names"
    ):
        connect()
    monkeypatch.setenv("DOCKER_CONTEXT", "third")
    with pytest.raises(
        EnvironmentNotReady, match=r"answers at tcp://127.0.0.1:2, which DOCKER_CONTEXT \(third\) names"
    ):
        connect()
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:3")
    with pytest.raises(
        EnvironmentNotReady, match="answers at tcp://127.0.0.1:3, which DOCKER_HOST names.* unset DOCKER_HOST"
    ):
        connect()
    chosen(tmp_path, "default")
    monkeypatch.delenv("DOCKER_HOST")
    monkeypatch.delenv("DOCKER_CONTEXT")
    assert connection.answers() is None


def test_a_context_that_is_not_there_is_not_passed_over(no_docker, monkeypatch, tmp_path):
    chosen(tmp_path, "gone")
    with pytest.raises(
        BadInput, match="currentContext in Docker's config.json names gone, but Docker knows no context"
    ):
        connection.answers()
    monkeypatch.setenv("DOCKER_CONTEXT", "lost")
    with pytest.raises(BadInput, match="DOCKER_CONTEXT names lost, but Docker knows no context of that name"):
        connection.answers()


@pytest.mark.parametrize(
    "value", ["nonsense", "/var/run/docker.sock", "tcp://host:99999999", "http:", "unix:/x", "fd://3"]
)
def test_a_docker_host_that_is_none_is_named(no_docker, monkeypatch, value):
    monkeypatch.setenv("DOCKER_HOST", value)
    with pytest.raises((BadInput, EnvironmentNotReady), match="DOCKER_HOST"):
        connect()


def test_what_names_an_ssh_address_that_cannot_be_used_is_named(no_docker, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "ssh://")
    with pytest.raises(BadInput, match="DOCKER_HOST = 'ssh://': expected ssh://user@host"):
        connect()


def test_tls_settings_that_lead_nowhere_are_named(no_docker, monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path / "none"))
    with pytest.raises(BadInput, match="DOCKER_TLS_VERIFY and DOCKER_CERT_PATH cannot be used"):
        connect()


@pytest.mark.parametrize(
    ("address", "said", "words"),
    [
        ("unix:///x", "PermissionError(13, 'Permission denied')", "usermod -aG docker"),
        ("ssh://me@nano", "gone", "can be reached by ssh, but its Docker daemon does not answer"),
        ("ssh://me@nano", "channel 1: open failed: administratively prohibited", "AllowStreamLocalForwarding yes"),
    ],
)
def test_who_may_not_use_a_daemon_is_told_what_helps(address, said, words):
    assert words in connection._unreachable(connection.Address(address), said)


# --- whether the daemon sees this machine's folders


class Elsewhere(Wire):
    """A daemon that looks for what is to be mounted before it looks for the image, as Docker does."""

    def __init__(self, sees):
        super().__init__()
        self.sees = sees

    def send(self, request, **options):
        if request.path_url.endswith("/containers/create"):
            source = json.loads(request.body)["HostConfig"]["Mounts"][0]["Source"]
            missing = (
                400,
                {"message": f"invalid mount config for type bind: bind source path does not exist: {source}"},
            )
            self.answers["/containers/create"] = (404, {"message": "No such image"}) if self.sees(source) else missing
        return super().send(request, **options)


@pytest.mark.parametrize(
    ("sees", "proven"),
    [
        (os.path.isdir, True),
        (lambda _path: False, False),  # another machine's, forwarded here, or in a container of this one
        (lambda _path: True, False),  # a daemon that does not look at what is to be mounted
    ],
)
def test_a_daemon_is_only_here_if_it_sees_a_folder_that_is_nowhere_else(monkeypatch, tmp_path, daemon, sees, proven):
    monkeypatch.setenv("NANOFORGE_CACHE", str(tmp_path / "cache"))
    daemon._api.mount("http://", Elsewhere(sees))
    monkeypatch.setattr("nanoforge.containers.sdk.SdkDaemon", lambda *_: daemon)
    assert connect("pc", "tcp://127.0.0.1:1").shares_files is proven
    assert list((tmp_path / "cache").iterdir()) == []


# --- the end of a command


@pytest.mark.parametrize(
    "end", [None, BadInput("no"), KeyboardInterrupt(), BrokenPipeError(), SystemExit(3), KeyError("x")]
)
def test_every_command_closes_what_it_connected_however_it_ends(monkeypatch, tmp_path, daemon, end):
    monkeypatch.setenv("NANOFORGE_CACHE", str(tmp_path / "cache"))
    daemon._api.mount("http://", Elsewhere(os.path.isdir))
    monkeypatch.setattr("nanoforge.containers.sdk.SdkDaemon", lambda *_: daemon)
    closed = []
    monkeypatch.setattr(daemon, "_close", lambda: closed.append(True))
    monkeypatch.setattr("os.dup2", lambda *_: None)

    @command(BUILD)
    def task(_c):
        connect("pc", "tcp://127.0.0.1:1")
        assert not closed
        if end:
            raise end

    try:
        task.body(None)
    except BaseException as error:
        assert end is not None and not isinstance(error, AssertionError)
    assert closed == [True]


def test_every_task_is_such_a_command():
    found = [each for each in vars(tasks).values() if isinstance(each, Task)]
    assert found and all(each.body.__code__ is command(BUILD)(lambda _c: None).body.__code__ for each in found)


def test_a_command_that_connects_to_nothing_does_not_import_the_sdk(no_docker, tmp_path):
    """The SDK alone takes as long as all else that a small command does."""
    program = (
        "import sys, tasks; from nanoforge.containers import connection\n"
        f"connection.USUAL_ADDRESS = 'unix://{tmp_path}/docker.sock'\n"
        "connection.answers(); print([name for name in ('docker', 'requests') if name in sys.modules])"
    )
    path = os.pathsep.join([str(CLONE), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, cwd=CLONE, capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stdout + done.stderr
