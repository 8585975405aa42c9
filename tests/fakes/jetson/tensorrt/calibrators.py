"""Calibrators for INT8, which users subclass."""


class _Calibrator:
    def __init__(self):
        pass

    def get_batch_size(self):
        return 1

    def get_batch(self, names):
        raise NotImplementedError

    def read_calibration_cache(self, *length):
        raise NotImplementedError

    def write_calibration_cache(self, cache, *length):
        raise NotImplementedError


class IInt8EntropyCalibrator(_Calibrator):
    """The only one of 5.0."""


class IInt8EntropyCalibrator2(_Calibrator):
    """What NVIDIA advises for networks of convolutions."""


class IInt8MinMaxCalibrator(_Calibrator):
    """From 6.0 on."""
