"""Where live detection's results go: a class for each kind, all of them a :class:`~.sink.FrameSink`."""
