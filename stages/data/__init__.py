"""Environment data: rendered demo photos, smaller VOC datasets, TFRecords. Python 3.8 to current, no TensorFlow."""
