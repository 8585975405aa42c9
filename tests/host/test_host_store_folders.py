"""Whose folders they are: the store touches what it made itself, in the build folder and in one that the user names."""

import json
import os
import shutil

import pytest
from host_store import fingerprint, output, publish, store_in

from nanoforge.errors import BadInput
from nanoforge.files.digests import sha256_text
from nanoforge.store.folders import MARKER, owner_of

NAMES_OF_OTHERS = ["lost+found", "holiday", "0123456789abcdef", "work-on-cars", "0" * 40, "train"]


@pytest.fixture
def disk(tmp_path):
    """A folder of the user's with other things in it."""
    folder = tmp_path / "disk"
    for name in NAMES_OF_OTHERS:
        (folder / name).mkdir(parents=True)
        (folder / name / "photo.jpg").write_text(name)
    return folder


def project_store(tmp_path, name="detector", **elsewhere):
    folder = tmp_path / name
    folder.mkdir(exist_ok=True)
    return store_in(folder / "build", f"here:{folder}", **elsewhere)


def test_in_a_folder_of_the_users_the_store_has_a_marked_one_of_its_own(tmp_path, disk):
    store = project_store(tmp_path, records=disk)
    records, train = publish(store), publish(store, "train")
    store.use("records", records)
    home = disk / f"nanoforge-detector-{sha256_text(f'here:{tmp_path}/detector')[:10]}"
    assert records.folder.parent == home / "records" == store.work_folder("records", fingerprint()).parent
    assert owner_of(home) == f"here:{tmp_path}/detector"
    assert os.readlink(store.build / "records") == str(records.folder)
    assert store.latest("records") == records
    assert [store.folders.own(stage) for stage in store.folders.stages()] == [[records.folder], [train.folder]]


@pytest.mark.parametrize("elsewhere", [True, False])
def test_only_names_of_its_own_pattern_are_the_stores(tmp_path, disk, elsewhere):
    store = project_store(tmp_path, **({"records": disk} if elsewhere else {}))
    artifact, work = publish(store), output(store, seed=9).parent
    for name in NAMES_OF_OTHERS:
        (artifact.folder.parent / name).mkdir()
    (artifact.folder.parent / ("a" * 20)).symlink_to(disk)
    (artifact.folder.parent / ("b" * 20)).write_text("a file")
    (store.build / "store" / "lost+found").mkdir(parents=True)
    assert store.folders.own("records") == [artifact.folder, work]
    assert store.folders.stages() == ["records"]


def test_two_projects_share_a_folder_and_see_nothing_of_each_other(tmp_path, disk):
    one, other = project_store(tmp_path, "one", records=disk), project_store(tmp_path, "other", records=disk)
    mine, theirs = publish(one), publish(other)
    assert mine.folder != theirs.folder
    assert (one.folders.own("records"), other.folders.own("records")) == ([mine.folder], [theirs.folder])
    assert one.work_folder("records", fingerprint()) != other.work_folder("records", fingerprint())


def test_two_projects_of_one_name_and_odd_names_have_folders_of_their_own(tmp_path, disk):
    names = ["a/x", "b/x", "c/아이 \udcff:x"]
    for name in names:
        (tmp_path / name.split("/")[0]).mkdir()
    homes = {publish(project_store(tmp_path, name, records=disk)).folder.parent.parent for name in names}
    assert len(homes) == 3 and all(home.name.isascii() and home.parent == disk for home in homes)


def test_a_folder_that_another_project_marked_is_refused_and_left_alone(tmp_path, disk):
    store = project_store(tmp_path, records=disk)
    artifact = publish(store)
    home = artifact.folder.parent.parent
    (home / MARKER).write_text(json.dumps({"owner": "there:/somebody"}))
    assert store.folders.own("records") == []
    store.folders.drop_empty("records")
    with pytest.raises(BadInput, match=r"is not this project's: its nanoforge-project.json names there:/somebody"):
        store.prepare(["records"])
    assert artifact.folder.is_dir()


@pytest.mark.parametrize("marker", ["", "[]", "{}", '{"owner": 3}', "[" * 100_000])
def test_a_folder_with_a_damaged_marker_is_nobodys(tmp_path, disk, marker):
    store = project_store(tmp_path, records=disk)
    (publish(store).folder.parent.parent / MARKER).write_text(marker)
    assert store.folders.own("records") == []
    with pytest.raises(BadInput, match="names no project"):
        store.prepare(["records"])


def test_a_crash_before_the_marker_was_there_is_no_obstacle(tmp_path, disk):
    store = project_store(tmp_path, records=disk)
    home = store.folders.of("records").parent
    home.mkdir()
    (home / f".{MARKER}.123").write_text("half")
    assert publish(store).folder.parent.parent == home


def test_a_project_that_was_moved_takes_its_records_along(tmp_path, disk):
    before = project_store(tmp_path, records=disk)
    artifact = publish(before)
    before.use("records", artifact)
    (tmp_path / "detector").rename(tmp_path / "new")
    store = project_store(tmp_path, "new", records=disk)
    assert store.latest("records").record == store.find("records", fingerprint()).record == artifact.record
    assert [path.name for path in store.folders.own("records")] == [artifact.folder.name]
    store.prepare(["records"])
    assert store.find("records", fingerprint()).record == artifact.record
    assert owner_of(store.folders.of("records").parent) == f"here:{tmp_path}/new"
    assert sorted(set(os.listdir(disk)) - set(NAMES_OF_OTHERS)) == [store.folders.of("records").parent.name]


def test_a_copy_of_a_project_makes_records_of_its_own(tmp_path, disk):
    first = project_store(tmp_path, records=disk)
    artifact = publish(first)
    first.use("records", artifact)
    shutil.copytree(tmp_path / "detector", tmp_path / "copy", symlinks=True)
    copy = project_store(tmp_path, "copy", records=disk)
    assert copy.find("records", fingerprint()) is None and copy.folders.own("records") == []
    assert publish(copy).folder.parent != artifact.folder.parent
    assert first.find("records", fingerprint()) == artifact


def test_a_project_on_another_machine_does_not_take_what_it_cannot_know_to_be_its_own(tmp_path, disk):
    first = project_store(tmp_path, records=disk)
    first.use("records", publish(first))
    (tmp_path / "detector").rename(tmp_path / "new")
    there = store_in(tmp_path / "new" / "build", f"there:{tmp_path}/new", records=disk)
    assert there.folders.own("records") == [] and len(first.folders.own("records")) == 1


def test_records_from_before_the_store_had_its_own_folder_are_left_alone(tmp_path, disk):
    old = disk / fingerprint()[:20]
    old.mkdir()
    (old / "record.json").write_text('{"format": 1, "files": {}}')
    (disk / f"work-{'c' * 20}").mkdir()
    (disk / ("d" * 20)).mkdir()
    store = project_store(tmp_path, records=disk)
    (store.build / "records").symlink_to(old)
    assert "made by an earlier Nanoforge" in store.linked("records").why
    assert store.folders.own("records") == []
    store.use("records", publish(store))
    assert (old / "record.json").exists()
    assert store.folders.of_earlier_versions() == [old, disk / f"work-{'c' * 20}"]


def test_what_is_empty_goes_and_the_users_folder_stays(tmp_path, disk):
    store = project_store(tmp_path, records=disk)
    artifact = publish(store)
    store.folders.drop_empty("records")
    assert artifact.folder.is_dir()
    shutil.rmtree(artifact.folder)
    store.folders.drop_empty("records")
    store.folders.drop_empty("train")
    assert sorted(os.listdir(disk)) == sorted(NAMES_OF_OTHERS)
