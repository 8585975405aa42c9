"""The store without a pipeline: publishing, finding, damage, the link to what is used, and provenance."""

import json
import os
import shutil
from pathlib import Path

import pytest
from host_store import fingerprint, how, output, publish, store_in

from nanoforge.errors import BadInput
from nanoforge.files import digests
from nanoforge.files.digests import listing_digest, sha256_text
from nanoforge.store.folders import discard
from nanoforge.store.provenance import statement
from nanoforge.store.record import FOLDER_DIGITS, PROVENANCE, RECORD


@pytest.fixture
def store(tmp_path):
    return store_in(tmp_path / "build")


def test_an_artifact_stands_under_its_fingerprint_with_its_record(store):
    artifact = publish(store)
    assert artifact.folder == store.build / "store" / "records" / fingerprint()[:FOLDER_DIGITS]
    assert os.listdir(artifact.folder.parent) == [artifact.folder.name]
    assert json.loads((artifact.folder / RECORD).read_text()) == artifact.record
    assert {key: artifact.record[key] for key in how()} == how()
    assert (artifact.record["stage"], artifact.record["fingerprint"]) == ("records", fingerprint())
    assert list(artifact.record["files"]) == ["a.txt", "deep/b.txt"]
    assert artifact.record["files"]["a.txt"]["sha256"] == sha256_text("one")
    assert (artifact.recipe, artifact.metrics) == (how()["recipe"], how()["metrics"])


def test_an_artifact_is_found_by_its_fingerprint_only(store):
    artifact = publish(store)
    assert store.find("records", fingerprint()) == artifact
    assert store.find("records", fingerprint(seed=5)) is None and store.find("train", fingerprint()) is None


def test_the_digest_is_that_of_the_contents(store):
    one, same, other = publish(store), publish(store, seed=1), publish(store, seed=2, files={"a.txt": "three"})
    assert one.digest == same.digest == listing_digest({"a.txt": sha256_text("one"), "deep/b.txt": sha256_text("two")})
    assert other.digest != one.digest


def test_how_records_came_to_be_is_kept_and_makes_nothing_after_them_stale(store):
    told = {"a.txt": "one", "made.jsonl": "of this"}
    one, other = publish(store, files=told), publish(store, seed=2, files={**told, "made.jsonl": "of that"})
    assert one.digest == other.digest == listing_digest({"a.txt": sha256_text("one")})
    assert one.record["files"]["made.jsonl"]["sha256"] == sha256_text("of this")
    os.chmod(one.folder / "made.jsonl", 0o644)
    (one.folder / "made.jsonl").write_text("of what")
    assert "made.jsonl" in str(store.damage(one, thorough=True))


def test_files_become_read_only(store):
    artifact = publish(store)
    for name in (*artifact.record["files"], RECORD, PROVENANCE):
        assert (artifact.folder / name).stat().st_mode & 0o777 == 0o444


def test_publishing_again_takes_the_place_of_the_old_artifact_whole(store):
    publish(store)
    artifact = publish(store, files={"a.txt": "new"})
    assert store.find("records", fingerprint()) == artifact
    assert sorted(os.listdir(artifact.folder)) == ["a.txt", PROVENANCE, RECORD]
    assert os.listdir(artifact.folder.parent) == [artifact.folder.name]


def test_what_was_published_and_what_is_used_outlives_a_power_cut(store, monkeypatch):
    """Contents are on the disk before the rename, and the new names after it."""
    done = []
    rename, replace = os.rename, os.replace
    monkeypatch.setattr(os, "fsync", lambda number: done.append(os.readlink(f"/proc/self/fd/{number}")))
    monkeypatch.setattr(os, "rename", lambda *paths: (done.append("rename"), rename(*paths)))
    monkeypatch.setattr(os, "replace", lambda *paths: (done.append("replace"), replace(*paths)))
    artifact = publish(store)
    store.use("records", artifact)
    at = done.index("rename")
    work = str(store.work_folder("records", fingerprint()) / "output")
    assert {f"{work}/{name}" for name in ("a.txt", "deep/b.txt", RECORD, PROVENANCE)} < set(done[:at])
    assert str(artifact.folder.parent) in done[at:]
    assert done[-2:] == ["replace", str(store.build)]


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
        (lambda folder: keep_times(folder / "a.txt", "eno"), "a.txt is not what was published"),
        (lambda folder: (folder / "more.txt").touch(), "more.txt does not belong to it"),
        (lambda folder: touch(folder / PROVENANCE, "{}"), "provenance.json is not what was written"),
        (lambda folder: (folder / PROVENANCE).unlink(), "provenance.json is not what was written"),
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


def test_every_damage_can_be_had_and_every_file_is_told(store):
    artifact = publish(store)
    touch(artifact.folder / "a.txt", "two")
    (artifact.folder / "deep/b.txt").unlink()
    told = []
    damages = list(store.damages(artifact, thorough=True, on_read=lambda path, size: told.append((path, size))))
    assert damages == ["a.txt is not what was published", "deep/b.txt is missing"]
    assert told == [("a.txt", 3)]


def rot(artifact, monkeypatch):
    """The disk gives other bytes, and nothing else tells: as if the record had been written of this very file."""
    real = digests.sha256_file
    flipped = artifact.folder / "a.txt"
    monkeypatch.setattr(
        "nanoforge.store.store.sha256_file", lambda path: "0" * 64 if Path(path) == flipped else real(path)
    )


def test_rot_that_no_time_tells_of_is_found_where_every_file_is_read(store, monkeypatch):
    artifact = publish(store)
    rot(artifact, monkeypatch)
    assert store.damage(artifact, thorough=False) is None
    assert store.damage(artifact, thorough=True) == "a.txt is not what was published"


def test_what_was_not_touched_is_not_read_and_what_was_is_read_once(store, monkeypatch):
    artifact = publish(store)
    read = []
    real = digests.sha256_file
    monkeypatch.setattr(digests, "sha256_file", lambda path: read.append(Path(path).name) or real(path))
    assert store.damage(artifact, thorough=False) is None and read == []
    shutil.copytree(artifact.folder, artifact.folder.with_name("copy"))
    shutil.rmtree(artifact.folder)
    artifact.folder.with_name("copy").rename(artifact.folder)
    now = digests.time.time_ns
    monkeypatch.setattr(digests.time, "time_ns", lambda: now() + 60_000_000_000)
    assert store.damage(artifact, thorough=False) is None and sorted(read) == ["a.txt", "b.txt"]
    assert store.damage(artifact, thorough=False) is None and len(read) == 2


def test_what_is_used_is_a_link_that_survives_a_move(store, tmp_path):
    assert store.latest("records") is None
    first, second = publish(store), publish(store, seed=5)
    store.use("records", first)
    assert store.latest("records") == first
    store.use("records", second)
    store.use("records", second)
    assert store.latest("records") == second
    assert sorted(os.listdir(store.build)) == ["records", "store"]
    moved = store_in(store.build.rename(tmp_path / "moved"))
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
    store.forget_lost("records")
    assert not (store.build / "records").is_symlink()


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch])
def test_what_stands_where_a_link_belongs_is_named_and_stays(store, make):
    artifact = publish(store)
    make(store.build / "records")
    for attempt in (lambda: store.prepare(["records"]), lambda: store.use("records", artifact)):
        with pytest.raises(BadInput, match="build/records is no link of Nanoforge's"):
            attempt()
    assert (store.build / "records").exists()


def test_a_work_folder_is_no_artifact(store):
    work = output(store, seed=5).parent
    (work / RECORD).write_text("{}")
    (store.build / "records").symlink_to(os.path.relpath(work, store.build))
    assert store.linked("records") is None


def test_discarding_removes_a_folder_with_read_only_files(store):
    artifact = publish(store)
    discard(artifact.folder)
    assert os.listdir(artifact.folder.parent) == []


def test_what_could_not_be_removed_whole_is_nothing_under_its_name_and_goes_with_the_next_command(store, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("nanoforge.store.folders.shutil.rmtree", lambda _folder: None)
        for seed in (4, 4):
            output(store).parent.mkdir(exist_ok=True)
            artifact = store.publish(output(store), how(seed=seed))
            discard(artifact.folder)
            assert store.find("records", fingerprint()) is None
    names = [path.name for path in store.folders.own("records")]
    assert names[:2] == [f".discarded-{artifact.folder.name}-{number}" for number in (1, 2)]
    store.prepare(["records"])
    assert [path.name for path in store.folders.own("records")] == names[2:]


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
                "invocationId": fingerprint(),
                "startedOn": "2026-11-27T23:59:58Z",
                "finishedOn": "2026-11-28T00:00:01Z",
            },
        },
    }


def test_the_image_of_a_container_is_a_dependency(store):
    described = how()
    described["recipe"]["image"] = "sha256:" + "4" * 64
    artifact = store.publish(output(store), described)
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
    assert modes == {"a.txt": 0o444, "deep": 0o755, "deep/b.txt": 0o444, RECORD: 0o444, PROVENANCE: 0o444}
