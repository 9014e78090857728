"""The .deb files and their repository: the same bytes twice, and what Debian's own tools say about them."""

import hashlib
import subprocess
from pathlib import Path

import pytest

from cloud_init.bundles import pack_bundle
from sandbox.build import all_packages, all_patches, build_packages, needed_packages, source_digest
from sandbox.deb import Package, expand_files, pack_deb, renew_conffiles, write_repository
from tests.unit.tools.side_by_side import side_by_side


def test_the_same_sources_make_the_same_bytes(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
        assert write_repository(all_packages(), folder) == len(all_packages())
    first, second = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in folders)
    assert first == second


def test_the_index_fits_its_files(tmp_path: Path) -> None:
    write_repository(all_packages(), tmp_path)
    index = (tmp_path / "Packages").read_text()
    stanzas = [dict(line.split(": ", 1) for line in stanza.splitlines()) for stanza in index.split("\n\n")]
    assert {stanza["Package"] for stanza in stanzas} == {package.name for package in all_packages()}
    for stanza in stanzas:
        content = (tmp_path / stanza["Filename"]).read_bytes()
        assert (int(stanza["Size"]), stanza["SHA256"]) == (len(content), hashlib.sha256(content).hexdigest())


def test_dpkg_reads_every_package_with_something_in_it(tmp_path: Path) -> None:
    write_repository(all_packages(), tmp_path)
    for package in (package for package in all_packages() if len(package.files) > 1 or package.scripts):
        path = tmp_path / package.file_name
        shown = subprocess.run(["dpkg-deb", "-f", path, "Package", "Version"], check=True, capture_output=True, text=True).stdout
        assert shown == f"Package: {package.name}\nVersion: {package.version}\n"
        listed = subprocess.run(["dpkg-deb", "-c", path], check=True, capture_output=True, text=True).stdout
        assert all(line.split()[1] == "root/root" for line in listed.splitlines())
        for target in package.files:
            assert f".{target}" in listed


def test_another_content_is_another_version(tmp_path: Path) -> None:
    source = tmp_path / "program"
    source.write_text("one")
    first = Package("x", "1+sandbox", "x", files={"/opt/x": source})
    assert first.version == Package("x", "1+sandbox", "x", files={"/opt/x": source}).version
    assert first.version.startswith("1+sandbox.")
    others = [
        Package("x", "1+sandbox", "x", files={"/opt/x": source}, scripts={"postinst": "#!/bin/sh\n"}),
        Package("x", "1+sandbox", "x", files={"/opt/y": source}),
        Package("x", "1+sandbox", "x", files={"/opt/x": source}, folders={"/opt": 0o700}),
    ]
    source.write_text("two")
    others.append(Package("x", "1+sandbox", "x", files={"/opt/x": source}))
    assert len({first.version, *(other.version for other in others)}) == 5


def test_a_patch_is_a_higher_version_of_the_same_content(tmp_path: Path) -> None:
    first, patch = (
        next(package for package in found if package.name == "webitel-engine") for found in (all_packages(), all_patches())
    )
    assert subprocess.run(["dpkg", "--compare-versions", patch.version, "gt", first.version], check=False).returncode == 0
    assert patch.release == first.release and patch.files == first.files
    assert pack_deb(patch) != pack_deb(first)
    # Whoever keeps a conffile of ours is asked about each new one of the vendor's.
    for name in first.conffiles:
        assert renew_conffiles(patch, expand_files(patch))[name] != renew_conffiles(first, expand_files(first))[name]
    assert {package.name for package in all_packages()} - {package.name for package in all_patches()} == {"webitel-sandbox"}


def test_what_a_package_depends_on_is_needed_too() -> None:
    needed = needed_packages(["webitel-engine", "curl"])
    assert needed.keys() == {"webitel-engine", "webitel-sandbox"}
    assert all("+sandbox" in version for version in needed.values())


def test_an_empty_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not exist or is empty"):
        pack_deb(Package("x", "1", "x", files={"/opt/x": tmp_path / "missing"}))


def test_the_bundle_is_built_in_the_cache_on_demand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    said: list[str] = []
    folder = build_packages(said.append)
    assert folder == tmp_path / "webitel" / f"sandbox-{source_digest()}" and said
    assert build_packages(said.append) == folder and len(said) == 1
    assert b"sandbox/Packages" in pack_bundle("sandbox", folder)
    assert (folder / "Packages").read_text().count("Package: webitel-engine\n") == 2
    assert [path for path in folder.parent.iterdir() if path != folder] == []


def test_two_builds_at_once_leave_one_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made: list[Path] = []
    side_by_side(*[lambda: made.append(build_packages())] * 2)
    assert made == [tmp_path / "webitel" / f"sandbox-{source_digest()}"] * 2
    assert list((tmp_path / "webitel").iterdir()) == made[:1]


def test_freeswitch_has_its_run_directory_from_its_packages() -> None:
    """Its unit names no user and makes no directory: what systemd made would be root's, and given back to root before each
    command of the unit (`facts/services-real.md` 2)."""
    found = {
        path: content for package in all_packages() if "freeswitch" in package.name for path, content in package.files.items()
    }
    unit = Path(found["/lib/systemd/system/freeswitch.service"]).read_text()
    names = [line.partition("=")[0] for line in unit.splitlines()]
    assert not {"User", "Group", "RuntimeDirectory"} & set(names)
    assert "d /var/run/freeswitch 0755 freeswitch freeswitch" in str(found["/usr/lib/tmpfiles.d/freeswitch.conf"])
