"""What a board's files tell of it."""

import os
import re

import pytest
from conftest import CLONE

from stages.jetson import releases
from stages.jetson.board import Board, Memory, advice


def test_a_nano_with_swap_at_full_speed(nano):
    board = Board(nano())
    assert (board.model(), board.l4t()) == ("NVIDIA Jetson Nano Developer Kit", "32.7.1")
    assert board.memory() == Memory(3964, 2832, 4096, 4096)  # of the swap that which is on the disk
    assert board.power_mode() == "MAXN (10 W)" and board.temperatures() == {"AO-therm": 41.5}
    assert board.clocks() == {"cpu": 1479, "cpu_max": 1479, "gpu": 921, "gpu_max": 921}
    assert board.process_memory() == {"now": 685.9, "most": 793.3}
    assert board.slower_than_it_could() == []


def test_a_container_knows_the_l4t_that_it_was_told(tmp_path, monkeypatch):
    monkeypatch.setenv("NANOFORGE_L4T", "32.7.4")
    board = Board(str(tmp_path))
    assert board.l4t() == "32.7.4" and not board.in_container()
    (tmp_path / ".dockerenv").touch()
    assert board.in_container()


def test_a_board_that_saves_power_is_told_how_not_to(nano):
    changes = {"var/lib/nvpmodel/status": "pmode:0001", "sys/class/devfreq/57000000.gpu/cur_freq": "76800000"}
    mode, clocks = Board(nano(changes)).slower_than_it_could()
    assert "5W" in mode and "sudo nvpmodel -m 0" in mode
    assert "gpu at 76 of 921 MHz" in clocks and "cpu" not in clocks and "sudo jetson_clocks" in clocks


def test_a_machine_that_says_nothing_is_no_error(tmp_path):
    board = Board(str(tmp_path))
    assert board.described() == {
        "model": "", "l4t": "", "power_mode": "", "clocks_mhz": {}, "temperatures": {}, "memory_mb": {},
    }  # fmt: skip
    assert board.memory() is None and board.slower_than_it_could() == [] and board.process_memory() == {}


@pytest.mark.parametrize(
    "memory, told",
    [
        (Memory(3964, 1500, 0, 0), []),
        (Memory(3964, 300, 0, 0), ["300 MB of memory and swap are free", "add swap", "end the desktop"]),
        (Memory(3964, 300, 4096, 200), ["500 MB", "end the desktop"]),
    ],
)
def test_memory_that_is_too_little_is_told_with_what_helps(memory, told):
    words = advice(memory, 1000)
    assert len(words) == len(told) and all(part in sentence for part, sentence in zip(told, words))


def test_the_releases_are_those_of_the_images():
    with open(os.path.join(CLONE, "docker", "jetson", "l4t.toml")) as stream:
        entries = stream.read().split("[[release]]")[1:]
    listed = [dict(re.findall(r'^(\w+) = "(.*)"$', entry, re.MULTILINE)) for entry in entries]
    assert [one._asdict() for one in releases.RELEASES] == [
        {name: one[name] for name in ("l4t", "jetpack", "tensorrt", "cuda")} for one in listed
    ]
    assert releases.of("32.2.0").jetpack == "4.2.1" and releases.of("32.5.0").jetpack == "4.5"
    assert releases.of("35.1.0") is None and releases.of("") is None
