"""The host side of Nanoforge: config, stage table, plan, fingerprints, store and runners."""

__version__ = "0.1.0"
