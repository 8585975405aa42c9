"""The name that a picture has in addresses: pages link to pictures, and a link must hold when records are made again.

Standard library only, Python 3.6 to current.
"""

import hashlib

DIGITS = 16


def picture_id(source_id: str) -> str:
    """16 hex digits, of the SHA-256 of a picture's ``image/source_id``: its photo's path within the dataset."""
    return hashlib.sha256(source_id.encode("utf-8", "surrogateescape")).hexdigest()[:DIGITS]
