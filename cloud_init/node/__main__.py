"""Start of the node program: `python3 /usr/lib/webitel/node COMMAND`, from wherever its folder lies."""

import importlib
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent

sys.dont_write_bytecode = True
sys.path[0] = str(HERE.parent)
sys.exit(importlib.import_module(f"{HERE.name}.commands").main(sys.argv[1:]))
