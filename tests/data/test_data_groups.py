"""Pictures that belong together: copies by name and content, look-alikes, frames of one video; and their sides."""

import hashlib
import itertools

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages import pixels
from stages.data.findings import Findings, policies
from stages.data.split import groups as grouping
from stages.data.split import looks, sides
from stages.data.split.groups import LEAST_FIXED_CAMERA, Gallery
from stages.data.split.splits import Split
from stages.job import BadInput

SIZE = (200, 100)


def grouped(made):
    return grouping.grouped(made, looks.TOGETHER)


def scene(seed):
    """uint8 [240, 320, 3]: smooth, as photos are at that scale."""
    noise = np.random.RandomState(seed).randint(0, 256, (14, 18, 3)).astype(np.uint8)
    return cv2.resize(noise, (320, 240), interpolation=cv2.INTER_CUBIC)


def random_look(seed):
    return np.random.RandomState(seed).bytes(32)


def changed(look, bits):
    """``look`` with so many of its bits turned, spread evenly."""
    turned = np.unpackbits(np.frombuffer(look, np.uint8))
    turned[np.linspace(0, 255, bits).astype(int)] ^= 1
    return np.packbits(turned).tobytes()


def gallery(*pictures):
    """Of (photo, look) or (photo, look, size), each with a digest of its own."""
    made = Gallery()
    for number, (name, look, *size) in enumerate(pictures):
        made.add(name, hashlib.sha256(b"%d" % number).digest(), look, size[0] if size else SIZE)
    return made


def parts(made):
    """The groups of more than one, as sets of names."""
    groups = {}
    for name, label in zip(made.photos, grouped(made).labels.tolist()):
        groups.setdefault(label, set()).add(name)
    return [group for group in groups.values() if len(group) > 1]


CHANGES = {
    "jpeg": lambda picture: pixels.decode(pixels.encode_jpeg(picture, 20)),
    "lighter": lambda picture: cv2.convertScaleAbs(picture, alpha=0.8, beta=40),
    "smaller": lambda picture: pixels.resize(picture, 120, 160),
    "noise": lambda picture: cv2.add(picture, np.random.RandomState(0).randint(0, 12, picture.shape).astype(np.uint8)),
    "blurred": lambda picture: cv2.GaussianBlur(picture, (0, 0), 1.5),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_looks_alike_and_another_picture_does_not(change):
    def bits(one, other):
        return int(looks.distances(*(np.frombuffer(look, np.uint64).reshape(1, 4) for look in (one, other)))[0])

    for seed in range(5):
        look = looks.look(scene(seed))
        assert bits(look, looks.look(CHANGES[change](scene(seed)))) <= looks.SAME.any_two
        assert bits(look, looks.look(scene(seed + 100))) > looks.TOGETHER.neighbours


def test_a_picture_with_nothing_on_it_looks_like_no_other():
    flat = np.full((100, 100, 3), 77, np.uint8)
    assert looks.look(flat) == bytes(32)
    assert parts(gallery(*[("%d.jpg" % number, looks.look(flat)) for number in range(3)])) == []


@settings(max_examples=30, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.lists(st.integers(0, 255), unique=True, max_size=60))
def test_distances_count_the_bits_that_differ(look, places):
    bits = np.unpackbits(np.frombuffer(look, np.uint8))
    bits[places] ^= 1
    pair = (np.frombuffer(one, np.uint64).reshape(1, 4) for one in (look, np.packbits(bits).tobytes()))
    assert looks.distances(*pair)[0] == len(places)


@pytest.mark.parametrize("few", [0, 1000])
@pytest.mark.parametrize("bits, found", [(0, True), (15, True), (24, True), (25, False)])
def test_near_pairs_are_found_among_many(monkeypatch, few, bits, found):
    """Bits in places of their own may be in all bands where not all pairs are compared: 24 are for few pictures."""
    monkeypatch.setattr(looks, "FEW", few)
    many = [random_look(seed) for seed in range(500)]
    found = found and (bits < 16 or few > 0)
    rows = np.frombuffer(b"".join([*many, changed(many[77], bits)]), np.uint8).reshape(-1, 32)
    pairs = {pair for near in looks.near_pairs(rows, 24) for pair in zip(near.first.tolist(), near.second.tolist())}
    assert {tuple(sorted(pair)) for pair in pairs} == ({(77, 500)} if found else set())


@pytest.mark.parametrize(
    "first, second, together",
    [
        ("train/a_jpg.rf.%032x.jpg" % 1, "valid/a_jpg.rf.%032x.jpg" % 2, True),
        ("a_jpg.rf.%032x.jpg" % 1, "a_png.rf.%032x.jpg" % 2, False),
        ("a_jpg.rf.%032x.jpg" % 1, "b_jpg.rf.%032x.jpg" % 1, False),
        ("a_jpg.rf.1.jpg", "a_jpg.rf.2.jpg", False),
        ("a_jpg.rf.aZ%020d.jpg" % 1, "a_jpg.rf.Bx%020d.jpg" % 2, True),
    ],
)
def test_copies_that_roboflow_made_belong_together(first, second, together):
    others = [("other-%d.jpg" % number, random_look(number + 10)) for number in range(5)]
    assert parts(gallery((first, random_look(1)), (second, random_look(2)), *others)) == [{first, second}] * together


@pytest.mark.parametrize(
    "first, second, bits, together",
    [
        ("a.jpg", "b.jpg", 56, True),
        ("a.jpg", "b.jpg", 60, False),
        ("frame_001.jpg", "frame_002.jpg", 60, True),
        ("video/frame_001.jpg", "video/frame_030.jpg", 60, True),
        ("train/v_mp4-1_jpg.rf.%032x.jpg" % 1, "valid/v_mp4-2_jpg.rf.%032x.jpg" % 2, 60, True),
        ("frame_001.jpg", "other_002.jpg", 60, False),
        ("frame_001.jpg", "frame_002.jpg", 80, False),
    ],
)
def test_look_alikes_belong_together_and_neighbours_more_easily(first, second, bits, together):
    look = random_look(1)
    others = [("other-%d.jpg" % number, random_look(number + 10)) for number in range(5)]
    assert parts(gallery((first, look), (second, changed(look, bits)), *others)) == [{first, second}] * together


@pytest.mark.parametrize(
    "names, together",
    [
        (["a.jpg", "a_aug_0.jpg", "a_aug_11.png", "b.jpg"], [{"a.jpg", "a_aug_0.jpg", "a_aug_11.png"}]),
        (["a_aug0.jpg", "a-augmented-1.jpg", "b_aug_1.jpg", "c.jpg"], [{"a_aug0.jpg", "a-augmented-1.jpg"}]),
        (["a.jpg", "a_hflip.jpg", "a_rot90_aug_2.jpg", "b.jpg"], [{"a.jpg", "a_hflip.jpg", "a_rot90_aug_2.jpg"}]),
        (["x/a.jpg", "y/aug_1_a.jpg", "y/flip_a.jpg"], [{"x/a.jpg", "y/aug_1_a.jpg", "y/flip_a.jpg"}]),
        (["x/1.jpg", "y/1.jpg", "y/1_aug_0.jpg"], [{"y/1.jpg", "y/1_aug_0.jpg"}]),
        (["site_dark_1.jpg", "site_dark_2.jpg", "b.jpg", "c.jpg", "d.jpg"], []),
        (["site_aug_%d.jpg" % day for day in range(1, 31)] + ["b.jpg"], []),
    ],
)
def test_augmented_copies_are_known_by_their_names(names, together):
    made = gallery(*((name, random_look(place)) for place, name in enumerate(names)))
    assert parts(made) == together


def test_numbered_pictures_of_sequences_of_their_own_are_compared_with_none():
    assert parts(gallery(("a1.jpg", random_look(1)), ("b1.jpg", random_look(2)), ("c.jpg", random_look(3)))) == []
    assert parts(gallery()) == []


@pytest.mark.parametrize("bits, together", [(32, True), (40, False)])
def test_to_call_two_pictures_the_same_takes_more_than_to_keep_them_together(bits, together):
    look = random_look(1)
    others = [("%c.jpg" % name, random_look(name)) for name in b"cdefgh"]
    made = gallery(("a.jpg", look), ("b.jpg", changed(look, bits)), *others)
    assert (len(set(grouping.grouped(made, looks.SAME).labels.tolist())) == len(made.photos) - 1) is together


def test_frames_of_two_videos_under_the_same_numbers_stay_two_groups():
    looks_of = {"a": random_look(1), "b": random_look(2)}
    names = [
        ("%s/%03d.jpg" % (video, number), changed(looks_of[video], 10 + number))
        for number in range(9)
        for video in "ab"
    ]
    assert sorted(map(len, parts(gallery(*names)))) == [9, 9]


def test_a_preview_of_a_photo_is_told_but_not_kept_with_it():
    look = random_look(1)
    made = gallery(("a.jpg", look), ("small.jpg", changed(look, 4), (50, 25)), ("b.jpg", random_look(2)))
    assert parts(made) == []
    assert grouped(made).resized == [(0, 1)]


def test_a_fixed_camera_s_pictures_are_taken_apart_to_copies():
    look = random_look(1)
    camera = [("c%d" % number, changed(look, number % 6)) for number in range(LEAST_FIXED_CAMERA)]
    others = [("o%d" % number, random_look(number + 10)) for number in range(LEAST_FIXED_CAMERA)]
    copies = [("a_jpg.rf.%032x.jpg" % number, look) for number in range(2)]
    found = grouped(gallery(*camera, *others, *copies))
    assert [told.pictures for told in found.all_alike] == [LEAST_FIXED_CAMERA + 2]
    assert [{"a_jpg.rf.%032x.jpg" % number for number in range(2)}] == parts(gallery(*camera, *others, *copies))
    assert grouped(gallery(*camera[:50], *others[:50])).all_alike == []


def test_a_dataset_of_nothing_but_look_alikes_can_be_split():
    look = random_look(1)
    made = gallery(*[("%c.jpg" % name, changed(look, place)) for place, name in enumerate(b"abcdefgh")])
    assert len(grouped(made).all_alike) == 1
    assert set(placed(made).of) == {"train", "validation"}


def placed(made, split=None, fraction=0.25, seed=0, policy=None, found=None, same=None):
    findings = Findings(policies(policy or {}))
    labels = grouped(made).labels.tolist()
    groups = sides.Groups(labels, same if same is not None else labels)
    result = sides.placed(made, groups, split or Split("hash", {}, [], []), sides.Chance(seed, fraction), findings)
    if found is not None:
        found.extend(findings.found)
    return result


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 30)), min_size=1, max_size=25),
    st.integers(0, 5),
    st.sampled_from([0.0, 0.01, 0.2, 0.5, 0.99]),
    st.randoms(use_true_random=False),
)
def test_by_chance_no_group_is_on_two_sides_and_order_changes_nothing(kinds, seed, fraction, random):
    pictures = [("n%s" % chr(97 + place), changed(random_look(kind), bits)) for place, (kind, bits) in enumerate(kinds)]
    digests = [hashlib.sha256(b"%d" % place).digest() for place in range(len(pictures))]
    sides_of = []
    for order in (list(range(len(pictures))), random.sample(range(len(pictures)), len(pictures))):
        made = Gallery()
        for place in order:
            made.add(pictures[place][0], digests[place], pictures[place][1], SIZE)
        result = placed(made, fraction=fraction, seed=seed)
        labels = grouped(made).labels.tolist()
        assert all(len({side for _, side in group}) == 1 for group in by_label(labels, result.of))
        assert set(result.of) <= {"train", "validation"}
        assert "train" in result.of
        if len(set(labels)) > 1 and fraction:
            assert set(result.of) == {"train", "validation"}
        sides_of.append(dict(zip(made.photos, result.of)))
    assert sides_of[0] == sides_of[1]


def by_label(labels, of):
    return [list(group) for _, group in itertools.groupby(sorted(zip(labels, of)), key=lambda pair: pair[0])]


@given(st.lists(st.integers(0, 30), max_size=6), st.integers(0, 31))
def test_a_balanced_threshold_leaves_no_side_empty(shares, threshold):
    better = sides.balanced(shares, threshold)
    if threshold == 0 or len(set(shares)) < 2:
        assert better == threshold
    else:
        assert min(shares) < better <= max(shares)
        assert better == threshold or not min(shares) < threshold <= max(shares)


def test_a_group_goes_by_the_smallest_digest_so_that_its_size_does_not_draw_it_to_validation():
    fractions = []
    for copies in (1, 4):
        made = Gallery()
        for number in range(400):
            for copy in range(copies):
                digest = hashlib.sha256(b"%d %d" % (number, copy)).digest()
                made.add("%d_jpg.rf.%032x.jpg" % (number, copy), digest, bytes(32), SIZE)
        fractions.append(placed(made, fraction=0.2).of.count("validation") / len(made.photos))
    assert all(abs(fraction - 0.2) < 0.06 for fraction in fractions)


LEAKY = {
    "a.jpg": "train",
    "b.jpg": "validation",
    "c.jpg": "test",
    "d.jpg": "train",
    "e.jpg": "validation",
    "f.jpg": "test",
}


def leaky(*alike):
    """Pictures a to f, of which those in ``alike`` look alike."""
    return gallery(*[("%s.jpg" % name, random_look(0 if name in alike else ord(name))) for name in "abcdef"])


@pytest.mark.parametrize(
    "alike, gone, kept",
    [("ab", ["a.jpg"], "b.jpg"), ("bc", ["b.jpg"], "c.jpg"), ("abc", ["a.jpg", "b.jpg"], "c.jpg"), ("ad", [], "")],
)
def test_of_a_group_on_two_sides_the_one_to_train_on_goes(alike, gone, kept):
    found = []
    result = placed(leaky(*alike), Split("folders", LEAKY, [], []), found=found)
    assert [name for name, side in zip(sorted(LEAKY), result.of) if side is None] == gone
    assert {(one.kind, one.file, one.action) for one in found} == {("leak", name, "drop") for name in gone}
    assert all(kept in one.message for one in found)
    stays = placed(leaky(*alike), Split("folders", LEAKY, [], []), policy={"leak": "fix"})
    assert dict(zip(sorted(LEAKY), stays.of)) == LEAKY
    if gone:
        with pytest.raises(BadInput, match="leak"):
            placed(leaky(*alike), Split("folders", LEAKY, [], []), policy={"leak": "fail"})


@pytest.mark.parametrize("alike, side", [("ab", "validation"), ("ad", "train"), ("ac", None)])
def test_a_picture_that_the_split_does_not_name_goes_with_its_group_but_never_to_test(alike, side):
    unnamed = {name: one for name, one in LEAKY.items() if name != "a.jpg"}
    result = placed(leaky(*alike), Split("imagesets", unnamed, [], []))
    assert result.of[0] == side
    assert result.of[1:] == [LEAKY[name] for name in sorted(unnamed)]


def test_a_split_without_validation_gets_one_out_of_training_only():
    names = ["%s.jpg" % chr(97 + place) for place in range(12)]
    made = gallery(*[(name, random_look(ord(name[0]))) for name in names])
    split = Split("folders", {name: "test" if place < 4 else "train" for place, name in enumerate(names)}, [], [])
    result = placed(made, split, 0.3)
    assert result.drawn and result.of[:4] == ["test"] * 4
    assert set(result.of[4:]) == {"train", "validation"}
    without = placed(made, split, 0.0)
    assert not without.drawn and "validation" not in without.of


def test_a_burst_stays_together_where_a_split_without_validation_is_completed():
    burst = [("burst_%c.jpg" % name, changed(random_look(1), name - 97)) for name in b"abcdefgh"]
    others = [("%d-x.jpg" % number, random_look(10 + number)) for number in range(30)]
    made = gallery(*burst, *others)
    own = Split("folders", {"29-x.jpg": "test"}, [], [])
    assert sides.is_completed_by_chance(made, own)
    result = placed(made, own, 0.3, same=list(range(len(made.photos))))
    assert len(set(result.of[: len(burst)])) == 1


@pytest.mark.slow
def test_records_of_look_alikes_are_on_one_side_with_any_number_of_processors(dataset, make_records):
    for number in range(12):
        picture = scene(number)
        for copy, change in enumerate(("jpeg", "lighter", "blurred")):
            dataset.add(
                "%c%c.jpg" % (97 + number, 97 + copy),
                size=(320, 240),
                data=pixels.encode_jpeg(CHANGES[change](picture)),
            )
    done = make_records(classes=["cone"])
    split = {line["source_id"]: line["split"] for line in done.index}
    assert all(len({split["%c%c.jpg" % (97 + number, 97 + copy)] for copy in range(3)}) == 1 for number in range(12))
    assert set(split.values()) == {"train", "validation"}
    assert make_records(classes=["cone"], cpus=2).bytes() == done.bytes()


@pytest.mark.parametrize("folders, why", [(("",), "chance splits them"), (("train/", "val/"), "own split holds")])
def test_all_alike_are_told_once_and_who_splits_them(dataset, make_records, folders, why):
    for number in range(6):
        name = "%s%c.jpg" % (folders[number % len(folders)], 97 + number)
        dataset.add(name, data=pixels.encode_jpeg(scene(0), 40 + number), size=(320, 240))
    done = make_records(classes=["cone"])
    assert [why in warning for warning in done.warnings if "look alike" in warning] == [True]
    assert done.kinds == []
