"""`status` and `explain`: what is fresh, what is not, and why."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence

from nanoforge.commands.options import StageOptions, shown
from nanoforge.console import print_json
from nanoforge.pipeline.build import metric_words
from nanoforge.pipeline.plan import FRESH, RUNNING, UNKNOWN, Status, plan, statuses
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


def status_json(project: Project, found: Sequence[Status]) -> Dict[str, Any]:
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
                "verified": _last_look(project, status),
            }
            for status in found
        ]
    }


def show_status(options: StageOptions, as_json: bool) -> None:
    """Print the status of every stage, as a table or as JSON."""
    project = options.project()
    found = all_statuses(project)
    if as_json:
        print_json(status_json(project, found))
        return
    for status in found:
        print(f"{status.stage.name:12} {status.state:8} {_reason_or_figures(status)}".rstrip())
    artifacts = [(status.stage.name, status.artifact.fingerprint) for status in found if status.artifact]
    if artifacts:
        oldest = project.notes.oldest_verification(artifacts)
        print(f"Artifacts last read whole: {oldest} (`./run verify` reads them)")


def _last_look(project: Project, status: Status) -> Optional[str]:
    """When the artifact was last read whole, or None."""
    artifact = status.artifact
    look = project.notes.verification(status.stage.name, artifact.fingerprint) if artifact else None
    return look.when if look else None


def _reason_or_figures(status: Status) -> str:
    if not status.reasons:
        return metric_words(status.artifact.metrics) if status.artifact else ""
    others = len(status.reasons) - 1
    return status.reasons[0] + (f" (and {others} more reasons: explain {status.stage.name})" if others else "")


def explain(project: Project, stage: str) -> bool:
    """Print every reason why ``stage`` would run; returns whether it would, or may."""
    status = plan(project, stage_called(stage).name)[-1]
    if status.state == FRESH:
        print(f"{stage} is fresh: its artifact is {shown(project.build / stage)}")
        return False
    print(f"{stage} {'may run' if status.state == UNKNOWN else 'would run'} ({status.state}):")
    for reason in status.reasons:
        print(f"  {reason}")
    return True
