"""`status` and `explain`: what is fresh, what is not, and why."""

from __future__ import annotations

from typing import Any, Dict, List, Sequence

from nanoforge.commands.options import StageOptions, shown
from nanoforge.console import print_json
from nanoforge.pipeline.build import metric_words
from nanoforge.pipeline.plan import FRESH, RUNNING, Status, plan, statuses
from nanoforge.pipeline.project import Project
from nanoforge.pipeline.stages import TABLE, stage_called


def all_statuses(project: Project) -> List[Status]:
    """The status of every stage that this project can have, in the order of the table."""
    running = project.running_stages()
    found = statuses(project, [stage.name for stage in TABLE if stage.applies(project.context)])
    for status in found:
        if status.stage.name in running:
            status.state, status.reasons = RUNNING, ["another command runs it now"]
    return found


def status_json(found: Sequence[Status]) -> Dict[str, Any]:
    """What ``status --json`` prints."""
    return {
        "stages": [
            {
                "name": status.stage.name,
                "environment": status.stage.environment,
                "state": status.state,
                "reasons": status.reasons,
                "artifact": str(status.artifact.folder) if status.artifact else None,
                "metrics": status.artifact.metrics if status.artifact else {},
            }
            for status in found
        ]
    }


def show_status(options: StageOptions, as_json: bool) -> None:
    """Print the status of every stage, as a table or as JSON."""
    project = options.project()
    found = all_statuses(project)
    if as_json:
        print_json(status_json(found))
        return
    for status in found:
        print(f"{status.stage.name:10} {status.state:8} {_reason_or_figures(status)}".rstrip())


def _reason_or_figures(status: Status) -> str:
    if not status.reasons:
        return metric_words(status.artifact.metrics) if status.artifact else ""
    others = len(status.reasons) - 1
    return status.reasons[0] + (f" (and {others} more reasons: explain {status.stage.name})" if others else "")


def explain(project: Project, stage: str) -> bool:
    """Print every reason why ``stage`` would run; returns whether it would."""
    status = plan(project, stage_called(stage).name)[-1]
    if status.state == FRESH:
        print(f"{stage} is fresh: its artifact is {shown(project.build / stage)}")
        return False
    print(f"{stage} would run ({status.state}):")
    for reason in status.reasons:
        print(f"  {reason}")
    return True
