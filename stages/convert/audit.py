"""Stage: will this frozen graph become a .uff, or the ONNX that is asked for, what is in the way, and what helps."""

import collections
import json
import textwrap
from typing import Any, Dict, List, Tuple

from stages.convert.graph.analysis import Audit, Refused, analyse
from stages.convert.graph.findings import CUT, FOLD, NOTE, REPAIR, STOP
from stages.job import BadInput, Job, run
from stages.parameters import AuditParameters

_HEADINGS = {
    STOP: "Stops the conversion",
    NOTE: "Converts, but mind",
    REPAIR: "Repaired, with equal numbers",
    FOLD: "Folded to constants",
    CUT: "Cut away",
}


def main(job: Job) -> None:
    """Write ``audit.json`` and ``audit.txt`` for the input ``graph``; a refused graph ends as bad input.

    With the parameter ``to`` = ``onnx``, what `convert` makes into ``model.boxes.onnx`` alone is not refused.

    Raises:
        BadInput: the input is not a frozen graph, or one that cannot be converted.
    """
    with job.reading(job.inputs["graph"]):
        to_onnx = job.read(AuditParameters).to == "onnx"
        found = analyse(job.inputs["graph"], job.inputs.get("pipeline_config", ""), boxes_only=to_onnx)
    result, text = found.audit._asdict(), as_text(found.audit)
    with open(job.out("audit.json"), "w", encoding="utf-8") as stream:
        json.dump(result, stream, indent=1, sort_keys=True)
    with open(job.out("audit.txt"), "w", encoding="utf-8") as stream:
        stream.write(text)
    print(text)
    job.metrics(verdict=found.audit.verdict)
    if isinstance(found, Refused):
        job.metrics(result=result)
        raise BadInput(found.reason)


def as_text(audit: Audit) -> str:
    """The audit for people, worst first."""
    lines = ["Verdict: %s" % audit.verdict, "Written by TensorFlow %s" % audit.tensorflow]
    for severity, heading in _HEADINGS.items():
        chosen = [finding for finding in audit.findings if finding["severity"] == severity]
        if chosen:
            lines += ["", heading + ":"] + _lines(chosen)
    return "\n".join(lines) + "\n"


def _lines(findings: List[Dict[str, Any]]) -> List[str]:
    """One line per place and advice, with the operations that it is about."""
    groups: Dict[Tuple[str, str], List[str]] = collections.OrderedDict()
    for finding in findings:
        named = "%d %s" % (finding["count"], finding["op"]) if finding["op"] else ""
        groups.setdefault((finding["where"], finding["advice"]), []).append(named)
    return [
        line
        for (where, advice), ops in groups.items()
        for line in ["  %s: %s" % (where, advice)] + _wrapped(", ".join(filter(None, ops)))
    ]


def _wrapped(text: str) -> List[str]:
    return textwrap.wrap(text, 100, initial_indent="      ", subsequent_indent="      ")


if __name__ == "__main__":
    run(main)
