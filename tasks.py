"""The commands. `./run --list` lists them, `./run --help TASK` explains one; what they do is in nanoforge/."""

from invoke import Exit

from nanoforge import commands, development, housekeeping, newcomer
from nanoforge import doctor as doctor_checks
from nanoforge.cli import command


@command(
    positional=["photos"],
    help={
        "photos": "Folder of the photos and their VOC XML.",
        "folder": "Where detector.toml is written; default: the current folder.",
        "force": "Overwrite a detector.toml that is there.",
    },
)
def init(_c, photos, folder="", force=False):
    """Write a commented detector.toml for a folder of labelled photos.

    Example: ./run init ~/photos
    """
    newcomer.init(photos, folder, force)


@command(iterable=["set_"])
def demo(_c, set_=None, dry_run=False):
    """Run the whole chain on pictures that the project renders itself, in demo/.

    Example: ./run demo
    """
    newcomer.demo(set_, dry_run)


@command(iterable=["set_"])
def resize(_c, config="", set_=None, dry_run=False):
    """Make a smaller copy of the VOC dataset, boxes scaled with the pixels.

    Example: ./run resize --set resize.long_side=960
    """
    commands.run_stage("resize", config, set_, dry_run)


@command(iterable=["set_"], help={"limit": "Use only so many photos, for a trial."})
def records(_c, config="", limit=0, set_=None, dry_run=False):
    """Check photos and boxes, shrink them together, write TFRecords.

    Example: ./run records --limit 100
    """
    overrides = [*set_, *([f"records.limit={limit}"] if limit else [])]
    commands.run_stage("records", config, overrides, dry_run)


@command(iterable=["set_"])
def train(_c, config="", set_=None, dry_run=False):
    """Train the detector; goes on from the last checkpoint after an interruption.

    Example: ./run train --set train.steps=4000
    """
    commands.run_stage("train", config, set_, dry_run)


@command(iterable=["set_"], help={"checkpoint": "best, last or a step."})
def evaluate(_c, config="", checkpoint="", set_=None, dry_run=False):
    """COCO metrics of a checkpoint on the validation pictures.

    Example: ./run evaluate --checkpoint last
    """
    commands.run_stage("evaluate", config, [*set_, *commands.checkpoint_override("evaluate", checkpoint)], dry_run)


@command(
    iterable=["set_"],
    help={"checkpoint": "best, last or a step.", "running": "Of a training that still runs or was interrupted."},
)
def preview(_c, config="", checkpoint="", running=False, set_=None, dry_run=False):
    """Draw truth and detections of a checkpoint on validation pictures.

    Example: ./run preview --checkpoint 2000
    Example: ./run preview --running
    """
    overrides = [*set_, *commands.checkpoint_override("preview", checkpoint)]
    if running:
        print(commands.preview_running(config, overrides))
    else:
        commands.run_stage("preview", config, overrides, dry_run)


@command(help={"port": "Port on 127.0.0.1."})
def tensorboard(_c, config="", port=6006):
    """Show the training's curves in TensorBoard, on this machine only.

    Example: ./run tensorboard --port 6007
    """
    commands.tensorboard(config, port)


@command(iterable=["set_"], help={"checkpoint": "best, last or a step."})
def export(_c, config="", checkpoint="", set_=None, dry_run=False):
    """Freeze a checkpoint into a graph with batch 1.

    Example: ./run export --checkpoint best
    """
    commands.run_stage("export", config, [*set_, *commands.checkpoint_override("export", checkpoint)], dry_run)


@command(iterable=["set_"], help={"graph": "A frozen graph that belongs to no project."})
def audit(_c, graph="", config="", json_=False, set_=None, dry_run=False):
    """Say which ops of the frozen graph UFF cannot take, and what helps.

    Example: ./run audit
    Example: ./run audit --graph frozen_inference_graph.pb --json
    """
    if graph:
        commands.audit_graph(graph, json_)
    else:
        commands.audit_project(config, set_, dry_run, json_)


@command(
    iterable=["set_"],
    help={
        "graph": "A frozen graph that belongs to no project; needs --out.",
        "pipeline_config": "The graph's pipeline.config, if you have it.",
        "label_map": "The graph's label_map.pbtxt, if you have it.",
        "pictures": "Folder of pictures for the proof; default: made ones.",
        "out": "New folder for model.uff, model.json and the proof.",
    },
)
def convert(
    _c,
    graph="",
    pipeline_config="",
    label_map="",
    pictures="",
    out="",
    config="",
    json_=False,
    set_=None,
    dry_run=False,
):
    """Turn the frozen graph into .uff, and prove on a CPU that it computes the same.

    Example: ./run convert
    Example: ./run convert --graph frozen_inference_graph.pb --pipeline-config pipeline.config --out model
    """
    if graph:
        inputs = {"graph": graph, "pipeline_config": pipeline_config, "label_map": label_map, "pictures": pictures}
        commands.convert_graph(inputs, out, json_)
    else:
        commands.run_stage("convert", config, set_, dry_run)


@command(
    iterable=["set_"],
    help={"media": "A picture, a folder of pictures or a video; default: the validation pictures."},
)
def detect(_c, media="", config="", set_=None, dry_run=False):
    """Find things on pictures or in a video, and draw them.

    Example: ./run detect --media holiday.mp4
    """
    commands.detect(media, config, set_, dry_run)


@command(iterable=["set_"])
def report(_c, config="", set_=None, dry_run=False):
    """Make the HTML report of the whole chain.

    Example: ./run report
    """
    commands.run_stage("report", config, set_, dry_run)


@command(iterable=["set_"])
def build(_c, config="", set_=None, dry_run=False):
    """Do everything: photos to .uff, proof, pictures with boxes and the report.

    Example: ./run build --set train.steps=4000 --dry-run
    """
    commands.run_stage("report", config, set_, dry_run)


@command(iterable=["set_"])
def status(_c, config="", json_=False, set_=None):
    """Say of every stage whether it is fresh, stale, missing, running or failed.

    Example: ./run status --json
    """
    commands.show_status(config, set_, json_)


@command(positional=["stage"], iterable=["set_"], help={"stage": "Name of a stage, as `status` lists them."})
def explain(_c, stage, config="", set_=None):
    """Print every reason why a stage would run; exit code 1 if it would.

    Example: ./run explain train
    """
    if commands.explain(commands.open_project(config, set_), stage):
        raise Exit(code=1)


@command()
def doctor(_c, json_=False):
    """Check this machine: Python 3.6, compiler, disk, memory, environments.

    Example: ./run doctor
    """
    doctor_checks.run(json_)


@command(help={"stage": "Remove only this stage's artifacts.", "yes": "Do not ask."})
def clean(_c, config="", stage="", yes=False):
    """Remove what was built; photos and detector.toml stay.

    Example: ./run clean --stage records
    """
    housekeeping.clean(config, stage, yes)


@command()
def gc(_c, config="", dry_run=False):
    """Remove artifacts that no current stage uses, and leftovers of interrupted runs.

    Example: ./run gc --dry-run
    """
    housekeeping.gc(config, dry_run)


@command(
    help={
        "room": "host, data, report, detect, reference, train, convert or browser; default: all of them.",
        "all_": "The slow suites too.",
    },
)
def test(_c, room="", all_=False):
    """Check style and types, and run the tests, each room's by its own environment's Python.

    Example: ./run test
    Example: ./run test --room train --all
    """
    development.test(room, all_)


@command()
def docs(_c):
    """Write the tables in docs/ that come from the code.

    Example: ./run docs
    """
    development.write_docs()
