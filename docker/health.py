"""Whether this environment is well: every module named on the command line can be imported. The images' HEALTHCHECK.

Prints one JSON line: {"python": "3.6.9", "machine": "aarch64", "modules": {"numpy": "1.13.3"}, "packages": {...}}.
``packages`` are all distributions on sys.path, name: version, names normalised as PEP 503 says. Exit 1 and a sentence
on standard error where a module cannot be imported. Standard library only, Python 3.6: it is in every image.
"""
import importlib
import json
import os
import platform
import re
import sys


def packages(folders):
    """Name -> version of the distributions in ``folders``; of two with one name the first counts, as for imports."""
    found = {}
    for folder in folders:
        for name in sorted(os.listdir(folder) if os.path.isdir(folder) else ()):
            if name.endswith((".dist-info", ".egg-info")):
                about = metadata(os.path.join(folder, name))
                if "name" in about and "version" in about:
                    found.setdefault(re.sub("[-_.]+", "-", about["name"]).lower(), about["version"])
    return found


def metadata(path):
    """The head of a distribution's metadata, keys in lower case. An .egg-info is a folder, or the metadata itself."""
    candidates = [os.path.join(path, "METADATA"), os.path.join(path, "PKG-INFO"), path]
    about = {}
    for line in lines(next((name for name in candidates if os.path.isfile(name)), os.devnull)):
        if not line.strip():
            break
        key, colon, value = line.partition(":")
        if colon:
            about.setdefault(key.lower(), value.strip())
    return about


def lines(path):
    """The lines of a text file that may hold any bytes."""
    with open(path, encoding="utf-8", errors="replace") as stream:
        yield from stream


def versions(modules, installed):
    """Module -> its version, or that of the distribution with its name, or None; one that fails ends the check."""
    found = {}
    for name in modules:
        try:
            module = importlib.import_module(name)
        except Exception as error:  # a shared library that is missing is an OSError, and worse is possible
            sys.exit(f"{name} cannot be imported: {type(error).__name__}: {' '.join(str(error).split())}")
        found[name] = getattr(module, "__version__", None) or installed.get(name.split(".")[0].lower())
    return found


def main(modules):
    """Import ``modules``, and say what is here."""
    installed = packages(sys.path)
    report = {"python": platform.python_version(), "machine": platform.machine(), "packages": installed}
    print(json.dumps(dict(report, modules=versions(modules, installed)), sort_keys=True))


if __name__ == "__main__":
    main(sys.argv[1:])
