"""The viewer: report, pictures and models of one project, in a browser on this machine.

Of the build folder it shows the artifacts that the links ``<stage>`` point to, read anew for each request, and nothing
else: no logs, caches and work of stages, no hidden files, nothing that a link leads to outside of its artifact.
"""

import html
import io
import os
import socketserver
import urllib.parse
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import IO, Any, List, Optional

from stages import serving

# Files of users are among what is shown, such as XML, so nothing may run a script; the report's own policy, in the page
# itself, names the one script that it has.
POLICY = "default-src 'none'; img-src 'self' data:; media-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'"
REPORT_POLICY = POLICY + "; script-src 'unsafe-inline'"
REPORT = "/report/report.html"
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    # The same address shows another file after the next build, perhaps an older one.
    "Cache-Control": "no-store",
}
RECORD = "record.json"


class ArtifactHandler(SimpleHTTPRequestHandler):
    """Answers GET and HEAD; ``directory`` is the build folder."""

    directory: str
    server_version = "Nanoforge"
    sys_version = ""
    # What browsers shall show rather than save.
    extensions_map = dict(
        SimpleHTTPRequestHandler.extensions_map,
        **{suffix: "text/plain; charset=utf-8" for suffix in (".txt", ".jsonl", ".pbtxt", ".config")},
    )

    def send_head(self) -> Optional[IO[bytes]]:  # type: ignore[override]
        if not all(map(serving.is_local, self.headers.get_all("Host") or [""])):
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST, serving.REFUSAL)
            return None
        found = self.translate_path(self.path)
        if os.path.isdir(found):
            return self.list_directory(found)
        if os.path.isfile(found):
            return super().send_head()
        self.send_error(HTTPStatus.NOT_FOUND, "There is no such file in what was built.")
        return None

    def translate_path(self, path: str) -> str:
        """The file or folder behind the path of a URL; a name that is none where it may not be shown."""
        found = super().translate_path(path)
        return found if is_shown(self.directory, found) else ""

    def list_directory(self, path: Any) -> Optional[IO[bytes]]:  # type: ignore[override]
        """A page with links to what is in a folder."""
        try:
            page = listing(self.directory, str(path))
        except OSError as error:
            self.send_error(HTTPStatus.FORBIDDEN, "The folder cannot be read (%s)." % error.strerror)
            return None
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        return io.BytesIO(page)

    def end_headers(self) -> None:
        for name, value in HEADERS.items():
            self.send_header(name, value)
        asked = urllib.parse.urlsplit(getattr(self, "path", "")).path
        self.send_header("Content-Security-Policy", REPORT_POLICY if asked == REPORT else POLICY)
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Nobody reads what was asked for."""


def is_shown(build: str, path: str) -> bool:
    """Whether a path below the build folder is the folder itself, or a file or folder of a stage's artifact."""
    parts = os.path.relpath(path, build).split(os.sep)
    if parts == [os.curdir]:
        return True
    if "\0" in path or any(part.startswith(".") for part in parts):
        return False
    artifact = _artifact(os.path.join(build, parts[0]))
    real = os.path.realpath(path)
    return artifact is not None and (real == artifact or real.startswith(artifact + os.sep))


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
            target = urllib.parse.quote("/" + os.path.relpath(path, build), errors="surrogatepass")
            shown = name + "/" if os.path.isdir(path) else name
            lines.append('<li><a href="%s">%s</a></li>' % (target, html.escape(shown)))
    text = "<!DOCTYPE html>\n<meta charset=utf-8>\n<title>Nanoforge</title>\n<ul>\n%s\n</ul>\n" % "\n".join(lines)
    return text.encode("utf-8", "replace")


class LocalServer(ThreadingHTTPServer):
    """An HTTP server that asks no name server who it is."""

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]


def main(folder: str, address: str, port: int) -> None:
    """Show the artifacts of a build folder until the process is ended."""
    with LocalServer((address, port), partial(ArtifactHandler, directory=os.path.realpath(folder))) as server:
        serving.listening(server.server_port)
        server.serve_forever()


if __name__ == "__main__":
    serving.run(main)
