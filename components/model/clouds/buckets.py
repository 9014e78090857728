"""Buckets that a deployment has made on its own cloud."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class OwnBuckets:
    """How the cloud names and reaches them (`facts/backups.md` 5). `host` answers S3 in `{region}`; `shape` is a regular
    expression of names, `words` the same for people, and `reserved` one of names that it keeps for itself. `guard` is what
    keeps a thief of the nodes' key from destroying what is kept."""

    host: str
    shape: str
    words: str
    reserved: str
    guard: str

    def explain(self, name: str) -> str:
        """Return why a bucket cannot have that name; "" = it can."""
        if not re.fullmatch(self.shape, name):
            return f"not a bucket's name, which is {self.words}"
        return "a name that the cloud keeps for itself" if re.fullmatch(self.reserved, name) else ""
