"""The files of a configuration: placeholders filled, compared, checked, each written atomically."""

import grp
import pathlib
import pwd
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from ..manifest import FileEntry
from ..system import STAGED, ApplyError, run, stage, sync_folder

PLACEHOLDER = re.compile(r"\{\{(address|secret):([a-z0-9_.-]+)\}\}")


class Placeholders:
    """Puts addresses and secrets into texts."""

    def __init__(self, addresses: dict[str, str], secrets: dict[str, str]) -> None:
        self.values = {"address": addresses, "secret": secrets}

    def apply(self, text: str, where: str) -> str:
        """Fill every placeholder of a text; an error names the file and the placeholder."""

        def fill(match: re.Match[str]) -> str:
            kind, name = match.groups()
            if name not in self.values[kind]:
                raise ApplyError(f"{where} needs the {kind} {name}, which this node did not receive")
            return self.values[kind][name]

        return PLACEHOLDER.sub(fill, text)


@dataclass
class FilePlan:
    """What differs: path -> (text, mode, uid, gid, check); and what stays the `same`."""

    changed: dict[str, tuple[str, int, int, int, str]] = field(default_factory=dict)
    same: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    actions: list[str] = field(default_factory=list)


def compare(texts: dict[str, str], attributes: Mapping[str, FileEntry], fill: Placeholders, known: Iterable[str]) -> FilePlan:
    """Find which files must be written, which of the `known` ones removed, and what that does to services."""
    plan = FilePlan()
    for path, template in texts.items():
        wanted = attributes[path]
        text = fill.apply(template, path)
        owner, _, group = wanted["owner"].partition(":")
        try:
            uid, gid = pwd.getpwnam(owner).pw_uid, grp.getgrnam(group or owner).gr_gid
        except KeyError as error:
            raise ApplyError(f"{path}: owner {wanted['owner']} does not exist on this node ({error})") from error
        mode = int(wanted["mode"], 8)
        if wanted.get("seed") and pathlib.Path(path).is_file():
            plan.same.append(path)
        elif not is_same(pathlib.Path(path), text, mode, uid, gid):
            plan.changed[path] = (text, mode, uid, gid, wanted.get("check", ""))
            # Who runs has read it: another owner or mode concerns the next start.
            if not has_text(pathlib.Path(path), text):
                plan.actions += wanted["actions"]
        else:
            plan.same.append(path)
    for path in known:
        if path not in texts and pathlib.Path(path).exists():
            plan.removed.append(path)
    if any(path.startswith("/etc/systemd/") for path in (*plan.changed, *plan.removed)):
        plan.actions.insert(0, "daemon-reload")
    return plan


def is_same(path: pathlib.Path, text: str, mode: int, uid: int, gid: int) -> bool:
    """Tell whether the file is there with that content, mode and owner, and is not a link."""
    if not has_text(path, text):
        return False
    found = path.stat()
    return (found.st_mode & 0o7777, found.st_uid, found.st_gid) == (mode, uid, gid)


def has_text(path: pathlib.Path, text: str) -> bool:
    """Tell whether the file is there with that content, and is not a link."""
    return not path.is_symlink() and path.is_file() and path.read_bytes() == text.encode()


def staged_place(path: pathlib.Path) -> pathlib.Path:
    """Return where a file is staged. Checks of files that belong together look for each other there."""
    return path.with_name(f".{path.name}{STAGED}")


def write(plan: FilePlan, place_bundles: Callable[[], None] = lambda: None) -> None:
    """Check every changed file first, then put them in place: a configuration with an error changes nothing.

    `place_bundles` puts in place what was staged to go with them.
    """
    # Of a run that was killed, and of another version maybe: a check would take it for what goes with this one.
    for path in map(pathlib.Path, plan.same):
        staged_place(path).unlink(missing_ok=True)
    staged = {staged_place(path): path for path in map(pathlib.Path, plan.changed)}
    try:
        for fresh, (text, mode, uid, gid, _) in zip(staged, plan.changed.values(), strict=True):
            stage(fresh, text, mode, (uid, gid))
        # Only now that all are staged: a file that includes another is checked with that one as it will be.
        for (fresh, path), (*_, check) in zip(staged.items(), plan.changed.values(), strict=True):
            if "{path}" in check:
                checked = run(["sh", "-c", check.replace("{path}", str(fresh))], 60)
                if checked.returncode != 0:
                    said = (checked.stdout + checked.stderr).strip().replace(fresh.name, path.name)
                    raise ApplyError(f"{path} was rejected by its own program ({check.split()[0]}):\n{said[-2000:]}")
        place_bundles()
        for fresh, path in staged.items():
            fresh.replace(path)
    finally:
        for fresh in staged:
            fresh.unlink(missing_ok=True)
    for name in plan.removed:
        pathlib.Path(name).unlink(missing_ok=True)
    for folder in {pathlib.Path(name).parent for name in (*plan.changed, *plan.removed)}:
        sync_folder(folder)
