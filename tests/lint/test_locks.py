"""Lock files name every version and its hashes, and no host."""

import importlib.metadata
import re

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.lint.locks import BASE, FOLDER, read_entries, read_extras

PYTHONS = {"3.11": "Debian 12", "3.12": "Ubuntu 24.04", "3.13": "Debian 13"}
TEXTS = {file.stem: file.read_text() for file in FOLDER.glob("*.lock")}


def test_every_extra_has_a_file() -> None:
    assert TEXTS.keys() == read_extras().keys()


@pytest.mark.parametrize("name", TEXTS)
def test_nothing_is_without_version_and_hash_or_names_a_host(name: str) -> None:
    entries = read_entries(TEXTS[name])
    rest = TEXTS[name]
    for found in entries.values():
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", found["hashes"]), found["name"]
        rest = rest.replace(found[0], "")
    # Whatever else would be an option, a host or a comment.
    assert rest == ("" if name == BASE else f"-r {BASE}.lock\n")


@pytest.mark.parametrize("name", TEXTS)
def test_what_the_project_asks_for_is_pinned_within_its_bounds(name: str) -> None:
    pinned = read_entries(TEXTS[BASE]) | read_entries(TEXTS[name])
    for text in read_extras()[name]:
        wanted = Requirement(text)
        found = pinned[canonicalize_name(wanted.name)]
        assert wanted.specifier.contains(found["version"]), f"{text}: locked to {found['version']}; python -m tests.lint.locks"


def test_one_version_for_all() -> None:
    versions: dict[str, set[str]] = {}
    for text in TEXTS.values():
        for name, found in read_entries(text).items():
            versions.setdefault(name, set()).add(found["version"])
    assert [name for name, several in versions.items() if len(several) > 1] == []


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("python", PYTHONS)
def test_what_those_need_is_pinned_too(name: str, python: str) -> None:
    """By what the installed ones say of themselves; an installation with hashes refuses whatever is missing."""
    pinned = read_entries(TEXTS[BASE]) | read_entries(TEXTS[name])
    place = {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": "linux", "extra": ""}
    looked = 0
    for each in pinned:
        try:
            needed = importlib.metadata.requires(each) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # of another platform
        looked += 1
        for one in map(Requirement, needed):
            if one.marker is None or one.marker.evaluate(place):
                assert canonicalize_name(one.name) in pinned, f"{each} needs {one}; python -m tests.lint.locks"
    assert looked >= len(read_extras()[name])
