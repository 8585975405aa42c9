"""The simulated board: a Nano, unless the environment says otherwise."""

import os

NAME = os.environ.get("NANOFORGE_FAKE_DEVICE", "NVIDIA Tegra X1")
FAST_FP16 = True
FAST_INT8 = os.environ.get("NANOFORGE_FAKE_INT8", "") == "1"
FREE_MB = int(os.environ.get("NANOFORGE_FAKE_FREE_MB", "1500"))
# How the building process ends in the middle: "killed", as the kernel does without memory, or "assertion".
DIES = os.environ.get("NANOFORGE_FAKE_DIES", "")
# Where this is set an inference takes so many milliseconds on its stream and puts out nothing but empty rows.
INFERENCE_MS = float(os.environ.get("NANOFORGE_FAKE_INFERENCE_MS", "0"))
# How many seconds the builder takes before it times the layers, with Python's lock held, as no thread of Python's runs
# meanwhile in versions whose bindings do not give it up.
BUILD_SECONDS = float(os.environ.get("NANOFORGE_FAKE_BUILD_SECONDS", "0"))
# How far engines are from what they should be: scores lower, and boxes moved by as much of the picture.
DRIFT = float(os.environ.get("NANOFORGE_FAKE_DRIFT", "0"))
