"""What runs, what does not, and why: the plan, the store and explain, on a real table with stand-in stages."""

import json
import os
import shutil
import threading
import time

import pytest

from nanoforge.commands.status import all_statuses, explain, status_json
from nanoforge.errors import BadInput, StageFailed
from nanoforge.pipeline.build import build
from nanoforge.pipeline.plan import plan
from nanoforge.pipeline.project import Project
from nanoforge.pipeline.stages import TABLE, upstream
from nanoforge.runners.contract import Outcome
from nanoforge.store.record import complete

EVERYTHING = ["records", "train", "evaluate", "export", "audit", "convert", "detect", "report"]


def reasons(photos, stage, *overrides):
    return plan(photos.project(*overrides), stage)[-1].reasons


def test_everything_runs_once_and_then_nothing(home, photos):
    build(photos.project(), "report")
    assert home.ran() == EVERYTHING
    build(photos.project(), "report")
    assert home.ran() == []


def test_only_what_a_target_needs_runs(home, photos):
    build(photos.project(), "export")
    assert home.ran() == ["records", "train", "export"]


def test_a_comment_in_the_config_makes_nothing_stale(home, photos):
    build(photos.project(), "export")
    home.ran()
    photos.write("detector.toml", "# a comment\n" + (photos.folder / "detector.toml").read_text())
    build(photos.project(), "export")
    assert home.ran() == []


def test_a_moved_project_and_a_moved_clone_make_nothing_stale(home, photos, tmp_path, monkeypatch):
    build(photos.project(), "export")
    home.ran()
    shutil.move(str(photos.folder), str(tmp_path / "elsewhere"))
    photos.folder = tmp_path / "elsewhere"
    build(photos.project(), "export")
    assert home.ran() == []


def test_touching_a_photo_without_changing_it_makes_nothing_stale(home, photos):
    build(photos.project(), "records")
    home.ran()
    os.utime(photos.folder / "photos/JPEGImages/a.jpg", (1, 1))
    build(photos.project(), "records")
    assert home.ran() == []


def test_a_changed_parameter_is_named_with_old_and_new_value(home, photos):
    build(photos.project(), "train")
    assert reasons(photos, "train", "train.batch_size=5") == ["parameter batch_size changed from 24 to 5"]


def test_a_changed_photo_is_named(home, photos):
    build(photos.project(), "records")
    photos.write("photos/JPEGImages/b.jpg", "other pixels")
    photos.write("photos/JPEGImages/new.jpg", "more")
    (photos.folder / "photos/JPEGImages/c.jpg").unlink()
    assert reasons(photos, "records") == [
        "input photos changed: 1 added (new.jpg); 1 removed (c.jpg); 1 changed (b.jpg)",
    ]


def test_a_changed_module_and_a_changed_lock_are_named(home, photos):
    build(photos.project(), "records")
    home.module("records").write_text(home.module("records").read_text() + "\nmore = 1\n")
    lock = home.folder / "docker" / "data" / "requirements.lock"
    lock.write_text("numpy==2.0\n")
    assert reasons(photos, "records") == [
        "code stages/data/records.py was changed",
        "environment lock docker/data/requirements.lock was changed",
    ]


def test_code_that_moved_between_versions_is_one_line(home, photos, capsys):
    """Artifacts of the version before the stages' folders moved: the recipe named other files."""
    artifact = build(photos.project(), "records")
    recipe = {**artifact.recipe, "version": 1, "code": {"stages/data/render.py": "0", "stages/data/tally.py": "1"}}
    described = {key: value for key, value in artifact.record.items() if not key.endswith("_digest")}
    record = complete({**described, "recipe": recipe}, artifact.record["files"])
    older = artifact.folder.with_name(record["fingerprint"][:20])
    artifact.folder.rename(older)
    write_record(older, json.dumps(record))
    photos.project().store.use("records", photos.project().store.find("records", record["fingerprint"]))
    assert explain(photos.project(), "records")
    told = capsys.readouterr().out.splitlines()
    assert len(told) == 2 and "code moved to other folders" in told[1]
    statuses = {status.stage.name: status.reasons for status in all_statuses(photos.project())}
    assert statuses["train"] == ["it needs records, which is stale"], "it was never made before"
    assert [len(reasons(photos, "records", "records.seed=3")), len(reasons(photos, "records"))] == [2, 1]


def write_record(folder, text):
    os.chmod(folder / "record.json", 0o644)
    (folder / "record.json").write_text(text)


def test_an_artifact_whose_record_had_no_digest_yet_is_made_once_more_and_why_is_told(home, photos):
    artifact = build(photos.project(), "records")
    older = {**artifact.record, "format": 1}
    del older["record_digest"]
    write_record(artifact.folder, json.dumps(older))
    assert ["was made by an earlier Nanoforge" in reason for reason in reasons(photos, "records")] == [True]
    home.ran()
    build(photos.project(), "records")
    build(photos.project(), "records")
    assert home.ran() == ["records"]


def test_code_that_a_stage_imports_counts_and_other_code_does_not(home, photos):
    helper = home.folder / "stages" / "data" / "helper.py"
    helper.write_text("a = 1\n")
    home.module("records").write_text("from stages.data import helper\n" + home.module("records").read_text())
    build(photos.project(), "records")
    (home.folder / "stages" / "data" / "unrelated.py").write_text("a = 1\n")
    assert reasons(photos, "records") == []
    helper.write_text("a = 2\n")
    assert reasons(photos, "records") == ["code stages/data/helper.py was changed"]


def test_equal_outputs_stop_the_wave(home, photos):
    """A stage that runs again and makes the same bytes leaves what follows fresh."""
    build(photos.project(), "train")
    home.ran()
    home.module("records").write_text(home.module("records").read_text() + "\n# no difference\n")
    build(photos.project(), "train")
    assert home.ran() == ["records"]


def test_going_back_to_earlier_parameters_finds_the_earlier_artifact(home, photos):
    build(photos.project(), "train")
    build(photos.project("train.steps=9"), "train")
    home.ran()
    build(photos.project(), "train")
    assert home.ran() == []


def test_inputs_that_change_while_the_stage_runs_make_it_fail(home, photos):
    home.behave(records={"touch": str(photos.folder / "photos/JPEGImages/a.jpg")})
    with pytest.raises(StageFailed, match="photos changed while the stage ran"):
        build(photos.project(), "records")
    assert photos.project().store.latest("records") is None


def test_a_failed_stage_leaves_nothing_and_says_so_until_it_works(home, photos):
    home.behave(train={"fail": "the loss is not a number"})
    with pytest.raises(StageFailed, match="the loss is not a number"):
        build(photos.project(), "report")
    found = {status.stage.name: status for status in all_statuses(photos.project())}
    assert found["records"].state == "fresh"
    assert found["train"].state == "failed"
    assert "the loss is not a number" in found["train"].reasons[0]
    home.behave()
    home.ran()
    build(photos.project(), "train")
    assert home.ran() == ["train"]


@pytest.mark.parametrize("damage", ["changed", "removed", "added", "same_size_and_time"])
def test_a_damaged_artifact_is_a_miss_with_a_warning(home, photos, capsys, damage):
    build(photos.project(), "train")
    home.ran()
    file = photos.project().store.latest("records").folder / "out.txt"
    if damage == "added":
        file.with_name("more.txt").write_text("x")
    elif damage == "removed":
        file.unlink()
    else:
        before = file.stat()
        os.chmod(file, 0o644)
        file.write_text(file.read_text().replace("{", "[", 1) if damage == "same_size_and_time" else "x")
        if damage == "same_size_and_time":
            os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    # Rot that leaves size and time alone is found as soon as something is to be made from it.
    build(photos.project("train.steps=7"), "train")
    assert home.ran() == ["records", "train"]
    assert "is damaged" in capsys.readouterr().err


def test_a_damaged_record_is_a_miss(home, photos, capsys):
    build(photos.project(), "records")
    home.ran()
    write_record(photos.project().store.latest("records").folder, "{")
    (status,) = plan(photos.project(), "records")
    assert status.state == "stale" and "record.json" in status.reasons[0]
    build(photos.project(), "records")
    assert home.ran() == ["records"]
    assert "is damaged: record.json" in capsys.readouterr().err


def test_artifacts_that_changed_places_are_both_misses(home, photos):
    one, other = build(photos.project(), "records").folder, build(photos.project("records.seed=4"), "records").folder
    home.ran()
    one.rename(one.with_name("aside"))
    other.rename(one)
    one.with_name("aside").rename(other)
    for override in ([], ["records.seed=4"]):
        seed = build(photos.project(*override), "records").recipe["parameters"]["seed"]
        assert seed == (4 if override else 0) and home.ran() == ["records"]


def test_a_damaged_artifact_stays_until_another_takes_its_place(home, photos):
    artifact = build(photos.project(), "records")
    write_record(artifact.folder, "{")
    home.behave(records={"fail": "no"})
    with pytest.raises(StageFailed):
        build(photos.project(), "records")
    assert (artifact.folder / "out.txt").exists()


def test_artifacts_are_read_only(home, photos):
    build(photos.project(), "records")
    file = photos.project().store.latest("records").folder / "out.txt"
    assert file.stat().st_mode & 0o222 == 0


def test_an_artifact_carries_slsa_provenance(home, photos):
    artifact = build(photos.project("records.seed=4"), "records")
    statement = json.loads((artifact.folder / "provenance.json").read_text())
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    assert {entry["name"] for entry in statement["subject"]} == set(artifact.record["files"])
    definition = statement["predicate"]["buildDefinition"]
    assert definition["externalParameters"]["parameters"]["seed"] == 4
    uris = {entry["uri"] for entry in definition["resolvedDependencies"]}
    assert {"file:stages/data/records.py", "file:docker/data/requirements.lock", "urn:nanoforge:input:photos"} <= uris


def test_records_can_live_in_another_folder(home, photos, tmp_path):
    elsewhere = f'records.folder="{tmp_path / "disk"}"'
    build(photos.project(elsewhere), "train")
    folder = photos.project(elsewhere).store.latest("records").folder
    assert folder.parent.name == "records" and folder.parent.parent.parent == tmp_path / "disk"
    home.ran()
    build(photos.project(elsewhere), "train")
    assert home.ran() == []


def test_a_missing_photo_folder_is_bad_input(home, photos):
    shutil.rmtree(photos.folder / "photos")
    with pytest.raises(BadInput, match=r"JPEGImages does not exist; dataset\.photos in detector\.toml names it"):
        build(photos.project(), "records")


def test_status_json_has_the_documented_form(home, photos):
    build(photos.project(), "records")
    document = status_json(photos.project(), all_statuses(photos.project()))
    rows = {row["name"]: row for row in json.loads(json.dumps(document))["stages"]}
    assert list(rows["records"]) == ["name", "environment", "state", "reasons", "artifact", "metrics", "verified"]
    assert rows["records"]["state"] == "fresh" and rows["records"]["metrics"]["images"] == 3
    assert rows["train"]["state"] == "missing" and rows["train"]["artifact"] is None


def test_render_is_a_stage_of_the_demo_only(home, photos):
    assert "render" not in [status.stage.name for status in all_statuses(photos.project())]
    demo = photos.project("dataset.rendered_pictures=3")
    assert upstream("records", demo.context) == ["render", "records"]


def test_the_table_is_in_the_order_of_the_data(photos):
    context = photos.project().context
    for target in (stage.name for stage in TABLE):
        assert upstream(target, context)[-1] == target


def test_a_remote_start_checkpoint_is_known_by_its_digest_before_it_is_there(home, photos, monkeypatch, tmp_path):
    monkeypatch.setenv("NANOFORGE_CACHE", str(tmp_path / "cache"))
    project = Project(
        photos.folder / "detector.toml", ["model.checkpoint=ssd_mobilenet_v2_coco_2018_03_29"], photos.project().console
    )
    build(photos.project(), "records")
    status = plan(project, "train")[-1]
    assert status.recipe["inputs"]["start"] == "b9380178b2e35333f1a735e39745928488bdabeb9ed20bc6fa07af8172cb5adc"


class Together:
    """Stands in for runners of containers: bounded in memory, and able to tell which stages ran at the same time."""

    machine = name = environment = "docker"
    shares_files = True
    image = "sha256:0"

    def __init__(self, reserves, capacity):
        self.reserves = reserves
        self.capacity = capacity
        self.at_once = set()
        self._running = []
        self._lock = threading.Lock()

    def prepare(self):
        """Nothing to make."""

    def tools(self):
        return {}

    def run(self, run, sink, stop):
        with self._lock:
            self._running.append(run.stage)
            self.at_once.add(frozenset(self._running))
        time.sleep(0.3)
        run.output.mkdir(parents=True)
        for name in ("out.txt", "pipeline.config", "label_map.pbtxt"):
            (run.output / name).write_text(run.stage)
        with self._lock:
            self._running.remove(run.stage)
        if run.stage == self.fails:
            raise StageFailed("no")
        return Outcome()

    fails = ""


def with_runner(monkeypatch, runner):
    monkeypatch.setattr(Project, "runner", lambda _self, _stage: runner)
    return runner


def test_stages_that_do_not_need_each_other_run_at_the_same_time_where_memory_allows(home, photos, monkeypatch):
    runner = with_runner(monkeypatch, Together(reserves=4, capacity=8))
    build(photos.project(), "report")
    assert frozenset({"evaluate", "export"}) in runner.at_once
    assert max(map(len, runner.at_once)) == 2


@pytest.mark.parametrize("reserves", [5, None])
def test_stages_wait_for_memory(home, photos, monkeypatch, reserves):
    runner = with_runner(monkeypatch, Together(reserves=reserves, capacity=8))
    build(photos.project(), "report")
    assert set(map(len, runner.at_once)) == {1}


def test_what_runs_beside_a_stage_that_fails_is_kept(home, photos, monkeypatch):
    runner = with_runner(monkeypatch, Together(reserves=4, capacity=8))
    runner.fails = "evaluate"
    with pytest.raises(StageFailed, match="no"):
        build(photos.project(), "report")
    states = {status.stage.name: status.state for status in all_statuses(photos.project())}
    assert states["export"] == "fresh" and states["evaluate"] == "failed"


def test_an_image_that_is_not_built_yet_is_a_reason(home, photos, monkeypatch):
    runner = with_runner(monkeypatch, Together(reserves=4, capacity=8))
    runner.image = ""
    assert reasons(photos, "records") == ["the image of environment data is not built yet, or older than docker/"]


def test_another_image_makes_stale_and_is_named(home, photos, monkeypatch):
    build(photos.project(), "records")
    runner = with_runner(monkeypatch, Together(reserves=4, capacity=8))
    runner.image = "sha256:0123456789abcdef"
    assert reasons(photos, "records") == [
        "it was made in a virtual environment, and would be made in image 0123456789ab"
    ]
    build(photos.project(), "records")
    assert reasons(photos, "records") == []


def test_what_was_built_among_the_photos_makes_nothing_stale(home, photos):
    photos.write("detector.toml", '[dataset]\nphotos = "."\nclasses = ["cat"]\n')
    build(photos.project(), "records")
    photos.write("build/store/detect/1/pictures/a.jpg", "boxes drawn")
    assert reasons(photos, "records") == []
    photos.write("more/a.jpg", "a photo")
    assert reasons(photos, "records") != []
