"""The page as a whole: what it shows, what it never does."""

import base64
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict

import numpy as np
import pytest
import report_artifacts

from stages import pixels

SECTION_OF = {
    "records": "data",
    "train": "training",
    "evaluate": "evaluation",
    "export": "export",
    "audit": "audit",
    "convert": "conversion",
    "detect": "detection",
}


def change(folder: str, name: str, **values: Any) -> None:
    path = os.path.join(folder, name)
    with open(path, encoding="utf-8") as stream:
        document = json.load(stream)
    report_artifacts.write_json(folder, name, dict(document, **values))


def test_whole_build_shows_every_section_and_headline(whole_page: Any) -> None:
    assert set(whole_page.sections) == set(SECTION_OF.values()) | {"warnings", "provenance"}
    assert "Traffic cones" in whole_page.text
    for figure in ("200 labelled pictures of 3 classes", "0.831", "100% 57 of 57 detections", "5.4 MB", "Convertible"):
        assert figure in whole_page.text


@pytest.mark.parametrize("stages", [["records"], ["records", "train"], ["audit", "convert"], ["detect"], ["evaluate"]])
def test_sections_appear_for_what_exists(tmp_path: Path, report: Callable, stages: list) -> None:
    page = report(report_artifacts.build(str(tmp_path), stages))
    assert set(page.sections) - {"warnings", "provenance"} == {SECTION_OF[stage] for stage in stages}


def test_a_split_of_the_dataset_s_own_is_told_and_so_are_its_test_pictures(tmp_path: Path, report: Callable) -> None:
    artifacts = report_artifacts.build(str(tmp_path), ["records", "evaluate"])
    tally = {"read": 260, "kept": 190, "dropped": 60, "background": 10}
    splits = {name: {"pictures": number, "boxes": 1, "shards": []} for name, number in (("train", 9), ("test", 2))}
    change(
        artifacts["records"],
        "dataset.json",
        splits=splits,
        split="folders",
        figures={"pictures": tally, "boxes": tally},
    )
    change(artifacts["evaluate"], "evaluation.json", split="test")
    page = report(artifacts)
    assert "9 train, 2 test" in page.text and "the dataset brings along (folders)" in page.text
    assert "Of 260 pictures and 260 boxes that were read, 60 and 60 were dropped" in page.text
    assert "on the test pictures, which neither training" in page.text and ", test pictures" in page.text


def test_the_worst_case_of_parity_is_shown(whole_page: Any) -> None:
    (shown,) = [image["src"] for image in whole_page.all("img") if "TensorFlow" in image["alt"]]
    height, width = pixels.decode(base64.b64decode(shown.split(",")[1])).shape[:2]
    assert width == 720 and height < width
    assert "picture IMG_0171.jpg: IoU 0.999910" in whole_page.text


def test_links_of_the_page_lead_somewhere_and_ids_are_unique(whole_page: Any) -> None:
    ids = whole_page.attribute("id")
    assert len(ids) == len(set(ids))
    targets = [link[1:] for link in whole_page.attribute("href") if link.startswith("#")]
    assert len(targets) > 10 and set(targets) <= set(ids)


def test_page_asks_nothing_of_any_network(whole_page: Any) -> None:
    addresses = whole_page.attribute("src") + whole_page.attribute("href") + whole_page.attribute("xlink:href")
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert "@import" not in whole_page.html and "url(http" not in whole_page.html
    (policy,) = [
        meta["content"] for meta in whole_page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"
    ]
    digest = base64.b64encode(hashlib.sha256(whole_page.raw["script"].encode("utf-8")).digest()).decode("ascii")
    assert policy.startswith("default-src 'none'") and "script-src 'sha256-%s'" % digest in policy


def test_what_the_user_named_is_escaped(tmp_path: Path, report: Callable) -> None:
    evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
    inputs = report_artifacts.build(str(tmp_path), classes=(evil, "고깔", "a&b"))
    change(
        inputs["records"],
        "dataset.json",
        finding_counts={evil: 1},
        findings=[{"kind": evil, "file": evil, "object": 1, "line": 2, "message": evil, "action": evil}],
    )
    change(inputs["train"], "record.json", warnings=[evil])
    page = report(inputs, title=evil)
    assert len(page.all("script")) == 1 and "alert" not in page.raw["script"]
    assert not any("onerror" in attributes for _, attributes in page.elements)
    assert page.text.count("<script>alert(1)</script>") > 10
    assert "고깔" in page.text and "a&b" in page.text


def test_same_inputs_give_same_bytes_in_every_process(tmp_path: Path) -> None:
    pages = []
    for seed in ("1", "2"):
        root = tmp_path / seed
        root.mkdir()
        job = report_artifacts.write_job(str(root), report_artifacts.build(str(root)), title="Cones")
        subprocess.run(
            [sys.executable, "-m", "stages.report.report", job],
            check=True,
            stdout=subprocess.DEVNULL,
            env=dict(os.environ, PYTHONHASHSEED=seed),
        )
        pages.append((root / "output" / "report.html").read_bytes())
    assert pages[0] == pages[1]


def test_page_of_many_large_noisy_pictures_stays_under_8_mb(tmp_path: Path, report: Callable) -> None:
    os.makedirs(str(tmp_path / "detect" / "pictures"))
    noise = np.random.RandomState(1).randint(0, 256, (1080, 1920, 3), dtype=np.uint8)
    (tmp_path / "detect" / "pictures" / "noise.jpg").write_bytes(pixels.encode_jpeg(noise))
    entries = [
        {
            "file": "%d.jpg" % number,
            "width": 1920,
            "height": 1080,
            "detections": [],
            "truth": None,
            "drawing": "pictures/noise.jpg",
        }
        for number in range(100)
    ]
    document = {"score_threshold": 0.3, "pictures": entries}
    report_artifacts.write_json(str(tmp_path / "detect"), "detections.json", document)
    page = report({"detect": str(tmp_path / "detect")})
    assert len(page.html) < 8_000_000
    assert page.all("img")


def test_provenance_links_inputs_to_the_artifacts_shown(whole_page: Any) -> None:
    assert "#made-train" in whole_page.attribute("href")
    for shown in (report_artifacts.digest_of("fingerprint train"), "docker/train/requirements.lock", "stages/train.py"):
        assert shown in whole_page.text
    assert "another" not in whole_page.text


def test_artifacts_that_do_not_fit_together_are_warned_of(artifacts: Dict[str, str], report: Callable) -> None:
    change(artifacts["train"], "record.json", artifact_digest="0" * 64)
    page = report(artifacts)
    assert "It was made from another train artifact than the one shown here." in page.text


def test_warnings_of_the_stages_are_repeated(artifacts: Dict[str, str], report: Callable) -> None:
    change(artifacts["evaluate"], "record.json", warnings=["No box of class mug among the validation pictures."])
    assert "No box of class mug among the validation pictures." in report({"evaluate": artifacts["evaluate"]}).text


def test_artifact_made_by_hand_has_no_provenance(artifacts: Dict[str, str], report: Callable) -> None:
    os.remove(os.path.join(artifacts["audit"], "record.json"))
    page = report({"audit": artifacts["audit"]})
    assert page.sections == ["audit"]


def test_dataset_without_a_box_and_training_without_an_evaluation(artifacts: Dict[str, str], report: Callable) -> None:
    change(artifacts["records"], "dataset.json", boxes=0, findings=[], finding_counts={})
    index = os.path.join(artifacts["records"], "index.jsonl")
    with open(index, encoding="utf-8") as stream:
        lines = [dict(json.loads(line), boxes=[], classes=[]) for line in stream]
    with open(index, "w", encoding="utf-8") as stream:
        stream.writelines(json.dumps(line) + "\n" for line in lines)
    change(artifacts["train"], "history.json", evaluation=[])
    change(artifacts["train"], "checkpoints.json", best=None, checkpoints=[{"step": 10, "prefix": "p", "mAP": None}])
    page = report({stage: artifacts[stage] for stage in ("records", "train")})
    assert "There is no box." in page.text and "Nothing was wrong" in page.text


def test_long_lists_of_findings_are_cut_and_said_to_be(artifacts: Dict[str, str], report: Callable) -> None:
    finding = {"kind": "tiny_box", "file": "a.xml", "object": 1, "line": 1, "message": "m", "action": "drop"}
    change(artifacts["records"], "dataset.json", findings=[finding] * 1000, finding_counts={"tiny_box": 1234})
    page = report({"records": artifacts["records"]})
    assert page.attribute("data-kind") == ["tiny_box"] * 500
    assert "734 more are in findings.jsonl" in page.text


def test_video_is_told_of_by_its_frames(artifacts: Dict[str, str], report: Callable) -> None:
    box = {"class": "cone", "class_id": 1, "score": 0.9, "box": [1, 2, 3, 4]}
    frames = [{"time": 0.0, "detections": [box, box]}, {"time": 0.04, "detections": []}]
    video = {"file": "street.mp4", "width": 64, "height": 48, "fps": 25.0, "frames": frames, "drawing": "videos/a.mp4"}
    change(artifacts["detect"], "detections.json", pictures=[], videos=[video])
    page = report({"detect": artifacts["detect"]})
    assert "street.mp4 Frames 2 Detections 2" in page.text and "pictures" not in page.text


def test_pictures_that_were_not_drawn(artifacts: Dict[str, str], report: Callable) -> None:
    entry = {"file": "a.jpg", "width": 9, "height": 9, "detections": [], "truth": None, "drawing": None}
    change(artifacts["detect"], "detections.json", pictures=[entry])
    page = report({"detect": artifacts["detect"]})
    assert "There are no drawn pictures" in page.text and not page.all("form")


def test_parity_without_any_detection_proves_nothing(artifacts: Dict[str, str], report: Callable) -> None:
    change(artifacts["convert"], "parity.json", detections=0, matched=0, min_iou=None, max_score_diff=None)
    assert "nothing to compare" in report({"convert": artifacts["convert"]}).text


def test_parity_is_never_rounded_up_to_all(artifacts: Dict[str, str], report: Callable) -> None:
    change(artifacts["convert"], "parity.json", detections=20000, matched=19999)
    assert "99.9% 19999 of 20000" in report({"convert": artifacts["convert"]}).text


def test_parity_that_failed_is_not_called_equal(artifacts: Dict[str, str], report: Callable) -> None:
    change(artifacts["convert"], "parity.json", matched=55)
    page = report({"convert": artifacts["convert"]})
    assert "55 of 57 detections are equal" in page.text and "96.4% 55 of 57" in page.text
    assert any(attributes.get("class") == "verdict bad" for attributes in page.all("p"))


KEPT = [{"step": step, "prefix": "p", "mAP": step / 1000, "mAP@0.5": step / 500} for step in (100, 200, 300)]


@pytest.mark.parametrize("best, kept, figures", [(200, KEPT, "0.400"), (7, KEPT, "0.600"), (None, [], "–")])
def test_without_an_evaluation_the_headline_takes_the_best_checkpoint_or_the_newest(
    artifacts: Dict[str, str], report: Callable, best: Any, kept: list, figures: str
) -> None:
    change(artifacts["train"], "checkpoints.json", best=best, checkpoints=kept)
    page = report({"train": artifacts["train"]})
    assert "mAP@0.5 %s checkpoint of step" % figures in page.text


def test_worst_case_of_nothing_is_the_first_picture(artifacts: Dict[str, str], report: Callable) -> None:
    change(artifacts["convert"], "parity.json", worst=None)
    assert "those of model.uff, on the first picture." in report({"convert": artifacts["convert"]}).text


def test_engine_of_a_board_is_shown_with_its_proof_and_its_slowest_layers(tmp_path: Path, report: Callable) -> None:
    page = report(report_artifacts.build(str(tmp_path / "build"), ("convert", "build-engine")))
    assert page.sections[:2] == ["conversion", "engine"]
    assert "56 of 57 detections of the reference are found by the engine" in page.text
    for shown in ("NVIDIA Jetson Nano Developer Kit", "8.2.1.8", "32.7.1", "mAP@0.5 of the reference 0.931", "27.6"):
        assert shown in page.text
    assert "layer 23" in page.text and "layer 3 " not in page.text


def test_speed_on_the_board_is_shown_with_what_slows_it(tmp_path: Path, report: Callable) -> None:
    page = report(report_artifacts.build(str(tmp_path / "build"), ("bench-engine",)))
    for shown in ("29.75", "33.4", "gpu 640", "Not at full speed: power mode is 5W: sudo nvpmodel -m 0"):
        assert shown in page.text


def test_engine_that_was_not_compared_says_so(tmp_path: Path, report: Callable) -> None:
    inputs = report_artifacts.build(str(tmp_path / "build"), ("build-engine",))
    unproven = {"format": 1, "samples": 0, "reason": "the model came without samples"}
    report_artifacts.write_json(inputs["build-engine"], "parity.json", unproven)
    page = report(inputs)
    assert "Not held against the reference: the model came without samples" in page.text


def test_a_model_without_a_uff_is_shown_by_the_form_that_there_is(artifacts: Dict[str, str], report: Callable) -> None:
    """A softmax has no .uff."""
    folder = artifacts["convert"]
    os.rename(os.path.join(folder, "model.uff"), os.path.join(folder, "model.boxes.onnx"))
    page = report({"convert": folder})
    assert "model.boxes.onnx against TensorFlow" in page.text and "onnxruntime" in page.text
