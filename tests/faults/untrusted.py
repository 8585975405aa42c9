"""Untrusted folders: modules in the current folder and in the data that Python would run if it looked there."""

from __future__ import annotations

import functools
import http.client
import os
import shutil
import signal
import socket
import time
from pathlib import Path
from typing import List, Sequence

import judge
from tally import Draw, Tally
from world import World, ended

DONE = (
    "forty modules that programs import (json.py, html.py, site customizations, nanoforge/, stages/, tasks.py, "
    "invoke.yaml, cv2.py, tensorflow/ and others) lie in the current folder, beside the photos, in the media, "
    "beside the graph and in the build folder; every command that starts a Python is given there, servers too"
)
JUDGED = "not one of the modules is run, and the command ends as it does elsewhere"
MODULES = """
json html re os io types enum typing socket ssl sqlite3 string random logging collections http mimetypes
socketserver subprocess threading tempfile shutil site sitecustomize usercustomize runpy encodings
multiprocessing concurrent starlette uvicorn anyio h11
numpy cv2 tensorflow tensorboard google lxml jinja2 psutil invoke rich msgspec
nanoforge stages tasks venv pip
""".split()
MARK = "nanoforge_was_here"
COMMANDS = [
    line.split()
    for line in """
--version
--list
status
records
gc
explain train
doctor
init photos --folder other
detect --media photos/JPEGImages
audit --graph graph.pb
""".strip().splitlines()
]
SERVERS = (("view",), ("tensorboard",))
WITH_TENSORFLOW = ("audit", "tensorboard")


def draws(full: bool, seed: int) -> List[Draw]:
    found = [
        Draw("untrusted", f"untrusted: {' '.join(words)}", functools.partial(_command, words)) for words in COMMANDS
    ]
    servers = [Draw("untrusted", f"untrusted: {words[0]}", functools.partial(_serve, words)) for words in SERVERS]
    environments = [Draw("untrusted", "untrusted: the host environment is made", _environment)]
    return sorted(
        [*servers, *environments, *found], key=lambda draw: not any(name in draw.name for name in WITH_TENSORFLOW)
    )


def _hostile(folder: Path, mark: Path) -> None:
    """Each module leaves a line where it is run; as a file, and as a package."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in MODULES:
        program = f"with open({str(mark)!r}, 'a') as stream:\n    stream.write({str(folder / name)!r} + chr(10))\n"
        (folder / f"{name}.py").write_text(program, encoding="utf-8")
        if name in ("nanoforge", "stages", "tensorflow", "encodings"):
            (folder / name).mkdir()
            for inside in ("__init__", "__main__", "job"):
                (folder / name / f"{inside}.py").write_text(program, encoding="utf-8")
    (folder / "invoke.yaml").write_text("run: {echo: true}\ntasks: {collection_name: json}\n", encoding="utf-8")
    (folder / "pyvenv.cfg").write_text("home = .\n", encoding="utf-8")


def _place(world: World) -> Path:
    """A project full of hostile modules, in every folder that a Python could be started in."""
    mark = world.folder / MARK
    project = world.project(without=["detect", "report"])
    for folder in ("JPEGImages", "Annotations"):
        (project / "photos" / folder).mkdir(parents=True)
        for path in sorted((world.template / "build" / "resize" / folder).iterdir())[:3]:
            shutil.copyfile(path, project / "photos" / folder / path.name)
    shutil.copyfile(world.template / "build" / "export" / "frozen_inference_graph.pb", project / "graph.pb")
    for folder in (".", "photos", "photos/JPEGImages", "photos/Annotations", "build", "build/cache", "build/logs"):
        _hostile(project / folder, mark)
    _hostile(world.temporary, mark)
    return project


def _unharmed(world: World) -> None:
    mark = world.folder / MARK
    run = sorted(set(mark.read_text(encoding="utf-8").splitlines())) if mark.exists() else []
    assert not run, f"{len(run)} modules of the folder were run, such as {os.path.relpath(run[0], world.folder)}"


def _command(words: Sequence[str], world: World, tally: Tally) -> None:
    with tally.case(" ".join(words)):
        project = _place(world)
        done = world.run(*words, cwd=project)
        _unharmed(world)
        judge.told(done, codes=[0, 1] if words[0] in ("explain", "doctor") else [0])


def _serve(words: Sequence[str], world: World, tally: Tally) -> None:
    """Until it answers, and then Ctrl-C; also from the build folder, which both of them show."""
    with tally.case(" ".join(words)):
        project = _place(world)
        (project / "build" / "report").symlink_to("records")
        port = _free_port()
        server = world.start(*words, "--port", port, cwd=project)
        try:
            while server.poll() is None and not _answers(port):
                time.sleep(0.1)
        finally:
            if server.poll() is None:
                server.send_signal(signal.SIGINT)
        done = ended(server, words)
        _unharmed(world)
        judge.told(done, codes=[0, 130])


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _answers(port: int) -> bool:
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("GET", "/")
        return connection.getresponse().status > 0
    except (OSError, http.client.HTTPException):
        return False


def _environment(world: World, tally: Tally) -> None:
    """The shell program ``run`` asks Pythons for their version before there is an environment."""
    with tally.case("finding a Python"):
        project = _place(world)
        cache = world.folder / "cache"
        cache.write_text("a file, so that nothing is installed", encoding="utf-8")
        done = world.run("--version", cwd=project, environment={"NANOFORGE_CACHE": str(cache)})
        _unharmed(world)
        judge.told(done, codes=[3])
