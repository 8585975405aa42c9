"""Before a training: would `convert` take what comes out of it? Its own rules answer, on the graph with random weights.

What they prove of a graph they prove by values that they feed into it, so another weight gives no other answer. This is
no stage of the table: the host runs it before the stage train, so that no training hangs on the code of `convert`.
"""

import os
from typing import Optional

import tensorflow as tf
from object_detection.protos.pipeline_pb2 import TrainEvalPipelineConfig

from stages.convert import convert
from stages.convert.graph.analysis import Refused, analyse
from stages.job import BadInput, Job, StageFailed, run
from stages.parameters import ConvertParameters, ExportParameters, ForeseeParameters, TrainParameters
from stages.train import buildable, export, pipeline_config
from stages.train.records import RecordSet

ONNX = "onnx"
STEPS = 3


def main(job: Job) -> None:
    """Go with the input ``pipeline_config`` the way that its training would go, but for training and proof.

    Raises:
        BadInput: ``train`` refuses the config, or ``convert`` would refuse the model; it says what else can be done.
    """
    parameters = job.read(ForeseeParameters)
    path = job.inputs["pipeline_config"]
    job.progress(0, STEPS, "building the graph")
    records = RecordSet(job.inputs["records"])
    pipeline = pipeline_config.adopt(path, TrainParameters(**parameters.train), records, job.warn)
    export.patch(pipeline, ExportParameters(**parameters.export))
    _write_export(job, pipeline)
    job.progress(1, STEPS, "asking convert")
    to = ConvertParameters(**parameters.convert).to
    reason = refusal(job, to)
    if reason is None:
        return
    job.progress(2, STEPS, "asking convert for another way")
    raise BadInput(sentence(path, reason, onnx_takes_it=to != ONNX and refusal(job, ONNX) is None))


def _write_export(job: Job, pipeline: TrainEvalPipelineConfig) -> None:
    """Write what `export` would make of the training, but for its weights, into the scratch folder.

    Raises:
        BadInput: object_detection cannot build it.
    """
    with buildable.building():
        graph = export.frozen_graph(pipeline, _randomise)
    with open(os.path.join(job.scratch, export.GRAPH), "wb") as stream:
        stream.write(graph.SerializeToString())
    pipeline_config.write(pipeline, os.path.join(job.scratch, pipeline_config.FILE))


def _randomise(session: tf.Session) -> None:
    session.run(tf.global_variables_initializer())


def refusal(job: Job, to: str) -> Optional[str]:
    """Why `convert` would refuse the export in the scratch folder of ``job``; None: it would take it."""
    found = analyse(job.scratch, boxes_only=to == ONNX)
    if isinstance(found, Refused):
        return found.reason
    try:
        convert.write_models(job, found, to == ONNX)
    except StageFailed as error:
        return str(error)
    finally:
        found.session.close()
    return None


def sentence(path: str, reason: str, onnx_takes_it: bool) -> str:
    """Why no training begins with the config at ``path``, and every way to go on."""
    door = (
        ', or set convert.to = "onnx", build_engine.source = "boxes" and detect.backend = "tensorflow", which will do'
    )
    return (
        "convert would refuse what is trained by %s: %s. Change the file%s. To train it for TensorFlow alone, say"
        " --train-anyway, or train.anyway = true in detector.toml" % (path, reason, door if onnx_takes_it else "")
    )


if __name__ == "__main__":
    run(main)
