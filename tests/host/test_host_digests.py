"""Digests: equal contents give equal digests, and what was not touched is not read again."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanoforge.files import digests
from nanoforge.files.digests import YOUNG_NS, DigestCache, listing_digest, sha256_file, sha256_text
from nanoforge.files.selection import Selection, walk

OLD = 1_500_000_000


@pytest.fixture
def cache(tmp_path):
    made = DigestCache(tmp_path / "cache" / "digests.sqlite")
    yield made
    made.close()


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "photos"
    for name in ("a.jpg", "deep/b.JPG", "c.xml", ".hidden.jpg"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
        os.utime(path, (OLD, OLD))
    return root


@pytest.fixture
def aged(folder, monkeypatch):
    """The same folder, a minute after it was made: no call sets a file's ctime back."""
    now = digests.time.time_ns
    monkeypatch.setattr(digests.time, "time_ns", lambda: now() + 60_000_000_000)
    return folder


def count_reads(monkeypatch):
    read = []
    real = digests.sha256_file
    monkeypatch.setattr(digests, "sha256_file", lambda path: read.append(Path(path).name) or real(path))
    return read


def test_nothing_is_read_twice(aged, cache, monkeypatch):
    read = count_reads(monkeypatch)
    first = cache.folder_digest(aged)
    assert sorted(read) == ["a.jpg", "b.JPG", "c.xml"]
    assert cache.folder_digest(aged) == first
    assert len(read) == 3


def test_only_what_changed_is_read(aged, cache, monkeypatch):
    first = cache.folder_digest(aged)
    (aged / "a.jpg").write_text("other")
    os.utime(aged / "a.jpg", (OLD + 5, OLD + 5))
    read = count_reads(monkeypatch)
    assert cache.folder_digest(aged) != first
    assert read == ["a.jpg"]


def test_a_file_changed_within_the_clocks_tick_is_seen(folder, cache):
    """Same size, same mtime: a digest of so young a file must not have been remembered."""
    path = folder / "a.jpg"
    path.write_text("one")
    stat = path.stat()
    first = cache.folder_digest(folder)
    path.write_text("two")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert cache.folder_digest(folder) != first
    assert cache.listing(folder).files["a.jpg"] == sha256_text("two")


@pytest.mark.parametrize(("age_ns", "reads"), [(YOUNG_NS, 2), (YOUNG_NS + 1, 1), (-1, 2)])
def test_a_digest_is_remembered_once_the_file_is_old_enough(tmp_path, cache, monkeypatch, age_ns, reads):
    file = tmp_path / "file"
    file.write_text("x")
    monkeypatch.setattr(digests.time, "time_ns", lambda: file.stat().st_mtime_ns + age_ns)
    read = count_reads(monkeypatch)
    assert cache.folder_digest(file) == cache.folder_digest(file)
    assert read == ["file"] * reads


def test_a_young_file_does_not_keep_old_ones_from_being_remembered(aged, cache, monkeypatch):
    (aged / "young.jpg").write_text("young")
    in_a_minute = digests.time.time_ns()
    os.utime(aged / "young.jpg", ns=(in_a_minute, in_a_minute))
    cache.folder_digest(aged)
    read = count_reads(monkeypatch)
    cache.folder_digest(aged)
    assert read == ["young.jpg"]


def test_a_file_put_in_place_of_another_is_seen_by_its_inode(folder, cache):
    first = cache.folder_digest(folder)
    other = folder / ".other"
    other.write_text("A.JPG")
    os.utime(other, (OLD, OLD))
    os.replace(other, folder / "a.jpg")
    assert cache.folder_digest(folder) != first


def test_a_change_that_leaves_size_and_mtime_alone_is_seen_by_its_ctime(aged, cache):
    first = cache.folder_digest(aged)
    (aged / "a.jpg").write_text("A.JPG")
    os.utime(aged / "a.jpg", (OLD, OLD))
    assert cache.folder_digest(aged) != first


def test_a_moved_file_changes_the_digest(folder, cache):
    first = cache.folder_digest(folder)
    (folder / "c.xml").rename(folder / "d.xml")
    assert cache.folder_digest(folder) != first


def test_a_moved_folder_does_not(folder, cache):
    first = cache.folder_digest(folder)
    assert cache.folder_digest(folder.rename(folder.with_name("elsewhere"))) == first


def test_what_a_selection_leaves_out_does_not_count(folder, cache):
    first = cache.folder_digest(folder, Selection((".jpg",)))
    (folder / "c.xml").write_text("other")
    assert cache.folder_digest(folder, Selection((".jpg",))) == first
    assert list(cache.listing(folder, Selection((".xml",))).files) == ["c.xml"]


def test_inside_a_snapshot_a_folder_is_walked_once(folder, cache, monkeypatch):
    walks = []
    monkeypatch.setattr(digests, "walk", lambda *arguments: walks.append(arguments) or walk(*arguments))
    with cache.snapshot():
        first = cache.folder_digest(folder)
        assert cache.folder_digest(folder) == first and len(walks) == 1
        cache.folder_digest(folder, Selection((".jpg",)))
        assert len(walks) == 2
    cache.folder_digest(folder)
    assert len(walks) == 3


def test_a_snapshot_ends_with_an_error_too(folder, cache):
    with pytest.raises(KeyError), cache.snapshot():
        first = cache.folder_digest(folder)
        raise KeyError
    (folder / "more.jpg").write_text("more")
    assert cache.folder_digest(folder) != first


def test_digests_outlive_the_process(aged, tmp_path, monkeypatch):
    file = tmp_path / "kept.sqlite"
    before = DigestCache(file)
    first = before.folder_digest(aged)
    before.close()
    read = count_reads(monkeypatch)
    after = DigestCache(file)
    assert after.folder_digest(aged) == first and read == []
    after.close()


def test_a_cache_with_a_damaged_header_is_made_anew(folder, tmp_path):
    file = tmp_path / "damaged.sqlite"
    first = DigestCache(file)
    digest = first.folder_digest(folder)
    first.close()
    whole = file.read_bytes()
    file.write_bytes(b"\0" * 100 + whole[100:])
    cache = DigestCache(file)
    assert cache.folder_digest(folder) == digest
    cache.close()
    assert file.read_bytes()[:16] == b"SQLite format 3\0"


def test_a_file_that_is_not_a_cache_is_made_one(folder, tmp_path):
    file = tmp_path / "broken.sqlite"
    file.write_bytes(b"this is no database" * 100)
    cache = DigestCache(file)
    assert cache.folder_digest(folder) == cache.folder_digest(folder)
    cache.close()


@given(st.dictionaries(st.text(min_size=1, max_size=8), st.text(min_size=1, max_size=8), max_size=5))
def test_a_listing_digest_depends_on_the_set_only(files):
    turned = dict(reversed(list(files.items())))
    assert listing_digest(files) == listing_digest(turned)
    assert listing_digest({**files, "more": "0" * 64}) != listing_digest(files)


def test_digests_are_plain_sha256(tmp_path):
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    (tmp_path / "empty").touch()
    assert sha256_file(tmp_path / "empty") == sha256_text("") == listing_digest({}) == empty
    (tmp_path / "large").write_bytes(b"x" * (digests.CHUNK + 1))
    assert sha256_file(tmp_path / "large") == sha256_text("x" * (digests.CHUNK + 1))


def test_names_that_are_not_utf8_have_digests_too(tmp_path, cache):
    name = os.path.join(os.fsencode(tmp_path), b"\xff.jpg")
    with open(name, "wb") as stream:
        stream.write(b"x")
    os.utime(name, (OLD, OLD))
    for _ in ("read", "remembered"):
        assert list(cache.listing(tmp_path, Selection((".jpg",))).files) == ["\udcff.jpg"]
