"""What keeps a project in order: clean, gc and verify; they touch what Nanoforge made, and say what it is first."""

import json
import os
import shutil

import pytest

from nanoforge.commands import cleanup, verify
from nanoforge.commands.status import all_statuses
from nanoforge.errors import BadInput, EnvironmentNotReady, StageFailed
from nanoforge.pipeline.build import build
from nanoforge.pipeline.plan import plan
from nanoforge.runners import placement


@pytest.fixture
def disk(tmp_path, photos):
    """A folder of the user's for the records, with things of theirs in it."""
    folder = tmp_path / "disk"
    (folder / "lost+found").mkdir(parents=True)
    (folder / ("a" * 20)).mkdir()
    (folder / "a.jpg").write_text("a photo")
    config = photos.folder / "detector.toml"
    config.write_text(config.read_text() + f'[records]\nfolder = "{folder}"\n')
    return folder


OF_THE_USER = sorted(["lost+found", "a" * 20, "a.jpg"])


def clean(photos, stage="", yes=True):
    cleanup.clean(str(photos.folder), stage, yes)


def gc(photos, dry_run=False):
    cleanup.gc(str(photos.folder), dry_run, "")


def test_clean_removes_what_was_built_and_nothing_else(home, photos, disk, capsys):
    build(photos.project(), "train")
    (photos.folder / "build/store/train/notes.txt").write_text("mine")
    clean(photos)
    told = capsys.readouterr().err
    assert f"is removed: {disk}/nanoforge-detector-" in told and "kB)" in told
    assert sorted(os.listdir(disk)) == OF_THE_USER
    assert os.listdir(photos.folder / "build/store/train") == ["notes.txt"]
    assert not (photos.folder / "build/records").is_symlink()
    assert (photos.folder / "photos/JPEGImages/a.jpg").exists()
    clean(photos)
    assert "nothing to remove" in capsys.readouterr().err


def test_clean_of_one_stage_leaves_the_others(home, photos, disk):
    build(photos.project(), "train")
    clean(photos, "records")
    assert sorted(os.listdir(disk)) == OF_THE_USER
    assert photos.project().store.latest("train")


def test_without_anybody_to_answer_clean_asks_for_yes_and_removes_nothing(home, photos, disk, monkeypatch):
    build(photos.project(), "records")
    monkeypatch.setattr("sys.stdin", open(os.devnull))
    with pytest.raises(BadInput, match="add --yes"):
        clean(photos, yes=False)
    assert photos.project().store.latest("records")


def test_gc_removes_what_is_of_no_use_wherever_it_lies(home, photos, disk, capsys):
    build(photos.project("records.seed=1"), "train")
    build(photos.project("records.seed=2"), "train")
    build(photos.project(), "train")
    before = {path.name for path in photos.project().store.folders.own("records")}
    gc(photos, dry_run=True)
    assert {path.name for path in photos.project().store.folders.own("records")} == before
    gc(photos)
    told = capsys.readouterr().err
    assert told.count(f"is removed: {disk}/nanoforge-detector-") == 2
    assert len(photos.project().store.folders.own("records")) == 1
    assert set(OF_THE_USER) < set(os.listdir(disk))
    gc(photos)
    assert "0 bytes freed" in capsys.readouterr().err


def test_gc_keeps_what_is_current_and_the_last(home, photos):
    build(photos.project(), "train")
    build(photos.project("train.steps=9"), "train")
    build(photos.project("train.steps=8"), "train")
    gc(photos)
    steps = {path.name for path in photos.project().store.folders.own("train")}
    assert steps == {build(photos.project(*with_steps), "train").folder.name for with_steps in ([], ["train.steps=8"])}


def test_gc_keeps_the_last_of_a_stage_even_where_its_record_is_damaged(home, photos):
    artifact = build(photos.project("records.seed=3"), "records")
    os.chmod(artifact.folder / "record.json", 0o644)
    (artifact.folder / "record.json").write_text("{")
    gc(photos)
    assert (artifact.folder / "out.txt").exists()


def interrupted(home, photos, stage):
    home.behave(**{stage: {"fail": "no"}})
    with pytest.raises(StageFailed):
        build(photos.project(), stage)
    home.behave()
    status = plan(photos.project(), stage)[-1]
    folder = photos.project().store.work_folder(stage, status.fingerprint)
    (folder / "scratch").mkdir(exist_ok=True)
    (folder / "scratch" / "checkpoint").write_text("hours of work")
    return folder


def test_gc_keeps_what_an_interrupted_stage_goes_on_from(home, photos):
    work = interrupted(home, photos, "train")
    gc(photos)
    assert (work / "scratch/checkpoint").exists()
    photos.write("photos/JPEGImages/new.jpg", "more")
    gc(photos)
    assert (work / "scratch/checkpoint").exists(), "the records are made again first, and may be the same"


@pytest.mark.parametrize("command", ["gc", "build"])
def test_a_work_folder_beside_its_finished_artifact_goes(home, photos, command):
    artifact = build(photos.project(), "records")
    work = photos.project().store.work_folder("records", artifact.fingerprint)
    (work / "scratch").mkdir(parents=True)
    gc(photos) if command == "gc" else build(photos.project(), "records")
    assert not work.exists() and artifact.folder.exists()


def test_what_a_killed_command_was_removing_goes_with_the_next_gc(home, photos):
    artifact = build(photos.project(), "train")
    aside = artifact.folder.with_name(f".discarded-{'a' * 20}-1")
    shutil.copytree(artifact.folder, aside)
    (photos.folder / "build/.train.link").symlink_to("store")
    gc(photos)
    assert not aside.exists() and not (photos.folder / "build/.train.link").is_symlink()


def overlaps(photos):
    inside = photos.folder
    return {
        "photos": "holds dataset.photos",
        "photos/JPEGImages": "is dataset.photos",
        "photos/JPEGImages/records": "lies in dataset.photos",
        "photos/Annotations": "is dataset.annotations",
        "build": "is the build folder",
        "build/store": "lies in the build folder",
        ".": "holds",
        str(inside.parent): "holds",
        "/": "holds",
        "link": "holds dataset.photos",
        "media/more": "lies in detect.media",
        "detector.toml": "is no folder",
    }


def test_a_records_folder_that_is_not_its_own_is_refused_before_anything_happens(home, photos):
    (photos.folder / "link").symlink_to("photos")
    (photos.folder / "media").mkdir()
    for folder, words in overlaps(photos).items():
        with pytest.raises(BadInput, match=words):
            photos.project(f'records.folder="{folder}"', 'detect.media="media"')
    assert not (photos.folder / "build").exists()


def test_two_projects_that_share_a_records_folder_make_their_own(home, photos, disk, tmp_path):
    other = type(photos)(tmp_path / "other")
    mine = build(photos.project(), "records")
    theirs = build(other.project(f'records.folder="{disk}"'), "records")
    assert mine.folder.parent != theirs.folder.parent and mine.digest == theirs.digest
    cleanup.clean(str(photos.folder), "", True)
    assert theirs.folder.is_dir()


def off(monkeypatch, asked):
    def connect(*where):
        asked.append(where)
        raise EnvironmentNotReady("nano does not answer at ssh://me@nano.")

    monkeypatch.setattr(placement, "connect", connect)


@pytest.fixture
def with_a_host(photos):
    """Two stages are to run on a host."""
    config = photos.folder / "detector.toml"
    hosts = '[hosts.nano]\ndocker = "ssh://me@nano"\n'
    config.write_text(config.read_text() + '[runner]\nstages = {detect = "nano", evaluate = "nano"}\n' + hosts)


def test_of_a_host_that_is_off_is_said_what_cannot_be_known_and_the_rest_is_told(
    home, photos, with_a_host, monkeypatch
):
    asked = []
    off(monkeypatch, asked)
    build(photos.project(), "convert")
    found = {status.stage.name: status for status in all_statuses(photos.project())}
    states = {name: found[name].state for name in ("records", "train", "evaluate", "convert", "detect", "report")}
    assert states == {
        "records": "fresh",
        "train": "fresh",
        "evaluate": "unknown",
        "convert": "fresh",
        "detect": "unknown",
        "report": "unknown",
    }
    assert found["detect"].reasons == ["it cannot be known: nano does not answer at ssh://me@nano."]
    assert "it needs detect, of which nothing can be known" in found["report"].reasons
    assert len(asked) == 1, "a host that hangs is asked once, not for every stage"


def test_gc_keeps_everything_of_stages_whose_host_is_off(home, photos, with_a_host, monkeypatch, capsys):
    for seed in (1, 2, 0):
        build(photos.project("runner.stages={}", f"records.seed={seed}"), "report")
    kept = [len(photos.project().store.folders.own(stage)) for stage in ("detect", "report", "evaluate")]
    off(monkeypatch, [])
    gc(photos)
    assert [len(photos.project().store.folders.own(stage)) for stage in ("detect", "report", "evaluate")] == kept
    assert len(photos.project().store.folders.own("records")) == 1
    assert "every artifact of detect is kept: it cannot be known: nano does not answer" in capsys.readouterr().err


def test_a_build_that_needs_a_host_that_is_off_says_so(home, photos, with_a_host, monkeypatch):
    off(monkeypatch, [])
    with pytest.raises(EnvironmentNotReady, match="nano does not answer"):
        build(photos.project(), "detect")


def rot(file):
    """Other bytes under the same size, mtime and ctime: the record is written to agree with them."""
    before = file.stat()
    os.chmod(file, 0o644)
    file.write_bytes(b"X" * before.st_size)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    os.chmod(file, 0o444)


@pytest.fixture
def blind(monkeypatch):
    """Rot leaves no trace in times, which a test cannot imitate: the quick check sees none."""
    monkeypatch.setattr("nanoforge.store.store._is_untouched", lambda _stat, _entry: True)


def test_verify_reads_every_artifact_and_build_makes_the_damaged_one_again(home, photos, blind, capsys):
    artifact = build(photos.project(), "train")
    verify.verify(str(photos.folder), "", as_json=False)
    assert "2 artifacts are as published" in capsys.readouterr().err
    rot(artifact.folder / "out.txt")
    home.ran()
    build(photos.project(), "train")
    assert home.ran() == [], "nothing tells of it yet"
    with pytest.raises(StageFailed, match=r"train.*out.txt is not what was published; `./run train` makes it again"):
        verify.verify(str(photos.folder), "", as_json=False)
    assert "damaged: out.txt" in plan(photos.project(), "train")[-1].reasons[0]
    build(photos.project(), "train")
    assert home.ran() == ["train"]
    verify.verify(str(photos.folder), "", as_json=False)


def test_verify_names_every_damage_as_json_too(home, photos, capsys):
    artifact = build(photos.project(), "records")
    rot(artifact.folder / "out.txt")
    (artifact.folder / "pipeline.config").unlink()
    with pytest.raises(StageFailed):
        verify.verify(str(photos.folder), "records", as_json=True)
    (row,) = json.loads(capsys.readouterr().out)["stages"]
    assert (row["name"], row["artifact"]) == ("records", str(artifact.folder.resolve()))
    assert row["damages"] == ["out.txt is not what was published", "pipeline.config is missing"]


def test_verify_tells_of_a_damaged_record(home, photos):
    artifact = build(photos.project(), "records")
    os.chmod(artifact.folder / "record.json", 0o644)
    (artifact.folder / "record.json").write_text('{"metrics": null}')
    with pytest.raises(StageFailed, match="record.json is not what was written"):
        verify.verify(str(photos.folder), "", as_json=False)


def test_verify_of_nothing_is_no_failure(photos, capsys):
    verify.verify(str(photos.folder), "", as_json=False)
    assert "0 artifacts" in capsys.readouterr().err


def test_when_an_artifact_was_last_read_whole_is_remembered(home, photos):
    artifact = build(photos.project(), "records")
    notes = photos.project().notes
    assert notes.verification("records", artifact.fingerprint).sound
    assert notes.verification("records", "0" * 64) is None
    assert notes.oldest_verification([("records", artifact.fingerprint), ("train", "0")]) == "never"
    shutil.rmtree(photos.folder / "build/cache/verified")
    assert notes.oldest_verification([("records", artifact.fingerprint)]) == "never"


def test_photos_that_are_away_leave_the_rest_told_and_kept(home, photos, capsys):
    """Such as a disk that is not mounted."""
    build(photos.project(), "train")
    kept = photos.project().store.latest("records")
    (photos.folder / "photos").rename(photos.folder / "away")
    states = {status.stage.name: status.state for status in all_statuses(photos.project())}
    assert states["records"] == states["train"] == "unknown"
    gc(photos)
    assert photos.project().store.latest("records") == kept
    with pytest.raises(BadInput, match="photos are not there"):
        build(photos.project(), "records")


def test_gc_finds_what_a_killed_preview_left_aside(home, photos):
    build(photos.project(), "records")
    aside = photos.folder / "build" / ".nanoforge-preview-abcd1234"
    aside.mkdir()
    gc(photos)
    assert aside.is_dir()  # it may run
    os.utime(aside, (0, 0))
    gc(photos)
    assert not aside.exists()


def test_a_pipe_in_place_of_what_is_noted_is_never_waited_for(home, photos):
    build(photos.project(), "records")
    verify.verify(str(photos.folder), "", as_json=False)
    remembered = [path for path in (photos.folder / "build" / "cache").rglob("*") if path.is_file()]
    assert remembered
    for path in [*remembered, photos.folder / "build" / "holder.json"]:
        path.unlink(missing_ok=True)
        os.mkfifo(path)
    assert {status.stage.name: status.state for status in all_statuses(photos.project())}["records"] == "fresh"
