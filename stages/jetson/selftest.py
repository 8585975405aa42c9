"""Stage: what a first owner runs in ten minutes and sends back: whether all that a detector needs works on this board.

``selftest.json`` is ``{"format": 1, "checks": [{"name", "verdict": "passed", "failed" or "left out", "words"}],
"board": {...}}``; ``selftest.txt`` the same for people, and ``build-fp16.log``, ``build-fp32.log`` what TensorRT said.
Paths below the user's home, names of the user and of the machine are taken out of all.
"""

import getpass
import json
import os
import platform
import re
import shutil
import sys
import time
from typing import Any, Callable, Dict, List, NamedTuple

import numpy as np

from stages.detect import description
from stages.detect.backends.tensorrt import TensorrtBackend
from stages.detect.description import Description
from stages.detect.detector import Detector
from stages.jetson import (
    bench_engine,
    board,
    build_engine,
    generations,
    layer_times,
    libraries,
    model,
    parity,
    plugin_libraries,
    releases,
    samples,
)
from stages.jetson.building import Wanted
from stages.job import BadInput, Job, StageFailed, run
from stages.parameters import LARGEST_MAP_LOSS, LARGEST_SCORE_DIFFERENCE, LEAST_IOU, WORKSPACE_MB
from stages.system_errors import sentence_of

FORMAT = 1
PASSED, FAILED, LEFT_OUT = "passed", "failed", "left out"
BENCH_RUNS, WARMUP_RUNS = 50, 5
LIMITS = parity.DriftLimits(LEAST_IOU, LARGEST_SCORE_DIFFERENCE, LARGEST_MAP_LOSS)
COPIED = 1 << 20


class Check(NamedTuple):
    """A line of the list."""

    name: str
    verdict: str
    words: str


class NotTried(Exception):
    """Says why a check cannot be done."""


def main(job: Job) -> None:
    """Do all checks with the input ``model``, and write ``selftest.json`` and ``selftest.txt``.

    Raises:
        BadInput: there is no such model.
        StageFailed: a check failed; the files are written then too.
    """
    test = Selftest(job)
    for name, work in test.checks():
        test.do(name, work)
    this = board.Board().described()
    document = {"format": FORMAT, "board": this, "checks": [one._asdict() for one in test.done]}
    with open(job.out("selftest.json"), "w", encoding="utf-8") as stream:
        json.dump(document, stream, indent=1, sort_keys=True)
    text = "".join("%-9s %-22s %s\n" % (one.verdict, one.name, one.words) for one in test.done)
    with open(job.out("selftest.txt"), "w", encoding="utf-8") as stream:
        stream.write(text)
    print(text, flush=True)
    failed = [one for one in test.done if one.verdict == FAILED]
    job.metrics(**{verdict.replace(" ", "_"): sum(one.verdict == verdict for one in test.done) for verdict in VERDICTS})
    if failed:
        raise StageFailed(
            "%d of %d checks failed, the first: %s: %s" % (len(failed), len(test.done), failed[0].name, failed[0].words)
        )


VERDICTS = (PASSED, FAILED, LEFT_OUT)


class Selftest:
    """The checks, each a function that returns what it found, or raises why not.

    Attributes:
        done: those that were done, in order.
    """

    def __init__(self, job: Job) -> None:
        self._job, self._board = job, board.Board()
        folder = model.opened(job.inputs["model"], job.scratch)
        self._source = model.read(folder, _kind(folder), job.scratch)
        self._described: Description = description.read(self._source.folder)
        self._engines: Dict[str, str] = {}
        self.done: List[Check] = []

    def checks(self) -> "List[tuple[str, Callable[[], str]]]":
        """Name and function of each."""
        listed: "List[tuple[str, Callable[[], str]]]" = [
            ("board", self._model),
            ("system", self._system),
            ("memory", self._memory),
            ("full speed", self._speed),
            ("TensorRT", self._tensorrt),
            ("plugins", self._plugins),
            ("CUDA", self._cuda),
        ]
        for precision in (generations.FP32, generations.FP16):
            listed += [
                ("engine %s" % precision, lambda precision=precision: self._build(precision)),  # type: ignore[misc]
                ("parity %s" % precision, lambda precision=precision: self._parity(precision)),  # type: ignore[misc]
            ]
        return [
            *listed,
            ("layers", self._layers),
            ("speed", self._bench),
            ("detect", self._detect),
            ("memory afterwards", self._free),
        ]

    def do(self, name: str, work: Callable[[], str]) -> None:
        """Do one check, and note what came of it."""
        try:
            verdict, words = PASSED, work()
        except NotTried as reason:
            verdict, words = LEFT_OUT, str(reason)
        except (BadInput, StageFailed) as error:
            verdict, words = FAILED, str(error)
        except Exception as error:  # whatever a board says belongs into the list
            told = sentence_of(error)
            verdict, words = FAILED, told.text if told else "%s: %s" % (type(error).__name__, error)
        self.done.append(Check(name, verdict, without_secrets(words, self._job)))
        self._job.progress(len(self.done), len(self.checks()), name)

    def _model(self) -> str:
        name = self._board.model()
        if not name and self._board.in_container():
            raise NotTried("a container does not see the board's name")
        if not name:
            raise StageFailed("this is no Jetson that says its name (/proc/device-tree/model)")
        return "%s, Python %s, %s" % (name, platform.python_version(), platform.machine())

    def _system(self) -> str:
        l4t = self._board.l4t()
        if not l4t:
            raise StageFailed("there is no /etc/nv_tegra_release, by which L4T says its release")
        release = releases.of(l4t)
        if release is None:
            raise NotTried("L4T %s is none of the releases that Nanoforge knows" % l4t)
        return "L4T %s (JetPack %s)" % (l4t, release.jetpack)

    def _memory(self) -> str:
        memory = self._board.memory()
        if memory is None:
            raise NotTried("the kernel does not tell")
        advice = board.advice(memory, build_engine.BASE_MB + WORKSPACE_MB)
        if advice:
            raise StageFailed("; ".join(advice))
        return "%d of %d MB free, swap on a disk %d of %d MB free" % (
            memory.available,
            memory.total,
            memory.swap_free,
            memory.swap_total,
        )

    def _speed(self) -> str:
        mode, slowed = self._board.power_mode(), self._board.slower_than_it_could()
        if slowed:
            return "it could be faster: %s" % "; ".join(slowed)
        return "power mode %s" % (mode or "not known")

    def _tensorrt(self) -> str:
        trt = libraries.tensorrt()
        version, release = str(trt.__version__), releases.of(self._board.l4t())
        if release and not version.startswith(release.tensorrt + "."):
            raise StageFailed(
                "TensorRT %s is installed, and JetPack %s brings %s: engines and plugins may not fit"
                % (version, release.jetpack, release.tensorrt)
            )
        return version

    def _plugins(self) -> str:
        trt = libraries.tensorrt()
        wanted = plugin_libraries.PLUGINS[self._source.kind]
        if not wanted:
            return "the form of the model that is taken needs none"
        more = plugin_libraries.load(trt, libraries.logger(trt), wanted, [self._source.folder])
        return ", ".join(wanted) + (" (%s was loaded)" % ", ".join(map(os.path.basename, more)) if more else "")

    def _cuda(self) -> str:
        driver, context = libraries.cuda()
        try:
            sent = np.random.RandomState(0).randint(0, 256, COPIED).astype(np.uint8)
            back, device = np.zeros_like(sent), driver.mem_alloc(sent.nbytes)
            driver.memcpy_htod(device, sent)
            driver.memcpy_dtoh(back, device)
            device.free()
            if not np.array_equal(sent, back):
                raise StageFailed("a megabyte that was copied to the device did not come back as it was")
            here = libraries.here(libraries.tensorrt(), driver)
        finally:
            libraries.let_go(context)
        release = releases.of(self._board.l4t())
        if release and not release.cuda.startswith(here.cuda + "."):
            raise StageFailed("PyCUDA is compiled for CUDA %s, and this system has %s" % (here.cuda, release.cuda))
        return "%s, compute capability %s, CUDA %s" % (here.device, here.compute, here.cuda)

    def _build(self, precision: str) -> str:
        self._need(("TensorRT", "plugins", "CUDA"))
        folder = os.path.join(self._job.scratch, "engine-" + precision)
        shutil.rmtree(folder, ignore_errors=True)
        os.mkdir(folder)
        log = os.path.join(folder, build_engine.LOG)
        wanted = Wanted(self._source, precision, WORKSPACE_MB, folder, log, self._job.scratch)
        try:
            built = build_engine.made(self._job, wanted)
        finally:
            self._keep(log, "build-%s.log" % precision)
        self._engines[precision] = folder
        return "built in %.0f s" % built.seconds

    def _keep(self, log: str, name: str) -> None:
        """What TensorRT said, to be sent back too."""
        if not os.path.isfile(log):
            return
        with open(log, encoding="utf-8") as stream, open(self._job.out(name), "w", encoding="utf-8") as kept:
            for line in stream:
                kept.write(without_secrets(line.rstrip("\n"), self._job) + "\n")

    def _parity(self, precision: str) -> str:
        folder = self._engine(precision)
        if not self._source.samples:
            raise NotTried("the model came without samples")
        held = samples.read(self._source.samples, self._described.height, self._described.width)
        report = build_engine.proven(self._job, folder, self._described, held, LIMITS)
        if not report["samples"]:
            raise NotTried(str(report["reason"]))
        parity.check(report)
        return "%(matched)d of %(detections)d detections on %(samples)d samples, least IoU %(min_iou).4f," % report + (
            " scores within %(max_score_diff).4f" % report
        )

    def _layers(self) -> str:
        precision, folder = self._best()
        layers = layer_times.measured(folder, self._described, self._picture())
        return "%s: %s" % (precision, next(layer_times.told(layers)).split(";")[0])

    def _bench(self) -> str:
        precision, folder = self._best()
        found = bench_engine.measured(self._job, folder, self._described, self._picture(), WARMUP_RUNS, BENCH_RUNS)
        alone, whole = found[bench_engine.NETWORK], found[bench_engine.END_TO_END]
        return "%s: network alone %.1f ms, picture to boxes %.1f ms (median), p99 %.1f ms" % (
            precision,
            alone["median_ms"],
            whole["median_ms"],
            whole["p99_ms"],
        )

    def _detect(self) -> str:
        precision, folder = self._best()
        with Detector(self._described, TensorrtBackend(folder, self._described)) as detector:
            began = time.perf_counter()
            found = detector.detect(self._picture())
            seconds = time.perf_counter() - began
        best = "; best a %s of score %.2f" % (found[0]["class"], found[0]["score"]) if found else ""
        return "%s: %d detections in %.0f ms%s" % (precision, len(found), 1000 * seconds, best)

    def _free(self) -> str:
        self._need(("CUDA",))
        _, context = libraries.cuda()
        try:
            free, total = libraries.cuda_memory()
        finally:
            libraries.let_go(context)
        return "%d of %d MB free on the device" % (free, total)

    def _engine(self, precision: str) -> str:
        if precision not in self._engines:
            raise NotTried("there is no %s engine" % precision)
        return self._engines[precision]

    def _best(self) -> "tuple[str, str]":
        """Precision and folder of the fastest engine that there is."""
        for precision in (generations.FP16, generations.FP32):
            if precision in self._engines:
                return precision, self._engines[precision]
        raise NotTried("there is no engine")

    def _need(self, names: "tuple[str, ...]") -> None:
        for one in self.done:
            if one.name in names and one.verdict == FAILED:
                raise NotTried("it needs %s" % one.name)

    def _picture(self) -> np.ndarray:
        return bench_engine.picture(self._source.folder, self._described, self._job.scratch)


def _kind(folder: str) -> str:
    """The form that is tried: .uff, or the one without plugins where there is no .uff or no parser of it."""
    try:
        parser = hasattr(libraries.tensorrt(), "UffParser")
    except StageFailed:  # one of the checks says so
        parser = True
    there = {kind: os.path.isfile(os.path.join(folder, name)) for kind, name in model.FILES.items()}
    without = there[generations.BOXES] and not (parser and there[generations.UFF])
    return generations.BOXES if without else generations.UFF


def without_secrets(words: str, job: Job) -> str:
    """Words without the paths, the user and the machine that they were said on."""
    places = [(path, "(%s)" % name) for name, path in sorted(job.inputs.items())]
    places += [(job.scratch, "(scratch)"), (job.output, "(output)"), (os.path.expanduser("~"), "~")]
    places += [(os.path.dirname(sys.executable), "(python)")]
    for path, name in sorted(places, key=lambda one: -len(one[0])):
        words = words.replace(path, name) if len(path) > 1 else words
    words = re.sub(r"/(?:home|root|Users)/[^\s:;,)]*", "(a path of the user's)", words)
    for name, stand_in in ((platform.node(), "(machine)"), (_user(), "(user)")):
        if len(name) > 2 and name not in ("root", "nano", "jetson"):
            words = re.sub(r"\b%s\b" % re.escape(name), stand_in, words)
    return words.replace("\n", " ")


def _user() -> Any:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


if __name__ == "__main__":
    run(main)
