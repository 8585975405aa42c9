"""Records that are taken from an earlier run, or from one that was interrupted: the bytes of a run from nothing."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Set

import pytest
from data_voc import PARAMETERS, Dataset, photo

from stages.data import making, records, tfrecord
from stages.data.made import FILE
from stages.data.pairing.pairing import Folders
from stages.data.picture_record import PictureRecord
from stages.data.spool import FILE as SPOOL
from stages.job import BadInput, Job

ROOT = Path(__file__).resolve().parents[2]
CONE = (("cone", (20, 10, 120, 80)),)
SMALL = {"image_size": [16, 24], "pictures_per_shard": 4}


class Run(NamedTuple):
    """What a run left: its files, and which photos it made records of."""

    folder: Path
    files: Dict[str, bytes]
    made: List[str]


@pytest.fixture
def runs(tmp_path: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Run]:
    """Run records on the test's dataset, with or without what an earlier run left."""
    made: List[str] = []
    monkeypatch.setattr("stages.job.emit", lambda _: None)
    make = making.make
    monkeypatch.setattr(making, "make", lambda settings, one: [made.append(one.pair.photo), make(settings, one)][1])
    numbers = iter(range(10000))

    def start(scratch: Optional[Path] = None, inputs: Any = (), cpus: int = 1, **parameters: Any) -> Run:
        folder = tmp_path / ("run-%d" % next(numbers))
        (folder / "scratch").mkdir(parents=True)
        made.clear()
        job = job_of(dataset, folder / "out", scratch or folder / "scratch", cpus, **parameters)
        job["inputs"].update(inputs)
        records.main(Job(job))
        shutil.rmtree(folder / "scratch")
        return Run(folder / "out", files_in(folder / "out"), list(made))

    return start


def job_of(dataset: Dataset, output: Path, scratch: Path, cpus: int, **parameters: Any) -> Dict[str, Any]:
    output.mkdir(parents=True)
    scratch.mkdir(exist_ok=True)
    inputs = {"photos": str(dataset.photos), "annotations": str(dataset.annotations)}
    job: Dict[str, Any] = {"stage": "records", "inputs": inputs, "output": str(output), "scratch": str(scratch)}
    return dict(job, cpus=cpus, parameters={**PARAMETERS, **SMALL, **parameters})


def files_in(folder: Path) -> Dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def same(one: Run, other: Run) -> bool:
    """Whether two runs left the same; told by name where they did not."""
    assert sorted(one.files) == sorted(other.files)
    assert [name for name in one.files if one.files[name] != other.files[name]] == []
    return True


def changed(before: Run, after: Run) -> Set[str]:
    shards = {name for name in {*before.files, *after.files} if name.endswith(".tfrecord")}
    return {name for name in shards if before.files.get(name) != after.files.get(name)}


def filled(dataset: Dataset, count: int = 12) -> Dataset:
    """Photos of which some are odd: no XML, a damaged one, one that goes, one that is mended."""
    dataset.fill(count)
    dataset.add("flipped.jpg", (("cone", (120, 80, 20, 10)),))
    dataset.add("nameless.jpg", (("", (20, 10, 120, 80)), *CONE))
    dataset.add("broken.jpg", data=b"no photo")
    dataset.add("damaged.jpg")
    (dataset.annotations / "damaged.xml").write_text("<annotation>")
    dataset.add("lone.jpg")
    (dataset.annotations / "lone.xml").unlink()
    return dataset


def test_nothing_new_makes_nothing_and_one_new_photo_changes_one_shard(dataset: Dataset, runs: Callable[..., Run]):
    filled(dataset, 30)
    first = runs()
    again = runs(inputs={"earlier": str(first.folder)})
    # What cannot be read has no digest by which it could be known again.
    assert same(again, first) and set(again.made) == {"broken.jpg", "damaged.jpg"}
    dataset.add("new.jpg", CONE)
    more = runs(inputs={"earlier": str(again.folder)})
    assert set(more.made) == {"broken.jpg", "damaged.jpg", "new.jpg"}
    assert len(changed(first, more)) == 1 and same(more, runs())


def test_the_digests_that_are_given_spare_reading_the_photos(
    dataset: Dataset, runs: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    filled(dataset)
    first = runs()
    (dataset.photos / "photo-003.jpg").write_bytes(photo(200, 100, seed=77))
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in dataset.photos.iterdir()}
    (tmp_path / "digests.json").write_text(json.dumps({"photos": digests, "annotations": {}}))
    expected = runs()
    monkeypatch.setattr("stages.data.first_pass._digest", None)
    after = runs(inputs={"earlier": str(first.folder), "digests": str(tmp_path / "digests.json")})
    assert same(after, expected) and set(after.made) == {"broken.jpg", "damaged.jpg", "photo-003.jpg"}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"photos": 3}', '{"photos": {"photo-001.jpg": "xyz"}}', "[" * 9999])
def test_digests_that_are_none_are_made(dataset: Dataset, runs: Callable[..., Run], tmp_path: Path, text: str):
    dataset.fill(3)
    first = runs()
    (tmp_path / "digests.json").write_text(text)
    after = runs(inputs={"earlier": str(first.folder), "digests": str(tmp_path / "digests.json")})
    assert same(after, first) and after.made == []


SETTINGS: Sequence[Dict[str, Any]] = (
    {"image_size": [24, 16]},
    {"encoding": "jpeg"},
    {"jpeg_quality": 50},
    {"encoding": "jpeg", "jpeg_quality": 80},
    {"classes": ["ball", "cone"]},
    {"aliases": {"cane": "cone"}},
    {"boxes": "corners"},
    {"sizes": "photo"},
    {"seed": 3},
    {"limit": 5},
    {"pictures_per_shard": 2},
    {"validation_fraction": 0.5},
    {"findings": {"flipped_box": "drop", "no_class": "drop"}},
    {"findings": {"no_xml": "fix", "damaged_xml": "drop"}},
    {"max_megapixels": 50},
)


def changed_by_chance(dataset: Dataset, rng: Random) -> Dict[str, Any]:
    """One change to a dataset by chance, or to the parameters, which are returned."""
    photos = sorted(dataset.photos.iterdir())
    one, other = rng.choice(photos), rng.choice(photos)
    xml = dataset.annotations / (one.stem + ".xml")
    data, text, number = one.read_bytes(), xml.read_bytes() if xml.exists() else b"", rng.randrange(1, 1000)
    changes: Dict[str, Callable[[], Any]] = {
        "add": lambda: dataset.add("new-%d.jpg" % number, CONE),
        "copy": lambda: dataset.add("copy-%d.jpg" % number, CONE, data=data),
        "remove": one.unlink if len(photos) > 6 else lambda: None,
        "rename": lambda: one.rename(one.with_name("renamed-%d.jpg" % number)),
        "photo": lambda: one.write_bytes(photo(200, 100, seed=number)),
        "swap": lambda: [one.write_bytes(other.read_bytes()), other.write_bytes(data)],
        "xml": lambda: xml.write_bytes(text.replace(b"20", b"%d" % (number % 30))),
        "comment": lambda: xml.write_bytes(text + b"<!-- %d -->" % (number % 10)),
        "no xml": lambda: xml.unlink() if text else None,
        "setting": lambda: None,
    }
    what = rng.choice(list(changes))
    changes[what]()
    return dict(rng.choice(SETTINGS)) if what == "setting" else {}


@pytest.mark.parametrize("seed", [*range(3), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 20))])
def test_whatever_changes_the_records_are_those_of_a_run_from_nothing(
    dataset: Dataset, runs: Callable[..., Run], seed: int
):
    rng, parameters = Random(seed), {}  # type: Random, Dict[str, Any]
    filled(dataset, 8)
    last = runs()
    for _ in range(3):
        for _ in range(rng.randint(1, 3)):
            parameters.update(changed_by_chance(dataset, rng))
        last = runs(inputs={"earlier": str(last.folder)}, **parameters)
        expected = runs(**parameters)
        assert same(last, expected)
        assert set(last.made) <= set(expected.made)


def test_settings_that_make_other_records_take_none(dataset: Dataset, runs: Callable[..., Run]):
    dataset.fill(4)
    first = runs()
    for other in ({"image_size": [24, 24]}, {"encoding": "jpeg"}, {"classes": ["cone"]}, {"sizes": "photo"}):
        after = runs(inputs={"earlier": str(first.folder)}, **other)
        assert len(after.made) == 4
    for same_pictures in ({"seed": 5}, {"validation_fraction": 0.5}, {"pictures_per_shard": 2}, {"limit": 3}):
        after = runs(inputs={"earlier": str(first.folder)}, **same_pictures)
        assert after.made == [] and same(after, runs(**same_pictures))


def damaged(folder: Path, rng: Random) -> None:
    """Damage to one file of an artifact, or of a scratch folder, by chance."""
    path = rng.choice(sorted(path for path in folder.iterdir() if path.stat().st_size))
    data = bytearray(path.read_bytes())
    what, place = rng.choice(("flip", "cut", "remove", "insert", "double", "length")), rng.randrange(len(data))
    if what == "flip":
        data[place] ^= 1 << rng.randrange(8)
    elif what == "cut":
        del data[place:]
    elif what == "insert":
        data[place:place] = b"\0\xff{"
    elif what == "double":
        data = data + data
    elif what == "length":  # a frame that says that it has 2 GB, with the checksum of that
        length = (2 << 30).to_bytes(8, "little")
        data[:12] = length + tfrecord.masked_crc(length)
    path.unlink()
    if what != "remove":
        path.write_bytes(bytes(data))


@pytest.mark.parametrize("seed", [*range(6), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(6, 40))])
def test_of_a_damaged_artifact_only_what_is_whole_is_taken(dataset: Dataset, runs: Callable[..., Run], seed: int):
    rng = Random(seed)
    filled(dataset, 6)
    first = runs()
    for _ in range(3):
        shutil.rmtree(str(first.folder))
        first.folder.mkdir()
        for name, data in first.files.items():
            (first.folder / name).write_bytes(data)
        damaged(first.folder, rng)
        assert same(runs(inputs={"earlier": str(first.folder)}), first)


def test_the_list_of_other_records_gives_no_picture_under_another_s_name(dataset: Dataset, runs: Callable[..., Run]):
    dataset.fill(8)
    first = runs()
    (dataset.photos / "photo-002.jpg").write_bytes(photo(200, 100, seed=99))
    other = runs()
    for line in (other.folder / FILE).read_bytes(), b"", b"{}\n", b'{"key": "' + b"0" * 64 + b'"}\n':
        (first.folder / FILE).write_bytes(line)
        assert same(runs(inputs={"earlier": str(first.folder)}), other)


def test_a_folder_that_is_no_artifact_gives_nothing(dataset: Dataset, runs: Callable[..., Run], tmp_path: Path):
    dataset.fill(3)
    first = runs()
    for folder in (tmp_path, tmp_path / "nowhere", dataset.photos / "photo-000.jpg"):
        assert len(runs(inputs={"earlier": str(folder)}).made) == 3
    # A list that would lead out of the folder, to a file that a record is in.
    line = next(line for line in (first.folder / FILE).read_bytes().splitlines())
    told = json.loads(line)
    told["at"]["shard"] = str(first.folder / told["at"]["shard"])
    text = json.dumps(told).encode() + b"\n"
    end = json.dumps({"sha256": hashlib.sha256(text).hexdigest()}).encode() + b"\n"
    (first.folder / FILE).write_bytes(text + end)
    assert len(runs(inputs={"earlier": str(first.folder)}).made) == 3


WRONG: Sequence[Dict[str, Any]] = (
    {"written": "2"},
    {"written": None},
    {"listed": float("nan")},
    {"listed": True},
    {"look": "00"},
    {"digest": ""},
    {"digest": 7},
    {"checksum": []},
    {"facts": [1]},
    {"facts": {"source_id": "photo-000.jpg", "width": 1, "height": 1, "boxes": [[0, 0, 1, "x"]], "classes": [1]}},
    {"facts": {"source_id": "photo-000.jpg", "width": 1, "height": 1, "boxes": [[0, 0, 1, 1]], "classes": []}},
    {"facts": {"source_id": 3, "width": 1, "height": float("nan"), "boxes": [], "classes": []}},
    {"findings": [["no_such_kind", "a.jpg", None, None, "it is odd", "drop"]]},
    {"findings": [["tiny_box", "a.jpg", None, "x", "it is odd", "drop"]]},
    {"findings": [["tiny_box", "a.jpg"]]},
    {"at": {"shard": "train-00000-of-00001.tfrecord", "offset": 1 << 70, "length": 1 << 70}},
    {"at": {"shard": 3, "offset": -1, "length": float("nan")}},
)


@pytest.mark.parametrize("change", WRONG)
def test_what_a_list_says_of_a_picture_is_of_the_right_types_or_made_again(
    dataset: Dataset, runs: Callable[..., Run], tmp_path: Path, change: Dict[str, Any]
):
    """In a list that is whole by its own digest, and in what an interrupted run left."""
    dataset.fill(2)
    first = runs()
    lines = [json.loads(line) for line in (first.folder / FILE).read_bytes().splitlines()[:-1]]
    said = [{**line, **change} if line["facts"]["source_id"] == "photo-000.jpg" else line for line in lines]
    text = b"".join(json.dumps(line).encode() + b"\n" for line in said)
    end = json.dumps({"sha256": hashlib.sha256(text).hexdigest()}).encode() + b"\n"
    (first.folder / FILE).write_bytes(text + end)
    after = runs(inputs={"earlier": str(first.folder)})
    assert same(after, runs()) and "photo-000.jpg" in after.made
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    spooled = b"".join(tfrecord.framed(json.dumps({**line, "at": None}).encode()) for line in said)
    (scratch / SPOOL).write_bytes(spooled)
    assert same(runs(scratch), after)


def test_a_list_that_is_nested_too_deeply_is_not_read(dataset: Dataset, runs: Callable[..., Run]):
    dataset.fill(2)
    first = runs()
    lines = (first.folder / FILE).read_bytes().splitlines()[:-1]
    text = lines[0][:-1] + b', "more": ' + b"[" * 99999 + b"\n" + lines[1] + b"\n"
    end = json.dumps({"sha256": hashlib.sha256(text).hexdigest()}).encode() + b"\n"
    (first.folder / FILE).write_bytes(text + end)
    assert len(runs(inputs={"earlier": str(first.folder)}).made) == 1


class Stopped(Exception):
    """Where a run is interrupted."""


def interrupted(runs: Callable[..., Run], monkeypatch: pytest.MonkeyPatch, scratch: Path, after: int, **more: Any):
    """Begin a run that ends after so many pictures."""
    with monkeypatch.context() as patch:
        add, left = records.Spool.add, iter(range(after))

        def stopping(self: Any, data: bytes) -> PictureRecord:
            if next(left, None) is None:
                raise Stopped
            return add(self, data)

        patch.setattr(records.Spool, "add", stopping)
        with pytest.raises(Stopped):
            runs(scratch, **more)


@pytest.mark.parametrize("after", range(0, 16, 3))
def test_an_interrupted_run_goes_on(
    dataset: Dataset, runs: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
):
    filled(dataset)
    expected, scratch = runs(), tmp_path / "scratch"
    interrupted(runs, monkeypatch, scratch, after)
    assert SPOOL in os.listdir(str(scratch))
    done = runs(scratch)
    assert same(done, expected) and os.listdir(str(scratch)) == []
    assert len(expected.made) - after <= len(done.made) <= len(expected.made) - after + 2


@pytest.mark.parametrize("seed", [*range(4), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(4, 20))])
def test_what_an_interrupted_run_left_damaged_is_made_again(
    dataset: Dataset, runs: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
):
    rng, scratch = Random(seed), tmp_path / "scratch"
    filled(dataset, 6)
    before = runs()
    changed_by_chance(dataset, rng)
    earlier = {"earlier": str(before.folder)} if rng.random() < 0.5 else {}
    expected = runs()
    for _ in range(3):
        interrupted(runs, monkeypatch, scratch, rng.randrange(3 if earlier else 8), inputs=earlier)
        (scratch / "findings.jsonl").unlink()
        if (scratch / SPOOL).stat().st_size:
            damaged(scratch, rng)
        assert same(runs(scratch, inputs=earlier), expected)


def test_a_run_that_failed_for_its_losses_goes_on_once_they_are_accepted(
    dataset: Dataset, runs: Callable[..., Run], tmp_path: Path
):
    dataset.fill(3)
    dataset.add("a.jpg", data=b"no photo")
    dataset.add("b.jpg", data=photo()[:-900])
    with pytest.raises(BadInput, match="would be lost"):
        runs(tmp_path / "scratch", accept_losses=False)
    assert set(runs(tmp_path / "scratch").made) == {"a.jpg", "b.jpg"}


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on(dataset: Dataset, runs: Callable[..., Run], tmp_path: Path):
    """Killed by the system at any time, with several processes, again and again, it comes to the same end."""
    filled(dataset, 60)
    expected = runs(image_size=[256, 256])
    scratch, rng = tmp_path / "scratch", Random(0)
    for attempt in range(12):
        output = tmp_path / ("killed-%d" % attempt)
        job = job_of(dataset, output, scratch, 2, image_size=[256, 256])
        (tmp_path / "job.json").write_text(json.dumps(job))
        process = subprocess.Popen(
            [sys.executable, "-m", "stages.data.records", str(tmp_path / "job.json")],
            cwd=str(ROOT),
            stdout=subprocess.DEVNULL,
        )
        time.sleep(rng.uniform(0.5, 3))
        if attempt < 11:
            process.send_signal(signal.SIGKILL)
        elif process.wait() == 0:
            assert same(Run(output, files_in(output), []), expected)
            return
        process.wait()
    raise AssertionError("the last run ended with %s" % process.returncode)


def test_each_xml_is_read_once_whatever_its_name(dataset: Dataset, runs: Callable[..., Run], monkeypatch: Any):
    """Also where only what the XML says tells which photo it is of, and where its photo is missing."""
    filled(dataset, 6)
    for number in range(3):
        (dataset.annotations / ("photo-%03d.xml" % number)).rename(dataset.annotations / ("label %d.xml" % number))
    (dataset.photos / "photo-004.jpg").unlink()
    read: List[str] = []
    xml = Folders.xml
    monkeypatch.setattr(Folders, "xml", lambda folders, name: [read.append(name), xml(folders, name)][1])
    runs()
    assert sorted(read) == sorted(path.name for path in dataset.annotations.iterdir())
