"""The walk: every stage that is not fresh starts as soon as what it needs is there, several at the same time where each
machine's memory allows.
"""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Mapping, Optional, Sequence

from nanoforge.errors import Interrupted, NanoforgeError
from nanoforge.pipeline.aftermath import drop_output, tidied
from nanoforge.pipeline.plan import FRESH, Status, Statuses, made, status_of
from nanoforge.pipeline.project import Project
from nanoforge.pipeline.stages import ArtifactInput, Stage
from nanoforge.runners.contract import Outcome, Runner, StageInput
from nanoforge.stop import Stop
from nanoforge.store.store import ArtifactFolder

MOST_AT_ONCE = 4


@dataclass
class StageWork:
    """One stage on its way from its status to its artifact; each step notes here what the next ones need.

    Attributes:
        runner: what runs it.
        before: the statuses of the stages whose artifacts go into it.
        steps: those that it has not taken yet.
        started: when its environment was ready, in seconds since 1970.
        tools: name -> version of what is in its environment.
        aids: what spares it work.
        outcome: of its program, once that has ended.
        artifact: once it is published.
    """

    project: Project
    status: Status
    runner: Runner
    before: Statuses
    pool: ThreadPoolExecutor
    steps: Iterator[Step]
    stop: Stop = field(default_factory=Stop)
    started: float = 0.0
    tools: Mapping[str, str] = field(default_factory=dict)
    aids: Mapping[str, StageInput] = field(default_factory=dict)
    outcome: Outcome = field(default_factory=Outcome)
    artifact: Optional[ArtifactFolder] = None

    @property
    def stage(self) -> Stage:
        return self.status.stage

    def advance(self) -> Optional[Future[Outcome]]:
        """Take steps up to one that goes on in the background; None: that was the last."""
        for step in self.steps:
            background = step(self)
            if background:
                return background
        return None


Step = Callable[[StageWork], Optional["Future[Outcome]"]]
"""Does one thing for a stage. Where it returns a future, that goes on in the background, and the next step waits."""


class Scheduler:
    """The stages in order: those that are made, those that run, and those that wait.

    Args:
        names: of the stages, in the order in which they run.
        steps: what makes an artifact of one.
        thorough: read every artifact that goes into one once more.
    """

    def __init__(self, project: Project, names: Sequence[str], steps: Sequence[Step], thorough: bool) -> None:
        self._project = project
        self._waiting: List[str] = list(names)
        self._steps = steps
        self._thorough = thorough
        self._statuses: Statuses = {}
        self._seen: Statuses = {}
        self._running: Dict[Future[Outcome], StageWork] = {}

    def run(self) -> Statuses:
        """Run what has to; returns the status of every stage, fresh by then.

        Raises:
            NanoforgeError: a stage could not run or failed; what others had begun by then is finished.
        """
        with ThreadPoolExecutor(MOST_AT_ONCE) as pool:
            try:
                self._walk(pool)
            except BaseException:
                for work in self._running.values():
                    work.stop.ask()
                raise
            finally:
                # The programs have ended before their output may go.
                pool.shutdown()
                for work in self._running.values():
                    drop_output(self._work_folder(work))
        return self._statuses

    def _walk(self, pool: ThreadPoolExecutor) -> None:
        try:
            self._start_what_can(pool)
            while self._running:
                done, _ = wait(self._running, return_when=FIRST_COMPLETED)
                for future in done:
                    self._go_on(future)
                self._start_what_can(pool)
        except NanoforgeError:
            self._let_others_end()
            raise

    def _start_what_can(self, pool: ThreadPoolExecutor) -> None:
        for name in list(self._waiting):
            status = self._status(name)
            if status is None:
                continue
            if status.state == FRESH:
                self._note(name, status)
                self._project.console.say(f"{name}: fresh")
                continue
            if status.problem:
                raise status.problem
            runner = self._project.runner(status.stage)
            if self._has_room(runner):
                self._waiting.remove(name)
                self._advance(StageWork(self._project, status, runner, self._statuses, pool, iter(self._steps)))

    def _status(self, name: str) -> Optional[Status]:
        """The status of a stage, or None while a stage before it is not made."""
        stage = self._project.stage(name)
        sources = stage.inputs(self._project.context).values()
        if any(isinstance(source, ArtifactInput) and source.stage not in self._statuses for source in sources):
            return None
        if name not in self._seen:
            self._seen[name] = status_of(self._project, stage, self._statuses, self._thorough)
        return self._seen[name]

    def _has_room(self, runner: Runner) -> bool:
        """Whether a stage's memory fits beside that of the stages that run on the same machine."""
        others = (work.runner for work in self._running.values())
        beside = [other for other in others if other.machine == runner.machine]
        if not beside:
            return True
        reserves = [self._reserve(each) for each in (runner, *beside)]
        return len(self._running) < MOST_AT_ONCE and all(reserves) and sum(filter(None, reserves)) <= runner.capacity

    def _reserve(self, runner: Runner) -> Optional[int]:
        stated = self._project.config.runner.memory_mb << 20
        return runner.reserves and (stated or runner.reserves)

    def _work_folder(self, work: StageWork) -> Path:
        return self._project.store.work_folder(work.stage.name, work.status.fingerprint)

    def _advance(self, work: StageWork, begun: bool = False) -> None:
        with tidied(work.stage.name, self._work_folder(work), begun, self._project.notes):
            future = work.advance()
        if future:
            self._running[future] = work
        else:
            self._project.notes.forget_failure(work.stage.name)
            self._note(work.stage.name, Status(work.stage, FRESH, [], work.status.recipe, work.artifact))

    def _go_on(self, future: Future[Outcome]) -> None:
        """Take the steps after a stage's program has ended; why it failed is remembered until it runs again."""
        work = self._running.pop(future)
        try:
            with tidied(work.stage.name, self._work_folder(work), begun=True, notes=self._project.notes):
                work.outcome = future.result()
            self._advance(work, begun=True)
        except Interrupted:
            raise
        except NanoforgeError as error:
            self._project.notes.note_failure(work.stage.name, work.status.fingerprint, str(error))
            raise

    def _note(self, name: str, status: Status) -> None:
        self._statuses[name] = status
        self._project.store.drop_work(name, status.fingerprint)
        self._project.store.use(name, made(status))
        if name in self._waiting:
            self._waiting.remove(name)

    def _let_others_end(self) -> None:
        """One stage failed; what others have begun is not thrown away."""
        if self._running:
            names = ", ".join(work.stage.name for work in self._running.values())
            self._project.console.say(f"waiting for {names} to end …")
        while self._running:
            future = next(iter(self._running))
            try:
                wait([future])
                self._go_on(future)
            except NanoforgeError as error:
                self._project.console.warn(str(error))
