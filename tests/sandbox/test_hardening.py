"""systemd's own judgement of each drop-in, on a unit that has nothing else and runs as root."""

import subprocess
from pathlib import Path

import pytest

from components.model.catalogue.hardening import EXPOSURE_LIMIT, HARDENED

pytestmark = pytest.mark.sandbox


def judge(root: Path, unit: str) -> subprocess.CompletedProcess[str]:
    limit = f"--threshold={EXPOSURE_LIMIT * 10:.0f}"
    command = ["systemd-analyze", "security", "--no-pager", "--offline=yes", limit, f"--root={root}", f"{unit}.service"]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_systemd_finds_every_unit_shut_in(tmp_path: Path) -> None:
    units = tmp_path / "usr/lib/systemd/system"
    units.mkdir(parents=True)
    for name, hardening in HARDENED.items():
        (units / f"{name}.service").write_text("[Service]\nExecStart=/bin/true\n")
        bare = judge(tmp_path, name)
        assert bare.returncode != 0 and "UNSAFE" in bare.stdout, bare.stdout + bare.stderr
        folder = tmp_path / f"etc/systemd/system/{name}.service.d"
        folder.mkdir(parents=True)
        (folder / "hardening.conf").write_text(f"[Service]\n{hardening.text}\n")
        judged = judge(tmp_path, name)
        assert judged.returncode == 0, judged.stdout[-300:] + judged.stderr
        # A word that it does not know it ignores, with a warning.
        assert judged.stderr == "", judged.stderr
