"""Photos that records copy byte for byte: TensorFlow decodes them to the pixels that everything else sees."""

import os
import sys

import cv2
import numpy as np
import pytest
import tensorflow as tf

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "reference"))

from test_reference_shrunk import jpeg, scene, turned

from stages import pixels

FILES = {
    "baseline": jpeg(scene(90, 160)),
    "progressive": jpeg(scene(90, 160), cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "restarts": jpeg(scene(90, 160), cv2.IMWRITE_JPEG_RST_INTERVAL, 2),
    "upright exif": turned(jpeg(scene(90, 160)), 1),
    "png": pixels.encode_png(scene(90, 160)),
}


@pytest.mark.parametrize("name", sorted(FILES))
def test_tensorflow_decodes_a_copied_photo_as_opencv_does(name):
    with tf.Graph().as_default(), tf.Session() as session:
        seen = session.run(tf.image.decode_image(FILES[name], channels=3))
    expected = pixels.decode(FILES[name]).astype(int)
    assert seen.shape == expected.shape
    assert np.abs(seen - expected).max() <= (0 if name == "png" else 12)
    assert np.abs(seen - expected).mean() <= 1.5  # it takes the fast transform, for all JPEGs alike
