"""What a clone on a machine with `core.autocrlf` looks like."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
FILES = (
    "webitel",
    "__main__.py",
    "provider/pulumi-resource-webitel",
    "tools/engine/pulumi-language-python",
    "cloud_init/node/install.py",
    "cloud_init/base.yaml.j2",
    "cloud_init/files/postgresql/setup.sh",
    "cloud_init/files/nftables/nftables.conf",
    "cloud_init/files/node/hosts",
    "cloud_init/bundles/freeswitch/dialplan.xml",
    "requirements/base.lock",
    "stacks/Pulumi.local-single.yaml",
)
"""Scripts, and texts whose digests and bytes count."""


@pytest.mark.parametrize("option", ["core.autocrlf=true", "core.eol=crlf"])
def test_files_keep_their_line_ends_whatever_the_clone_is_told(tmp_path: Path, option: str) -> None:
    """Linux takes the carriage return for a part of the interpreter's name."""
    clone = tmp_path / "clone"
    subprocess.run(["git", "init", "--quiet", str(clone)], check=True)
    for name in (".gitattributes", *FILES):
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        (clone / name).write_bytes((ROOT / name).read_bytes())
    git = ["git", "-C", str(clone), "-c", "user.name=x", "-c", "user.email=x", "-c", option]
    subprocess.run([*git, "add", "."], check=True)
    for name in FILES:
        (clone / name).unlink()
    subprocess.run([*git, "checkout", "--quiet", "--", *FILES], check=True)
    assert [name for name in FILES if b"\r" in (clone / name).read_bytes()] == []
