"""Where training starts from: paths, URLs with digests, archives that must not escape."""

import functools
import hashlib
import http.server
import io
import tarfile
import threading

import pytest

from nanoforge.config import checkpoints
from nanoforge.config.schema import ModelSection
from nanoforge.errors import BadInput, EnvironmentNotReady


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A web server on loopback; gives its URL and its folder."""
    monkeypatch.setenv("NANOFORGE_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "www"
    folder.mkdir()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_address[1]}", folder
        serving.shutdown()


def make_archive(path, names):
    with tarfile.open(path, "w:gz") as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = 4
            tar.addfile(member, io.BytesIO(b"data"))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_an_archive_is_fetched_checked_and_unpacked_by_base_name(server, tmp_path):
    url, www = server
    names = ["zoo/model.ckpt.index", "../../escape/model.ckpt.data-00000-of-00001", "/etc/passwd", "zoo/frozen.pb"]
    digest = make_archive(www / "zoo.tar.gz", names)
    start = checkpoints.resolve(ModelSection(checkpoint=f"{url}/zoo.tar.gz", checkpoint_sha256=digest), tmp_path)
    checkpoints.fetch(start)
    assert sorted(path.name for path in start.folder.iterdir()) == [
        "model.ckpt.data-00000-of-00001",
        "model.ckpt.index",
    ]
    assert not (tmp_path / "escape").exists()
    (www / "zoo.tar.gz").unlink()
    checkpoints.fetch(start)


def test_another_digest_is_refused_and_nothing_kept(server, tmp_path):
    url, www = server
    make_archive(www / "zoo.tar.gz", ["model.ckpt.index"])
    start = checkpoints.resolve(ModelSection(checkpoint=f"{url}/zoo.tar.gz", checkpoint_sha256="0" * 64), tmp_path)
    with pytest.raises(BadInput, match="not what was expected"):
        checkpoints.fetch(start)
    assert not start.folder.exists()


@pytest.mark.parametrize("names", [["readme.txt"], None])
def test_an_archive_without_a_checkpoint_is_bad_input(server, tmp_path, names):
    url, www = server
    file = www / "zoo.tar.gz"
    if names:
        digest = make_archive(file, names)
    else:
        file.write_bytes(b"<html>not an archive</html>")
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
    start = checkpoints.resolve(ModelSection(checkpoint=f"{url}/zoo.tar.gz", checkpoint_sha256=digest), tmp_path)
    with pytest.raises(BadInput, match="zoo.tar.gz"):
        checkpoints.fetch(start)
    assert not start.folder.exists()


def test_no_network_is_an_environment_problem(server, tmp_path):
    start = checkpoints.resolve(
        ModelSection(checkpoint="http://127.0.0.1:9/x.tar.gz", checkpoint_sha256="1" * 64), tmp_path
    )
    with pytest.raises(EnvironmentNotReady, match="could not be downloaded"):
        checkpoints.fetch(start)


def test_a_url_without_digest_says_what_to_set(tmp_path):
    with pytest.raises(BadInput, match="model.checkpoint_sha256"):
        checkpoints.resolve(ModelSection(checkpoint="http://127.0.0.1/x.tar.gz"), tmp_path)


def test_the_classic_zoo_is_known_by_name(tmp_path):
    start = checkpoints.resolve(ModelSection(checkpoint="ssd_mobilenet_v1_coco_2018_01_28"), tmp_path)
    assert start.archive.url.endswith("/ssd_mobilenet_v1_coco_2018_01_28.tar.gz")
    assert len(start.archive.sha256) == 64


def test_a_local_checkpoint_is_named_by_prefix_index_or_folder(tmp_path):
    for name in ("model.ckpt-5.index", "model.ckpt-5.data-00000-of-00001"):
        (tmp_path / name).write_text("x")
    for name in ("model.ckpt-5", "model.ckpt-5.index", "."):
        found = checkpoints.resolve(ModelSection(checkpoint=name), tmp_path)
        assert (found.folder, found.prefix, found.archive) == (tmp_path, "model.ckpt-5", None)


@pytest.mark.parametrize("files", [[], ["a.index", "b.index"]])
def test_a_folder_must_hold_exactly_one_checkpoint(tmp_path, files):
    for name in files:
        (tmp_path / name).write_text("x")
    with pytest.raises(BadInput, match="one checkpoint"):
        checkpoints.resolve(ModelSection(checkpoint=str(tmp_path)), tmp_path)
