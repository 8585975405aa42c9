"""Where training starts from: paths, URLs with digests, archives that must not escape."""

import functools
import hashlib
import http.server
import io
import os
import subprocess
import sys
import tarfile
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from nanoforge.config import checkpoints
from nanoforge.config.schema import ModelSection
from nanoforge.console import Console
from nanoforge.errors import BadInput, EnvironmentNotReady

CLONE = Path(__file__).resolve().parents[2]
DATA = "model.ckpt.data-00000-of-00001"
CHECKPOINT = ("zoo/model.ckpt.index", f"zoo/{DATA}")


class Server:
    """A web server on loopback; counts what it is asked for."""

    def __init__(self, folder, asked):
        self.folder, self.asked, self.url = folder, asked, ""

    def archive(self, *names, content=b"data"):
        """The start of a training from an archive of such files."""
        with tarfile.open(self.folder / "zoo.tar.gz", "w:gz") as tar:
            for name in names:
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
        return self.start()

    def start(self, url=""):
        """The start of a training from the archive as it lies there now."""
        digest = hashlib.sha256((self.folder / "zoo.tar.gz").read_bytes()).hexdigest()
        model = ModelSection(checkpoint=url or f"{self.url}/zoo.tar.gz", checkpoint_sha256=digest)
        return checkpoints.resolve(model, self.folder)


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("NANOFORGE_CACHE", str(tmp_path / "cache"))
    serves = Server(tmp_path / "www", [])
    serves.folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            serves.asked.append(self.path)
            self.path = self.path.split("?")[0]
            super().do_GET()

        def log_message(self, *_):
            pass

    handler = functools.partial(Handler, directory=str(serves.folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        serves.url = f"http://127.0.0.1:{serving.server_address[1]}"
        yield serves
        serving.shutdown()


def names(start):
    return sorted(path.name for path in start.folder.iterdir())


def refused(start, words):
    with pytest.raises(BadInput, match=words):
        checkpoints.fetch(start, Console())
    assert not start.folder.exists()
    assert {path.suffix for path in start.folder.parent.iterdir()} == {".lock"}


def test_an_archive_is_fetched_checked_and_unpacked_by_base_name(server, tmp_path):
    start = server.archive("zoo/model.ckpt.index", f"../../escape/{DATA}", "/etc/passwd", "zoo/frozen.pb")
    checkpoints.fetch(start, Console())
    assert names(start) == [DATA, "model.ckpt.index"]
    assert not (tmp_path / "escape").exists()
    checkpoints.fetch(start, Console())
    assert server.asked == ["/zoo.tar.gz"]


FETCH = """
import sys
from pathlib import Path
from nanoforge.config import checkpoints
from nanoforge.config.schema import ModelSection
from nanoforge.console import Console

start = checkpoints.resolve(ModelSection(checkpoint=sys.argv[1], checkpoint_sha256=sys.argv[2]), Path())
sys.stdin.read()
checkpoints.fetch(start, Console())
print(sum(path.stat().st_size for path in start.folder.iterdir()))
"""


def test_eighteen_processes_at_once_download_once_and_all_see_the_whole_of_it(server):
    content = os.urandom(1 << 20)
    start = server.archive(*CHECKPOINT, "zoo/model.ckpt.meta", content=content)
    command = [sys.executable, "-c", FETCH, start.archive.url, start.archive.sha256]
    pipe = subprocess.PIPE
    processes = [subprocess.Popen(command, cwd=CLONE, stdin=pipe, stdout=pipe, stderr=pipe) for _ in range(18)]
    for process in processes:
        process.stdin.close()  # now, all of them
        process.stdin = None
    ended = [process.communicate() for process in processes]
    assert [int(said) for said, _ in ended] == [3 * len(content)] * 18
    assert len(server.asked) == 1


def test_what_a_killed_download_left_is_removed(server):
    start = server.archive(*CHECKPOINT)
    left = start.folder.with_name(f".{start.folder.name}.making")
    (left / "deep").mkdir(parents=True)
    checkpoints.fetch(start, Console())
    assert names(start) == [DATA, "model.ckpt.index"] and not left.exists()


def test_another_digest_is_refused_and_nothing_kept(server):
    start = server.archive(*CHECKPOINT)
    (server.folder / "zoo.tar.gz").write_bytes(b"another")
    refused(start, "not what was expected")


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (["readme.txt"], "zoo.tar.gz holds no file model.ckpt.index"),
        (["model.ckpt.index"], "holds no file model.ckpt.data-"),
        (["model.ckpt-5.index", f"x{DATA}", "model.ckpt.index/x"], "holds no file model.ckpt.index"),
        ([*CHECKPOINT, "other/model.ckpt.index"], "two files model.ckpt.index .*zoo/model.ckpt.index, other/model"),
    ],
)
def test_an_archive_without_one_checkpoint_is_bad_input(server, files, words):
    refused(server.archive(*files), words)


def test_links_in_an_archive_are_no_files_of_a_checkpoint(server, tmp_path):
    with tarfile.open(server.folder / "zoo.tar.gz", "w:gz") as tar:
        for name, kind in (("model.ckpt.index", tarfile.SYMTYPE), (DATA, tarfile.LNKTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, str(tmp_path / "secret")
            tar.addfile(member)
    refused(server.start(), "holds no file model.ckpt.index")


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz"])
@pytest.mark.parametrize("cut", [0.01, 0.5, 0.99])
def test_an_archive_that_is_cut_or_damaged_is_bad_input(server, kind, cut):
    file = server.folder / "zoo.tar.gz"
    with tarfile.open(file, f"w:{kind}") as tar:
        for name in CHECKPOINT:
            member = tarfile.TarInfo(name)
            member.size = 100000
            tar.addfile(member, io.BytesIO(os.urandom(100000)))
    whole = file.read_bytes()
    place = int(len(whole) * cut)
    file.write_bytes(whole[:place])
    refused(server.start(), "zoo.tar.gz is not a tar archive, or not a whole one")
    file.write_bytes(whole[:place] + b"garbage" * 20)
    refused(server.start(), "zoo.tar.gz is not a tar archive, or not a whole one")


@pytest.mark.parametrize("content", [b"", b"<html>not an archive</html>", b"\x1f\x8b", b"PK\x03\x04 a zip"])
def test_what_is_no_archive_is_bad_input(server, content):
    (server.folder / "zoo.tar.gz").write_bytes(content)
    refused(server.start(), "zoo.tar.gz is not a tar archive")


def test_an_archive_that_would_fill_the_disk_is_refused_before_it_does(server, monkeypatch):
    monkeypatch.setattr(checkpoints, "UNPACKED_LIMIT", 1 << 20)
    refused(server.archive("big", *CHECKPOINT, content=b"0" * (1 << 20)), "unpacks to more than")


def test_user_password_and_query_of_a_url_are_shown_nowhere(server, capfd):
    host = server.url.split("//")[1]
    start = server.archive(*CHECKPOINT)
    secret = f"http://me:geheim@{host}/zoo.tar.gz?token=geheim&x=1"
    start = server.start(secret)
    checkpoints.fetch(start, Console())
    assert "?token=geheim" in server.asked[-1]
    told = capfd.readouterr().err
    (server.folder / "zoo.tar.gz").write_bytes(b"another")
    missing = checkpoints.resolve(ModelSection(checkpoint=secret + "&not=there", checkpoint_sha256="1" * 64), Path())
    for url in (missing.archive.url, "http://me:geheim@127.0.0.1:9/x?geheim", f"{server.url}/none?geheim"):
        with pytest.raises((BadInput, EnvironmentNotReady)) as error:
            checkpoints.fetch(replace(missing, archive=checkpoints.Archive(url, "1" * 64)), Console())
        told += str(error.value)
    with pytest.raises(BadInput) as error:
        checkpoints.resolve(ModelSection(checkpoint=secret), Path())
    told += str(error.value) + capfd.readouterr().err
    assert "geheim" not in told and told.count("***") > 5 and f"{host}/zoo.tar.gz" in told


def test_no_network_is_an_environment_problem(server, tmp_path):
    start = checkpoints.resolve(
        ModelSection(checkpoint="http://127.0.0.1:9/x.tar.gz", checkpoint_sha256="1" * 64), tmp_path
    )
    with pytest.raises(EnvironmentNotReady, match="could not be downloaded"):
        checkpoints.fetch(start, Console())


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
    for name in ("model.ckpt-5", "model.ckpt-5.index", "model.ckpt-5.data-00000-of-00001", "model.ckpt-5.meta", "."):
        found = checkpoints.resolve(ModelSection(checkpoint=name), tmp_path)
        assert (found.folder, found.prefix, found.archive) == (tmp_path, "model.ckpt-5", None)


@pytest.mark.parametrize("files", [[], ["a.index", "b.index"]])
def test_a_folder_must_hold_exactly_one_checkpoint(tmp_path, files):
    for name in files:
        (tmp_path / name).write_text("x")
    with pytest.raises(BadInput, match="one checkpoint"):
        checkpoints.resolve(ModelSection(checkpoint=str(tmp_path)), tmp_path)


def files_of(folder, *prefixes, shards=1):
    for prefix in prefixes:
        (folder / f"{prefix}.index").write_text("x")
        for number in range(shards):
            (folder / f"{prefix}.data-{number:05}-of-{shards:05}").write_text("x")


def refusal(name, folder):
    with pytest.raises(BadInput) as refused:
        checkpoints.resolve(ModelSection(checkpoint=name), folder)
    return str(refused.value)


@pytest.mark.parametrize(
    ("name", "files", "words"),
    [
        ("zoo", ["zoo/checkpoint/ckpt-0.index"], "zoo/checkpoint holds ckpt-0"),
        ("zoo", ["zoo/saved_model.pb"], "is no checkpoint: name the one"),
        ("frozen.pb", ["frozen.pb"], "is no checkpoint: name the one"),
        ("ssd_mobilenet_v2_coco", [], "or one of the zoo: ssd_mobilenet_v1_coco_2018_01_28, "),
    ],
)
def test_where_there_is_no_checkpoint_it_is_said_what_to_name_instead(tmp_path, name, files, words):
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    with pytest.raises(BadInput, match=words):
        checkpoints.resolve(ModelSection(checkpoint=name), tmp_path)


@pytest.mark.parametrize("path", ["model.ckpt-12", "/home/me/model.ckpt-12", "C:\\\\run\\\\model.ckpt-12"])
def test_tensorflows_list_of_checkpoints_stands_for_the_latest_if_it_is_named_itself(tmp_path, path):
    files_of(tmp_path, "model.ckpt-5", "model.ckpt-12")
    (tmp_path / "checkpoint").write_text(
        f'model_checkpoint_path: "{path}"\nall_model_checkpoint_paths: "model.ckpt-5"\n'
    )
    found = checkpoints.resolve(ModelSection(checkpoint="checkpoint"), tmp_path)
    assert (found.folder, found.prefix) == (tmp_path, "model.ckpt-12")
    said = refusal(".", tmp_path)
    assert "found: model.ckpt-5, model.ckpt-12" in said and "names the latest, model.ckpt-12" in said


def test_a_list_that_names_nothing_is_refused(tmp_path):
    (tmp_path / "checkpoint").write_text("")
    assert "names no checkpoint" in refusal("checkpoint", tmp_path)


@pytest.mark.parametrize(
    "lacking", ["model.ckpt.index", "model.ckpt.data-00001-of-00003", "model.ckpt.data-00002-of-00003"]
)
def test_a_checkpoint_that_lacks_a_file_is_refused_by_its_name(tmp_path, lacking):
    files_of(tmp_path, "model.ckpt", shards=3)
    (tmp_path / lacking).unlink()
    for name in ("model.ckpt", "model.ckpt.meta"):
        assert f"is not whole, it lacks {lacking}:" in refusal(name, tmp_path)


def test_without_any_data_the_sentence_says_which(tmp_path):
    (tmp_path / "model.ckpt.index").write_text("x")
    assert "lacks model.ckpt.data-00000-of-00001" in refusal(".", tmp_path)


@pytest.mark.parametrize("name", ["model.ckpt-*", "model.ckpt-7", "model.ckpt-[5]"])
def test_another_prefix_is_answered_with_those_that_are_there(tmp_path, name):
    files_of(tmp_path, "model.ckpt-5", "model.ckpt-12")
    assert "that folder holds model.ckpt-5, model.ckpt-12" in refusal(name, tmp_path)


def test_a_command_that_waits_is_told_of_without_its_secrets(home, photos, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["run", "train", "--set", "model.checkpoint=https://me:geheim@x/y?geheim=1"])
    project = photos.project()
    with project.locked():
        (holder,) = photos.folder.rglob("holder.json")
        assert "geheim" not in holder.read_text() and "https://***@x/y?***" in holder.read_text()


def test_a_faulty_override_is_told_of_without_its_secrets(home, photos):
    with pytest.raises(BadInput) as error:
        photos.project("model.chekpoint=https://me:geheim@x/y?geheim=1", "train.steps=https://me:geheim@x/y")
    assert "geheim" not in str(error.value) and "https://***@x/y" in str(error.value)
