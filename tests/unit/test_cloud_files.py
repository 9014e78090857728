"""How many files a cloud is: what there has to be of it, by name, and no list of all clouds beside them.

Counted is what somebody writes. Empty package markers, and what a command makes from the rest (the golden previews, the
schema of settings, the tables of the pages), are not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import get_args

import pytest

from components.clouds.registry import CLOUDS
from components.model.catalogue.tiers import TIERS
from components.model.settings import CloudName

ROOT = Path(__file__).resolve().parents[2]
MOST = 22
"""Files to write for a new cloud."""
REAL = [name for name, facts in CLOUDS.items() if facts.real]

OWN = (
    *(f"components/clouds/CLOUD/{part}.py" for part in ("facts", "adapter", "account", "adoption", "power", "prices")),
    *(
        f"tests/simulator/CLOUD/{part}"
        for part in ("schema.json", "resources.py", "machines.py", "functions.py", "view.py", "case.py", "test_CLOUD.py")
    ),
    *(f"stacks/Pulumi.CLOUD-{tier}.yaml" for tier in TIERS),
    "requirements/CLOUD.lock",
)
"""Of each cloud alone."""
GIVEN_OWN = (
    *(f"components/clouds/CLOUD/{part}.py" for part in ("facts", "adapter")),
    *(f"stacks/Pulumi.CLOUD-{tier}.yaml" for tier in TIERS),
)
"""Of hosts that are given: nobody is asked, nothing is paid, and our own provider does what there is to do."""
SHARED = (
    "components/model/settings.py",  # its name
    "components/model/clouds/machines.json",  # machine types and prices, renewed together by `prices`
    "pyproject.toml",  # the SDK
    ".github/workflows/preview.yml",  # how a preview gets credentials
    "policy/resources.py",  # which inputs of its resources are forbidden what
)
"""With a line for each cloud."""

PRICES = ("components/model/clouds/machines.json",)
"""Only of a cloud that sells machines, with its `prices.py`."""

MADE = ("stacks/schema.json", "tests/golden/")
"""Written by commands."""
EXAMPLES = (
    "tests/unit/",
    "tests/simulator/test_",
    "tests/simulator/README.md",
    "tests/clouds/test_account.py",
    "tests/clouds/test_doctor.py",
    "docs/",
    "README.md",
    "components/clouds/README.md",
)
"""Texts, and tests that name clouds as examples: right without a new one."""
LOOKED_AT = ("*.py", "*.json", "*.toml", "*.yml", "*.yaml", "*.md")


def files_of(cloud: str) -> list[str]:
    """What there has to be of a cloud."""
    own = [name.replace("CLOUD", cloud) for name in OWN]
    return [
        name for name in (*own, *SHARED) if CLOUDS[cloud].priced or name not in (*PRICES, f"components/clouds/{cloud}/prices.py")
    ]


def names_all(text: str) -> bool:
    """Whether a text names every real cloud, so that a new one is missing there."""
    return all(re.search(rf"(?<![A-Za-z]){name}(?![A-Za-z])", text) for name in REAL)


def find_lists(root: Path, folders: Iterable[str]) -> Iterator[str]:
    """Files that list the clouds."""
    for folder in folders:
        for pattern in LOOKED_AT:
            for path in (root / folder).rglob(pattern):
                name = str(path.relative_to(root))
                if not name.startswith((*MADE, *EXAMPLES)) and "/." not in f"/{name}" and names_all(path.read_text()):
                    yield name


@pytest.mark.parametrize("cloud", REAL)
def test_a_cloud_has_all_its_files(cloud: str) -> None:
    missing = [name for name in files_of(cloud) if not (ROOT / name).exists()]
    assert missing == [], f"{cloud} lacks {', '.join(missing)}"
    named = rf"(?<![A-Za-z]){cloud}|{CLOUDS[cloud].package}:"
    unnamed = [name for name in SHARED if name in files_of(cloud) and not re.search(named, (ROOT / name).read_text())]
    assert unnamed == [], f"{cloud} is not in {', '.join(unnamed)}"


@pytest.mark.parametrize("cloud", REAL)
def test_a_cloud_is_few_files_most_of_them_in_two_folders(cloud: str) -> None:
    files = files_of(cloud)
    assert len(files) <= MOST
    inside = [name for name in files if name.startswith((f"components/clouds/{cloud}/", f"tests/simulator/{cloud}/"))]
    assert len(inside) > len(files) / 2


@pytest.mark.parametrize("cloud", [name for name, facts in CLOUDS.items() if facts.given])
def test_hosts_that_are_given_have_all_their_files(cloud: str) -> None:
    missing = [name for name in (name.replace("CLOUD", cloud) for name in GIVEN_OWN) if not (ROOT / name).exists()]
    assert missing == []


def test_nothing_else_lists_the_clouds() -> None:
    folders = sorted({path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")} - {"docs"})
    assert sorted(set(find_lists(ROOT, folders)) - {*SHARED}) == []


def test_a_list_of_the_clouds_is_found(tmp_path: Path) -> None:
    (tmp_path / "cli").mkdir()
    (tmp_path / "cli/one.py").write_text(f"TABLE = {dict.fromkeys(REAL)}")
    (tmp_path / "cli/two.py").write_text(f"TABLE = {dict.fromkeys(REAL[1:])}")
    assert [*find_lists(tmp_path, ["cli"])] == ["cli/one.py"]


def test_every_folder_of_a_cloud_is_of_one_that_there_is() -> None:
    folders = {path.parent.name for path in (ROOT / "components/clouds").glob("*/adapter.py")}
    assert folders == {*get_args(CloudName)}
