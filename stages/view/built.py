"""What was built: report, pictures and models of one project, as files.

Of the build folder it shows the artifacts that the links ``<stage>`` point to, read anew for each request, and nothing
else: no logs, caches and work of stages, no hidden files, nothing that a link leads to outside of its artifact.
"""

import html
import mimetypes
import os
import urllib.parse
from typing import List, Optional, Tuple

from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

# Files of users are among what is shown, such as XML, so nothing may run a script; the own policies of the pages that
# Nanoforge makes, in the pages themselves, name the one script that each has.
POLICY = "default-src 'none'; img-src 'self' data:; media-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'"
PAGE_POLICY = POLICY + "; script-src 'unsafe-inline'"
PAGES = {"report/report.html": "report", "check-data/health.html": "health of the data"}
RECORD = "record.json"
# What browsers shall show rather than save.
TEXT = (".txt", ".jsonl", ".pbtxt", ".config")
MISSING = "There is no such file in what was built."


class BuiltFiles:
    """Answers GET and HEAD below the address where it is mounted; ``build`` is the folder, empty: there is none."""

    def __init__(self, build: str) -> None:
        self._build = os.path.realpath(build) if build else ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = _asked(scope)
        response = self._response(scope["method"], asked)
        policy = PAGE_POLICY if asked in PAGES else POLICY
        # The same address shows another file after the next build, perhaps an older one.
        response.headers.update({"Content-Security-Policy": policy, "Cache-Control": "no-store"})
        await response(scope, receive, send)

    def _response(self, method: str, asked: str) -> Response:
        if method not in ("GET", "HEAD"):
            return PlainTextResponse("This is to be looked at only.", 405, headers={"Allow": "GET, HEAD"})
        path = os.path.join(self._build, asked) if self._build else ""
        if not path or not is_shown(self._build, path):
            return PlainTextResponse(MISSING, 404)
        if os.path.isdir(path):
            try:
                return HTMLResponse(listing(self._build, path))
            except OSError as error:
                return PlainTextResponse("The folder cannot be read (%s)." % error.strerror, 403)
        if os.path.isfile(path) and not asked.endswith("/"):
            return FileResponse(path, media_type=_mime(path))
        return PlainTextResponse(MISSING, 404)


def _asked(scope: Scope) -> str:
    """The path below the address that this is mounted at, as the file system has it."""
    raw = scope["raw_path"].split(b"?")[0]
    name = urllib.parse.unquote_to_bytes(raw)[len(os.fsencode(scope["root_path"])) :]
    return os.fsdecode(name.lstrip(b"/"))


def _mime(path: str) -> str:
    if path.lower().endswith(TEXT):
        return "text/plain; charset=utf-8"
    return mimetypes.guess_type(path)[0] or "application/octet-stream"


def is_shown(build: str, path: str) -> bool:
    """Whether a path below the build folder is the folder itself, or a file or folder of a stage's artifact."""
    if "\0" in path:
        return False
    parts = os.path.relpath(path, build).split(os.sep)
    if parts == [os.curdir]:
        return True
    if any(part.startswith(".") for part in parts):
        return False
    artifact = _artifact(os.path.join(build, parts[0]))
    real = os.path.realpath(path)
    return artifact is not None and (real == artifact or real.startswith(artifact + os.sep))


def pages(build: str) -> List[Tuple[str, str]]:
    """What there is to be looked at, as title and path below the build folder: pages of artifacts, and all of them."""
    if not build:
        return []
    build = os.path.realpath(build)
    found = [(title, page, os.path.join(build, page)) for page, title in PAGES.items()]
    there = [(title, page) for title, page, path in found if os.path.isfile(path) and is_shown(build, path)]
    return [*there, ("all that was built", "")]


def _artifact(link: str) -> Optional[str]:
    """The folder that a stage's link points to, or None where it is no such link."""
    folder = os.path.realpath(link)
    return folder if os.path.islink(link) and os.path.isfile(os.path.join(folder, RECORD)) else None


def listing(build: str, folder: str) -> bytes:
    """The page of a folder, in UTF-8."""
    lines: List[str] = []
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if is_shown(build, path):
            target = "/built/" + urllib.parse.quote(os.path.relpath(path, build), errors="surrogateescape")
            shown = name + "/" if os.path.isdir(path) else name
            lines.append('<li><a href="%s">%s</a></li>' % (target, html.escape(shown)))
    text = "<!DOCTYPE html>\n<meta charset=utf-8>\n<title>Nanoforge</title>\n<ul>\n%s\n</ul>\n" % "\n".join(lines)
    return text.encode("utf-8", "replace")
