"""Start of the node program: `python3 /usr/lib/webitel/node COMMAND`, wherever its folder is."""

import importlib
import os
import pathlib
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
RESTARTED = "WEBITEL_NODE_RESTARTED"
SWAP_SECONDS = 1.0
"""More than a run needs to put another version of this folder in its place."""

sys.dont_write_bytecode = True
sys.path[0] = str(HERE.parent)
try:
    commands = importlib.import_module(f"{HERE.name}.commands")
except ImportError:
    # Read half from the version before and half from the one after it: a unit that starts just now waits with this program.
    if os.environ.get(RESTARTED):
        raise
    time.sleep(SWAP_SECONDS)
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], os.environ | {RESTARTED: "yes"})
sys.exit(commands.main(sys.argv[1:]))
