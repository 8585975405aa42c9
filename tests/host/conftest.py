"""A project whose stages are small stand-ins: the real table, plan, store and runner, without TensorFlow.

Each stand-in writes what it was given, and does what ``behaviour.json`` in the fake home tells it to.
"""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from nanoforge.console import Console
from nanoforge.containers import compose
from nanoforge.pipeline import fingerprint, stages
from nanoforge.pipeline.foresight import FORESEE
from nanoforge.pipeline.project import Project
from nanoforge.runners import isolated, local, placement, virtual_environments

CLONE = Path(__file__).resolve().parents[2]
# No Docker daemon, also where one answers: these tests are the same on every machine; tests/containers has real ones.
os.environ["DOCKER_HOST"] = "unix:///no/daemon.sock"
# Nor what the shell sets of compose.yml's variables, such as the stand-in bases of docker/standin/bases.env.
for variable in compose.file_variables():
    os.environ.pop(variable, None)

STAND_IN = """
import hashlib, json, os, subprocess, sys, time
from stages import job

def main(work):
    home = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    with open(os.path.join(home, "behaviour.json")) as stream:
        behaviour = json.load(stream).get(work.stage, {})
    with open(os.path.join(home, "ran.txt"), "a") as stream:
        stream.write(work.stage + "\\n")
    if "touch" in behaviour:
        with open(behaviour["touch"], "a") as stream:
            stream.write(" ")
    if behaviour.get("child"):
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    if "sleep" in behaviour:
        job.emit({"progress": {"done": 1, "total": 2, "message": "asleep"}})
        time.sleep(behaviour["sleep"])
    if "eat_mb" in behaviour:
        hoard = bytearray(os.urandom(1 << 20)) * behaviour["eat_mb"]
        time.sleep(60)
    if "findings" in behaviour:
        with open(os.path.join(work.scratch, "findings.jsonl"), "w") as stream:
            stream.write(behaviour["findings"])
    if "bad_input" in behaviour:
        raise job.BadInput(behaviour["bad_input"])
    if "fail" in behaviour:
        raise job.StageFailed(behaviour["fail"])
    if "crash" in behaviour:
        raise RuntimeError(behaviour["crash"])
    if "exit" in behaviour:
        os._exit(behaviour["exit"])
    aids = {name: work.inputs.pop(name) for name in ("earlier", "digests") if name in work.inputs}
    with open(os.path.join(home, "aids.json"), "w") as stream:
        json.dump({**aids, **({"digests": json.load(open(aids["digests"]))} if "digests" in aids else {})}, stream)
    seen = {name: digest(path) for name, path in sorted(work.inputs.items())}
    for name in behaviour.get("files", ["out.txt"]):
        with open(work.out(name), "w") as stream:
            json.dump({"inputs": seen, "parameters": work.parameters}, stream, sort_keys=True)
    for folder in ("JPEGImages", "Annotations"):
        with open(work.out(folder, "a.xml"), "w") as stream:
            stream.write("x")
    for name in ("pipeline.config", "label_map.pbtxt"):
        with open(work.out(name), "w") as stream:
            stream.write(work.stage)
    work.metrics(images=3, **{"mAP@0.5": 0.5})

def digest(path):
    hasher = hashlib.sha256()
    for folder, _, names in sorted(os.walk(path)):
        for name in sorted(names):
            plain = os.path.isfile(os.path.join(folder, name))
            if plain and name not in ("record.json", "provenance.json"):
                with open(os.path.join(folder, name), "rb") as stream:
                    hasher.update(stream.read())
    return hasher.hexdigest()

if __name__ == "__main__":
    job.run(main)
"""


class Home:
    """A fake clone: stand-in stages and lock files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "stages").mkdir(parents=True)
        for path in (CLONE / "stages").glob("*.py"):
            shutil.copy(path, folder / "stages")
        for name in ("compose.yml", ".env"):
            shutil.copy(CLONE / name, folder / name)
        for stage in (*stages.TABLE, FORESEE.program):
            module = folder.joinpath(*stage.module.split(".")).with_suffix(".py")
            module.parent.mkdir(exist_ok=True)
            module.write_text(STAND_IN)
            lock = folder / "docker" / stage.environment / "requirements.lock"
            lock.parent.mkdir(parents=True, exist_ok=True)
            lock.write_text("numpy==1.0\n")
        self.behave()

    def behave(self, **stages) -> None:
        (self.folder / "behaviour.json").write_text(json.dumps(stages))

    def ran(self):
        """The stages that ran since the last call."""
        log = self.folder / "ran.txt"
        names = log.read_text().split() if log.exists() else []
        log.unlink() if log.exists() else None
        return names

    def aids(self):
        """What the stage that ran last was given to spare it work, digests as they were written."""
        return json.loads((self.folder / "aids.json").read_text())

    def module(self, stage: str) -> Path:
        return self.folder.joinpath(*stages.STAGES[stage].module.split(".")).with_suffix(".py")


@pytest.fixture
def home(tmp_path, monkeypatch):
    fake = Home(tmp_path / "clone")
    for module in (isolated, local, fingerprint, compose):
        monkeypatch.setattr(module, "HOME", fake.folder)
    monkeypatch.setattr(virtual_environments, "ensure", lambda *_args: Path(sys.executable))
    monkeypatch.setattr(virtual_environments, "describe", lambda _python: {"python": "3"})
    # A daemon that happens to answer on this machine must not change what the tests see.
    monkeypatch.setattr(placement, "answers", lambda: None)
    return fake


class Photos:
    """A detector's folder with photos, XML and a detector.toml."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("a", "b", "c"):
            self.write(f"photos/JPEGImages/{name}.jpg", f"pixels of {name}")
            self.write(f"photos/Annotations/{name}.xml", f"boxes of {name}")
        self.write("detector.toml", '[dataset]\nphotos = "photos/JPEGImages"\nclasses = ["cat"]\n')

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def project(self, *overrides: str) -> Project:
        return Project(self.folder / "detector.toml", overrides, Console())


@pytest.fixture
def photos(tmp_path):
    return Photos(tmp_path / "detector")
