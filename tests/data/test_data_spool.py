"""What was made of pictures, on its way to the disk and back: its text, its frames, its places, the spools."""

import hashlib
import io
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stages.data import spool, tfrecord
from stages.data.annotation_spool import AnnotationSpool
from stages.data.findings import DataFinding
from stages.data.made import Earlier, KeyPlaces
from stages.data.pairing.pairing import Folders
from stages.data.picture_record import PictureRecord, of_text
from stages.data.spool import Spool, Spooled

A_FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
NAMES = st.text(max_size=5) | st.just("\udcb0\udced.jpg")
DIGESTS = st.integers(0, 2**32).map(lambda number: hashlib.sha256(b"%d" % number).digest())
KEYS = DIGESTS.map(bytes.hex)
BOXES = st.lists(st.lists(st.floats(0, 1), min_size=4, max_size=4), max_size=3)
FINDINGS = st.builds(
    DataFinding, st.just("small_box"), NAMES, st.none() | st.integers(1, 9), st.none(), NAMES, st.just("drop")
)


@st.composite
def pictures(draw):
    """A picture and its record, framed, or one without a record."""
    framed = draw(st.just(b"") | st.binary(max_size=40).map(tfrecord.framed))
    boxes = draw(BOXES)
    about = {
        "source_id": draw(NAMES.filter(bool)),
        "width": 3,
        "height": 2,
        "boxes": boxes,
        "classes": [1] * len(boxes),
    }
    facts, look = (about, draw(DIGESTS)) if framed else ({}, b"")
    texts = [draw(KEYS), draw(DIGESTS), look, facts, draw(st.lists(FINDINGS, max_size=2))]
    counts = draw(st.tuples(st.integers(0, 9), st.integers(0, 9)))
    return PictureRecord(*texts, *counts, tfrecord.checksum(framed) if framed else ""), framed


@A_FEW
@given(pictures())
def test_a_text_says_all_of_a_picture(picture):
    text = picture[0].text()
    assert of_text(text) == picture[0] and of_text(text).text() == text and b"\n" not in text


@A_FEW
@given(st.lists(st.binary(max_size=40), min_size=1, max_size=4), st.data())
def test_frames_are_read_one_by_one_and_never_one_that_is_cut_off_or_damaged(contents, data):
    whole = b"".join(map(tfrecord.framed, contents))
    stream = io.BytesIO(whole)
    assert [tfrecord.next_frame(stream, len(whole)) for _ in contents] == list(map(tfrecord.framed, contents))
    last = len(whole) - len(tfrecord.framed(contents[-1]))
    cut = data.draw(st.integers(last, len(whole) - 1))
    place, bit = data.draw(st.integers(last, len(whole) - 1)), data.draw(st.integers(0, 7))
    flipped = whole[:place] + bytes((whole[place] ^ 1 << bit,)) + whole[place + 1 :]
    for damaged in (whole[:cut], flipped):
        stream = io.BytesIO(damaged)
        stream.seek(last)
        with pytest.raises(ValueError):
            tfrecord.next_frame(stream, len(damaged))


@A_FEW
@given(st.dictionaries(KEYS, st.integers(0, 2**63), max_size=9), KEYS)
def test_places_are_found_by_their_keys(known, another):
    places = KeyPlaces()
    for key, place in known.items():
        places.add(key, place)
    assert len(places) == len(known)
    assert {key: places.find(key) for key in known} == known
    assert another in known or places.find(another) is None


@A_FEW
@given(st.lists(pictures(), max_size=8, unique_by=lambda one: one[0].key), st.data())
def test_a_spool_gives_back_what_went_in_and_what_an_interrupted_run_left(made, data):
    with tempfile.TemporaryDirectory() as scratch:
        count = data.draw(st.integers(0, len(made)))
        with pytest.raises(KeyError), Spool(scratch, Earlier(None)) as left:
            for record, framed in made[:count]:
                assert left.add(spool.packed(record, framed)) == record
            raise KeyError
        with Spool(scratch, Earlier(None)) as found:
            assert len(found.known) == count
            for record, framed in data.draw(st.permutations(made)):
                place = found.find(record.key)
                if place is None:
                    found.add(spool.packed(record, framed))
                else:
                    assert found.take(place) == record
            told = list(found.pictures())
        assert sorted(told) == sorted(Spooled(*one) for one in made)
        assert found.listed == sum(record.listed for record, framed in made if framed)
        assert list(Path(scratch).iterdir()) == []


def test_what_an_xml_says_is_read_once_and_the_file_goes_whatever_ends_the_work(tmp_path):
    (tmp_path / "a.xml").write_text("<annotation><filename>a.jpg</filename></annotation>")
    (tmp_path / "scratch").mkdir()
    with pytest.raises(KeyError), AnnotationSpool(
        str(tmp_path / "scratch"), Folders("", str(tmp_path)), "auto"
    ) as annotations:
        assert annotations.get("a.xml") is None
        assert annotations.said("a.xml").filename == "a.jpg"
        (tmp_path / "a.xml").unlink()
        assert annotations.said("a.xml").filename == "a.jpg"
        assert annotations.said("b.xml").kind == "damaged_xml"
        raise KeyError
    assert list((tmp_path / "scratch").iterdir()) == []
