"""A Python 3.6 that stands for JetPack's: what is in a system's packages there is in those of this one."""

from pathlib import Path

from nanoforge.containers.compose import local_environment
from nanoforge.runners import virtual_environments

FAKES = Path(__file__).resolve().with_name("jetson")
PACKAGES = "lib/python3.6/site-packages"


def stand_in(folder, *places):
    """The path of a Python in ``folder``, apart from all others, that finds ``places`` as a system's its packages."""
    real = virtual_environments.find_interpreter(local_environment("train")).path.resolve()
    packages = folder / PACKAGES
    packages.mkdir(parents=True)
    (folder / "bin").mkdir()
    python = folder / "bin" / "python3"
    python.write_bytes(real.read_bytes())
    python.chmod(0o755)
    for path in real.parents[1].glob("lib/python3.6/*"):
        if path.name != "site-packages":
            (packages.parent / path.name).symlink_to(path)
    (packages / "jetpack.pth").write_text("".join(f"{place}\n" for place in places))
    return python
