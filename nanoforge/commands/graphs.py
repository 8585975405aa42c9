"""Commands on models that belong to no project: `audit --graph`, `convert --graph`, `inspect` and `run-uff`."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any, Dict, Sequence

import msgspec

from nanoforge.commands.options import StageOptions
from nanoforge.commands.stages import run_stage
from nanoforge.config.schema import FORMATS, Config, ConvertSection
from nanoforge.console import Console, print_json
from nanoforge.errors import BadInput, NanoforgeError, StageFailed
from nanoforge.files.paths import user_path
from nanoforge.files.scratch import scratch_folder
from nanoforge.pipeline.adhoc import AdhocRun, check_no_link, optional_inputs, run_adhoc
from nanoforge.pipeline.build import proof_words
from nanoforge.pipeline.context import StageContext
from nanoforge.pipeline.stages import INSPECT, RUN_UFF, STAGES
from stages.parameters import RunUffParameters

# What `--json` prints of a graph at least, for CI to rely on.
BLANK_RESULT: Dict[str, Any] = {
    "verdict": "refused",
    "findings": [],
    "plugin": {},
    "parity": {},
    "uff": None,
    "onnx": None,
    "onnx_boxes": None,
}


def audit_graph(graph: str, as_json: bool, options: StageOptions) -> None:
    """Audit a frozen graph that belongs to no project.

    Raises:
        BadInput: the graph cannot be converted.
    """
    with scratch_folder(Path(tempfile.gettempdir()), "audit") as folder:
        out = folder / "audit"
        parameters = STAGES["audit"].parameters(StageContext(Config(), folder))
        _run_on_graph(AdhocRun(STAGES["audit"], optional_inputs(graph=graph), parameters), out, as_json, options)
        if as_json:
            print_json({**BLANK_RESULT, **_read_json(out / "audit.json")})
        else:
            print((out / "audit.txt").read_text(encoding="utf-8"), end="")


def audit_project(options: StageOptions, as_json: bool) -> None:
    """Audit the project's own graph, made first if need be."""
    folder = run_stage("audit", options)
    if folder:
        print((folder / ("audit.json" if as_json else "audit.txt")).read_text(encoding="utf-8"), end="")


def convert_graph(inputs: Dict[str, str], to: str, out: str, as_json: bool, options: StageOptions) -> None:
    """Convert a frozen graph that belongs to no project.

    Raises:
        BadInput: the graph cannot be converted, or there is something at ``out`` already.
        StageFailed: what was converted does not compute the same.
    """
    if not out:
        raise BadInput("convert --graph needs --out FOLDER, where model.uff and its proof are to appear.")
    if to and to not in FORMATS:
        raise BadInput(f"convert --to takes {' or '.join(FORMATS)}, not {to}.")
    folder = user_path(out).absolute()
    section = msgspec.convert({"to": to} if to else {}, ConvertSection)
    parameters = STAGES["convert"].parameters(StageContext(Config(convert=section), folder))
    work = AdhocRun(STAGES["convert"], optional_inputs(**inputs), parameters)
    _run_on_graph(work, folder, as_json, options)
    result = _read_json(folder / "result.json")
    models = {name: str(folder / result[name]) for name in (*FORMATS, "onnx_boxes") if result[name]}
    if as_json:
        print_json({**BLANK_RESULT, **result, **models})
    else:
        print(f"{' and '.join(models.values())}: {proof_words(result['parity'])}; see {folder / 'parity.json'}")


def _run_on_graph(work: AdhocRun, out: Path, as_json: bool, options: StageOptions) -> None:
    """Run a stage once; with ``as_json``, a refusal is printed as JSON too."""
    try:
        run_adhoc(work, Console(), out, options.placement())
    except NanoforgeError as error:
        if as_json:
            print_json({**BLANK_RESULT, **error.metrics.get("result", {}), "error": str(error)})
        raise


def _read_json(path: Path) -> Dict[str, Any]:
    value: Dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return value


def inspect_file(file: str, against: str, as_json: bool, options: StageOptions) -> None:
    """Print what a .uff, a frozen graph or an engine holds, and how it differs from another.

    Raises:
        BadInput: it is none of them.
        StageFailed: it differs from ``against``, or TensorRT's parser would refuse it.
    """
    with scratch_folder(Path(tempfile.gettempdir()), "inspect") as folder:
        out = folder / "inspect"
        work = AdhocRun(INSPECT, optional_inputs(file=file, against=against), {})
        run_adhoc(work, Console(), out, options.placement())
        found = _read_json(out / "inspect.json")
        if as_json:
            print_json(found)
        else:
            print((out / "inspect.txt").read_text(encoding="utf-8"), end="")
    if found["findings"]:
        raise StageFailed(f"TensorRT's parser would refuse {found['file']}: {found['findings'][0]}.")
    if found.get("differences"):
        raise StageFailed(f"The two differ in {len(found['differences'])} places.")


def run_uff(
    file: str, feeds: Sequence[str], output: str, tensorrt: str, fp16_decode: bool, options: StageOptions
) -> None:
    """Run a .uff by the reference interpreter; the .npz ``output`` gets its outputs by name, and appears whole.

    Raises:
        BadInput: a file is missing or does not fit, or ``output`` is there already.
    """
    if not feeds or not output:
        raise BadInput("run-uff needs --input X.npy (or NAME=X.npy) and --output Y.npz.")
    path = user_path(output).absolute()
    check_no_link(path)
    if output.endswith("/"):
        raise BadInput(f"{output} names a folder: name a file, such as {output}y.npz.")
    if path.exists():
        raise BadInput(f"{path} exists already: name a new file, or remove it.")
    named = [feed.rpartition("=")[::2] for feed in feeds]
    if not all(array for _, array in named):
        raise BadInput("run-uff: an --input names no file; write X.npy or NAME=X.npy.")
    inputs = {"uff": file, **{f"input_{number}": array for number, (_, array) in enumerate(named)}}
    parameters = RunUffParameters([name for name, _ in named], tensorrt, fp16_decode)
    with scratch_folder(path.parent, "run-uff") as folder:
        out = folder / "run"
        work = AdhocRun(RUN_UFF, optional_inputs(**inputs), parameters._asdict())
        run_adhoc(work, Console(), out, options.placement())
        print((out / "outputs.txt").read_text(encoding="utf-8"), end="")
        os.replace(out / "outputs.npz", path)
