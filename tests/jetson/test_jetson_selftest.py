"""The stage selftest, on simulated boards: whole ones, and broken ones, of which every line says what is wrong."""

import os

import pytest
from conftest import FAKES

SELFTEST = "stages.jetson.selftest"
L4T = {"5.1.6": "2.1", "7.1.3": "5.1", "8.2.1": "7.1"}
CUDA = {"5.1.6": "10.0.326", "7.1.3": "10.2.89", "8.2.1": "10.2.300"}
CHECKS = (
    "board, system, memory, full speed, TensorRT, plugins, CUDA, engine fp32, parity fp32, engine fp16, parity fp16,"
    " layers, speed, detect, memory afterwards"
).split(", ")


@pytest.fixture
def selftest(stages_of, bundle, nano):
    def run(version, changes=(), **settings):
        release = "# R32 (release), REVISION: %s, GCID: 1, BOARD: t210ref\n" % L4T[version]
        root = nano(dict({"etc/nv_tegra_release": release}, **dict(changes)))
        return stages_of.run(
            SELFTEST, {"model": bundle}, {}, root=root, **dict({"TENSORRT": version, "CUDA": CUDA[version]}, **settings)
        )

    return run


def verdicts(ran):
    return {one["name"]: one["verdict"] for one in ran.json("selftest.json")["checks"]}


def words(ran, name):
    return {one["name"]: one["words"] for one in ran.json("selftest.json")["checks"]}[name]


@pytest.mark.parametrize("version", sorted(L4T))
def test_a_whole_board_passes_all(selftest, version):
    ran = selftest(version)
    assert ran.code == 0, ran.log
    assert list(verdicts(ran)) == CHECKS and set(verdicts(ran).values()) == {"passed"}
    assert version in words(ran, "TensorRT") and "least IoU" in words(ran, "parity fp16")
    text = (ran.folder / "selftest.txt").read_text()
    assert len(text.splitlines()) == len(CHECKS) and text.startswith("passed    board")
    for name in os.listdir(str(ran.folder)):
        held = (ran.folder / name).read_text()
        assert "/tmp" not in held and os.path.expanduser("~") + "/" not in held, name
    assert "Timing" in (ran.folder / "build-fp16.log").read_text()


def test_without_pycuda_the_rest_says_why_it_is_left_out(selftest, tmp_path):
    (tmp_path / "pycuda").mkdir()
    (tmp_path / "pycuda" / "__init__.py").write_text("__path__.append(%r)" % os.path.join(FAKES, "pycuda"))
    (tmp_path / "pycuda" / "driver.py").write_text("raise ImportError('No module named _driver')")
    ran = selftest("8.2.1", fakes=[tmp_path, FAKES])
    assert ran.code == 1 and ran.error.startswith("1 of 15 checks failed, the first: CUDA: PyCUDA cannot be imported")
    assert verdicts(ran)["TensorRT"] == "passed" and verdicts(ran)["CUDA"] == "failed"
    assert verdicts(ran)["engine fp16"] == verdicts(ran)["detect"] == "left out"
    assert words(ran, "engine fp16") == "it needs CUDA" and words(ran, "detect") == "there is no engine"


@pytest.mark.parametrize(
    "version, settings, name, told",
    [
        ("5.1.6", {"FLATTEN_CONCAT": ""}, "plugins", "no plugin FlattenConcat_TRT"),
        ("8.2.1", {"TENSORRT": "8.0.1"}, "TensorRT", "JetPack 4.6.1 brings 8.2.1"),
        ("8.2.1", {"CUDA": "10.0.326"}, "CUDA", "compiled for CUDA 10.0, and this system has 10.2.300"),
        ("8.2.1", {"CUDA": "0.0.0"}, "CUDA", "CUDA does not start"),
    ],
)
def test_a_broken_board_fails_where_it_is_broken(selftest, version, settings, name, told):
    ran = selftest(version, **settings)
    assert ran.code == 1 and verdicts(ran)[name] == "failed" and told in words(ran, name), ran.log
    assert list(verdicts(ran).values()).count("failed") == 1 and "left out" in verdicts(ran).values()


def test_what_only_a_part_fails_is_told_of_that_part(selftest):
    changes = {
        "proc/swaps": None,
        "proc/meminfo": "MemTotal: 2000000 kB\nMemAvailable: 500000 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n",
    }
    ran = selftest("8.2.1", changes, DRIFT=0.12)
    found = verdicts(ran)
    assert [name for name, verdict in found.items() if verdict == "failed"] == ["memory", "parity fp32", "parity fp16"]
    assert "add swap" in words(ran, "memory") and "overlaps the reference's" in words(ran, "parity fp16")
    assert found["speed"] == "passed"
