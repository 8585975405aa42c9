"""Damage to a file, drawn by a seed (Python 3.6, standard library: every environment uses it)."""

import os
import random
import shutil

BYTES = ("flip", "flips", "cut", "empty", "zeroes", "doubled", "inserted", "shuffled")
KINDS = ("fifo", "folder", "dangling", "loop", "sparse")
SPARSE = 1 << 40


def of_bytes(data, how, seed):
    """The bytes with that damage."""
    chance = random.Random("%s %s" % (how, seed))
    if how == "empty" or not data:
        return b""
    at = chance.randrange(len(data))
    end = min(len(data), at + chance.randint(1, 64))
    if how == "cut":
        return data[:at]
    if how == "zeroes":
        return data[:at] + bytes(end - at) + data[end:]
    if how == "doubled":
        return data[:end] + data[at:]
    if how == "inserted":
        return data[:at] + bytes(chance.randrange(256) for _ in range(end - at)) + data[at:]
    if how == "shuffled":
        other = chance.randrange(len(data))
        first, second = sorted((at, other))
        return data[:first] + data[second:] + data[first:second]
    changed = bytearray(data)
    for _ in range(1 if how == "flip" else 20):
        changed[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def file(path, how, seed):
    """Damage the file at ``path``, or put something else in its place."""
    if how in BYTES:
        with open(path, "rb") as stream:
            data = stream.read()
        os.chmod(path, 0o644)
        with open(path, "wb") as stream:
            stream.write(of_bytes(data, how, seed))
        return
    shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
    if how == "fifo":
        os.mkfifo(path)
    elif how == "folder":
        os.mkdir(path)
    elif how == "dangling":
        os.symlink(os.path.join("no", "where"), path)
    elif how == "loop":
        os.symlink(os.path.basename(path), path)
    else:
        with open(path, "wb") as stream:
            stream.truncate(SPARSE)
