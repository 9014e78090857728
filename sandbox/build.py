"""Builds the sandbox's packages into an apt repository in the user's cache; nothing is built in the checkout."""

from __future__ import annotations

import hashlib
import importlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path

from sandbox.deb import Package, write_repository
from sandbox.webitel.packages import PROGRAM

HERE = Path(__file__).parent


def source_files() -> list[Path]:
    """Every file the packages are made of, sorted, without Python's caches."""
    return sorted(p for p in HERE.rglob("*") if p.is_file() and "__pycache__" not in p.parts)


@cache
def source_digest() -> str:
    """SHA-256 over names, executable bits and contents of the sandbox's sources, first 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for path in source_files():
        digest.update(f"{path.relative_to(HERE)}\0{path.stat().st_mode & 0o111 != 0}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def all_packages() -> list[Package]:
    """The packages that the `packages.py` of each folder of the sandbox lists as `PACKAGES`."""
    modules = [importlib.import_module(f"sandbox.{path.parent.name}.packages") for path in sorted(HERE.glob("*/packages.py"))]
    packages: list[Package] = [package for module in modules for package in module.PACKAGES]
    names = [package.name for package in packages]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"two packages of the sandbox are called {', '.join(twice)}")
    return packages


def all_patches() -> list[Package]:
    """A patch version of every package that stands for one of the vendor's, so that `webitel upgrade` can be tried."""
    return [replace(package, patch=1) for package in all_packages() if package.name != PROGRAM.name]


@cache
def by_name() -> dict[str, Package]:
    """Every package of the sandbox by its name."""
    return {package.name: package for package in all_packages()}


def needed_packages(names: Iterable[str]) -> dict[str, str]:
    """Name -> version of those packages of the sandbox, and of those that they depend on."""
    found: dict[str, str] = {}
    waiting = list(names)
    while waiting:
        package = by_name().get(waiting.pop())
        if package and package.name not in found:
            found[package.name] = package.version
            waiting += package.depends
    return dict(sorted(found.items()))


def cache_folder() -> Path:
    """Where the repository of these sources stands, built or not."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return root / "webitel" / f"sandbox-{source_digest()}"


def build_packages(progress: Callable[[str], None] = lambda text: None) -> Path:
    """The folder with the .deb files and `Packages`, built unless it is there; two builds at once do no harm."""
    folder = cache_folder()
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=".sandbox-", dir=folder.parent))
    try:
        progress(f"building {len(all_packages())} packages of the sandbox")
        write_repository([*all_packages(), *all_patches()], fresh)
        fresh.chmod(0o755)
        try:
            fresh.rename(folder)
        except OSError:
            # Another build was faster: the same sources make the same bytes.
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return folder
