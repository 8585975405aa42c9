"""What files are in a folder, with their digests: how the far end of a transfer proves what arrived.

`listing.py FOLDER ...` prints one JSON line per file: {"folder", "path", "size", "sha256"}; hidden files are left out.
Standard library only, Python 3.6: it is in every image.
"""
import hashlib
import json
import os
import sys


def sha256_of(path):
    hasher = hashlib.sha256()
    with open(path, "rb") as stream:
        for chunk in iter(lambda: stream.read(1 << 20), b""):
            hasher.update(chunk)
    return hasher.hexdigest()


def main(folders):
    for folder in folders:
        for base, inner, names in os.walk(folder):
            inner[:] = sorted(name for name in inner if not name.startswith("."))
            for name in sorted(name for name in names if not name.startswith(".")):
                path = os.path.join(base, name)
                row = {"folder": folder, "path": os.path.relpath(path, folder)}
                row.update(size=os.path.getsize(path), sha256=sha256_of(path))
                print(json.dumps(row, sort_keys=True))


if __name__ == "__main__":
    main(sys.argv[1:])
