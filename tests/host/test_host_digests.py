"""Digests: equal contents give equal digests, and what was not touched is not read again."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanoforge.files import digests
from nanoforge.files.digests import DigestCache, listing_digest
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


def count_reads(monkeypatch):
    read = []
    real = digests.sha256_file
    monkeypatch.setattr(digests, "sha256_file", lambda path: read.append(Path(path).name) or real(path))
    return read


def test_a_walk_selects_by_suffix_and_leaves_hidden_files_out(folder):
    assert [stat.path for stat in walk(folder, Selection((".jpg",)))] == ["a.jpg", "deep/b.JPG"]


def test_nothing_is_read_twice(folder, cache, monkeypatch):
    read = count_reads(monkeypatch)
    first = cache.folder_digest(folder)
    assert sorted(read) == ["a.jpg", "b.JPG", "c.xml"]
    assert cache.folder_digest(folder) == first
    assert len(read) == 3


def test_only_what_changed_is_read(folder, cache, monkeypatch):
    first = cache.folder_digest(folder)
    (folder / "a.jpg").write_text("other")
    os.utime(folder / "a.jpg", (OLD + 5, OLD + 5))
    read = count_reads(monkeypatch)
    assert cache.folder_digest(folder) != first
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


def test_a_damaged_cache_is_made_anew(folder, tmp_path):
    file = tmp_path / "broken.sqlite"
    file.write_bytes(b"this is no database" * 100)
    cache = DigestCache(file)
    assert cache.folder_digest(folder)
    cache.close()


@given(st.dictionaries(st.text(min_size=1, max_size=8), st.text(min_size=1, max_size=8), max_size=5))
def test_a_listing_digest_depends_on_the_set_only(files):
    turned = dict(reversed(list(files.items())))
    assert listing_digest(files) == listing_digest(turned)
    assert listing_digest({**files, "more": "0" * 64}) != listing_digest(files)
