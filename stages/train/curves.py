"""TensorBoard on the events of one training, for this machine only."""

import os
import sys
from typing import Any, Callable, Iterable, List

# As in TensorBoard's own main: its way of reading does not go with TensorFlow's cache (tensorboard issue 1225).
os.environ["GCS_READ_CACHE_DISABLED"] = "1"

from tensorboard import default, program  # noqa: E402
from tensorboard.plugins.core.core_plugin import CorePluginLoader  # noqa: E402

from stages import serving  # noqa: E402

# Left out are those that read whatever file a request names, or listen on a port of their own.
PLUGINS = ("scalars", "images", "graphs", "distributions", "histograms", "text", "pr_curves", "custom_scalars")

WsgiApp = Callable[[Any, Any], Iterable[bytes]]


def for_this_machine(app: WsgiApp) -> WsgiApp:
    """The application, but requests under another name than this machine's are refused."""

    def answer(environ: Any, start_response: Any) -> Iterable[bytes]:
        if serving.is_local(environ.get("HTTP_HOST", "")):
            return app(environ, start_response)
        text = serving.REFUSAL.encode("utf-8")
        start_response("421 Misdirected Request", [("Content-Type", "text/plain"), ("Content-Length", str(len(text)))])
        return [text]

    return answer


class CurvesServer(program.WerkzeugServer):  # type: ignore[misc]
    """TensorBoard's server, which answers to this machine's names only and says when it listens."""

    def __init__(self, app: WsgiApp, flags: Any) -> None:
        super().__init__(for_this_machine(app), flags)

    def serve_forever(self) -> None:
        serving.listening(self.server_port)
        super().serve_forever()


def plugins() -> List[Any]:
    """Those of TensorBoard's own plugins that show what a training writes."""
    return [
        plugin
        for plugin in default.get_plugins()
        if isinstance(plugin, CorePluginLoader) or getattr(plugin, "plugin_name", "") in PLUGINS
    ]


def main(folder: str, address: str, port: int) -> None:
    """Show the events in a folder until the process is ended."""
    program.setup_environment()
    # TensorBoard takes commas and colons in a folder's name for several folders and their titles.
    os.chdir(folder)
    board = program.TensorBoard(plugins(), default.get_assets_zip_provider(), CurvesServer)
    board.configure(["", "--logdir", os.curdir, "--host", address, "--port", str(port)])
    sys.exit(1 if board.main() else 0)


if __name__ == "__main__":
    serving.run(main)
