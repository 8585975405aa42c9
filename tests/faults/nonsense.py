"""Nonsense on the command line: every task's help, and values, names and options that mean nothing."""

from __future__ import annotations

import functools
import re
import shlex
from typing import Any, List, Sequence

import judge
from inprocess import forked
from tally import Draw, Tally
from world import World

DONE = (
    "every task's `--help`, `-h` and `help TASK`, `--help TASK`, nothing at all; unknown tasks and options, "
    "values of another kind (`--port abc`, `--limit abc`), options without a value, empty words, bytes that are "
    "no UTF-8, names that do not exist, ten thousand letters; outside of a project too"
)
JUDGED = "help ends with 0 and says how the task is called; nonsense ends with 1 to 3 and a sentence; no traceback"
WORDS = [
    shlex.split(line)
    for line in r"""
nosuchtask
--nosuchoption
build --nosuchoption
''
-
--
status extra
status status
view --port abc
view --port -1
view --port 99999
view --port
tensorboard --port x
records --limit abc
records --limit -5 --dry-run
records --limit
train --set x --dry-run
build --config nowhere
build --config /dev/null --dry-run
build --config '~nosuchuser' --dry-run
build --runner x --dry-run
train --host nosuchhost --dry-run
explain
explain nosuchstage
explain ''
init
init nowhere
init /dev/null
init '~nosuchuser/x'
inspect
inspect nowhere
inspect /dev/null
run-uff
run-uff nowhere
run-uff nowhere --input x
run-uff nowhere --input x= --output y
convert --graph nowhere
convert --graph nowhere --out out
convert --to x --dry-run
convert --graph nowhere --to x --out y
audit --graph nowhere
audit --graph .
detect --media nowhere --dry-run
detect --media '~nosuchuser/x' --dry-run
evaluate --checkpoint x --dry-run
preview --checkpoint -1 --dry-run
preview --running
clean
clean --stage x --yes
gc --host nosuchhost
images --host nosuchhost
images --environments x --check
images --load nowhere
shell
shell nosuch
doctor --host nosuchhost
test --suite nosuch
help nosuchtask
--version --version
status --json --json
status -j
status --set
""".strip().splitlines()
]
ODD_WORDS = (["init", "x" * 10000], ["a" * 10000], ["\udcff"], ["status", "--config", "\udcff"])
OUTSIDE = (
    ["status"],
    ["build", "--dry-run"],
    ["gc"],
    ["clean", "--yes"],
    ["view"],
    ["preview", "--running"],
    ["explain", "train"],
)


def draws(full: bool, seed: int) -> List[Draw]:
    asked = [("nonsense: help", _help), ("nonsense: words", functools.partial(_words, [*WORDS, *ODD_WORDS]))]
    return [Draw("nonsense", name, run) for name, run in asked]


def _tasks(world: World) -> List[str]:
    done = forked(["--list"], world.folder, world.environment())
    judge.told(done, codes=[0])
    from invoke.tasks import Task

    import tasks

    return sorted(one.name.replace("_", "-") for one in vars(tasks).values() if isinstance(one, Task))


def _help(world: World, tally: Tally) -> None:
    for words in ([], ["--help"], ["-h"], ["help"], ["--list"], ["--version"]):
        with tally.case(" ".join(words) or "no word"):
            judge.told(forked(words, world.folder, world.environment()), codes=[0])
    for task in _tasks(world):
        for words in ([task, "--help"], ["--help", task], [task, "-h"], ["help", task]):
            with tally.case(" ".join(words)):
                done = forked(words, world.folder, world.environment())
                judge.told(done, codes=[0])
                assert re.search(rf"\b{task}\b", done.out + done.err), f"says nothing of {task}"


def _words(words: Sequence[Sequence[str]], world: World, tally: Tally) -> None:
    project = world.project(only=["render", "resize"])
    before = judge.users_files(project)
    for arguments in words:
        with tally.case(ascii(" ".join(arguments)[:60])):
            judge.told(_run(world, arguments, project))
    for arguments in OUTSIDE:
        with tally.case(f"outside of a project: {' '.join(arguments)}"):
            empty = world.folder / "empty"
            empty.mkdir(exist_ok=True)
            done = _run(world, arguments, empty)
            judge.told(done, codes=[1, 2, 3])
            judge.empty(empty, "a folder without a project")
    with tally.more("the user's files"):
        judge.same(before, judge.users_files(project), "the user's files")


def _run(world: World, arguments: Sequence[str], cwd: Any) -> judge.Done:
    return forked(arguments, cwd, world.environment())
