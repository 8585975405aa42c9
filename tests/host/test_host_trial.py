"""`trial` and `init --trial`: the whole chain in a folder of its own, and what is said of what came out."""

import json

import pytest

from nanoforge.commands import cleanup, start, trial
from nanoforge.commands.options import StageOptions
from nanoforge.commands.trial_words import TrialFindings, TrialWords
from nanoforge.errors import BadInput, StageFailed
from nanoforge.pipeline.build import build

CHAIN = ["records", "train", "evaluate", "export", "audit", "convert", "detect", "report"]
PICTURES = {"read": 100, "kept": 97, "dropped": 2, "background": 1}
BOXES = {"read": 140, "kept": 137, "dropped": 3, "background": 0}
FINDING = {
    "kind": "damaged_xml",
    "file": "a.xml",
    "object": None,
    "line": 7,
    "message": "it ends in the middle",
    "action": "drop",
}
FLIPPED = dict(FINDING, kind="flipped_box", line=None, message="xmin is over xmax", action="fix")


def findings(losses=(12.0, 3.0), boxes=(3, 0), pictures=PICTURES, precision=0.4, seen=(90, 47)):
    return TrialFindings(
        dataset={
            "images": 98,
            "figures": {"pictures": pictures, "boxes": BOXES},
            "classes": [{"name": name, "boxes": {"train": count}} for name, count in zip(("cat", "dog"), seen)],
            "findings": [FLIPPED, FINDING],
            "finding_counts": {"flipped_box": 9, "damaged_xml": 2},
        },
        history=[{"step": step, "loss": loss} for step, loss in enumerate(losses, 1)],
        evaluation={"mAP@0.5": precision},
        detections={"score_threshold": 0.3, "pictures": [{"detections": [{}] * count} for count in boxes]},
        parity={"detections": 3, "matched": 3, "max_score_diff": 1e-6, "min_iou": 0.99999},
    )


@pytest.fixture
def documents(monkeypatch):
    """Stand for those that real stages write, which tests/chain has."""
    monkeypatch.setattr(trial, "_findings", lambda _store: findings())


def options(photos, *overrides, **others):
    return StageOptions(str(photos.folder), overrides, runner="local", **others)


def made(folder):
    """Stage -> the parameters of the artifact that was made or used last."""
    links = [path for path in folder.iterdir() if path.is_symlink()]
    return {path.name: json.loads((path / "record.json").read_text())["recipe"]["parameters"] for path in links}


def test_a_trial_makes_everything_small_in_a_folder_of_its_own(home, photos, documents, capsys):
    build(photos.project(), "report")
    before, _ = made(photos.folder / "build"), home.ran()
    trial.trial(options(photos))
    assert sorted(home.ran()) == sorted(CHAIN)
    assert made(photos.folder / "build") == before and before["records"]["limit"] == 0
    found = made(photos.folder / "build/trial")
    assert sorted(found) == sorted(CHAIN)
    assert found["records"]["limit"] == 100 and found["train"]["depth_multiplier"] == 0.25
    assert found["train"]["steps"] < before["train"]["steps"] / 10
    said = capsys.readouterr().err
    assert "build/trial/report/report.html" in said and "The data works" in said and "Next: `./run build`" in said


def test_what_is_about_the_data_stays_and_what_takes_long_or_lies_elsewhere_does_not(home, photos, documents, tmp_path):
    (tmp_path / "my.config").write_text("model { }")
    (tmp_path / "holiday.mp4").write_text("frames")
    text = (photos.folder / "detector.toml").read_text()
    (photos.folder / "detector.toml").write_text(
        f'{text}boxes = "xywh"\n[records]\nfolder = "{tmp_path / "disk"}"\nsplit = "hash"\n'
        f'findings = {{ no_xml = "fix" }}\n[model]\npipeline_config = "{tmp_path / "my.config"}"\n'
        f'[detect]\nmedia = "{tmp_path / "holiday.mp4"}"\n'
    )
    trial.trial(options(photos))
    found = made(photos.folder / "build/trial")["records"]
    assert (found["boxes"], found["split"], found["findings"]) == ("xywh", "hash", {"no_xml": "fix"})
    assert not (tmp_path / "disk").exists()
    record = json.loads((photos.folder / "build/trial/train/record.json").read_text())
    assert "pipeline_config" not in record["recipe"]["inputs"]
    assert "media" not in json.loads((photos.folder / "build/trial/detect/record.json").read_text())["recipe"]["inputs"]


def test_a_trial_goes_on_where_it_failed_and_a_whole_one_is_told_again(home, photos, documents, capsys):
    home.behave(train={"fail": "no memory"})
    with pytest.raises(StageFailed, match="no memory"):
        trial.trial(options(photos))
    assert home.ran() == ["records", "train"] and "The data works" not in capsys.readouterr().err
    home.behave()
    trial.trial(options(photos))
    assert "records" not in home.ran()
    trial.trial(options(photos))
    assert home.ran() == [] and capsys.readouterr().err.count("The data works") == 2


def test_what_the_user_overrides_wins_and_a_dry_run_runs_nothing(home, photos, documents, capsys):
    trial.trial(options(photos, "train.steps=7", dry_run=True))
    assert home.ran() == [] and "would run" in capsys.readouterr().err
    trial.trial(options(photos, "train.steps=7"))
    assert made(photos.folder / "build/trial")["train"]["steps"] == 7


def test_clean_removes_a_trial_too(home, photos, documents):
    trial.trial(options(photos))
    cleanup.clean(str(photos.folder), "records", True)
    assert made(photos.folder / "build/trial")
    cleanup.clean(str(photos.folder), "", True)
    assert made(photos.folder / "build/trial") == {}


def test_init_and_a_trial_keep_a_config_that_is_there_for_these_photos(home, photos, documents, monkeypatch, capsys):
    monkeypatch.setattr(start, "write_config", pytest.fail)
    before = (photos.folder / "detector.toml").read_text()
    trial.init_and_try(str(photos.folder / "photos"), str(photos.folder), False, StageOptions(runner="local"))
    assert (photos.folder / "detector.toml").read_text() == before
    assert sorted(home.ran()) == sorted(CHAIN) and "stays as it is" in capsys.readouterr().err


def test_a_config_of_other_photos_is_not_tried_for_these(home, photos, tmp_path):
    for name in ("x.jpg", "x.xml"):
        (tmp_path / "others").mkdir(exist_ok=True)
        (tmp_path / "others" / name).write_text("x")
    with pytest.raises(BadInput, match="names other photos.*--force.*--folder"):
        trial.init_and_try(str(tmp_path / "others"), str(photos.folder), False, StageOptions(runner="local"))
    assert home.ran() == []


def test_init_and_a_trial_write_a_config_where_there_is_none(home, photos, documents, tmp_path, monkeypatch):
    def write_config(_photos, folder, _force, _options):
        (tmp_path / "new").mkdir()
        photos_line = f'photos = "{photos.folder / "photos/JPEGImages"}"'
        (tmp_path / "new/detector.toml").write_text(f'[dataset]\n{photos_line}\nclasses = ["cat"]\n')

    monkeypatch.setattr(start, "write_config", write_config)
    trial.init_and_try(str(photos.folder / "photos"), str(tmp_path / "new"), False, StageOptions(runner="local"))
    assert sorted(made(tmp_path / "new/build/trial")) == sorted(CHAIN)


def told(**what):
    words = TrialWords(findings(**what))
    return words, "\n".join(line.text for line in words.lines()), [line.text for line in words.lines() if line.warning]


def test_the_words_hold_the_figures_and_the_first_of_each_finding_what_is_left_out_first():
    words, said, warnings = told()
    assert "98 used of 100 taken, 1 of them without a box; 2 left out; 137 of 140 boxes used" in said
    assert "cat (90 boxes), dog (47 boxes)" in said and "loss 12.00 at first, 3.00 at the end of 2 steps" in said
    assert "3 boxes with a score of 0.3 or more on 1 of 2 pictures kept for validation (mAP@0.5 0.40)" in said
    assert "3 of 3 detections equal" in said
    first, second = said.index("2 damaged_xml, for instance\n      a.xml, line 7: it ends"), said.index("9 flipped_box")
    assert first < second and warnings == []
    assert words.is_good and "The data works" in words.verdict()


def test_nothing_found_is_told_as_what_it_is():
    words, said, _ = told(boxes=(0, 0), precision=None)
    assert not words.is_good and "0 boxes" in said and "no mAP, as they have no box" in said
    assert "loss fell" in words.verdict() and "score below 0.3" in words.verdict()


def test_a_loss_that_does_not_fall_is_told_even_where_boxes_are_found():
    words, _, _ = told(losses=(12.0, 11.0))
    assert not words.is_good and "hardly fell" in words.verdict()


def test_a_single_loss_does_not_decide():
    assert told(losses=[10.0] * 30 + [1.0])[0].is_good is False
    assert told(losses=[10.0] * 10 + [3.0] * 20 + [9.0])[0].is_good is True


def test_a_class_without_a_box_and_losses_that_a_build_would_refuse_are_warnings():
    _, _, warnings = told(seen=(90, 0), pictures=dict(PICTURES, kept=80, dropped=19))
    assert any("has a box of dog" in text for text in warnings)
    assert any("More than a tenth of the pictures is left out" in text for text in warnings)
