"""Keys of repositories, with the real gpg and apt: only the pinned one opens a repository."""

import base64
import hashlib
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import formatdate
from itertools import pairwise
from pathlib import Path

import pytest

from cloud_init.node import install

KEEP_STILL = ("--batch", "--pinentry-mode", "loopback", "--passphrase", "")


class Keys:
    """Somebody's key box; its path is short, as a socket's must be."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def gpg(self, *arguments: str, given: bytes = b"") -> bytes:
        done = subprocess.run(
            ["gpg", "--homedir", str(self.home), *KEEP_STILL, *arguments], input=given, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def make(self, name: str) -> str:
        """A new key with a subkey for signing; returns its fingerprint."""
        self.gpg("--quick-generate-key", name, "ed25519", "sign", "never")
        print_ = self.fingerprints(name)[0]
        self.gpg("--quick-add-key", print_, "ed25519", "sign", "never")
        return print_

    def fingerprints(self, name: str) -> list[str]:
        """Of a key and its subkeys."""
        lines = self.gpg("--list-keys", "--with-colons", name).decode().splitlines()
        return [line.split(":")[9] for line in lines if line.startswith("fpr:")]

    def export(self, *names: str, armored: bool = False) -> bytes:
        """Each key by itself, so that their order is the given one."""
        return b"".join(self.gpg(*(["--armor"] if armored else []), "--export", name) for name in names)


@pytest.fixture(scope="module")
def keys() -> Iterator[Keys]:
    with tempfile.TemporaryDirectory(prefix="k") as home:
        Path(home).chmod(0o700)
        yield Keys(Path(home))
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=True, capture_output=True)


@pytest.fixture(scope="module")
def vendor(keys: Keys) -> str:
    return keys.make("vendor")


@pytest.fixture(scope="module")
def stranger(keys: Keys) -> str:
    return keys.make("stranger")


@dataclass
class Place:
    """Where a node keeps its sources and key rings; `key` is what the repository offers."""

    folder: Path
    key: Path

    @property
    def ring(self) -> Path:
        return self.folder / "rings/webitel-x.gpg"

    def add(self, fingerprint: str, uri: str = "file:/nowhere", suite: str = "./") -> None:
        install.add_repository(
            {"name": "x", "uri": uri, "suite": suite, "component": "", "key": f"copy:{self.key}", "fingerprint": fingerprint}
        )

    def shown(self) -> list[str]:
        """The primary keys in the ring, as gpg shows them."""
        shown = subprocess.run(["gpg", "--show-keys", "--with-colons", str(self.ring)], capture_output=True, check=True)
        lines = [line.split(":") for line in shown.stdout.decode().splitlines()]
        return [after[9] for line, after in pairwise(lines) if line[0] == "pub" and after[0] == "fpr"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    for name in ("sources", "rings", "run"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(install, "SOURCES", tmp_path / "sources")
    monkeypatch.setattr(install, "RINGS", tmp_path / "rings")
    monkeypatch.setattr(install, "PROGRESS", tmp_path / "run/install.json")
    return Place(tmp_path, tmp_path / "offered")


@pytest.mark.parametrize("armored", [False, True])
def test_only_the_pinned_key_enters_the_ring(place: Place, keys: Keys, vendor: str, stranger: str, armored: bool) -> None:
    for names in (("vendor", "stranger"), ("stranger", "vendor"), ("vendor",)):
        place.ring.unlink(missing_ok=True)
        place.key.write_bytes(keys.export(*names, armored=armored))
        place.add(vendor)
        assert place.shown() == [vendor]
        assert place.ring.read_bytes() == keys.export("vendor")
        assert place.ring.stat().st_mode & 0o777 == 0o644


def test_another_key_is_refused(place: Place, keys: Keys, vendor: str, stranger: str) -> None:
    subkey = keys.fingerprints("stranger")[1]
    for offered in (keys.export("stranger"), b"no key at all", b""):
        place.key.write_bytes(offered)
        for pinned in (vendor, "", subkey):  # a stranger's key can take on any subkey
            with pytest.raises(install.InstallError, match=rf"repository x: no key {pinned} at copy:.*, but "):
                place.add(pinned)
            assert not place.ring.exists()


def test_a_ring_with_more_in_it_is_made_anew_without_asking(place: Place, keys: Keys, vendor: str, stranger: str) -> None:
    """What nodes have from before: the whole file, whoever stood in it."""
    place.ring.write_bytes(keys.export("vendor", "stranger"))
    place.add(vendor)  # nothing is offered any more
    assert place.shown() == [vendor]
    before = place.ring.stat().st_mtime_ns
    place.add(vendor)
    assert place.ring.stat().st_mtime_ns == before


def test_a_changed_fingerprint_renews_the_ring(place: Place, keys: Keys, vendor: str, stranger: str) -> None:
    place.key.write_bytes(keys.export("vendor"))
    place.add(vendor)
    with pytest.raises(install.InstallError, match=f"no key {stranger}"):
        place.add(stranger)
    assert place.shown() == [vendor], "packages still come by the old one"
    place.key.write_bytes(keys.export("stranger"))
    place.add(stranger)
    assert place.shown() == [stranger]


Update = Callable[[], str]


@pytest.fixture
def update(place: Place) -> Update:
    """Reads the package lists as apt does; returns what it complains about."""

    def run() -> str:
        state = place.folder / "apt"
        options = {
            "Dir::State": state,
            "Dir::State::Status": "/var/lib/dpkg/status",
            "Dir::Cache": state,
            "Dir::Etc::SourceList": "-",
            "Dir::Etc::SourceParts": place.folder / "sources",
            "APT::Sandbox::User": "root",
            "Dir::Etc::Parts": "-",
        }
        (state / "lists/partial").mkdir(parents=True, exist_ok=True)
        (state / "archives/partial").mkdir(parents=True, exist_ok=True)
        words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        done = subprocess.run(
            ["apt-get", *words, "-o", "APT::Update::Error-Mode=any", "update"],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"LC_ALL": "C.UTF-8"},
        )
        return done.stderr if done.returncode else ""

    return run


def sign(keys: Keys, folder: Path, name: str) -> None:
    """A repository without a package, signed by one key."""
    folder.mkdir(exist_ok=True)
    (folder / "Packages").write_bytes(b"")
    digest = hashlib.sha256(b"").hexdigest()
    release = f"Suite: stable\nDate: {formatdate(usegmt=True).replace('GMT', 'UTC')}\nSHA256:\n {digest} 0 Packages\n"
    (folder / "InRelease").write_bytes(keys.gpg("--local-user", name, "--clearsign", given=release.encode()))


@pytest.mark.skipif(os.geteuid() != 0, reason="apt-get update wants root")
def test_apt_takes_a_repository_of_the_pinned_key_and_of_no_other(
    place: Place,
    update: Update,
    keys: Keys,
    vendor: str,
    stranger: str,
) -> None:
    repository = place.folder / "repository"
    place.key.write_bytes(keys.export("vendor", "stranger"))
    place.add(vendor, f"file:{repository}")
    sign(keys, repository, "vendor")
    assert update() == ""
    sign(keys, repository, "stranger")
    key = keys.fingerprints("stranger")[-1][-16:]
    assert f"NO_PUBKEY {key}" in update()


def test_base64_of_armor_is_no_key(place: Place, keys: Keys, vendor: str) -> None:
    place.key.write_bytes(base64.b64encode(keys.export("vendor")))
    with pytest.raises(install.InstallError, match="but none"):
        place.add(vendor)
