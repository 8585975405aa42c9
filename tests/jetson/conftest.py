"""The simulated Jetson comes before any real TensorRT."""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
FAKES = os.path.join(os.path.dirname(HERE), "fakes", "jetson")
sys.path.insert(0, FAKES)
