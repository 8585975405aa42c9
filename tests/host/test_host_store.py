"""The store without a pipeline: publishing, finding, damage, the link to what is used, leftovers and provenance."""

import json
import os
from pathlib import Path

import pytest

from nanoforge.files.digests import listing_digest, sha256_text
from nanoforge.store.provenance import statement
from nanoforge.store.store import FOLDER_DIGITS, PROVENANCE, RECORD, Store, discard

FINGERPRINT, OTHER = "a" * 64, "b" * 64

HOW = {
    "recipe": {
        "parameters": {"seed": 4},
        "inputs": {"photos": "1" * 64},
        "code": {"stages/data/records.py": "2" * 64},
        "locks": {"docker/data/requirements.lock": "3" * 64},
    },
    "environment": "data",
    "tools": {"python": "3.11"},
    "runner": "local",
    "started": "2026-11-27T23:59:58Z",
    "seconds": 3.2,
    "metrics": {"images": 3},
}


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "build", {})


def output(store: Store, fingerprint: str = FINGERPRINT, stage: str = "records", **files: str) -> Path:
    """A work folder as a stage leaves it."""
    folder = store.work_folder(stage, fingerprint)
    for name, text in (files or {"a_txt": "one", "deep__b_txt": "two"}).items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def publish(store: Store, fingerprint: str = FINGERPRINT, stage: str = "records", **files: str):
    return store.publish(output(store, fingerprint, stage, **files), stage, fingerprint, HOW)


def test_an_artifact_stands_under_its_fingerprint_with_its_record(store):
    artifact = publish(store)
    assert artifact.folder == store.build / "store" / "records" / FINGERPRINT[:FOLDER_DIGITS]
    assert not store.work_folder("records", FINGERPRINT).exists()
    assert json.loads((artifact.folder / RECORD).read_text()) == artifact.record
    assert {key: artifact.record[key] for key in HOW} == HOW
    assert (artifact.record["stage"], artifact.record["fingerprint"]) == ("records", FINGERPRINT)
    assert list(artifact.record["files"]) == ["a.txt", "deep/b.txt"]
    assert artifact.record["files"]["a.txt"]["sha256"] == sha256_text("one")
    assert (artifact.recipe, artifact.metrics) == (HOW["recipe"], HOW["metrics"])


def test_an_artifact_is_found_by_its_fingerprint_only(store):
    artifact = publish(store)
    assert store.find("records", FINGERPRINT) == artifact
    assert store.find("records", OTHER) is None and store.find("train", FINGERPRINT) is None


def test_the_digest_is_that_of_the_contents(store):
    one, same, other = publish(store), publish(store, OTHER), publish(store, "c" * 64, a_txt="three")
    assert one.digest == same.digest == listing_digest({"a.txt": sha256_text("one"), "deep/b.txt": sha256_text("two")})
    assert other.digest != one.digest


def test_files_become_read_only(store):
    artifact = publish(store)
    assert all((artifact.folder / name).stat().st_mode & 0o777 == 0o444 for name in artifact.record["files"])


def test_publishing_again_takes_the_place_of_the_old_artifact_whole(store):
    publish(store)
    artifact = publish(store, a_txt="new")
    assert store.find("records", FINGERPRINT) == artifact
    assert sorted(os.listdir(artifact.folder)) == ["a.txt", PROVENANCE, RECORD]
    assert os.listdir(artifact.folder.parent) == [artifact.folder.name]


def test_a_crash_while_publishing_leaves_no_artifact(store, monkeypatch):
    monkeypatch.setattr("nanoforge.store.store.os.rename", lambda *_paths: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        publish(store)
    assert store.find("records", FINGERPRINT) is None


def touch(file: Path, text: str) -> None:
    os.chmod(file, 0o644)
    file.write_text(text)


def keep_times(file: Path, text: str) -> None:
    before = file.stat()
    touch(file, text)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda folder: (folder / "a.txt").unlink(), "a.txt is missing"),
        (lambda folder: touch(folder / "a.txt", "three"), "a.txt is not what was published"),
        (lambda folder: touch(folder / "deep" / "b.txt", "TWO"), "deep/b.txt is not what was published"),
        (lambda folder: (folder / "more.txt").touch(), "more.txt does not belong to it"),
        (lambda folder: touch(folder / "a.txt", "one"), None),
        (lambda folder: (folder / ".hidden").touch(), None),
        (lambda folder: None, None),
    ],
)
def test_damage_is_named(store, harm, words):
    artifact = publish(store)
    harm(artifact.folder)
    assert store.damage(artifact, thorough=False) == words
    assert store.damage(artifact, thorough=True) == words


def test_rot_that_keeps_size_and_time_is_found_where_every_file_is_read(store):
    artifact = publish(store)
    keep_times(artifact.folder / "a.txt", "eno")
    assert store.damage(artifact, thorough=False) is None
    assert store.damage(artifact, thorough=True) == "a.txt is not what was published"


def test_what_is_used_is_a_link_that_survives_a_move(store, tmp_path):
    assert store.latest("records") is None
    first, second = publish(store), publish(store, OTHER)
    store.use("records", first)
    assert store.latest("records") == first
    store.use("records", second)
    store.use("records", second)
    assert store.latest("records") == second
    assert sorted(os.listdir(store.build)) == ["records", "store"]
    moved = Store(store.build.rename(tmp_path / "moved"), {})
    assert moved.latest("records").record == second.record


def test_a_link_that_was_left_half_made_is_no_obstacle(store):
    artifact = publish(store)
    (store.build / ".records.link").symlink_to("gone")
    store.use("records", artifact)
    assert store.latest("records") == artifact


def test_what_a_link_leads_to_may_be_gone(store):
    artifact = publish(store)
    store.use("records", artifact)
    discard(artifact.folder)
    assert store.latest("records") is None


@pytest.mark.parametrize("record", ["", "{", "[]", "{}", '{"format": 0, "files": {}}', '{"format": 1, "files": null}'])
def test_a_folder_without_a_record_that_can_be_read_is_a_leftover(store, record):
    artifact = publish(store)
    touch(artifact.folder / RECORD, record)
    assert store.find("records", FINGERPRINT) is None
    assert list(store.artifacts()) == []
    assert store.leftovers() == [artifact.folder]


def test_a_work_folder_is_a_leftover_and_no_artifact(store):
    artifact = publish(store)
    work = output(store, OTHER)
    assert list(store.artifacts()) == [artifact]
    assert store.leftovers() == [work]


def test_an_empty_store_holds_nothing(store):
    assert list(store.artifacts()) == [] and store.leftovers() == []


def test_a_stages_artifacts_can_be_elsewhere(tmp_path):
    store = Store(tmp_path / "build", {"records": tmp_path / "disk"})
    store.build.mkdir()
    records, train = publish(store), publish(store, stage="train")
    store.use("records", records)
    assert records.folder.parent == tmp_path / "disk" == store.work_folder("records", OTHER).parent
    assert os.readlink(store.build / "records") == str(records.folder)
    assert store.latest("records") == records
    assert list(store.artifacts()) == [train, records]


def test_discarding_removes_a_folder_with_read_only_files(store):
    artifact = publish(store)
    discard(artifact.folder)
    assert os.listdir(artifact.folder.parent) == []


def test_a_folder_that_is_being_discarded_is_no_longer_an_artifact_under_its_name(store, monkeypatch):
    artifact = publish(store)
    monkeypatch.setattr("nanoforge.store.store.shutil.rmtree", lambda _folder: None)
    discard(artifact.folder)
    assert store.find("records", FINGERPRINT) is None
    assert os.listdir(artifact.folder.parent) == [f".discarded-{artifact.folder.name}-{os.getpid()}"]


def test_the_provenance_is_an_in_toto_statement_with_slsa_provenance(store):
    artifact = publish(store)
    found = json.loads((artifact.folder / PROVENANCE).read_text())
    assert found == statement(artifact.record)
    assert found["_type"] == "https://in-toto.io/Statement/v1"
    assert found["predicateType"] == "https://slsa.dev/provenance/v1"
    assert found["subject"] == [
        {"name": "a.txt", "digest": {"sha256": sha256_text("one")}},
        {"name": "deep/b.txt", "digest": {"sha256": sha256_text("two")}},
    ]
    assert found["predicate"] == {
        "buildDefinition": {
            "buildType": "urn:nanoforge:stage:v1",
            "externalParameters": {"stage": "records", "parameters": {"seed": 4}},
            "internalParameters": {"environment": "data", "tools": {"python": "3.11"}},
            "resolvedDependencies": [
                {"uri": "file:docker/data/requirements.lock", "digest": {"sha256": "3" * 64}},
                {"uri": "file:stages/data/records.py", "digest": {"sha256": "2" * 64}},
                {"uri": "urn:nanoforge:input:photos", "digest": {"sha256": "1" * 64}},
            ],
        },
        "runDetails": {
            "builder": {"id": "urn:nanoforge:runner:local"},
            "metadata": {
                "invocationId": FINGERPRINT,
                "startedOn": "2026-11-27T23:59:58Z",
                "finishedOn": "2026-11-28T00:00:01Z",
            },
        },
    }


def test_the_image_of_a_container_is_a_dependency(store):
    how = {**HOW, "recipe": {**HOW["recipe"], "image": "sha256:" + "4" * 64}}
    artifact = store.publish(output(store), "records", FINGERPRINT, how)
    dependencies = statement(artifact.record)["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert {"uri": "urn:nanoforge:image", "digest": {"sha256": "4" * 64}} in dependencies


def test_an_artifact_can_be_read_by_every_user_whatever_the_umask(store):
    """A later stage may run as another user, who is given the artifact's folder."""
    before = os.umask(0o077)
    try:
        artifact = publish(store)
    finally:
        os.umask(before)
    modes = {
        path.relative_to(artifact.folder).as_posix(): path.stat().st_mode & 0o777 for path in artifact.folder.rglob("*")
    }
    assert artifact.folder.stat().st_mode & 0o777 == 0o755
    assert modes == {"a.txt": 0o444, "deep": 0o755, "deep/b.txt": 0o444, RECORD: 0o644, PROVENANCE: 0o644}
