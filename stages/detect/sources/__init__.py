"""Where live detection's frames come from: a class for each kind, all of them a :class:`~.source.FrameSource`."""
