"""What containers cost, as ratios within one run: the runner against bare `docker run`, and copies against `docker cp`.

    PYTHONPATH=. PYTHON benchmarks/containers.py overhead
    PYTHONPATH=. PYTHON benchmarks/containers.py copy ssh://user@host[/path/of/docker.sock] [MiB]

PYTHON is the host environment's; `overhead` needs a daemon with the image nanoforge-data (`./run images`), `copy` one
behind ssh that has it. `docker cp` cannot be told a socket's path: the ssh server has to know its DOCKER_HOST.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

from nanoforge.console import Console
from nanoforge.containers import compose, volumes
from nanoforge.containers.connection import connect
from nanoforge.containers.container import remove
from nanoforge.containers.daemon import Container, Folder
from nanoforge.files.selection import ALL_FILES
from nanoforge.runners.contract import EventSink, Limits, StageRun
from nanoforge.runners.docker import DockerRunner
from nanoforge.stop import Stop

ROUNDS = 15
NOTHING = EventSink(lambda *_: None, print)


def timed(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def overhead():
    """A stage that does nothing, by the runner and by `docker run` with the same image, command and confinement."""
    runner = DockerRunner(connect(), "data", {}, Console())
    runner.prepare()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = StageRun("noop", "stages.job", {}, {}, folder / "output", folder / "scratch", folder / "log.txt",
                    Limits(0, 0), "noop", "benchmark")  # fmt: skip
        service = runner.service
        bare = ["docker", "run", "--rm", "--init", "--network", "none", "--read-only", "--cap-drop", "ALL",
                "--security-opt", "no-new-privileges:true", "--tmpfs", "/tmp", "--user", service.user,
                "-v", f"{Path('stages').resolve()}:/nanoforge/code/stages:ro", "-v", f"{folder}:/nanoforge/scratch",
                service.image, "python3", "-W", "ignore::FutureWarning", "-m", "stages.job"]  # fmt: skip
        pairs = [
            (timed(lambda: runner.run(run, NOTHING, Stop())), timed(lambda: subprocess.run(bare, check=True)))
            for _ in range(ROUNDS)
        ]
    ours, theirs = (statistics.median(times) for times in zip(*pairs))
    print(f"runner {ours * 1000:.0f} ms, docker run {theirs * 1000:.0f} ms, ratio {ours / theirs:.2f}")


def copy(url, mebibytes):
    """One artifact to a daemon behind ssh and back, digests compared at both ends, and by `docker cp`."""
    daemon = connect("far", url)
    service = compose.service("data")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "artifact" / "model.bin"
        source.parent.mkdir()
        source.write_bytes(os.urandom(mebibytes << 20))
        for _ in range(3):
            there, back = _ours(daemon, service, source, folder / "back")
            cp_there, cp_back = _docker_cp(url, service.image, source, folder / "cp")
            print(
                f"there {there:.1f} s (docker cp {cp_there:.1f} s), back {back:.1f} s (docker cp {cp_back:.1f} s):"
                f" ratios {there / cp_there:.2f} and {back / cp_back:.2f}"
            )
    daemon.close()


def _ours(daemon, service, source, back):
    """Seconds there and back, proof by digest included."""
    volume, target = "nanoforge-benchmark", "/nanoforge/inputs/artifact"
    container = Container(service, service.image, ["true"], [Folder(volume, target, read_only=False)])
    volumes.ensure(daemon, volume, {})
    carrier = volumes.Carrier(daemon, daemon.create(container), 1000)
    content = volumes.Content(source.parent, ALL_FILES)

    def there():
        sent = volumes.send(carrier, target, content, {}, lambda _: None)
        volumes.check("copy", sent, volumes.listing(daemon, container, [target])[target])

    def here():
        back.mkdir()
        expected = volumes.listing(daemon, container, [target])[target]
        volumes.fetch(carrier, target, back, expected, lambda _: None)

    try:
        return timed(there), timed(here)
    finally:
        remove(daemon, carrier.identity)
        volumes.discard(daemon, volume)
        subprocess.run(["rm", "-rf", str(back)], check=True)


def _docker_cp(url, image, source, back):
    parts = urlsplit(url)
    environment = {**os.environ, "DOCKER_HOST": f"ssh://{parts.netloc}"}

    def docker(*words):
        return subprocess.run(["docker", *words], env=environment, check=True, capture_output=True, text=True).stdout

    container = docker("create", "-v", "/data", image, "true").strip()
    try:
        return (
            timed(lambda: docker("cp", str(source), f"{container}:/data/model.bin")),
            timed(lambda: docker("cp", f"{container}:/data/model.bin", str(back))),
        )
    finally:
        docker("rm", "-f", "-v", container)


if __name__ == "__main__":
    if sys.argv[1:] == ["overhead"]:
        overhead()
    elif len(sys.argv) > 2 and sys.argv[1] == "copy":
        copy(sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 500)
    else:
        sys.exit(__doc__)
