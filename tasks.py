"""The commands. `./run` lists them, `./run help TASK` explains one; what they do is in nanoforge/."""

from invoke import Exit

from nanoforge import commands
from nanoforge import doctor as doctors
from nanoforge.cli import command
from nanoforge.command_line import BOARD, BUILD, CARE, CONVERT, LOOK, MACHINES, START
from nanoforge.commands.options import StageOptions
from nanoforge.dev_tasks import docs, faults, matrix, test  # noqa: F401 - tasks like those below
from nanoforge.errors import BadInput


@command(
    START,
    positional=["photos"],
    help={
        "photos": "Folder of the photos and their VOC XML.",
        "folder": "Where detector.toml is written; default: the current folder.",
        "force": "Overwrite a detector.toml that is there.",
        "trial": "Then try it, as `build --trial` does; a detector.toml that is there for these photos stays as it is.",
    },
)
def init(_c, photos, folder="", force=False, trial=False, runner=""):
    """Write a commented detector.toml for a folder of labelled photos.

    Example: ./run init ~/photos
    Example: ./run init ~/photos --trial
    """
    (commands.trial.init_and_try if trial else commands.start.init)(photos, folder, force, StageOptions(runner=runner))


@command(
    START,
    name="import",
    positional=["what"],
    help={
        "what": "The dataset's folder or file: COCO, YOLO, CVAT for images, Label Studio JSON, or a Roboflow export.",
        "out": "New folder for Annotations/, ImageSets/ and JPEGImages.",
        "photos": "Folder of the photos; default: the dataset's.",
        "from_": "coco, yolo, cvat, label-studio or csv; default: told by the files.",
        "with_photos": "Copy the photos; default: JPEGImages is a link to their folder.",
    },
)
def import_(_c, what, out="", photos="", from_="", with_photos=False, runner=""):
    """Make PASCAL VOC of a dataset in another format, for `init`; says what VOC cannot hold.

    Example: ./run import coco/annotations/instances_train.json --photos coco/images --out voc
    Example: ./run import roboflow-export --out voc --with-photos
    """
    commands.exchange.import_dataset(what, out, photos, from_, with_photos, StageOptions(runner=runner))


@command(START, iterable=["set_"])
def demo(_c, set_=None, dry_run=False, runner=""):
    """Run the whole chain on pictures that the project renders itself, in demo/.

    Example: ./run demo
    """
    commands.start.demo(StageOptions("", set_, dry_run, runner))


@command(BUILD, iterable=["set_"])
def resize(_c, config="", set_=None, dry_run=False, runner="", host=""):
    """Make a smaller copy of the VOC dataset, boxes scaled with the pixels.

    Example: ./run resize --set resize.long_side=960
    """
    commands.stages.run_stage("resize", StageOptions(config, set_, dry_run, runner, host))


@command(BUILD, iterable=["set_"], help={"out": "New folder for instances.json, or a file for each side of the split."})
def to_coco(_c, out="", config="", set_=None, runner=""):
    """Write the VOC dataset as COCO JSON, boxes on the upright photos.

    Example: ./run to-coco --out coco
    """
    commands.exchange.to_coco(out, StageOptions(config, set_, runner=runner))


@command(BUILD, iterable=["set_"], help={"limit": "Use only so many photos, for a trial."})
def records(_c, config="", limit=0, accept_losses=False, set_=None, dry_run=False, runner="", host=""):
    """Check photos and boxes, shrink them together, write TFRecords.

    Example: ./run records --limit 100
    """
    options = commands.stages.with_consents(StageOptions(config, set_, dry_run, runner, host), accept_losses)
    commands.stages.run_stage("records", options.also(f"records.limit={limit}") if limit else options)


@command(BUILD, iterable=["set_"])
def check_data(_c, config="", accept_losses=False, set_=None, dry_run=False, runner="", host=""):
    """Make a health page of the data: classes, leaks, odd boxes, and which anchors fit them.

    Example: ./run check-data
    Example: ./run check-data --accept-losses
    """
    options = commands.stages.with_consents(StageOptions(config, set_, dry_run, runner, host), accept_losses)
    commands.stages.run_stage("check-data", options)


@command(BUILD, iterable=["set_"])
def train(_c, config="", accept_losses=False, train_anyway=False, set_=None, dry_run=False, runner="", host=""):
    """Train the detector; goes on from the last checkpoint after an interruption.

    Example: ./run train --set train.steps=4000
    """
    options = StageOptions(config, set_, dry_run, runner, host)
    commands.stages.run_stage("train", commands.stages.with_consents(options, accept_losses, train_anyway))


@command(BUILD, iterable=["set_"])
def evaluate(_c, config="", checkpoint="", set_=None, dry_run=False, runner="", host=""):
    """COCO metrics of a checkpoint on the validation pictures.

    Example: ./run evaluate --checkpoint last
    """
    options = StageOptions(config, set_, dry_run, runner, host)
    commands.stages.run_stage("evaluate", commands.stages.with_checkpoint("evaluate", checkpoint, options))


@command(BUILD, iterable=["set_"], help={"running": "Of a training that still runs or was interrupted."})
def preview(_c, config="", checkpoint="", running=False, set_=None, dry_run=False, runner="", host=""):
    """Draw truth and detections of a checkpoint on validation pictures.

    Example: ./run preview --checkpoint 2000
    Example: ./run preview --running
    """
    options = commands.stages.with_checkpoint("preview", checkpoint, StageOptions(config, set_, dry_run, runner, host))
    if running:
        print(commands.stages.preview_running(options))
    else:
        commands.stages.run_stage("preview", options)


@command(LOOK)
def tensorboard(_c, config="", port=6006, runner=""):
    """Show the training's curves in TensorBoard, on this machine only.

    Example: ./run tensorboard --port 6007
    """
    commands.serve.tensorboard(StageOptions(config, runner=runner), port)


@command(LOOK, words="what", iterable=["what"])
def view(_c, what=None, checkpoint="", config="", port=8000, listen="127.0.0.1", runner=""):
    """Show pictures with their boxes and detections in a browser, and what was built: report, models, pictures.

    Example: ./run view --checkpoint 2000
    Example: ./run view ~/records/train.record-* --port 8080
    """
    commands.view.view(StageOptions(config, runner=runner), what or (), checkpoint, port, listen)


@command(BUILD, iterable=["set_"])
def export(_c, config="", checkpoint="", set_=None, dry_run=False, runner="", host=""):
    """Freeze a checkpoint into a graph with batch 1.

    Example: ./run export --checkpoint best
    """
    options = StageOptions(config, set_, dry_run, runner, host)
    commands.stages.run_stage("export", commands.stages.with_checkpoint("export", checkpoint, options))


@command(BUILD, iterable=["set_"], help={"graph": "A frozen graph that belongs to no project."})
def audit(_c, graph="", config="", json_=False, set_=None, dry_run=False, runner="", host=""):
    """Say which ops of the frozen graph UFF cannot take, and what helps.

    Example: ./run audit
    Example: ./run audit --graph frozen_inference_graph.pb --json
    """
    options = StageOptions(config, set_, dry_run, runner, host)
    if graph:
        commands.graphs.audit_graph(graph, json_, options)
    else:
        commands.graphs.audit_project(options, json_)


@command(
    CONVERT,
    positional=["file"],
    help={
        "file": "A .uff, a frozen graph (.pb or its export folder) or an engine.",
        "against": "Another file of the same kind; the differences are listed, and make the exit code 1.",
    },
)
def inspect(_c, file, against="", json_=False, runner=""):
    """List the nodes, fields and constants of a .uff or frozen graph, and what TensorRT's parser would refuse.

    Example: ./run inspect build/convert/model.uff
    Example: ./run inspect ours.uff --against theirs.uff
    """
    commands.graphs.inspect_file(file, against, json_, StageOptions(runner=runner))


@command(
    CONVERT,
    positional=["file"],
    iterable=["input"],
    help={
        "file": "The .uff.",
        "input": "X.npy, or NAME=X.npy where the .uff has several inputs; float32, in the shape that inspect says.",
        "output": "New .npz, which gets every output by its name.",
        "tensorrt": "Version whose plugins compute, such as 5.1.6; default: 8.2.1, the newest on a Nano.",
        "fp16_decode": "Compute NMS_TRT in float16, as TensorRT 8 does in FP16 engines.",
    },
)
def run_uff(_c, file, input=None, output="", tensorrt="", fp16_decode=False, runner=""):
    """Run a .uff on a CPU, with TensorRT's plugins, by the reference interpreter.

    Example: ./run run-uff build/convert/model.uff --input x.npy --output y.npz
    Example: ./run run-uff model.uff --input x.npy --output y.npz --tensorrt 5.1.6
    """
    commands.graphs.run_uff(file, input, output, tensorrt, fp16_decode, StageOptions(runner=runner))


@command(
    BUILD,
    iterable=["set_"],
    help={
        "graph": "A frozen graph that belongs to no project; needs --out.",
        "pipeline_config": "The graph's pipeline.config, if you have it.",
        "label_map": "The graph's label_map.pbtxt, if you have it.",
        "pictures": "Folder of pictures for the proof; default: made ones.",
        "to": "uff, or onnx: also as ONNX, which TensorRT 7.1 (JetPack 4.4) and later read; default: convert.to.",
        "nvidia_uff": "Folder or wheel of NVIDIA's package uff, if you have it: its .uff is compared with ours.",
        "out": "New folder for model.uff, model.json and the proof.",
    },
)
def convert(
    _c,
    graph="",
    to="",
    pipeline_config="",
    label_map="",
    pictures="",
    nvidia_uff="",
    out="",
    config="",
    json_=False,
    set_=None,
    dry_run=False,
    runner="",
    host="",
):
    """Turn the frozen graph into .uff, and prove on a CPU that it computes the same.

    Example: ./run convert
    Example: ./run convert --to onnx
    Example: ./run convert --graph frozen_inference_graph.pb --pipeline-config pipeline.config --out model
    """
    options = StageOptions(config, set_, dry_run, runner, host)
    if graph:
        inputs = {"graph": graph, "pipeline_config": pipeline_config, "label_map": label_map, "pictures": pictures}
        commands.graphs.convert_graph({**inputs, "nvidia_uff": nvidia_uff}, to, out, json_, options)
    else:
        commands.stages.run_stage(
            "convert", commands.stages.with_nvidia(nvidia_uff, commands.stages.with_format(to, options))
        )


@command(
    BOARD,
    iterable=["set_"],
    help={
        "model": "Folder that `convert --graph` made, which belongs to no project; needs --out.",
        "out": "With --model: new folder for model/ and detector.pyz.",
    },
)
def bundle(_c, model="", out="", config="", set_=None, dry_run=False, runner="", host=""):
    """Put all that the board needs into one folder, and into one file that runs there by itself.

    Example: ./run bundle
    Example: ./run bundle --model model --out bundle
    """
    commands.board.bundle(model, out, StageOptions(config, set_, dry_run, runner, host))


@command(
    BOARD,
    iterable=["set_"],
    help={
        "bundle": "A detector.pyz, or its folder model/, that was made elsewhere; needs --out.",
        "out": "With --bundle: new folder for model.engine and its proof.",
        "precision": "fp32, fp16, or int8 where the GPU has it; default: build_engine.precision.",
        "selftest": "Try instead, in ten minutes, all that the board needs; --out is the folder to send back.",
    },
)
def build_engine(
    _c, bundle="", out="", precision="", selftest=False, config="", set_=None, dry_run=False, runner="", host=""
):
    """Build the TensorRT engine for the board that this runs on, and hold it against the reference.

    Example: ./run build-engine --host nano
    Example: ./run build-engine --bundle detector.pyz --out engine
    Example: ./run build-engine --selftest --host nano
    """
    options = StageOptions(config, set_, dry_run, runner, host)
    if selftest:
        commands.board.selftest(bundle, out, options)
    else:
        commands.board.build_engine(bundle, out, precision, options)


@command(BOARD, iterable=["set_"])
def bench_engine(_c, config="", set_=None, dry_run=False, runner="", host=""):
    """Measure the engine on the board: the network alone, and from picture to boxes.

    Example: ./run bench-engine --host nano
    """
    commands.stages.run_stage("bench-engine", StageOptions(config, set_, dry_run, runner, host))


@command(
    BUILD,
    iterable=["set_", "sink"],
    help={
        "media": "A picture, a folder of pictures or a video; default: the validation pictures.",
        "backend": "reference, tensorrt or tensorflow; default: detect.backend.",
        "live": "Go on until Ctrl-C, on usb:0, csi:0, /dev/video0, rtsp://..., a video or a folder; makes no artifact.",
        "sink": "With --live: window, mjpeg:PORT, file:PATH, lines (default), lines:PATH or none; may be repeated.",
        "frames": "With --live: end after so many; 0: go on.",
    },
)
def detect(
    _c, media="", backend="", live="", sink=None, frames=0, config="", set_=None, dry_run=False, runner="", host=""
):
    """Find things on pictures or in a video, and draw them; or on what a camera sees.

    Example: ./run detect --media holiday.mp4
    Example: ./run detect --backend tensorrt --host nano
    Example: ./run detect --backend tensorrt --live csi:0 --sink window --sink mjpeg:8090
    """
    options = commands.stages.with_backend(backend, StageOptions(config, set_, dry_run, runner, host))
    if (media and live) or ((sink or frames) and not live):
        raise BadInput("--live goes without --media, and --sink and --frames go with --live only.")
    if live:
        commands.live.live(live, sink, frames, options)
    else:
        commands.stages.detect(media, options)


@command(
    BOARD,
    positional=["folder"],
    iterable=["set_"],
    help={
        "folder": "The clone of jetson-inference on this board (or on the host), or its folder of networks.",
        "bundle": "A detector.pyz, or its folder model/, that was made elsewhere; default: the project's.",
        "name": "What it is called there; default: bundle.name.",
        "check": "Change nothing, and say whether it is there as it was installed.",
    },
)
def install(_c, folder, bundle="", name="", check=False, config="", set_=None, runner="", host=""):
    """Put the detector where jetson-inference's detectNet finds it, on this board or on a host.

    Example: ./run install ~/jetson-inference --bundle detector.pyz
    Example: ./run install /home/me/jetson-inference --host nano
    Example: ./run install ~/jetson-inference --check
    """
    commands.board.install(folder, bundle, name, check, StageOptions(config, set_, runner=runner, host=host))


@command(BUILD, iterable=["set_"])
def report(_c, config="", set_=None, dry_run=False, runner="", host=""):
    """Make the HTML report of the whole chain.

    Example: ./run report
    """
    commands.stages.run_stage("report", StageOptions(config, set_, dry_run, runner, host))


@command(BUILD, iterable=["set_"], help={"trial": "With a hundred pictures and a tiny network, in build/trial."})
def build(_c, config="", accept_losses=False, train_anyway=False, trial=False, set_=None, dry_run=False, runner=""):
    """Do everything: photos to .uff, proof, pictures with boxes and the report.

    Example: ./run build --set train.steps=4000 --dry-run
    Example: ./run build --trial
    """
    options = commands.stages.with_consents(StageOptions(config, set_, dry_run, runner), accept_losses, train_anyway)
    (commands.trial.trial if trial else commands.stages.build_all)(options)


@command(LOOK, iterable=["set_"])
def status(_c, config="", json_=False, set_=None, runner=""):
    """Say of every stage whether it is fresh, stale, missing, running or failed.

    Example: ./run status --json
    """
    commands.status.show_status(StageOptions(config, set_, runner=runner), json_)


@command(LOOK, positional=["stage"], iterable=["set_"], help={"stage": "Name of a stage, as `status` lists them."})
def explain(_c, stage, config="", set_=None, runner="", host=""):
    """Print every reason why a stage would run; exit code 1 if it would.

    Example: ./run explain train
    """
    if commands.status.explain(StageOptions(config, set_, runner=runner, host=host).project(stage), stage):
        raise Exit(code=1)


@command(
    MACHINES,
    help={
        "environments": "data, train, train-gpu or jetson, several with commas; default: data,train.",
        "host": "Do it on the Docker daemon of that host in detector.toml.",
        "save": "Write the images as archives into this folder.",
        "bases": "With --save: the base images too, so that images can be rebuilt when their tags are gone.",
        "load": "Load an archive, or all archives of a folder.",
        "check": "Only say where lock files, Dockerfiles and images do not agree.",
        "pin": "Write the registry's digests of the base images into .env.",
    },
)
def images(_c, environments="", host="", config="", save="", bases=False, load="", check=False, pin=False, json_=False):
    """Build the environments' images, or save, load or check them.

    Example: ./run images
    Example: ./run images --environments train --save ~/archive --bases
    Example: ./run images --check
    """
    chosen = commands.images.ImageSet([name for name in environments.split(",") if name], host, config)
    if pin:
        commands.images.pin(chosen)
    if load:
        commands.images.load(chosen, load)
    if check:
        commands.images.check(chosen, json_)
    elif save:
        commands.images.save(chosen, save, bases)
    elif not load and not pin:
        commands.images.build(chosen)


@command(MACHINES, positional=["environment"], help={"environment": "data, train, train-gpu or jetson."})
def shell(_c, environment, runner=""):
    """Open a shell in an environment, as a stage would see it.

    Example: ./run shell train
    """
    code = commands.shell.shell(environment, StageOptions(runner=runner))
    if code:
        raise Exit(code=code)


@command(MACHINES, help={"host": "Check that host of detector.toml instead of this machine."})
def doctor(_c, json_=False, host="", config=""):
    """Check this machine, its Docker daemon and GPU, or another host; every finding with its remedy.

    Example: ./run doctor
    Example: ./run doctor --host nano
    """
    doctors.run.run(json_, host, config)


@command(LOOK, help={"stage": "Read only this stage's artifact."})
def verify(_c, config="", stage="", json_=False):
    """Read every byte of the artifacts in use, and say which are no longer what was published; exit code 1 if any is.

    Example: ./run verify --stage train
    """
    commands.verify.verify(config, stage, json_)


@command(CARE, help={"stage": "Remove only this stage's artifacts.", "yes": "Do not ask."})
def clean(_c, config="", stage="", yes=False):
    """Remove what was built; photos and detector.toml stay.

    Example: ./run clean --stage records
    """
    commands.cleanup.clean(config, stage, yes)


@command(
    CARE,
    help={
        "host": "Remove what is kept of this project on that host instead.",
        "cache": "Remove environments and checkpoints that no project used for a month instead.",
    },
)
def gc(_c, config="", dry_run=False, host="", cache=False):
    """Remove artifacts that no current stage uses, and leftovers of interrupted runs.

    Example: ./run gc --dry-run
    Example: ./run gc --host nano
    Example: ./run gc --cache
    """
    if cache:
        commands.cache.collect(dry_run)
    else:
        commands.cleanup.gc(config, dry_run, host)
