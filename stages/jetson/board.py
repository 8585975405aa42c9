"""The board that this runs on: model, system, libraries, memory, power mode and clocks, as its files tell of them.

Standard library only. Files: /proc/device-tree/model, /etc/nv_tegra_release, /proc/meminfo, /var/lib/nvpmodel/status,
cpufreq and devfreq below /sys (Linux documentation, admin-guide/pm/cpufreq and ABI/testing/sysfs-class-devfreq).
"""

import glob
import os
import re
from typing import Any, Dict, List, NamedTuple, Optional

RELEASE = re.compile(r"# R(\d+) \(release\), REVISION: ([\d.]+)")
NANO_MODES = {0: "MAXN (10 W)", 1: "5W"}


class Memory(NamedTuple):
    """In MB: what there is, what can still be had, and swap likewise."""

    total: int
    available: int
    swap_total: int
    swap_free: int


class Board:
    """Reads the files of a board.

    Args:
        root: the folder that stands for ``/``.
    """

    def __init__(self, root: str = "/") -> None:
        self._root = root

    def model(self) -> str:
        """Such as ``NVIDIA Jetson Nano Developer Kit``; empty where this is no such board."""
        return self._text("proc/device-tree/model").strip("\0\n")

    def l4t(self) -> str:
        """Such as 32.7.1; empty where the file is not there."""
        found = RELEASE.match(self._text("etc/nv_tegra_release"))
        return ".".join(found.groups()) if found else ""

    def memory(self) -> Optional[Memory]:
        """None where the kernel does not say."""
        held = dict(re.findall(r"^(\w+):\s+(\d+) kB", self._text("proc/meminfo"), re.MULTILINE))
        names = ("MemTotal", "MemAvailable", "SwapTotal", "SwapFree")
        if any(name not in held for name in names):
            return None
        return Memory(*(int(held[name]) // 1024 for name in names))

    def power_mode(self) -> str:
        """Such as ``MAXN (10 W)``; empty where nvpmodel has left no word."""
        found = re.search(r"pmode:(\d+)", self._text("var/lib/nvpmodel/status"))
        if not found:
            return ""
        return NANO_MODES.get(int(found.group(1)), "mode %s" % int(found.group(1)))

    def clocks(self) -> Dict[str, int]:
        """In MHz: what ``cpu``, ``gpu`` and memory (``emc``) run at, and ``cpu_max`` and ``gpu_max``, where known."""
        places = {
            "cpu": ("sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", 1000),
            "cpu_max": ("sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq", 1000),
            "gpu": ("sys/class/devfreq/*gpu*/cur_freq", 1000000),
            "gpu_max": ("sys/class/devfreq/*gpu*/max_freq", 1000000),
            "emc": ("sys/kernel/debug/clk/emc/clk_rate", 1000000),
        }
        found = {name: self._number(pattern) for name, (pattern, _) in places.items()}
        return {name: value // places[name][1] for name, value in found.items() if value is not None}

    def described(self) -> Dict[str, Any]:
        """All of it, for a record."""
        memory = self.memory()
        return {
            "model": self.model(),
            "l4t": self.l4t(),
            "power_mode": self.power_mode(),
            "clocks_mhz": self.clocks(),
            "memory_mb": memory._asdict() if memory else {},
        }

    def _number(self, pattern: str) -> Optional[int]:
        for path in sorted(glob.glob(os.path.join(self._root, pattern))):
            text = self._text(os.path.relpath(path, self._root)).strip()
            if text.isdigit():
                return int(text)
        return None

    def _text(self, name: str) -> str:
        try:
            with open(os.path.join(self._root, name), encoding="utf-8", errors="replace") as stream:
                return stream.read(1 << 16)
        except OSError:
            return ""


def advice(memory: Memory, wanted_mb: int) -> List[str]:
    """What a board with so little memory needs before it builds, a sentence each; empty where there is enough."""
    have = memory.available + memory.swap_free
    if have >= wanted_mb:
        return []
    words = ["%d MB of memory and swap are free, building takes about %d MB" % (have, wanted_mb)]
    if memory.swap_total < 2048:
        words.append(
            "add swap (sudo fallocate -l 4G /swapfile; sudo chmod 600 /swapfile; sudo mkswap /swapfile;"
            " sudo swapon /swapfile)"
        )
    words.append("end the desktop (sudo systemctl isolate multi-user.target) and other programs")
    return words
