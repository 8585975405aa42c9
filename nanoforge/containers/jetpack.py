"""What runs on which Jetson: the L4T releases of JetPack 4.2 to 4.6.6, and the container base of each.

L4T is the system on the board (``/etc/nv_tegra_release``), JetPack the set of NVIDIA's libraries that belongs to it.
"""

from __future__ import annotations

import re
import sys
from functools import lru_cache
from pathlib import Path
from typing import Dict, NamedTuple, Optional, Tuple

from nanoforge.containers import compose
from nanoforge.errors import BadInput
from nanoforge.files.paths import HOME

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TABLE = HOME / "docker" / "jetson" / "l4t.toml"
RELEASE_FILE = Path("/etc/nv_tegra_release")
FIRST_LINE = re.compile(r"#? ?R(\d+) \(release\), REVISION: (\d+(?:\.\d+)?)(?:,|$)")

Version = Tuple[int, int, int]


class Release(NamedTuple):
    """One L4T release, what JetPack brings with it, and the container base for it.

    ``base`` is an image name with its tag, empty where no container can run; ``base_digest`` is ``sha256:...``, empty
    where it is unknown.
    """

    l4t: str
    jetpack: str
    tensorrt: str
    cuda: str
    cudnn: str
    base: str
    base_digest: str


@lru_cache(maxsize=None)
def releases() -> Tuple[Release, ...]:
    """All known releases, oldest first."""
    return tuple(Release(**row) for row in tomllib.loads(TABLE.read_text(encoding="utf-8"))["release"])


def release_of(l4t: str) -> Release:
    """The release that has the version ``l4t``, such as 32.7.1; 32.2 and 32.2.0 are the same.

    Raises:
        BadInput: it is not known, or no container runs on it.
    """
    wanted = _version(l4t)
    found = next((release for release in releases() if _version(release.l4t) == wanted), None)
    if found is None:
        near = min(releases(), key=lambda release: abs(_place(_version(release.l4t)) - _place(wanted)))
        raise BadInput(
            f"L4T {l4t} is not known; the nearest release is {near.l4t} (JetPack {near.jetpack}). Check what"
            " `head -1 /etc/nv_tegra_release` says on the board, or name a base image of your own with JETSON_BASE."
        )
    if not found.base:
        first = next(release for release in releases() if release.base)
        raise BadInput(
            f"L4T {found.l4t} (JetPack {found.jetpack}) cannot run containers; install JetPack {first.jetpack} or newer"
            " on the board."
        )
    return found


def base_variables(environment: str, l4t: str) -> Dict[str, str]:
    """What the variables of compose.yml stand for where an environment's base is the one of its Jetson.

    Args:
        l4t: of the device; empty: that of this machine.

    Returns:
        Empty for other environments; no base where the user named one.

    Raises:
        BadInput: the device's L4T is not known, or no container runs on it.
    """
    if not compose.facts(environment).device_base:
        return {}
    release = l4t or device_l4t()
    if compose.variables().get("JETSON_BASE"):
        return {"JETSON_L4T": release} if release else {}
    if not release:
        raise BadInput(
            "The L4T of the Jetson is not known: set hosts.NAME.l4t in detector.toml to what `head -1"
            " /etc/nv_tegra_release` says there, such as 32.7.1."
        )
    found = release_of(release)
    return {"JETSON_BASE": found.base, "JETSON_BASE_DIGEST": found.base_digest, "JETSON_L4T": found.l4t}


def is_jetson(containers: bool) -> bool:
    """Whether what needs a Jetson can be tried on this machine: it is one, or the user says what stands for it.

    Args:
        containers: by a base image of their own (`JETSON_BASE`); else by a Python (`JETSON_PYTHON`).
    """
    stated = compose.variables().get("JETSON_BASE" if containers else "JETSON_PYTHON")
    return bool(stated or device_l4t())


def device_l4t(release_file: Path = RELEASE_FILE) -> Optional[str]:
    """The L4T of the machine that holds ``release_file``, such as 32.7.1; None where there is no such file.

    Raises:
        BadInput: the file does not begin as on a Jetson.
    """
    try:
        first = (release_file.read_text(encoding="utf-8", errors="replace").splitlines() or [""])[0]
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadInput(f"{release_file} cannot be read: {error.strerror}.") from error
    found = FIRST_LINE.match(first)
    if not found:
        raise BadInput(
            f'{release_file} begins with "{first[:60]}", not as on a Jetson: "# R32 (release), REVISION: 7.1, ...".'
        )
    return ".".join(found.groups())


def _version(l4t: str) -> Version:
    parts = l4t.strip().split(".")
    if not 2 <= len(parts) <= 3 or not all(re.fullmatch("[0-9]{1,6}", part) for part in parts):
        raise BadInput(f'"{l4t}" is not an L4T version; one looks like 32.7.1.')
    major, minor, patch = (int(part) for part in (*parts, "0")[:3])
    return major, minor, patch


def _place(version: Version) -> int:
    """Where a version stands among all: one more patch is 1, one more minor version a thousand."""
    major, minor, patch = version
    return (major * 1000 + minor) * 1000 + patch
