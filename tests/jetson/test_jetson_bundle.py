"""A model on its way to the board: read from a folder or an archive, and refused where it is not what it says."""

import json
import os
import shutil
import stat
import zipfile

import pytest
from jetson_bundle import make_bundle

from stages.jetson import model, model_files
from stages.job import BadInput


@pytest.fixture(scope="session")
def original(detector, tmp_path_factory):
    """A bundle as the stage makes it."""
    return make_bundle(detector, tmp_path_factory.mktemp("bundle"))


@pytest.fixture
def bundle(original, tmp_path):
    """A copy of one."""
    folder = tmp_path / "bundle"
    shutil.copytree(str(original), str(folder))
    return folder


@pytest.fixture
def scratch(tmp_path):
    folder = tmp_path / "within" / "scratch"
    folder.mkdir(parents=True)
    return folder


def rewritten(path, change):
    """The archive with its entries, a list of (ZipInfo, bytes), as ``change`` leaves them."""
    with zipfile.ZipFile(str(path)) as archive:
        entries = [(entry, archive.read(entry)) for entry in archive.infolist()]
    entries = change(entries) or entries
    with zipfile.ZipFile(str(path), "w") as archive:
        for entry, data in entries:
            archive.writestr(entry, data)


def entry(name, data=b"harmful", mode=stat.S_IFREG | 0o644):
    made = zipfile.ZipInfo(name)
    made.external_attr = mode << 16
    return made, data


def everything_below(folder):
    return sorted(
        os.path.join(above, name) for above, folders, names in os.walk(str(folder)) for name in names + folders
    )


@pytest.mark.parametrize("what", ["model", ".", "detector.pyz"])
def test_a_bundle_is_read_as_a_folder_and_as_an_archive(bundle, scratch, what):
    found = model.read(str(bundle / what), "uff", str(scratch))
    assert (found.kind, found.input, found.shape) == ("uff", "Input", [3, 64, 64])
    assert found.path == os.path.join(found.folder, "model.uff")
    assert open(found.path, "rb").read() == (bundle / "model" / "model.uff").read_bytes()
    assert json.load(open(found.samples))["pictures"] and os.listdir(found.calibration) == ["00.png"]
    assert found.folder.startswith(str(scratch if what == "detector.pyz" else bundle))


def test_a_convert_artifact_is_read_without_samples(bundle, scratch):
    folder = bundle / "model"
    for name in ("samples.json", "checksums.json"):
        (folder / name).unlink()
    shutil.rmtree(str(folder / "calibration"))
    found = model.read(str(folder), "uff", str(scratch))
    assert found.samples is None and found.calibration is None


def test_a_zip_of_the_folder_will_do(bundle, scratch):
    shutil.make_archive(str(bundle / "packed"), "zip", str(bundle), "model")
    assert model.read(str(bundle / "packed.zip"), "uff", str(scratch)).samples


def test_what_was_unpacked_before_is_no_matter(bundle, scratch):
    for _ in range(2):
        assert model.read(str(bundle / "detector.pyz"), "uff", str(scratch))


@pytest.mark.parametrize("kind, told", [("onnx", "model.onnx.*--to onnx"), ("boxes", "model.boxes.onnx.*--to onnx")])
def test_a_kind_that_was_not_made(bundle, scratch, kind, told):
    with pytest.raises(BadInput, match=told):
        model.read(str(bundle), kind, str(scratch))


def test_the_other_kinds_where_they_were_made(bundle, scratch):
    for name in ("samples.json", "checksums.json"):
        (bundle / "model" / name).unlink()
    for kind, name in (("onnx", "model.onnx"), ("boxes", "model.boxes.onnx")):
        (bundle / "model" / name).write_bytes(kind.encode())
        assert model.read(str(bundle), kind, str(scratch)).path.endswith(os.sep + name)


def test_nothing_there(tmp_path):
    with pytest.raises(BadInput, match="There is no .*name a bundle's detector.pyz"):
        model.read(str(tmp_path / "none.pyz"), "uff", str(tmp_path))


@pytest.mark.parametrize(
    "name",
    [
        "../escaped", "model/../../escaped", "/tmp/escaped", "model//escaped", "model/./escaped", "model/..",
        "..\\escaped", "C:escaped", "model/\0escaped", "../",
    ],
)  # fmt: skip
def test_a_name_that_leads_out_of_its_folder_is_refused_before_anything_is_written(bundle, scratch, tmp_path, name):
    # The writer mends some names, so another of the same length is written and then replaced in the bytes.
    there = "model/" + "x" * (len(name) - 6) if len(name) > 6 else "x" * len(name)
    path = bundle / "detector.pyz"
    rewritten(path, lambda entries: entries + [entry(there)])
    path.write_bytes(path.read_bytes().replace(there.encode(), name.encode()))
    before = everything_below(tmp_path)
    with pytest.raises(BadInput, match="leads out of its folder"):
        model.read(str(path), "uff", str(scratch))
    assert everything_below(tmp_path) == before


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    "change, told",
    [
        (lambda entries: entries + [entry("model/link", b"/etc/passwd", stat.S_IFLNK | 0o777)], "a link or a device"),
        (lambda entries: entries + [entry("stages/pipe", b"", stat.S_IFIFO | 0o666)], "a link or a device"),
        (lambda entries: entries + [entry("model/model.uff")], "model/model.uff twice"),
        (lambda entries: entries + [entry("model/model.uff/x")], "model/model.uff twice"),
        (lambda entries: entries + [entry("model/more.txt")], "holds more.txt, which its checksums.json does not list"),
        (lambda entries: [one for one in entries if "labels" not in one[0].filename], "lacks labels.txt"),
        (lambda entries: [one for one in entries if "model/" not in one[0].filename], "holds no folder model"),
        (lambda entries: [one for one in entries if "checksums" not in one[0].filename], "checksums.json cannot be"),
        (lambda entries: [(one, d.replace(b"cone", b"bone")) for one, d in entries], "model.json.* is not what its"),
        (lambda entries: [(one, d.replace(b'"format": 1', b'"format": 2')) for one, d in entries], "format 2.*reads 1"),
        (lambda entries: [(one, b"{" if "checks" in one.filename else d) for one, d in entries], "checksums.json is d"),
        (lambda entries: [(one, b"{}" if "check" in one.filename else d) for one, d in entries], "checksums.json is d"),
        (lambda entries: [(one, d.replace(b'"name"', b'"mane"')) for one, d in entries], "checksums.json is d.*'name'"),
        (lambda entries: [(o, d.replace(b'"bytes": ', b'"bytes": 1e999, "x": ')) for o, d in entries], "is damaged"),
    ],
)  # fmt: skip
def test_an_archive_that_is_not_what_it_says(bundle, scratch, change, told):
    rewritten(bundle / "detector.pyz", change)
    with pytest.raises(BadInput, match=told) as caught:
        model.read(str(bundle / "detector.pyz"), "uff", str(scratch))
    assert "\n" not in str(caught.value) and str(scratch) not in str(caught.value)


@pytest.mark.parametrize(
    "damage, told",
    [
        (lambda data: b"", "is not an archive"),
        (lambda data: b"once upon a time", "is not an archive; is this the detector.pyz"),
        (lambda data: data[:-1], "is cut off before its end"),
        (lambda data: data[: len(data) // 2], "is cut off before its end .* copy it to the board again"),
        (lambda data: data[:40], "is cut off before its end"),
        (lambda data: data[: data.index(b"BACKGROUND") - 9] + data[data.index(b"BACKGROUND") + 9 :], "is a damaged"),
        (lambda data: data[: data.index(b"BACKGROUND")] + b"X" + data[data.index(b"BACKGROUND") + 1 :], "is a damaged"),
    ],
)
def test_bytes_that_are_no_archive_or_not_all_of_one(bundle, scratch, damage, told):
    path = bundle / "detector.pyz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(BadInput, match=told) as caught:
        model.read(str(path), "uff", str(scratch))
    assert "\n" not in str(caught.value)


def test_an_encrypted_archive(bundle, scratch):
    path = bundle / "detector.pyz"
    data = bytearray(path.read_bytes())
    place = data.rindex(b"PK\1\2", 0, data.rindex(b"model/model.uff"))
    data[place + 8] |= 1  # the flag in the central directory
    path.write_bytes(bytes(data))
    with pytest.raises(BadInput, match="model/model.uff in .* is encrypted"):
        model.read(str(path), "uff", str(scratch))


@pytest.mark.parametrize("limit", ["MOST_BYTES", "MOST_FILES"])
def test_an_archive_that_unpacks_to_too_much(bundle, scratch, monkeypatch, limit):
    monkeypatch.setattr(model_files, limit, 5)
    with pytest.raises(BadInput, match="unpacks to more than a bundle has"):
        model.read(str(bundle / "detector.pyz"), "uff", str(scratch))
    assert not everything_below(scratch)


@pytest.mark.parametrize("damage", ["changed", "gone", "more", "link", "list gone", "another format"])
def test_a_folder_that_is_not_what_its_list_says(bundle, scratch, damage):
    folder = bundle / "model"
    if damage == "changed":
        (folder / "samples" / "00.png").write_bytes(b"picture")
        told = "samples/00.png in .* is not what"
    elif damage == "gone":
        shutil.rmtree(str(folder / "samples"))
        told = "lacks samples/00.png, samples/01.png"
    elif damage == "more":
        (folder / "libflattenconcat.so").write_bytes(b"")
        told = "libflattenconcat.so, which its checksums.json does not list"
    elif damage == "link":
        (folder / "labels.txt").unlink()
        (folder / "labels.txt").symlink_to("/etc/passwd")
        told = "labels.txt in .* is a link"
    elif damage == "list gone":
        (folder / "checksums.json").unlink()
        told = "checksums.json cannot be read"
    else:
        path = folder / "checksums.json"
        path.write_text(path.read_text().replace('"format": 1', '"format": 2'))
        told = "format 2, and this Nanoforge reads 1"
    with pytest.raises(BadInput, match=told):
        model.read(str(folder), "uff", str(scratch))
