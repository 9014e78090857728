"""What a clone on a machine with `core.autocrlf` looks like."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_scripts_keep_their_line_ends_whatever_the_clone_is_told(tmp_path: Path) -> None:
    """Linux takes the carriage return for a part of the interpreter's name."""
    clone = tmp_path / "clone"
    subprocess.run(["git", "init", "--quiet", str(clone)], check=True)
    for name in (".gitattributes", "webitel"):
        (clone / name).write_bytes((ROOT / name).read_bytes())
    git = ["git", "-C", str(clone), "-c", "user.name=x", "-c", "user.email=x", "-c", "core.autocrlf=true"]
    subprocess.run([*git, "add", "."], check=True)
    (clone / "webitel").unlink()
    subprocess.run([*git, "checkout", "--quiet", "webitel"], check=True)
    assert b"\r" not in (clone / "webitel").read_bytes()
