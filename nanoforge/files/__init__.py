"""What a folder holds: which files count, their digests, and where Nanoforge's own folders are."""
