"""After a stage that did not end well: what stays, what goes, and what the user is told."""

import errno
import os
import shutil
import threading

import pytest

from nanoforge.errors import BadInput, StageFailed
from nanoforge.files.disks import disk_of, size_of_folder, tells_of_full_disk
from nanoforge.pipeline import build as pipeline_build
from nanoforge.pipeline.build import build
from nanoforge.pipeline.plan import plan
from nanoforge.pipeline.project import Project
from nanoforge.runners.contract import Outcome
from nanoforge.store.store import Store
from stages.system_errors import sentence_of


class Runner:
    """Stands in for a runner: writes an output and a checkpoint, then does what the test wants."""

    machine = name = environment = "local"
    shares_files = True
    image = reserves = None
    capacity = 1 << 30

    def __init__(self, then):
        self._then = then

    def prepare(self):
        """Nothing to make."""

    def tools(self):
        return {}

    def run(self, run, sink, stop):
        for name in ("output/out.txt", "scratch/checkpoint"):
            file = run.output.parent / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("x" * 1000)
        self._then(run)
        return Outcome()


def with_runner(monkeypatch, then):
    monkeypatch.setattr(Project, "runner", lambda _self, _stage: Runner(then))


def work_folder(photos):
    status = plan(photos.project(), "records")[-1]
    return photos.project().store.work_folder("records", status.fingerprint)


def full(*_arguments):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def says_full(_run):
    raise StageFailed("records: No space left on device while writing or reading /x. Log: /log")


WHERE_IT_FILLS = {
    "the stage says so": lambda patch: with_runner(patch, says_full),
    "the runner": lambda patch: with_runner(patch, full),
    "publishing": lambda patch: patch.setattr(Store, "publish", full),
    "noting the listing": lambda patch: patch.setattr(pipeline_build, "note_listings", full),
}


@pytest.mark.parametrize("where", WHERE_IT_FILLS)
def test_a_full_disk_is_named_and_the_half_made_output_does_not_keep_it_full(home, photos, monkeypatch, where):
    with_runner(monkeypatch, lambda _run: None)
    with monkeypatch.context() as patch:
        WHERE_IT_FILLS[where](patch)
        with pytest.raises(StageFailed) as caught:
            build(photos.project(), "records")
        work = work_folder(photos)
    words = str(caught.value)
    assert words.startswith("records: No space left on device")
    assert f"The disk at {disk_of(work).mount}, which holds {work}, has " in words and "`./run gc`" in words
    assert not (work / "output").exists()
    if (work / "scratch").exists():
        assert f"it goes on from {work / 'scratch'} (1.0 kB)" in words
    build(photos.project(), "records")


def test_a_disk_so_full_that_nothing_can_be_noted_still_tells_why(home, photos, monkeypatch):
    with_runner(monkeypatch, says_full)
    for module in ("nanoforge.pipeline.notes",):
        monkeypatch.setattr(f"{module}.write_json", full)
    with pytest.raises(StageFailed, match="No space left on device while writing or reading /x"):
        build(photos.project(), "records")


@pytest.mark.parametrize("how", ["fails", "ends well", "goes on writing"])
def test_a_build_folder_that_was_removed_meanwhile_is_the_reason_that_is_told(home, photos, monkeypatch, how):
    def remove(run):
        shutil.rmtree(photos.folder / "build")
        if how == "goes on writing":
            run.output.mkdir(parents=True)
            (run.output / "last.txt").write_text("the rest")
        if how == "fails":
            raise StageFailed("records: No such file or directory")

    with_runner(monkeypatch, remove)
    with pytest.raises(StageFailed, match="was removed while it worked there, so what it made is lost"):
        build(photos.project(), "records")
    with_runner(monkeypatch, lambda _run: None)
    assert build(photos.project(), "records").record["files"].keys() == {"out.txt"}


def test_work_that_lies_elsewhere_outlives_the_build_folder(home, photos, monkeypatch, tmp_path):
    with_runner(monkeypatch, lambda _run: shutil.rmtree(photos.folder / "build"))
    elsewhere = f'records.folder="{tmp_path / "disk"}"'
    artifact = build(photos.project(elsewhere), "records")
    assert photos.project(elsewhere).store.latest("records") == artifact


def test_a_failed_or_interrupted_stage_keeps_its_scratch_only(home, photos, monkeypatch):
    started = threading.Event()

    def interrupt(_run):
        started.set()
        raise KeyboardInterrupt

    with_runner(monkeypatch, interrupt)
    with pytest.raises(KeyboardInterrupt):
        build(photos.project(), "records")
    work = work_folder(photos)
    assert started.is_set() and (work / "scratch/checkpoint").exists() and not (work / "output").exists()


@pytest.mark.parametrize("how", [{"bad_input": "no"}, {"fail": "no"}, {"exit": 137}])
def test_what_a_stage_had_found_when_it_failed_can_be_read_until_it_runs_again(home, photos, how):
    kept = photos.folder / "build/failures/records-findings.jsonl"
    home.behave(records={"findings": "{}\n{}\n", **how})
    with pytest.raises((BadInput, StageFailed)) as caught:
        build(photos.project(), "records")
    assert str(caught.value).endswith(f"\nIts findings so far: {kept} (2 lines)")
    assert kept.read_text() == "{}\n{}\n"
    assert str(kept) in plan(photos.project(), "records")[-1].reasons[0]
    home.behave(records=how)  # another try ends before it finds anything
    with pytest.raises((BadInput, StageFailed)) as caught:
        build(photos.project(), "records")
    assert "findings" not in str(caught.value) and not kept.exists()


def test_findings_of_a_failure_are_gone_once_the_stage_is_made_and_none_are_told_of_one_that_ends_well(home, photos):
    kept = photos.folder / "build/failures/records-findings.jsonl"
    home.behave(records={"findings": "{}\n", "fail": "no"})
    with pytest.raises(StageFailed, match=r"\(1 line\)"):
        build(photos.project(), "records")
    assert kept.exists()
    home.behave(records={"findings": "{}\n"})
    build(photos.project(), "records")
    assert not kept.exists()


def test_findings_that_cannot_be_copied_are_named_where_they_lie(home, photos, monkeypatch):
    monkeypatch.setattr(shutil, "copyfile", full)
    home.behave(records={"findings": "{}\n", "bad_input": "no"})
    with pytest.raises(BadInput) as caught:
        build(photos.project(), "records")
    assert f"Its findings so far: {work_folder(photos) / 'scratch/findings.jsonl'} (1 line)" in str(caught.value)


def test_a_removed_build_folder_is_not_made_again_for_findings(home, photos, monkeypatch):
    def remove(_run):
        shutil.rmtree(photos.folder / "build")
        raise BadInput("records: no")

    with_runner(monkeypatch, remove)
    with pytest.raises(StageFailed, match="was removed while it worked there"):
        build(photos.project(), "records")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda build: build.write_text("mine"), "is a file, where Nanoforge keeps"),
        (lambda build: build.symlink_to("gone"), "is a link to gone, which is not there"),
    ],
)
def test_a_build_that_is_no_folder_is_named_and_stays(photos, make, words):
    make(photos.folder / "build")
    with pytest.raises(BadInput, match=words):
        photos.project()
    assert os.path.lexists(photos.folder / "build")


@pytest.mark.parametrize("note", ["", "{", "[]", "null", "3", '{"stages": 3}', "[" * 100_000, "\x00"])
def test_damaged_notes_are_none(home, photos, note):
    artifact = build(photos.project(), "records")
    for name in ("holder.json", "failures/records.json", "cache/verified/records.json"):
        photos.write(f"build/{name}", note)
    project = photos.project()
    with project.locked():
        assert photos.project().running_stages() == []
    photos.write("build/holder.json", note)
    assert plan(photos.project(), "records")[-1].state == "fresh"
    assert project.notes.failure("records", artifact.fingerprint) is None
    assert project.notes.oldest_verification([("records", artifact.fingerprint)]) == "never"


def test_a_failure_note_without_its_words_is_a_failure_still(home, photos):
    home.behave(records={"fail": "no"})
    with pytest.raises(StageFailed):
        build(photos.project(), "records")
    fingerprint = plan(photos.project(), "records")[-1].fingerprint
    photos.write("build/failures/records.json", f'{{"fingerprint": "{fingerprint}"}}')
    assert plan(photos.project(), "records")[-1].state == "failed"


def test_the_true_error_is_told_where_the_note_of_the_holder_cannot_be_removed(photos, monkeypatch):
    project = photos.project()
    with pytest.raises(StageFailed, match="the true one"), project.locked():
        shutil.rmtree(photos.folder / "build")
        (photos.folder / "build").write_text("now a file")
        raise StageFailed("the true one")


def test_of_a_disk_is_known_where_it_is_and_what_is_free(tmp_path):
    disk = disk_of(tmp_path / "not" / "there" / "yet")
    assert os.path.ismount(disk.mount) and disk.mount in tmp_path.resolve().parents
    assert abs(disk.free - shutil.disk_usage(tmp_path).free) < 1 << 30
    (tmp_path / "a").write_bytes(b"x" * 10)
    (tmp_path / "link").symlink_to("a")
    assert size_of_folder(tmp_path) == 11 and size_of_folder(tmp_path / "none") == 0


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_what_a_stage_says_of_a_full_disk_is_understood(number):
    assert tells_of_full_disk(sentence_of(OSError(number, os.strerror(number), "/x")).text)


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("OSError: [Errno 28] No space left on device: '/x'", True),
        ("write /x: no space left on device", True),
        ("Disk quota exceeded", True),
        ("the loss is not a number", False),
    ],
)
def test_the_systems_words_for_a_full_disk(text, full):
    assert tells_of_full_disk(text) is full
