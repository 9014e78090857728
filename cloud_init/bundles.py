"""Bundles: what never varies between nodes travels as one versioned archive, not in the inputs of a resource."""

from __future__ import annotations

import hashlib
import io
import tarfile
from functools import cache
from pathlib import Path

from sandbox.build import build_packages, source_digest

HERE = Path(__file__).parent

SOURCES: dict[str, Path] = {"node": HERE / "node"}
"""Bundles with a folder of their own; every other one is `bundles/<name>`."""

SANDBOX = "sandbox"
"""The bundle that is built on demand, an apt repository; its digest is that of what it is built from."""


def bundle_folder(name: str) -> Path:
    """The folder of a bundle; an error names the ones there are."""
    if name == SANDBOX:
        return build_packages()
    folder = SOURCES.get(name, HERE / "bundles" / name)
    if not folder.is_dir():
        raise ValueError(f"no bundle {name}: there is no {folder.relative_to(HERE.parent)}")
    return folder


def bundle_files(name: str) -> list[Path]:
    """The files of a bundle, sorted, without Python's caches."""
    return sorted(p for p in bundle_folder(name).rglob("*") if p.is_file() and "__pycache__" not in p.parts)


@cache
def bundle_digest(name: str) -> str:
    """SHA-256 over names, executable bits and contents, first 16 hexadecimal digits."""
    if name == SANDBOX:
        return source_digest()
    digest = hashlib.sha256()
    for path in bundle_files(name):
        digest.update(f"{path.relative_to(bundle_folder(name))}\0{path.stat().st_mode & 0o111 != 0}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def pack_bundle(name: str) -> bytes:
    """The bundle as a tar archive under `<name>/`, the same bytes for the same content."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in bundle_files(name):
            entry = tarfile.TarInfo(f"{name}/{path.relative_to(bundle_folder(name))}")
            entry.size = path.stat().st_size
            entry.mode = 0o755 if path.stat().st_mode & 0o111 else 0o644
            with path.open("rb") as content:
                archive.addfile(entry, content)
    return buffer.getvalue()
