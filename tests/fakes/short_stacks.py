"""Stands in for how TensorFlow 1 notes who made an operation: the whole stack, which under pytest is 60 frames deep.

Noting it takes a tenth of the time in which a graph is built, and half of the memory that the graph takes afterwards.
"""

import sys

from tensorflow.python.util import tf_stack

FRAMES = 12  # the innermost ones, which messages name; some code of TensorFlow looks 5 frames up


def install():
    """From now on operations of this process know the innermost frames only."""
    tf_stack.extract_stack = _innermost


def _innermost(described=lambda frame: None):
    """As ``tf_stack.extract_stack``: (file, line, function, globals, its first line, what is asked) of each frame."""
    frame, found = sys._getframe(1), []
    while frame is not None and len(found) < FRAMES:
        code = frame.f_code
        entry = (code.co_filename, frame.f_lineno, code.co_name, frame.f_globals, code.co_firstlineno, described(frame))
        found.append(entry)
        frame = frame.f_back
    return found[::-1]
