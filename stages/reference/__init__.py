"""The reference engine: runs a .uff on the CPU with numpy, plugins included, and shares no code with the converter."""
