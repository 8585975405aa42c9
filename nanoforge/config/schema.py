"""``detector.toml``: what its keys are, and how it is read.

Every key is declared once, here, with its type, default, limits and meaning; the file that ``invoke init`` writes, the
table in docs/configuration.md and all error messages come from these declarations.
"""

from __future__ import annotations

import difflib
import re
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Sequence, Tuple, Union

import msgspec
from msgspec import Meta, Struct
from typing_extensions import Annotated, get_type_hints

from nanoforge.errors import BadInput

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE_NAME = "detector.toml"

ARCHITECTURES = ("ssd_mobilenet_v1", "ssd_mobilenet_v2", "ssdlite_mobilenet_v2", "ssd_inception_v2")
ENCODINGS = ("png", "jpeg")
FORMATS = ("uff", "onnx")
RUNNERS = ("auto", "docker", "local")
HOST_ENVIRONMENTS = ("data", "train", "jetson")
POLICIES = ("fail", "drop", "fix")

Size = Union[int, List[int]]
Fraction = Annotated[float, Meta(ge=0, le=1)]


class Dataset(Struct, frozen=True, kw_only=True):
    photos: Annotated[str, Meta(description="Folder of photos, searched with all its subfolders")] = "photos"
    annotations: Annotated[
        str, Meta(description="Folder of PASCAL VOC XML files; empty: beside the photos, or found in `photos`")
    ] = ""
    classes: Annotated[
        List[str], Meta(description="Names of the things to detect, as the XML spells them; others are dropped")
    ] = msgspec.field(default_factory=list)
    rendered_pictures: Annotated[
        int, Meta(ge=0, description="For the demo: render this many pictures instead of reading photos")
    ] = 0


class Resize(Struct, frozen=True, kw_only=True):
    long_side: Annotated[
        int, Meta(ge=16, description="`resize`: longest side of the smaller VOC dataset's pictures, in pixels")
    ] = 960
    jpeg_quality: Annotated[int, Meta(ge=1, le=100, description="`resize`: JPEG quality of the smaller pictures")] = 90


class Records(Struct, frozen=True, kw_only=True):
    image_size: Annotated[
        Size,
        Meta(description="Pixels of the pictures in the records, one number or [height, width]; 0: `model.input_size`"),
    ] = 0
    encoding: Annotated[
        str,
        Meta(
            extra_json_schema={"choices": ENCODINGS}, description="How records hold pixels: png (exact) or jpeg (small)"
        ),
    ] = "png"
    jpeg_quality: Annotated[int, Meta(ge=1, le=100, description="JPEG quality where `encoding` is jpeg")] = 95
    validation_fraction: Annotated[Fraction, Meta(description="Share of the photos kept for validation")] = 0.2
    seed: Annotated[int, Meta(ge=0, description="Another seed gives another split")] = 0
    limit: Annotated[int, Meta(ge=0, description="Use only this many photos, for a trial; 0: all")] = 0
    pictures_per_shard: Annotated[int, Meta(ge=1, description="Pictures in one TFRecord file")] = 1000
    folder: Annotated[
        str,
        Meta(
            description="Keep the records in this folder, for instance on another disk; empty: with the other artifacts"
        ),
    ] = ""
    findings: Annotated[
        Dict[str, str],
        Meta(
            description="What to do about each kind of finding in the data: fail, drop or fix (docs/stages/records.md)"
        ),
    ] = msgspec.field(default_factory=dict)


class Model(Struct, frozen=True, kw_only=True):
    architecture: Annotated[
        str, Meta(extra_json_schema={"choices": ARCHITECTURES}, description="One of " + ", ".join(ARCHITECTURES))
    ] = "ssd_mobilenet_v2"
    depth_multiplier: Annotated[
        float,
        Meta(gt=0, le=4, description="Width of the network: 1.0 is the published one, 0.25 a quarter of its channels"),
    ] = 1.0
    input_size: Annotated[Size, Meta(description="Pixels that the network sees, one number or [height, width]")] = 300
    checkpoint: Annotated[
        str, Meta(description="Start from this checkpoint: a zoo name, a path or a URL; empty: random weights")
    ] = ""
    checkpoint_sha256: Annotated[str, Meta(description="SHA-256 of the archive behind a zoo name or URL")] = ""
    pipeline_config: Annotated[
        str,
        Meta(
            description="Your own object_detection pipeline.config; paths are patched, `model` and `train` keys unused"
        ),
    ] = ""


class Train(Struct, frozen=True, kw_only=True):
    steps: Annotated[int, Meta(ge=1, description="Training steps")] = 20000
    batch_size: Annotated[int, Meta(ge=1, description="Pictures in one step")] = 24
    learning_rate: Annotated[
        float, Meta(gt=0, description="Highest learning rate; it falls to zero along a cosine")
    ] = 0.002
    warmup_steps: Annotated[int, Meta(ge=0, description="Steps until the highest learning rate is reached")] = 500
    evaluate_every: Annotated[int, Meta(ge=1, description="Evaluate after every so many steps, and at the end")] = 2000
    keep_checkpoints: Annotated[
        int, Meta(ge=1, description="How many evaluated checkpoints are kept beside the best")
    ] = 5
    seed: Annotated[int, Meta(ge=0, description="Seed of weights, shuffling and augmentation")] = 0
    augmentation: Annotated[
        List[str], Meta(description="Names of object_detection's augmentation steps, such as random_horizontal_flip")
    ] = msgspec.field(default_factory=lambda: ["random_horizontal_flip", "ssd_random_crop"])


class Evaluate(Struct, frozen=True, kw_only=True):
    checkpoint: Annotated[str, Meta(description="`evaluate`: best, last or a step")] = "best"


class Preview(Struct, frozen=True, kw_only=True):
    checkpoint: Annotated[str, Meta(description="`preview`: best, last or a step")] = "last"
    pictures: Annotated[int, Meta(ge=1, description="`preview`: how many validation pictures are drawn")] = 12
    score_threshold: Annotated[Fraction, Meta(description="`preview`: draw detections from this score on")] = 0.3


class Export(Struct, frozen=True, kw_only=True):
    checkpoint: Annotated[str, Meta(description="`export`: best, last or a step")] = "best"
    score_threshold: Annotated[
        Fraction, Meta(description="Lowest score that the model gives out; keep it low, `detect` has its own")
    ] = 0.01
    iou_threshold: Annotated[
        Fraction, Meta(description="Overlap above which the weaker of two boxes of a class is dropped")
    ] = 0.6
    max_detections: Annotated[int, Meta(ge=1, le=4096, description="Detections per picture at most")] = 100


class Convert(Struct, frozen=True, kw_only=True):
    to: Annotated[
        str,
        Meta(
            extra_json_schema={"choices": FORMATS},
            description="uff, or onnx: also as ONNX, which TensorRT 7.1 (JetPack 4.4) and later read",
        ),
    ] = "uff"
    parity_pictures: Annotated[
        int, Meta(ge=1, description="Validation pictures on which TensorFlow and the reference engine are compared")
    ] = 20
    nvidia_uff: Annotated[
        str,
        Meta(description="Folder or wheel of NVIDIA's package uff, if you have it: its .uff is compared with ours"),
    ] = ""


class Detect(Struct, frozen=True, kw_only=True):
    media: Annotated[
        str, Meta(description="`detect`: a picture, a folder or a video; empty: the validation pictures")
    ] = ""
    score_threshold: Annotated[Fraction, Meta(description="`detect`: lowest score of a detection")] = 0.5
    pictures: Annotated[int, Meta(ge=0, description="`detect`: at most this many pictures; 0: all")] = 0
    draw: Annotated[bool, Meta(description="`detect`: also draw the boxes on the pictures")] = True


class Runner(Struct, frozen=True, kw_only=True):
    use: Annotated[
        str,
        Meta(
            extra_json_schema={"choices": RUNNERS},
            description="Where stages run: docker (containers), local (virtual environments), auto: docker where an"
            " engine answers",
        ),
    ] = "auto"
    stages: Annotated[
        Dict[str, str],
        Meta(description="Where single stages run: stage = auto, docker, local or the name of a host"),
    ] = msgspec.field(default_factory=dict)
    gpu: Annotated[
        bool,
        Meta(description="docker: train and evaluate on the GPU (CUDA 9.0, compute capability 3.5 to 7.0)"),
    ] = False
    python36: Annotated[str, Meta(description="Path of a Python 3.6; empty: found on PATH, in pyenv or conda")] = ""
    cpus: Annotated[int, Meta(ge=0, description="Processors that a stage may use; 0: all")] = 0
    memory_mb: Annotated[int, Meta(ge=0, description="Memory that a stage may use, in MiB; 0: no limit")] = 0


class Host(Struct, frozen=True, kw_only=True):
    """A machine with a Docker engine, such as a Nano; one ``[hosts.NAME]`` each."""

    docker: Annotated[
        str, Meta(description="Its Docker engine: ssh://user@host, with :port and the socket's path if need be")
    ] = ""
    environment: Annotated[
        str,
        Meta(
            extra_json_schema={"choices": ("", *HOST_ENVIRONMENTS)},
            description="Environment that stages run in there, such as jetson; empty: the stage's own",
        ),
    ] = ""
    l4t: Annotated[
        str, Meta(description="A Jetson's L4T release, such as 32.7.1 (`head -1 /etc/nv_tegra_release` there)")
    ] = ""


class Config(Struct, frozen=True, kw_only=True):
    dataset: Annotated[Dataset, Meta(description="The labelled photos")] = Dataset()
    resize: Annotated[Resize, Meta(description="A smaller copy of the dataset, as VOC again")] = Resize()
    records: Annotated[Records, Meta(description="From photos and XML to TFRecords")] = Records()
    model: Annotated[Model, Meta(description="The network")] = Model()
    train: Annotated[Train, Meta(description="Training")] = Train()
    evaluate: Annotated[Evaluate, Meta(description="COCO metrics of a checkpoint")] = Evaluate()
    preview: Annotated[Preview, Meta(description="Pictures with boxes from a checkpoint")] = Preview()
    export: Annotated[Export, Meta(description="The frozen graph and its postprocessing")] = Export()
    convert: Annotated[Convert, Meta(description="From frozen graph to .uff, with proof")] = Convert()
    detect: Annotated[Detect, Meta(description="Boxes on pictures")] = Detect()
    runner: Annotated[Runner, Meta(description="Where stages run, and what they may use")] = Runner()
    hosts: Annotated[Dict[str, Host], Meta(description="Machines to run stages on")] = msgspec.field(
        default_factory=dict
    )


HOSTS = "hosts"
ANY_HOST = "hosts.NAME"
"""How the keys of a host are spelled where no certain host is meant."""


class Key(NamedTuple):
    """One key of the file: its section, name, type with limits, default, meaning and allowed words."""

    section: str
    name: str
    type: Any
    default: Any
    meaning: str
    choices: Tuple[str, ...]


def keys() -> Iterator[Key]:
    """Every key of ``detector.toml``, in the order of the file."""
    for section in get_type_hints(Config):
        struct, section = (Host, ANY_HOST) if section == HOSTS else (type(getattr(Config(), section)), section)
        for name, annotated in get_type_hints(struct, include_extras=True).items():
            notes = [note for note in annotated.__metadata__ if isinstance(note, Meta)]
            meaning = next(note.description or "" for note in reversed(notes) if note.description)
            extra = next((note.extra_json_schema for note in notes if note.extra_json_schema), {})
            yield Key(section, name, annotated, getattr(struct(), name), meaning, tuple(extra.get("choices", ())))


def sections() -> Dict[str, str]:
    """Section name -> what it is about."""
    return {
        ANY_HOST if name == HOSTS else name: annotated.__metadata__[0].description
        for name, annotated in get_type_hints(Config, include_extras=True).items()
    }


def load(path: Path, overrides: Sequence[str] = ()) -> Config:
    """Read ``detector.toml`` at ``path``, then ``overrides`` such as ``train.steps=4000``.

    Raises:
        BadInput: with every fault of the file and the overrides in one message, each with its line.
    """
    try:
        text = path.read_text(encoding="utf-8")
        document = tomllib.loads(text)
    except FileNotFoundError:
        raise BadInput(
            f"There is no {path.name} in {path.parent}: make one with `init PHOTOS`, or name one with --config FILE."
        ) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadInput(f"{path} is not valid TOML: {error}.") from None
    entries, faults = _entries_of_document(document, text)
    entries_set, faults_set = _entries_of_overrides(overrides)
    values, value_faults = _checked_values({**entries, **entries_set})
    config = msgspec.convert(values, Config)
    problems = [
        f"{where}: {what}"
        for where, what in (*faults, *faults_set, *value_faults, *_contradictions(config, {**entries, **entries_set}))
    ]
    if problems:
        raise BadInput("\n".join([f"{path} cannot be used:", *(f"  {problem}" for problem in problems)]))
    return config


class Entry(NamedTuple):
    value: Any
    where: str


Entries = Dict[Tuple[str, str], Entry]
Fault = Tuple[str, str]


def _entries_of_document(document: Mapping[str, Any], text: str) -> Tuple[Entries, List[Fault]]:
    entries: Entries = {}
    faults: List[Fault] = []
    for section, content in _sections_of(document):
        where = f"line {_line_of(text, section, None)}"
        if not isinstance(content, dict):
            faults.append((where, f"{section} = {content!r} stands outside of a section; {_section_advice(section)}"))
        elif _general(section) not in sections():
            faults.append((where, f"[{section}] is no section; {_section_advice(section)}"))
        else:
            for name, value in content.items():
                entries[section, name] = Entry(value, f"line {_line_of(text, section, name)}")
    return entries, faults


def _sections_of(document: Mapping[str, Any]) -> Iterator[Tuple[str, Any]]:
    """The document's tables; those of single hosts as ``hosts.nano``."""
    for section, content in document.items():
        if section == HOSTS and isinstance(content, dict) and all(isinstance(host, dict) for host in content.values()):
            yield from ((f"{HOSTS}.{name}", host) for name, host in content.items())
        else:
            yield section, content


def _general(section: str) -> str:
    return ANY_HOST if section.startswith(f"{HOSTS}.") else section


def _entries_of_overrides(overrides: Sequence[str]) -> Tuple[Entries, List[Fault]]:
    entries: Entries = {}
    faults: List[Fault] = []
    for override in overrides:
        match = re.fullmatch(r"\s*(hosts\.[\w-]+|\w+)\.(\w+)\s*=(.*)", override, re.DOTALL)
        if match:
            section, name, value = match.groups()
            entries[section, name] = Entry(_toml_value(value.strip()), f"--set {override}")
        else:
            faults.append((f"--set {override}", "must look like section.key=value, for instance train.steps=4000"))
    return entries, faults


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _checked_values(entries: Entries) -> Tuple[Dict[str, Dict[str, Any]], List[Fault]]:
    """The entries that are right, as nested values, and what is wrong with the others."""
    known = {(key.section, key.name): key for key in keys()}
    values: Dict[str, Dict[str, Any]] = {}
    faults: List[Fault] = []
    for (section, name), entry in entries.items():
        key = known.get((_general(section), name))
        problem = _unknown_key(section, name, known) if key is None else _problem_of_value(key, entry.value)
        if problem:
            faults.append((entry.where, problem))
        else:
            top, _, host = section.partition(".")
            table = values.setdefault(top, {})
            (table.setdefault(host, {}) if host else table)[name] = entry.value
    return values, faults


def _problem_of_value(key: Key, value: Any) -> str:
    shown = f"{key.section}.{key.name} = {value!r}"
    if isinstance(value, bool) and key.type.__origin__ is not bool:
        return f"{shown}: expected {_type_words(key)}, got a boolean"
    try:
        msgspec.convert(value, key.type)
    except msgspec.ValidationError as error:
        return f"{shown}: {str(error).replace('`', '').replace('Expected', 'expected')} ({key.meaning})"
    if key.choices and value not in key.choices:
        return f"{shown}: expected one of {', '.join(key.choices)}{_nearest(str(value), key.choices)}"
    if key.type.__origin__ is Size and not _is_size(value):
        return f"{shown}: expected one number, or two as [height, width], each at least 32 (0: take the default)"
    return ""


def _is_size(value: Size) -> bool:
    numbers = value if isinstance(value, list) else [value]
    return value == 0 or (all(32 <= number <= 4096 for number in numbers) and len(numbers) in (1, 2))


def _type_words(key: Key) -> str:
    return "a number" if isinstance(key.default, (int, float)) else "a " + type(key.default).__name__


def _contradictions(config: Config, entries: Entries) -> Iterator[Fault]:
    """Values that are right each for itself but not together."""

    def where(section: str, name: str) -> str:
        entry = entries.get((section, name))
        return entry.where if entry else f"[{section}]"

    yield from _contradictions_of_classes(config.dataset.classes, where("dataset", "classes"), entries)
    for kind, policy in config.records.findings.items():
        if policy not in POLICIES:
            yield where("records", "findings"), f"records.findings.{kind} = {policy!r}: expected fail, drop or fix"
    if config.train.warmup_steps >= config.train.steps and ("train", "warmup_steps") in entries:
        yield where("train", "warmup_steps"), "train.warmup_steps must be smaller than train.steps"
    yield from _contradictions_of_places(config, where("runner", "stages"))
    if config.model.input_size == 0:
        yield where("model", "input_size"), "model.input_size = 0: expected at least 32"


def _contradictions_of_classes(classes: List[str], where: str, entries: Entries) -> Iterator[Fault]:
    doubled = sorted({name for name in classes if classes.count(name) > 1})
    if doubled:
        yield where, f"dataset.classes names {', '.join(doubled)} more than once"
    if not all(name.strip() for name in classes):
        yield where, "dataset.classes holds an empty name"
    if not classes and ("dataset", "classes") not in entries:
        yield "[dataset]", 'dataset.classes is missing: name the classes to detect, for instance classes = ["raccoon"]'
    elif classes == []:
        yield where, "dataset.classes is empty: name at least one class"


def _contradictions_of_places(config: Config, where_stages: str) -> Iterator[Fault]:
    for name, host in config.hosts.items():
        if name in RUNNERS:
            yield f"[hosts.{name}]", f"a host cannot be called {name}, which is a runner"
        if not host.docker:
            yield f"[hosts.{name}]", f'hosts.{name}.docker is missing: where its engine is, such as "ssh://user@{name}"'
    places = (*RUNNERS, *config.hosts)
    for stage, place in config.runner.stages.items():
        if place not in places:
            yield where_stages, f"runner.stages.{stage} = {place!r}: expected one of {', '.join(places)}"


def _unknown_key(section: str, name: str, known: Mapping[Tuple[str, str], Key]) -> str:
    spelled = {f"{key_section}.{key_name}" for key_section, key_name in known}
    return f"{section}.{name} is no key{_nearest(f'{section}.{name}', sorted(spelled))}"


def _section_advice(name: str) -> str:
    return f"sections are {', '.join(sections())}{_nearest(name, list(sections()))}"


def _nearest(word: str, words: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""


def _line_of(text: str, section: str, name: Union[str, None]) -> int:
    """The line (from 1) on which a section, or a key of it, stands in the TOML text."""
    inside = False
    for number, line in enumerate(text.splitlines(), start=1):
        header = re.match(r"\s*\[+\s*([\w-]+)(?:\s*\.\s*([\w-]+))?\s*\]", line)
        if header:
            inside = section in (header.group(1), f"{header.group(1)}.{header.group(2)}")
            if inside and (name is None or header.group(2) == name):
                return number
        elif (inside and name is not None and re.match(rf"\s*[\"']?{re.escape(name)}[\"']?\s*[.=]", line)) or re.match(
            rf"\s*{re.escape(section)}\s*(?:\.\s*{re.escape(name or '')}\s*)?=", line
        ):
            return number
    return 1
