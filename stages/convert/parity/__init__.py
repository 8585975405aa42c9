"""Numbers of TensorFlow held against numbers of a model: measured in a session, judged, drawn."""
