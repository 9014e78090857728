"""A directory that gets another owner while its service runs: all that is in it, once, however much that is.

The service goes on as its old user while a process of its own walks through everything (`begin`): years of recordings are
millions of files. That old user is root without any of root's rights, so what changes its owner keeps root's group, which gets
the rights that the owner has: both read and write all of it until the service starts as the new one. What comes meanwhile is
found at that start, in the directories that have changed since (`finish`). A file beside the directory remembers how far this
is: a walk that was cut off begins again, and no later start walks at all.
"""

import json
import os
import pathlib
import pwd
import stat
import time
from collections.abc import Iterator
from typing import NotRequired, TypedDict

from ..manifest import DirectoryEntry, Manifest
from ..system import ApplyError, Tell, last_lines, run, systemctl, write_private

UNIT = "webitel-owner.service"
QUIET = ("-pNice=19", "-pIOSchedulingClass=idle")
PAUSE_SECONDS = 0.3
SLACK_SECONDS = 2.0
"""A file system may round times."""
TOLD_EVERY = 5000
PROGRESS = pathlib.Path("/run/webitel/owner.count")
ROOTS_GROUP = 0
EMPTY_LINKS = 2
"""Links of a directory that has none in it. File systems that do not count them say 1."""


class Mark(TypedDict):
    """How far it is. `since`: when a walk through everything began that has ended, by the file system's clock. `done`: keys of
    the nodes on which the service has started as its new user."""

    owner: str
    since: NotRequired[float]
    done: list[str]


def begin(directories: list[DirectoryEntry], tell: Tell) -> None:
    """Walk through every directory whose owner is still the old one, in a process that goes on when this one is cut off."""
    for directory in directories:
        path = pathlib.Path(directory["path"])
        mark = load_mark(path)
        if not path.is_dir() or (mark and "since" in mark) or (mark is None and has_owner(path, directory["owner"])):
            continue
        tell("files", f"owner of {path}")
        if not is_walking():
            PROGRESS.unlink(missing_ok=True)
            command = ["/usr/local/sbin/webitel-node", "own", str(path), directory["owner"]]
            started = run(["systemd-run", "--quiet", "--collect", f"--unit={UNIT}", *QUIET, *command])
            if started.returncode != 0:
                raise ApplyError(f"cannot give {path} to {directory['owner']}: {started.stderr.strip()}")
        while is_walking():
            if PROGRESS.exists():
                tell("files", f"owner of {path}: {PROGRESS.read_text()} files; the service goes on meanwhile")
            time.sleep(PAUSE_SECONDS)
        mark = load_mark(path)
        if mark is None or "since" not in mark:
            raise ApplyError(f"{path} could not be given to {directory['owner']}:\n" + "\n".join(last_lines(UNIT)), UNIT)


def is_walking() -> bool:
    """Tell whether the process that walks is there."""
    return systemctl("is-active", UNIT).stdout.strip() in ("active", "activating")


def own(path: pathlib.Path, owner: str) -> None:
    """Give a directory and everything in it to its new owner."""
    save_mark(path, {"owner": owner, "done": []})
    since = mark_of(path).stat().st_mtime
    walk(path, owner)
    save_mark(path, {"owner": owner, "since": since, "done": []})


def finish(path: pathlib.Path, manifest: Manifest) -> None:
    """Give what came since to the new owner, before the service's first start as that user on this node.

    The owner is the one of the mark: the manifest may still be the former, where `up` was cut off."""
    mark = load_mark(path)
    owner = mark["owner"] if mark else find_owner(path, manifest)
    if not owner or (mark is None and has_owner(path, owner)) or (mark and is_over(mark, path, manifest)):
        return
    if mark is None or "since" not in mark:
        own(path, owner)
        mark = load_mark(path)
    if mark is None:
        raise ApplyError(f"{mark_of(path)} is gone")
    walk(path, owner, mark.get("since", 0.0) - SLACK_SECONDS)
    save_mark(path, {**mark, "done": sorted({*mark["done"], manifest["key"]})})


def find_owner(path: pathlib.Path, manifest: Manifest) -> str:
    """Return whose a directory is that earlier versions gave to another one; "" of any other."""
    entries = [entry for entry in manifest["directories"] if entry.get("changed_owner") and entry["path"] == str(path)]
    return entries[0]["owner"] if entries else ""


def is_over(mark: Mark, path: pathlib.Path, manifest: Manifest) -> bool:
    """Tell whether nobody runs the service as its old user any more: of several nodes that have the same files each may."""
    on_share = any(entry["path"] == str(path) and entry["disk"] == "share" for entry in manifest["directories"])
    others = {one["key"] for service in manifest["services"] for one in service.get("candidates", [])} if on_share else set()
    return {manifest["key"], *others} <= {*mark["done"]}


def walk(top: pathlib.Path, owner: str, since: float = 0.0) -> None:
    """Change the owner of the directory and everything below; of files only in directories that have changed since, which a new
    file does to its directory.

    Whoever has these files may put a link in place of a directory meanwhile: everything is opened by its directory, and no link
    is followed."""
    number = number_of(owner)
    count = 0
    give(str(top), number)
    for folder, changed in list_folders(top, since):
        names, at = folder
        for name in names if changed else ():
            give(name, number, at)
            count += 1
            if count % TOLD_EVERY == 0:
                PROGRESS.parent.mkdir(parents=True, exist_ok=True)
                PROGRESS.write_text(str(count))


def list_folders(top: pathlib.Path, since: float) -> Iterator[tuple[tuple[list[str], int], bool]]:
    """List every directory, with the names in it and its descriptor, and whether it has changed since. One that has not, and has
    no directory in it, is not even opened."""
    for _, folders, files, at in os.fwalk(top, onerror=unless_gone):
        here = os.fstat(at).st_mtime >= since
        yield ([*folders, *files], at), here
        folders[:] = [name for name in folders if may_have_changed(name, at, since)]


def may_have_changed(name: str, at: int, since: float) -> bool:
    """Tell whether a directory has to be opened: it has changed, or one in it may have."""
    try:
        found = os.stat(name, dir_fd=at, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return found.st_mtime >= since or found.st_nlink != EMPTY_LINKS


def unless_gone(error: OSError) -> None:
    """Raise what went wrong with a directory, unless somebody removed it meanwhile."""
    if not isinstance(error, FileNotFoundError):
        raise error


def give(name: str, number: int, at: int | None = None) -> None:
    """Change the owner of one that may be gone by now. Its group gets the owner's rights first: at no moment has anybody less."""
    try:
        opened = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
    except FileNotFoundError:
        return
    try:
        found = os.fstat(opened)
        if found.st_uid == number:
            return
        itself = f"/proc/self/fd/{opened}"
        if not stat.S_ISLNK(found.st_mode):
            mode = stat.S_IMODE(found.st_mode)
            os.chown(itself, found.st_uid, ROOTS_GROUP)
            pathlib.Path(itself).chmod(mode | (mode & stat.S_IRWXU) >> 3)
            os.chown(itself, number, ROOTS_GROUP)
        else:
            os.chown(name, number, ROOTS_GROUP, dir_fd=at, follow_symlinks=False)
    finally:
        os.close(opened)


def has_owner(path: pathlib.Path, owner: str) -> bool:
    """Tell whether the directory itself belongs to its owner, or is not there."""
    return not path.is_dir() or path.stat().st_uid == number_of(owner)


def number_of(owner: str) -> int:
    """Return the user's number of `user:group`."""
    return pwd.getpwnam(owner.partition(":")[0]).pw_uid


def mark_of(path: pathlib.Path) -> pathlib.Path:
    """Return the file that remembers."""
    return path.with_name(f".webitel-owner-{path.name}")


def load_mark(path: pathlib.Path) -> Mark | None:
    """Read how far it is; None where the owner never changed."""
    if not mark_of(path).exists():
        return None
    mark: Mark = json.loads(mark_of(path).read_text())
    return mark


def save_mark(path: pathlib.Path, mark: Mark) -> None:
    """Remember how far it is."""
    write_private(mark_of(path), json.dumps(mark), 0o644)
