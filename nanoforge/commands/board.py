"""Models for a Jetson that belong to no project: `bundle --model`, `build-engine --bundle`, and `install`."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any, Dict, Mapping, Tuple

import msgspec

from nanoforge.commands.options import StageOptions
from nanoforge.commands.stages import run_stage, with_precision
from nanoforge.config.schema import PRECISIONS, BuildEngineSection, Config
from nanoforge.console import Console
from nanoforge.errors import BadInput, EnvironmentNotReady
from nanoforge.files.paths import user_path
from nanoforge.files.scratch import scratch_folder
from nanoforge.pipeline.adhoc import AdhocRun, run_adhoc
from nanoforge.pipeline.build import build, metric_words
from nanoforge.pipeline.context import StageContext
from nanoforge.pipeline.stages import INSTALL, SELFTEST, STAGES
from nanoforge.runners.placement import LOCAL, Placement
from stages.parameters import InstallParameters


def bundle(model: str, out: str, options: StageOptions) -> None:
    """Bundle the project's model, or one that `convert --graph` made, with made pictures as it has no others.

    Raises:
        BadInput: the folder holds no model, or there is something at ``out`` already.
    """
    if not model:
        run_stage("bundle", options)
        return
    if not out:
        raise BadInput("bundle --model needs --out FOLDER, where model/ and detector.pyz are to appear.")
    stage, folder = STAGES["bundle"], user_path(out).absolute()
    parameters = stage.parameters(StageContext(Config(), folder))
    work = AdhocRun(stage, {"model": user_path(model).absolute()}, parameters)
    run_adhoc(work, Console(), folder, options.placement())
    print(folder / "detector.pyz")


def build_engine(bundle: str, out: str, precision: str, options: StageOptions) -> None:
    """Build the engine of the project's bundle, or of one that was made elsewhere; ``out`` becomes its folder then.

    Raises:
        BadInput: the bundle cannot be used, or there is something at ``out`` already.
        StageFailed: TensorRT built none, or one that finds other things than the reference.
    """
    if not bundle:
        run_stage("build-engine", with_precision(precision, options))
        return
    if not out:
        raise BadInput("build-engine --bundle needs --out FOLDER, where model.engine is to appear.")
    if precision and precision not in PRECISIONS:
        raise BadInput(f"build-engine --precision takes {', '.join(PRECISIONS)}, not {precision}.")
    stage, folder = STAGES["build-engine"], user_path(out).absolute()
    section = msgspec.convert({"precision": precision} if precision else {}, BuildEngineSection)
    parameters = stage.parameters(StageContext(Config(build_engine=section), folder))
    work = AdhocRun(stage, {"model": user_path(bundle).absolute()}, parameters)
    outcome = run_adhoc(work, Console(), folder, options.placement(stage.name))
    print(f"{folder / 'model.engine'}: {metric_words(outcome.metrics)}")


def selftest(bundle: str, out: str, options: StageOptions) -> None:
    """Try on a board all that a detector needs there; ``out`` becomes the folder to be sent back.

    Args:
        bundle: whose model is tried; empty: the project's, made first if need be.

    Raises:
        BadInput: the bundle cannot be used, or there is something at ``out`` already.
        StageFailed: something does not work; the list of all is there then too.
    """
    folder, placement = user_path(out or SELFTEST.name).absolute(), options.placement(SELFTEST.name)
    placement.check_machine(SELFTEST.name, SELFTEST.environment)  # before the model is made, which takes hours
    model = user_path(bundle).absolute() if bundle else _of("", options)[1]
    try:
        run_adhoc(AdhocRun(SELFTEST, {"model": model}, {}, kept_if_failed=True), Console(), folder, placement)
    finally:
        text = folder / "selftest.txt"
        if text.is_file():
            print(text.read_text(encoding="utf-8"), end="")
            Console().say(f"The list and its logs, to be sent back: {folder}")


def install(folder: str, bundle: str, name: str, check: bool, options: StageOptions) -> None:
    """Put the model where jetson-inference's detectNet finds it, or look whether it is there as it should be.

    Args:
        folder: a clone of jetson-inference on this machine, or on the host, or its folder of networks.
        bundle: to install; empty: the project's, made first if need be.
        name: of the network there; empty: `bundle.name`.

    Raises:
        BadInput: in containers of this machine, which do not see the folder; or it is no jetson-inference.
        EnvironmentNotReady: this machine is no Jetson, and no host is named.
        StageFailed: it cannot be written, or is not as it was installed.
    """
    there, placement = _on_a_host(folder, options) if options.host else _on_this_board(folder, options)
    network, model = (name or Config().bundle.name, user_path(bundle).absolute()) if bundle else _of(name, options)
    parameters = InstallParameters(there, network, check)
    with scratch_folder(Path(tempfile.gettempdir()), INSTALL.name) as scratch:
        out = scratch / "install"
        work = AdhocRun(INSTALL, {"model": model}, parameters._asdict(), changes=there)
        run_adhoc(work, Console(), out, placement)
        _tell(json.loads((out / "install.json").read_text(encoding="utf-8")))


def _on_a_host(folder: str, options: StageOptions) -> Tuple[str, Placement]:
    if not folder.startswith("/"):
        raise BadInput(f"{folder} is to be a folder of {options.host}: name its whole path, such as /home/me/{folder}.")
    return folder, options.placement(INSTALL.name)


def _on_this_board(folder: str, options: StageOptions) -> Tuple[str, Placement]:
    if options.runner not in ("", LOCAL):
        raise BadInput("install writes into a folder that containers do not see: leave out --runner.")
    placement, path = StageOptions(runner=LOCAL).placement(), user_path(folder).absolute()
    if not path.is_dir():  # said before the model is made, which takes hours
        raise BadInput(f"There is no folder {path}: name a clone of jetson-inference, or its networks.")
    try:
        placement.check_machine(INSTALL.name, INSTALL.environment)
    except EnvironmentNotReady:
        raise EnvironmentNotReady(
            "install writes into a folder of the board, and this is none: name the board with --host (docs/remote.md),"
            " or copy the bundle's detector.pyz there and run `python3 detector.pyz install FOLDER` on it."
        ) from None
    return str(path), placement


def _of(name: str, options: StageOptions) -> Tuple[str, Path]:
    """The name and folder of the project's model."""
    project = options.project()
    folder = build(project, "bundle").folder / "model"
    return name or project.config.bundle.name, folder


def _tell(result: Mapping[str, Any]) -> None:
    lines: Dict[str, Any] = {"done": [], "commands": [], **result}
    for line in (*lines["done"], *lines["commands"]):
        print(line)
