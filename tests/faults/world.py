"""Where a fault happens: a folder of its own, a copy of a small finished project in it, and real commands."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Sequence

from judge import Done, no_process
from tally import Tally

from nanoforge.console import Console
from nanoforge.containers.compose import local_environment
from nanoforge.files.paths import HOME, cache_folder
from nanoforge.runners import virtual_environments

RUN = HOME / "run"
HANGS_S = 600  # nothing here takes that long; what does, waits for ever
STAGES = ("render", "resize", "records", "train", "evaluate", "export", "audit", "convert", "detect", "report")
CONFIG = """[dataset]
{dataset}
classes = ["cone", "ball", "mug"]

[resize]
long_side = 320

[records]
validation_fraction = 0.4

[model]
architecture = "ssd_mobilenet_v1"
depth_multiplier = 0.25
input_size = 96

[train]
steps = 4
batch_size = 2
evaluate_every = 2

[export]
score_threshold = 0.001

[convert]
parity_pictures = 2

[detect]
score_threshold = 0.01

[runner]
use = "local"
"""
FIRST = 4  # of the rendered pictures, demo-0005
RENDERED = "rendered_pictures = 12"
OWN = 'photos = "photos/JPEGImages"\nannotations = "photos/Annotations"'


def judged_in(environment: str, program: str, arguments: Sequence[str], world: World, tally: Tally) -> None:
    """Run a program of this folder by an environment's Python; its last line is a list of [case, what is wrong]."""
    python = virtual_environments.ensure(local_environment(environment), Console())
    paths = os.pathsep.join([str(HOME), str(Path(__file__).parent)])
    more = {"PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1", "TF_CPP_MIN_LOG_LEVEL": "2"}
    done = subprocess.run(
        [str(python), "-W", "ignore", str(Path(__file__).with_name(program)), *arguments],
        env={**world.environment(), **more},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-800:]
    for name, why in json.loads(done.stdout.splitlines()[-1]):
        with tally.case(name):
            assert not why, why


class World:
    """A folder for one draw.

    Attributes:
        template: the finished project that is copied; nobody writes there.
        temporary: what commands are told to be the folder of temporary files.
        random: seeded by the draw's name.
    """

    def __init__(self, folder: Path, template: Path, seed: str) -> None:
        self.folder, self.template = folder, template
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self.environments = cache_folder() / "environments"
        self.random = random.Random(seed)

    def project(self, name: str = "project", without: Sequence[str] = (), only: Sequence[str] = STAGES) -> Path:
        """A copy of the template, with ``only`` these stages' artifacts, ``without`` those."""
        project = self.folder / name
        left_out = {*without, *STAGES} - ({*only} - {*without})

        def leave_out(base: str, names: Sequence[str]) -> Sequence[str]:
            inside = {str(self.template / "build"), str(self.template / "build" / "store")}
            return [name for name in names if base in inside and name in {*left_out, "logs", "failures"}]

        shutil.copytree(self.template, project, symlinks=True, ignore=leave_out)
        return project

    def own(self, name: str = "project", pictures: int = 4, config: str = "") -> Path:
        """A project on photos of the user's: small ones, in ``photos/``, the first of which shows every class."""
        project = self.folder / name
        for folder, kind in (("JPEGImages", ".jpg"), ("Annotations", ".xml")):
            (project / "photos" / folder).mkdir(parents=True)
            for path in sorted((self.template / "build" / "resize" / folder).iterdir())[FIRST : FIRST + pictures]:
                assert path.suffix == kind
                shutil.copy2(path, project / "photos" / folder / path.name)
        (project / "detector.toml").write_text(CONFIG.format(dataset=OWN) + config, encoding="utf-8")
        return project

    def cache(self) -> Path:
        """A cache of this draw's own, with the environments of all."""
        folder = self.folder / "cache"
        folder.mkdir(exist_ok=True)
        (folder / "environments").symlink_to(self.environments)
        return folder

    def environment(self, more: Optional[Mapping[str, str]] = None) -> Dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "COLUMNS")}
        # No Docker daemon, also where one answers: a machine's own must not decide what is tried, nor be tried on.
        mine = {"TMPDIR": str(self.temporary), "DOCKER_HOST": f"unix://{self.folder}/no-daemon"}
        return {**kept, **mine, "NANOFORGE_CACHE": str(cache_folder()), **(more or {})}

    def start(
        self,
        *arguments: Any,
        cwd: Path,
        environment: Optional[Mapping[str, str]] = None,
        before: Sequence[str] = (),
    ) -> subprocess.Popen[bytes]:
        """A command as a user gives it, whose end nobody waits for yet; ``before`` stands before ``./run``."""
        return subprocess.Popen(
            [*before, str(RUN), *map(str, arguments)],
            cwd=cwd,
            env=self.environment(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def run(
        self,
        *arguments: Any,
        cwd: Path,
        environment: Optional[Mapping[str, str]] = None,
        before: Sequence[str] = (),
    ) -> Done:
        """A command from its start to its end."""
        return ended(self.start(*arguments, cwd=cwd, environment=environment, before=before), arguments)

    def ends(self) -> None:
        """Nothing that was started here runs any more."""
        no_process(self.temporary)


def ended(process: subprocess.Popen[bytes], what: Sequence[Any] = ()) -> Done:
    """What a command came to; one that hangs is ended, and fails its draw."""
    try:
        out, err = process.communicate(timeout=HANGS_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise AssertionError(f"{' '.join(map(str, what))} hangs") from None
    return Done(process.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"))
