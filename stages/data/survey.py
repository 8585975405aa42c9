"""Stage: what a VOC dataset holds, from names and XML alone, fast: for ``init`` and for early answers."""

import json
from collections import Counter
from typing import Any, Callable, Dict, List, NamedTuple, Tuple
from typing import Counter as CounterOf

from stages import disk
from stages.data import voc
from stages.data.findings import Findings, policies
from stages.data.frame import Reading
from stages.data.pairing import Folders, Pair, files_below, pairs
from stages.data.vocabulary import composed
from stages.files import PICTURE_SUFFIXES
from stages.job import Job, run


class SurveySettings(NamedTuple):
    """How the dataset is to be read."""

    folders: Folders
    reading: Reading
    image_size: Tuple[int, int]
    policy: Dict[str, str]


class Survey(NamedTuple):
    """``objects`` per class name; ``sizes``: pictures per ``WIDTHxHEIGHT``; ``problems``: unreadable XML."""

    objects: CounterOf[str]
    sizes: CounterOf[str]
    problems: CounterOf[str]
    observed: Any


def survey(
    settings: SurveySettings, items: List[Pair], cpus: int = 1, progress: Callable[[int], None] = lambda done: None
) -> Survey:
    """Each pair's XML, read once; ``progress`` is told how many are done."""
    counts = Survey(Counter(), Counter(), Counter(), None)
    for done, pair in enumerate(items, 1):
        try:
            annotation = voc.parse(settings.folders.xml(pair.xml)) if pair.xml else None
        except voc.Damaged:
            counts.problems["damaged_xml"] += 1
            continue
        if annotation:
            counts.objects.update(composed(one.name) for one in annotation.objects if one.name)
            counts.sizes["%dx%d" % annotation.size if annotation.size else "unknown"] += 1
        if done % 100 == 0:
            progress(done)
    return counts


def main(job: Job) -> None:
    """Write ``survey.json``: pictures, annotations, classes, sizes, and counts of what is wrong."""
    folders = Folders(job.inputs["photos"], job.inputs["annotations"])
    findings = Findings(policies({}))
    items = pairs(folders, findings)
    found = survey(SurveySettings(folders, Reading("auto", "xml"), (300, 300), policies({})), items)
    result = {"classes": found.objects, "sizes": found.sizes, "problems": found.problems}
    found.problems.update(finding.kind for finding in findings.found)
    summary: Dict[str, Any] = {
        "pictures": len(files_below(folders.photos, PICTURE_SUFFIXES)),
        "annotations": len(files_below(folders.annotations, (".xml",))),
    }
    summary.update({name: dict(sorted(counts.items())) for name, counts in result.items()})
    disk.write(job.out("survey.json"), json.dumps(summary, indent=1, sort_keys=True).encode())
    job.metrics(images=summary["pictures"])


if __name__ == "__main__":
    run(main)
