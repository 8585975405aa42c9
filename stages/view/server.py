"""The viewer: pictures with their boxes, detections beside them, and what was built, in a browser on this machine."""

import contextlib
import os
import signal
import socket
import tempfile
import threading
from typing import Any, List, Optional, Tuple

import uvicorn

from stages import files, serving
from stages.job import EXIT_DONE, BadInput
from stages.view.app import app
from stages.view.exhibition import Exhibition
from stages.view.exhibits import Exhibits, description

TOKEN = "NANOFORGE_VIEW_TOKEN"
"""The variable with the token, which is no word of the command line, as everybody on a machine can read those."""


class _Server(uvicorn.Server):  # type: ignore[misc] # its types are in another environment
    """Says that it listens once it does."""

    async def startup(self, sockets: Optional[List[socket.socket]] = None) -> None:
        await super().startup(sockets)
        if sockets and self.started:
            serving.listening(sockets[0].getsockname()[1])


def main(what: str, address: str, port: int) -> None:
    """Show what the file ``what`` says, or that folder, until the process is ended.

    Raises:
        BadInput: it cannot be shown.
        OSError: the server cannot listen there.
    """
    token = os.environ.pop(TOKEN, "")
    with tempfile.TemporaryDirectory(prefix="nanoforge-view-") as folder, _listening(address, port) as listener:
        # From here on, whatever ends this process lets it remove what it keeps for itself.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        told, shown = _opened(what, folder)
        shown.index.start()
        config: Any = uvicorn.Config(
            app(shown, token, told.names),
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            ws="none",
        )
        # In a thread, it leaves signals alone: whoever ends this process ends it at once, and waits for no browser.
        serve = threading.Thread(target=_Server(config).run, args=([listener],), daemon=True)
        serve.start()
        with contextlib.suppress(KeyboardInterrupt):
            serve.join()
        shown.index.close()
    os._exit(EXIT_DONE)  # nobody waits for threads, such as one that decodes a picture


def _opened(what: str, folder: str) -> Tuple[Exhibits, Exhibition]:
    """What is to be shown; ``folder`` is where its index is kept if no other is named.

    Raises:
        BadInput: it cannot be.
    """
    try:
        told = description(what)
        return told, Exhibition(told, told.cache or folder)
    except OSError as error:
        path = files.readable(os.fsdecode(error.filename or what))
        raise BadInput("%s cannot be read: %s." % (path, error.strerror or error)) from error


def _listening(address: str, port: int) -> socket.socket:
    """A socket where whoever connects waits to be answered.

    Raises:
        OSError: another program listens there, or it may not be.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    listener.listen(128)
    return listener


if __name__ == "__main__":
    serving.run(main)
