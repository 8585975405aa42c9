"""The board that this runs on: model, system, libraries, memory, power mode and clocks, as its files tell of them.

Standard library only. Files: /proc/device-tree/model, /etc/nv_tegra_release, /proc/meminfo, /proc/swaps,
/var/lib/nvpmodel/status, cpufreq, devfreq and thermal zones below /sys (Linux documentation, admin-guide/pm/cpufreq,
ABI/testing/sysfs-class-devfreq and sysfs-class-thermal).
"""

import glob
import os
import re
from typing import Any, Dict, List, NamedTuple, Optional

RELEASE = re.compile(r"# R(\d+) \(release\), REVISION: ([\d.]+)")
TOLD_L4T = "NANOFORGE_L4T"  # the variable that compose.yml sets
NANO_MODES = {0: "MAXN (10 W)", 1: "5W"}


ROOT = "/"  # what stands for it: tests have boards in folders
FULL_SPEED = 0.95  # of the highest clock; rounding keeps the rest


class Memory(NamedTuple):
    """In MB: what there is, what can still be had, and swap likewise.

    Swap counts where it is on a disk: JetPack's zram packs what is in memory, and lies there itself.
    """

    total: int
    available: int
    swap_total: int
    swap_free: int


class Board:
    """Reads the files of a board.

    Args:
        root: the folder that stands for ``/``; empty: ROOT.
    """

    def __init__(self, root: str = "") -> None:
        self._root = root or ROOT

    def model(self) -> str:
        """Such as ``NVIDIA Jetson Nano Developer Kit``; empty where this is no such board."""
        return self._text("proc/device-tree/model").strip("\0\n")

    def l4t(self) -> str:
        """Such as 32.7.1; in a container, which does not see the file, what it was told; empty if nothing."""
        found = RELEASE.match(self._text("etc/nv_tegra_release"))
        return ".".join(found.groups()) if found else os.environ.get(TOLD_L4T, "")

    def in_container(self) -> bool:
        """Whether this is Docker's, which hides the device tree."""
        return os.path.exists(os.path.join(self._root, ".dockerenv"))

    def memory(self) -> Optional[Memory]:
        """None where the kernel does not say."""
        held = dict(re.findall(r"^(\w+):\s+(\d+) kB", self._text("proc/meminfo"), re.MULTILINE))
        names = ("MemTotal", "MemAvailable", "SwapTotal", "SwapFree")
        if any(name not in held for name in names):
            return None
        total, available, swap_total, swap_free = (int(held[name]) // 1024 for name in names)
        packed = re.findall(r"^/dev/zram\d+\s+\S+\s+(\d+)\s+(\d+)", self._text("proc/swaps"), re.MULTILINE)
        in_memory, used = (sum(int(one[place]) for one in packed) // 1024 for place in (0, 1))
        return Memory(total, available, max(swap_total - in_memory, 0), max(swap_free - (in_memory - used), 0))

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

    def temperatures(self) -> Dict[str, float]:
        """In degrees Celsius by zone, such as ``GPU-therm``."""
        found = {}
        for folder in sorted(glob.glob(os.path.join(self._root, "sys/class/thermal/thermal_zone*"))):
            place = os.path.relpath(folder, self._root)
            name, text = (self._text(os.path.join(place, one)).strip() for one in ("type", "temp"))
            if name and re.match(r"-?\d+$", text) and not name.startswith("PMIC"):  # that one always says 100
                found[name] = round(int(text) / 1000.0, 1)
        return found

    def process_memory(self) -> Dict[str, float]:
        """In MB: what this process has of the memory (``now``), and the most that it had (``most``), where known."""
        held = dict(re.findall(r"^(VmRSS|VmHWM):\s+(\d+) kB", self._text("proc/self/status"), re.MULTILINE))
        return {
            name: round(int(held[key]) / 1024.0, 1)
            for name, key in (("now", "VmRSS"), ("most", "VmHWM"))
            if key in held
        }

    def slower_than_it_could(self) -> List[str]:
        """What keeps this board from its full speed, a sentence each with what to do; empty: nothing that is known."""
        words = []
        mode, clocks = self.power_mode(), self.clocks()
        if mode and mode != NANO_MODES[0] and "Nano" in self.model():
            words.append("it is in the power mode %s: sudo nvpmodel -m 0" % mode)
        slow = [
            "%s at %d of %d MHz" % (name, clocks[name], clocks[name + "_max"])
            for name in ("cpu", "gpu")
            if name in clocks and clocks[name] < FULL_SPEED * clocks.get(name + "_max", 0)
        ]
        if slow:
            words.append("its clocks are below their highest (%s): sudo jetson_clocks" % ", ".join(slow))
        return words

    def described(self) -> Dict[str, Any]:
        """All of it, for a record."""
        memory = self.memory()
        return {
            "model": self.model(),
            "l4t": self.l4t(),
            "power_mode": self.power_mode(),
            "clocks_mhz": self.clocks(),
            "temperatures": self.temperatures(),
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
