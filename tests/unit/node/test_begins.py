"""The node program begins: Python reads its modules in the order in which its commands name them, and no test does."""

import subprocess
import sys
from pathlib import Path

from cloud_init.bundles import bundle_folder


def test_it_starts_by_itself() -> None:
    """As a node starts it: two modules that want one another are an error of whoever is read first."""
    command = [sys.executable, "-B", "-P", str(bundle_folder("node")), "--help"]
    done = subprocess.run(command, cwd=Path("/"), capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "apply" in done.stdout
