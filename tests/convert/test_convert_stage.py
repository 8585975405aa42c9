"""audit and convert as the host runs them: files, events, exit codes."""

import json
import os
import shutil

import convert_helpers as helpers
import pytest

from stages import pixels
from stages.detect import description
from stages.job import StageFailed

PARITY_KEYS = {"detections", "matched", "max_score_diff", "min_iou"}


def metric(ran, name):
    return [event["metrics"][name] for event in ran.events if name in event.get("metrics", {})][-1]


def files(ran):
    return {name: open(os.path.join(ran.output, name), "rb").read() for name in sorted(os.listdir(ran.output))}


@pytest.fixture
def label_map(tmp_path):
    path = tmp_path / "label_map.pbtxt"
    path.write_text("item { id: 2 name: 'ball' }\nitem { id: 1 name: 'cone' }\n")
    return str(path)


def test_convert_writes_the_artifact(exported, run_stage, label_map):
    ran = run_stage("convert", graph=exported.graph, pipeline_config=exported.config, label_map=label_map)
    assert ran.code == 0, ran.log
    made = files(ran)
    assert sorted(made) == ["labels.txt", "model.json", "model.uff", "parity.json", "result.json", "worst.png"]
    assert made["labels.txt"] == b"BACKGROUND\ncone\nball\n"
    model = json.loads(made["model.json"].decode())
    assert model["input"] == {
        "name": "Input",
        "shape": [3, 128, 128],
        "channels": "RGB",
        "scale": 2 / 255.0,
        "offset": -1.0,
    }
    assert model["outputs"] == {"detections": "NMS", "count": "NMS_1"}
    assert model["classes"] == ["background", "cone", "ball"] and model["anchors"] == 330
    assert model["feature_maps"] == [[side, side] for side in (8, 4, 2, 1, 1, 1)]
    assert set(model["plugin"]) == {"GridAnchor_TRT", "FlattenConcat_TRT", "NMS_TRT"} and model["format"] == 1
    height, width = pixels.decode(made["worst.png"]).shape[:2]
    assert width > 2 * height * 0.9  # two panels of the square input, side by side
    verdict = json.loads(made["parity.json"].decode())
    assert verdict["pictures"] == 20 and verdict["detections"] == verdict["matched"] > 0
    assert metric(ran, "parity") == {key: verdict[key] for key in PARITY_KEYS}
    result = json.loads(made["result.json"].decode())
    assert (result["verdict"], result["uff"], result["parity"]) == ("convertible", "model.uff", verdict)
    assert result["plugin"] == model["plugin"]


@pytest.mark.slow
def test_convert_of_an_export_folder_takes_its_files_and_repeats_its_bytes(exported, start_stage, tmp_path):
    folder = os.path.dirname(exported.graph)
    elsewhere = str(tmp_path / "another path")
    shutil.copytree(folder, elsewhere)
    first = start_stage("convert", hash_seed="1", name="first", graph=folder)
    second = start_stage("convert", hash_seed="2", name="second", graph=elsewhere)
    assert first.code == second.code == 0, first.log
    assert files(first) == files(second)


def test_audit_writes_what_was_found(exported, start_stage):
    ran = start_stage("audit", graph=exported.graph)
    assert ran.code == 0, ran.log
    made = files(ran)
    audit = json.loads(made["audit.json"].decode())
    assert set(audit) == {"verdict", "tensorflow", "findings", "ops"} and audit["verdict"] == "convertible"
    assert all({"op", "node", "where", "severity", "advice"} <= set(finding) for finding in audit["findings"])
    assert "Verdict: convertible" in made["audit.txt"].decode() and "NMS_TRT" in made["audit.txt"].decode()
    assert metric(ran, "verdict") == "convertible"


@pytest.mark.parametrize("stage", ["audit", "convert"])
def test_a_refused_graph_is_bad_input_with_its_result(definition, run_stage, tmp_path, stage):
    made = helpers.copy(definition)
    next(node for node in made.node if node.op == "Sigmoid").op = "Softmax"
    (tmp_path / "softmax.pb").write_bytes(made.SerializeToString())
    ran = run_stage(stage, graph=str(tmp_path / "softmax.pb"))
    assert ran.code == 2 and "Traceback" not in ran.log
    assert "softmax" in ran.events[-1]["error"]
    assert metric(ran, "result")["verdict"] == "refused"
    assert not os.path.exists(os.path.join(ran.output, "model.uff"))


@pytest.mark.parametrize("stage", ["audit", "convert"])
def test_what_is_no_graph_is_bad_input(run_stage, tmp_path, stage):
    (tmp_path / "text.pb").write_text("hello")
    ran = run_stage(stage, graph=str(tmp_path / "text.pb"))
    assert ran.code == 2 and "text file" in ran.events[-1]["error"] and "Traceback" not in ran.log
    assert files(ran) == {}


@pytest.mark.parametrize(
    "text, says", [("item { id: 1 name: 'cone' }", "class ids [1]"), ("item [", "not a label map")]
)
def test_another_label_map_is_bad_input(exported, run_stage, tmp_path, text, says):
    (tmp_path / "other.pbtxt").write_text(text)
    ran = run_stage("convert", graph=exported.graph, label_map=str(tmp_path / "other.pbtxt"))
    assert ran.code == 2 and says in ran.events[-1]["error"]
    assert files(ran) == {}


@pytest.mark.slow
def test_ids_between_those_of_a_label_map_are_told_and_marked_as_no_class(export, run_stage, tmp_path):
    gaps = export("v1", classes=4)
    (tmp_path / "map.pbtxt").write_bytes("\ufeffitem { id: 4 name: 'ball' }\r\nitem { id: 1 name: 'cone' }".encode())
    ran = run_stage("convert", graph=gaps.graph, label_map=str(tmp_path / "map.pbtxt"))
    assert ran.code == 0, ran.log
    made = files(ran)
    assert made["labels.txt"] == b"BACKGROUND\ncone\nvoid\nvoid\nball\n"
    model = json.loads(made["model.json"].decode())
    assert (model["classes"], model["unused"]) == (["background", "cone", "void", "void", "ball"], [2, 3])
    assert any("map.pbtxt names no class of the ids 2, 3" in event.get("warning", "") for event in ran.events)
    described = description.read(ran.output)
    assert described.unused == (2, 3) and described.named == ["background", "cone", "ball"]


def test_what_is_passed_over_of_a_config_is_told_and_stands_in_the_audit(exported, run_stage, tmp_path):
    with open(exported.config) as stream:
        text = stream.read()
    (tmp_path / "new.config").write_text(text.replace("min_depth: 8", "batch_norm_trainable: true min_depth: 8"))
    ran = run_stage("audit", graph=exported.graph, pipeline_config=str(tmp_path / "new.config"))
    assert ran.code == 0 and "new.config, line 15: batch_norm_trainable: true" in ran.log
    (tmp_path / "wrong.config").write_text(text.replace("min_depth: 8", "min_deph: 8"))
    ran = run_stage("audit", name="again", graph=exported.graph, pipeline_config=str(tmp_path / "wrong.config"))
    assert ran.code == 2 and "did you mean min_depth?" in ran.events[-1]["error"]


def test_missing_pictures_are_bad_input(exported, run_stage, tmp_path):
    ran = run_stage("convert", graph=exported.graph, pictures=str(tmp_path / "none"))
    assert ran.code == 2 and "no folder of pictures" in ran.events[-1]["error"]


def test_a_failed_proof_fails_the_stage(exported, tmp_path, monkeypatch):
    from stages.convert import convert
    from stages.convert.parity import verdict

    monkeypatch.setitem(verdict.Comparison.limits, "box", -1.0)
    job = helpers.job("convert", tmp_path, {"graph": exported.graph})
    with pytest.raises(StageFailed, match="box encodings differ by"):
        convert.main(job)
