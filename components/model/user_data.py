"""What machines boot with, as finished texts: made by `cloud_init`, handed to the adapters of clouds."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class UserData:
    """`sent` is what the cloud is given (ASCII text, or base64 of gzip), `decoded` the cloud-config a person reads."""

    sent: str
    decoded: str


@dataclass(frozen=True)
class PackagesImage:
    """The image of this machine's containers with the packages in it.

    `user_data` installs the packages of every service, so that one image serves all tiers and stacks; `key` names it.
    """

    user_data: str

    @property
    def key(self) -> str:
        """The same for the same user data."""
        return hashlib.sha256(self.user_data.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class BootTexts:
    """The user data of every node by its key, and the image to make where the cloud boots from one of ours."""

    nodes: Mapping[str, UserData]
    image: PackagesImage | None = None
