"""Places a SIP call with media and says what happened: `python3 -m tests.tools.call 10.77.0.10:5060 --number echo`.

The caller speaks first (a closed RTP range stays unnoticed otherwise), sends 50 packets of PCMA a second, changes the call
once (re-INVITE), and hangs up itself with number `echo`; with `hangup` and `tone` it waits for FreeSWITCH to hang up,
because a lost BYE shows in no other way (facts/calls-observed.md 6.7). With `--receive` it waits for a call at its port, and
with `--hold` the call lasts until standard input ends; `stands` is printed when it stands. Exit status 0 only when every
packet came back and every answer was right.
Standard library only.
"""

from __future__ import annotations

import argparse
import json
import select
import socket
import sys
from dataclasses import asdict

from tests.tools.caller import CHANGES_EVERY, Caller
from tests.tools.dialog import Result


def local_address(server: tuple[str, int]) -> str:
    """The address of this machine that faces the server."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(server)
        return str(probe.getsockname()[0])


def carry_out(caller: Caller, receive: int, hold: bool, seconds: float, changes: float) -> Result:
    """The call as it was asked for."""
    if receive:
        return caller.receive(seconds)
    if hold:
        # Nothing is ever written there: it becomes readable when it is closed.
        return caller.hold(lambda: bool(select.select([sys.stdin], [], [], 0)[0]), lambda: print("stands", flush=True), changes)
    return caller.place(seconds)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="Place a SIP call and count its packets.")
    parser.add_argument("server", help="address:port of OpenSIPS")
    parser.add_argument("--number", default="echo", help="echo, hangup or tone (the sandbox's FreeSWITCH), or any number")
    parser.add_argument("--local", help="address to call from")
    parser.add_argument("--caller", default="1000", help="user in From")
    parser.add_argument("--domain", help="domain in From; default: the caller's address")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--password", default="", help="of the phone; a trunk has none")
    parser.add_argument("--receive", type=int, default=0, metavar="PORT", help="wait for a call at this port instead")
    parser.add_argument("--hold", action="store_true", help="talk until standard input ends")
    parser.add_argument("--changes", type=float, default=CHANGES_EVERY, help="seconds between two changes of a call that is held")
    given = parser.parse_args()
    host, _, port = given.server.partition(":")
    server = host, int(port or 5060)
    local = given.local or local_address(server)
    caller = Caller(server, local, given.number, given.caller, given.domain or local, given.password, given.receive)
    try:
        result = carry_out(caller, given.receive, given.hold, given.seconds, given.changes)
    finally:
        caller.close()
    print(json.dumps({**asdict(result), "call_id": caller.call_id}))
    return 1 if result.problem else 0


if __name__ == "__main__":
    sys.exit(main())
