"""The handshake of every stage: what it is told, what it says, and how it ends."""

import json
import os
import signal
import subprocess
import sys
from typing import NamedTuple

import pytest

from stages.job import EVENT_MARK, EXIT_BAD_INPUT, EXIT_DONE, EXIT_FAILED, Job
from stages.parameters import DetectParameters


class NoParameters(NamedTuple):
    """Of a program that has none."""


HOME = os.path.join(os.path.dirname(__file__), "..", "..")


def description(folder, **changes):
    return dict(
        {
            "stage": "detect",
            "inputs": {"model": "/model"},
            "output": str(folder / "output"),
            "scratch": str(folder / "scratch"),
            "parameters": {"score_threshold": 0.5, "pictures": 3, "draw": True, "max_megapixels": 100},
            "cpus": 2,
        },
        **changes,
    )


def events(text):
    return [json.loads(line.split(EVENT_MARK)[1]) for line in text.splitlines() if EVENT_MARK in line]


class Program:
    """A stage of a few lines, started as the runner does it."""

    def __init__(self, folder):
        self.folder = folder

    def start(self, body, *arguments, **environment):
        script = self.folder / "program.py"
        script.write_text(
            "import os, subprocess, sys, time\nfrom stages.job import BadInput, StageFailed, run\n\n\ndef main(job):\n"
            + "".join("    %s\n" % line for line in body)
            + "\n\nrun(main)\n"
        )
        job = self.folder / "job.json"
        job.write_text(json.dumps(description(self.folder)))
        return subprocess.Popen(
            [sys.executable, str(script), *(arguments or [str(job)])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            universal_newlines=True,
            start_new_session=True,
            env=dict(os.environ, PYTHONPATH=HOME, **environment),
        )

    def run(self, body, *arguments, **environment):
        """Exit code, events, standard output and standard error."""
        process = self.start(body, *arguments, **environment)
        out, error = process.communicate()
        return process.returncode, events(out), out, error


@pytest.fixture
def program(tmp_path):
    return Program(tmp_path)


def test_parameters_come_as_the_declared_type(tmp_path):
    held = description(tmp_path)
    job = Job(dict(held, parameters=dict(held["parameters"], backend="reference")))
    wanted = DetectParameters(100, score_threshold=0.5, pictures=3, draw=True, backend="reference")
    assert job.read(DetectParameters) == wanted
    assert Job(description(tmp_path, parameters={})).read(NoParameters) == NoParameters()


@pytest.mark.parametrize(
    "parameters",
    [
        {"score_threshold": 0.5, "pictures": 3, "max_megapixels": 100},
        {"score_threshold": 0.5, "pictures": 3, "max_megapixels": 100, "draw": True, "drawn": True},
    ],
)
def test_a_parameter_that_is_missing_or_unknown_is_an_error(tmp_path, parameters):
    with pytest.raises(TypeError, match="draw"):
        Job(description(tmp_path, parameters=parameters)).read(DetectParameters)


def test_a_file_of_the_output_gets_its_folder(tmp_path):
    path = Job(description(tmp_path)).out("pictures", "a", "b.jpg")
    assert path == str(tmp_path / "output" / "pictures" / "a" / "b.jpg")
    assert os.listdir(str(tmp_path / "output" / "pictures")) == ["a"] and not os.path.exists(path)


def test_a_stage_that_does_its_work_ends_with_0_and_says_what_it_did(program):
    code, said, out, _ = program.run(
        [
            "print('a plain line')",
            "job.progress(1, 3, 'loss\\n1.5')",
            "job.metrics(mAP=0.5, name='\\u00e9')",
            "job.warn('a warning')",
        ]
    )
    assert code == EXIT_DONE
    assert said == [
        {"progress": {"done": 1, "total": 3, "message": "loss\n1.5"}},
        {"metrics": {"mAP": 0.5, "name": "é"}},
        {"warning": "a warning"},
    ]
    assert out.splitlines()[0] == "a plain line"  # said before, so it stands before


@pytest.mark.parametrize(
    "raised, code, told",
    [
        ("BadInput('a.jpg is empty; copy it again')", EXIT_BAD_INPUT, "a.jpg is empty; copy it again"),
        ("StageFailed('The loss became nan')", EXIT_FAILED, "The loss became nan"),
    ],
)
def test_a_sentence_for_the_user_has_no_traceback(program, raised, code, told):
    ended, said, _, error = program.run(["raise " + raised])
    assert (ended, said, error) == (code, [{"error": told}], "")


@pytest.mark.parametrize(
    "line, told",
    [
        ("open('/nowhere/a.jpg')", "There is no /nowhere/a.jpg; if it was there, something removed it meanwhile"),
        ("raise OSError(28, 'No space left on device')", "The disk is full: free some space"),
        ("raise OSError(122, 'Disk quota exceeded', '/x/a')", "Your share of the disk (quota) is used up (/x/a)"),
        ("raise MemoryError", "There is no memory left"),
        ("raise OSError(12, 'Cannot allocate memory')", "There is no memory left"),
        ("raise OSError('of its own making')", "of its own making"),
        ("{}['key']", "KeyError: 'key' (a bug: the traceback is in the log)"),
    ],
)
def test_what_nobody_foresaw_ends_with_1_and_leaves_its_traceback_in_the_log(program, line, told):
    code, said, _, error = program.run([line])
    assert code == EXIT_FAILED and said[0]["error"].startswith(told)
    assert "Traceback" in error and line in error


@pytest.mark.parametrize(
    "line, told",
    [
        ("def deep(): deep()\n    deep()", "nested too deeply"),
        ("b'caf\\xe9'.decode('utf-8')", "not UTF-8"),
        ("'\\udce9.jpg'.encode('utf-8')", "'\\udce9.jpg'"),
        ("open(os.devnull + '/a')", "/dev/null is a file, and a folder is needed"),
        ("open('/tmp')", "/tmp is a folder, and a file is needed"),
        ("os.symlink('/nowhere', job.scratch); open(job.scratch)", "is a link to /nowhere, which is not there"),
    ],
)
def test_what_the_user_gave_and_cannot_be_used_ends_with_2(program, line, told):
    code, said, _, error = program.run([line])
    assert code == EXIT_BAD_INPUT and told in said[0]["error"]
    assert "Traceback" in error


def test_a_native_crash_leaves_in_the_log_where_it_was_called_from(program):
    code, said, _, error = program.run(["os.abort()"])
    assert (code, said) == (-signal.SIGABRT, [])
    assert "Fatal Python error: Aborted" in error and "in main" in error


def test_without_a_job_file_it_says_how_it_is_called(program):
    code, said, _, error = program.run(["pass"], "one.json", "two.json")
    assert (code, said) == (1, []) and error.startswith("usage: python -m stages.")


def test_an_event_is_one_line_beside_what_children_print(program):
    body = [
        "child = subprocess.Popen([sys.executable, '-c', 'for _ in range(3000): print(\"child\", flush=True)'])",
        "for number in range(300): job.progress(number, 300)",
        "child.wait()",
    ]
    code, said, out, _ = program.run(body)
    assert code == EXIT_DONE
    assert [event["progress"]["done"] for event in said] == list(range(300))
    assert out.count("child\n") == 3000


WAITING = ["subprocess.Popen(['sleep', '60'])", "job.progress(0, 1)", "time.sleep(60)"]


def test_with_its_runner_gone_a_stage_ends_and_its_children_too(program):
    process = program.start(WAITING, NANOFORGE_PARENT_PIPE="1")
    assert events(process.stdout.readline()) == [{"progress": {"done": 0, "total": 1, "message": ""}}]
    process.stdin.close()  # as the kernel does when the runner dies
    assert process.stdout.read() == ""  # its end is reached once the child is gone, too
    assert process.wait() == -signal.SIGKILL


def test_a_stage_that_ends_of_its_runners_silence_leaves_no_child_either(program):
    """It wrote in the moment of the runner's end, and is quicker than what waits for that."""
    body = ["subprocess.Popen(['sleep', '60'])", "while True: job.progress(0, 1), time.sleep(0.05)"]
    process = program.start(body, NANOFORGE_PARENT_PIPE="1")
    process.stdout.readline()
    process.stdout.close()
    process.stderr.read()  # its end is reached once the child is gone, too
    assert process.wait() == -signal.SIGKILL
    process.stdin.close()


def test_by_hand_a_stage_does_not_care_for_its_standard_input(program):
    body = ["sys.stdin.read()", "time.sleep(0.3)", "job.metrics(done=1)"]
    code, said, _, _ = program.run(body)  # communicate() closes standard input
    assert (code, said) == (EXIT_DONE, [{"metrics": {"done": 1}}])
