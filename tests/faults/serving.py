"""A checkpoint's archive on loopback, served by a process of its own, since what fetches it forks."""

from __future__ import annotations

import contextlib
import io
import random
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Dict, Iterator, NamedTuple

from nanoforge.files.digests import sha256_file

_SERVER = """
import functools, http.server, sys
class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *words): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=sys.argv[1]))
print(server.server_port, flush=True)
server.serve_forever()
"""
NAMES = ("model.ckpt.index", "model.ckpt.meta", "model.ckpt.data-00000-of-00001")


class Served(NamedTuple):
    """Where the archive is, its digest, and what every file in it holds."""

    url: str
    sha256: str
    content: bytes

    @property
    def keys(self) -> Dict[str, str]:
        return {"checkpoint": self.url, "checkpoint_sha256": self.sha256}


@contextlib.contextmanager
def checkpoint(folder: Path, size: int) -> Iterator[Served]:
    """An archive in ``folder`` whose files have ``size`` bytes each, for as long as the context lasts."""
    content = random.Random(1).getrandbits(8 * size).to_bytes(size, "big")
    folder.mkdir()
    with tarfile.open(folder / "model.tar", "w") as tar:
        for name in NAMES:
            member = tarfile.TarInfo(f"zoo/{name}")
            member.size = size
            tar.addfile(member, io.BytesIO(content))
    server = subprocess.Popen([sys.executable, "-I", "-c", _SERVER, str(folder)], stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        yield Served(f"http://127.0.0.1:{port}/model.tar", sha256_file(folder / "model.tar"), content)
    finally:
        server.kill()
        server.communicate()
