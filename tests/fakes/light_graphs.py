"""What keeps the graphs of a session's tests light: short stacks, and none that outlives its module.

TensorFlow 1 notes who made an operation: the whole stack, which under pytest is 60 frames deep. That takes a tenth of
the time in which a graph is built, and half of the memory that the graph takes afterwards.
"""

import gc
import sys

import pytest
import tensorflow as tf
from tensorflow.python.util import tf_stack

FRAMES = 12  # the innermost ones, which messages name; some code of TensorFlow looks 5 frames up


def install():
    """From now on operations of this process know the innermost frames only, and garbage is looked for more seldom."""
    tf_stack.extract_stack = _innermost
    # A graph is many Python objects that stay; looking through them again and again takes a fifth of the time.
    gc.set_threshold(50000, 20, 100)


@pytest.fixture(scope="module", autouse=True)
def graphs_go_with_their_module():
    """Graphs are circles of objects: without this they would be gigabytes before they are looked for."""
    yield
    tf.reset_default_graph()
    gc.collect()


def _innermost(described=lambda frame: None):
    """As ``tf_stack.extract_stack``: (file, line, function, globals, its first line, what is asked) of each frame."""
    frame, found = sys._getframe(1), []
    while frame is not None and len(found) < FRAMES:
        code = frame.f_code
        entry = (code.co_filename, frame.f_lineno, code.co_name, frame.f_globals, code.co_firstlineno, described(frame))
        found.append(entry)
        frame = frame.f_back
    return found[::-1]
