"""What every source of pictures gives: all of them in order, for the index, and one that is looked at."""

from typing import Dict, Iterator, List, NamedTuple, Optional, Protocol, Sequence, Tuple

Edges = Tuple[float, float, float, float]
"""xmin, ymin, xmax, ymax as shares of the picture, 0 to 1."""


class TruthBox(NamedTuple):
    """An object as it was labelled."""

    edges: Edges
    label: str
    difficult: bool = False
    truncated: bool = False


class ToldFinding(NamedTuple):
    """A finding about a picture; as in ``findings.jsonl``, ``object`` counts from 1."""

    kind: str
    file: str
    message: str
    line: Optional[int] = None
    object: Optional[int] = None
    action: str = ""


class PicturePlace(NamedTuple):
    """Where a picture is: a file by its number in the source, and the frame in it; length 0: the whole file."""

    file: int
    offset: int = 0
    length: int = 0


class PictureEntry(NamedTuple):
    """A picture as the index keeps it.

    Attributes:
        name: its ``image/source_id`` or path, which its id is made of; may hold lone surrogates.
        split: train, validation, test or empty.
        size: (width, height) of the stored picture, 0 where that is not known.
    """

    name: str
    split: str
    size: Tuple[int, int]
    boxes: Sequence[TruthBox]
    place: PicturePlace
    findings: Sequence[ToldFinding] = ()


class Looked(NamedTuple):
    """A picture that is looked at.

    Attributes:
        data: as stored; empty where there is none.
        upright: whether its EXIF orientation counts, as labelling tools show photos; training takes pixels as they are.
        features: what else is stored with it, each as a short text.
        problem: a sentence on what is wrong with it, empty where nothing is.
    """

    data: bytes
    upright: bool
    features: Dict[str, str]
    problem: str = ""


class ViewSource(Protocol):
    """Where pictures come from.

    Attributes:
        kind: records, tfrecord or voc.
        title: for people.
        warnings: sentences on how it is read and what cannot be, known once its entries are told.
        total: how many entries there will be, or bytes of them; 0 where that is not known.
        done: how many of ``total`` are told.
    """

    kind: str
    title: str
    warnings: List[str]
    total: int
    done: int

    def files(self) -> Sequence[str]:
        """Paths of all files that what is told depends on."""

    def entries(self) -> Iterator[PictureEntry]:
        """All pictures, in order. What cannot be read is left out, with a warning.

        Raises:
            OSError, ValueError: from here on, nothing can be read.
        """

    def classes(self) -> Sequence[str]:
        """Names of classes that the source lists, in its order; boxes may have others."""

    def unplaced(self) -> Iterator[ToldFinding]:
        """Findings that are about no picture that is told, such as one that was left out."""

    def file(self, place: PicturePlace) -> str:
        """The name of the file that the picture is in, for people."""

    def look(self, place: PicturePlace, name: str) -> Looked:
        """The picture at ``place``; never another than that of ``name``.

        Raises:
            OSError, ValueError: it cannot be read, or another one is there.
        """
