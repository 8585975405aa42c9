"""PyCUDA as far as Nanoforge uses it, on a device whose memory is this process's."""
