"""Writing to a disk that may not take it."""

import errno

import pytest

from stages import disk
from stages.job import StageFailed


def test_folders_above_a_file_are_made(tmp_path):
    path = tmp_path / "one" / "two" / "a.bin"
    disk.write(str(path), b"abc")
    disk.write(str(path), b"d")
    assert path.read_bytes() == b"d"


def test_what_the_disk_does_not_take_is_a_sentence_with_path_reason_and_remedy(tmp_path):
    path = tmp_path / "a.bin"
    path.mkdir()
    with pytest.raises(StageFailed) as caught:
        disk.write(str(path), b"abc")
    assert str(caught.value) == "%s cannot be written: %s is a folder, and a file is needed there: move it away." % (
        path,
        path,
    )


def test_an_error_without_a_reason_is_told_as_it_is():
    with pytest.raises(StageFailed, match=r"a\.bin cannot be written: odd\."), disk.writing("a.bin"):
        raise OSError("odd")


def test_only_of_a_full_disk_another_one_is_advised():
    with pytest.raises(StageFailed, match=r"a\.bin cannot be written: The disk is full \(a\.bin\).*records\.folder"):
        with disk.writing("a.bin"):
            raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(StageFailed) as caught, disk.writing("/x/a.bin"):
        raise OSError(errno.EACCES, "Permission denied")
    assert "permission denied" in str(caught.value) and "records.folder" not in str(caught.value)


def test_other_errors_pass():
    with pytest.raises(KeyError), disk.writing("a.bin"):
        raise KeyError("a")
