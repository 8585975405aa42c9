"""A stage on damaged inputs, in its own environment (Python 3.6): `in_stage.py ASKED.json` prints [case, reason] pairs.

The stage's module is imported once; each case runs it in a fork, on a copy of its input that was damaged.
"""

import importlib
import json
import os
import resource
import shutil
import signal
import sys

import mutate

from stages import job

PROCESSOR_S, HANGS_S, MEMORY = 60, 300, 6 << 30


def case(module, asked, how, seed, work):
    """What is wrong with how the stage took the damage, or nothing."""
    shutil.rmtree(work, ignore_errors=True)
    for name in ("output", "scratch", "input"):
        os.makedirs(os.path.join(work, name))
    inputs = dict(asked["inputs"])
    source, damaged = inputs[asked["damaged"]], os.path.join(work, "input", "mine" + asked.get("suffix", ""))
    shutil.copytree(source, damaged) if os.path.isdir(source) else shutil.copyfile(source, damaged)
    inputs[asked["damaged"]] = damaged
    mutate.file(os.path.join(damaged, asked["inside"]) if asked["inside"] else damaged, how, seed)
    described = {"stage": asked["stage"], "inputs": inputs, "output": os.path.join(work, "output")}
    described.update(scratch=os.path.join(work, "scratch"), parameters=asked["parameters"], cpus=1)
    path = os.path.join(work, "job.json")
    with open(path, "w", encoding="utf-8") as stream:
        json.dump(described, stream)
    return judged(*in_fork(module, path, os.path.join(work, "said.txt")))


def in_fork(module, path, said):
    pid = os.fork()
    if pid == 0:
        signal.alarm(HANGS_S)
        resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_S, PROCESSOR_S))
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT), 1)
        os.dup2(1, 2)
        code = 0
        try:
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            job.run(module.main, [path])
        except SystemExit as end:
            code = end.code or 0
        except BaseException as error:
            print("%s: %s" % (type(error).__name__, error))
            code = 99
        sys.stdout.flush()
        os._exit(code)
    _, status = os.waitpid(pid, 0)
    with open(said, encoding="utf-8", errors="replace") as stream:
        return status, stream.read()


def judged(status, said):
    last = (said.strip().splitlines() or ["nothing"])[-1][:300]
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        hangs = {signal.SIGALRM: "it hangs", signal.SIGXCPU: "it works for over %d s" % PROCESSOR_S}
        return "%s, having said %s" % (hangs.get(number, "it dies of signal %d" % number), last)
    code = os.WEXITSTATUS(status)
    if code not in (0, 1, 2):
        return "exit code %d, having said %s" % (code, last)
    errors = [line for line in said.splitlines() if '{"error"' in line]
    if code and not errors:
        return "exit code %d without a sentence, having said %s" % (code, last)
    if any("a bug" in line for line in errors) or "MemoryError" in said:
        return "no sentence for the user: %s" % errors[-1][:300] if errors else last
    return ""


def main(asked):
    module = importlib.import_module(asked["module"])
    found = []
    for how, seed in asked["cases"]:
        name = "%s of %s, %s" % (how, asked["inside"] or asked["damaged"], seed)
        found.append([name, case(module, asked, how, seed, os.path.join(asked["work"], "case"))])
    print("\n" + json.dumps(found))


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as wanted:
        main(json.load(wanted))
