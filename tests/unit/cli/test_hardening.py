"""`bench --hardening`: what is read of lynis' report, and that each finding of ours has its reason."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from cli.console import Failure
from cli.develop.hardening import COMMAND, SCRIPT, read_report

ROOT = Path(__file__).resolve().parents[3]

REPORT = """suggestion[]=KRNL-5820|If not required, consider disabling core dumps|-|-|
suggestion[]=NETW-3200|Determine if protocol 'dccp' is really needed on this system|-|-|
suggestion[]=NETW-3200|Determine if protocol 'sctp' is really needed on this system|-|-|
warning[]=FIRE-4512|iptables module(s) loaded, but no rules active|-|-|
hardening_index=64
"""


def test_a_report_is_an_index_and_each_finding_once() -> None:
    seen = read_report(REPORT)
    assert seen.index == 64
    assert [name for name, _ in seen.findings] == ["FIRE-4512", "KRNL-5820", "NETW-3200"]
    assert dict(seen.findings)["NETW-3200"].startswith("Determine if protocol 'dccp'")
    with pytest.raises(Failure, match="without an index"):
        read_report("")


def test_the_script_is_sound() -> None:
    assert shlex.split(COMMAND) == ["sh", "-c", SCRIPT], "one program for sudo"
    assert not subprocess.run(["sh", "-n"], input=SCRIPT, text=True, capture_output=True, check=True).stderr


def test_what_lynis_finds_on_nodes_has_a_reason() -> None:
    listed = set(re.findall(r"\b[A-Z]{3,4}-\d{4}\b", (ROOT / "docs/facts/lynis.md").read_text()))
    page = (ROOT / "docs/operate/security.md").read_text()
    assert listed and sorted(name for name in listed if name not in page) == []
