"""What is sent to a node: one tar archive with its bundles and what varies."""

import io
import json
import secrets
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import PurePath

from cloud_init.bundles import SANDBOX, pack_bundle
from cloud_init.node_command import node_command
from sandbox.build import build_packages

_PLACE = "/run/webitel"
_STALE_MINUTES = 150  # longer than any run may take


def name_folder() -> str:
    """Name a folder on the node for one run: what an interrupted run left behind may still be at work in its own."""
    return f"{_PLACE}/incoming-{secrets.token_hex(4)}"


def receive(folder: str) -> str:
    """Return the command that reads the archive. Its secrets touch no disk (/run) and no argument of a process."""
    clean = f'find {_PLACE} -maxdepth 1 -name "incoming-*" -mmin +{_STALE_MINUTES} -exec rm -rf {{}} +'
    return f"sh -c 'umask 077; mkdir -p {folder}; {clean}; tar -xf - -C {folder}'"


def apply(folder: str, *, update: bool) -> str:
    """Return the command that applies what the folder holds and removes it."""
    return node_command("apply", "--incoming", folder, *["--update"] * update, program=PurePath(folder, "node"))


def pack(bundles: Iterable[str], documents: Mapping[str, object]) -> bytes:
    """Return the archive: every bundle's files under its name, every document as JSON."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for bundle in bundles:
            folder = build_packages() if bundle == SANDBOX else None
            with tarfile.open(fileobj=io.BytesIO(pack_bundle(bundle, folder))) as packed:
                for entry in packed:
                    archive.addfile(entry, packed.extractfile(entry))
        for name, document in documents.items():
            text = json.dumps(document).encode()
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text), 0o600
            archive.addfile(entry, io.BytesIO(text))
    return buffer.getvalue()
