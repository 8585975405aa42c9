"""The Docker runner: a stage as a container of its environment's service in compose.yml.

Where the engine sees this machine's files, inputs, output and scratch are mounted folders (`near_work`); where it does
not, such as a Nano behind ssh, they are volumes at the far end (`far_work`).
"""

from __future__ import annotations

from typing import Dict, List, Mapping, Optional, Union

from nanoforge.console import Console
from nanoforge.containers import compose, images
from nanoforge.containers.compose import Service
from nanoforge.containers.connection import Daemon, DaemonFacts, Image
from nanoforge.containers.container import Container, run, sweep
from nanoforge.errors import EnvironmentNotReady
from nanoforge.runners.bind_mounts import BindMounts, known_places
from nanoforge.runners.contract import EventSink, ExitStatus, Listener, Outcome, StageRun, outcome_or_raise
from nanoforge.runners.volume_transfer import VolumeTransfer
from nanoforge.stop import Stop

# How engines and images name the same processors.
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}
OWNER, WORK = "nanoforge.owner", "nanoforge.work"
Work = Union[BindMounts, VolumeTransfer]


class DockerRunner:
    """Runs stages of one service on one engine; see `nanoforge.runners.contract.Runner`.

    Args:
        service: name in compose.yml.
        variables: what its ``${NAME}`` stand for, beside .env.
    """

    def __init__(self, engine: Daemon, service: str, variables: Mapping[str, str], console: Console) -> None:
        self.name = "docker" if engine.shares_files else engine.name
        self.engine = engine
        self.environment = service
        user = {} if engine.shares_files else compose.IMAGE_USER
        self.service: Service = compose.service(service, {**user, **variables})
        self.machine = "here" if engine.shares_files else engine.name
        self._console = console
        self._facts: Optional[DaemonFacts] = None
        self._found: Optional[Image] = None
        self._prepared = False

    @property
    def facts(self) -> DaemonFacts:
        if self._facts is None:
            self._facts = self.engine.facts()
        return self._facts

    @property
    def found(self) -> Optional[Image]:
        """The image, or None where it is missing or older than what it is made from."""
        if self._found is None:
            state = images.state(self.engine, self.service)
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
                f"The {self.engine.name} maps user ids ({mapping}), so files of containers would not be yours: use an"
                " engine without it, or --runner local."
            )
        image = self.found or images.ensure(self.engine, self.environment, self.service, self._console)
        self._found, self._prepared = image, True
        own = ARCHITECTURES.get(self.facts.architecture, self.facts.architecture)
        if image.architecture != own:
            self._console.warn(
                f"image {self.service.image} is for {image.architecture}, the engine's machine is {own}: it is"
                " emulated, many times slower."
            )

    def tools(self) -> Dict[str, str]:
        image = self._ready_image()
        packages = images.packages(self.engine, self.service, image)
        return {**packages, "image": image.id, "docker-engine": self.facts.version}

    def run(self, call: StageRun, talk: EventSink, stop: Stop) -> Outcome:
        for folder in (call.output, call.scratch, call.log.parent):
            folder.mkdir(parents=True, exist_ok=True)
        sweep(self.engine, {WORK: call.work})
        with open(call.log, "w", encoding="utf-8") as log:
            listener = Listener(log, talk, known_places(call))
            with self._work(call, talk) as work:
                ending = self._run_at(work, call, listener, stop)
                outcome = outcome_or_raise(call, ending, listener.outcome, stop)
                work.bring_back(listener)
        return outcome

    def _work(self, call: StageRun, talk: EventSink) -> Work:
        labels = {OWNER: call.owner, WORK: call.work}
        carrier = Container(self.service, self._ready_image().id, [], labels=labels)
        cpus = self.processors(call.limits.cpus)
        if self.engine.shares_files:
            return BindMounts(call, carrier, cpus)
        return VolumeTransfer(call, carrier, cpus, self.engine, talk)

    def processors(self, wanted: int) -> int:
        """How many processors a stage gets there."""
        return min(wanted or self.facts.cpus, self.facts.cpus)

    def _run_at(self, work: Work, call: StageRun, listener: Listener, stop: Stop) -> ExitStatus:
        if work.done_before:
            return ExitStatus(0)
        cpus, memory = self.processors(call.limits.cpus), call.limits.memory_mb << 20
        container = Container(
            self.service,
            work.carrier.image,
            stage_command(call.module, work.job_path),
            work.folders,
            {**thread_variables(cpus), "NANOFORGE_PARENT_PIPE": "1"},
            work.carrier.labels,
            memory,
            cpus if cpus < self.facts.cpus else 0,
        )
        for line in work.head(self.environment, container):
            listener.line(line)
        ended = run(self.engine, container, listener.line, stop, f"{call.stage} ran")
        return ExitStatus(ended.code, container.memory_limit >> 20 if ended.out_of_memory else 0)

    def _ready_image(self) -> Image:
        image = self.found
        if image is None:
            raise EnvironmentNotReady(f"Image {self.service.image} is gone or old: `./run images` builds it.")
        return image


def maps_users(facts: DaemonFacts) -> str:
    """By which feature an engine gives containers other user ids than they ask for; empty: by none."""
    known = ("rootless", "userns")
    return next((word for word in known if any(f"name={word}" in option for option in facts.security)), "")


def stage_command(module: str, job_path: str) -> List[str]:
    """The command of a stage, as its container runs it."""
    return ["python3", "-W", "ignore::FutureWarning", "-m", module, job_path]


def thread_variables(cpus: int) -> Dict[str, str]:
    """What tells numeric libraries how many threads to use; they would count the machine's processors."""
    return {"OMP_NUM_THREADS": str(cpus), "OPENBLAS_NUM_THREADS": str(cpus)}
