"""Loggers: messages with a severity, to standard error or to a subclass."""

import enum
import sys
import time

from .versions import VERSION


class Severity(enum.IntEnum):
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)


class ILogger:
    Severity = Severity
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = Severity

    def __init__(self):
        pass

    def log(self, severity, msg):
        raise NotImplementedError('Tried to call pure virtual function "nvinfer1::ILogger::log"')


class Logger(ILogger):
    def __init__(self, min_severity=Severity.WARNING):
        super().__init__()
        self.min_severity = min_severity

    def log(self, severity, msg):
        if severity <= self.min_severity:
            name = Severity(severity).name
            if VERSION >= (8, 0, 0):
                moment = time.strftime("%m/%d/%Y-%H:%M:%S")
                print("[%s] [TRT] [%s] %s" % (moment, "F" if name == "INTERNAL_ERROR" else name[0], msg), file=sys.stderr)
            else:
                print("[TensorRT] %s: %s" % (name, msg), file=sys.stderr)
