"""Bundles: what never varies between nodes travels as one versioned archive, not in the inputs of a resource."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Protocol

HERE = Path(__file__).parent

SOURCES: dict[str, Path] = {"node": HERE / "node"}
"""Bundles that are in a folder of their own; every other one is in `bundles/<name>`."""

SANDBOX = "sandbox"
"""The bundle that is built on demand, an apt repository; its digest is that of what it is built from."""


class StandIns(Protocol):
    """The packages that stand in for the vendor's (`sandbox/build.py`), handed in by the caller: nothing here knows them."""

    @property
    def source_digest(self) -> Callable[[], str]:
        """Return the digest of what they are built from."""

    @property
    def needed_packages(self) -> Callable[[Iterable[str]], Mapping[str, str]]:
        """Return name -> version of those packages that are stand-ins, and of those that they depend on."""


def bundle_folder(name: str) -> Path:
    """Find the folder of a bundle; an error says where it was looked for."""
    folder = SOURCES.get(name, HERE / "bundles" / name)
    if not folder.is_dir():
        raise ValueError(f"no bundle {name}: {folder.relative_to(HERE.parent)} does not exist")
    return folder


def list_files(folder: Path) -> list[Path]:
    """List the files of a bundle's folder, sorted, without Python's caches."""
    return sorted(p for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts)


@cache
def bundle_digest(name: str) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 over names, executable bits and contents."""
    folder, digest = bundle_folder(name), hashlib.sha256()
    for path in list_files(folder):
        digest.update(f"{path.relative_to(folder)}\0{path.stat().st_mode & 0o111 != 0}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def pack_bundle(name: str, folder: Path | None = None) -> bytes:
    """Pack a bundle as a tar archive under `<name>/`, equal bytes for equal content; `folder` is that of one that was built."""
    folder = folder or bundle_folder(name)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in list_files(folder):
            entry = tarfile.TarInfo(f"{name}/{path.relative_to(folder)}")
            entry.size = path.stat().st_size
            entry.mode = 0o755 if path.stat().st_mode & 0o111 else 0o644
            with path.open("rb") as content:
                archive.addfile(entry, content)
    return buffer.getvalue()
