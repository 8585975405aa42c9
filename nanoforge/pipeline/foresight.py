"""Before a stage begins: what is sure to be refused after it, and perhaps hours later, is refused now.

The answer of a question that breaks is not known, and stops nothing.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Callable, Mapping, NamedTuple, Optional, Tuple

from nanoforge.errors import DaemonLost, StageFailed
from nanoforge.files.digests import json_digest
from nanoforge.pipeline.context import StageContext
from nanoforge.pipeline.fingerprint import code_digests
from nanoforge.pipeline.scheduler import StageWork
from nanoforge.pipeline.stages import STAGES, Parameters
from nanoforge.runners.contract import EventSink, Outcome, Program, StageRun
from stages.parameters import ForeseeParameters


class Foresight(NamedTuple):
    """What is asked before a stage runs, by a program that ends as bad input where the stage's work would be in vain.

    It belongs to no recipe: what it says decides whether the stage runs, never what comes out.

    Attributes:
        words: what is asked, for people.
        reads: those of the stage's inputs that it is given.
        parameters: what its job file holds.
        applies: whether there is anything to ask with this config.
    """

    program: Program
    words: str
    reads: Tuple[str, ...]
    parameters: Callable[[StageContext], Parameters]
    applies: Callable[[StageContext], bool]


def _on_the_way_to_a_model(context: StageContext) -> Parameters:
    stages = {name: STAGES[name].parameters(context) for name in ("train", "export", "convert")}
    return dict(ForeseeParameters(**stages)._asdict())


def _has_a_config_of_its_own(context: StageContext) -> bool:
    """A config that `train` makes itself is known to convert; tests/train/test_train_foresee.py holds to that."""
    return bool(context.config.model.pipeline_config) and not context.config.train.anyway


FORESEE = Foresight(
    Program("foresee", "train", "stages.foresee.foresee"),
    words="would `convert` take what this trains?",
    reads=("records", "pipeline_config"),
    parameters=_on_the_way_to_a_model,
    applies=_has_a_config_of_its_own,
)

FORESIGHTS: Mapping[str, Foresight] = {"train": FORESEE}
"""Stage -> what is asked before it runs."""


@dataclass(frozen=True)
class Question:
    """What is asked before a stage runs, by a program that runs where the stage will.

    Attributes:
        words: what is asked, for people.
        run: the program's.
        answer: a file of the stage's work folder, which holds the question where the answer was that all is well.
    """

    words: str
    work: StageWork
    run: StageRun
    answer: Path

    @classmethod
    def of(cls, work: StageWork, run: StageRun) -> Optional[Question]:
        """The question before ``run`` of the stage; None where there is none."""
        asked, context = FORESIGHTS.get(work.stage.name), work.project.context
        if asked is None or not asked.applies(context):
            return None
        name, fingerprint = asked.program.name, work.status.fingerprint
        folder = run.output.parent / name
        first = replace(
            run,
            stage=name,
            module=asked.program.module,
            inputs={name: run.inputs[name] for name in asked.reads},
            parameters=asked.parameters(context),
            output=folder / "output",
            scratch=folder / "scratch",
            log=work.project.log_file(name, fingerprint),
            work_id=f"{run.owner}/{name}/{fingerprint}",
        )
        return cls(asked.words, work, first, run.output.parent / f".{name}")

    @property
    def was_answered(self) -> bool:
        """Whether the same was asked before, for a stage that was interrupted since, and all is well."""
        try:
            return self.answer.read_text(encoding="utf-8") == self._identity
        except OSError:
            return False

    @property
    def _identity(self) -> str:
        """What tells it from other questions before the same work."""
        return json_digest([code_digests(self.run.module), dict(self.run.parameters)])

    def ask(self) -> Outcome:
        """Run the program to its end; returns the outcome of the stage's own, which has not begun.

        Raises:
            BadInput: the stage's work would be in vain.
            DaemonLost, Interrupted: it did not come to its end.
        """
        project = self.work.project
        try:
            with project.running(self.work.stage.name), project.console.bar(self.run.stage) as bar:
                # What it warns of, the stage will too.
                self.work.runner.run(self.run, EventSink(bar.update, lambda _warning: None), self.work.stop)
        except DaemonLost:
            raise
        except StageFailed as error:
            project.console.warn(f"{self.work.stage.name} begins although the answer is not known: {error}")
        else:
            with suppress(OSError):
                self.answer.write_text(self._identity, encoding="utf-8")
        finally:
            shutil.rmtree(self.run.output.parent, ignore_errors=True)
        return self.work.outcome
