"""`sudo python3 -m tools.host go`: installs Go for a user who is not root. Standard library only."""

import argparse
import sys

from tools.engine.go import install_command
from tools.host.apt import install_wanted, require_root
from tools.host.fetching import SetupError
from tools.host.releases import choose_go, read_system


def main() -> int:
    """Installs; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python3 -m tools.host", description=__doc__)
    parser.add_argument("program", choices=["go"])
    parser.parse_args()
    try:
        require_root("Installing Go", install_command())
        install_wanted(choose_go(read_system()), _print)
    except SetupError as problem:
        sys.exit(f"webitel: {problem}")
    return 0


def _print(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
