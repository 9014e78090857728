"""Users that no package makes: those of services that a package would run as root."""

import pwd

from ..manifest import Manifest
from ..system import ApplyError, run


def prepare(manifest: Manifest) -> None:
    """Make the users that are missing. One of that name that is there keeps its number, unless files on a share depend on it."""
    for name, number in manifest.get("users", {}).items():
        try:
            found = pwd.getpwnam(name).pw_uid
        except KeyError:
            make(name, number)
        else:
            if found != number and "share" in manifest:
                raise ApplyError(
                    f"user {name} has the number {found} on this node and not {number}, so it could not read the recordings that "
                    f"other nodes write on the share: `usermod -u {number} {name}; groupmod -g {number} {name}`"
                )


def make(name: str, number: int) -> None:
    """Make a user that nobody can log in as, and its group."""
    options = ["--system", "--no-create-home", "--home-dir", f"/home/{name}", "--shell", "/usr/sbin/nologin"]
    made = run(["groupadd", "--system", "--force", "--gid", str(number), name])
    if made.returncode == 0:
        made = run(["useradd", *options, "--uid", str(number), "--gid", name, name])
    if made.returncode != 0:
        raise ApplyError(f"user {name} with the number {number} could not be made: {made.stderr.strip()}")
