"""Mutated inputs: every kind of file that is read, its bytes damaged or something else in its place."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import random
import shutil
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Sequence, Tuple

import judge
import mutate
from inprocess import forked
from tally import Draw, Tally
from world import World, judged_in

from nanoforge.pipeline.stages import stage_called

DONE = (
    "one bit, twenty bits, a part cut off, zeroed, doubled, inserted or moved, nothing at all; a FIFO, a folder, "
    "a dangling or circular link, a sparse file of 1 TiB in its place: detector.toml, `--set`, XML, JPEG, PNG, "
    "label map, TFRecords, dataset.json, frozen graph, .uff, .npy, model.json, checkpoint, history.json, "
    "record.json, provenance.json, what the host remembers (digests, listings, verifications, failures, holder)"
)
JUDGED = (
    "exit code 0, 1 or 2, a sentence and no traceback (a stage: none that it calls a bug), no death by signal, 60"
    " s of processor and 6 GiB at most; what `status` calls fresh has the figures that it was made with; the same"
    " project with the file as it was is as before"
)
DATA, TRAIN = "data", "train"


class Input(NamedTuple):
    """An input of a stage: where in the template it is, which file of it is damaged, and how often (few, full)."""

    name: str
    environment: str
    module: str
    inputs: Dict[str, str]
    damaged: str
    inside: str
    times: Tuple[int, int]
    parameters: Dict[str, Any] = {}

    @property
    def stage(self) -> str:
        return self.module.split(".")[-1]


PHOTOS = {"photos": "JPEGImages", "annotations": "Annotations"}
GRAPH = {"graph": "build/export"}
RUN_UFF = {"uff": "build/convert/model.uff", "input_0": "x.npy"}
DETECT = {"model": "build/convert", "records": "build/records"}
TRAINED = {"train": "build/train", "records": "build/records"}
UFF, FROZEN = {"file": "build/convert/model.uff"}, {"file": "build/export/frozen_inference_graph.pb"}
SMALL = {"image_size": [192, 192]}
ONE_ARRAY = {"names": [""], "tensorrt": "", "fp16_decode": False}
SHARD = "validation-00000-of-00001.tfrecord"
CHECKPOINT = "checkpoints/model.ckpt-4"
INPUTS = (
    Input("XML", DATA, "data.records", PHOTOS, "annotations", "demo-0006.xml", (12, 400)),
    Input("XML, survey", DATA, "data.survey", PHOTOS, "annotations", "demo-0006.xml", (12, 400), SMALL),
    Input("JPEG", DATA, "data.records", PHOTOS, "photos", "demo-0006.jpg", (12, 400)),
    Input("PNG", DATA, "data.records", PHOTOS, "photos", "demo-0007.png", (12, 400)),
    Input("JPEG, resize", DATA, "data.resize", PHOTOS, "photos", "demo-0006.jpg", (6, 200)),
    Input("model.json", DATA, "detect.detect", DETECT, "model", "model.json", (8, 300)),
    Input("dataset.json", DATA, "detect.detect", DETECT, "records", "dataset.json", (8, 300)),
    Input("TFRecord", DATA, "detect.detect", DETECT, "records", SHARD, (8, 300)),
    Input(".uff", TRAIN, "convert.inspect", UFF, "file", "", (12, 1000)),
    Input(".uff, run", TRAIN, "reference.run", RUN_UFF, "uff", "", (8, 600), ONE_ARRAY),
    Input(".npy", TRAIN, "reference.run", RUN_UFF, "input_0", "", (12, 600), ONE_ARRAY),
    Input("frozen graph", TRAIN, "convert.audit", GRAPH, "graph", "frozen_inference_graph.pb", (8, 600)),
    Input("frozen graph, inspect", TRAIN, "convert.inspect", FROZEN, "file", "", (8, 600)),
    Input("checkpoint's index", TRAIN, "train.export", TRAINED, "train", f"{CHECKPOINT}.index", (0, 40)),
    Input("checkpoint's data", TRAIN, "train.export", TRAINED, "train", f"{CHECKPOINT}.data-00000-of-00001", (0, 40)),
    Input("checkpoints.json", TRAIN, "train.evaluate", TRAINED, "train", "checkpoints.json", (2, 60)),
    Input("label map", TRAIN, "train.evaluate", TRAINED, "records", "label_map.pbtxt", (2, 60)),
    Input("pipeline.config", TRAIN, "train.evaluate", TRAINED, "train", "pipeline.config", (2, 60)),
)


class Remembered(NamedTuple):
    """A file of the host's own, by a pattern below the project, and the commands that read it."""

    name: str
    pattern: str
    commands: Sequence[Sequence[str]]
    times: Tuple[int, int]
    own: bool = False  # in a project on the user's photos, whose digests are remembered


STATUS, EXPLAIN = ("status", "--json"), ("explain", "records")
REMEMBERED = (
    Remembered("record.json", "build/records/record.json", (STATUS, EXPLAIN), (20, 300)),
    Remembered("provenance.json", "build/records/provenance.json", (STATUS,), (6, 60)),
    Remembered("an artifact's file", "build/records/label_map.pbtxt", (STATUS,), (6, 60)),
    Remembered("a folder's digests", "build/cache/digests/*", (STATUS,), (8, 300), own=True),
    Remembered("a verification", "build/cache/verified/records.json", (STATUS,), (6, 60)),
    Remembered("a listing", "build/cache/listings/*", (("explain", "records", "--set", "records.seed=7"),), (8, 60)),
    Remembered("holder.json", "build/holder.json", (STATUS,), (4, 40)),
    Remembered("a failure", "build/failures/records.json", (("status", "--json", "--set", "records.seed=8"),), (6, 60)),
    Remembered("the link to an artifact", "build/records", (STATUS, ("gc",)), (5, 20)),
)
SETTINGS = """
x
=
a.b=1
train.steps=
train.steps=x
train.steps=-1
train.steps=1e400
train.steps=nan
train.learning_rate=inf
train.learning_rate=nan
train.learning_rate=-inf
train.steps=99999999999999999999
train.steps=1.5
train.steps=true
train.steps=[1]
train.steps={a=1}
model.input_size=0
model.input_size=[1,2,3]
model.input_size="300"
records.folder=""
records.folder=~nosuchuser/x
records.folder=/dev/null/x
dataset.photos=~nosuchuser
dataset.classes=[]
dataset.classes=[1]
dataset.classes=["a","a"]
runner.use="x"
runner=1
hosts.a=1
model.checkpoint="http://"
model.checkpoint="http://u:secret@h/x.tar"
model.checkpoint="/dev/zero"
model.checkpoint_sha256="x"
train..steps=1
.=.
train.augmentation=["no"]
records.findings={a=1}
records.findings.a="fix"
detect.media="~nosuchuser/x"
detect.media="/dev/random"
runner.cpus=-1
runner.memory_mb=1e99
""".strip().splitlines()
ODD_SETTINGS = (
    "",
    "records.folder=" + "x/" * 3000,
    "dataset.photos=\x01",
    "dataset.photos=" + "y" * 5000,
    "dataset.classes=" + "[" * 2000,
    "dataset.classes=" + "[" * 3000 + "]" * 3000,
    "\udcff=1",
    "train.steps=\udcff",
)


def draws(full: bool, seed: int) -> List[Draw]:
    place = int(full)
    found = [
        Draw("mutations", f"mutations: {one.name}", functools.partial(_in_stage, one, one.times[place]))
        for one in sorted(INPUTS, key=lambda one: one.environment != TRAIN)
        if one.times[place]
    ]
    found += [
        Draw("mutations", f"mutations: {one.name}", functools.partial(_remembered, one, one.times[place]))
        for one in REMEMBERED
    ]
    found.append(Draw("mutations", "mutations: detector.toml", functools.partial(_config, 500 if full else 40)))
    return [*found, Draw("mutations", "mutations: --set", _settings)]


def _damages(random: random.Random, count: int) -> List[Tuple[str, int]]:
    """All kinds in turn, those of bytes oftener where there are many; each with a seed of its own."""
    kinds = [*mutate.BYTES, *mutate.KINDS]
    random.shuffle(kinds)
    chosen = [*kinds, *(random.choice(mutate.BYTES) for _ in range(count))][:count]
    return [(how, random.randrange(1 << 30)) for how in chosen]


def _in_stage(one: Input, count: int, world: World, tally: Tally) -> None:
    template, inputs = world.template, {}
    for name, place in one.inputs.items():
        source = template / place if place.startswith("build") else _made(world, place)
        inputs[name] = str(source.resolve())
    parameters = one.parameters
    if (template / "build" / one.stage).is_dir():
        # What the recipe leaves out is consented to, so that a damaged picture goes the whole way.
        consents = dict.fromkeys(stage_called(one.stage).consents, True)
        parameters = {**judge.record(template, one.stage)["recipe"]["parameters"], **consents}
    asked = {
        "module": f"stages.{one.module}",
        "stage": one.stage,
        "inputs": inputs,
        "damaged": one.damaged,
        "inside": one.inside,
    }
    asked.update(cases=_damages(world.random, count), work=str(world.folder / "work"), parameters=parameters)
    asked.update(suffix=Path(one.inputs[one.damaged]).suffix)
    path = world.folder / "asked.json"
    path.write_text(json.dumps(asked), encoding="utf-8")
    judged_in(one.environment, "in_stage.py", [str(path)], world, tally)


def _made(world: World, place: str) -> Path:
    """Photos with XML, one a PNG, or an array that fits the model."""
    if place == "x.npy":
        path = world.folder / place
        head = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3, 96, 96)}".ljust(117) + "\n"
        path.write_bytes(b"\x93NUMPY\x01\0v\0" + head.encode() + bytes(4 * 3 * 96 * 96))
        return path
    project = world.folder / "photos-of-mine"
    if not project.is_dir():
        world.own("photos-of-mine", pictures=3)
        (project / "photos" / "JPEGImages" / "demo-0007.jpg").unlink()
        (project / "photos" / "JPEGImages" / "demo-0007.png").write_bytes(_png())
    return project / "photos" / place


def _png() -> bytes:
    """A grey PNG of 320 x 180 pixels."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes((x + y) % 256 for x in range(320)) for y in range(180))
    head = struct.pack(">IIBBBBB", 320, 180, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def _small(world: World, own: bool = False) -> Path:
    """A project whose records are made and whose host files are all there."""
    project = world.own() if own else world.project(only=["render", "resize", "records"])
    environment = world.environment()
    if own:
        judge.told(world.run("records", cwd=project), codes=[0])
    judge.told(forked(["status"], project, environment), codes=[0])
    (project / "build" / "failures").mkdir(exist_ok=True)
    (project / "build" / "failures" / "records.json").write_text('{"fingerprint": "x", "error": "y", "when": "z"}')
    (project / "build" / "holder.json").write_text('{"pid": 1, "command": "x", "since": "y", "stages": []}')
    listings = project / "build" / "cache" / "listings"
    listings.mkdir(parents=True, exist_ok=True)
    if not list(listings.iterdir()):
        (listings / "0123456789abcdef0123.lines").write_bytes(b"x")
    return project


def _remembered(one: Remembered, count: int, world: World, tally: Tally) -> None:
    project = _small(world, one.own)
    figures = _figures(world, project)
    for how, seed in _damages(world.random, count):
        with tally.case(f"{how} of {one.name}, {seed}"), _damaged(project, one.pattern, how, seed):
            for command in one.commands:
                done = forked(command, project, world.environment())
                judge.told(done, codes=[0, 1, 2])
                if command == STATUS and done.code == 0:
                    _no_lie(figures, done)
        with tally.more("afterwards"):
            again = forked(STATUS, project, world.environment())
            judge.told(again, codes=[0])
            _no_lie(figures, again)


@contextlib.contextmanager
def _damaged(project: Path, pattern: str, how: str, seed: int) -> Any:
    """The file is damaged inside, and as it was afterwards."""
    path = sorted(project.glob(pattern))[0]
    link = os.readlink(path) if path.is_symlink() else None
    content = b"" if link else path.read_bytes()
    stat = path.lstat()
    if link and how in mutate.BYTES:
        how = "dangling"
    mutate.file(path, how, seed) if not link else _replace_link(path, how)
    try:
        yield
    finally:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif os.path.lexists(path):
            path.unlink()
        if link:
            path.symlink_to(link)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            os.chmod(path, stat.st_mode & 0o777)
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def _replace_link(path: Path, how: str) -> None:
    path.unlink()
    path.write_bytes(b"")
    mutate.file(path, how, 0)


def _figures(world: World, project: Path) -> Dict[str, Any]:
    done = forked(STATUS, project, world.environment())
    judge.told(done, codes=[0])
    return {row["name"]: row["metrics"] for row in _rows(done) if row["state"] == "fresh"}


def _rows(done: judge.Done) -> List[Dict[str, Any]]:
    text = done.out.rsplit("\n", 2)[0]
    rows: List[Dict[str, Any]] = json.loads(text)["stages"]
    return rows


def _no_lie(figures: Dict[str, Any], done: judge.Done) -> None:
    for row in _rows(done):
        if row["state"] == "fresh":
            assert row["metrics"] == figures[row["name"]], f"{row['name']} is said to be fresh, with {row['metrics']}"


def _config(count: int, world: World, tally: Tally) -> None:
    project = _small(world)
    for how, seed in _damages(world.random, count):
        with tally.case(f"{how} of detector.toml, {seed}"), _damaged(project, "detector.toml", how, seed):
            judge.told(forked(["status"], project, world.environment()), codes=[0, 1, 2])
    sizes: Dict[str, Callable[[], str]] = {
        "2,000 unknown keys": lambda: "[train]\n" + "".join(f"unknown_{n} = 1\n" for n in range(2000)),
        "deeply nested": lambda: "x = " + "[" * 50000 + "]" * 50000,
        "deep tables": lambda: "[" + ".".join("a" * 1 for _ in range(20000)) + "]\n",
        "not UTF-8": lambda: "x = '\udcff'",
        "a byte order mark": lambda: "\ufeff[train]\nsteps = 4\n",
        "NUL": lambda: "x = 1\0",
    }
    for name, text in sizes.items():
        with tally.case(name):
            (project / "detector.toml").write_bytes(text().encode("utf-8", "surrogateescape"))
            judge.told(forked(["status"], project, world.environment()), codes=[0, 1, 2])


def _settings(world: World, tally: Tally) -> None:
    project = _small(world)
    for setting in (*SETTINGS, *ODD_SETTINGS):
        with tally.case(ascii(setting[:60])):
            done = forked(
                ["status", "--set", os.fsencode(setting).decode("utf-8", "surrogateescape")],
                project,
                world.environment(),
            )
            judge.told(done, codes=[0, 1, 2, 3])
            assert "secret" not in done.err + done.out, "a password is printed"
