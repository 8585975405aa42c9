"""Files that appear at once, the walk that selects them, and listings that name what changed."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from host_files import write
from hypothesis import given, settings
from hypothesis import strategies as st

from nanoforge.files import atomic
from nanoforge.files.listings import NAMED_FILES, changed_files, save_listing
from nanoforge.files.selection import ALL_FILES, FileStat, Selection, walk

CLONE = Path(__file__).resolve().parents[2]


class Crash(Exception):
    pass


def test_a_file_is_written_with_the_folders_it_needs(tmp_path):
    path = tmp_path / "deep" / "down" / "note.json"
    atomic.write_json(path, {"a": [1, None, "고양이"]})
    assert json.loads(path.read_text(encoding="utf-8")) == {"a": [1, None, "고양이"]}
    assert os.listdir(path.parent) == ["note.json"]


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_a_text_is_written_as_it_is(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("atomic") / "text"
    atomic.write_text(path, text)
    assert path.read_bytes() == text.encode("utf-8")


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with atomic.replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.parent == tmp_path and str(os.getpid()) in temporary.name
    assert path.read_text() == "new"


@pytest.mark.parametrize("error", [Crash, KeyboardInterrupt])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(error), atomic.replacing(path) as temporary:
        temporary.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_write_that_fails_before_it_began_leaves_nothing(tmp_path):
    with pytest.raises(Crash), atomic.replacing(tmp_path / "file"):
        raise Crash
    assert os.listdir(tmp_path) == []


def test_a_target_that_cannot_be_replaced_leaves_no_temporary_file(tmp_path):
    (tmp_path / "folder" / "inside").mkdir(parents=True)
    with pytest.raises(OSError):
        atomic.write_text(tmp_path / "folder", "text")
    assert os.listdir(tmp_path) == ["folder"]


def test_a_value_that_is_not_json_leaves_the_old_file(tmp_path):
    path = tmp_path / "note.json"
    atomic.write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        atomic.write_json(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1}
    assert os.listdir(tmp_path) == ["note.json"]


# A process that begins to replace a file and is killed; what another one does is seen from here.
BEGUN = """
import os, sys
from pathlib import Path
from nanoforge.files import atomic
with atomic.replacing(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    print("begun", flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_process_left_is_removed_by_the_next_and_what_a_living_one_writes_is_not(tmp_path):
    path = tmp_path / "file"
    (tmp_path / ".file.old").write_text("the user's own")
    killed, alive = (begin(path) for _ in range(2))
    killed.kill()
    killed.wait()
    (tmp_path / ".file.4194000").write_text("of an earlier version")
    assert len(os.listdir(tmp_path)) == 4
    atomic.write_text(path, "new")
    left = {*os.listdir(tmp_path)} - {"file", ".file.old"}
    assert [name.split(".")[2] for name in left] == [str(alive.pid)]
    alive.communicate()
    assert path.read_text() == "half" and sorted(os.listdir(tmp_path)) == [".file.old", "file"]


def begin(path):
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", BEGUN, str(path)], cwd=CLONE, stdin=pipe, stdout=pipe, text=True)
    assert process.stdout.readline() == "begun\n"
    return process


def test_the_folder_is_brought_to_the_disk_too(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.readlink(f"/proc/self/fd/{descriptor}")))
    atomic.write_text(tmp_path / "file", "text")
    assert [Path(path).parent for path in synced] == [tmp_path, tmp_path.parent]


def paths(root: Path, selection: Selection = ALL_FILES):
    return [stat.path for stat in walk(root, selection)]


def test_a_walk_leaves_hidden_files_and_folders_out(tmp_path):
    root = write(tmp_path / "photos", "a.jpg", ".a.jpg", ".git/b.jpg", "deep/.c.jpg", "deep/d.jpg")
    assert paths(root) == ["a.jpg", "deep/d.jpg"]


def test_a_walk_selects_by_suffix_in_any_case_and_by_prefix_as_it_is(tmp_path):
    root = write(
        tmp_path / "files", "a.jpg", "deep/b.JPG", "c.jpeg", "jpg", "model.ckpt-5.index", "model.ckpt-50.index"
    )
    assert paths(root, Selection((".jpg",))) == ["a.jpg", "deep/b.JPG"]
    assert paths(root, Selection((".jpg", ".jpeg"))) == ["a.jpg", "c.jpeg", "deep/b.JPG"]
    assert paths(root, Selection(prefix="model.ckpt-5.")) == ["model.ckpt-5.index"]
    assert paths(root, Selection((".index",), "Model")) == []


def test_a_walk_follows_links_and_takes_what_they_lead_to(tmp_path):
    disk = write(tmp_path / "disk", "photos/a.jpg", "b.jpg")
    root = write(tmp_path / "root", "c.jpg")
    (root / "folder").symlink_to(disk / "photos")
    (root / "file.jpg").symlink_to(disk / "b.jpg")
    (root / "broken.jpg").symlink_to(disk / "gone.jpg")
    found = {stat.path: stat for stat in walk(root)}
    assert list(found) == ["c.jpg", "file.jpg", "folder/a.jpg"]
    assert found["file.jpg"].inode == (disk / "b.jpg").stat().st_ino


def test_a_walk_takes_regular_files_only(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    assert paths(tmp_path) == []


def test_a_walk_of_a_file_is_that_file_whatever_is_selected(tmp_path):
    file = write(tmp_path, "graph.pb") / "graph.pb"
    stat = file.stat()
    assert walk(file, Selection((".jpg",))) == [
        FileStat("graph.pb", 8, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
    ]


def test_a_walk_of_nothing_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        walk(tmp_path / "gone")


OLD, NEW = "1" * 64, "2" * 64


def changes(build, old, new):
    """What is said of two listings, given as path -> digest."""
    for digest, files in ((OLD, old), (NEW, new)):
        save_listing(build, digest, sorted(files.items()))
    return changed_files(build, OLD, NEW)


def test_changes_are_named_by_kind_the_first_few_of_each(tmp_path):
    old = {"a": "1", "b": "1", "c": "1"}
    assert changes(tmp_path / "1", old, {"a": "1", "b": "2", "d": "1"}) == "1 added (d); 1 removed (c); 1 changed (b)"
    many = {str(number): "1" for number in range(NAMED_FILES + 1)}
    assert changes(tmp_path / "2", {}, many) == "6 added (0, 1, 2, 3, 4, …)"
    assert changes(tmp_path / "3", old, old) == ""


NAMES = st.text(st.sampled_from("ab/. \n\t\udcff고"), min_size=1, max_size=4)


@settings(deadline=None, max_examples=50)
@given(*[st.dictionaries(NAMES, st.sampled_from("123"), max_size=6)] * 2)
def test_every_change_is_counted_whatever_the_names_are(tmp_path_factory, old, new):
    kinds = {
        "added": new.keys() - old.keys(),
        "removed": old.keys() - new.keys(),
        "changed": {name for name in old.keys() & new.keys() if old[name] != new[name]},
    }
    said = changes(tmp_path_factory.mktemp("build"), old, new)
    assert re.findall(r"(?:^|; )(\d) ([a-z]+) \(", said) == [(str(len(c)), kind) for kind, c in kinds.items() if c]


def test_of_what_was_never_noted_nothing_is_said(tmp_path):
    save_listing(tmp_path, OLD, [("a", "1")])
    for pair in ((OLD, NEW), (NEW, OLD), (None, OLD), (OLD, None)):
        assert changed_files(tmp_path, *pair) is None


@settings(deadline=None, max_examples=50)
@given(st.data())
def test_a_damaged_listing_is_none_and_is_made_again(tmp_path_factory, data):
    build, files = tmp_path_factory.mktemp("build"), {"a.jpg": "x", "b.jpg": "y"}
    save_listing(build, OLD, sorted(files.items()))
    (file,) = (build / "cache" / "listings").iterdir()
    whole = bytearray(file.read_bytes())
    place = data.draw(st.integers(0, len(whole) - 1))
    if data.draw(st.booleans(), "cut"):
        del whole[place:]
    else:
        whole[place] ^= data.draw(st.integers(1, 255))
    file.write_bytes(whole)
    save_listing(build, NEW, [])
    assert changed_files(build, OLD, NEW) is None
    assert changes(build, files, {}) == "2 removed (a.jpg, b.jpg)"
