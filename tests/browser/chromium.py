"""Chromium as these tests start it."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# A name of another site that points to this machine, as in DNS rebinding.
FOREIGN = "evil.example"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--host-resolver-rules=MAP %s 127.0.0.1" % FOREIGN,
]
