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


NEW, OLD, THIRD = "a" * 64, "b" * 64, "c" * 64


def key(name):
    return f"{name}-0123456789abcdef"


def test_what_was_not_used_for_a_month_and_what_is_half_made_is_removed(rooms, capsys):
    environment(rooms, key("data"))
    environment(rooms, key("tensorflow19"), LONG_AGO)
    environment(rooms, f"{key('data')}-requirements-data-0123456789ab", LONG_AGO)
    environment(rooms, key("train"), ready=False)
    environment(rooms, f"{key('host')}.4711", ready=False)  # as earlier versions left them
    for name in (NEW, OLD, f".{THIRD}.making"):
        (rooms / "checkpoints" / name).mkdir(parents=True)
    os.utime(rooms / "checkpoints" / OLD, (LONG_AGO, LONG_AGO))
    before = left(rooms)
    cache.collect(dry_run=True)
    assert left(rooms) == before
    told = capsys.readouterr().err
    assert "would remove" in told and f"{key('tensorflow19')} (" in told and "not used for 40 days" in told
    assert f"{key('data')} (" not in told
    cache.collect(dry_run=False)
    assert left(rooms) == [NEW, key("data")]
    cache.collect(dry_run=False)
    assert capsys.readouterr().err.endswith(f"0 bytes freed in {rooms}\n")


def test_what_is_not_nanoforges_stays(rooms):
    """NANOFORGE_CACHE may name a folder in which the user keeps other things."""
    for place in ("environments/my-conda", "checkpoints/my-thesis", "downloads/films", "mine"):
        (rooms / place).mkdir(parents=True)
        os.utime(rooms / place, (LONG_AGO, LONG_AGO))
    before = left(rooms)
    cache.collect(dry_run=False)
    assert left(rooms) == before


def test_what_is_being_made_stays(rooms):
    half, aside = environment(rooms, key("train"), ready=False), rooms / "checkpoints" / f".{NEW}.making"
    aside.mkdir(parents=True)
    with held(lock_of(half), "make it"), held(lock_of(rooms / "checkpoints" / NEW), "make it"):
        cache.collect(dry_run=False)
    assert left(rooms) == [f".{NEW}.making", key("train")]


def test_an_environment_that_a_process_runs_in_stays(rooms):
    folder = environment(rooms, key("train"), LONG_AGO)
    python = folder / "bin" / "python"
    python.parent.mkdir()
    python.symlink_to(os.path.realpath(sys.executable))
    with subprocess.Popen([str(python), "-c", "input()"], stdin=subprocess.PIPE) as process:
        cache.collect(dry_run=False)
        assert left(rooms) == [key("train")]
        process.communicate()
    cache.collect(dry_run=False)
    assert left(rooms) == []
