"""The artifact folders that a report is made of."""

import os
from typing import Dict

from stages.job import BadInput
from stages.pages.artifact import Artifact

STAGES = ("records", "train", "evaluate", "export", "audit", "convert", "detect", "build-engine", "bench-engine")


def open_artifacts(inputs: Dict[str, str]) -> Dict[str, Artifact]:
    """The artifacts among a job's inputs, in the order of the stages.

    Raises:
        BadInput: there is none, an input is not the artifact of such a stage, or is not a folder.
    """
    unknown = sorted(set(inputs) - set(STAGES))
    if unknown or not inputs:
        raise BadInput(
            "A report needs at least one artifact of %s%s."
            % (", ".join(STAGES), ", and cannot show " + ", ".join(unknown) if unknown else "")
        )
    for stage, folder in inputs.items():
        if not os.path.isdir(folder):
            raise BadInput("The %s artifact is not a folder: %s." % (stage, folder))
    return {stage: Artifact(stage, inputs[stage]) for stage in STAGES if stage in inputs}
