"""An artifact is what was asked for only if its record says so, and a record only what was written."""

import copy
import json
import os

import pytest
from host_store import fingerprint, publish, store_in
from hypothesis import given
from hypothesis import strategies as st

from nanoforge.files.digests import json_digest
from nanoforge.store.record import FOLDER_DIGITS, PROVENANCE, RECORD, UnusableRecord, read_record
from nanoforge.store.store import UnusableArtifact


@pytest.fixture
def store(tmp_path):
    return store_in(tmp_path / "build")


def write(folder, text):
    file = folder / RECORD
    if file.exists():
        os.chmod(file, 0o644)
    file.write_text(text)


def test_two_artifacts_that_changed_places_are_both_refused(store):
    one, other = publish(store), publish(store, seed=5, files={"a.txt": "other"})
    aside = one.folder.with_name("aside")
    one.folder.rename(aside)
    other.folder.rename(one.folder)
    aside.rename(other.folder)
    for seed in (4, 5):
        assert store.find("records", fingerprint(seed=seed)) is None
        assert "another artifact" in store.unusable("records", fingerprint(seed=seed)).why


def test_an_artifact_of_another_stage_is_refused(store):
    artifact = publish(store, "train")
    place = store.folders.of("records") / artifact.folder.name
    place.parent.mkdir()
    artifact.folder.rename(place)
    store.build.joinpath("records").symlink_to(f"store/records/{place.name}")
    assert "another artifact" in store.linked("records").why
    assert store.latest("records") is None


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"format": 2, "files": null}', "[" * 100_000, "\udcff"])
def test_what_is_no_record_is_refused_in_words(store, text):
    artifact = publish(store)
    os.chmod(artifact.folder / RECORD, 0o644)
    (artifact.folder / RECORD).write_bytes(text.encode("utf-8", "surrogateescape"))
    found = store.unusable("records", fingerprint())
    assert found.folder == artifact.folder and found.why.startswith("is damaged: record.json ")


def test_a_folder_without_a_record_is_refused(store):
    artifact = publish(store)
    (artifact.folder / RECORD).unlink()
    assert store.unusable("records", fingerprint()).why == "is damaged: record.json is missing"


def test_a_record_of_an_earlier_nanoforge_is_refused_in_its_own_words(store):
    artifact = publish(store)
    files = {
        path: {key: entry[key] for key in ("size", "mtime_ns", "sha256")}
        for path, entry in artifact.record["files"].items()
    }
    older = {**artifact.record, "format": 1, "files": files}
    del older["record_digest"], older["provenance_digest"]
    write(artifact.folder, json.dumps(older))
    found = store.unusable("records", fingerprint())
    assert "was made by an earlier Nanoforge" in found.why and "damaged" not in found.why


def test_a_record_of_a_later_nanoforge_is_refused_in_its_own_words(store):
    artifact = publish(store)
    later = {**artifact.record, "format": 3, "more": "of it"}
    del later["record_digest"]
    write(artifact.folder, json.dumps({**later, "record_digest": json_digest(later)}))
    assert "was made by another Nanoforge" in store.unusable("records", fingerprint()).why


def places(value, path=()):
    """The path of every value below a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from places(inner, (*path, key))


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    return publish(store_in(tmp_path_factory.mktemp("store") / "build"))


@given(st.data())
def test_whatever_is_changed_in_a_record_it_is_refused(published, data):
    changed = copy.deepcopy(published.record)
    *parents, key = data.draw(st.sampled_from(list(places(changed))))
    holder = changed
    for parent in parents:
        holder = holder[parent]
    before = holder[key]
    if data.draw(st.booleans()):
        del holder[key]
    else:
        holder[key] = data.draw(ANYTHING)
        same = json.dumps(holder[key]) == json.dumps(before)
        if same:
            return
    write(published.folder, json.dumps(changed))
    with pytest.raises(UnusableRecord, match="damaged"):
        read_record(published.folder, "records")


@given(st.data())
def test_even_a_sealed_record_of_other_types_is_refused(published, data):
    """As another version of Nanoforge might write it: nobody who reads an artifact's record meets a surprise."""
    changed = copy.deepcopy(published.record)
    del changed["record_digest"]
    *parents, key = data.draw(st.sampled_from(list(places(changed))))
    holder = changed
    for parent in parents:
        holder = holder[parent]
    holder[key] = data.draw(ANYTHING)
    changed["record_digest"] = json_digest(changed)
    write(published.folder, json.dumps(changed))
    try:
        record = read_record(published.folder, "records")
    except UnusableRecord:
        return
    assert isinstance(record["metrics"], dict) and isinstance(record["warnings"], list)
    assert all(isinstance(entry["sha256"], str) for entry in record["files"].values())


def test_the_place_of_an_unusable_artifact_is_taken_by_the_next_one(store):
    artifact = publish(store)
    write(artifact.folder, "{")
    assert isinstance(store.unusable("records", fingerprint()), UnusableArtifact)
    again = publish(store)
    assert store.find("records", fingerprint()) == again
    assert os.listdir(again.folder.parent) == [fingerprint()[:FOLDER_DIGITS]]


@pytest.mark.parametrize("name", [RECORD, PROVENANCE])
def test_a_pipe_in_place_of_a_record_is_damage_and_never_waited_for(store, name):
    artifact = publish(store)
    (artifact.folder / name).unlink()
    os.mkfifo(artifact.folder / name)
    found = store.find("records", fingerprint())
    assert found is None or store.damage(found, thorough=False)


@pytest.mark.parametrize("name", [RECORD, PROVENANCE, "a.txt"])
def test_a_file_that_became_endless_is_damage_and_not_read(store, name):
    artifact = publish(store)
    os.chmod(artifact.folder / name, 0o644)
    os.truncate(artifact.folder / name, 1 << 42)
    found = store.find("records", fingerprint())
    assert found is None or store.damage(found, thorough=True)
