"""Which stacks a change concerns: `git diff --name-only ... | python3 -m tools.changed_stacks "NAME ..."` prints a JSON
list of stacks and their clouds, for a matrix.

The names are the deployments that there are, a variable of the repository. Standard library only: it runs before there
is an environment.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Collection, Iterable
from pathlib import Path

STACKS = Path(__file__).resolve().parent.parent / "stacks"
STACK_FILE = re.compile(r"stacks/Pulumi\.(.+)\.yaml")
PROGRAM = re.compile(r"(stacks|components|cloud_init|provider|sandbox)/.+|__main__\.py|Pulumi\.yaml|pyproject\.toml")
"""What can change a deployment; a document, a test or a command cannot."""
CLOUD = re.compile(r"^\s*webitel:cloud:\s*['\"]?([a-z]+)", re.MULTILINE)
HERE = "local"
"""The cloud whose deployments stand on one machine, which is not the one that runs this."""


def choose(files: Iterable[str], deployments: Iterable[str]) -> list[str]:
    """Return the stacks to preview: those whose own file changed, and all deployments where the program did."""
    own, everything = set(), False
    for file in files:
        if found := STACK_FILE.fullmatch(file):
            own.add(found[1])
        else:
            everything = everything or bool(PROGRAM.fullmatch(file))
    return sorted(own | set(deployments) if everything else own)


def describe(names: Collection[str], stacks: Path = STACKS) -> list[dict[str, str]]:
    """Name and cloud of the stacks that have a file and stand on a cloud."""
    rows = []
    for name in names:
        path = stacks / f"Pulumi.{name}.yaml"
        cloud = CLOUD.search(path.read_text()) if path.exists() else None
        if cloud and cloud[1] != HERE:
            rows.append({"stack": name, "cloud": cloud[1]})
    return rows


if __name__ == "__main__":
    print(json.dumps(describe(choose(sys.stdin.read().splitlines(), sys.argv[1].split()))))
