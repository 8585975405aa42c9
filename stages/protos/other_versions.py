"""Fields that pipeline configs of other years have and this object_detection does not, and what becomes of each.

Compared were the message descriptions of object_detection of May 2019, September 2019 and of the package of 2022, and
the sample configs of April 2018 and November 2019; of 2017 only ssd.proto was read. A field is passed over if what it
says makes no difference here: everywhere, or for the values listed.
"""

from typing import Dict, List, NamedTuple, Optional, Tuple


class Field(NamedTuple):
    """What passing over a field rests on.

    Attributes:
        why: it makes no difference.
        values: the only ones of which that is true; None: all.
        instead: what to do where it has another value.
    """

    why: str
    values: Optional[Tuple[str, ...]] = None
    instead: str = "remove it if you can train without it"


AS_HERE = "that is what object_detection does anyway"
EVALUATION = "Nanoforge evaluates by itself"
RECORDS = "it is about what no records of Nanoforge hold"
READING = "it is about how fast records are read"
START = "model.checkpoint says what is started from"
OUTPUTS = "it only adds outputs, which are cut off"
DEVICE = "it is about where the suppression is computed"
ALONE = "nothing asks for it"

NO = ("false",)
PASSED_OVER: Dict[str, Dict[str, Field]] = {
    "Ssd": {
        "desired_negative_sampling_ratio": Field(ALONE),
        "min_num_negative_samples": Field(ALONE),
        "minimum_negative_sampling": Field(ALONE),
        "return_raw_detections_during_predict": Field(OUTPUTS),
        "use_expected_classification_loss_under_sampling": Field(AS_HERE, NO),
        "weight_regression_loss_by_score": Field(AS_HERE, NO),
    },
    "SsdFeatureExtractor": {
        "batch_norm_trainable": Field(AS_HERE, ("true",), "say freeze_batchnorm: true in ssd instead"),
        "num_layers": Field(AS_HERE, ("6",)),
        "use_hardswish": Field(AS_HERE, NO),
    },
    "Hyperparams": {"force_use_bias": Field(AS_HERE, NO)},
    "WeightSharedConvolutionalBoxPredictor": {
        "apply_conv_hyperparams_pointwise": Field(AS_HERE, NO),
        "apply_conv_hyperparams_to_heads": Field(AS_HERE, NO),
    },
    "BatchNonMaxSuppression": {
        "change_coordinate_frame": Field(AS_HERE, ("true",)),
        "max_classes_per_detection": Field(AS_HERE, ("1",)),
        "soft_nms_sigma": Field(AS_HERE, ("0",)),
        "use_class_agnostic_nms": Field(AS_HERE, NO),
        "use_combined_nms": Field(AS_HERE, NO),
        "use_cpu_nms": Field(DEVICE),
        "use_hard_nms": Field(AS_HERE),
        "use_partitioned_nms": Field(AS_HERE, NO),
    },
    "TrainConfig": {
        "fine_tune_checkpoint_version": Field(START),
        "run_fine_tune_checkpoint_dummy_computation": Field(START),
    },
    "AdamOptimizer": {"epsilon": Field(AS_HERE, ("1e-8",))},
    "RandomHorizontalFlip": {"probability": Field(AS_HERE, ("0.5",))},
    "RandomJitterBoxes": {"jitter_mode": Field(AS_HERE, ("DEFAULT", "0"))},
    "RandomRotation90": {"keypoint_rot_permutation": Field(RECORDS), "probability": Field(AS_HERE, ("0.5",))},
    "RandomVerticalFlip": {"probability": Field(AS_HERE, ("0.5",))},
    "InputReader": {
        "drop_remainder": Field(READING),
        "expand_labels_hierarchy": Field(AS_HERE, NO),
        "frame_index": Field(RECORDS),
        "include_source_id": Field(OUTPUTS),
        "input_type": Field(AS_HERE, ("TF_EXAMPLE", "INPUT_DEFAULT", "0", "1")),
        "keypoint_type_weight": Field(RECORDS),
        "load_context_features": Field(RECORDS),
        "load_context_image_ids": Field(RECORDS),
        "load_dense_pose": Field(RECORDS),
        "load_keypoint_depth_features": Field(RECORDS),
        "load_track_id": Field(RECORDS),
        "sample_from_datasets_weights": Field(RECORDS),
        "use_keypoint_label_map": Field(RECORDS),
    },
    "EvalConfig": {
        name: Field(EVALUATION)
        for name in (
            "all_metrics_per_category",
            "force_no_resize",
            "image_classes_field_map_empty_to_ones",
            "keypoint_edge",
            "parameterized_metric",
            "recall_lower_bound",
            "recall_upper_bound",
            "retain_original_image_additional_channels",
            "skip_predictions_for_unlabeled_class",
            "super_categories",
            "use_dummy_loss_in_eval",
        )
    },
}

# What changes a training, or the graph that comes of it; a graph that is there already has it in itself.
OF_TRAINING: Dict[str, Tuple[str, ...]] = {
    "AnchorGenerator": ("flexible_grid_anchor_generator",),
    "ClassificationLoss": ("penalty_reduced_logistic_focal_loss", "weighted_dice_classification_loss"),
    "ConvolutionalBoxPredictor": ("box_encodings_clip_range",),
    "DetectionModel": ("center_net", "experimental_model"),
    "Hyperparams": ("group_norm", "sync_batch_norm"),
    "ImageResizer": ("conditional_shape_resizer", "pad_to_multiple_resizer"),
    "Initializer": ("keras_initializer_by_name", "random_normal_initializer"),
    "LocalizationLoss": ("l1_localization_loss", "weighted_giou"),
    "Loss": ("equalization_loss", "expected_loss_weights"),
    "PostProcessing": ("calibration_config",),
    "PreprocessingStep": (
        "adjust_gamma",
        "autoaugment_image",
        "drop_label_probabilistically",
        "random_downscale_to_target_pixels",
        "random_jpeg_quality",
        "random_patch_gaussian",
        "random_scale_crop_and_pad_to_square",
        "random_square_crop_by_scale",
        "remap_labels",
    ),
    "SsdFeatureExtractor": ("bifpn", "spaghettinet_arch_name"),
}


def passed_over(message: str, field: str, value: str, trains: bool) -> str:
    """Why a field of another version makes no difference; "" where it does, or where no version has it.

    Args:
        value: as written, without quotes.
        trains: the config is to be trained; else it is about a graph that was.
    """
    known = PASSED_OVER.get(message, {}).get(field)
    if known and (known.values is None or any(_same(value, one) for one in known.values)):
        return known.why
    if not trains and (known or field in OF_TRAINING.get(message, ())):
        return "the graph itself says how it was made"
    return ""


def refused(message: str, field: str) -> str:
    """What to do about a field of another version that is not passed over; "" where no version has it."""
    known = PASSED_OVER.get(message, {}).get(field)
    if known:
        return known.instead
    return "remove it if you can train without it" if field in OF_TRAINING.get(message, ()) else ""


def fields(message: str) -> List[str]:
    """The fields that other versions have in a message."""
    return [*PASSED_OVER.get(message, {}), *OF_TRAINING.get(message, ())]


def _same(value: str, other: str) -> bool:
    try:
        return float(value.rstrip("f")) == float(other)
    except ValueError:
        return {"t": "true", "1": "true", "f": "false", "0": "false"}.get(value.lower(), value.lower()) == other.lower()
