"""What decoders say of a picture: missing data is a finding, harmless words are not, and nobody's words are lost."""

import io
import os
import struct
import threading
import zlib

import numpy as np
import pytest
from data_tiff import tiff
from data_voc import photo
from PIL import Image

from stages import decoder_words, jpeg_scans, pixels
from stages.data.photo.second_look import missing_in_tiff

SOF = {"baseline": {}, "progressive": {"progressive": True}, "restarts": {"restart_marker_rows": 1}}


def noisy(**options):
    """A JPEG whose data is spread over the whole picture."""
    noise = np.random.RandomState(1).randint(0, 256, (160, 240, 3)).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).save(stream, "JPEG", quality=60, **options)
    return stream.getvalue()


def without_middle(data):
    """A part of the scan is gone; the end is there."""
    scan = next(one for one in jpeg_scans.segments(data) if one.code == jpeg_scans.START_OF_SCAN)
    middle = (scan.start + scan.end) // 2
    return data[:middle] + data[scan.end :]


def segment(code, content):
    return b"\xff%c" % code + struct.pack(">H", len(content) + 2) + content


def after_soi(data, put):
    return data[:2] + put + data[2:]


def unlike_sequential(data):
    """The parameters of the scan as some phones write them: Se is 0."""
    place = data.index(b"\xff\xda")
    end = place + 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return data[: end - 3] + b"\0\0\0" + data[end:]


HARMLESS = {
    "bytes between segments": lambda data: after_soi(data, segment(0xFE, b"") + b"garbage"),
    "an unknown JFIF": lambda data: data.replace(b"JFIF\0\1", b"JFIF\0\7"),
    "an unknown colour transform": lambda data: after_soi(data, segment(0xEE, b"Adobe\0\x64\0\0\0\0\7")),
    "parameters of the scan": unlike_sequential,
    "padding of zeros": lambda data: data[:-2] + bytes(100) + data[-2:],
    "a few bytes before the end": lambda data: data[:-2] + b"\1\2\3\4" + data[-2:],
    "a broken profile": lambda data: after_soi(data, segment(0xE2, b"ICC_PROFILE\0\x09\x02nothing")),
    "broken EXIF": lambda data: after_soi(data, segment(0xE1, b"Exif\0\0MM\0*\xff\xff\xff\xff")),
    "a film behind it": lambda data: data + b"\xff\xda" + bytes(range(200)),
}


@pytest.mark.parametrize("kind", SOF)
@pytest.mark.parametrize("change", HARMLESS)
def test_harmless_words_say_nothing_of_the_pixels(kind, change):
    whole = noisy(**SOF[kind])
    if change == "parameters of the scan" and kind == "progressive":
        pytest.skip("only a sequential scan has them for nothing")
    decoded = pixels.decoded(HARMLESS[change](whole))
    assert decoded.missing == ""
    if change != "an unknown colour transform":
        np.testing.assert_array_equal(decoded.picture, pixels.decode(whole))


@pytest.mark.parametrize("kind", ["baseline", "progressive"])
@pytest.mark.parametrize("change", [None, *HARMLESS])
def test_missing_data_is_told_even_behind_harmless_words(kind, change):
    """libjpeg says the first thing only."""
    if change in ("padding of zeros", "a few bytes before the end"):
        pytest.skip("they are taken for the data that is missing")
    if change == "parameters of the scan" and kind == "progressive":
        pytest.skip("only a sequential scan has them for nothing")
    broken = without_middle(noisy(**SOF[kind]))
    decoded = pixels.decoded(HARMLESS[change](broken) if change else broken)
    assert "Corrupt JPEG data" in decoded.missing
    assert decoded.picture.shape == (160, 240, 3)


def test_a_scan_that_the_decoder_is_done_with_too_early_is_damaged():
    """Bytes put into the scan shift all that comes after them, and are left over at the end."""
    whole = noisy()
    place = whole.index(b"\xff\xda") + 100
    told = {
        pixels.decoded(
            whole[:place] + np.random.RandomState(seed).bytes(300).replace(b"\xff", b"") + whole[place:]
        ).missing
        for seed in range(4)
    }
    assert all("Corrupt JPEG data" in words for words in told)


def test_pngs_whose_checksums_do_not_fit_are_unreadable_with_the_reason():
    data = bytearray(photo(kind="PNG"))
    data[-20] ^= 1
    with pytest.raises(ValueError, match="not a readable .* its decoder says '.*(CRC|check)"):
        pixels.decoded(bytes(data))


def test_libpngs_warnings_are_harmless():
    whole = photo(kind="PNG")
    content = b"iCCPsRGB\0\0broken"
    bad = struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))
    decoded = pixels.decoded(whole[:33] + bad + whole[33:])
    np.testing.assert_array_equal(decoded.picture, pixels.decode(whole))
    assert decoded.missing == ""


def descriptor_2(tmp_path):
    """Standard error into a file; returns the way back."""
    before, path = os.dup(2), tmp_path / "stderr"
    stream = open(path, "wb", buffering=0)
    os.dup2(stream.fileno(), 2)

    def back():
        os.dup2(before, 2)
        os.close(before)
        stream.close()
        return path.read_bytes()

    return back


def test_what_others_write_meanwhile_comes_through(tmp_path):
    back = descriptor_2(tmp_path)
    with decoder_words.captured() as words:
        for said in (b"Corrupt JPEG data: bad Huffman code\n", b"a library: hello\n", b"x" * 200000 + b"\n", b"end"):
            os.write(2, said)
    os.write(2, b"!")
    assert back() == b"a library: hello\n" + b"x" * 200000 + b"\nend!"
    assert words.lines == ["Corrupt JPEG data: bad Huffman code"]
    assert words.missing() == "Corrupt JPEG data: bad Huffman code"


def test_an_error_inside_comes_through_and_standard_error_is_back(tmp_path):
    back = descriptor_2(tmp_path)
    with pytest.raises(KeyError), decoder_words.captured():
        raise KeyError
    os.write(2, b"here")
    assert back() == b"here"


def test_threads_hear_each_their_own():
    whole, broken, heard = noisy(), without_middle(noisy()), []

    def work(data):
        heard.extend((data is broken) == bool(pixels.decoded(data).missing) for _ in range(10))

    threads = [threading.Thread(target=work, args=(data,)) for data in (whole, broken, whole, broken)]
    [thread.start() for thread in threads], [thread.join() for thread in threads]
    assert heard == [True] * 40


def test_without_standard_error_pictures_are_decoded_all_the_same():
    before = os.dup(2)
    os.close(2)
    try:
        decoded = pixels.decoded(noisy())
    finally:
        os.dup2(before, 2)
        os.close(before)
    assert decoded.picture.shape == (160, 240, 3)


def zeroed_tiff(compression="tiff_adobe_deflate"):
    """A TIFF with a strip of damaged data."""
    stream = io.BytesIO()
    Image.fromarray(pixels.decode(noisy()) // 64).save(stream, "TIFF", compression=compression)
    data = bytearray(stream.getvalue())
    data[len(data) // 2 : len(data) // 2 + 200] = bytes(200)
    return bytes(data)


@pytest.mark.parametrize("compression", ["tiff_adobe_deflate", "tiff_lzw"])
def test_damage_inside_a_tiff_is_seen(compression):
    assert missing_in_tiff(zeroed_tiff(compression))
    assert missing_in_tiff(zeroed_tiff("raw")) == missing_in_tiff(noisy()) == missing_in_tiff(b"II*\0") == ""


@pytest.mark.parametrize("cut", [1, 5, 500])
def test_a_deflated_strip_that_ends_too_early_is_seen(cut):
    strip = zlib.compress(np.random.RandomState(0).bytes(9000))
    whole, damaged = (
        tiff(np.zeros((9, 9, 3), np.uint8), fields=[(259, 3, [8]), (279, 4, [len(strip) - less])])[:-243] + strip
        for less in (0, cut)
    )
    assert (missing_in_tiff(whole), bool(missing_in_tiff(damaged))) == ("", True)


@pytest.mark.parametrize("cpus", [1, 2])
def test_records_say_what_is_odd_about_a_photo(dataset, make_records, cpus):
    boxes = (("cone", (20, 10, 120, 80)), ("ball", (60, 40, 180, 90)))
    deep = np.random.RandomState(0).randint(0, 4096, (160, 240, 3)).astype(np.uint16)
    gif = io.BytesIO()
    Image.new("RGB", (240, 160)).save(gif, "GIF")
    pages = io.BytesIO()
    Image.new("RGB", (240, 160)).save(pages, "TIFF", save_all=True, append_images=[Image.new("RGB", (240, 160))])
    whole, broken = noisy(), without_middle(noisy())
    files = {
        "a.jpg": (whole, None),
        "b.JFIF": (whole + b" ", None),
        "c.jpe": (whole + b"  ", None),
        "d.Tiff": (tiff(pixels.decode(whole)), None),
        "cut.jpg": (broken, ("damaged_picture", "drop", "its decoder says 'Corrupt JPEG data: premature end")),
        "deep.tif": (tiff(deep), ("deep_picture", "fix", "its 16 bits a channel needs more than 12")),
        "gif.jpg": (gif.getvalue(), ("unread_format", "drop", "it is a GIF")),
        "pages.tif": (pages.getvalue(), ("several_pictures", "fix", "it holds 2 pictures")),
        "zeroed.tif": (zeroed_tiff(), ("damaged_picture", "drop", "its decoder says 'Error -")),
        "tiff.jpg": (tiff(pixels.decode(whole), ">"), ("wrong_suffix", "fix", "the file is a TIFF picture")),
        "page.png": (b"<html>not found", ("unreadable_image", "drop", "picture, but a web page")),
    }
    for name, (data, _) in files.items():
        dataset.add(name, boxes, (240, 160), data=data)
    done = make_records(cpus)
    expected = {name: finding for name, (_, finding) in files.items() if finding}
    assert {(one["file"], one["kind"], one["action"]) for one in done.findings} == {
        (name, kind, action) for name, (kind, action, _) in expected.items()
    }
    assert all(expected[one["file"]][2] in one["message"] for one in done.findings)
    dropped = {name for name, finding in expected.items() if finding[1] == "drop"}
    assert {line["source_id"] for line in done.index} == set(files) - dropped


def test_a_damaged_picture_is_used_if_the_user_says_so(dataset, make_records):
    dataset.fill(3)
    dataset.add("cut.jpg", (("ball", (20, 10, 120, 80)),), (240, 160), data=without_middle(noisy()))
    done = make_records(findings={"damaged_picture": "fix"})
    assert done.kinds == [("damaged_picture", "fix")]
    assert "cut.jpg" in {line["source_id"] for line in done.index}
