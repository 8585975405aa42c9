"""Digests: equal contents give equal digests, and what was not touched is not read again."""

import os
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from host_files import write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nanoforge.files import digests
from nanoforge.files.digests import YOUNG_NS, DigestCache, listing_digest, sha256_file, sha256_text
from nanoforge.files.selection import Selection
from stages.files import rows

OLD = 1_500_000_000
NOW = time.time_ns


@pytest.fixture
def cache(tmp_path):
    return DigestCache(tmp_path / "cache", pytest.fail)


@pytest.fixture
def folder(tmp_path):
    return write_photos(tmp_path / "photos")


@pytest.fixture
def later(monkeypatch):
    """The files were written long ago, as far as the cache can tell."""
    monkeypatch.setattr(digests.time, "time_ns", lambda: NOW() + 10 * YOUNG_NS)


def write_photos(root, text=""):
    for name in ("a.jpg", "deep/b.JPG", "c.xml", ".hidden.jpg"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name + text)
        os.utime(path, (OLD, OLD))
    return root


def with_time_passed(call, *arguments):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digests.time, "time_ns", lambda: NOW() + 10 * YOUNG_NS)
        return call(*arguments)


def count_reads(monkeypatch):
    read = []
    real = digests.sha256_file
    monkeypatch.setattr(digests, "sha256_file", lambda path: read.append(Path(path).name) or real(path))
    return read


def test_nothing_is_read_twice(folder, cache, monkeypatch, later):
    read = count_reads(monkeypatch)
    first = cache.folder_digest(folder)
    assert sorted(read) == ["a.jpg", "b.JPG", "c.xml"]
    assert cache.folder_digest(folder) == first
    assert len(read) == 3


def test_only_what_changed_is_read(folder, cache, monkeypatch, later):
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
    assert dict(cache.listing(folder).files())["a.jpg"] == sha256_text("two")


@pytest.mark.parametrize(("age_ns", "reads"), [(YOUNG_NS, 2), (YOUNG_NS + 1, 1), (-1, 2)])
def test_a_digest_is_remembered_once_the_file_is_old_enough(tmp_path, cache, monkeypatch, age_ns, reads):
    file = tmp_path / "file"
    file.write_text("x")
    monkeypatch.setattr(digests.time, "time_ns", lambda: file.stat().st_mtime_ns + age_ns)
    read = count_reads(monkeypatch)
    assert cache.folder_digest(file) == cache.folder_digest(file)
    assert read == ["file"] * reads


def test_a_young_file_does_not_keep_old_ones_from_being_remembered(folder, cache, monkeypatch):
    young = folder / "young.jpg"
    young.write_text("young")
    clock = NOW() + 10 * YOUNG_NS
    os.utime(young, ns=(clock, clock))
    monkeypatch.setattr(digests.time, "time_ns", lambda: clock)
    cache.folder_digest(folder)
    read = count_reads(monkeypatch)
    cache.folder_digest(folder)
    assert read == ["young.jpg"]


def test_a_file_changed_behind_its_mtime_is_seen_by_its_ctime(folder, cache):
    first = with_time_passed(cache.folder_digest, folder)
    path = folder / "a.jpg"
    path.write_text("A.JPG")
    os.utime(path, (OLD, OLD))
    assert cache.folder_digest(folder) != first


def test_a_file_put_in_place_of_another_is_seen_by_its_inode(folder, cache):
    first = cache.folder_digest(folder)
    other = folder / ".other"
    other.write_text("A.JPG")
    os.utime(other, (OLD, OLD))
    os.replace(other, folder / "a.jpg")
    assert cache.folder_digest(folder) != first


def test_a_change_that_leaves_size_and_mtime_alone_is_seen_by_its_ctime(folder, cache, later):
    first = cache.folder_digest(folder)
    (folder / "a.jpg").write_text("A.JPG")
    os.utime(folder / "a.jpg", (OLD, OLD))
    assert cache.folder_digest(folder) != first


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
    assert [path for path, _ in cache.listing(folder, Selection((".xml",))).files()] == ["c.xml"]


def test_inside_a_snapshot_a_folder_is_walked_once(folder, cache, monkeypatch):
    walks = []
    monkeypatch.setattr(digests, "rows", lambda root, row: walks.append(root) or rows(root, row))
    with cache.snapshot():
        first = cache.folder_digest(folder)
        assert cache.folder_digest(folder) == cache.listing(folder).digest == first
        assert cache.folder_digest(folder, Selection((".jpg",))) != first and walks == [str(folder)]
    cache.folder_digest(folder)
    assert len(walks) > 1


def test_of_many_files_only_the_new_one_is_read_and_all_are_known_afterwards(tmp_path, cache, monkeypatch, later):
    names = [f"{number:03}.jpg" for number in range(100)]
    root = write(tmp_path / "many", *names)
    cache.folder_digest(root)
    for name, other in (("050-x.jpg", "050.jpg"), ("000-first.jpg", "000.jpg"), ("z.jpg", "099.jpg")):
        with monkeypatch.context() as patch:
            (root / other).rename(root / name)
            read = count_reads(patch)
            assert dict(cache.listing(root).files())[name] == sha256_text(other) and other not in read
            assert read == [name]


def test_the_extent_is_the_number_of_files_and_their_bytes(folder, cache):
    assert cache.extent(folder) == (3, len("a.jpg" + "deep/b.JPG" + "c.xml"))
    assert cache.extent(folder, Selection((".jpg",))) == (2, len("a.jpg" + "deep/b.JPG"))


def test_a_snapshot_ends_with_an_error_too(folder, cache):
    with pytest.raises(KeyError), cache.snapshot():
        first = cache.folder_digest(folder)
        raise KeyError
    (folder / "more.jpg").write_text("more")
    assert cache.folder_digest(folder) != first


def test_digests_outlive_the_process(folder, tmp_path, monkeypatch, later):
    first = DigestCache(tmp_path / "kept", pytest.fail).folder_digest(folder)
    read = count_reads(monkeypatch)
    assert DigestCache(tmp_path / "kept", pytest.fail).folder_digest(folder) == first and read == []


def remembered(tmp_path):
    return sorted((tmp_path / "cache").iterdir())


@given(data=st.data())
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damage_to_what_is_remembered_never_gives_a_wrong_digest(tmp_path_factory, data):
    """A flipped bit anywhere, even in a digest, and any cut: the files are read again, with one warning."""
    tmp_path = tmp_path_factory.mktemp("damaged")
    root = write_photos(tmp_path / "photos")
    warnings = []
    with_time_passed(DigestCache(tmp_path / "cache", warnings.append).folder_digest, root)
    right = DigestCache(tmp_path / "elsewhere", warnings.append).folder_digest(root)
    file = data.draw(st.sampled_from(remembered(tmp_path)))
    whole = bytearray(file.read_bytes())
    place = data.draw(st.integers(0, len(whole) - 1))
    if data.draw(st.booleans(), "cut"):
        del whole[place:]
    else:
        whole[place] ^= 1 << data.draw(st.integers(0, 7))
    file.write_bytes(whole)
    cache = DigestCache(tmp_path / "cache", warnings.append)
    assert with_time_passed(cache.folder_digest, root) == right and cache.listing(root).digest == right
    assert len(warnings) == 1 and "is damaged" in warnings[0] and str(file) in warnings[0]
    again = DigestCache(tmp_path / "cache", warnings.append)
    assert again.folder_digest(root) == again.listing(root).digest == right and len(warnings) == 1


def test_what_is_remembered_of_one_folder_does_not_stand_for_another(tmp_path):
    warnings = []
    root, other = write_photos(tmp_path / "photos"), write_photos(tmp_path / "other", "x")
    with_time_passed(DigestCache(tmp_path / "cache", warnings.append).listing, root)
    first = remembered(tmp_path)
    with_time_passed(DigestCache(tmp_path / "cache", warnings.append).listing, other)
    second = [file for file in remembered(tmp_path) if file not in first]
    for one, two in zip(first, second):
        one.replace(two)
    assert DigestCache(tmp_path / "cache", warnings.append).folder_digest(other) != sha256_text("")
    assert warnings and all("is damaged" in warning for warning in warnings)


def test_a_cache_that_cannot_be_written_costs_a_warning(folder, tmp_path, later):
    (tmp_path / "cache").write_text("a file where the folder should be")
    warnings = []
    cache = DigestCache(tmp_path / "cache", warnings.append)
    assert cache.folder_digest(folder) == DigestCache(tmp_path / "new", warnings.append).folder_digest(folder)
    assert {warning.split(" (")[0] for warning in warnings} >= {f"Digests cannot be kept in {tmp_path / 'cache'}"}


def digests_again_and_again(cache, root):
    return {DigestCache(cache, pytest.fail).folder_digest(root) for _ in range(20)}


def test_commands_beside_each_other_do_not_disturb_each_other(folder, tmp_path):
    with ProcessPoolExecutor(4) as pool:
        found = list(pool.map(digests_again_and_again, [tmp_path / "cache"] * 4, [folder] * 4))
    assert found == [{DigestCache(tmp_path / "cache", pytest.fail).folder_digest(folder)}] * 4


def test_what_was_removed_is_forgotten(folder, tmp_path, cache):
    with_time_passed(cache.listing, folder)
    size = sum(file.stat().st_size for file in remembered(tmp_path))
    (folder / "c.xml").unlink()
    with_time_passed(cache.listing, folder)
    assert sum(file.stat().st_size for file in remembered(tmp_path)) < size


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


def test_names_that_are_not_utf8_have_digests_too(folder, cache, later):
    with open(os.path.join(os.fsencode(folder), b"\xff.jpg"), "wb") as stream:
        stream.write(b"x")
    for _ in ("read", "remembered"):
        assert cache.folder_digest(folder) == cache.listing(folder).digest
        assert "\udcff.jpg" in dict(cache.listing(folder, Selection((".jpg",))).files())
