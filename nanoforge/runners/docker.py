"""The Docker runner: a stage as a container of its environment's service in compose.yml.

Where the daemon sees this machine's files, inputs, output and scratch are mounted folders (`bind_mounts`); where it
does not, such as a Nano behind ssh, they are volumes at the far end (`volume_transfer`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, List, Mapping, Optional, Union

from nanoforge.console import Console
from nanoforge.containers import compose, images
from nanoforge.containers.compose import Service
from nanoforge.containers.container import labels_of, run_to_end, sweep
from nanoforge.containers.daemon import Container, Daemon, DaemonFacts, Folder, Image, on_host, speaking
from nanoforge.errors import BadInput, EnvironmentNotReady, StageFailed
from nanoforge.runners.bind_mounts import BindMounts, known_paths
from nanoforge.runners.contract import (
    SPEAKING_UTF8,
    EventSink,
    ExitStatus,
    Listener,
    Outcome,
    StageRun,
    outcome_or_raise,
)
from nanoforge.runners.volume_transfer import VolumeTransfer
from nanoforge.stop import Stop
from stages.parent import PIPE

# How daemons and images name the same processors.
PROCESSOR_NAMES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}
WORK = "nanoforge.work"
StageFolders = Union[BindMounts, VolumeTransfer]


class DockerRunner:
    """Runs stages of one service on one daemon; see `nanoforge.runners.contract.Runner`.

    Args:
        service: name in compose.yml.
        variables: what its ``${NAME}`` stand for, beside .env.
    """

    def __init__(self, daemon: Daemon, service: str, variables: Mapping[str, str], console: Console) -> None:
        self.name = "docker" if daemon.shares_files else daemon.name
        self.daemon = daemon
        self.environment = service
        user = {} if daemon.shares_files else compose.IMAGE_USER
        self.service: Service = compose.service(service, {**user, **variables})
        self.machine = "here" if daemon.shares_files else daemon.name
        self.shares_files = daemon.shares_files
        self._console = console
        self._facts: Optional[DaemonFacts] = None
        self._found: Optional[Image] = None
        self._prepared = False

    @property
    def facts(self) -> DaemonFacts:
        if self._facts is None:
            with speaking(self.daemon, "asking what it can do"):
                self._facts = self.daemon.facts()
        return self._facts

    @property
    def found(self) -> Optional[Image]:
        """The image, or None where it is missing or older than what it is made from."""
        if self._found is None:
            state = images.state(self.daemon, self.service)
            self._found = None if state.why else state.image
        return self._found

    @property
    def image(self) -> Optional[str]:
        found = self.found
        return found.id if found else ""

    @property
    def reserves(self) -> Optional[int]:
        return self.service.memory or None

    @property
    def capacity(self) -> int:
        return self.facts.memory

    def prepare(self) -> None:
        if self._prepared:
            return
        mapping = maps_users(self.facts)
        if mapping:
            raise EnvironmentNotReady(
                f"The {self.daemon.name} maps user ids ({mapping}), so files of containers would not be yours: use a"
                f" daemon without it{'' if on_host(self.daemon) else ', or --runner local'}."
            )
        image = self.found or images.ensure(self.daemon, self.service, self._console)
        self._found, self._prepared = image, True
        own = PROCESSOR_NAMES.get(self.facts.architecture, self.facts.architecture)
        if image.architecture != own:
            self._console.warn(
                f"image {self.service.image} is for {image.architecture}, the daemon's machine is {own}: it is"
                " emulated, many times slower."
            )

    def tools(self) -> Dict[str, str]:
        image = self._ready_image()
        packages = images.packages(self.daemon, self.service, image)
        return {**packages, "image": image.id, "docker-daemon": self.facts.version}

    def run(self, run: StageRun, sink: EventSink, stop: Stop) -> Outcome:
        for folder in (run.output, run.scratch, run.log.parent):
            folder.mkdir(parents=True, exist_ok=True)
        sweep(self.daemon, {WORK: run.work_id})
        with open(run.log, "w", encoding="utf-8") as log:
            listener = Listener(log, sink, known_paths(run))
            with self._folders(run, sink, stop) as folders:
                status = self._run_in(folders, run, listener, stop)
                try:
                    outcome = outcome_or_raise(run, status, listener.outcome, stop)
                except (BadInput, StageFailed):
                    folders.bring_findings()
                    raise
                folders.bring_back(listener)
        return outcome

    def _folders(self, run: StageRun, sink: EventSink, stop: Stop) -> StageFolders:
        cpus = self.processors(run.limits.cpus)
        container = self._container(run)
        if self.daemon.shares_files:
            return BindMounts(run, container, cpus)
        return VolumeTransfer(run, container, cpus, self.daemon, sink, stop)

    def _container(self, run: StageRun) -> Container:
        """A container of this run that is yet without command and folders."""
        return Container(self.service, self._ready_image().id, [], labels={**labels_of(run.owner), WORK: run.work_id})

    def processors(self, wanted: int) -> int:
        """How many processors a stage gets there."""
        return min(wanted or self.facts.cpus, self.facts.cpus)

    def _run_in(self, folders: StageFolders, run: StageRun, listener: Listener, stop: Stop) -> ExitStatus:
        if folders.done_before:
            return ExitStatus(0)
        cpus = self.processors(run.limits.cpus)
        changes = [Folder(run.changes, run.changes, read_only=False)] if run.changes else []
        container = replace(
            self._container(run),
            command=stage_command(run.module, folders.job_path),
            folders=[*folders.mounts, *changes],
            environment={**SPEAKING_UTF8, **thread_variables(cpus), PIPE: "1"},
            memory=run.limits.memory_mb << 20,
            cpus=cpus if cpus < self.facts.cpus else 0,
        )
        for line in folders.head(self.environment, container):
            listener.line(line)
        ended = run_to_end(self.daemon, container, listener.line, stop, f"{run.stage} ran")
        return ExitStatus(ended.code, container.memory_limit >> 20 if ended.out_of_memory else 0)

    def _ready_image(self) -> Image:
        image = self.found
        if image is None:
            raise EnvironmentNotReady(
                f"Image {self.service.image} is gone or old:"
                f" `./run images --environments {self.environment}{on_host(self.daemon)}` builds it."
            )
        return image


def maps_users(facts: DaemonFacts) -> str:
    """By which feature a daemon gives containers other user ids than they ask for; empty: by none."""
    known = ("rootless", "userns")
    return next((word for word in known if any(f"name={word}" in option for option in facts.security)), "")


def stage_command(module: str, job_path: str) -> List[str]:
    """The command of a stage, as its container runs it."""
    return ["python3", "-W", "ignore::FutureWarning", "-m", module, job_path]


def thread_variables(cpus: int) -> Dict[str, str]:
    """What tells numeric libraries how many threads to use; they would count the machine's processors."""
    return {"OMP_NUM_THREADS": str(cpus), "OPENBLAS_NUM_THREADS": str(cpus)}
