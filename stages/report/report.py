"""The stage that tells in one HTML file what was made, how good it is, and how it came to be."""

import os
from typing import Any, Dict

from stages import disk, files
from stages.job import Job, run
from stages.pages.artifact import Artifact
from stages.pages.html import render
from stages.parameters import ReportParameters
from stages.report.artifacts import open_artifacts
from stages.report.provenance import history_of, warnings_of
from stages.report.sections import all_sections, headline

TEMPLATES = os.path.join(os.path.dirname(__file__), "templates")


def main(job: Job) -> None:
    """Write ``report.html`` from the artifacts that the job names.

    Raises:
        BadInput: an artifact is missing, incomplete or damaged.
        StageFailed: the disk does not take the page.
    """
    artifacts = open_artifacts(job.inputs)
    job.progress(0, 2, "reading the artifacts")
    values = contents(artifacts, job.read(ReportParameters).title)
    job.progress(1, 2, "writing the page")
    page = files.readable(render(TEMPLATES, "report", values)).encode("utf-8")
    disk.write(job.out("report.html"), page)
    job.metrics(bytes=len(page), sections=len(values["sections"]))
    job.progress(2, 2)


def contents(artifacts: Dict[str, Artifact], title: str) -> Dict[str, Any]:
    """Everything that the page shows, by the names the template uses."""
    sections = all_sections(artifacts)
    history = history_of(artifacts)
    return {
        "title": title,
        "sections": sections,
        "tiles": headline(sections),
        "history": history,
        "warnings": warnings_of(history),
    }


if __name__ == "__main__":
    run(main)
