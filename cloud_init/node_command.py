"""How the program on every node is called from the host."""

import shlex
from pathlib import PurePath

from cloud_init.node.manifest import PROGRAM


def node_command(*arguments: str, program: PurePath = PROGRAM) -> str:
    """Return the command that runs a node's program, quoted for its shell; `program` where it is not the installed one."""
    return f"/usr/bin/python3 -X utf8 {program} {shlex.join(arguments)}"
