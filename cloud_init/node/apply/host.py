"""A host that was given: what cloud-init does on a machine that was made, done once over SSH from the same data, and the mark by
which the host knows whose it is. Host keys, host name and network stay as they are.
"""

import json
import os
import pathlib
import pwd
import shutil
from collections.abc import Collection, Iterable
from typing import NotRequired, TypedDict

from ..system import ApplyError, Tell, replace_text, run, systemctl, write_private

MARK = pathlib.Path("/var/lib/webitel/host.json")
FOUND = pathlib.Path("/var/lib/webitel/found")
"""Files of the host's owner in whose place we have put our own, by their paths."""

OWNERS = frozenset(
    {
        "hostname",
        "fqdn",
        "prefer_fqdn_over_hostname",
        "preserve_hostname",
        "manage_etc_hosts",
        "ssh_genkeytypes",
        "locale",
        "package_update",
        "package_upgrade",
    }
)
"""Keys of user data that say what is the owner's on a host that was given, or what is so by default."""
LATER = frozenset({"timezone", "ssh_pwauth"})
"""Keys that the configuration brings about, which comes next."""
COMMAND_SECONDS = 600
WARNING = "warning"
"""The step of a command that failed."""


class WrittenFile(TypedDict):
    """A file of cloud-init's `write_files`."""

    path: str
    content: str
    permissions: NotRequired[str]


class UserData(TypedDict):
    """What of user data is done here; more keys than these are told."""

    write_files: NotRequired[list[WrittenFile]]
    runcmd: NotRequired[list[list[str]]]


class Given(TypedDict):
    """What a host is given first: whose it becomes, `claim` tells this time from any other; `user_data` as cloud-init would read
    it; the account by which the deployment logs in, and its public key."""

    stack: str
    node: str
    claim: str
    user: str
    key: str
    user_data: UserData


class Mark(TypedDict):
    """What the host remembers: whose it is, whether the first step was done to its end, the files that it wrote, the deployment's
    account and key, and whether the owner's firewall was on."""

    stack: str
    node: str
    claim: str
    done: bool
    files: list[str]
    user: str
    key: str
    firewall: bool


def read_mark() -> Mark | None:
    """Return whose host this is, None where it is nobody's or a machine that was made."""
    if not MARK.exists():
        return None
    mark: Mark = json.loads(MARK.read_text())
    return mark


def take(incoming: pathlib.Path, tell: Tell) -> None:
    """Take the host: every step may be repeated, and what was done to its end is not done again."""
    given: Given = json.loads((incoming / "given.json").read_text())
    mark = read_mark()
    if mark and (mark["stack"], mark["node"]) != (given["stack"], given["node"]):
        raise ApplyError(f"this host is {mark['node']} of {mark['stack']}")
    data = given["user_data"]
    if unknown := data.keys() - OWNERS - LATER - {"write_files", "runcmd"}:
        raise ApplyError(f"user data says {', '.join(sorted(unknown))}, which a host that was given cannot be told")
    files = data.get("write_files", [])
    done = bool(mark and mark["done"])
    fresh: Mark = {
        "stack": given["stack"],
        "node": given["node"],
        "claim": given["claim"],
        "done": done,
        "files": mark["files"] if mark else [entry["path"] for entry in files],
        "user": given["user"],
        "key": given["key"],
        "firewall": mark["firewall"] if mark else systemctl("is-enabled", "nftables").stdout.strip() == "enabled",
    }
    if not mark:
        keep_found([*fresh["files"], "/etc/hosts"], ())
    write_private(MARK, json.dumps(fresh, indent=1))
    let_in(given["user"], given["key"])
    if done:
        return
    tell("host", "first files")
    for entry in files:
        write_private(pathlib.Path(entry["path"]), entry["content"], int(entry.get("permissions", "0644"), 8))
    for command in data.get("runcmd", []):
        tell("host", " ".join(command)[:80])
        ended = run(command, COMMAND_SECONDS)
        if ended.returncode:
            # As at a first boot: what matters of it shows later, and that is asked then.
            tell(WARNING, f"{' '.join(command)}: {(ended.stderr or ended.stdout).strip() or ended.returncode}")
    write_private(MARK, json.dumps({**fresh, "done": True}, indent=1))


def keep_found(paths: Iterable[str], ours: Collection[str]) -> None:
    """Keep those files that are the owner's, each as it was found first: `ours` are those that we have written before."""
    for name in paths:
        path, kept, absent = pathlib.Path(name), FOUND / name.lstrip("/"), FOUND / f"{name.lstrip('/')}.absent"
        if name in ours or absent.exists() or kept.exists() or kept.is_symlink():
            continue
        kept.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() and not path.is_symlink():
            absent.touch()
            continue
        shutil.copy2(path, kept, follow_symlinks=False)
        found = path.lstat()
        os.chown(kept, found.st_uid, found.st_gid, follow_symlinks=False)


def give_back(path: str) -> None:
    """Put back the owner's file, or leave none where there was none."""
    kept = FOUND / path.lstrip("/")
    if kept.is_file() or kept.is_symlink():
        fresh = pathlib.Path(f"{path}.webitel-new")
        shutil.copy2(kept, fresh, follow_symlinks=False)
        found = kept.lstat()
        os.chown(fresh, found.st_uid, found.st_gid, follow_symlinks=False)
        fresh.replace(path)
    else:
        pathlib.Path(path).unlink(missing_ok=True)


def find_keys(account: pwd.struct_passwd) -> pathlib.Path:
    """Return the file of keys of an account; where that is a link, what it leads to: the link is the owner's."""
    return pathlib.Path(account.pw_dir, ".ssh", "authorized_keys").resolve()


def let_in(user: str, key: str) -> None:
    """Let the deployment in by its key; whom the owner let in stays."""
    try:
        account = pwd.getpwnam(user)
    except KeyError as error:
        raise ApplyError(f"this host has no account {user}") from error
    path = find_keys(account)
    lines = path.read_text(errors="surrogateescape").splitlines() if path.exists() else []
    if any(key in line for line in lines):
        return
    text = "\n".join([*lines, f"{key} webitel"]) + "\n"
    if path.exists():
        replace_text(path, text)
        return
    if not path.parent.is_dir():
        path.parent.mkdir(mode=0o700)
        chown(path.parent, account)
    write_private(path, text)
    chown(path, account)


def chown(path: pathlib.Path, account: pwd.struct_passwd) -> None:
    """Give a file of an account to it."""
    run(["chown", f"{account.pw_uid}:{account.pw_gid}", str(path)])


def shut_out(user: str, key: str) -> None:
    """Let the deployment in no more."""
    path = find_keys(pwd.getpwnam(user))
    if not path.exists():
        return
    kept = [line for line in path.read_text(errors="surrogateescape").splitlines() if key not in line]
    if kept:
        replace_text(path, "".join(f"{line}\n" for line in kept))
    else:
        path.unlink()
