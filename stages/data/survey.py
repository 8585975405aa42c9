"""Stage: what a VOC dataset holds, from names and XML alone, fast: for ``init`` and for early answers."""

import json
from collections import Counter
from typing import Any, Dict, Iterable
from typing import Counter as CounterOf

from stages import disk
from stages.data import voc
from stages.data.findings import Findings, policies
from stages.data.pairing import Folders, Pair, files_below, pairs
from stages.files import PICTURE_SUFFIXES
from stages.job import Job, run


def survey(folders: Folders, items: Iterable[Pair]) -> Dict[str, CounterOf[str]]:
    """``classes``: objects per class name; ``sizes``: pictures per ``WIDTHxHEIGHT``; ``problems``: unreadable XML."""
    counts: Dict[str, CounterOf[str]] = {"classes": Counter(), "sizes": Counter(), "problems": Counter()}
    for pair in items:
        try:
            annotation = voc.parse(folders.xml(pair.xml)) if pair.xml else None
        except voc.Damaged:
            counts["problems"]["damaged_xml"] += 1
            continue
        if annotation:
            counts["classes"].update(one.name for one in annotation.objects if one.name)
            counts["sizes"]["%dx%d" % annotation.size if annotation.size else "unknown"] += 1
    return counts


def main(job: Job) -> None:
    """Write ``survey.json``: pictures, annotations, classes, sizes, and counts of what is wrong."""
    folders = Folders(job.inputs["photos"], job.inputs["annotations"])
    findings = Findings(policies({}))
    items = pairs(folders, findings)
    result = survey(folders, items)
    result["problems"].update(finding.kind for finding in findings.found)
    summary: Dict[str, Any] = {
        "pictures": len(files_below(folders.photos, PICTURE_SUFFIXES)),
        "annotations": len(files_below(folders.annotations, (".xml",))),
    }
    summary.update({name: dict(sorted(counts.items())) for name, counts in result.items()})
    disk.write(job.out("survey.json"), json.dumps(summary, indent=1, sort_keys=True).encode())
    job.metrics(images=summary["pictures"])


if __name__ == "__main__":
    run(main)
