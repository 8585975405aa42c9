"""Processes that end with the one that started them, however that one ends. Standard library only, Python 3.6.

The parent holds the write end of a pipe, which is the child's standard input, and never writes to it: when the parent
is gone, the kernel closes the pipe, and the child, which reads, ends: with its whole process group, if it leads one.

    python -m stages.parent MODULE ARGUMENT ...    runs a module, such as http.server, as such a child
"""

import atexit
import os
import runpy
import select
import signal
import sys
import threading

PIPE = "NANOFORGE_PARENT_PIPE"
"""The variable, set to 1, with which a parent asks for it; without it a program can be run by hand."""


def end_with_it() -> None:
    """From now on, end this process, and the group that it leads, when its parent ends; only where that asks for it."""
    # Out of the environment: what this process starts has another parent.
    if os.environ.pop(PIPE, "") == "1":
        # A descriptor of its own, and nothing to read for children and programs that ask at their standard input.
        pipe = os.dup(0)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        threading.Thread(target=_wait_for_end, args=(pipe,), daemon=True).start()
        atexit.register(_end_if_alone, pipe)


def _wait_for_end(pipe: int) -> None:
    while os.read(pipe, 4096):
        pass
    _end()


def _end_if_alone(pipe: int) -> None:
    """A process that wrote to its parent in the moment of that one's end may end before the thread has seen it.

    What it started would go on running. Nobody at the other end of its output is the same as nobody at its input.
    """
    looked = select.poll()
    looked.register(pipe, select.POLLIN)
    looked.register(1, 0)
    if any(found & (select.POLLIN | select.POLLHUP | select.POLLERR) for _, found in looked.poll(0)):
        _end()


def _end() -> None:
    if os.getpgid(0) == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Run the module named first as ``python -m`` would."""
    if len(sys.argv) < 2:
        sys.exit("usage: python -m stages.parent MODULE ARGUMENT ...")
    end_with_it()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
