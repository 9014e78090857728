"""Buckets that a deployment has made on its own cloud."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class Language(StrEnum):
    """What a node speaks with a bucket's host."""

    S3 = "s3"
    GOOGLE = "google"
    AZURE = "azure"


@dataclass(frozen=True)
class OwnBuckets:
    """How the cloud names and reaches them (`facts/backups.md` 5). `host` answers `language` in `{region}`; `shape` is a regular
    expression of names, `words` the same for people, and `reserved` one of names that it keeps for itself. `guard` is what
    keeps a thief of the nodes' key from destroying what is kept, for at most `most_days` where that has an end (0: none)."""

    host: str
    shape: str
    words: str
    reserved: str
    guard: str
    language: Language = Language.S3
    most_days: int = 0

    def explain(self, name: str) -> str:
        """Return why a bucket cannot have that name; "" = it can."""
        if not re.fullmatch(self.shape, name):
            return f"not a bucket's name, which is {self.words}"
        return "a name that the cloud keeps for itself" if re.fullmatch(self.reserved, name) else ""
