"""The graph with TensorRT's plugins, as UFF: written, linted, listed, compared."""
