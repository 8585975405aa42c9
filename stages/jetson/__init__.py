"""What runs on the Jetson: engines are built, measured and run there. Python 3.6, TensorRT, PyCUDA, numpy, OpenCV."""
