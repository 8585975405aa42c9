"""Writing to a disk that may not take it."""

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
    assert str(caught.value).startswith("%s cannot be written: Is a directory. Free some space" % path)


def test_an_error_without_a_reason_is_told_as_it_is():
    with pytest.raises(StageFailed, match=r"a\.bin cannot be written: odd\. Free"), disk.writing("a.bin"):
        raise OSError("odd")


def test_other_errors_pass():
    with pytest.raises(KeyError), disk.writing("a.bin"):
        raise KeyError("a")
