"""Who may log in by the first file of keys that sshd reads, `~/.ssh/authorized_keys`: the deployment itself.

cloud-init and the cloud's own agent write that file, once, and nobody takes anything out of it. Operators' keys stand in
the second file, in /etc/ssh/authorized_keys.d, which is the configuration's, as are those of persons' own accounts: a key left
out of the setting is gone from there. Any other file in that folder would let somebody into the account it is named after.
"""

import pathlib
import pwd
import re
from collections.abc import Collection

from ..manifest import Login
from ..system import replace_file

OPERATORS_FOLDER = pathlib.Path("/etc/ssh/authorized_keys.d")
PRINCIPALS_FOLDER = pathlib.Path("/etc/ssh/authorized_principals.d")
NO_SHELLS = ("nologin", "false")
"""Programs in place of a shell, with which nobody logs in. Accounts of packages may have a real one, such as postgres."""

_FIELD = re.compile(r'((?:[^\s"]|"(?:\\.|[^"\\])*")+)\s*')
_TYPE = re.compile(r"(?:ssh|ecdsa|sk)-[a-z0-9@.-]+")


def list_homes() -> dict[str, pathlib.Path]:
    """List the homes of every account that can log in, by name."""
    return {
        one.pw_name: pathlib.Path(one.pw_dir) for one in pwd.getpwall() if pathlib.PurePath(one.pw_shell).name not in NO_SHELLS
    }


def list_files() -> dict[str, pathlib.Path]:
    """List the files of keys that exist, by user."""
    named = {user: home / ".ssh" / "authorized_keys" for user, home in list_homes().items()}
    return {user: path for user, path in named.items() if path.is_symlink() or path.is_file()}


def list_planted(ours: Collection[str]) -> list[pathlib.Path]:
    """List the files of the operators' folders that are not the configuration's, whose paths are `ours`."""
    found = [path for folder in (OPERATORS_FOLDER, PRINCIPALS_FOLDER) if folder.is_dir() for path in folder.iterdir()]
    return sorted(path for path in found if str(path) not in ours and (path.is_symlink() or path.is_file()))


def key_of(line: str) -> str:
    """Return type and text of a line's key, whatever options precede it; "" for a comment, the line itself if it has none."""
    if not line.strip() or line.lstrip().startswith("#"):
        return ""
    fields = _FIELD.findall(line.strip())
    while fields and not _TYPE.fullmatch(fields[0]):
        fields = fields[1:] if len(fields) > 2 else []
    return " ".join(fields[:2]) or line.strip()


def is_ours(line: str, login: Login) -> bool:
    """Tell whether a line lets in nobody but the deployment."""
    return key_of(line) in ("", login["key"])


def read_lines(path: pathlib.Path) -> list[str]:
    """Read the lines of a file, none of a link: its target is not ours to read or write."""
    return [] if path.is_symlink() else path.read_text(errors="surrogateescape").splitlines()


def find_strangers(login: Login, ours: Collection[str]) -> dict[str, int]:
    """Count the lines of each file that let in somebody else; a link counts as one. `ours` are the configuration's files."""
    counts = {
        str(path): 1 if path.is_symlink() else sum(not is_ours(line, login) for line in read_lines(path))
        for path in list_files().values()
    }
    counts |= {
        str(path): 1 if path.is_symlink() else sum(map(bool, map(key_of, read_lines(path)))) for path in list_planted(ours)
    }
    return {path: count for path, count in counts.items() if count}


def reduce(login: Login, ours: Collection[str], given: bool = False) -> list[str]:
    """Remove everybody else from every file, and make sure that the deployment is in its own; return what changed. On a host that
    was `given`, whom its owner let in stays."""
    changed = []
    for user, path in list_files().items():
        lines = read_lines(path)
        if given and (path.is_symlink() or user != login["user"]):
            continue
        kept = [line for line in lines if given or is_ours(line, login)]
        if user == login["user"] and login["key"] not in map(key_of, kept):
            kept.append(f"{login['key']} webitel")
        if path.is_symlink() and not kept:
            path.unlink()
        elif kept != lines or path.is_symlink():
            replace(path, kept)
        else:
            continue
        changed.append(str(path))
    for path in list_planted(ours):
        path.unlink()
        changed.append(str(path))
    return changed


def replace(path: pathlib.Path, lines: list[str]) -> None:
    """Write another text atomically, with the owner and mode of the file, or of its folder where the file was a link."""
    found = path.parent.stat() if path.is_symlink() else path.stat()
    replace_file(
        path, "".join(f"{line}\n" for line in lines), found.st_mode & 0o666 & ~0o022 or 0o600, (found.st_uid, found.st_gid)
    )
