"""Where a YOLO dataset keeps what: the names of its classes, its label files, and which photos are trained on.

Ultralytics (data.yaml, https://docs.ultralytics.com/datasets/detect/), Roboflow's exports of YOLOv5 to v12, Darknet
(obj.data, obj.names, https://github.com/AlexeyAB/darknet), CVAT's "YOLO 1.1", labelImg and Label Studio (classes.txt).
"""

import re
from typing import Any, Dict, List, NamedTuple, Optional

import yaml

from stages.data.annotation.vocabulary import composed
from stages.data.exchange.exchange_files import SourceFiles, peek, text
from stages.data.exchange.exchange_values import mapping, number, numbers, shown
from stages.data.exchange.photo_files import parts_of
from stages.data.split.split_lists import TEST, TRAIN, VALIDATION
from stages.job import BadInput

YAML = (".yaml", ".yml")
NAME_LISTS = ("obj.names", "classes.txt", "_darknet.labels", "predefined_classes.txt")
SIDE_KEYS = (("train", TRAIN), ("val", VALIDATION), ("valid", VALIDATION), ("test", TEST))
KIND_FOLDERS = ("images", "labels", "jpegimages", "obj_train_data", "obj_valid_data")
NAMES_KEY = re.compile(r"(?m)^\s*names\s*:")
LABEL_LINE = re.compile(r"\s*\d+(\.0+)?(\s+[-+]?[\d.]+([eE][-+]?\d+)?){4,}\s*", re.ASCII)
MOST_YAML = 1 << 20  # characters: a data.yaml of a thousand classes has a few ten thousand
MOST_SAMPLED = 50  # text files that are looked at to tell a YOLO dataset


class NamedSide(NamedTuple):
    """A folder of photos, or a list of them (``lines``), for a side of the split; ``file`` names it, in ``near``."""

    side: str
    written: str
    file: str
    near: str
    lines: Optional[List[str]] = None


class YoloLayout(NamedTuple):
    """``names`` of classes by their number; ``labels``: key of a picture (``key_of``) -> its label files.

    ``sides``: what train, val and test name. ``keypoints``: how many numbers of keypoints follow a box, or 0.
    """

    names: Dict[int, str]
    labels: Dict[str, List[str]]
    sides: List[NamedSide]
    keypoints: int


def key_of(path: str) -> str:
    """What a photo and its label file share: the folders but for images and labels, the name without suffix."""
    folders, _, name = composed(path).rpartition("/")
    kept = [folder for folder in folders.split("/") if folder and folder.casefold() not in KIND_FOLDERS]
    return "/".join([*kept, name.rpartition(".")[0] or name])


def finds(source: SourceFiles) -> List[str]:
    """The files that tell a YOLO dataset: with its classes, or else label files."""
    described = _described(source)
    named = source.called(*NAME_LISTS) + source.ending(".names")
    if described or named:
        return described + named
    sampled = [name for name in source.ending(".txt") if not _is_list(name)][:MOST_SAMPLED]
    return [name for name in sampled if LABEL_LINE.fullmatch((peek(source.path(name)).splitlines() or [""])[0])]


def layout(source: SourceFiles) -> YoloLayout:
    """How the dataset is laid out.

    Raises:
        BadInput: its classes have no names, or a file that tells them cannot be read.
    """
    described = _described(source)
    said = {name: _yaml(source.path(name)) for name in described}
    names = _same_names({name: _names_in(one.get("names"), source.path(name)) for name, one in said.items()}, source)
    if not names:
        lists = dict.fromkeys(source.called(*NAME_LISTS) + source.ending(".names"))
        names = _same_names({name: dict(enumerate(_lines(source.path(name)))) for name in lists}, source)
    if not names:
        raise BadInput(
            "%s tells no names of its classes: put a data.yaml with names, or a classes.txt with a name in each line,"
            " beside the labels." % source.root
        )
    sides = [side for name, one in said.items() for side in _sides_in(one, name, source)]
    for name in source.ending(".data"):
        sides += _sides_in(_data(source.path(name)), name, source)
    labels: Dict[str, List[str]] = {}
    for name in source.ending(".txt"):
        if not _is_list(name):
            labels.setdefault(key_of(name), []).append(name)
    shapes = [numbers(one.get("kpt_shape")) for one in said.values()]
    counts = next(filter(None, shapes), [0.0])
    return YoloLayout(names, labels, sides, int(counts[0] * counts[-1]))


def _described(source: SourceFiles) -> List[str]:
    """The data.yaml, or what it is called."""
    return [name for name in source.ending(*YAML) if NAMES_KEY.search(peek(source.path(name)))]


def _same_names(told: Dict[str, Dict[int, str]], source: SourceFiles) -> Dict[int, str]:
    """What the files tell of the names of classes, by the path of each.

    Raises:
        BadInput: two of them differ, so that a number may mean either class.
    """
    found = [(name, names) for name, names in told.items() if names]
    for name, names in found[1:]:
        if names != found[0][1]:
            raise BadInput(
                "%s and %s in %s number classes differently: import the folder of each on its own, or remove the"
                " one that does not hold." % (found[0][0], name, source.root)
            )
    return found[0][1] if found else {}


def _is_list(name: str) -> bool:
    """Whether a .txt holds no labels: the names of classes or pictures, or words about the dataset."""
    own = name.lower().rpartition("/")[2]
    lists = ("train.txt", "val.txt", "valid.txt", "validation.txt", "test.txt", "trainval.txt")
    return own in NAME_LISTS or own in lists or own.startswith("readme")


class _AsWritten(yaml.BaseLoader):
    """Every value as the text that it is: a class may be called no, 010 or null. A key that is repeated is refused."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> Dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, "%s is there twice" % key.value, key.start_mark)
            if isinstance(key, yaml.ScalarNode):
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def _yaml(path: str) -> Dict[str, Any]:
    content = text(path)
    if len(content) > MOST_YAML:
        raise BadInput("%s has over %d characters: a data.yaml names classes and folders only." % (path, MOST_YAML))
    try:
        for event in yaml.parse(content, yaml.BaseLoader):
            # What stands for a value said before may stand for it a billion times.
            if isinstance(event, yaml.AliasEvent):
                raise BadInput("%s has aliases (*name), which no data.yaml needs: write the values out." % path)
            if isinstance(event, (yaml.ScalarEvent, yaml.CollectionStartEvent)) and event.tag:
                line = event.start_mark.line + 1 if event.start_mark else 1
                raise BadInput(
                    "%s is not YAML, line %d: it has the tag %s, which no data.yaml needs." % (path, line, event.tag)
                )
        return mapping(yaml.load(content, _AsWritten))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        place = ", line %d" % (mark.line + 1) if mark else ""
        why = getattr(error, "problem", None) or "it cannot be read"
        raise BadInput("%s is not YAML%s: %s." % (path, place, why)) from None


def _names_in(said: Any, path: str) -> Dict[int, str]:
    """The names of classes: a list, or number: name, as Ultralytics writes it now."""
    numbered = dict(enumerate(said)) if isinstance(said, list) else mapping(said)
    names: Dict[int, str] = {}
    for key, name in numbered.items():
        place = number(key)
        if place is None or place != int(place) or not isinstance(name, str) or not name.strip():
            raise BadInput("%s: names has %s: %s, not the number of a class and its name." % (path, key, shown(name)))
        names[int(place)] = name
    return names


def _lines(path: str) -> List[str]:
    """The lines of a list without blank ones at its end; a blank one between names counts as a name."""
    return [line.strip() for line in text(path).rstrip().splitlines()]


def _data(path: str) -> Dict[str, Any]:
    """Darknet's ``key = value`` lines."""
    pairs = [line.partition("=") for line in _lines(path) if not line.startswith("#")]
    return {key.strip(): value.strip() for key, mark, value in pairs if mark}


def _sides_in(said: Dict[str, Any], file: str, source: SourceFiles) -> List[NamedSide]:
    """What ``train``, ``val`` and ``test`` name: folders, or lists of photos."""
    found = []
    for key, side in SIDE_KEYS:
        value = said.get(key)
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, str) and one:
                named = NamedSide(side, one, file, file.rpartition("/")[0])
                found += _listed(named, source) if one.lower().endswith(".txt") else [named]
    return found


def _listed(named: NamedSide, source: SourceFiles) -> List[NamedSide]:
    """The list that is written, with its lines; nothing if it is not there."""
    parts = parts_of(named.written)
    lists = [name for name in source.ending(".txt") if name.split("/")[-len(parts) :] == parts]
    lists = lists or source.called(parts[-1].lower() if parts else "")
    return [named._replace(file=one, lines=_lines(source.path(one))) for one in lists[:1]]
