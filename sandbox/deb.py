"""Debian packages and a flat apt repository, the same bytes for the same content; no Debian tools needed."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path


@dataclass(frozen=True)
class Package:
    """One binary package of architecture `all`.

    `files`: absolute path -> text, or a file or folder of the checkout that is taken as it is. Text beginning with `#!`
    and files that are executable in the checkout get mode 0755. `folders`: absolute path -> mode.
    `scripts`: `preinst`, `postinst`, `prerm` or `postrm` -> text. `conffiles`: paths that dpkg never overwrites.
    `release` is what the program in it says of itself. `patch` counts what a vendor calls patch versions: higher versions of
    the same content here.
    """

    name: str
    release: str
    description: str
    depends: tuple[str, ...] = ()
    files: Mapping[str, str | Path] = field(default_factory=dict)
    folders: Mapping[str, int] = field(default_factory=dict)
    scripts: Mapping[str, str] = field(default_factory=dict)
    conffiles: tuple[str, ...] = ()
    more: Mapping[str, str] = field(default_factory=dict)
    patch: int = 0

    @cached_property
    def version(self) -> str:
        """The release and a digest of all there is in the package: another content is another version."""
        digest = hashlib.sha256(
            repr(
                (
                    sorted(expand_files(self).items()),
                    sorted(self.folders.items()),
                    sorted(self.scripts.items()),
                    self.conffiles,
                    self.depends,
                    self.description,
                    sorted(self.more.items()),
                )
            ).encode()
        )
        return f"{self.release}.{digest.hexdigest()[:8]}" + (f"+{self.patch}" if self.patch else "")

    @property
    def file_name(self) -> str:
        """The name of the .deb file."""
        return f"{self.name}_{self.version}_all.deb"

    def control(self, installed_kib: int) -> str:
        """The fields of the control file, in dpkg's order."""
        fields = {
            "Package": self.name,
            "Version": self.version,
            "Architecture": "all",
            "Maintainer": "Webitel deployment sandbox <sandbox@localhost>",
            "Installed-Size": str(installed_kib),
            **({"Depends": ", ".join(self.depends)} if self.depends else {}),
            **self.more,
            "Section": "comm",
            "Priority": "optional",
            "Description": f"{self.description} (stand-in of the sandbox, not the vendor's program)",
        }
        return "".join(f"{key}: {value}\n" for key, value in fields.items())


def expand_files(package: Package) -> dict[str, tuple[bytes, int]]:
    """Every file of a package: path -> content and mode; folders of the checkout are walked without Python's caches."""
    found: dict[str, tuple[bytes, int]] = {}
    for target, source in package.files.items():
        if isinstance(source, str):
            found[target] = source.encode(), 0o755 if source.startswith("#!") else 0o644
            continue
        paths = [source] if source.is_file() else sorted(p for p in source.rglob("*") if p.is_file())
        if not paths:
            raise ValueError(f"package {package.name}: {source} does not exist or is empty")
        for path in paths:
            if "__pycache__" not in path.parts:
                name = target if path == source else f"{target}/{path.relative_to(source)}"
                found[name] = path.read_bytes(), 0o755 if path.stat().st_mode & 0o111 else 0o644
    return found


def renew_conffiles(package: Package, files: Mapping[str, tuple[bytes, int]]) -> dict[str, tuple[bytes, int]]:
    """The files, with another comment in each conffile of a patch: dpkg then has to decide between the vendor's and ours."""
    if not package.patch:
        return dict(files)
    note = f"# patch {package.patch}\n".encode()
    return {path: (content + note if path in package.conffiles else content, mode) for path, (content, mode) in files.items()}


def pack_tar(files: Mapping[str, tuple[bytes, int]], folders: Mapping[str, int]) -> bytes:
    """A gzipped tar archive with every parent folder, owned by root, without times."""
    parents = {str(parent) for name in (*files, *folders) for parent in Path(name).parents} - {"."}
    every = {**dict.fromkeys(parents, 0o755), **folders}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name in sorted({*every, *files}):
            entry = tarfile.TarInfo("." + (name.rstrip("/") if name.startswith("/") else "/" + name))
            entry.uname = entry.gname = "root"
            if name in files:
                content, entry.mode = files[name]
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
            else:
                entry.type, entry.mode = tarfile.DIRTYPE, every[name]
                archive.addfile(entry)
    return gzip.compress(buffer.getvalue(), 6, mtime=0)


def pack_deb(package: Package) -> bytes:
    """The .deb file: an `ar` archive of format, control and data."""
    files = renew_conffiles(package, expand_files(package))
    size = sum(len(content) for content, _ in files.values())
    control = {"control": (package.control(size // 1024 + 1).encode(), 0o644)}
    control |= {name: (text.encode(), 0o755) for name, text in package.scripts.items()}
    if package.conffiles:
        control["conffiles"] = "".join(f"{path}\n" for path in package.conffiles).encode(), 0o644
    sums = "".join(f"{hashlib.md5(files[name][0], usedforsecurity=False).hexdigest()}  {name[1:]}\n" for name in sorted(files))
    control["md5sums"] = sums.encode(), 0o644
    members = (
        ("debian-binary", b"2.0\n"),
        ("control.tar.gz", pack_tar(control, {})),
        ("data.tar.gz", pack_tar(files, package.folders)),
    )
    archive = b"!<arch>\n"
    for name, content in members:
        head = f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n"
        archive += head.encode() + content + b"\n" * (len(content) % 2)
    return archive


def write_repository(packages: Iterable[Package], folder: Path) -> int:
    """The packages and their index `Packages` in a folder; returns how many there are."""
    stanzas = []
    for package in sorted(packages, key=lambda package: package.name):
        content = pack_deb(package)
        (folder / package.file_name).write_bytes(content)
        size = sum(len(data) for data, _ in expand_files(package).values())
        stanzas.append(
            package.control(size // 1024 + 1)
            + f"Filename: ./{package.file_name}\nSize: {len(content)}\nSHA256: {hashlib.sha256(content).hexdigest()}\n"
        )
    (folder / "Packages").write_text("\n".join(stanzas))
    return len(stanzas)
