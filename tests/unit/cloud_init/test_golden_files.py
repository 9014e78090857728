"""What nodes are made of against the reviewed files in `tests/golden/nodes/`."""

import difflib
import re

from tests.clouds.conformance.node_files import HEAD, NODES, render


def test_rendered_files_are_the_reviewed_ones() -> None:
    now, reviewed = render(), {file.name: file.read_text() for file in NODES.iterdir()}
    changes = [
        line
        for name in sorted(now.keys() | reviewed.keys())
        for line in difflib.unified_diff(
            reviewed.get(name, "").splitlines(),
            now.get(name, "").splitlines(),
            f"reviewed/{name}",
            f"now/{name}",
            lineterm="",
            n=1,
        )
    ]
    # Not the texts themselves: pytest would compare them for minutes.
    assert not changes, "\n".join([*changes[:400], "if meant: python -m tests.clouds.conformance.golden, and review the diff"])


def test_every_role_is_shown_with_placeholders() -> None:
    texts = render()
    assert {name.split(".")[1].rpartition("-")[0] for name in texts} >= {
        "all",
        "edge",
        "app",
        "data",
        "sip",
        "web",
        "media",
        "db",
        "bus",
        "storage",
    }
    whole = "".join(texts.values())
    assert "{{secret:database_password}}" in whole and "{{address:" in whole
    assert f"{HEAD} user data" in whole
    assert not re.search(r"-----BEGIN [A-Z ]*PRIVATE KEY", whole)
