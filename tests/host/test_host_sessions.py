"""A child with all that it starts: ended whole, and never a signal for a process of others."""

import os
import signal
import sys
import threading

import psutil
import pytest

from nanoforge.sessions import Session

STARTS = "import subprocess, sys; {}; print(subprocess.Popen([sys.executable, '-c', {!r}], **{}).pid, flush=True)"
SLEEPS = "import time; time.sleep(600)"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); " + SLEEPS


def session(program, tmp_path):
    return Session([sys.executable, "-c", program], tmp_path, os.environ)


def gone(pid):
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize(
    "before, options",
    [("pass", "{}"), ("import os", "{'preexec_fn': os.setpgrp}")],
    ids=["same group", "a group of its own"],
)
def test_what_the_child_started_is_ended_after_it(tmp_path, before, options):
    here = session(STARTS.format(before, SLEEPS, options), tmp_path)
    pid = int(here.lines.readline())
    here.wait()
    assert here.has_ended() and [process.pid for process in here.members()] == [pid]
    here.end(20)
    assert gone(pid) and here.members() == [] and here.reap() == 0


def test_who_does_not_listen_is_ended_by_force(tmp_path):
    here = session(DEAF, tmp_path)
    here.lines.readline()
    here.end(0.2)
    assert here.reap() == -signal.SIGKILL


def test_the_leader_keeps_its_id_until_all_have_ended(tmp_path):
    """Else a new process could get it, and the signal."""
    here = session(STARTS.format("pass", SLEEPS, {}), tmp_path)
    pid = int(here.lines.readline())
    here.wait()
    leader = os.getsid(pid)
    assert psutil.Process(leader).status() == psutil.STATUS_ZOMBIE
    here.end(20)
    assert psutil.Process(leader).status() == psutil.STATUS_ZOMBIE
    here.reap()
    assert not psutil.pid_exists(leader)


def test_after_it_was_reaped_no_signal_is_sent(tmp_path, monkeypatch):
    here = session("pass", tmp_path)
    here.wait()
    here.reap()
    monkeypatch.setattr(os, "killpg", lambda *_: pytest.fail("a signal for whoever has that id now"))
    here.signal(signal.SIGKILL)
    here.end(1)
    assert here.members() == [] and here.has_ended()


def test_it_can_be_ended_from_many_threads_at_once(tmp_path):
    here = session(SLEEPS, tmp_path)
    threads = [threading.Thread(target=here.end, args=(20,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert here.reap() == -signal.SIGTERM


def test_bytes_that_are_not_utf8_do_not_end_the_listening(tmp_path):
    here = session("import os; os.write(1, b'caf\\xe9\\n')", tmp_path)
    assert here.lines.read() == "caf\ufffd\n"
    assert here.reap() == 0
