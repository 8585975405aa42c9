"""Random datasets with a known truth: nothing is lost without a word, and every box that is kept is the true one."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any, Callable, Dict, List, Set

import cv2
import numpy as np
import pytest
from data_voc import PARAMETERS, Outcome
from random_annotations import DEFAULT, FIXED, POLICIES
from random_dataset import CLASSES, ODDITIES, RandomDataset, make
from random_draft import BACKGROUND, DROPPED, KEPT, Draft

from stages import files
from stages.data import records
from stages.data.findings import DataFinding
from stages.finding_kinds import FIX, KINDS
from stages.job import BadInput

FEW, MANY = range(24), range(100, 250)
FIXES = {DEFAULT: {}, FIXED: {name: FIX for name, kind in KINDS.items() if kind.fix}}
Records = Callable[..., Outcome]


@pytest.fixture
def made(tmp_path: Path, run: Callable[..., Outcome]) -> Records:
    """The records of a random dataset, made under a policy."""

    def start(dataset: RandomDataset, policy: str, cpus: int = 1) -> Outcome:
        return run(records.main, dataset.inputs, dict(dataset.parameters, findings=FIXES[policy]), cpus)

    return start


@pytest.mark.parametrize("seed", [*FEW, *(pytest.param(seed, marks=pytest.mark.slow) for seed in MANY)])
def test_what_comes_out_is_the_truth(seed: int, tmp_path: Path, made: Records) -> None:
    dataset = make(seed, tmp_path / "data")
    for policy in POLICIES:
        outcome = made(dataset, policy)
        wrong = differences(dataset, policy, outcome)
        assert not wrong, "%s, %s\n%s" % (dataset.story, policy, "\n".join(wrong))


@pytest.mark.parametrize("odd", ["xywh", "relative", "exchanged"])
@pytest.mark.parametrize("seed", [*FEW[:3], *(pytest.param(seed, marks=pytest.mark.slow) for seed in MANY[:60])])
def test_an_odd_dataset_is_refused_with_the_key_that_reads_it(
    seed: int, odd: str, tmp_path: Path, made: Records
) -> None:
    dataset = make(seed, tmp_path / "data", odd)
    ((key, value),) = ODDITIES[odd].items()
    with pytest.raises(BadInput) as refused:
        made(dataset._replace(parameters=dict(dataset.parameters, **{key: PARAMETERS[key]})), DEFAULT)
    sentence = str(refused.value)
    assert 'dataset.%s = "%s"' % (key, value) in sentence, "%s\n%s" % (dataset.story, sentence)
    few = re.match(r"In (\d) of", sentence)  # of square photos, sizes cannot be exchanged
    assert sentence.lower().count(".xml") >= min(3, int(few.group(1)) if few else 3), "%s\n%s" % (
        dataset.story,
        sentence,
    )
    wrong = differences(dataset, DEFAULT, made(dataset, DEFAULT))
    assert not wrong, "%s\n%s" % (dataset.story, "\n".join(wrong))


@pytest.mark.parametrize("seed", [3, *(pytest.param(seed, marks=pytest.mark.slow) for seed in MANY[:10])])
def test_neither_processors_nor_the_disk_s_order_change_a_byte(
    seed: int, tmp_path: Path, made: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = make(seed, tmp_path / "data")
    before = made(dataset, DEFAULT).bytes()
    monkeypatch.setattr(files.os, "scandir", backwards(files.os.scandir))
    assert made(dataset, DEFAULT, cpus=2).bytes() == before, dataset.story


def backwards(scandir: Callable[[str], Any]) -> Callable[[str], Any]:
    class Entries(list):
        def __enter__(self) -> "Entries":
            return self

        def __exit__(self, *error: object) -> None:
            pass

    def listed(path: str = ".") -> Entries:
        with scandir(path) as entries:
            return Entries(sorted(entries, key=lambda entry: entry.name, reverse=True))

    return listed


def differences(dataset: RandomDataset, policy: str, outcome: Outcome) -> List[str]:
    """What is not as the truth says, a sentence each."""
    lines = {line["source_id"]: line for line in outcome.index}
    wrong: List[str] = []
    for draft in dataset.drafts:
        photo, xml = dataset.names(draft)
        found = [finding for finding in outcome.findings if finding["file"] in (photo, xml)]
        line = lines.pop(photo, None) if draft.has_photo else None
        about = "%s (%s): " % (photo, draft.flaw or "no flaw")
        wrong += [about + one for one in _picture(draft, policy, line, outcome)]
        wrong += [about + one for one in _kinds(draft, {finding["kind"] for finding in found})]
        if draft.state(policy) == DROPPED and not any(finding["action"] == "drop" for finding in found):
            wrong.append(about + "it is dropped without a word")
    wrong += ["%s is in the records, but not in the dataset" % name for name in lines]
    return wrong + _groups(dataset, outcome) + _sentences(outcome) + _figures(dataset, policy, outcome)


def _picture(draft: Draft, policy: str, line: Dict[str, Any], outcome: Outcome) -> List[str]:
    state, boxes = draft.state(policy), draft.boxes(policy)
    came = DROPPED if line is None else KEPT if line["boxes"] else BACKGROUND
    if came != state:
        return ["it must be %s, but is %s" % (state, came)]
    if line is None:
        return []
    wrong = []
    if (line["width"], line["height"]) != draft.size:
        wrong.append("it is %r, not %r" % ((line["width"], line["height"]), draft.size))
    if draft.side and line["split"] != draft.side:
        wrong.append("it must be in %s, but is in %s" % (draft.side, line["split"]))
    features = outcome.features(line["source_id"])
    for sizes, told in (((1.0, 1.0), _indexed(line)), (draft.size, _recorded(features))):
        expected = [(name, *_per(box, draft.size)) for name, box in boxes]
        near = len(told) == len(expected) and all(
            one[0] == other[0] and max(abs(a - b) * max(sizes) for a, b in zip(one[1:], other[1:])) < 1e-5
            for one, other in zip(sorted(told), sorted(expected))
        )
        if not near:
            wrong.append("its boxes must be %r, but are %r" % (expected, told))
            break
    off = _off(draft.pixels, features["image/encoded"][0]) if draft.flaw != "grey_photo" else 0
    return wrong + (["its pixels are off by %.0f grey levels" % off] if off > 12 else [])


def _per(box: Any, size: Any) -> List[float]:
    return [edge / whole for edge, whole in zip(box, (*size, *size))]


def _indexed(line: Dict[str, Any]) -> List[Any]:
    return [(CLASSES[id - 1], box[1], box[0], box[3], box[2]) for id, box in zip(line["classes"], line["boxes"])]


def _recorded(features: Dict[str, list]) -> List[Any]:
    names = [text.decode() for text in features["image/object/class/text"]]
    return list(zip(names, *(features["image/object/bbox/" + edge] for edge in ("xmin", "ymin", "xmax", "ymax"))))


def _off(upright: np.ndarray, encoded: bytes) -> float:
    """Mean difference in grey levels between the truth and a record's picture."""
    came = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
    true = cv2.resize(upright, (came.shape[1], came.shape[0]), interpolation=cv2.INTER_AREA)
    return float(np.abs(came.astype(float) - true).mean())


def _kinds(draft: Draft, kinds: Set[str]) -> List[str]:
    wrong, left = [], set(kinds)
    for expected in draft.kinds:
        # Where a picture goes for one object, nothing more need be said of another.
        if not kinds & set(expected.split("|")) and not ("+" in draft.flaw and draft.lost and kinds):
            wrong.append("no finding %s" % expected)
        left -= set(expected.split("|"))
    return wrong + ["a finding %s of nothing" % kind for kind in sorted(left)]


def _groups(dataset: RandomDataset, outcome: Outcome) -> List[str]:
    """Pictures in two splits, and groups of copies."""
    times = Counter(line["source_id"] for line in outcome.index)
    wrong = ["%s is in the records %d times" % (name, count) for name, count in times.items() if count > 1]
    sides: Dict[int, Set[str]] = {}
    split = {line["source_id"]: line["split"] for line in outcome.index}
    for draft in dataset.drafts:
        photo = dataset.names(draft)[0]
        # By the dataset's own split, "leak" tells of it and the policy decides.
        if photo in split and not (draft.side and outcome.dataset["finding_counts"].get("leak")):
            sides.setdefault(draft.group, set()).add(split[photo])
    return wrong + ["copies of %d are in %s" % (group, found) for group, found in sides.items() if len(found) > 1]


def _sentences(outcome: Outcome) -> List[str]:
    sentences = [(DataFinding(**finding).sentence(), KINDS[finding["kind"]].remedy) for finding in outcome.findings]
    return ["%r does not end in its remedy" % said for said, remedy in sentences if not said.endswith(remedy + ".")]


def _figures(dataset: RandomDataset, policy: str, outcome: Outcome) -> List[str]:
    figures = outcome.dataset["figures"]
    wrong = [
        "%s: read %d is not kept + dropped + background: %s" % (about, one["read"], json.dumps(one))
        for about, one in figures.items()
        if one["read"] != one["kept"] + one["dropped"] + one["background"]
    ]
    states = Counter(draft.state(policy) for draft in dataset.drafts)
    for state in (KEPT, BACKGROUND, DROPPED):
        if figures["pictures"][state] != states[state]:
            wrong.append("%d pictures are %s, not %d" % (figures["pictures"][state], state, states[state]))
    boxes = sum(len(draft.boxes(policy)) for draft in dataset.drafts)
    if figures["boxes"]["kept"] != boxes:
        wrong.append("%d boxes are kept, not %d" % (figures["boxes"]["kept"], boxes))
    return wrong
