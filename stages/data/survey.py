"""Stage: what a VOC dataset holds, from names, XML and the headers of photos: for ``init``, and before long work.

No pixel is decoded, so what only pixels show (damaged photos) is not in it. All else is judged as ``records`` judges
it, by the same code, but every name is taken as a class: what is counted is what ``records`` would keep.
"""

import json
from collections import Counter
from functools import partial
from typing import Any, Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple, TypeVar
from typing import Counter as CounterOf

from stages import disk, pixels
from stages.data.annotation import boxes
from stages.data.annotation.boxes import WholeSize
from stages.data.annotation.frame import Reading, Turned, frame_of
from stages.data.annotation.objects import ObjectFilter
from stages.data.annotation.voc import Empty, Said, XmlFault
from stages.data.annotation.vocabulary import Vocabulary, composed, folded
from stages.data.findings import DataFinding, Findings, policies
from stages.data.pairing.pairing import Folders, Pair, files_of, pairs
from stages.data.patterns import patterns
from stages.data.patterns.pattern_tallies import Observed, WrittenBox, WrittenPicture
from stages.data.photo import exif, head
from stages.data.split.sides import SIDES
from stages.data.split.splits import Split, own_split
from stages.finding_kinds import DROP, FAIL
from stages.job import Job, run
from stages.parameters import SurveyParameters
from stages.workers import Pool

CHUNK = 50  # pictures that a process does at a time: one takes less time than sending it there
MANY = 2000  # pictures from which more processes are faster than the time to start them
BY_CHANCE = "by chance"

Item = TypeVar("Item")


class SurveySettings(NamedTuple):
    """How the dataset is to be read; ``image_size`` is (height, width), ``policy`` has every finding kind."""

    folders: Folders
    reading: Reading
    image_size: Tuple[int, int]
    policy: Dict[str, str]
    max_megapixels: int = pixels.MAX_MEGAPIXELS


class PictureSurvey(NamedTuple):
    """What one pair shows: ``names`` of its objects as written, those ``kept`` (None: the picture goes), findings.

    ``written`` is None where there is no XML, or none that can be read.
    """

    written: Optional[WrittenPicture]
    names: List[str]
    kept: Optional[List[str]]
    findings: List[DataFinding]


class Problem:
    """A kind of finding: how many there are, how many of them leave something out, and the first."""

    def __init__(self, first: DataFinding) -> None:
        self.count = self.dropped = 0
        self.first = first

    def add(self, finding: DataFinding) -> None:
        """Count one."""
        self.count += 1
        self.dropped += finding.action == DROP
        if finding.action == DROP and self.first.action != DROP:
            self.first = finding


class Survey:
    """What the pairs of a dataset show, in memory that grows with the number of classes and sizes only.

    Attributes:
        objects: objects per class name, in composed letters.
        classes: those of them that ``records`` would keep.
        forms: class name -> Unicode forms in which it is written.
        sizes: pictures per ``WIDTHxHEIGHT`` in the XML.
        problems: kind of finding -> how often, and the first.
        pictures: photos with an XML that is not empty, and ``kept`` those of them that can be used.
    """

    def __init__(self) -> None:
        self.objects: CounterOf[str] = Counter()
        self.classes: CounterOf[str] = Counter()
        self.forms: Dict[str, CounterOf[str]] = {}
        self.sizes: CounterOf[str] = Counter()
        self.problems: Dict[str, Problem] = {}
        self.observed = Observed()
        self.pictures = self.kept = 0

    def note(self, findings: Iterable[DataFinding]) -> None:
        """Count findings."""
        for finding in findings:
            self.problems.setdefault(finding.kind, Problem(finding)).add(finding)

    def add(self, one: PictureSurvey) -> None:
        """Count a pair."""
        self.note(one.findings)
        if one.written is None and one.kept is not None:
            return
        self.pictures += 1
        self.kept += one.kept is not None
        if one.written is None:
            return
        self.observed.add(one.written)
        self.sizes["%dx%d" % one.written.said if one.written.said else "unknown"] += 1
        for name in filter(None, one.names):
            self.objects[composed(name)] += 1
            self.forms.setdefault(composed(name), Counter())[name] += 1
        self.classes.update(map(composed, one.kept or []))

    def variants(self) -> List[List[str]]:
        """Class names that differ only in capitals, blanks, underscores or hyphens; the most frequent first."""
        alike: Dict[str, List[str]] = {}
        for name in sorted(self.objects, key=lambda name: (-self.objects[name], name)):
            alike.setdefault(folded(name), []).append(name)
        return [names for names in alike.values() if len(names) > 1]


def survey(
    settings: SurveySettings, items: List[Pair], cpus: int = 1, progress: Callable[[int], None] = lambda done: None
) -> Survey:
    """Each pair's XML and the head of its photo, read once; ``progress`` is told how many are done."""
    result, done = Survey(), 0
    with Pool(cpus if len(items) > MANY else 1) as pool:
        for chunk in pool.in_order(partial(_looked_at, settings), chunked(items, CHUNK)):
            for one in chunk:
                result.add(one)
            done += len(chunk)
            progress(done)
    return result


def chunked(items: Sequence[Item], most: int) -> Iterator[Sequence[Item]]:
    """The items in pieces of so many, the last of the rest."""
    return (items[start : start + most] for start in range(0, len(items), most))


def _looked_at(settings: SurveySettings, items: Sequence[Pair]) -> List[PictureSurvey]:
    read = settings.folders.read
    return [look(settings, pair, read(pair.xml, settings.reading.boxes).said if pair.xml else None) for pair in items]


def look(settings: SurveySettings, pair: Pair, said: Optional[Said]) -> PictureSurvey:
    """What a pair shows, whose XML was read. Policies that fail leave out: it is for ``records`` to fail."""
    findings = Findings({kind: DROP if policy == FAIL else policy for kind, policy in settings.policy.items()})
    if pair.xml is None or said is None:
        return PictureSurvey(None, [], [], findings.found)
    if isinstance(said, XmlFault):
        findings.fixes(said.kind, pair.xml, said.message, (None, said.line))
        return PictureSurvey(None, [], [] if said.kind == Empty.kind else None, findings.found)
    objects = said.objects
    names = [one.name for one in objects]
    stored, orientation = _head(settings, pair.photo, findings)
    numbers = [WrittenBox(one.number, one.line, one.numbers) for one in objects if one.numbers]
    written = WrittenPicture(pair.xml, said.size, stored, orientation, numbers)
    if stored is None:
        return PictureSurvey(written, names, None, findings.found)
    frame = frame_of(
        said, pair, Turned(orientation, boxes.upright_size(stored, orientation)), settings.reading, findings
    )
    if frame is None:
        return PictureSurvey(written, names, None, findings.found)
    vocabulary = Vocabulary(sorted(set(map(composed, filter(None, names)))), {})
    kept = ObjectFilter(vocabulary, settings.image_size, frame, pair.xml, findings).kept(objects, said.stray)
    return PictureSurvey(written, names, None if kept is None else [one.source.name for one in kept], findings.found)


def _head(settings: SurveySettings, photo: str, findings: Findings) -> Tuple[Optional[WholeSize], int]:
    """(width, height) of a photo as it is stored, None if it cannot be used, and its EXIF orientation."""
    kind, why = "unreadable_image", ""
    try:
        return head.read(settings.folders.photo(photo), settings.max_megapixels)
    except OSError as error:
        why = "it cannot be read: %s" % error.strerror
    except pixels.TooLarge as error:
        kind, why = "large_image", str(error)
    except pixels.UnreadFormat as error:
        kind, why = "unread_format", str(error)
    except ValueError as error:
        why = str(error)
    findings.fixes(kind, photo, why)
    return None, exif.UPRIGHT


def main(job: Job) -> None:
    """Write ``survey.json``: what the dataset holds, what is wrong, and how it can be read."""
    parameters = job.read(SurveyParameters)
    height, width = parameters.image_size
    folders = Folders(job.inputs["photos"], job.inputs["annotations"])
    settings = SurveySettings(folders, Reading("auto", "xml"), (height, width), policies({}))
    findings = Findings(settings.policy)
    there = files_of(folders)
    split = own_split("auto", pairs(folders, there, findings), folders, job.inputs.get("image_sets"), findings)
    for note in split.notes:
        job.warn(note)
    items = split.items

    def looked(reading: Reading) -> Survey:
        job.progress(0, len(items), "reading XML")
        return survey(settings._replace(reading=reading), items, job.cpus, lambda done: job.progress(done, len(items)))

    found = looked(settings.reading)
    suspicions = list(patterns.suspicions(found.observed, settings.reading))
    meant = _meant(settings.reading, suspicions)
    if meant != settings.reading:
        found = looked(meant)
    found.note(findings.found)
    document = dict(
        _document(found),
        pictures=len(there.photos),
        annotations=len(there.xmls),
        split={"source": split.source, "pictures": _sides(split)},
        patterns=[dict(one._asdict(), examples=one.examples.words) for one in suspicions],
    )
    disk.write(job.out("survey.json"), json.dumps(document, indent=1, sort_keys=True).encode())
    job.metrics(images=document["pictures"])


def _meant(reading: Reading, suspicions: Iterable[patterns.Suspicion]) -> Reading:
    """The reading with the keys that the suspicions name, so that what is counted is what it will be with them."""
    for one in suspicions:
        if one.key == "boxes":
            reading = reading._replace(boxes=str(one.value))
        if one.key == "sizes":
            reading = reading._replace(sizes=str(one.value))
    return reading


def _sides(split: Split) -> Dict[str, int]:
    """How many pictures the dataset itself puts on each side, and leaves to chance."""
    counts = Counter(split.sides.get(pair.photo, BY_CHANCE) for pair in split.items)
    return {side: counts[side] for side in (*SIDES, BY_CHANCE)}


def _document(found: Survey) -> Dict[str, Any]:
    def sorted_counts(counts: CounterOf[str]) -> Dict[str, int]:
        return dict(sorted(counts.items()))

    return {
        "objects": sorted_counts(found.objects),
        "classes": {name: found.classes[name] for name in sorted(found.objects)},
        "forms": {name: len(forms) for name, forms in sorted(found.forms.items()) if len(forms) > 1},
        "variants": found.variants(),
        "sizes": sorted_counts(found.sizes),
        "labelled": {"pictures": found.pictures, "kept": found.kept},
        "problems": {
            kind: {"count": one.count, "dropped": one.dropped, "first": one.first.sentence()}
            for kind, one in sorted(found.problems.items())
        },
    }


if __name__ == "__main__":
    run(main)
