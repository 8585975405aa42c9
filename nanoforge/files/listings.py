"""Which files an input was made of, remembered per digest, so that a reason can name the file that changed."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path
from typing import Dict, List, Mapping, Optional

from nanoforge.files.atomic import write_bytes
from stages.files import read, readable

NAMED_FILES = 5
MOST_BYTES = 1 << 30


def save_listing(build: Path, digest: str, files: Mapping[str, str]) -> None:
    """Remember the files (path -> digest) behind an input's digest."""
    path = _listing_file(build, digest)
    if load_listing(build, digest) is None:
        write_bytes(path, gzip.compress(json.dumps(dict(files)).encode("utf-8"), compresslevel=1))


def load_listing(build: Path, digest: Optional[str]) -> Optional[Dict[str, str]]:
    """The files behind ``digest``, or None where they were never noted."""
    if digest is None:
        return None
    try:
        return dict(json.loads(gzip.decompress(read(str(_listing_file(build, digest)), MOST_BYTES))))
    except (OSError, EOFError, ValueError, TypeError, RecursionError, zlib.error):
        return None


def changed_files(old: Mapping[str, str], new: Mapping[str, str]) -> str:
    """The difference of two listings in words, naming the first files of each kind."""
    kinds = {
        "added": [path for path in sorted(new) if path not in old],
        "removed": [path for path in sorted(old) if path not in new],
        "changed": [path for path in sorted(new) if path in old and old[path] != new[path]],
    }
    return "; ".join(f"{len(paths)} {kind} ({_named(paths)})" for kind, paths in kinds.items() if paths)


def _named(paths: List[str]) -> str:
    return readable(", ".join(paths[:NAMED_FILES])) + (", …" if len(paths) > NAMED_FILES else "")


def _listing_file(build: Path, digest: str) -> Path:
    return build / "cache" / "listings" / f"{digest[:20]}.json.gz"
