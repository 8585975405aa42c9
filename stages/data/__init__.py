"""Environment data: smaller VOC datasets and TFRecords. Python 3.8 to current, no TensorFlow."""
