"""Takes exports of the matrix through audit, repair, convert, lint, reference and parity, in TensorFlow 1.12.

``python judge.py JOB.json``; the job holds ``cases`` (one detector by all TensorFlows, 1.12 first), ``exports`` (their
folder), ``pictures`` (a folder), ``scratch`` and ``rows`` (the JSON file to write: one object per case).
"""

import hashlib
import json
import os
import shutil
import sys
import time
from typing import Any, Dict, List, Optional

import cases
import convert_helpers as helpers
import numpy as np

from stages.convert import convert
from stages.convert.graph.analysis import Examined, Refused, analyse
from stages.convert.graph.findings import REPAIR
from stages.convert.parity import measure
from stages.job import BadInput, Job, StageFailed


def judge(case: cases.Case, job: Dict[str, Any], twin: Optional[Dict[str, Any]]) -> Dict[str, Any]:
    """One row of the matrix.

    Args:
        case: the export.
        job: where things are.
        twin: what ``_twin`` keeps of TensorFlow 1.12's export of the same weights; None for that export itself.
    """
    folder = os.path.join(job["exports"], cases.folder(case))
    started = time.time()
    row = dict(case._asdict(), options=cases.DETECTORS[case.detector])
    examined = analyse(folder)
    audit = examined.audit
    row.update(verdict=audit.verdict, written_by=audit.tensorflow, repaired=_repaired(audit.findings))
    if isinstance(examined, Refused):
        return dict(row, error=examined.reason)
    output = os.path.join(job["scratch"], "output")
    shutil.rmtree(output, ignore_errors=True)
    os.makedirs(output)
    try:
        row["parity"] = convert.convert(_job(output, job), examined)
    except (BadInput, StageFailed) as error:
        return dict(row, error=str(error))
    row["seconds"] = round(time.time() - started, 1)
    row["uff"] = hashlib.sha256(repr(helpers.nameless(examined.uff)).encode("utf-8")).hexdigest()
    row.update(_heads(examined, folder, twin["folder"] if twin else folder))
    row["uff_as_112"] = twin is None or twin["uff"] == row["uff"]  # names apart: 1.15 has names that end in V3
    row["renamed_equal"] = _survives_renaming(examined, folder, job["scratch"])
    return row


def _job(output: str, job: Dict[str, Any]) -> Job:
    inputs = {"graph": output, "pictures": job["pictures"]}
    return Job(helpers.description("convert", output, job["scratch"], inputs))


def _repaired(findings: List[Dict[str, Any]]) -> Dict[str, int]:
    """Operation -> how many of its nodes were repaired."""
    found: Dict[str, int] = {}
    for finding in findings:
        if finding["severity"] == REPAIR:
            found[finding["op"]] = found.get(finding["op"], 0) + finding["count"]
    return found


def _heads(examined: Examined, folder: str, twin: str) -> Dict[str, Any]:
    """How the repaired graph's heads in TensorFlow 1.12 differ from its own export's and from the exporting one's."""
    golden, own = np.load(os.path.join(folder, "golden.npz")), np.load(os.path.join(twin, "golden.npz"))
    assert (golden["pixels"] == own["pixels"]).all(), "the exports were made with unlike pictures"
    structure, classes = examined.structure, examined.parameters.classes
    bits, difference, largest = True, 0.0, 0.0
    for number, picture in enumerate(golden["pixels"]):
        found = examined.session.run(
            [structure.box_encodings, structure.class_predictions],
            {structure.image: measure.as_fed(picture, examined.graph, structure)},
        )
        for part, value in (("boxes", found[0].reshape(-1, 4)), ("classes", found[1].reshape(-1, classes))):
            bits = bits and bool((value == own[part][number]).all())
            difference = max(difference, float(np.abs(value - golden[part][number]).max()))
            largest = max(largest, float(np.abs(value).max()))
    return {"bits_as_112": bits, "head_difference": difference, "largest_head": largest}


def _survives_renaming(examined: Examined, folder: str, scratch: str) -> bool:
    """Whether the graph under random names and in random order gives the same UFF up to names."""
    path = os.path.join(scratch, "renamed.pb")
    with open(os.path.join(folder, "frozen_inference_graph.pb"), "rb") as stream:
        definition = type(examined.graph.definition).FromString(stream.read())
    with open(path, "wb") as renamed:
        renamed.write(helpers.renamed(definition, seed=5).SerializeToString())
    other = analyse(path)
    return isinstance(other, Examined) and (other.audit.verdict, helpers.nameless(other.uff)) == (
        examined.audit.verdict,
        helpers.nameless(examined.uff),
    )


def judge_all(job: Dict[str, Any]) -> List[Dict[str, Any]]:
    """The rows of all cases, each held against the export of TensorFlow 1.12 that came before it."""
    rows: List[Dict[str, Any]] = []
    twin: Optional[Dict[str, Any]] = None
    for case in (cases.Case(*one) for one in job["cases"]):
        rows.append(judge(case, job, twin))
        if case.tensorflow == cases.TENSORFLOWS[0] and "uff" in rows[-1]:
            twin = {"folder": os.path.join(job["exports"], cases.folder(case)), "uff": rows[-1]["uff"]}
    return rows


if __name__ == "__main__":
    with open(sys.argv[1]) as job_file:
        asked = json.load(job_file)
    made = judge_all(asked)
    with open(asked["rows"], "w") as out:
        json.dump(made, out, indent=1, sort_keys=True)
