"""What model.json says of the small detector that tests build engines of: 64 x 64 pixels, three classes."""

DESCRIPTION = {
    "format": 1,
    "input": {"name": "Input", "shape": [3, 64, 64], "channels": "RGB", "scale": 2 / 255, "offset": -1.0},
    "outputs": {"detections": "NMS", "count": "NMS_1"},
    "classes": ["background", "cone", "ball", "mug"],
    "tensorflow": "1.12.0",
}
