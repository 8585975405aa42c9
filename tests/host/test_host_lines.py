"""Files of lines: any line that a path may be in, and nothing that is not what was written."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanoforge.files.lines import LINES_AT_ONCE, NotAsWritten, are_whole, digest_of, read_lines, write_lines

PATHS = st.binary(min_size=1).filter(lambda name: b"\0" not in name).map(os.fsdecode)
LINES = st.lists(st.one_of(PATHS, st.builds("{}\0{}".format, PATHS, st.integers())))


@settings(deadline=None, max_examples=50)
@given(LINES)
def test_what_is_written_is_read(tmp_path_factory, lines):
    file = tmp_path_factory.mktemp("lines") / "x.lines"
    write_lines(file, iter(lines))
    assert list(read_lines(file)) == lines and are_whole(file)


def test_more_lines_than_are_written_at_once_are_read(tmp_path):
    lines = [str(number) for number in range(2 * LINES_AT_ONCE + 1)]
    write_lines(tmp_path / "x", lines)
    assert list(read_lines(tmp_path / "x")) == lines


@given(LINES, LINES)
def test_other_lines_have_another_digest(one, other):
    assert (digest_of(one) == digest_of(other)) == (one == other)


@pytest.mark.parametrize("damage", [b"", b"x", b"\n", b"\0\n", b"0" * 64 + b"\n", b"0" * 64 + b"\nline\0\n"])
def test_what_was_not_written_so_is_not_believed(tmp_path, damage):
    (tmp_path / "x").write_bytes(damage)
    with pytest.raises(NotAsWritten):
        list(read_lines(tmp_path / "x"))
    assert not are_whole(tmp_path / "x")


def test_a_file_under_another_name_is_not_what_was_written(tmp_path):
    write_lines(tmp_path / "x", ["a"])
    (tmp_path / "x").rename(tmp_path / "y")
    with pytest.raises(NotAsWritten):
        next(read_lines(tmp_path / "y"))


@pytest.mark.parametrize("what", ["nothing", "a folder", "a pipe", "a terabyte"])
def test_what_is_no_such_file_is_an_error_at_once(tmp_path, what):
    file = tmp_path / "x"
    if what == "a folder":
        file.mkdir()
    elif what == "a pipe":
        os.mkfifo(file)
    elif what == "a terabyte":
        file.touch()
        os.truncate(file, 1 << 40)
    with pytest.raises(OSError):
        next(read_lines(file))
    assert not are_whole(file)


def test_lines_that_cannot_all_be_had_leave_what_was_there(tmp_path):
    def broken():
        yield "b"
        raise ValueError

    write_lines(tmp_path / "x", ["a"])
    with pytest.raises(ValueError):
        write_lines(tmp_path / "x", broken())
    assert list(read_lines(tmp_path / "x")) == ["a"] and os.listdir(tmp_path) == ["x"]
