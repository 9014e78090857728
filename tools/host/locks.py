"""The cache that all runs share, and one run at a time where two would make the same thing: two clones, two terminals."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.host.fetching import SetupError


def cache_folder() -> Path:
    """Where downloads and built things are kept, outside every checkout; all runs of a user share it."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "webitel"


@contextmanager
def lock(path: Path, doing: str, progress: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock; where another run has it, wait and say so: it is the one that is `doing` this."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("w")
    except OSError as error:
        raise SetupError(explain_refusal(error)) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress(f"waiting for another run that is {doing}")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def explain_refusal(error: OSError) -> str:
    """Return what to do about a file that may not be written."""
    named = error.filename2 or error.filename
    if named is None:  # a write names no file: a full disk
        return str(error)
    path = Path(str(named))
    text = f"{path} cannot be written: {error.strerror}."
    if isinstance(error, PermissionError):
        text += f" If it is left from a run as root: sudo chown -R $(id -un) {path if path.is_dir() else path.parent}"
    return text
