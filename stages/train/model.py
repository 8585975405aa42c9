"""model_lib's estimator for a pipeline config, on this machine's processors."""

import os
from typing import Any, Callable, Dict, NamedTuple

import tensorflow as tf
from object_detection import inputs, model_lib
from object_detection.protos.pipeline_pb2 import TrainEvalPipelineConfig

from stages.train import buildable, pipeline_config, reader

slim = tf.contrib.slim

TOTAL_LOSS = "total_loss:0"  # named so by model_lib
LEARNING_RATE = "learning_rate:0"  # named so by object_detection's optimizer_builder
PICTURES = "nanoforge_pictures"  # collection of a training graph: object_detection's hashes of a batch's source ids


class TrainingModel(NamedTuple):
    """The estimator and its input functions: shuffled and augmented batches to train on, one pass over either split."""

    estimator: tf.estimator.Estimator
    training_input: Callable[[], tf.data.Dataset]
    training_pictures: Callable[[], tf.data.Dataset]
    validation_pictures: Callable[[], tf.data.Dataset]


def session_config(cpus: int) -> tf.ConfigProto:
    """One thread pool of ``cpus`` threads inside operations and one between them; GPU memory taken as needed.

    Without CUDA, graphs run as they are built: TensorFlow's rewriting of a training's takes 6 s of a processor before
    the first step, and no step is faster for it. With CUDA it is, as tensors get another layout.
    """
    config = tf.ConfigProto(
        intra_op_parallelism_threads=cpus, inter_op_parallelism_threads=cpus, allow_soft_placement=True
    )
    config.gpu_options.allow_growth = True
    config.graph_options.rewrite_options.disable_meta_optimizer = not tf.test.is_built_with_cuda()
    return config


def build(pipeline: TrainEvalPipelineConfig, folder: str, seed: int, cpus: int) -> TrainingModel:
    """The estimator of a located pipeline config; it keeps its checkpoints in ``folder``, saved by its hooks only."""
    reader.install()
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "located.config")
    pipeline_config.write(pipeline, path)
    with buildable.building():
        made = _created(path, _run_config(folder, seed, cpus))
    return TrainingModel(
        made["estimator"],
        _built(made["train_input_fn"]),
        _built(made["eval_on_train_input_fn"]),
        _built(made["eval_input_fns"][0]),
    )


def _run_config(folder: str, seed: int, cpus: int) -> tf.estimator.RunConfig:
    return tf.estimator.RunConfig(
        model_dir=folder,
        tf_random_seed=seed,
        session_config=session_config(cpus),
        save_checkpoints_steps=None,
        save_checkpoints_secs=None,
        save_summary_steps=None,
        log_step_count_steps=None,
    )


def _built(pictures: Callable[[], tf.data.Dataset]) -> Callable[[], tf.data.Dataset]:
    """An input function whose errors are the pipeline config's: its augmentation, its resizer."""

    def build_pictures() -> tf.data.Dataset:
        with buildable.building():
            return pictures()

    return build_pictures


def _created(path: str, run_config: tf.estimator.RunConfig) -> Dict[str, Any]:
    made: Dict[str, Any] = model_lib.create_estimator_and_inputs(
        run_config=run_config,
        hparams=tf.contrib.training.HParams(load_pretrained=True),
        pipeline_config_path=path,
        sample_1_of_n_eval_examples=1,
        sample_1_of_n_eval_on_train_examples=1,
        model_fn_creator=_quick_on_cpu,
    )
    return made


def _quick_on_cpu(*arguments: Any) -> Callable[..., tf.estimator.EstimatorSpec]:
    """model_lib's model_fn, but training on a CPU with BatchNorm as several operations.

    TensorFlow 1.12's FusedBatchNormGrad takes three times as long on a CPU as the same sums in several operations, and
    a whole step of a small network twice as long. The variables are the same; inference and export keep FusedBatchNorm.
    """
    model_fn = model_lib.create_model_fn(*arguments)

    def quick_model_fn(features: Any, labels: Any, mode: str) -> tf.estimator.EstimatorSpec:
        fused = mode != tf.estimator.ModeKeys.TRAIN or tf.test.is_built_with_cuda()
        tf.add_to_collection(PICTURES, features[inputs.HASH_KEY])
        with buildable.building(), slim.arg_scope([slim.batch_norm], fused=fused):
            return model_fn(features, labels, mode)

    return quick_model_fn
