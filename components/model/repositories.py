"""Package repositories outside Debian, by package source (`facts/webitel.md` 1.0)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from components.model.service import PackageSource, Service


@dataclass(frozen=True)
class Repository:
    """One apt repository; its key is accepted by `fingerprint` only."""

    name: str
    uri: str
    suite: str
    component: str
    key: str
    fingerprint: str


def public_repositories(source: PackageSource, services: Iterable[Service]) -> tuple[Repository, ...]:
    """The repositories that need no credential, for the services of a node."""
    return ()
