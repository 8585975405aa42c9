"""Which files count: links followed, every folder once, nothing opened but files, and what is left out is told."""

import contextlib
import os
import socket
import sys

import pytest
from host_files import write

from nanoforge.files.selection import Selection, left_out_words, walk
from nanoforge.pipeline.stages import PICTURES
from stages import files


@pytest.fixture
def photos(tmp_path):
    return write(tmp_path / "photos", "a.jpg", "deep/b.jpg")


def counted(root):
    return [one.path for one in files.walk(str(root)).files]


def left_out(root):
    return {one.path: one.reason for one in files.walk(str(root)).left_out}


@pytest.mark.parametrize("goal", [".", "..", "deep", "loop", "../photos"])
def test_a_link_never_leads_in_circles(photos, goal):
    (photos / "loop").symlink_to(goal)
    assert counted(photos) == ["a.jpg", "deep/b.jpg"] if goal != ".." else "deep/b.jpg" in counted(photos)
    assert left_out(photos)


def test_of_links_to_each_other_every_folder_counts_once(tmp_path):
    """Thirty folders that link to the next one twice would be a thousand million ways."""
    for number in range(30):
        write(tmp_path / f"{number:02}", "a.jpg")
        for name in ("one", "other"):
            (tmp_path / f"{number:02}" / name).symlink_to(f"../{number + 1:02}")
    assert len(counted(tmp_path)) == 30


def test_a_folder_itself_goes_before_links_to_it(tmp_path, photos):
    (photos / "0-link").symlink_to("deep")
    assert counted(photos) == ["a.jpg", "deep/b.jpg"]
    assert left_out(photos) == {"0-link": "it is the same folder as deep"}


def test_of_two_links_to_a_folder_the_first_by_name_counts(tmp_path, photos):
    disk = write(tmp_path / "disk", "c.jpg")
    for name in ("z", "y", "deep/x"):
        (photos / name).symlink_to(disk)
    assert counted(photos) == ["a.jpg", "deep/b.jpg", "deep/x/c.jpg"]
    assert left_out(photos) == {name: "it is the same folder as deep/x" for name in ("y", "z")}
    assert files.walk(str(photos)).links == ["deep/x", "y", "z"]


@pytest.mark.parametrize("goal", ["gone.jpg", "itself.jpg"])
def test_a_link_that_leads_nowhere_is_told(photos, goal):
    (photos / "itself.jpg").symlink_to(goal)
    assert counted(photos) == ["a.jpg", "deep/b.jpg"]
    assert left_out(photos)["itself.jpg"].startswith(f"the link to {goal} leads nowhere: ")


def test_what_is_no_file_is_told_and_never_opened(photos):
    os.mkfifo(photos / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(photos / "s.jpg"))
        (photos / "zero.jpg").symlink_to("/dev/zero")
        assert counted(photos) == ["a.jpg", "deep/b.jpg"]
        assert left_out(photos) == {
            "pipe.jpg": "it is a named pipe",
            "s.jpg": "it is a socket",
            "zero.jpg": "it is a device",
        }


def test_hidden_names_and_what_macos_adds_do_not_count_and_are_not_told(photos):
    write(photos, ".thumbs/a.jpg", "._a.jpg", "__MACOSX/a.jpg")
    os.mkfifo(photos / ".pipe")
    assert counted(photos) == ["a.jpg", "deep/b.jpg"] and not left_out(photos)


def test_what_a_project_built_is_none_of_the_photos_among_which_it_lies(photos):
    write(photos / "build", "store/detect/1/pictures/a.jpg", files.BUILT)
    write(photos / "deep/notes/build", "b.jpg")
    assert counted(photos) == ["a.jpg", "deep/b.jpg", "deep/notes/build/b.jpg"] and not left_out(photos)
    assert counted(photos / "build") == ["store/detect/1/pictures/a.jpg"]


def test_a_folder_that_cannot_be_read_is_an_error_that_names_it(photos, monkeypatch):
    real = os.scandir

    def scandir(path):
        if path.endswith("deep"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(PermissionError, match="deep"):
        files.walk(str(photos))


class Gone:
    """An entry of a folder whose file was removed after the folder was read."""

    def __init__(self, entry):
        self.name, self.path = entry.name, entry.path
        self._entry = entry

    def is_dir(self, **_):
        return False

    def is_symlink(self):
        return False

    def stat(self):
        os.unlink(self.path)
        return os.stat(self.path)


def test_a_file_that_is_removed_while_its_folder_is_read_does_not_count(photos, monkeypatch):
    real = os.scandir

    @contextlib.contextmanager
    def scandir(path):
        with real(path) as entries:
            yield [Gone(entry) if entry.name == "a.jpg" else entry for entry in entries]

    monkeypatch.setattr(os, "scandir", scandir)
    assert counted(photos) == ["deep/b.jpg"] and not left_out(photos)


def test_rows_are_of_the_files_of_a_walk_and_so_is_what_is_left_out(photos):
    os.mkfifo(photos / "pipe.jpg")
    (photos / "link.jpg").symlink_to("a.jpg")
    found = files.walk(str(photos))
    rows = files.rows(str(photos), lambda path, seen: (path, seen.st_size, seen.st_ino))
    assert sorted(rows) == [(one.path, one.size, one.inode) for one in found.files]
    assert files.left_out_below(str(photos)) == found.left_out != []
    assert files.rows(str(photos / "a.jpg"), lambda path, _seen: path) == ["a.jpg"]


def test_folders_deeper_than_python_recurses_are_walked(tmp_path):
    deep = 600
    for number in range(1, deep + 1):
        (tmp_path / ("d/" * number)).mkdir()
    write(tmp_path, "d/" * deep + "a.jpg")
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(300)
    try:
        found = counted(tmp_path)
    finally:
        sys.setrecursionlimit(limit)
    assert found == ["d/" * deep + "a.jpg"]


@pytest.mark.parametrize("path", ["/dev/zero", "pipe"])
def test_a_root_that_is_no_file_is_refused_unopened(tmp_path, path):
    os.mkfifo(tmp_path / "pipe")
    for look in (files.walk, files.read):
        with pytest.raises(OSError, match="it is a (device|named pipe), not a file"):
            look(str(tmp_path / path))


def test_a_file_may_have_so_many_bytes(photos):
    assert files.read(str(photos / "a.jpg"), 5) == b"a.jpg"
    with pytest.raises(OSError, match="it has 5 bytes, more than the 4"):
        files.read(str(photos / "a.jpg"), 4)


def test_the_host_says_in_one_sentence_what_is_left_out(photos):
    assert left_out_words(photos) is None
    for number in range(7):
        (photos / f"{number}.jpg").symlink_to("gone")
    words = left_out_words(photos)
    assert words.startswith(f"Left out: {photos}/0.jpg (the link to gone leads nowhere") and words.endswith(
        "; and 2 more."
    )


def test_names_that_are_not_utf8_are_shown_by_their_bytes():
    assert (
        files.readable(os.fsdecode(b"\xb0\xed\xbe\xe7.jpg") + " 고양이\ud800")
        == "\\xb0\\xed\\xbe\\xe7.jpg 고양이\\ud800"
    )


def test_host_and_stages_count_the_same(photos):
    os.mkfifo(photos / "pipe.jpg")
    (photos / "more.JPG").symlink_to("a.jpg")
    write(photos, ".hidden/c.jpg", "deep/d.txt")
    host = [one.path for one in walk(photos, Selection((".jpg",)))]
    assert files.names_below(str(photos), (".jpg",)) == host == ["a.jpg", "deep/b.jpg", "more.JPG"]


def test_photos_that_are_not_read_count_for_their_names_but_raw_files_are_never_sent(tmp_path):
    """A stage on another machine can name them; a camera's raw files, large and beside its JPEGs, stay here."""
    for name in ("a.jpg", "b.JFIF", "c.tif", "d.HEIC", "e.gif", "f.cr2", "g.NEF", "h.txt"):
        (tmp_path / name).touch()
    assert [one.path for one in walk(tmp_path, PICTURES)] == ["a.jpg", "b.JFIF", "c.tif", "d.HEIC", "e.gif"]
