"""The real provider that the long form builds is the SDK's, and has all that the adapter makes."""

import tomllib
from pathlib import Path

from components.clouds.libvirt.adoption import WAYS
from tests.kvm.plugin import SOURCE, VERSION

ROOT = Path(__file__).resolve().parents[3]


def test_the_provider_of_the_long_form_is_of_the_pinned_sdk() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    program = (SOURCE / "main.go").read_text()
    assert extras["libvirt"] == [f"pulumi-libvirt=={VERSION}"]
    assert f'version = "{VERSION}"' in program
    assert [type for type in WAYS if f'resource("{type.removeprefix("libvirt:index/")}")' not in program] == []
