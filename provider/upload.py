"""What a node is sent: one tar archive with its bundles and what varies."""

import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from typing import Any

from cloud_init.bundles import pack_bundle

FOLDER = "/run/webitel/incoming"
COMMAND = f"sh -c 'umask 077; rm -rf {FOLDER}; mkdir -p {FOLDER}; tar -xf - -C {FOLDER}'"
"""Reads the archive; the secrets in it never touch a disk (/run) and no argument of a process."""


def pack(bundles: Iterable[str], documents: Mapping[str, Any]) -> bytes:
    """Returns the archive: every bundle's files under its name, every document as JSON."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for bundle in bundles:
            with tarfile.open(fileobj=io.BytesIO(pack_bundle(bundle))) as packed:
                for entry in packed:
                    archive.addfile(entry, packed.extractfile(entry))
        for name, document in documents.items():
            text = json.dumps(document).encode()
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text), 0o600
            archive.addfile(entry, io.BytesIO(text))
    return buffer.getvalue()
