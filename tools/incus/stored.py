"""Images stored as files in the cache, which all checkouts on this machine share: the few used last are kept.

Whoever calls holds the lock of images.
"""

from __future__ import annotations

from pathlib import Path

KEPT = 3
"""Of a kind, whatever checkout they are of; an image with packages has about 1.1 GB."""


def mark_used(file: Path) -> None:
    """Make an image the one used last, if it is stored."""
    if file.exists():
        file.touch()


def keep_newest(folder: Path, prefix: str) -> None:
    """Delete all images of a kind but the ones used last, and what an interrupted run left half written."""
    for part in folder.glob(f"{prefix}*.part*"):
        part.unlink()
    images = sorted(folder.glob(f"{prefix}*.tar"), key=lambda file: file.stat().st_mtime, reverse=True)
    for old in images[KEPT:]:
        old.unlink()
