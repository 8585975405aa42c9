"""The images: what is in them and what is not, that they agree with the lock files, and how they travel."""

import json
import os
import re
import shutil
import socket
import subprocess

import pytest
from conftest import CLONE, eventually, run

from nanoforge.commands import images
from nanoforge.console import Console
from nanoforge.containers import compose
from nanoforge.containers import images as daemon_images
from nanoforge.containers.connection import connect
from nanoforge.containers.images import pins
from nanoforge.errors import EnvironmentNotReady


def in_image(image, *command, code=0):
    return run("docker", "run", "--rm", "--network", "none", image, *command, code=code).stdout


@pytest.mark.parametrize("image", ["nanoforge-data", "nanoforge-train"])
def test_an_image_is_unprivileged_and_holds_no_build_tools(image):
    assert in_image(image, "id", "-u").strip() == "1000"
    for tool in ("gcc", "cc", "make"):
        assert in_image(image, "sh", "-c", f"command -v {tool} || echo none").strip() == "none"
    assert in_image(image, "python3", "-c", "import importlib.util as u; print(u.find_spec('pip'))").strip() == "None"


@pytest.mark.parametrize(("name", "module"), [("data", "cv2"), ("train", "tensorflow")])
def test_an_image_tells_where_it_comes_from_and_is_healthy(name, module):
    image = f"nanoforge-{name}"
    config = json.loads(run("docker", "inspect", image).stdout)[0]["Config"]
    labels = config["Labels"]
    assert labels["nanoforge.recipe"] == compose.image_recipe(compose.service(name))
    assert len(labels["org.opencontainers.image.revision"].split("-")[0]) == 40
    lock = CLONE / "docker" / name / "requirements.lock"
    packages = json.loads(labels["nanoforge.packages"])
    assert packages["numpy"] == pins(lock, compose.facts(name).python)["numpy"]
    said = json.loads(in_image(image, *config["Healthcheck"]["Test"][1:]).splitlines()[-1])
    assert module in said["modules"]


def test_the_train_image_is_tensorflow_112_on_python_36():
    said = in_image("nanoforge-train", "python", "-W", "ignore", "-c",
                    "import sys, tensorflow; print(sys.version_info[:2], tensorflow.__version__)")  # fmt: skip
    assert said.strip() == "(3, 6) 1.12.0"


def test_lock_files_dockerfiles_and_images_agree():
    run(CLONE / "run", "images", "--check", cwd=CLONE)


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A copy of what images are made from, to change it."""
    for name in ("compose.yml", ".env"):
        shutil.copy(CLONE / name, tmp_path / name)
    shutil.copytree(CLONE / "docker", tmp_path / "docker")
    for module in (compose, daemon_images, images):
        monkeypatch.setattr(module, "HOME", tmp_path)
    return tmp_path


def disagreements():
    return [found.problem for found in images._disagreements(images.ImageSet(["data"], "", ""), "data")]


@pytest.mark.parametrize(
    ("file", "old", "new", "problem"),
    [
        ("data/requirements.lock", "lxml==", "lxml==9", "made from another docker/data/requirements.lock"),
        ("data/requirements.in", "lxml", "lxml==1.0", "requirements.lock has lxml"),
        ("data/requirements.in", "lxml", "lxml\nattrs", "requirements.lock lacks attrs"),
        ("data/Dockerfile", "data/requirements.lock", "data/other.lock", "does not install requirements.lock"),
        ("health.py", "import os", "import os  # changed", "made from another docker/health.py"),
    ],
)
def test_what_does_not_agree_is_named(clone, file, old, new, problem):
    path = clone / "docker" / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    assert any(problem in found for found in disagreements()), disagreements()


def test_an_image_is_saved_and_loaded_by_a_daemon_that_never_built_it(spare, tmp_path):
    folder = tmp_path / "detector"
    folder.mkdir()
    (folder / "detector.toml").write_text(
        f'[dataset]\nclasses = ["cat"]\n[hosts.nano]\ndocker = "{spare.url}"\n', encoding="utf-8"
    )
    spare.docker("rmi", "-f", "nanoforge-data")
    run(CLONE / "run", "images", "--environments", "data", "--save", tmp_path / "archive", cwd=folder)
    assert [path.name for path in (tmp_path / "archive").iterdir()] == ["nanoforge-data.tar.gz"]
    run(CLONE / "run", "images", "--host", "nano", "--load", tmp_path / "archive", cwd=folder)
    here = json.loads(run("docker", "inspect", "nanoforge-data").stdout)[0]["Id"]
    assert json.loads(spare.docker("inspect", "nanoforge-data"))[0]["Id"] == here
    found = json.loads(run(CLONE / "run", "doctor", "--host", "nano", "--json", cwd=folder).stdout)["findings"]
    assert {row["name"]: row["severity"] for row in found}["image data"] == "ok"


def test_what_is_not_an_archive_is_refused(tmp_path):
    (tmp_path / "x.tar.gz").write_bytes(b"nothing")
    refused = run(CLONE / "run", "images", "--load", tmp_path / "x.tar.gz", cwd=CLONE, code=2)
    assert "is not an archive of images" in refused.stderr and "Traceback" not in refused.stderr
    run(CLONE / "run", "images", "--load", tmp_path / "none", cwd=CLONE, code=2)


def test_the_gpu_image_has_cuda_90_and_tensorflow_for_it():
    """On the stand-in base CUDA's libraries are empty files: they are where TensorFlow looks, and cannot be loaded."""
    run(CLONE / "run", "images", "--environments", "train-gpu", cwd=CLONE)
    service = compose.service("train-gpu")
    found = connect().image(service.image)
    assert found is not None
    listed = in_image(service.image, "sh", "-c", "ls $(echo $LD_LIBRARY_PATH | tr : ' ')")
    for library in ("cudart", "cublas", "cufft", "curand", "cusolver", "cusparse", "cupti"):
        assert f"lib{library}.so.9.0" in listed
    assert "libcudnn.so.7" in listed
    names = in_image(service.image, "sh", "-c", "ls /opt/venv/lib/python3.6/site-packages")
    assert "tensorflow_gpu-1.12.0.dist-info" in names and "tensorflow-1.12.0.dist-info" not in names


def test_a_gpu_that_the_daemon_does_not_have_is_a_sentence(tmp_path):
    (tmp_path / "detector.toml").write_text(
        '[dataset]\nrendered_pictures = 20\nclasses = ["cone", "ball", "mug"]\n[runner]\nuse = "docker"\ngpu = true\n'
    )
    said = run(CLONE / "run", "train", cwd=tmp_path, code=3).stderr
    assert "cannot give a container the GPU" in said and "runner.gpu = false" in said


@pytest.mark.parametrize("environment", ["data", "train"])
def test_a_shell_sees_what_a_stage_sees(environment, tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    tmp_path.chmod(0o755)
    words = (
        "python3 -c 'import stages.job' && ls /nanoforge/inputs/here && id -u && touch /nanoforge/output/x"
        " && ! touch /nanoforge/inputs/here/y && ls /sys/class/net; exit 5"
    )
    shell = subprocess.run(
        [str(CLONE / "run"), "shell", environment, "--runner", "docker"],
        input=words, capture_output=True, text=True, cwd=tmp_path, timeout=120, env={**os.environ, "TERM": "dumb"},
    )  # fmt: skip
    assert shell.returncode == 5, shell.stderr
    assert shell.stdout.split() == ["mine.txt", compose.service("data").user.split(":")[0], "lo"]
    assert run("docker", "ps", "-aq", "--filter", "label=nanoforge=1").stdout == ""


def composes():
    """Debian's docker-compose 1.29, and Compose v2 where NANOFORGE_COMPOSE_V2 names its program."""
    return [program for program in ("docker-compose", os.environ.get("NANOFORGE_COMPOSE_V2", "")) if program]


@pytest.mark.parametrize("program", composes())
def test_compose_accepts_the_file(program):
    said = run(program, "--profile", "stages", "config", "--services", cwd=CLONE).stdout.split()
    assert set(said) == {"data", "train", "train-gpu", "jetson", "tensorboard", "view"} == set(compose.names())


@pytest.fixture
def registry(tmp_path):
    """A registry of its own on loopback, with one image; gives the image's name."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = tmp_path / "registry.yml"
    storage = f"storage: {{filesystem: {{rootdirectory: {tmp_path}/registry}}}}"
    config.write_text(f"version: 0.1\n{storage}\nhttp: {{addr: 127.0.0.1:{port}}}\n")
    server = subprocess.Popen(["docker-registry", "serve", str(config)], stderr=subprocess.DEVNULL)
    name = f"127.0.0.1:{port}/base:1"
    run("docker", "tag", "nanoforge-data", name)
    try:
        eventually(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0)
        run("docker", "push", name)
        yield name
    finally:
        server.terminate()
        server.wait()
        run("docker", "rmi", name)


def test_bases_are_pinned_to_the_digests_of_the_registry(clone, registry, monkeypatch):
    for name in compose.file_variables():
        monkeypatch.delenv(name, raising=False)
    path = clone / ".env"
    path.write_text(re.sub(r"^(?!JETSON)(\w+_BASE)=.*$", rf"\1={registry}", path.read_text(), flags=re.MULTILINE))
    images.pin(images.ImageSet([], "", ""))
    digest = run("docker", "inspect", "--format", "{{index .RepoDigests 0}}", registry).stdout.strip().split("@")[1]
    lines = (clone / ".env").read_text().splitlines()
    assert f"DATA_BASE_DIGEST={digest}" in lines and f"CUDA_BASE_DIGEST={digest}" in lines
    assert "JETSON_BASE_DIGEST=" in lines, "nothing was asked for where no base is named"
    assert compose.service("data").build.args["BASE_DIGEST"] == digest
    # The digest counts: with one that the tag does not have, there is no image.
    monkeypatch.setenv("DATA_BASE_DIGEST", "sha256:" + "0" * 64)
    with pytest.raises(EnvironmentNotReady, match="base image cannot be fetched|could not be built"):
        daemon_images.build(connect(), compose.service("data"), Console())
