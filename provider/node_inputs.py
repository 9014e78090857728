"""What a node's configuration is given, and what is wrong with it."""

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from cloud_init.node.apply.files import PLACEHOLDER
from cloud_init.node.manifest import FileEntry, Manifest
from components.ssh import Hop, Target
from provider.handler import Failure
from provider.values import Properties

LARGEST_TEXTS_BYTES = 256 * 1024
"""Of all texts of a node. Most have a tenth; what names every node and every carrier grows with them, up to this in the largest
plan that there can be (`components/model/planning/check_limits.py`)."""

if TYPE_CHECKING:
    SentManifest: TypeAlias = Manifest
    SentFile: TypeAlias = FileEntry
else:
    # Before Python 3.12 pydantic cannot read a TypedDict of the standard library; and inputs of the last `up`, by an older
    # version of this project, are read again and lack what manifests have gained since.
    SentManifest = SentFile = dict

APPLIED = ("attributes", "addresses", "bundles", "devices", "files", "key", "machine_id", "manifest", "node", "secrets")
"""Inputs that the node is given; the others only say how to reach it, and a change of those alone contacts no node."""


class Limits(BaseModel):
    """Seconds to wait: for SSH to answer, for cloud-init to end, for the node program to apply (packages included)."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    ssh: float = 300
    boot: float = 600
    apply: float = 3600


class NodeInputs(BaseModel):
    """Inputs. `via` are the jump hosts, tried in turn; `instance_id`, where known, is what cloud-init on the machine
    must say; `devices` maps the purpose of a data disk to its device's path; machines with a `boot_key` have host keys
    that are made of `host_key_seed`, hosts that were given those that are `expected`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    node: str
    key: str
    machine_id: str
    instance_id: str = ""
    address: str
    via: tuple[Hop, ...] = ()
    ssh_via: str = ""
    user: str
    expected: tuple[str, ...] = ()
    private_key: str
    boot_key: str = ""
    host_key_seed: str = ""
    files: dict[str, str]
    attributes: dict[str, SentFile]
    manifest: SentManifest
    bundles: dict[str, str]
    addresses: dict[str, str]
    secrets: dict[str, str]
    devices: dict[str, str] = {}
    disruptive: bool = False
    limits: Limits = Field(default_factory=Limits)

    def target(self) -> Target:
        """Return the node as SSH needs it."""
        node = Target(
            address=self.address,
            machine_id=self.machine_id,
            boot_key=self.boot_key,
            user=self.user,
            expected=self.expected,
            via=tuple(hop.expect(self.host_key_seed) for hop in self.via),
            ssh_via=self.ssh_via,
        )
        return node.expect(self.host_key_seed)

    def digest(self) -> str:
        """Return a digest that is equal for equal configurations."""
        applied = self.model_dump(include=set(APPLIED))
        return hashlib.sha256(json.dumps(applied, sort_keys=True).encode()).hexdigest()[:32]


def find_missing(new: Properties) -> list[Failure]:
    """Find placeholders of the texts that have no value, each with its file."""
    given = {"address": new.get("addresses"), "secret": new.get("secrets")}
    texts = new["files"] if isinstance(new.get("files"), Mapping) else {}
    failures = []
    for path, text in {**texts, "the manifest": json.dumps(new.get("manifest"), default=str)}.items():
        for kind, name in PLACEHOLDER.findall(text if isinstance(text, str) else ""):
            values = given[kind]
            if isinstance(values, Mapping) and name not in values:
                failures.append(Failure("files", f"{path} needs the {kind} {name}, which is not among the node's inputs"))
    return failures


def find_excess(new: Properties) -> list[Failure]:
    """Find out whether the texts are too large together."""
    texts = new["files"].values() if isinstance(new.get("files"), Mapping) else ()
    size = sum(len(text.encode()) for text in texts if isinstance(text, str))
    if size <= LARGEST_TEXTS_BYTES:
        return []
    return [Failure("files", f"{size} bytes of texts, at most {LARGEST_TEXTS_BYTES}: what never varies belongs in a bundle")]
