"""Images on a daemon in memory: built when missing or older than what they are made from, saved, loaded, checked."""

import gzip
import json
import shutil
from pathlib import Path

import pytest

from nanoforge.commands import images as commands
from nanoforge.console import Console
from nanoforge.containers import compose, images
from nanoforge.containers.daemon import DaemonLine
from nanoforge.errors import BadInput, EnvironmentNotReady, StageFailed
from nanoforge.runners import placement
from tests.fakes.daemon import FakeDaemon

CLONE = Path(__file__).resolve().parents[2]


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A copy of what images are made from, to change it."""
    folder = tmp_path / "clone"
    folder.mkdir()
    for name in ("compose.yml", ".env"):
        shutil.copy(CLONE / name, folder / name)
    shutil.copytree(CLONE / "docker", folder / "docker")
    for module in (compose, images, commands):
        monkeypatch.setattr(module, "HOME", folder)
    for name in compose.file_variables():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NANOFORGE_CACHE", str(tmp_path / "cache"))
    return folder


@pytest.fixture
def daemon(clone, tmp_path, monkeypatch):
    """What answers here; its images tell of the locked packages."""
    daemon = FakeDaemon(tmp_path / "daemon")
    daemon.packages = {**images.pins(clone / "docker/data/requirements.lock", "3.11.9"), "pip": "1"}
    monkeypatch.setattr(placement, "connect", lambda *_: daemon)
    return daemon


def ensure(daemon, name="data"):
    return images.ensure(daemon, compose.service(name), Console())


def change(clone, name, old="", new="# changed\n"):
    path = clone / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1) if old else text + new)


def test_an_image_is_built_once_from_what_compose_declares(daemon, clone):
    image = ensure(daemon)
    assert ensure(daemon) == image and len(daemon.built) == 1
    built = daemon.built[0]
    assert (built.tag, built.context, built.dockerfile) == ("nanoforge-data", clone / "docker", "data/Dockerfile")
    assert built.arguments == {"BASE_IMAGE": "python:3.11.9-slim-bookworm", "BASE_DIGEST": ""}
    assert built.labels["nanoforge.recipe"] == compose.image_recipe(compose.service("data"))
    assert "numpy" in json.loads(built.labels["nanoforge.packages"])
    assert json.loads(built.labels["nanoforge.bases"]) == built.arguments


def test_the_train_image_has_its_target_and_the_lines_of_its_own_python(daemon):
    ensure(daemon, "train")
    built = daemon.built[0]
    assert built.target == "cpu"
    assert json.loads(built.labels["nanoforge.packages"])["tensorflow"] == "1.12.0"
    assert "tensorflow-gpu" not in json.loads(built.labels["nanoforge.packages"])


@pytest.mark.parametrize(
    ("file", "why"),
    [
        ("docker/data/Dockerfile", "another docker/data/Dockerfile"),
        ("docker/data/requirements.lock", "another docker/data/requirements.lock"),
        ("docker/listing.py", "another docker/listing.py"),
    ],
)
def test_an_image_that_is_older_than_a_file_is_built_anew_and_the_file_named(daemon, clone, capsys, file, why):
    ensure(daemon)
    change(clone, file)
    assert images.state(daemon, compose.service("data")).why == f"image nanoforge-data was made from {why}"
    ensure(daemon)
    assert len(daemon.built) == 2 and why in capsys.readouterr().err


def test_another_base_makes_another_image(daemon, monkeypatch):
    ensure(daemon)
    monkeypatch.setenv("DATA_BASE", "mine:1")
    assert images.state(daemon, compose.service("data")).why.endswith("another base or target")


def test_an_image_without_our_labels_counts_as_old(daemon):
    daemon.add_image("nanoforge-data")
    assert "was made from" in images.state(daemon, compose.service("data")).why


def test_a_build_that_fails_is_a_sentence_with_the_log(daemon, tmp_path):
    step = DaemonLine("Step 3/23 : RUN pip install\n")
    daemon.build_lines = [step, DaemonLine("The command '/bin/sh' returned a non-zero code: 1", failed=True)]
    with pytest.raises(
        EnvironmentNotReady, match="nanoforge-data could not be built: The command.*Log: (.*)"
    ) as caught:
        ensure(daemon)
    assert "RUN pip install" in Path(str(caught.value).rpartition("Log: ")[2]).read_text()


def test_what_a_build_said_before_it_failed_tells_the_remedy(daemon):
    lines = [DaemonLine("dial tcp: lookup pypi: no such host\n"), DaemonLine("non-zero code: 1", failed=True)]
    daemon.build_lines = lines
    with pytest.raises(EnvironmentNotReady, match="--load FILE.*The daemon said: non-zero code"):
        ensure(daemon)


def test_an_image_without_a_base_is_not_built(daemon):
    with pytest.raises(BadInput, match=r"nanoforge-jetson has no base: give BASE_IMAGE .* a value in .env"):
        images.build(daemon, compose.service("jetson"), Console())


def test_packages_are_asked_once_and_a_gpu_is_not_needed_for_that(daemon):
    image = ensure(daemon, "train-gpu")
    found = images.packages(daemon, compose.service("train-gpu"), image)
    assert found["python"] == "3.11.9" and found["platform"] == "Linux x86_64" and found["pip"] == "1"
    assert images.packages(daemon, compose.service("train-gpu"), image) == found
    assert len(daemon.created) == 1 and not daemon.created[0].service.devices


def test_an_image_that_is_not_healthy_is_a_sentence(daemon, monkeypatch):
    said = "cv2 cannot be imported: OSError: libGL"
    monkeypatch.setattr(daemon, "_health", lambda process: process.print(said, 2) or 1)
    with pytest.raises(EnvironmentNotReady, match=f"Image nanoforge-data is not healthy: {said}"):
        images.packages(daemon, compose.service("data"), ensure(daemon))


# --- the command


def image_set(*names):
    return commands.ImageSet(names, "", "")


def test_without_names_the_usual_environments_are_meant(daemon, capsys):
    commands.build(image_set())
    assert [build.tag for build in daemon.built] == ["nanoforge-data", "nanoforge-train"]
    assert "nanoforge-data: " in capsys.readouterr().err


def test_an_unknown_environment_is_named(daemon):
    with pytest.raises(BadInput, match="Unknown environment dada; environments are data, train, train-gpu, jetson"):
        image_set("dada")


def test_an_unknown_host_is_named(daemon, tmp_path):
    (tmp_path / "detector.toml").write_text('[dataset]\nclasses = ["cat"]\n')
    with pytest.raises(BadInput, match=r"--host nano: detector.toml has no \[hosts.nano\]"):
        commands.ImageSet([], "nano", str(tmp_path))


def test_an_image_travels_as_an_archive(daemon, tmp_path, monkeypatch):
    image = ensure(daemon)
    commands.save(image_set("data"), str(tmp_path / "archive"), bases=False)
    assert [path.name for path in (tmp_path / "archive").iterdir()] == ["nanoforge-data.tar.gz"]
    other = FakeDaemon(tmp_path / "other")
    packed = tmp_path / "archive" / "nanoforge-data.tar.gz"
    packed.write_bytes(gzip.decompress(packed.read_bytes()))  # a real daemon unpacks by itself
    assert images.load(other, tmp_path / "archive", Console()) == ["Loaded image: nanoforge-data"]
    assert other.image("nanoforge-data").id == image.id


def test_the_bases_travel_too_on_demand_and_keep_their_tags(daemon, tmp_path, monkeypatch):
    monkeypatch.setenv("DATA_BASE_DIGEST", "sha256:abc")
    ensure(daemon)
    daemon.add_image("python:3.11.9-slim-bookworm@sha256:abc")
    commands.save(image_set("data"), str(tmp_path / "archive"), bases=True)
    saved = sorted(path.name for path in (tmp_path / "archive").iterdir())
    assert saved == ["nanoforge-data.tar.gz", "python-3.11.9-slim-bookworm.tar.gz"]
    assert daemon.image("python:3.11.9-slim-bookworm") is not None


def test_what_is_old_is_not_saved(daemon, clone, tmp_path):
    ensure(daemon)
    change(clone, "docker/health.py")
    with pytest.raises(
        BadInput, match="Nothing was saved: image nanoforge-data was made from another docker/health.py"
    ):
        commands.save(image_set("data"), str(tmp_path / "archive"), bases=False)
    assert not (tmp_path / "archive").exists()


def test_what_is_not_an_archive_is_refused(daemon, tmp_path):
    (tmp_path / "x.tar.gz").write_bytes(b"nothing")
    with pytest.raises(BadInput, match=r"x\.tar\.gz is not an archive of images: .*unexpected EOF"):
        images.load(daemon, tmp_path / "x.tar.gz", Console())
    with pytest.raises(BadInput, match="No archive of images is at"):
        images.load(daemon, tmp_path / "none", Console())


def test_bases_are_pinned_to_the_registrys_digests(daemon, clone):
    bases = [value for name, value in compose.file_variables().items() if name.endswith("_BASE") and value]
    daemon.digests = {base: f"sha256:{number:064x}" for number, base in enumerate(bases)}
    commands.pin(image_set())
    found = compose.file_variables()
    assert found["DATA_BASE_DIGEST"] == daemon.digests[found["DATA_BASE"]]
    assert found["JETSON_BASE_DIGEST"] == "", "nothing was asked for where no base is named"
    daemon.digests.clear()
    with pytest.raises(BadInput, match="The registry knows no image python:3.11.9"):
        commands.pin(image_set())


def check(capsys, *names):
    with pytest.raises(StageFailed, match=r"^\d+ disagreements"):
        commands.check(image_set(*names), as_json=True)
    return {row["problem"] for row in json.loads(capsys.readouterr().out)["disagreements"]}


def test_what_agrees_is_told(daemon, capsys):
    ensure(daemon)
    commands.check(image_set("data"), as_json=True)
    assert json.loads(capsys.readouterr().out) == {"environments": ["data"], "disagreements": []}


@pytest.mark.parametrize(
    ("file", "old", "new", "problem"),
    [
        ("requirements.lock", "lxml==", "lxml==9", "image nanoforge-data was made from another docker/data/requirem"),
        ("requirements.in", "lxml", "lxml==1.0", "requirements.lock has lxml "),
        ("requirements.in", "lxml", "lxml\nattrs", "requirements.lock lacks attrs"),
        ("Dockerfile", "data/requirements.lock", "data/other.lock", "docker/data/Dockerfile does not install require"),
    ],
)
def test_what_does_not_agree_is_named(daemon, clone, capsys, file, old, new, problem):
    ensure(daemon)
    change(clone, f"docker/data/{file}", old, new)
    assert any(found.startswith(problem) for found in check(capsys, "data"))


def test_packages_of_the_image_are_held_against_the_lock(daemon, capsys):
    ensure(daemon)
    daemon.packages["numpy"] = "0.1"
    assert any(problem.startswith("the image has numpy 0.1, its lock says ") for problem in check(capsys, "data"))


def test_what_the_dockerfile_takes_out_again_does_not_count(daemon, clone):
    locked = {}
    for lock in compose.lock_files(compose.build_of("train")):
        locked.update(images.pins(lock, "3.6.15"))
    assert {*compose.facts("train").taken_out} <= {*locked}
    daemon.packages = {name: version for name, version in locked.items() if name not in ("pip", "wheel", "cython")}
    daemon._health = lambda process: process.print(
        json.dumps({"python": "3.6.15", "machine": "x86_64", "packages": daemon.packages})
    )
    ensure(daemon, "train")
    commands.check(image_set("train"), as_json=False)


FULL = "write /var/lib/docker/tmp/x: no space left on device"


def test_a_full_disk_of_the_daemon_is_not_taken_for_a_broken_archive(daemon, tmp_path, monkeypatch):
    (tmp_path / "x.tar").write_bytes(b"archive")
    monkeypatch.setattr(daemon, "load_images", lambda _: iter([DaemonLine(f"Error processing tar file: {FULL}", True)]))
    with pytest.raises(EnvironmentNotReady, match="failed while loading .*x.tar: its disk is full: free some"):
        images.load(daemon, tmp_path / "x.tar", Console())


@pytest.mark.parametrize(
    "said",
    [
        "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
        "dpkg: error: failed to write (No space left on device)",
        "E: You don't have enough free space in /var/cache/apt/archives/.",
        "OSError: [Errno 122] Disk quota exceeded",
    ],
)
def test_a_full_disk_in_a_build_is_found_in_what_its_commands_say(daemon, said):
    daemon.build_lines = [
        DaemonLine(f"{said}\n"),
        *[DaemonLine("Cleaning up\n")] * 400,
        DaemonLine("The command '/bin/sh -c pip install' returned a non-zero code: 1", failed=True),
    ]
    with pytest.raises(EnvironmentNotReady, match="could not be built: its disk is full: free some"):
        ensure(daemon)
