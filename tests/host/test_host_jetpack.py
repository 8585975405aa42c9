"""Which base a Jetson gets: the table, a version as people write it, and the board's own word."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanoforge.containers import jetpack
from nanoforge.errors import BadInput

LINE = "# R32 (release), REVISION: {}, GCID: 29818004, BOARD: t210ref, EABI: aarch64, DATE: Sat Feb 19 17:05:08 2022"
LIBRARIES = ("tensorrt", "cuda", "cudnn")
KNOWN = [release.l4t for release in jetpack.releases()]
WITH_BASE = [release for release in jetpack.releases() if release.base]


def numbers(l4t):
    return tuple(int(part) for part in l4t.split("."))


def test_the_table_is_whole_and_in_order():
    assert [numbers(l4t) for l4t in KNOWN] == sorted({numbers(l4t) for l4t in KNOWN})
    assert (KNOWN[0], KNOWN[-1], len(KNOWN)) == ("32.1", "32.7.6", 18)
    assert [release.l4t for release in jetpack.releases() if not release.base] == ["32.1"]
    for release in jetpack.releases():
        assert all(re.fullmatch(r"\d+(\.\d+)+", getattr(release, name)) for name in LIBRARIES)
        assert re.fullmatch(r"(sha256:[0-9a-f]{64})?", release.base_digest)


def test_newer_releases_never_bring_older_libraries():
    for older, newer in zip(jetpack.releases(), jetpack.releases()[1:]):
        assert all(numbers(getattr(older, name)) <= numbers(getattr(newer, name)) for name in LIBRARIES)


def test_a_base_is_of_the_release_or_older_with_the_same_libraries():
    for release in WITH_BASE:
        base = jetpack.release_of(release.base.rpartition(":r")[2])
        assert numbers(base.l4t) <= numbers(release.l4t)
        assert (base.base, base[2:5]) == (release.base, release[2:5])


@pytest.mark.parametrize("release", WITH_BASE)
def test_every_release_is_found(release):
    assert jetpack.release_of(release.l4t) == release


@pytest.mark.parametrize("written, l4t", [("32.2.0", "32.2"), ("32.5", "32.5.0"), (" 32.7.1\n", "32.7.1")])
def test_a_version_has_more_than_one_spelling(written, l4t):
    assert jetpack.release_of(written).l4t == l4t


@pytest.mark.parametrize(
    "unknown, nearest, version",
    [
        ("32.7.9", "32.7.6", "4.6.6"),
        ("35.4.1", "32.7.6", "4.6.6"),
        ("32.4.0", "32.4.2", "4.4 DP"),
        ("32.5.9", "32.5.2", "4.5.1"),
        ("31.1", "32.1", "4.2"),
    ],
)
def test_an_unknown_release_is_refused_with_the_nearest(unknown, nearest, version):
    with pytest.raises(BadInput) as refused:
        jetpack.release_of(unknown)
    assert f"L4T {unknown} is not known; the nearest release is {nearest} (JetPack {version})" in str(refused.value)


@pytest.mark.parametrize("l4t", ["32.1", "32.1.0"])
def test_a_release_without_containers_is_refused(l4t):
    with pytest.raises(BadInput, match=r"L4T 32\.1 \(JetPack 4\.2\) cannot run containers; install JetPack 4\.2\.1"):
        jetpack.release_of(l4t)


@pytest.mark.parametrize("wrong", ["", "32", "r32.7.1", "32.7.1.2", "32.x", "32..1", "-32.7", "４.２"])
def test_what_is_no_version_is_refused(wrong):
    with pytest.raises(BadInput, match="is not an L4T version"):
        jetpack.release_of(wrong)


@given(st.tuples(st.integers(0, 40), st.integers(0, 10), st.integers(0, 10)))
def test_a_release_is_its_own_or_refused_never_another(version):
    try:
        found = numbers(jetpack.release_of(".".join(map(str, version))).l4t)
    except BadInput:
        return
    assert (*found, 0)[:3] == version


@pytest.mark.parametrize(
    "line, l4t",
    [
        (LINE.format("7.1"), "32.7.1"),
        (LINE.format("2.0"), "32.2.0"),
        (LINE.format("1.0"), "32.1.0"),
        (LINE.format("7.1") + "\nKERNEL_VARIANT: oot\n", "32.7.1"),
        (LINE.format("6.1")[2:], "32.6.1"),
        ("# R35 (release), REVISION: 4.1, GCID: 1", "35.4.1"),
        ("# R32 (release), REVISION: 7.1", "32.7.1"),
        ("# R32 (release), REVISION: 7.1\r\n", "32.7.1"),
    ],
)
def test_the_board_says_its_release(tmp_path, line, l4t):
    (tmp_path / "release").write_bytes(line.encode())
    assert jetpack.device_l4t(tmp_path / "release") == l4t


@given(st.sampled_from(WITH_BASE))
def test_a_board_s_release_leads_to_its_base(tmp_path_factory, release):
    path = tmp_path_factory.mktemp("board") / "release"
    revision = release.l4t.partition(".")[2]
    path.write_text(LINE.format(revision if "." in revision else revision + ".0"))
    assert jetpack.release_of(jetpack.device_l4t(path)) == release


def test_a_machine_that_is_no_jetson_says_nothing(tmp_path):
    assert jetpack.device_l4t(tmp_path / "none") is None


@pytest.mark.parametrize(
    "content",
    ["", "\n", "32.7.1", "# R32 (release)", LINE.format("seven"), LINE.format("7.1x"), LINE.format("")],
)
def test_a_malformed_file_is_refused(tmp_path, content):
    (tmp_path / "release").write_text(content)
    with pytest.raises(BadInput, match="not as on a Jetson"):
        jetpack.device_l4t(tmp_path / "release")


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(BadInput, match="cannot be read: Is a directory"):
        jetpack.device_l4t(tmp_path)


@given(st.binary(max_size=80))
def test_any_bytes_give_a_version_or_a_sentence(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("board") / "release"
    path.write_bytes(content)
    try:
        l4t = jetpack.device_l4t(path)
    except BadInput as error:
        assert "\n" not in str(error) and str(error).endswith(".")
    else:
        assert re.fullmatch(r"\d+\.\d+(\.\d+)?", l4t)
