"""Guesses a phone's password until nobody answers: `python3 -m tests.tools.scan 10.77.0.10:5060 --local 10.77.0.1`.

Standard library only.
"""

from __future__ import annotations

import argparse
import json
import sys
import time

from tests.tools.caller import Caller
from tests.tools.dialog import CallError


def main() -> int:
    """The command; exit status 0 when the answers ended."""
    parser = argparse.ArgumentParser(description="Guess a password by REGISTER until nobody answers.")
    parser.add_argument("server", help="address:port of OpenSIPS")
    parser.add_argument("--local", required=True, help="address to ask from")
    parser.add_argument("--domain", default="webitel")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--connections", type=int, default=1, help="ports to ask from, one after another")
    given = parser.parse_args()
    host, _, port = given.server.partition(":")
    answered, silent, started = 0, False, time.monotonic()
    for _ in range(given.connections):
        silent = False
        scanner = Caller((host, int(port)), given.local, "", "1001", given.domain, "wrong")
        try:
            while time.monotonic() - started < given.seconds and not silent:
                try:
                    scanner.register()
                    answered += 2
                except CallError:
                    silent = True
        finally:
            scanner.close()
    print(json.dumps({"answered": answered, "silent": silent, "seconds": round(time.monotonic() - started, 1)}))
    return 0 if silent else 1


if __name__ == "__main__":
    sys.exit(main())
