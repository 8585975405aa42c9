"""What all processes share is made once: by one of them, whole or not there, whoever is killed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nanoforge.files.atomic import held, held_if_free, lock_of, made_once, marked_once

CLONE = Path(__file__).resolve().parents[2]

# A maker that says that it has begun, and ends when its input does.
MAKER = """
import os, sys
from pathlib import Path
from nanoforge.files.atomic import made_once, marked_once

def make(path):
    path.mkdir()
    (path / "half").write_text(str(os.getpid()))
    print("begun", flush=True)
    sys.stdin.read()
    (path / "whole").write_text(str(os.getpid()))

folder = Path(sys.argv[1])
tell = lambda text: print(text, flush=True)
if sys.argv[2] == "aside":
    made_once(folder, "the thing", make, tell)
else:
    marked_once(folder, "ready", "the thing", lambda: make(folder) or "", tell)
print((folder / "whole").read_text(), flush=True)
"""


def start(folder, how):
    command = [sys.executable, "-c", MAKER, str(folder), how]
    return subprocess.Popen(command, cwd=CLONE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("how", ["aside", "in place"])
def test_the_first_makes_and_the_others_wait_and_say_for_whom(tmp_path, how):
    folder = tmp_path / "deep" / "thing"
    first = start(folder, how)
    assert first.stdout.readline() == "begun\n"
    second = start(folder, how)
    assert second.stdout.readline() == f"waiting for process {first.pid} to make the thing …\n"
    assert first.communicate()[0] == second.communicate()[0] == f"{first.pid}\n"
    left = {path.name for path in folder.parent.iterdir()}
    assert left == {"thing", "thing.lock"}


@pytest.mark.parametrize("how", ["aside", "in place"])
def test_a_killed_maker_frees_its_lock_and_the_next_removes_what_it_left(tmp_path, how):
    folder = tmp_path / "thing"
    first = start(folder, how)
    assert first.stdout.readline() == "begun\n"
    first.kill()
    first.wait()
    next_one = start(folder, how)
    assert next_one.stdout.readline() == "begun\n"
    assert next_one.communicate()[0] == f"{next_one.pid}\n"
    assert (folder / "half").read_text() == str(next_one.pid)
    assert {path.name for path in tmp_path.iterdir()} == {"thing", "thing.lock"}


def test_a_maker_that_fails_leaves_nothing_and_the_next_tries_again(tmp_path):
    def fail(path):
        path.write_text("half")
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        made_once(tmp_path / "thing", "the thing", fail)
    assert [path.name for path in tmp_path.iterdir()] == ["thing.lock"]
    made_once(tmp_path / "thing", "the thing", lambda path: path.write_text("whole"))
    made_once(tmp_path / "thing", "the thing", fail)
    assert (tmp_path / "thing").read_text() == "whole"


def test_a_folder_without_its_mark_is_not_whole(tmp_path):
    folder = tmp_path / "thing"
    (folder / "old").mkdir(parents=True)

    def make():
        folder.mkdir()
        return "what is in it"

    for _ in range(2):
        marked_once(folder, "ready", "the thing", make)
    assert (folder / "ready").read_text() == "what is in it" and os.listdir(folder) == ["ready"]


def test_a_lock_is_given_by_turns(tmp_path):
    lock = lock_of(tmp_path / "thing")
    with held_if_free(lock) as free:
        assert free
        with held_if_free(lock) as second:
            assert not second
    with held(lock, "do it"):
        pass
