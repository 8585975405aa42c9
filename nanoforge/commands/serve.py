"""What serves until Ctrl-C: TensorBoard, and the viewer of what was built."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import List, Mapping, Sequence, Tuple

import msgspec

from nanoforge.commands.options import StageOptions, shown
from nanoforge.containers import compose
from nanoforge.containers.container import run_to_end
from nanoforge.containers.daemon import Container
from nanoforge.errors import BadInput, StageFailed
from nanoforge.pipeline.plan import plan
from nanoforge.pipeline.project import Project
from nanoforge.runners import virtual_environments
from nanoforge.runners.bind_mounts import declared_folders
from nanoforge.runners.docker import DockerRunner
from nanoforge.runners.placement import LOCAL
from nanoforge.stop import Stop


def tensorboard(options: StageOptions, port: int) -> None:
    """Serve the training's TensorBoard on loopback until Ctrl-C."""
    project = options.project()
    events = _events(project)
    project.console.say(f"TensorBoard of {shown(events)}: http://127.0.0.1:{port}/ (Ctrl-C ends it)")
    # The folder itself is mounted: a stage that runs works in one that is closed to others.
    inside = {"NANOFORGE_BUILD": str(events), "NANOFORGE_EVENTS": "."}
    command = ["-W", "ignore", "-m", "tensorboard.main", "--logdir", str(events), "--host", "127.0.0.1"]
    _serve(project, "tensorboard", "train", inside, [*command, "--port", str(port)], port)


def _events(project: Project) -> Path:
    """Where the events of the training are that runs now, else of the one that was made last."""
    status = plan(project, "train")[-1]
    running = project.store.work_folder("train", status.fingerprint) / "scratch" if status.recipe else None
    done = status.artifact.folder / "events" if status.artifact else None
    events = running if running and running.is_dir() else done
    if events is None:
        raise StageFailed("There is no training yet whose curves could be shown: run `train` first.")
    return events


def viewer(options: StageOptions, port: int) -> None:
    """Serve the build folder (report, pictures, models) read-only on loopback until Ctrl-C."""
    project = options.project()
    if not (project.build / "report").exists():
        raise StageFailed("There is nothing to view yet: run `build` first.")
    project.console.say(f"Report: http://127.0.0.1:{port}/report/report.html (Ctrl-C ends it)")
    command = ["-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(project.build)]
    _serve(project, "viewer", "data", {}, command, port)


def _serve(
    project: Project, service: str, environment: str, inside: Mapping[str, str], command: Sequence[str], port: int
) -> None:
    """Run a server: in its service, or with the environment's own Python and ``command``."""
    if project.placement.place(service) == LOCAL:
        python = virtual_environments.ensure(
            compose.local_environment(environment), project.console, project.config.runner.python36
        )
        code = subprocess.run([str(python), *command]).returncode
        words = ""
    else:
        code, words = _serve_in_container(project, service, environment, inside, port)
    if code not in (0, 130, 143):
        raise StageFailed(f"{service} ended with exit code {code}; is port {port} in use? (--port) {words}".strip())


def _serve_in_container(
    project: Project, service: str, environment: str, inside: Mapping[str, str], port: int
) -> Tuple[int, str]:
    daemon = project.placement.daemon(project.placement.place(service))
    if not daemon.shares_files:
        raise BadInput(f"{service} shows files of this machine, which {daemon.name} does not see: use --runner local.")
    runner = DockerRunner(daemon, environment, {}, project.console)
    runner.prepare()
    declared = compose.service(service, {"NANOFORGE_BUILD": str(project.build), **inside})
    ports = [f"127.0.0.1:{port}:{text.rsplit(':', 1)[-1]}" for text in declared.ports]
    container = Container(
        msgspec.structs.replace(declared, ports=ports),
        runner.tools()["image"],
        declared.command,
        declared_folders(declared),
    )
    lines: List[str] = []
    stop = Stop()
    try:
        ended = run_to_end(daemon, container, lines.append, stop, f"{service} ran")
    except KeyboardInterrupt:
        return 130, ""
    return ended.code, " ".join(lines[-3:])
