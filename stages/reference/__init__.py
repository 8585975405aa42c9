"""The reference interpreter: runs a .uff on the CPU with numpy, plugins included. No code of the converter is in it."""
