"""Finds a usable `pulumi`, or gets one into the cache.

In this order: on the path; in the cache; the official binaries; built from its Go modules (facts/engine.md).
"""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tools.engine.environment import find_backend
from tools.engine.get import EngineError, build, install
from tools.host.fetching import Progress
from tools.host.locks import cache_folder, lock

__all__ = ["VERSION", "EngineError", "cache_folder", "find_engine", "find_made_engine"]

VERSION = "3.259.0"
_OLDEST = (3, 200)  # the first with everything that Pulumi.yaml and the provider use
_SPOILING = ((3, 245), (3, 258))
"""From the first of these to before the second: writes of state to a bucket that is not AWS's fail, or it cannot be read any more
(facts/real-clouds.md B6)."""
_HOST_FILES = ("pulumi-language-python", "language_host.py")
_HERE = Path(__file__).resolve().parent


def find_engine(progress: Progress) -> Path:
    """Return the `pulumi` to run; takes minutes only where it has to be fetched or built, once a machine.

    `progress` gets one line a step. Raises EngineError with what to install.
    """
    if found := _find_on_path(progress):
        return found
    home = _home()
    if not (home / "pulumi").exists():
        with lock(home.with_name(f"{home.name}.lock"), "getting the Pulumi engine", progress):
            if not (home / "pulumi").exists():  # another run may have made it meanwhile
                _make(home, progress)
    _renew_language_host(home)
    return home / "pulumi"


def find_made_engine() -> Path | None:
    """Return the `pulumi` that `find_engine` would, None where that would have to make one first."""
    if found := _find_on_path():
        return found
    if not (_home() / "pulumi").exists():
        return None
    _renew_language_host(_home())
    return _home() / "pulumi"


def _home() -> Path:
    return cache_folder() / f"engine-{VERSION}"


def _find_on_path(progress: Progress = lambda _: None) -> Path | None:
    found = shutil.which("pulumi")
    if not found:
        return None
    engine = Path(found)
    host_is_there = (engine.resolve().parent / _HOST_FILES[0]).exists() or shutil.which(_HOST_FILES[0])
    version = _read_version(engine) or (0,)
    if not host_is_there or version < _OLDEST:
        return None
    if _SPOILING[0] <= version < _SPOILING[1] and is_foreign_bucket(find_backend(os.environ)):
        progress(
            f"{engine} {'.'.join(map(str, version))} is not used: with `endpoint` in the state's address it would spoil the "
            f"state. Taken instead: {VERSION}."
        )
        return None
    return engine


def is_foreign_bucket(backend: str) -> bool:
    """Return whether a backend is a bucket of another than AWS: its address has `endpoint`."""
    address = urlsplit(backend)
    return address.scheme == "s3" and bool(parse_qs(address.query).get("endpoint"))


def _read_version(engine: Path) -> tuple[int, ...] | None:
    """Return (major, minor, patch); None for a build without one and for what does not run."""
    command = [str(engine), "version"]
    try:
        shown = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.match(r"v?(\d+)\.(\d+)\.(\d+)", shown.strip())
    return tuple(map(int, match.groups())) if match else None


def _make(home: Path, progress: Progress) -> None:
    for left in home.parent.glob(f"{home.name}.part-*"):  # of a run that was killed; the lock says none is alive
        shutil.rmtree(left)
    part = Path(tempfile.mkdtemp(prefix=f"{home.name}.part-", dir=home.parent))
    try:
        if not install(VERSION, part, progress):
            build(VERSION, _HERE, part, progress)
        if _read_version(part / "pulumi") is None:
            raise EngineError(f"the pulumi that was just made in {part} does not run")
        part.rename(home)  # only a finished one ever has the name
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _renew_language_host(home: Path) -> None:
    """Put this checkout's language host beside a `pulumi` that came without one."""
    if (home / "pulumi-language-python-exec").exists():  # the official one
        return
    for name in _HOST_FILES:
        source, target = _HERE / name, home / name
        if target.exists() and target.read_bytes() == source.read_bytes():
            continue
        with tempfile.NamedTemporaryFile(dir=home, delete=False) as part:
            part.write(source.read_bytes())
        Path(part.name).chmod(0o755)
        Path(part.name).rename(target)
