"""What the report says of artifacts it cannot use: one sentence, exit code 2, no page."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, Tuple

import pytest
import report_artifacts
from markupsafe import Markup

from stages.job import EVENT_MARK, EXIT_BAD_INPUT, BadInput
from stages.pages.artifact import REQUIRED_KEYS


def write(folder: str, name: str, text: str) -> None:
    with open(os.path.join(folder, name), "w", encoding="utf-8") as stream:
        stream.write(text)


@pytest.mark.parametrize(
    "stage, name, text, sentence",
    [
        ("records", "dataset.json", "{", "dataset.json of the records artifact is not JSON"),
        ("records", "index.jsonl", '{"boxes": []}\noops\n', "line 2 is not JSON"),
        ("train", "history.json", "[]", "holds no JSON object"),
        ("train", "history.json", '{"training": []}', "history.json of the train artifact lacks evaluation"),
        ("evaluate", "evaluation.json", "{}", "lacks step, mAP, mAP@0.5, per_class: make it again with ./run evaluate"),
        ("convert", "parity.json", "\x00", "is not JSON"),
        ("audit", "record.json", "{}", "record.json of the audit artifact lacks stage"),
    ],
)
def test_unusable_file_is_named_with_its_remedy(
    artifacts: Dict[str, str], report: Callable, stage: str, name: str, text: str, sentence: str
) -> None:
    write(artifacts[stage], name, text)
    with pytest.raises(BadInput, match=sentence):
        report({stage: artifacts[stage]})


@pytest.mark.parametrize(
    "stage, name",
    [
        ("convert", "model.uff"),
        ("export", "frozen_inference_graph.pb"),
        ("train", "checkpoints.json"),
        ("detect", "pictures/IMG_0162.jpg"),
    ],
)
def test_missing_file_is_named(artifacts: Dict[str, str], report: Callable, stage: str, name: str) -> None:
    os.remove(os.path.join(artifacts[stage], name))
    with pytest.raises(BadInput, match="The %s artifact has no file %s" % (stage, name)):
        report({stage: artifacts[stage]})


DOCUMENTS = {
    "records": ("dataset.json", "record.json"),
    "train": ("checkpoints.json", "history.json"),
    "evaluate": ("evaluation.json",),
    "export": ("export.json",),
    "audit": ("audit.json",),
    "convert": ("model.json", "parity.json"),
    "detect": ("detections.json",),
}


@pytest.mark.parametrize("stage, name", [(stage, name) for stage, names in DOCUMENTS.items() for name in names])
def test_no_missing_key_is_more_than_a_sentence(
    artifacts: Dict[str, str], report: Callable, monkeypatch: pytest.MonkeyPatch, stage: str, name: str
) -> None:
    """Without one of its keys a document is refused by name, or the page does without: the template never breaks."""
    monkeypatch.setattr("stages.pages.svg.drawn", lambda *_: Markup("<svg></svg>"))
    path = Path(artifacts[stage]) / name
    whole = json.loads(path.read_text(encoding="utf-8"))
    for key in whole:
        path.write_text(json.dumps({other: value for other, value in whole.items() if other != key}), encoding="utf-8")
        try:
            report({stage: artifacts[stage]})
        except BadInput as error:
            assert str(error).startswith("%s of the %s artifact lacks %s:" % (name, stage, key))
        else:
            assert key not in REQUIRED_KEYS[name]


ODD = [None, -1, float("nan"), "text", [[1]], {"a": [{}]}]


def places(value: Any, path: Tuple[str, ...] = ()) -> Iterator[Tuple[str, ...]]:
    """The path of every value below a JSON object."""
    for key, inner in value.items() if isinstance(value, dict) else ():
        yield path + (key,)
        yield from places(inner, path + (key,))


def test_no_odd_value_in_a_record_is_more_than_a_sentence(artifacts: Dict[str, str], report: Callable) -> None:
    path = Path(artifacts["audit"]) / "record.json"
    whole = path.read_text(encoding="utf-8")
    refused = 0
    for place in places(json.loads(whole)):
        for odd in ODD:
            changed = json.loads(whole)
            holder = changed
            for key in place[:-1]:
                holder = holder[key]
            holder[place[-1]] = odd
            path.write_text(json.dumps(changed), encoding="utf-8")
            try:
                report({"audit": artifacts["audit"]})
            except BadInput as error:
                refused += 1
                assert str(error).startswith("record.json of the audit artifact is ")
                assert str(error).endswith("make it again with ./run audit.")
    assert refused > 30


def test_the_record_of_another_stage_is_refused(artifacts: Dict[str, str], report: Callable) -> None:
    shutil.copy(os.path.join(artifacts["train"], "record.json"), artifacts["audit"])
    with pytest.raises(BadInput, match="record.json of the audit artifact is that of a train artifact"):
        report({"audit": artifacts["audit"]})


def test_a_record_nested_without_end_is_not_json(artifacts: Dict[str, str], report: Callable) -> None:
    write(artifacts["audit"], "record.json", "[" * 100000)
    with pytest.raises(BadInput, match="record.json of the audit artifact is not JSON"):
        report({"audit": artifacts["audit"]})


def test_drawing_that_is_not_a_picture_is_named(artifacts: Dict[str, str], report: Callable) -> None:
    write(artifacts["detect"], "pictures/IMG_0162.jpg", "no picture")
    with pytest.raises(BadInput, match=r"pictures/IMG_0162\.jpg of the detect artifact cannot be shown"):
        report(artifacts)


def test_drawing_outside_its_artifact_is_not_read(artifacts: Dict[str, str], report: Callable) -> None:
    drawing = "../records/dataset.json"
    entry = {"file": "a.jpg", "width": 9, "height": 9, "detections": [], "truth": None, "drawing": drawing}
    report_artifacts.write_json(artifacts["detect"], "detections.json", {"score_threshold": 0.3, "pictures": [entry]})
    with pytest.raises(BadInput, match="has no file"):
        report(artifacts)


@pytest.mark.parametrize(
    "inputs, sentence",
    [
        ({}, "at least one artifact"),
        ({"photos": "."}, "cannot show photos"),
        ({"train": "/nowhere"}, "The train artifact is not a folder"),
    ],
)
def test_inputs_that_are_not_artifacts(report: Callable, inputs: Dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        report(inputs)


def test_stage_ends_with_the_code_of_bad_input_and_no_page(artifacts: Dict[str, str], tmp_path: Path) -> None:
    write(artifacts["audit"], "audit.json", "nothing")
    job = report_artifacts.write_job(str(tmp_path), artifacts)
    done = subprocess.run(
        [sys.executable, "-m", "stages.report.report", job],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
    )
    events = [json.loads(line[len(EVENT_MARK) :]) for line in done.stdout.splitlines()]
    assert done.returncode == EXIT_BAD_INPUT and not done.stderr
    assert "audit.json of the audit artifact is not JSON" in events[-1]["error"]
    assert os.listdir(str(tmp_path / "output")) == []
