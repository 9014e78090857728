"""Grafana's stand-in keeps what is its own in PostgreSQL, so that any node may run it."""

import subprocess
from pathlib import Path

import pytest

from tests.sandbox.platform import PYTHON, ROOT, Platform
from tests.sandbox.runner import Runner, node_files

pytestmark = pytest.mark.sandbox

ASK = """
import sys
from sandbox.standin.grafana import Grafana
grafana = Grafana(["--config=" + sys.argv[1], "--paths.provisioning=" + sys.argv[2], "--paths.data=/nowhere"])
for line in sys.stdin:
    print(grafana.answer("GET", line.strip(), {}, b"")[0], flush=True)
"""


def ask(folder: Path, *paths: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PYTHON, "-c", ASK, str(folder / "grafana.ini"), str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        input="\n".join(paths),
        check=False,
    )


def test_it_needs_its_own_database(runner: Runner, platform: Platform, tmp_path: Path) -> None:
    text = node_files()["/etc/grafana/grafana.ini"].replace("127.0.0.1:5432", f"127.0.0.1:{platform.ports['postgresql']}")
    (tmp_path / "grafana.ini").write_text(text)
    refused = ask(tmp_path, "/api/health")
    assert refused.returncode != 0 and "grafana_store" in refused.stderr
    password = next(line.partition(" = ")[2] for line in text.split("[database]")[1].splitlines() if line.startswith("password"))
    platform.sql(f"create role grafana_store login password '{password}'", "postgres")
    platform.sql("create database grafana owner grafana_store", "postgres")
    assert ask(tmp_path, "/api/health").stdout.split() == ["200"]
    assert platform.sql("select tableowner from pg_tables where tablename = 'sandbox'", "grafana") == "grafana_store"
    platform.stop("postgresql")
    assert ask(tmp_path, "/api/health").returncode != 0
