"""`gc --cache`: what nobody used for a month goes, and what was left half-made; what is in use stays."""

import os
import subprocess
import sys
import time

import pytest

from nanoforge.commands import cache
from nanoforge.files.atomic import held, lock_of

LONG_AGO = time.time() - 40 * 86400


@pytest.fixture
def rooms(tmp_path, monkeypatch):
    monkeypatch.setenv("NANOFORGE_CACHE", str(tmp_path))
    return tmp_path


def environment(rooms, name, used=None, ready=True):
    folder = rooms / "environments" / name
    (folder / "lib").mkdir(parents=True)
    (folder / "lib" / "module.py").write_text("x" * 1000)
    if ready:
        (folder / "ready").touch()
        os.utime(folder / "ready", (used or time.time(),) * 2)
    return folder


def left(rooms):
    return sorted(path.name for path in rooms.glob("*/*") if path.suffix != ".lock")


def test_what_was_not_used_for_a_month_and_what_is_half_made_is_removed(rooms, capsys):
    environment(rooms, "data-new")
    environment(rooms, "data-old", LONG_AGO)
    environment(rooms, "train-half", ready=False)
    environment(rooms, "host-0.4711", ready=False)
    for name in ("new", "old", ".third.making"):
        (rooms / "checkpoints" / name).mkdir(parents=True)
    os.utime(rooms / "checkpoints" / "old", (LONG_AGO, LONG_AGO))
    (rooms / "downloads").mkdir()
    (rooms / "downloads" / "archive").write_text("x")
    os.utime(rooms / "downloads", (LONG_AGO, LONG_AGO))
    before = left(rooms)
    cache.collect(dry_run=True)
    assert left(rooms) == before
    told = capsys.readouterr().err
    assert "would remove" in told and "data-old (" in told and "not used for 40 days" in told and "data-new" not in told
    cache.collect(dry_run=False)
    assert left(rooms) == ["data-new", "new"]
    cache.collect(dry_run=False)
    assert capsys.readouterr().err.endswith(f"0 bytes freed in {rooms}\n")


def test_what_is_being_made_stays(rooms):
    half, aside = environment(rooms, "train-half", ready=False), rooms / "checkpoints" / ".zoo.making"
    aside.mkdir(parents=True)
    with held(lock_of(half), "make it"), held(lock_of(rooms / "checkpoints" / "zoo"), "make it"):
        cache.collect(dry_run=False)
    assert left(rooms) == [".zoo.making", "train-half"]


def test_an_environment_that_a_process_runs_in_stays(rooms):
    folder = environment(rooms, "train-old", LONG_AGO)
    python = folder / "bin" / "python"
    python.parent.mkdir()
    python.symlink_to(os.path.realpath(sys.executable))
    with subprocess.Popen([str(python), "-c", "input()"], stdin=subprocess.PIPE) as process:
        cache.collect(dry_run=False)
        assert left(rooms) == ["train-old"]
        process.communicate()
    cache.collect(dry_run=False)
    assert left(rooms) == []
