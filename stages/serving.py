"""What the servers have in common: how they are started, that they say when they listen, and to whom they answer.

A server is a module with ``main(what, address, port)``, started as ``python -m stages.<package>.<module> WHAT ADDRESS
PORT``, where WHAT is the path of what it serves. It talks back as a stage does (stages/job.py), with one event more:
``{"listening": PORT}``.

Standard library only, Python 3.6.
"""

import re
import sys
from typing import Callable

from stages import parent
from stages.job import EXIT_BAD_INPUT, EXIT_FAILED, BadInput, emit

LOCAL_NAMES = ("127.0.0.1", "localhost", "[::1]")
REFUSAL = "This server answers to http://127.0.0.1 and http://localhost only."


def run(main: Callable[[str, str, int], None]) -> None:
    """Run ``main`` on what the command line names, its address and port; ends with the exit codes of a stage."""
    if len(sys.argv) != 4:
        sys.exit("usage: python -m stages.<package>.<module> WHAT ADDRESS PORT")
    what, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    parent.end_with_it()
    try:
        main(what, address, port)
    except KeyboardInterrupt:
        return
    except BadInput as error:
        emit({"error": str(error)})
        sys.exit(EXIT_BAD_INPUT)
    except OSError as error:
        emit(
            {
                "error": "it cannot listen on port %d (%s): name another one with --port"
                % (port, error.strerror or error)
            }
        )
        sys.exit(EXIT_FAILED)


def listening(port: int) -> None:
    """Say that whoever connects from now on is answered."""
    emit({"listening": port})


def is_local(host: str) -> bool:
    """Whether a request with this ``Host`` header came for this machine.

    A page of another site can let its name point to 127.0.0.1 and so reach a server here as if it were its own (DNS
    rebinding); only then is the name in the header another. The port may be any: `ssh -L` shows the server at another.
    """
    return re.sub(r":[0-9]+$", "", host.strip()).lower() in LOCAL_NAMES
