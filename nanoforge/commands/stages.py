"""What the tasks do; `tasks.py` holds their names and help."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence

from nanoforge.config.schema import FORMATS, Config, ConvertSection
from nanoforge.config.template import toml_text
from nanoforge.console import Console, print_json
from nanoforge.errors import BadInput, NanoforgeError, StageFailed
from nanoforge.pipeline.adhoc import AdhocStage, optional_inputs, run_adhoc
from nanoforge.pipeline.build import build, metric_words
from nanoforge.pipeline.plan import FRESH, RUNNING, Status, Statuses, plan, statuses
from nanoforge.pipeline.project import Project, find_config
from nanoforge.pipeline.stages import STAGES, TABLE
from nanoforge.runners.placement import Placement, PlacementOverride


@dataclass(frozen=True)
class StageOptions:
    """What the options that all stage commands have in common say; ``host`` is for the command's own stage."""

    config: str = ""
    overrides: Sequence[str] = ()
    dry_run: bool = False
    runner: str = ""
    host: str = ""

    def project(self, stage: str = "") -> Project:
        """The project that ``--config`` names, or that of the current folder."""
        where = PlacementOverride(self.runner, {stage: self.host} if self.host and stage else {})
        return Project(find_config(self.config), self.overrides, Console(), where)

    def placement(self) -> Placement:
        """Where a stage runs that belongs to no project.

        Raises:
            BadInput: on a host, which only a project's detector.toml knows.
        """
        if self.host:
            raise BadInput("--host is for stages of a project: leave it out together with --graph.")
        return Placement(Config(), Console(), PlacementOverride(self.runner))

    def also(self, *overrides: str) -> StageOptions:
        """The same, with more overrides."""
        return replace(self, overrides=[*self.overrides, *overrides])


def run_stage(stage: str, asked: StageOptions) -> Optional[Path]:
    """Make a stage's artifact with all that it needs, or say what would run; returns its folder."""
    project = asked.project(stage)
    if asked.dry_run:
        show_plan(project, plan(project, stage))
        return None
    try:
        folder = build(project, stage).folder
    finally:
        project.placement.close()
    project.console.say(f"{stage}: {shown(project.build / stage)}")
    return folder


def shown(path: Path) -> str:
    """A path as short as it can be: relative where it lies below the current folder."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def show_plan(project: Project, statuses: Sequence[Status]) -> None:
    """One line per stage: what would happen, and why."""
    for status in statuses:
        verb = "fresh, not run" if status.state == FRESH else "would run"
        project.console.say(f"{status.stage.name:10} {verb}{_reason_words(status)}")


def _reason_words(status: Status) -> str:
    return f": {'; '.join(status.reasons)}" if status.reasons else ""


def all_statuses(project: Project) -> List[Status]:
    """The status of every stage that this project can have, in the order of the table."""
    running = project.running_stages()
    demo = project.config.dataset.rendered_pictures > 0
    found = statuses(project, [stage.name for stage in TABLE if demo or stage.name != "render"])
    for status in found:
        if status.stage.name in running:
            status.state, status.reasons = RUNNING, ["another command runs it now"]
    return found


def status_json(found: Sequence[Status]) -> Dict[str, Any]:
    """What ``status --json`` prints."""
    return {
        "stages": [
            {
                "name": status.stage.name,
                "environment": status.stage.environment,
                "state": status.state,
                "reasons": status.reasons,
                "artifact": str(status.artifact.folder) if status.artifact else None,
                "metrics": status.artifact.metrics if status.artifact else {},
            }
            for status in found
        ]
    }


def explain(project: Project, stage: str) -> bool:
    """Print every reason why ``stage`` would run; returns whether it would."""
    if stage not in STAGES:
        raise BadInput(f"{stage} is no stage; stages are {', '.join(STAGES)}.")
    status = plan(project, stage)[-1]
    if status.state == FRESH:
        print(f"{stage} is fresh: its artifact is {shown(project.build / stage)}")
        return False
    print(f"{stage} would run ({status.state}):")
    for reason in status.reasons:
        print(f"  {reason}")
    return True


# What `--json` prints of a graph at least, for CI to rely on.
BLANK_RESULT: Dict[str, Any] = {
    "verdict": "refused",
    "findings": [],
    "plugin": {},
    "parity": {},
    "uff": None,
    "onnx": None,
}


def audit_graph(graph: str, as_json: bool, asked: StageOptions) -> None:
    """Audit a frozen graph that belongs to no project.

    Raises:
        BadInput: the graph cannot be converted.
    """
    with tempfile.TemporaryDirectory(prefix="nanoforge-") as folder:
        out = Path(folder) / "audit"
        _run_on_graph("audit", optional_inputs(graph=graph), {}, out, as_json, asked)
        if as_json:
            print_json({**BLANK_RESULT, **_read_json(out / "audit.json")})
        else:
            print((out / "audit.txt").read_text(encoding="utf-8"), end="")


def inspect_file(file: str, against: str, as_json: bool, asked: StageOptions) -> None:
    """Print what a .uff, a frozen graph or an engine holds, and how it differs from another.

    Raises:
        BadInput: it is none of them.
        StageFailed: it differs from ``against``, or TensorRT's parser would refuse it.
    """
    with tempfile.TemporaryDirectory(prefix="nanoforge-") as folder:
        out = Path(folder) / "inspect"
        inputs = optional_inputs(file=file, against=against)
        run_adhoc(
            AdhocStage("inspect", "train", "stages.convert.inspect", inputs, {}), Console(), out, asked.placement()
        )
        found = _read_json(out / "inspect.json")
        if as_json:
            print_json(found)
        else:
            print((out / "inspect.txt").read_text(encoding="utf-8"), end="")
    if found["findings"]:
        raise StageFailed(f"TensorRT's parser would refuse {found['file']}: {found['findings'][0]}.")
    if found.get("differences"):
        raise StageFailed(f"The two differ in {len(found['differences'])} places.")


def run_uff(file: str, feeds: Sequence[str], output: str, fp16_decode: bool, asked: StageOptions) -> None:
    """Run a .uff by the reference engine; every output goes by its name into ``output``, an .npz that appears whole.

    Raises:
        BadInput: a file is missing or does not fit, or ``output`` is there already.
    """
    if not feeds or not output:
        raise BadInput("run-uff needs --input X.npy (or NAME=X.npy) and --output Y.npz.")
    path = Path(output).expanduser().absolute()
    if path.exists():
        raise BadInput(f"{path} exists already: name a new file, or remove it.")
    named = [feed.rpartition("=")[::2] for feed in feeds]
    if not all(array for _, array in named):
        raise BadInput("run-uff: an --input names no file; write X.npy or NAME=X.npy.")
    inputs = {"uff": file, **{f"input_{number}": array for number, (_, array) in enumerate(named)}}
    parameters = {"names": [name for name, _ in named], "fp16_decode": fp16_decode}
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".run-uff-", dir=path.parent) as folder:
        out = Path(folder) / "run"
        work = AdhocStage("run-uff", "data", "stages.reference.run", optional_inputs(**inputs), parameters)
        run_adhoc(work, Console(), out, asked.placement())
        print((out / "outputs.txt").read_text(encoding="utf-8"), end="")
        os.replace(out / "outputs.npz", path)


def convert_graph(inputs: Dict[str, str], to: str, out: str, as_json: bool, asked: StageOptions) -> None:
    """Convert a frozen graph that belongs to no project.

    Raises:
        BadInput: the graph cannot be converted, or there is something at ``out`` already.
        StageFailed: what was converted does not compute the same.
    """
    if not out:
        raise BadInput("convert --graph needs --out FOLDER, where model.uff and its proof are to appear.")
    if to and to not in FORMATS:
        raise BadInput(f"convert --to takes {' or '.join(FORMATS)}, not {to}.")
    folder = Path(out).expanduser().absolute()
    parameters = {"to": to or ConvertSection().to, "parity_pictures": ConvertSection().parity_pictures}
    _run_on_graph("convert", optional_inputs(**inputs), parameters, folder, as_json, asked)
    result = _read_json(folder / "result.json")
    models = {name: str(folder / result[name]) for name in FORMATS if result[name]}
    if as_json:
        print_json({**BLANK_RESULT, **result, **models})
    else:
        print(f"{' and '.join(models.values())}: equality proven, see {folder / 'parity.json'}")


def _run_on_graph(
    stage: str, inputs: Mapping[str, Path], parameters: Dict[str, Any], out: Path, as_json: bool, asked: StageOptions
) -> None:
    """Run a stage once; with ``as_json``, a refusal is printed as JSON too."""
    row = STAGES[stage]
    try:
        run_adhoc(AdhocStage(stage, row.environment, row.module, inputs, parameters), Console(), out, asked.placement())
    except NanoforgeError as error:
        if as_json:
            print_json({**BLANK_RESULT, **error.metrics.get("result", {}), "error": str(error)})
        raise


def _read_json(path: Path) -> Dict[str, Any]:
    value: Dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return value


def audit_project(asked: StageOptions, as_json: bool) -> None:
    """Audit the project's own graph, made first if need be."""
    folder = run_stage("audit", asked)
    if folder:
        print((folder / ("audit.json" if as_json else "audit.txt")).read_text(encoding="utf-8"), end="")


def detect(media: str, asked: StageOptions) -> None:
    """Detect on the media that the user named, relative to where he is, or on the validation pictures."""
    path = Path(media).expanduser().absolute()
    if media and not path.exists():
        raise BadInput(f"There is no {path}: name a picture, a folder of pictures or a video.")
    run_stage("detect", asked.also(f"detect.media={toml_text(str(path))}") if media else asked)


def with_checkpoint(section: str, checkpoint: str, asked: StageOptions) -> StageOptions:
    """What `--checkpoint` adds."""
    return asked.also(f"{section}.checkpoint={toml_text(checkpoint)}") if checkpoint else asked


def with_format(to: str, asked: StageOptions) -> StageOptions:
    """What `--to` adds."""
    return asked.also(f"convert.to={toml_text(to)}") if to else asked


def with_nvidia(package: str, asked: StageOptions) -> StageOptions:
    """What `--nvidia-uff` adds; the path is relative to where the user is."""
    path = Path(package).expanduser().absolute()
    if package and not path.exists():
        raise BadInput(f"There is no {path}: name the folder or wheel of NVIDIA's package uff.")
    return asked.also(f"convert.nvidia_uff={toml_text(str(path))}") if package else asked


def show_status(asked: StageOptions, as_json: bool) -> None:
    """Print the status of every stage, as a table or as JSON."""
    project = asked.project()
    found = all_statuses(project)
    if as_json:
        print_json(status_json(found))
        return
    for status in found:
        reason = (
            status.reasons[0] if status.reasons else metric_words(status.artifact.metrics if status.artifact else {})
        )
        more = (
            f" (and {len(status.reasons) - 1} more reasons: explain {status.stage.name})"
            if len(status.reasons) > 1
            else ""
        )
        print(f"{status.stage.name:10} {status.state:8} {reason}{more}".rstrip())


def preview_running(asked: StageOptions) -> Path:
    """Pictures from a training that has not ended; its checkpoints so far are read beside it.

    Raises:
        BadInput: on a host, where these checkpoints are not.
    """
    if asked.host:
        raise BadInput("preview --running reads the checkpoints here, beside the training: leave out --host.")
    project = asked.project()
    known: Statuses = {status.stage.name: status for status in plan(project, "train")}
    if known["train"].recipe is None:
        raise StageFailed("There is no training with this configuration: its records are not made yet.")
    scratch = project.store.work_folder("train", known["train"].fingerprint) / "scratch"
    if not scratch.is_dir():
        raise StageFailed(
            "There is no unfinished training with this configuration; without --running the finished one is shown."
        )
    records = known["records"].artifact
    assert records is not None
    row = STAGES["preview"]
    out = project.build / "running-preview"
    shutil.rmtree(out, ignore_errors=True)
    inputs = {"records": records.folder, "train": scratch}
    run_adhoc(
        AdhocStage("preview", row.environment, row.module, inputs, row.parameters(project.setting)),
        project.console,
        out,
        project.placement,
    )
    return out
