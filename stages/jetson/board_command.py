"""The command line of detector.pyz: the programs that the host starts as stages, started by hand on the board.

``python3 detector.pyz COMMAND --help`` says what each takes. Engines lie beside detector.pyz unless they are wanted
elsewhere. Exit codes as the stages have them: 0 done, 1 failed, 2 bad input; 130 where Ctrl-C ended it.
"""

import argparse
import faulthandler
import os
from typing import Any, Callable, List

from stages.jetson import board_jobs, terminal
from stages.parameters import BENCH_RUNS, BENCH_WARMUP_RUNS, WORKSPACE_MB

PRECISIONS, SOURCES, BACKENDS = ("fp16", "fp32", "int8"), ("uff", "onnx", "boxes"), ("tensorrt", "reference")


def main(archive: str, arguments: List[str]) -> int:
    """Do what the arguments ask for.

    Args:
        archive: absolute path of detector.pyz.

    Returns:
        The exit code.
    """
    asked = _parser(os.path.basename(archive)).parse_args(arguments)
    faulthandler.enable(2)  # a native library that crashes says where it was called from
    return terminal.exit_code(lambda: asked.does(archive, asked))


def _parser(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 " + name, description="A detector, and what runs it on a Jetson.")
    commands = parser.add_subparsers(metavar="COMMAND", dest="command")
    commands.required = True
    for add in (_build_engine, _bench, _detect, _install, _selftest):
        add(commands)
    return parser


def _command(
    commands: Any, name: str, summary: str, does: Callable[[str, argparse.Namespace], None]
) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = commands.add_parser(
        name, help=summary, description=summary[0].upper() + summary[1:] + "."
    )
    made.set_defaults(does=does)
    return made


def _build_engine(commands: Any) -> None:
    summary = "build the TensorRT engine for this very board and prove it on the samples; takes minutes, once"
    command = _command(commands, "build-engine", summary, board_jobs.build_engine)
    command.add_argument("--precision", choices=PRECISIONS, default="fp16", help="default: fp16")
    words = "memory for trying kernels; default: %(default)s"
    command.add_argument("--workspace-mb", type=_positive, default=WORKSPACE_MB, metavar="MB", help=words)
    command.add_argument("--source", choices=SOURCES, default="uff", help="what to build it of; default: uff")
    command.add_argument("--out", type=os.path.abspath, metavar="FOLDER", help="default: beside this file")


def _bench(commands: Any) -> None:
    command = _command(commands, "bench", "time the engine, alone and from picture to boxes", board_jobs.bench)
    _engine_option(command)
    for option, default in (("--runs", BENCH_RUNS), ("--warmup-runs", BENCH_WARMUP_RUNS)):
        command.add_argument(option, type=_positive, default=default, help="default: %(default)s")
    command.add_argument("--out", type=os.path.abspath, metavar="FOLDER", help="default: beside this file")


def _detect(commands: Any) -> None:
    summary = "find things on pictures, in a video or before a camera"
    command = _command(commands, "detect", summary, board_jobs.detect)
    command.add_argument("source", metavar="SOURCE", help="picture, folder, video, usb:0, csi:0 or rtsp://...")
    command.add_argument(
        "--sink",
        action="append",
        default=[],
        metavar="SINK",
        help="window, mjpeg:PORT, file:VIDEO.mp4, lines, lines:FILE or none; may be given again; default: lines",
    )
    command.add_argument("--threshold", type=_share, default=0.5, help="lowest score; default: 0.5")
    command.add_argument("--backend", choices=BACKENDS, default="tensorrt", help="default: tensorrt")
    command.add_argument("--size", type=_size, default=[720, 1280], metavar="WxH", help="asked of a camera")
    command.add_argument("--fps", type=_positive, default=30, help="asked of a camera")
    command.add_argument("--frames", type=_positive, default=0, metavar="N", help="end after so many")
    _engine_option(command)


def _install(commands: Any) -> None:
    for name, summary, does in (
        ("install", "put the detector into jetson-inference, for its detectnet", board_jobs.install),
        ("check", "look whether the detector in jetson-inference is as it was installed", board_jobs.check),
    ):
        command = _command(commands, name, summary, does)
        command.add_argument("folder", type=os.path.abspath, metavar="FOLDER", help="jetson-inference, or its networks")
        command.add_argument("--name", default="", help="of the network there; default: the bundle's")


def _selftest(commands: Any) -> None:
    command = _command(commands, "selftest", "try all that this board needs, to be sent back", board_jobs.selftest)
    command.add_argument("--out", type=os.path.abspath, metavar="FOLDER", help="default: beside this file")


def _engine_option(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--engine",
        type=os.path.abspath,
        metavar="FOLDER",
        help="what build-engine made; default: the one beside this file",
    )


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError("%r is no whole number above 0" % text)
    return int(text)


def _share(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError("%r is no number from 0 to 1" % text)
    return number


def _size(text: str) -> List[int]:
    parts = text.split("x")
    if len(parts) != 2 or not all(part.isdigit() and int(part) for part in parts):
        raise argparse.ArgumentTypeError("%r is no size such as 1280x720" % text)
    return [int(parts[1]), int(parts[0])]
