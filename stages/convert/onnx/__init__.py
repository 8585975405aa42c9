"""The graph with TensorRT's plugins, as ONNX: written, linted, run."""
