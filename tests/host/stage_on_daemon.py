"""A stage on a daemon in memory, for the tests of what happens to it there."""

import json

from nanoforge.console import Console
from nanoforge.containers import images
from nanoforge.runners.contract import EventSink, Limits, StageInput, StageRun
from nanoforge.runners.docker import DockerRunner
from nanoforge.stop import Stop

NO_LIMITS = Limits(0, 0)


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
        self.folder = self.work = folder
        self.progress, self.warnings = [], []
        self.stop = Stop()
        self.on_progress = lambda words: None
        self.runner = DockerRunner(daemon, environment, {}, Console())
        service = self.runner.service
        daemon.add_image(service.image, images._labels(service))
        (folder / "files" / "deep").mkdir(parents=True)
        (folder / "files" / "a.txt").write_bytes(b"a" * 900)
        (folder / "files" / "b.txt").write_bytes(b"b" * 900)
        (folder / "files" / "deep" / "c.bin").write_bytes(b"\0c" * 450)

    def run(self, program=copy, inputs=None, limits=NO_LIMITS):
        self.daemon.program = program
        output = self.work / "output"
        for path in output.glob("*") if output.is_dir() else ():
            path.rename(self.folder / f"old-{path.name}-{len(self.daemon.created)}")
        run = StageRun(
            stage="copy",
            module="stages.data.copy",
            inputs={name: StageInput(path) for name, path in (inputs or {"files": self.folder / "files"}).items()},
            parameters={"sharp": True},
            output=output,
            scratch=self.work / "scratch",
            log=self.folder / "logs" / "copy-1.log",
            limits=limits,
            work_id="work",
            owner="owner",
        )
        sink = EventSink(self._note, self.warnings.append)
        return self.runner.run(run, sink, self.stop)

    def _note(self, *words):
        self.progress.append(words)
        self.on_progress(words)

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
