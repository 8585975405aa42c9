"""``NOTICE.txt``: what a bundle was made of, and what is known of the rights in it."""

from typing import List

TEXT = """{name}: a detector, bundled by Nanoforge

Finds:        {classes}
Input:        {width} x {height} pixels
TensorFlow:   {tensorflow}
Samples:      {samples}
Calibration:  {calibration}

The programs in detector.pyz are part of Nanoforge, licensed under the Apache License 2.0
(https://www.apache.org/licenses/LICENSE-2.0). That licence is for the programs, not for the model.

The model's weights are learnt from pictures, and often from a checkpoint before. Nanoforge does not know the terms of
either: who passes the model on has to. The checkpoints of the TensorFlow 1 detection model zoo are under the Apache
License 2.0 too, and were trained on COCO (https://cocodataset.org/#termsofuse).
{pictures}"""
PICTURES = """
The pictures in samples/ and calibration/ are photos of the dataset, made small. They go wherever this bundle goes.
"""


def text(
    name: str, classes: List[str], height: int, width: int, tensorflow: str, pictures: int, made: bool, calibration: int
) -> str:
    """The notice.

    Args:
        classes: the background first.
        pictures, calibration: how many there are.
        made: the samples are no photos.
    """
    kind = "made pictures, since the model came without records" if made else "validation pictures of the records"
    return TEXT.format(
        name=name,
        classes=", ".join(classes[1:]),
        height=height,
        width=width,
        tensorflow=tensorflow,
        samples="%d %s" % (pictures, kind),
        calibration="%d training pictures of the records" % calibration if calibration else "none",
        pictures="" if made and not calibration else PICTURES,
    )
